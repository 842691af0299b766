//! What reaches each cell, in order, and the walk over all of it.

use super::cells::{Cells, Made, Rows};
use super::lanes::{self, LANES, Lanes, Loops, Task};
use super::notes::{KEY_BITS, Names};
use super::rules::{Kind, Plain, Rules, Signed};
use crate::engine::kernels;
use std::marker::PhantomData;

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
    /// Few events made a neuron spike in the last part of a run; says so of this one.
    pub spikes_are_rare: &'a mut bool,
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
        let lanes = self.cells.lanes;
        lanes::run(Walk { all: self, kind: PhantomData::<K> }, kernel, lanes);
    }
}

/// The walk over all lists.
struct Walk<'a, 'c, K> {
    all: All<'a, 'c>,
    kind: PhantomData<K>,
}

impl<K: Kind> Task for Walk<'_, '_, K> {
    type Output = ();

    fn run_loops(self) {
        walk_loops(Walk { all: self.all, kind: PhantomData::<K::Portable> });
    }

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let is_dense = matches!(self.all.cells.names, Names::Row);
        if !K::CLOCKED && *self.all.spikes_are_rare && (is_dense || L::GROUPS) {
            // SAFETY: the caller's promise.
            return unsafe { self.walk::<L, true>() };
        }
        // SAFETY: the caller's promise.
        unsafe { self.walk::<L, false>() }
    }
}

impl<K: Kind> Walk<'_, '_, K> {
    /// # Safety
    /// The instructions of `L` are there.
    #[inline(always)]
    unsafe fn walk<L: Lanes, const RARE: bool>(self) {
        let All { cells, carried, lists: Lists { ends, entries }, rules, rows, made, spikes_are_rare } = self.all;
        let before = made.notes.len();
        let furthest = entries.iter().fold(0, |furthest: u32, &entry| furthest.max(entry)) >> KEY_BITS;
        assert!(entries.is_empty() || (furthest as usize + 1) * rows.stride <= rows.weights.len());
        let mut start = 0;
        for (cell, carried) in carried.iter_mut().enumerate() {
            let end = ends[cell] as usize;
            let list = &entries[start..end];
            start = end;
            if !list.is_empty() || (K::CLOCKED && *carried) {
                // SAFETY: the caller's promise; every row is inside the weights.
                *carried = unsafe { cells.walk::<L, K, RARE>(cell, list, rules, rows, made) };
            }
        }
        let tested = entries.len() * cells.lanes.div_ceil(LANES);
        *spikes_are_rare = (made.notes.len() - before) * L::RARE < tested;
    }
}

// Two kinds may have one portable form.
#[inline(never)]
fn walk_loops<T: Task>(walk: T) {
    // SAFETY: loops need no instructions.
    unsafe { walk.run::<Loops<LANES>>() };
}
