//! Runs a layer whose events reach few neurons each, such as pooling and depthwise convolutions, over some steps.

use super::layers::{Lines, SingleInput, SingleLayer, SingleReach};
use super::places::{NEGATIVE, NOWHERE};
use super::room::Room;
use super::row_neurons::Map;
use super::row_run::RowRun;
use super::rules::{Kind, Rules};
use super::streams::{Steps, Stream};
use super::takers::{Fixed, Singles, Takers, signed};
use crate::engine::kernels::Variant;
use crate::engine::neurons::Work;
use std::marker::PhantomData;

/// Scratch for such layers.
#[derive(Debug, Clone, Default)]
pub(super) struct SingleRun {
    /// Clocked: by neuron, its input in a step.
    sums: Vec<i64>,
    /// Neurons that spiked in a step, with [`NEGATIVE`].
    spikes: Vec<u32>,
    rows: RowRun,
}

/// Takes what events reach: the first of some neurons next to each other, their weights, and the event.
trait Reached {
    fn take(&mut self, first: usize, weights: &[i32], place: u32);

    /// All that events of an input reach.
    #[inline(always)]
    fn input(&mut self, input: &SingleInput, places: &[u32]) {
        match &input.reach {
            SingleReach::Nothing => {}
            SingleReach::Taps(taps) => {
                for &place in places {
                    let Some(tap) = taps.get((place & !NEGATIVE) as usize) else { continue };
                    if tap.neuron != NOWHERE {
                        self.take(tap.neuron as usize, &[tap.weight], place);
                    }
                }
            }
            SingleReach::Lines(Lines { touches, weights, neuron_step }) => {
                for &place in places {
                    let Some(touch) = touches.get((place & !NEGATIVE) as usize) else { continue };
                    let (mut n, mut w) = (touch.cell as usize, touch.row as usize);
                    for _ in 0..touch.lines {
                        match &weights[w..w + touch.columns as usize] {
                            // Nearly always, of which loops know nothing.
                            &[one, two, three] => self.take(n, &[one, two, three], place),
                            some => self.take(n, some, place),
                        }
                        n += neuron_step;
                        w += touch.row_step as usize;
                    }
                }
            }
        }
    }
}

/// Neurons act at once.
struct AtOnce<'t, K> {
    takers: Takers<'t>,
    operations: u64,
    kind: PhantomData<K>,
}

impl<K: Kind> Reached for AtOnce<'_, K> {
    #[inline(always)]
    fn take(&mut self, first: usize, weights: &[i32], place: u32) {
        self.operations += weights.len() as u64;
        self.takers.take::<K>(first, weights.iter().map(|&weight| signed(weight, place)));
    }
}

/// Neurons act at the end of the step.
struct Summed<'t> {
    sums: &'t mut [i64],
    /// A bit for each neuron with input, or beyond the threshold.
    waiting: &'t mut [u64],
    operations: u64,
}

impl Reached for Summed<'_> {
    #[inline(always)]
    fn take(&mut self, first: usize, weights: &[i32], place: u32) {
        self.operations += weights.len() as u64;
        for (n, &weight) in (first..).zip(weights) {
            self.sums[n] += signed(weight, place);
            self.waiting[n / 64] |= 1 << (n % 64);
        }
    }
}

impl SingleRun {
    /// Runs a layer; its spikes go to the streams of its nodes. Clocked: `waiting` has a bit for each neuron beyond the
    /// threshold, `beyond` is not 0 for the steps after which there is one.
    pub fn run<K: Kind>(
        &mut self,
        layer: &SingleLayer,
        (neurons, rules, kernel): (&mut Singles<'_>, &Rules, Variant),
        (waiting, beyond): (&mut Vec<u64>, &mut [u16]),
        (nodes, streams, room): (&[usize], &mut [Stream], &mut Room),
        steps: Steps,
    ) -> Work {
        let Self { sums, spikes, rows } = self;
        let fixed = Fixed::new::<K>(rules, layer.maps);
        if K::CLOCKED {
            sums.resize(sums.len().max(layer.neurons), 0);
            waiting.resize(layer.neurons.div_ceil(64), 0);
        }
        let (first, mut operations) = match nodes {
            &[node] => {
                let map = Map { layer, fixed, kernel, node };
                rows.run::<K>(&map, neurons, (waiting, beyond), (streams, room), steps.len)
            }
            _ => (0, 0),
        };
        let Singles { v, counts, saturations } = neurons;
        for (step, beyond) in (0..steps.len).zip(beyond).skip(first) {
            let inputs = layer.inputs.iter().map(|input| {
                let stream = &streams[input.node];
                (input, &stream.places[stream.range(step)])
            });
            let takers = Takers { fixed, v, counts, saturations, spikes };
            operations += if K::CLOCKED {
                let mut summed = Summed { sums, waiting, operations: 0 };
                inputs.for_each(|(input, places)| summed.input(input, places));
                let operations = summed.operations;
                *beyond = test::<K>(takers, sums, waiting).into();
                operations
            } else {
                let mut at_once = AtOnce::<K> { takers, operations: 0, kind: PhantomData };
                inputs.for_each(|(input, places)| at_once.input(input, places));
                at_once.operations
            };
            if room.take(spikes.len()) {
                leave(spikes, layer.maps, nodes, streams);
            }
            spikes.clear();
            nodes.iter().for_each(|&node| streams[node].close(step));
        }
        Work { operations, updates: operations }
    }
}

/// Clocked, at the end of a step: all neurons with input, and those beyond the threshold, are tested. Says whether one
/// still is.
#[inline(always)]
fn test<K: Kind>(mut takers: Takers<'_>, sums: &mut [i64], waiting: &mut [u64]) -> bool {
    let mut beyond = false;
    for (word, waiting) in waiting.iter_mut().enumerate() {
        let mut some = std::mem::take(waiting);
        while some != 0 {
            let bit = some & some.wrapping_neg();
            let n = word * 64 + some.trailing_zeros() as usize;
            some ^= bit;
            if takers.take::<K>(n, std::iter::once(std::mem::take(&mut sums[n]))) {
                *waiting |= bit;
                beyond = true;
            }
        }
    }
    beyond
}

/// Hands over the spikes of a step, by map.
#[inline(always)]
fn leave(spikes: &[u32], maps: usize, nodes: &[usize], streams: &mut [Stream]) {
    let maps = maps as u32;
    if let [node] = nodes {
        streams[*node].places.extend_from_slice(spikes);
    } else if maps.is_power_of_two() {
        // Division by what is not a constant takes long; channels are often a power of two.
        let (mask, shift) = (maps - 1, maps.trailing_zeros());
        for &spike in spikes {
            let (n, mark) = (spike & !NEGATIVE, spike & NEGATIVE);
            streams[nodes[(n & mask) as usize]].places.push((n >> shift) | mark);
        }
    } else {
        for &spike in spikes {
            let (n, mark) = (spike & !NEGATIVE, spike & NEGATIVE);
            streams[nodes[(n % maps) as usize]].places.push((n / maps) | mark);
        }
    }
}
