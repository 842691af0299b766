//! Sets of positions of a map, a bit each.

use std::ops::Range;

/// A set of positions (y, x), a bit each.
#[derive(Debug, Clone)]
pub(super) struct Positions {
    words: Vec<u64>,
    words_per_row: usize,
    width: usize,
}

impl Positions {
    pub fn new(height: usize, width: usize) -> Self {
        let words_per_row = width.div_ceil(64);
        Self { words: vec![0; height * words_per_row], words_per_row, width }
    }

    pub fn clear(&mut self) {
        self.words.fill(0);
    }

    pub fn fill(&mut self) {
        for row in 0..self.words.len() / self.words_per_row {
            self.set(row, 0..self.width);
        }
    }

    pub fn set(&mut self, row: usize, columns: Range<usize>) {
        let words = &mut self.words[row * self.words_per_row..][..self.words_per_row];
        for (number, word) in words.iter_mut().enumerate().take(columns.end.div_ceil(64)).skip(columns.start / 64) {
            let first = columns.start.saturating_sub(number * 64);
            let end = (columns.end - number * 64).min(64);
            *word |= (u64::MAX >> (64 - (end - first))) << first;
        }
    }

    pub fn include(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word |= other);
    }

    pub fn exclude(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word &= !other);
    }

    /// Visits the members in raster order and empties the set.
    pub fn drain(&mut self, mut visit: impl FnMut(usize)) {
        self.each(&mut visit);
        self.clear();
    }

    pub fn each(&self, mut visit: impl FnMut(usize)) {
        for (number, &word) in self.words.iter().enumerate() {
            let (row, column) = (number / self.words_per_row, number % self.words_per_row * 64);
            let mut left = word;
            while left != 0 {
                visit(row * self.width + column + left.trailing_zeros() as usize);
                left &= left - 1;
            }
        }
    }
}
