//! Sixteen integers side by side, or four.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod four;
mod loops;

use super::places::NEGATIVE;
use crate::engine::kernels::{Instructions, Variant};
pub(super) use loops::Loops;
#[cfg(target_arch = "x86_64")]
use {
    avx2::{Avx2, REGISTER},
    avx512::Avx512,
    four::Four,
};

/// Neurons of a vector.
pub(super) const LANES: usize = 16;

/// Some lanes of a vector.
pub(super) trait Mask: Copy {
    /// Those of the bits.
    ///
    /// # Safety
    /// For this and all others: the instructions of the type are there.
    unsafe fn of(bits: u16) -> Self;
    /// All lanes, or none.
    ///
    /// # Safety
    /// The instructions are there.
    unsafe fn all_if(all: bool) -> Self;
    /// A bit for each lane.
    ///
    /// # Safety
    /// The instructions are there.
    unsafe fn bits(self) -> u16;
    /// A bit for each lane; above them those of another mask.
    ///
    /// # Safety
    /// The instructions are there.
    unsafe fn bits_with(self, other: Self) -> u32;
    /// Whether there is one.
    ///
    /// # Safety
    /// The instructions are there.
    unsafe fn any(self) -> bool;
    /// The lanes of one or the other.
    ///
    /// # Safety
    /// The instructions are there.
    unsafe fn or(self, other: Self) -> Self;
}

/// One vector of potentials, counts or weights, or its lower lanes where it has no others.
pub(super) trait Lanes: Copy {
    type Mask: Mask;
    /// Integers that are loaded and stored together; what there is of others is not used.
    const WIDTH: usize = LANES;
    /// Vectors of a cell that are worked on together: 1 or 4.
    const VECTORS: usize;
    /// Whether a branch on the spikes of a single vector, which are not predicted, takes less than masks do.
    const BRANCHES: bool;
    /// Whether events are added in groups with one test for each, in event mode, where spikes are rare.
    const GROUPS: bool;
    /// Spikes are rare where one of more than so many vectors that are tested has one.
    const RARE: usize;
    /// # Safety
    /// For this and all others: the instructions of the type are there. `WIDTH` integers can be read.
    unsafe fn load(from: *const i32) -> Self;
    /// The lanes of the mask; the others are 0.
    ///
    /// # Safety
    /// The integers of the mask can be read.
    unsafe fn load_where(mask: u16, from: *const i32) -> Self;
    /// # Safety
    /// The integers of the mask can be written.
    unsafe fn store_where(self, mask: u16, to: *mut i32);
    /// # Safety
    /// The instructions are there.
    unsafe fn splat(value: i32) -> Self;
    /// # Safety
    /// The instructions are there.
    unsafe fn add(self, other: Self) -> Self;
    /// # Safety
    /// The instructions are there.
    unsafe fn sub(self, other: Self) -> Self;
    /// `one` where this is negative, else `other`.
    ///
    /// # Safety
    /// The instructions are there.
    unsafe fn where_negative(self, one: Self, other: Self) -> Self;
    /// With `other` taken from some lanes and added to others.
    ///
    /// # Safety
    /// The instructions are there; no lane is in both masks.
    unsafe fn change(self, minus: Self::Mask, plus: Self::Mask, other: Self) -> Self;
    /// With 1 taken from some lanes and added to others.
    ///
    /// # Safety
    /// As [`Lanes::change`].
    #[inline(always)]
    unsafe fn change_by_one(self, minus: Self::Mask, plus: Self::Mask) -> Self {
        // SAFETY: the caller's promise.
        unsafe { self.change(minus, plus, Self::splat(1)) }
    }
    /// # Safety
    /// The instructions are there.
    unsafe fn max(self, other: Self) -> Self;
    /// # Safety
    /// The instructions are there.
    unsafe fn min(self, other: Self) -> Self;
    /// # Safety
    /// The instructions are there.
    unsafe fn sub_where(self, mask: Self::Mask, other: Self) -> Self;
    /// # Safety
    /// The instructions are there.
    unsafe fn set_where(self, mask: Self::Mask, other: Self) -> Self;
    /// The lanes of the mask that are `> other`.
    ///
    /// # Safety
    /// The instructions are there.
    unsafe fn above(self, mask: Self::Mask, other: Self) -> Self::Mask;
    /// The lanes of the mask that are `< other`.
    ///
    /// # Safety
    /// The instructions are there.
    unsafe fn below(self, mask: Self::Mask, other: Self) -> Self::Mask;
    /// Fetches what is at an address into the cache, where there is an instruction for it; nothing is read.
    #[inline(always)]
    fn prefetch(_from: *const i32) {}
    /// Writes the places of the lanes that spike or take a spike back, if the first lane is at `first`. Returns how
    /// many there are.
    ///
    /// # Safety
    /// The instructions are there. As many integers as a vector has can be written.
    #[inline(always)]
    unsafe fn write_spikes(up: Self::Mask, down: Self::Mask, first: u32, to: *mut u32) -> usize {
        // SAFETY: the caller's promise.
        let masks = unsafe { up.bits_with(down) };
        let mut spikes = 0;
        for lane in 0..Self::WIDTH {
            let mark = if masks >> (LANES + lane) & 1 == 1 { NEGATIVE } else { 0 };
            // SAFETY: there are no more spikes than lanes.
            unsafe { to.add(spikes).write((first + lane as u32) | mark) };
            spikes += ((masks | masks >> LANES) >> lane & 1) as usize;
        }
        spikes
    }
}

/// What is done with vectors, on whatever instructions there are.
pub(super) trait Task: Sized {
    type Output;
    /// # Safety
    /// The instructions of `L` are there.
    unsafe fn run<L: Lanes>(self) -> Self::Output;
    /// The same in loops.
    #[inline(always)]
    fn run_loops(self) -> Self::Output {
        // SAFETY: loops need no instructions.
        unsafe { self.run::<Loops<LANES>>() }
    }
}

/// Runs a task on the instructions of a variant; `lanes`: how many of a cell there are.
pub(super) fn run<T: Task>(task: T, variant: Variant, lanes: usize) -> T::Output {
    // SAFETY: a variant is made only by `Variant::available`, where its instructions were detected.
    unsafe {
        match variant.instructions() {
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512 => run_avx512(task),
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 if lanes <= REGISTER => run_avx2::<T, 1>(task),
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => run_avx2::<T, 2>(task),
            Instructions::Base => task.run_loops(),
        }
    }
}

/// Runs a task on vectors of four integers.
pub(super) fn run_four<T: Task>(task: T, variant: Variant) -> T::Output {
    match variant.instructions() {
        // SAFETY: AVX2 was detected, as it is before AVX-512.
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx512 | Instructions::Avx2 => unsafe { run_avx2_four(task) },
        // SAFETY: loops need no instructions.
        Instructions::Base => unsafe { task.run::<Loops<4>>() },
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,popcnt")]
fn run_avx512<T: Task>(task: T) -> T::Output {
    // SAFETY: the instructions are there.
    unsafe { task.run::<Avx512>() }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn run_avx2<T: Task, const N: usize>(task: T) -> T::Output {
    // SAFETY: the instructions are there.
    unsafe { task.run::<Avx2<N>>() }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn run_avx2_four<T: Task>(task: T) -> T::Output {
    // SAFETY: the instructions are there.
    unsafe { task.run::<Four>() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What becomes of some potentials: written spikes, and potentials after a change.
    struct Spiking {
        v: [i32; 4],
        first: u32,
    }

    impl Task for Spiking {
        type Output = (Vec<u32>, Vec<i32>);
        #[inline(always)]
        unsafe fn run<L: Lanes>(self) -> Self::Output {
            let (mut padded, mut spikes, mut after) = ([0; LANES], [0; LANES], [0; LANES]);
            padded[..4].copy_from_slice(&self.v);
            // SAFETY: the caller's promise; each array has as many integers as a vector has at most.
            unsafe {
                let four = L::Mask::of(0xF);
                let v = L::load_where(0xF, padded.as_ptr());
                let (up, down) = (v.above(four, L::splat(1)), v.below(four, L::splat(-1)));
                v.change(up, down, L::splat(3)).store_where(0xF, after.as_mut_ptr());
                let n = L::write_spikes(up, down, self.first, spikes.as_mut_ptr());
                (spikes[..n].to_vec(), after[..4].to_vec())
            }
        }
    }

    proptest! {
        #[test]
        fn vectors_of_four_do_what_loops_do(v in prop::array::uniform4(-3i32..4), first in 0u32..1000) {
            let expected = Spiking { v, first }.run_loops();
            let lanes = (0u32..4).zip(v).filter(|(_, v)| v.abs() > 1);
            let spikes: Vec<u32> = lanes.map(|(k, v)| (first + k) | if v < 0 { NEGATIVE } else { 0 }).collect();
            prop_assert_eq!(&expected.0, &spikes);
            for variant in Variant::available() {
                prop_assert_eq!(run_four(Spiking { v, first }, variant), expected.clone());
            }
        }
    }
}
