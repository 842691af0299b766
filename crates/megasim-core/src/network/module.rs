//! What a module is: its kind with weights and geometry, its neurons, its timing.

mod check;
mod neuron_parameters;
mod weights;

pub use neuron_parameters::{Dynamics, MAX_SPIKES_PER_EVENT, NeuronParameters, Reset, Signed};

use super::{NodeId, Tick};
use std::sync::Arc;

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

/// What a module does with events.
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

/// `module_conv`.
#[derive(Debug, Clone, PartialEq)]
pub struct Conv {
    /// The positions of the neurons.
    pub array: Array,
    /// How they behave.
    pub neurons: NeuronParameters,
    /// One kernel a port.
    pub ports: Vec<ConvPort>,
    /// Which spikes leave.
    pub output: Output,
}

/// The kernel of one port. An event at `(x, y)` touches, for each row `j` and column `i`, the neuron at
/// `((x * x_expand + dx + i) / x_stride, (y * y_expand + dy + j) / y_stride)` where both divide evenly.
#[derive(Debug, Clone, PartialEq)]
pub struct ConvPort {
    /// `Nx_kernel`: columns.
    pub nx: u32,
    /// `Ny_kernel`: rows.
    pub ny: u32,
    /// `Dx`.
    pub dx: i32,
    /// `Dy`.
    pub dy: i32,
    /// Extension key, 1 or more.
    pub x_stride: i32,
    /// Extension key, 1 or more.
    pub y_stride: i32,
    /// Extension key, 1 or more.
    pub x_expand: i32,
    /// Extension key, 1 or more.
    pub y_expand: i32,
    /// Scaled integers, `ny` rows of `nx`.
    pub weights: Arc<[i32]>,
}

/// `module_fully_connected` and `module_softmax`. Neuron `k` is at `(x_min + k, y_min)`.
#[derive(Debug, Clone, PartialEq)]
pub struct FullyConnected {
    /// The positions of the neurons; one row.
    pub array: Array,
    /// How they behave.
    pub neurons: NeuronParameters,
    /// One matrix a port.
    pub ports: Vec<FullyConnectedPort>,
    /// Which spikes leave.
    pub output: Output,
}

/// The matrix of one port.
#[derive(Debug, Clone, PartialEq)]
pub struct FullyConnectedPort {
    /// `Nx_array_pre`: columns of the presynaptic addresses.
    pub nx_pre: u32,
    /// `Ny_array_pre`: rows of the presynaptic addresses.
    pub ny_pre: u32,
    /// Scaled integers: a line of population size for each presynaptic address `x + y * nx_pre`.
    pub weights: Arc<[i32]>,
}

/// One input array of a flatten module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlattenPort {
    /// Columns.
    pub nx: u32,
    /// Rows.
    pub ny: u32,
}

/// `module_max_pool`: port 0 carries the data, further ports only resets and controls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaxPool {
    /// All ports; those after the first have 0 for every size and offset and 1 for the strides.
    pub ports: Vec<PoolPort>,
    /// What windows do with the events of their inputs.
    pub rule: PoolRule,
}

/// What the windows of a max-pooling module do with events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum PoolRule {
    /// They pass the spikes of their busiest input.
    #[default]
    Busiest,
    /// Extension keys: they integrate the largest mask of their inputs.
    Mask(PoolMask),
    /// Extension key `signed`: they count the spikes of each input with their signs, and send the change of the largest
    /// count, one spike for each step.
    Signed,
}

impl MaxPool {
    /// The masks, where windows integrate.
    pub fn mask(&self) -> Option<PoolMask> {
        match self.rule {
            PoolRule::Mask(mask) => Some(mask),
            PoolRule::Busiest | PoolRule::Signed => None,
        }
    }
}

/// Masks of the inputs of a max-pooling module, and neurons that integrate the largest of each window: a spike adds
/// `weight` to the mask of its address; a control event adds one part in `tau` of the window's largest mask to its
/// potential, makes it spike and go to 0 at `threshold`, and then takes that part from every mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PoolMask {
    /// `mask_tau`, 1 or more.
    pub tau: i32,
    /// `mask_weight`.
    pub weight: i32,
    /// `THplus`, 1 or more.
    pub threshold: i32,
}

/// Geometry of a max-pooling port. Window `(X, Y)`, `X` in `0..nx_out`, covers the addresses
/// `X * x_stride + dx .. X * x_stride + dx + nx_pool - 1` inside the array; likewise `y`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // the netfile keys
pub struct PoolPort {
    pub nx: u32,
    pub ny: u32,
    pub nx_pool: u32,
    pub ny_pool: u32,
    pub dx: i32,
    pub dy: i32,
    pub x_stride: i32,
    pub y_stride: i32,
    pub nx_out: u32,
    pub ny_out: u32,
}

impl PoolPort {
    /// A port that carries only resets.
    pub const RESET: Self =
        Self { nx: 0, ny: 0, nx_pool: 0, ny_pool: 0, dx: 0, dy: 0, x_stride: 1, y_stride: 1, nx_out: 0, ny_out: 0 };
}

impl ModuleKind {
    /// The netlist's word for it, without `_NPP`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Conv(_) => "module_conv",
            Self::FullyConnected(_) => "module_fully_connected",
            Self::Softmax(_) => "module_softmax",
            Self::Flatten(_) => "module_flatten",
            Self::MaxPool(_) => "module_max_pool",
        }
    }

    /// `n_in_ports`.
    pub fn ports(&self) -> usize {
        match self {
            Self::Conv(conv) => conv.ports.len(),
            Self::FullyConnected(full) | Self::Softmax(full) => full.ports.len(),
            Self::Flatten(ports) => ports.len(),
            Self::MaxPool(pool) => pool.ports.len(),
        }
    }

    /// The neurons, if it has any.
    pub fn neurons(&self) -> Option<(Array, &NeuronParameters, &Output)> {
        match self {
            Self::Conv(conv) => Some((conv.array, &conv.neurons, &conv.output)),
            Self::FullyConnected(full) | Self::Softmax(full) => Some((full.array, &full.neurons, &full.output)),
            Self::Flatten(_) | Self::MaxPool(_) => None,
        }
    }

    /// As [`ModuleKind::neurons`], to be changed.
    pub fn neurons_mut(&mut self) -> Option<(&mut NeuronParameters, &mut Output)> {
        match self {
            Self::Conv(conv) => Some((&mut conv.neurons, &mut conv.output)),
            Self::FullyConnected(full) | Self::Softmax(full) => Some((&mut full.neurons, &mut full.output)),
            Self::Flatten(_) | Self::MaxPool(_) => None,
        }
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
