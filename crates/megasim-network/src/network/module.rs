//! What a module is: its kind with weights and geometry, its neurons, its timing.

mod check;
mod conv;
mod flatten;
mod fully_connected;
mod kind;
mod max_pool;
mod neuron_parameters;

pub use conv::{Conv, ConvPort};
pub use flatten::FlattenPort;
pub use fully_connected::{FullyConnected, FullyConnectedPort};
pub use kind::NodeValues;
pub(crate) use kind::{Kind, ReadArray};
pub use max_pool::{MaxPool, PoolMask, PoolPort, PoolRule};
pub use neuron_parameters::{Dynamics, MAX_SPIKES_PER_EVENT, NeuronParameters, Reset, Signed};

use super::{NodeId, Tick};

/// Most neurons (or pooled addresses) that one module may have; beyond it a file is taken to be damaged.
pub const MAX_NEURONS: u64 = 100_000_000;

/// What a port reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A driven node.
    Node(NodeId),
    /// A name that nothing drives: no event ever arrives.
    Undriven(String),
}

/// A processing element of the netlist.
#[derive(Debug, Clone, PartialEq)]
pub struct Module {
    /// What it does with events.
    pub kind: ModuleKind,
    /// What each port reads; names beyond the ports of the kind act only by resets and controls.
    pub inputs: Vec<Input>,
    /// When it takes and answers events.
    pub timing: Timing,
    /// The suffix `_NPP` of the kind in the netlist. It changes nothing in a run.
    pub not_programmable: bool,
}

/// What a module does with events. What runs modules has to know every kind, so that a new one is a breaking change.
#[derive(Debug, Clone, PartialEq)]
pub enum ModuleKind {
    /// `module_conv`: a two-dimensional array of neurons behind kernels.
    Conv(Conv),
    /// `module_fully_connected`: a row of neurons behind matrices.
    FullyConnected(FullyConnected),
    /// `module_softmax`: a row of neurons, the strongest of which spikes on each control event.
    Softmax(FullyConnected),
    /// `module_flatten`: puts the addresses of its ports one after another.
    Flatten(Vec<FlattenPort>),
    /// `module_max_pool`: passes the spikes of the busiest input of each window.
    MaxPool(MaxPool),
}

/// When a module takes and answers events. All times in ticks, none negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Timing {
    /// From the start of an event to its outputs, and until the next may start.
    pub delay_to_process: Tick,
    /// From entering the FIFO (or starting, without one) to the acknowledge.
    pub delay_to_ack: Tick,
    /// Events that may wait inside; 0: none, the sender waits.
    pub fifo_depth: u32,
    /// How often each output event is made; 1: once.
    pub n_repeat: u32,
    /// Between an output event and its repetition.
    pub delay_to_repeat: Tick,
    /// Extension key: how long each output event travels, in both modes; the module takes its next event meanwhile.
    pub delay_to_arrive: Tick,
    /// Until when the module is busy at the start of a run.
    pub time_busy_initial: Tick,
}

impl Default for Timing {
    /// The ideal machine: no delay, no FIFO, no repetition. `delay_to_repeat` 15 is what SNN toolbox writes.
    fn default() -> Self {
        Self {
            delay_to_process: 0,
            delay_to_ack: 0,
            fifo_depth: 0,
            n_repeat: 1,
            delay_to_repeat: 15,
            delay_to_arrive: 0,
            time_busy_initial: 0,
        }
    }
}

/// The positions of a module's neurons: `x` in `x_min .. x_min + nx`, likewise `y`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Array {
    /// `Nx_array`: columns.
    pub nx: u32,
    /// `Ny_array`: rows.
    pub ny: u32,
    /// `Xmin`: first column.
    pub x_min: i32,
    /// `Ymin`: first row.
    pub y_min: i32,
}

/// Which spikes leave a module, and under which address: inside the crop window (bounds inclusive), as
/// `((x + xshift_pre) div x_subsmp + xshift_pos, ...)`, division rounding down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // the netfile keys
pub struct Output {
    pub crop_xmin: i32,
    pub crop_xmax: i32,
    pub crop_ymin: i32,
    pub crop_ymax: i32,
    pub xshift_pre: i32,
    pub yshift_pre: i32,
    pub x_subsmp: i32,
    pub y_subsmp: i32,
    pub xshift_pos: i32,
    pub yshift_pos: i32,
    /// Whether negative spikes leave as positive ones.
    pub rectify: bool,
}

impl Output {
    /// Every spike of the array leaves under its own address.
    pub fn whole(array: Array) -> Self {
        let last =
            |min: i32, n: u32| (i64::from(min) + i64::from(n) - 1).clamp(i32::MIN.into(), i32::MAX.into()) as i32;
        Self {
            crop_xmin: array.x_min,
            crop_xmax: last(array.x_min, array.nx),
            crop_ymin: array.y_min,
            crop_ymax: last(array.y_min, array.ny),
            xshift_pre: 0,
            yshift_pre: 0,
            x_subsmp: 1,
            y_subsmp: 1,
            xshift_pos: 0,
            yshift_pos: 0,
            rectify: false,
        }
    }

    /// The address under which a spike of the neuron at `(x, y)` leaves, if it does. [`Module::check`] has made sure
    /// that it fits 32 bits.
    pub fn address(&self, x: i32, y: i32) -> Option<(i32, i32)> {
        if x < self.crop_xmin || x > self.crop_xmax || y < self.crop_ymin || y > self.crop_ymax {
            return None;
        }
        Some((
            leave(x, self.xshift_pre, self.x_subsmp, self.xshift_pos) as i32,
            leave(y, self.yshift_pre, self.y_subsmp, self.yshift_pos) as i32,
        ))
    }
}

fn leave(at: i32, pre: i32, subsample: i32, pos: i32) -> i64 {
    (i64::from(at) + i64::from(pre)).div_euclid(i64::from(subsample)) + i64::from(pos)
}

impl ModuleKind {
    pub(crate) fn kind(&self) -> &dyn Kind {
        match self {
            Self::Conv(it) => it,
            Self::FullyConnected(it) | Self::Softmax(it) => it,
            Self::Flatten(it) => it,
            Self::MaxPool(it) => it,
        }
    }

    pub(in crate::network) fn kind_mut(&mut self) -> &mut dyn Kind {
        match self {
            Self::Conv(it) => it,
            Self::FullyConnected(it) | Self::Softmax(it) => it,
            Self::Flatten(it) => it,
            Self::MaxPool(it) => it,
        }
    }

    /// Its kind alone.
    pub fn kind_name(&self) -> KindName {
        match self {
            Self::Conv(_) => KindName::Conv,
            Self::FullyConnected(_) => KindName::FullyConnected,
            Self::Softmax(_) => KindName::Softmax,
            Self::Flatten(_) => KindName::Flatten,
            Self::MaxPool(_) => KindName::MaxPool,
        }
    }

    /// The netlist's word for it, without `_NPP`.
    pub fn name(&self) -> &'static str {
        self.kind_name().name()
    }
}

/// The kinds of modules, without their parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KindName {
    /// `module_conv`
    Conv,
    /// `module_fully_connected`
    FullyConnected,
    /// `module_softmax`
    Softmax,
    /// `module_flatten`
    Flatten,
    /// `module_max_pool`
    MaxPool,
}

impl KindName {
    /// All of them.
    pub(crate) const ALL: [Self; 5] = [Self::Conv, Self::FullyConnected, Self::Softmax, Self::Flatten, Self::MaxPool];

    /// The netlist's word for it, without `_NPP`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Conv => "module_conv",
            Self::FullyConnected => "module_fully_connected",
            Self::Softmax => "module_softmax",
            Self::Flatten => "module_flatten",
            Self::MaxPool => "module_max_pool",
        }
    }

    /// Whether the suffix `_NPP` may follow it.
    pub fn may_be_not_programmable(self) -> bool {
        matches!(self, Self::Conv | Self::FullyConnected)
    }

    /// The kind of a netlist word, and whether it has the suffix `_NPP`.
    pub(crate) fn of_word(word: &str) -> Option<(Self, bool)> {
        let named = |name: &str| Self::ALL.into_iter().find(|kind| kind.name() == name);
        named(word).map(|kind| (kind, false)).or_else(|| {
            let kind = named(word.strip_suffix("_NPP")?)?;
            kind.may_be_not_programmable().then_some((kind, true))
        })
    }
}

impl Array {
    /// How many neurons there are.
    pub fn len(&self) -> usize {
        self.nx as usize * self.ny as usize
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
