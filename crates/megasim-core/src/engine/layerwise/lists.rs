//! What reaches each cell, in order, and the walk over all of it.

use super::cells::{Cells, Made, Rows};
#[cfg(target_arch = "x86_64")]
use super::lanes::{Avx2, Avx512, REGISTER};
use super::lanes::{Lanes, Loops};
use super::notes::KEY_BITS;
use super::rules::{Kind, Plain, Rules, Signed};
use crate::engine::kernels::{self, Instructions};

/// Entries, cell by cell.
#[derive(Clone, Copy)]
pub(super) struct Lists<'l> {
    pub ends: &'l [u32],
    pub entries: &'l [u32],
}

/// The lists of all cells, and what they act on.
pub(super) struct All<'a, 'c> {
    pub cells: &'a mut Cells<'c>,
    /// By cell, in clocked mode: whether one of its neurons is beyond the threshold.
    pub carried: &'a mut [bool],
    pub lists: Lists<'a>,
    pub rules: &'a Rules,
    pub rows: Rows<'a>,
    pub made: &'a mut Made<'c>,
}

impl All<'_, '_> {
    /// Processes all lists. `repeats`: a signed neuron may spike several times on one event.
    pub fn walk<const CLOCKED: bool>(self, is_signed: bool, repeats: bool, kernel: kernels::Variant) {
        let signed = &self.rules.signed;
        let is_general = signed.max_count < i32::MAX || signed.min_count < -(1 << 30) || (!CLOCKED && repeats);
        match (is_signed, is_general) {
            // Clocked, neurons beyond the threshold spike in each step.
            (false, _) if !CLOCKED && !self.rows.reached.is_empty() => self.walk_as::<Plain<CLOCKED, true>>(kernel),
            (false, _) => self.walk_as::<Plain<CLOCKED, false>>(kernel),
            (true, false) => self.walk_as::<Signed<CLOCKED, false>>(kernel),
            (true, true) => self.walk_as::<Signed<CLOCKED, true>>(kernel),
        }
    }

    fn walk_as<K: Kind>(self, kernel: kernels::Variant) {
        // SAFETY: a variant is made only by `Variant::available`, where its instructions were detected; loops need
        // none.
        unsafe {
            match kernel.instructions() {
                #[cfg(target_arch = "x86_64")]
                Instructions::Avx512 => self.walk_avx512::<K>(),
                #[cfg(target_arch = "x86_64")]
                Instructions::Avx2 if self.cells.lanes <= REGISTER => self.walk_avx2::<K, 1>(),
                #[cfg(target_arch = "x86_64")]
                Instructions::Avx2 => self.walk_avx2::<K, 2>(),
                Instructions::Base => self.walk_loops::<K::Portable>(),
            }
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,popcnt")]
    fn walk_avx512<K: Kind>(self) {
        // SAFETY: the instructions are there.
        unsafe { self.walk_in::<Avx512, K>() }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn walk_avx2<K: Kind, const N: usize>(self) {
        // SAFETY: the instructions are there.
        unsafe { self.walk_in::<Avx2<N>, K>() }
    }

    // Two kinds may have one portable form.
    #[inline(never)]
    fn walk_loops<K: Kind>(self) {
        // SAFETY: loops need no instructions.
        unsafe { self.walk_in::<Loops, K>() }
    }

    /// # Safety
    /// The instructions of `L` are there.
    #[inline(always)]
    unsafe fn walk_in<L: Lanes, K: Kind>(self) {
        let Self { cells, carried, lists: Lists { ends, entries }, rules, rows, made } = self;
        let furthest = entries.iter().fold(0, |furthest: u32, &entry| furthest.max(entry)) >> KEY_BITS;
        assert!(entries.is_empty() || (furthest as usize + 1) * rows.stride <= rows.weights.len());
        let mut start = 0;
        for (cell, carried) in carried.iter_mut().enumerate() {
            let end = ends[cell] as usize;
            let list = &entries[start..end];
            start = end;
            if !list.is_empty() || (K::CLOCKED && *carried) {
                // SAFETY: the caller's promise; every row is inside the weights.
                *carried = unsafe { cells.walk::<L, K>(cell, list, rules, rows, made) };
            }
        }
    }
}
