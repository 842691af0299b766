//! Clocked mode of runs by rows: the weights of all events of a step are added, then neurons with input are tested.

use super::bounds::VectorBounds;
use super::event_rows::{EventRows, Take};
use super::lanes::{LANES, Lanes, Mask, Task};
use super::layers::SingleInput;
use super::room::Room;
use super::row_neurons::{Map, RowNeurons};
use super::rules::{Kind, Rules, Vectors};
use super::streams::Stream;
use super::takers::places_of;
use crate::engine::kernels::spike;
use std::marker::PhantomData;

/// Neurons act at the end of each step.
pub(super) struct StepByStep<'a, 'm, K> {
    pub map: &'a Map<'m>,
    pub neurons: &'a mut RowNeurons,
    pub inputs: Vec<(&'a SingleInput, &'a Stream)>,
    /// A bit for each neuron with input, or beyond the threshold.
    pub waiting: &'a mut [u64],
    /// By step: not 0 if a neuron is beyond the threshold after it.
    pub beyond: &'a mut [u16],
    pub leaving: &'a mut Stream,
    pub room: &'a mut Room,
    pub kind: PhantomData<K>,
}

impl<K: Kind> Task for StepByStep<'_, '_, K> {
    /// Up to which step, as in the next one a potential may leave 32 bits, and the number of operations.
    type Output = (usize, u64);
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) -> (usize, u64) {
        let Self { map, neurons, inputs, waiting, beyond, leaving, room, .. } = self;
        let steps = beyond.len();
        let mut operations = 0;
        // SAFETY: the instructions are there, and the neurons with room for a vector behind them.
        unsafe {
            let rule = Vectors::<L>::new(&map.fixed.rules);
            for (step, beyond) in beyond.iter_mut().enumerate() {
                let (v, counts) = (neurons.v.as_mut_ptr(), neurons.counts.as_mut_ptr());
                let events: usize = inputs.iter().map(|(_, stream)| stream.range(step).len()).sum();
                if !neurons.bounds.have_room((events as i64).saturating_mul(map.layer.largest)) {
                    return (step, operations);
                }
                let mut sums = Sums { v, waiting };
                for &(input, stream) in &inputs {
                    for &place in &stream.places[stream.range(step)] {
                        let Some(rows) = EventRows::of(input, place, map.layer.neurons) else { continue };
                        operations += rows.neurons();
                        rows.add::<L>(place, v, &mut sums);
                    }
                }
                let before = leaving.places.len();
                let mut bounds = VectorBounds::<L>::new(neurons.bounds);
                for (word, waiting) in (0..).step_by(64).zip(&mut *waiting) {
                    let mut some = std::mem::take(waiting);
                    if some != 0 {
                        leaving.places.reserve(64 + LANES);
                    }
                    while some != 0 {
                        let bit = some.trailing_zeros() as usize & !(L::WIDTH - 1);
                        some &= !(!(!0 << L::WIDTH) << bit);
                        let n = word + bit;
                        let sum = L::load(v.add(n));
                        bounds.include::<K>(sum);
                        let tested = rule.test::<K>(sum, counts.wrapping_add(n), L::Mask::of(!0));
                        if tested.again && K::SIGNED {
                            // Rare.
                            let fired = tested.up.or(tested.down).bits();
                            repeat(&map.fixed.rules, (v, counts), n, fired, &mut leaving.places);
                            leaving.places.reserve(64 + LANES);
                            continue;
                        }
                        tested.v.store_where(!0, v.add(n));
                        if K::SIGNED {
                            tested.counts.store_where(!0, counts.add(n));
                        } else if tested.again {
                            *waiting |= u64::from(tested.v.above(L::Mask::of(!0), rule.below_threshold).bits()) << bit;
                            *beyond = 1;
                        }
                        let len = leaving.places.len();
                        let to = leaving.places.as_mut_ptr().add(len);
                        let spikes = L::write_spikes(tested.up, tested.down, n as u32, to);
                        leaving.places.set_len(len + spikes);
                    }
                }
                neurons.bounds = bounds.all();
                leaving.close(step);
                if !room.take(leaving.places.len() - before) {
                    break;
                }
            }
        }
        (steps, operations)
    }
}

/// The weights of the events of a step are added.
struct Sums<'a> {
    v: *mut i32,
    waiting: &'a mut [u64],
}

impl<L: Lanes> Take<L> for Sums<'_> {
    #[inline(always)]
    unsafe fn take(&mut self, reached: u16, n: usize, v: L) -> bool {
        // SAFETY: the caller's promise.
        unsafe { v.store_where(!0, self.v.add(n)) };
        let (word, bit) = (n / 64, n % 64);
        let reached = u64::from(reached);
        self.waiting[word] |= reached << bit;
        if let Some(next) = self.waiting.get_mut(word + 1) {
            *next |= reached >> 1 >> (63 - bit);
        }
        true
    }
}

/// Lets signed neurons of a vector from neuron `n` on spike, some of them more than once.
///
/// # Safety
/// The neurons are there.
#[cold]
unsafe fn repeat(rules: &Rules, (v, counts): (*mut i32, *mut i32), n: usize, mut fired: u16, leaving: &mut Vec<u32>) {
    while fired != 0 {
        let n = n + fired.trailing_zeros() as usize;
        fired &= fired - 1;
        // SAFETY: the caller's promise.
        let neuron = unsafe { (&mut *v.add(n), &mut *counts.add(n)) };
        leaving.extend(places_of(n, spike(neuron, rules.threshold, &rules.signed)));
    }
}
