//! What networks of small modules consist of, in few lines of the cache: nodes and modules have constants and state.

use crate::engine::output_address::OutputAddresses;
use crate::engine::timing::Handshake;
use crate::equations::Decay;
use crate::network::{NeuronParameters, Tick, Timing};
use std::ops::Range;

/// A node, and what waits at it: nearly always one event. One line of the cache.
#[derive(Debug, Clone)]
#[repr(align(64))]
pub(in crate::engine) struct SmallNode {
    /// The first of its readers among all, and how many they are.
    readers: (u32, u32),
    source: u32,
    pub queue: u32,
    pub head: Waiting,
    /// Events that wait: 2^32 of them would take 100 GB.
    pub waiting: u32,
    /// See [`PlanNode::timeless`](crate::engine::population::PlanNode).
    pub is_timeless: bool,
    pub is_watched: bool,
    /// Events that were handled.
    pub handled: u64,
    pub last_ack: Tick,
}

pub(super) const NONE: u32 = u32::MAX;

/// A spike that waits.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::engine) struct Waiting {
    pub t_pre: Tick,
    pub x: i32,
    pub y: i32,
    /// Above 0 for a positive spike. As wide as its place, since bytes without a meaning are copied in pieces, and that
    /// takes longer than all else that is done with an event.
    pub sign: i32,
}

/// A module. One line of the cache.
#[derive(Debug, Clone)]
#[repr(align(64))]
pub(in crate::engine) struct SmallModule {
    pub handshake: Handshake,
    class: u32,
    /// Its neurons are those from this one on.
    first_neuron: u32,
    /// Its output nodes among all.
    outputs: (u32, u32),
    /// How often a potential was cut off at the 32-bit limits.
    pub saturations: u64,
}

impl SmallModule {
    /// As a run begins.
    pub fn new(timing: &Timing, class: usize, first_neuron: usize, outputs: Range<usize>) -> Self {
        let (class, first_neuron) = (class as u32, first_neuron as u32);
        let outputs = (outputs.start as u32, outputs.end as u32);
        Self { handshake: Handshake::new(timing), class, first_neuron, outputs, saturations: 0 }
    }

    #[inline(always)]
    pub fn class<'c>(&self, classes: &'c [Class]) -> &'c Class {
        &classes[self.class as usize]
    }

    /// Its neurons among all.
    #[inline(always)]
    pub fn neurons(&self, class: &Class) -> Range<usize> {
        let first = self.first_neuron as usize;
        first..first + class.addresses.len()
    }

    #[inline(always)]
    pub fn outputs<'o>(&self, outputs: &'o [u32]) -> &'o [u32] {
        &outputs[self.outputs.0 as usize..self.outputs.1 as usize]
    }
}

impl SmallNode {
    /// As a run begins.
    pub fn new(readers: Range<usize>, is_timeless: bool) -> Self {
        Self {
            readers: (readers.start as u32, readers.len() as u32),
            source: NONE,
            queue: NONE,
            head: Waiting::default(),
            waiting: 0,
            is_timeless,
            is_watched: false,
            handled: 0,
            last_ack: Tick::MIN,
        }
    }

    /// A source drives the node.
    pub fn set_source(&mut self, source: usize) {
        self.source = source as u32;
    }

    /// The source that drives the node, if one does.
    #[inline(always)]
    pub fn source(&self) -> Option<usize> {
        (self.source != NONE).then_some(self.source as usize)
    }

    /// Its readers among all.
    #[inline(always)]
    pub fn readers(&self) -> Range<usize> {
        self.readers.0 as usize..(self.readers.0 + self.readers.1) as usize
    }
}

/// What modules have in common that differ in their weights and nodes only.
#[derive(Debug, Clone)]
pub(in crate::engine) struct Class {
    pub timing: Timing,
    pub neurons: NeuronParameters,
    pub decay: Option<Box<Decay>>,
    pub addresses: OutputAddresses,
    pub rectify: bool,
}

/// One port of one module.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Reader {
    pub module: u32,
    /// None at inputs beyond the ports, which take only resets.
    pub matrix: Option<Matrix>,
}

/// A line of weights for each presynaptic address.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Matrix {
    /// Where its weights begin among all.
    pub first: u32,
    pub nx_pre: u32,
    pub ny_pre: u32,
}

impl Matrix {
    /// Where the weights of an address are, for `n` neurons.
    #[inline(always)]
    pub fn line(self, x: i32, y: i32, n: usize) -> Option<Range<usize>> {
        let (x, y) = (u32::try_from(x).ok()?, u32::try_from(y).ok()?);
        let start = self.first as usize + (x as usize + y as usize * self.nx_pre as usize) * n;
        (x < self.nx_pre && y < self.ny_pre).then_some(start..start + n)
    }
}
