//! Settle events: what they let go, and the parts of their step between them.

use super::places::{NEGATIVE, SETTLE};
use super::streams::Stream;
use crate::engine::kernels::{Crossing, SignedSpike};
use crate::engine::neurons::{Neurons, Spike, Spikes};
use crate::engine::population::NeuronPopulation;
use crate::network::Polarity;
use std::ops::Range;

/// An event among those of some nodes in one step, which come node by node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment {
    node: usize,
    /// Its number in the stream of the node.
    event: usize,
}

/// The settle events of these nodes, which are in order, in the only step.
pub(super) fn settle_events(reads: &[usize], streams: &[Stream]) -> Vec<Moment> {
    let of_node = |&node: &usize| {
        let places = streams[node].places.iter().enumerate();
        places.filter(|(_, place)| **place == SETTLE).map(move |(event, _)| Moment { node, event })
    };
    reads.iter().flat_map(of_node).collect()
}

/// The events of a node after one moment, if there is one, and before another one.
pub(super) fn between(
    node: usize,
    events: usize,
    (after, before): (Option<Moment>, Option<Moment>),
) -> Option<Range<usize>> {
    let start = match after {
        Some(after) if after.node > node => events,
        Some(after) if after.node == node => after.event + 1,
        _ => 0,
    };
    let end = match before {
        Some(before) if before.node < node => 0,
        Some(before) if before.node == node => before.event,
        _ => events,
    };
    (start < end).then_some(start..end)
}

/// Ends the hysteresis of neurons and tests them; spikes go to the streams of their nodes. Returns how many neurons
/// were tested, and how many spikes there are.
pub(super) fn settle(
    (plan, neurons): (&NeuronPopulation, &mut Neurons),
    nodes: &[usize],
    streams: &mut [Stream],
) -> (u64, usize) {
    let mut leaving = Leaving { nodes, streams, spikes: 0 };
    let tested = neurons.settle(plan, &mut leaving);
    (tested, leaving.spikes)
}

/// Takes what neurons let go, by map.
struct Leaving<'s> {
    nodes: &'s [usize],
    streams: &'s mut [Stream],
    spikes: usize,
}

impl Spikes for Leaving<'_> {
    fn spike(&mut self, Spike { position, map, polarity, .. }: Spike) {
        let mark = if polarity == Polarity::Negative { NEGATIVE } else { 0 };
        self.streams[self.nodes[map as usize]].places.push(position | mark);
        self.spikes += 1;
    }

    fn signed(&mut self, plan: &NeuronPopulation, spikes: &[SignedSpike], _: &mut Vec<Crossing>) {
        let maps = plan.maps as u32;
        for spike in spikes {
            let (position, map) = (spike.neuron() / maps, spike.neuron() % maps);
            let mark = if spike.is_negative() { NEGATIVE } else { 0 };
            self.streams[self.nodes[map as usize]].places.push(position | mark);
        }
        self.spikes += spikes.len();
    }
}
