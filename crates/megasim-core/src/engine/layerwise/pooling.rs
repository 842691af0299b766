//! Layers such as pooling: each map reads one node, and an event reaches one neuron at most. They are run map by map,
//! so that what a map needs stays in the cache.

use super::layers::{PooledMap, PoolingLayer};
use super::places::{NEGATIVE, NOWHERE};
use super::room::Room;
use super::rules::{Kind, Rules};
use super::streams::{Steps, Stream};
use super::takers::{Fixed, Singles, places_of, signed};
use crate::engine::neurons::Work;
use crate::engine::synapses::Tap;

/// Scratch for such layers.
#[derive(Debug, Clone, Default)]
pub(super) struct PoolingRun {
    /// Clocked: by position, the input of a map in a step.
    sums: Vec<i64>,
    /// By event of a map: how many spikes there are after it.
    spikes: Vec<u32>,
}

/// The neurons of one map.
struct MapNeurons<'n> {
    fixed: Fixed,
    map: usize,
    maps: usize,
    /// Of all maps, as the counts.
    v: &'n mut [i32],
    counts: &'n mut [i32],
    saturations: &'n mut u64,
}

impl PoolingRun {
    /// Runs a layer; its spikes go to the streams of its nodes. Clocked: `waiting` has a bit for each position of each
    /// map, set if its neuron is beyond the threshold; `beyond` is not 0 for the steps after which there is one.
    pub fn run<K: Kind>(
        &mut self,
        layer: &PoolingLayer,
        (neurons, rules): (&mut Singles<'_>, &Rules),
        (waiting, beyond): (&mut Vec<u64>, &mut [u16]),
        (nodes, streams, room): (&[usize], &mut [Stream], &mut Room),
        steps: Steps,
    ) -> Work {
        let fixed = Fixed::new::<K>(rules, layer.maps.len());
        let positions = neurons.v.len() / layer.maps.len();
        let words = positions.div_ceil(64);
        if K::CLOCKED {
            self.sums.resize(self.sums.len().max(positions), 0);
            waiting.resize(words * layer.maps.len(), 0);
        }
        let Singles { v, counts, saturations } = neurons;
        assert!(!K::SIGNED || counts.len() == v.len());
        let mut operations = 0;
        for (map, (PooledMap { node, taps }, &output)) in layer.maps.iter().zip(nodes).enumerate() {
            let mut leaving = std::mem::take(&mut streams[output]);
            let before = leaving.places.len();
            let mut neurons =
                MapNeurons { fixed, map, maps: layer.maps.len(), v, counts, saturations: &mut saturations[map] };
            let input = node.map(|node| &streams[node]);
            if K::CLOCKED {
                let waiting = &mut waiting[map * words..][..words];
                for (step, beyond) in beyond[..steps.len].iter_mut().enumerate() {
                    let places = input.map_or(&[][..], |input| &input.places[input.range(step)]);
                    operations += sum(taps, places, &mut self.sums, waiting);
                    let is_beyond = neurons.test::<K>(&mut self.sums, waiting, &mut leaving.places);
                    *beyond |= u16::from(is_beyond);
                    leaving.close(step);
                }
            } else if let Some(input) = input {
                // Not step by step, as nothing could predict how many events each has.
                let all = input.range(0).start..input.range(steps.len - 1).end;
                let places = &input.places[all.clone()];
                operations += neurons.at_once::<K>(taps, places, &mut leaving.places, &mut self.spikes);
                leaving.close_at((0..steps.len).map(|step| match input.range(step).end - all.start {
                    0 => before,
                    events => before + self.spikes[events - 1] as usize,
                }));
            }
            room.take(leaving.places.len() - before);
            streams[output] = leaving;
        }
        Work { operations, updates: operations }
    }
}

/// Clocked: adds the input of a step, and marks the positions that have some. Returns the number of operations.
fn sum(taps: &[Tap], places: &[u32], sums: &mut [i64], waiting: &mut [u64]) -> u64 {
    let mut operations = 0;
    for &place in places {
        let Some(&Tap { neuron, weight }) = taps.get((place & !NEGATIVE) as usize) else { continue };
        let Some(sum) = sums.get_mut(neuron as usize) else { continue };
        *sum += signed(weight, place);
        waiting[neuron as usize / 64] |= 1 << (neuron % 64);
        operations += 1;
    }
    operations
}

impl MapNeurons<'_> {
    /// Neurons act on each event; `spikes`: how many there are after each. Returns the number of operations.
    #[inline(always)]
    fn at_once<K: Kind>(&mut self, taps: &[Tap], places: &[u32], leaving: &mut Vec<u32>, spikes: &mut Vec<u32>) -> u64 {
        let mut operations = 0;
        let before = leaving.len();
        leaving.reserve(places.len());
        spikes.resize(places.len().max(spikes.len()), 0);
        for (k, (&place, spikes)) in places.iter().zip(spikes).enumerate() {
            let tap = taps.get((place & !NEGATIVE) as usize);
            if let Some(&Tap { neuron, weight }) = tap
                && neuron != NOWHERE
            {
                operations += 1;
                self.take::<K>(neuron, signed(weight, place), leaving, places.len() - k);
            }
            *spikes = (leaving.len() - before) as u32;
        }
        operations
    }

    /// Clocked, at the end of a step: neurons with input, and those beyond the threshold, are tested. Says whether one
    /// still is.
    fn test<K: Kind>(&mut self, sums: &mut [i64], waiting: &mut [u64], leaving: &mut Vec<u32>) -> bool {
        let mut beyond = false;
        for (word, waiting) in waiting.iter_mut().enumerate() {
            let mut some = std::mem::take(waiting);
            leaving.reserve(64);
            while some != 0 {
                let bit = some & some.wrapping_neg();
                let position = word * 64 + some.trailing_zeros() as usize;
                some ^= bit;
                let input = std::mem::take(&mut sums[position]);
                let v = self.take::<K>(position as u32, input, leaving, 64);
                if !K::SIGNED && v >= self.fixed.rules.threshold {
                    *waiting |= bit;
                    beyond = true;
                }
            }
        }
        beyond
    }

    /// The neuron at a position takes some input. `leaving` has room for `room` spikes, at least 1. Returns the
    /// potential.
    #[inline(always)]
    fn take<K: Kind>(&mut self, position: u32, input: i64, leaving: &mut Vec<u32>, room: usize) -> i32 {
        let n = position as usize * self.maps + self.map;
        let mut none = 0;
        let v = &mut self.v[n];
        let count = if K::SIGNED { &mut self.counts[n] } else { &mut none };
        match self.fixed.take::<K>((&mut *v, &mut *count), input) {
            Ok(spikes) => {
                let len = leaving.len();
                debug_assert!(len < leaving.capacity());
                // SAFETY: there is room, and it is written.
                unsafe {
                    leaving.as_mut_ptr().add(len).write(position | spikes as u32 & NEGATIVE);
                    leaving.set_len(len + (spikes & 1) as usize);
                }
            }
            Err(sum) => {
                let spikes = self.fixed.rules.take::<K>((&mut *v, &mut *count), sum, self.saturations);
                leaving.extend(places_of(position as usize, spikes));
                leaving.reserve(room);
            }
        }
        *v
    }
}
