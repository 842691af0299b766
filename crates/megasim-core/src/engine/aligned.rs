//! Integers that begin at a line of the cache, so that no vector of them crosses into another line.

use std::ops::{Deref, DerefMut};

/// Bytes of a line of the cache, and of the widest vectors.
const LINE: usize = 64;

/// A fixed number of integers.
#[derive(Debug, Default)]
pub(super) struct Aligned {
    storage: Vec<i32>,
    start: usize,
    len: usize,
}

impl Aligned {
    /// Zeros.
    pub fn new(len: usize) -> Self {
        let storage = vec![0_i32; len + LINE / size_of::<i32>()];
        let start = storage.as_ptr().align_offset(LINE);
        // Where the machine does not say, alignment is only slower.
        let start = if start > LINE / size_of::<i32>() { 0 } else { start };
        Self { storage, start, len }
    }
}

impl Aligned {
    /// Grows to `len` values; the new ones are 0.
    pub fn grow(&mut self, len: usize) {
        if len > self.len {
            let mut grown = Self::new(len);
            grown[..self.len].copy_from_slice(self);
            *self = grown;
        }
    }
}

impl From<&[i32]> for Aligned {
    fn from(values: &[i32]) -> Self {
        let mut aligned = Self::new(values.len());
        aligned.copy_from_slice(values);
        aligned
    }
}

impl Clone for Aligned {
    fn clone(&self) -> Self {
        Self::from(&**self)
    }
}

impl Deref for Aligned {
    type Target = [i32];
    fn deref(&self) -> &[i32] {
        &self.storage[self.start..self.start + self.len]
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [i32] {
        &mut self.storage[self.start..self.start + self.len]
    }
}
