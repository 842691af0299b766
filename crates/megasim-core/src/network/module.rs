//! What a module is: its kind with weights and geometry, its neurons, its timing.

use super::{NetworkError, NodeId, Tick, at_least};
use crate::equations::Decay;
use std::num::NonZeroU32;
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

/// What becomes of the potential when a neuron spikes (`Reset_to_reminder`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reset {
    /// 0: it becomes `MembReset`.
    ToRest,
    /// 1: the threshold is subtracted.
    Subtract,
    /// 2: it becomes the remainder of a division by the threshold (an extension).
    Modulo,
}

/// By which rules the potentials of a module's neurons make spikes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Dynamics {
    /// Leaky integrate-and-fire, at most one spike per event.
    #[default]
    IntegrateAndFire,
    /// Extension keys: signed spikes that keep a count equal to the input so far.
    Signed(Signed),
    /// Extension key: the number of the equations ([`NeuronModel`](super::NeuronModel)) that neurons follow.
    Model(NonZeroU32),
}

/// Signed neurons. A neuron has a potential `V` and a count `n`, 0 at the start and after a reset. On an event with
/// signed weight `w`, `V += w`; then, until neither rule holds:
///
/// ```text
/// V >= THplus        and n < max_count:  spike +1, V -= THplus, n += 1
/// V <  -hysteresis   and n > min_count:  spike -1, V += THplus, n -= 1
/// ```
///
/// A settle event ([`Polarity::Settle`](super::Polarity::Settle)) makes the hysteresis 0 until the next reset and tests
/// all neurons. From then on, whenever nothing is pending,
/// `n = clip(floor((MembReset + sum(w)) / THplus), min_count, max_count)`, in whatever order the events came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signed {
    /// `hysteresis`: how far below 0 a potential may be before the settle event without a spike, 0 or more.
    pub hysteresis: i32,
    /// `min_count`: the least count, 0 or less. `i32::MIN` is no bound.
    pub min_count: i32,
    /// `max_count`: the largest count, 1 or more. `i32::MAX` is no bound.
    pub max_count: i32,
}

impl Default for Signed {
    /// A rectifier: no hysteresis, counts from 0 on.
    fn default() -> Self {
        Self { hysteresis: 0, min_count: 0, max_count: i32::MAX }
    }
}

/// Most thresholds that one weight, or the hysteresis, of signed neurons may have: as many spikes leave a neuron on one
/// event.
pub const MAX_SPIKES_PER_EVENT: i64 = 1 << 16;

/// Parameters of the neurons of one module, in scaled integers and ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NeuronParameters {
    /// `THplus`.
    pub threshold_plus: i32,
    /// `THplusInfo`: whether reaching `THplus` spikes (+1); otherwise it is a ceiling.
    pub fires_plus: bool,
    /// `THminus`.
    pub threshold_minus: i32,
    /// `THminusInfo`: whether reaching `THminus` spikes (-1); otherwise it is a floor.
    pub fires_minus: bool,
    /// `Reset_to_reminder`.
    pub reset: Reset,
    /// `MembReset`: where potentials start, leak to, and are reset to; with a `resting_potential` only where a spike
    /// puts them.
    pub membrane_reset: i32,
    /// `TLplus`: fall per tick of a potential above `MembReset`.
    pub leak_plus: i32,
    /// `TLminus`: rise per tick of a potential below `MembReset`.
    pub leak_minus: i32,
    /// `Tmin`: least ticks between two spikes of a neuron.
    pub t_min: Tick,
    /// `T_Refract`: ticks after a spike in which input is lost.
    pub refractory: Tick,
    /// Extension key: where above 0, spikes do not act on the potential but on a current, of which each control event
    /// moves this part (one in `mask_tau`) to the potential. ANNarchy's decaying mask.
    pub mask_tau: i32,
    /// Extension key: where above 0, potentials decay exponentially towards rest: of the distance, this part is lost a
    /// tick, in 2^-30 ([`Decay`](crate::equations::Decay)).
    pub leak_decay: i32,
    /// Extension key: where potentials start, leak to, and are put by reset events, if that is not `MembReset`.
    pub resting_potential: Option<i32>,
    /// Extension keys: the rules that they follow, if those are not integrate-and-fire.
    pub dynamics: Dynamics,
}

impl Default for NeuronParameters {
    /// What SNN toolbox writes: threshold 1 at scaling factor 10,000,000, floor at the 32-bit limit, reset by
    /// subtraction, no leak, no refractory time.
    fn default() -> Self {
        Self {
            threshold_plus: 10_000_000,
            fires_plus: true,
            threshold_minus: -2_147_483_646,
            fires_minus: false,
            reset: Reset::Subtract,
            membrane_reset: 0,
            leak_plus: 0,
            leak_minus: 0,
            t_min: 0,
            refractory: 0,
            mask_tau: 0,
            leak_decay: 0,
            resting_potential: None,
            dynamics: Dynamics::IntegrateAndFire,
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
}

impl Module {
    /// Checks every rule that a single module must obey.
    pub fn check(&self) -> Result<(), NetworkError> {
        let ports = self.kind.ports();
        if self.inputs.len() < ports {
            return Err(NetworkError::FewInputs { ports, names: self.inputs.len() });
        }
        self.timing.check()?;
        if let Some((array, neurons, output)) = self.kind.neurons() {
            array.check()?;
            neurons.check()?;
            output.check(array)?;
            if neurons.signed().is_some() && output.rectify {
                return Err(range("rectify", "0, as neurons are signed", 1));
            }
        }
        match &self.kind {
            ModuleKind::Conv(conv) => {
                conv.ports.iter().try_for_each(ConvPort::check)?;
                conv.neurons.check_weights(conv.ports.iter().map(|port| &port.weights[..]))
            }
            ModuleKind::Softmax(full) if full.neurons.mask_tau != 0 => {
                Err(range("mask_tau", "0, as softmax neurons act on control events already", full.neurons.mask_tau))
            }
            ModuleKind::Softmax(full) if full.neurons.model().is_some() => {
                Err(range("neuron_model", "0, as softmax neurons are not tested", 1))
            }
            ModuleKind::Softmax(full) if full.neurons.signed().is_some() => {
                Err(range("signed", "0, as softmax neurons are not tested", 1))
            }
            ModuleKind::FullyConnected(full) | ModuleKind::Softmax(full) => {
                full.check()?;
                full.neurons.check_weights(full.ports.iter().map(|port| &port.weights[..]))
            }
            ModuleKind::Flatten(ports) => {
                let sizes = ports.iter().map(|port| u64::from(port.nx) * u64::from(port.ny));
                let total = sizes.fold(0, u64::saturating_add);
                if total > i32::MAX as u64 {
                    return Err(range("Nx_array", "flattened addresses within 32 bits", total));
                }
                Ok(())
            }
            ModuleKind::MaxPool(pool) => pool.check(),
        }
    }
}

fn range(key: &'static str, expected: &str, found: impl ToString) -> NetworkError {
    NetworkError::Range { key, expected: expected.into(), found: found.to_string() }
}

impl Timing {
    fn check(&self) -> Result<(), NetworkError> {
        at_least("delay_to_process", self.delay_to_process, 0)?;
        at_least("delay_to_ack", self.delay_to_ack, 0)?;
        at_least("n_repeat", self.n_repeat.into(), 1)?;
        at_least("delay_to_repeat", self.delay_to_repeat, 0)?;
        at_least("delay_to_arrive", self.delay_to_arrive, 0)?;
        at_least("time_busy_initial", self.time_busy_initial, 0)
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
    fn check(&self) -> Result<(), NetworkError> {
        let found = u64::from(self.nx) * u64::from(self.ny);
        if found > MAX_NEURONS {
            return Err(NetworkError::TooLarge { found });
        }
        for (key, min, n) in [("Xmin", self.x_min, self.nx), ("Ymin", self.y_min, self.ny)] {
            if i64::from(min) + i64::from(n) > i32::MAX.into() {
                return Err(range(key, "coordinates within 32 bits", min));
            }
        }
        Ok(())
    }
}

impl NeuronParameters {
    /// Where potentials start and leak to.
    pub fn rest(&self) -> i32 {
        self.resting_potential.unwrap_or(self.membrane_reset)
    }

    /// The number of the equations, where neurons follow some.
    pub fn model(&self) -> Option<NonZeroU32> {
        match self.dynamics {
            Dynamics::Model(number) => Some(number),
            Dynamics::IntegrateAndFire | Dynamics::Signed(_) => None,
        }
    }

    /// The counts and the hysteresis of signed neurons.
    pub fn signed(&self) -> Option<Signed> {
        match self.dynamics {
            Dynamics::Signed(signed) => Some(signed),
            Dynamics::IntegrateAndFire | Dynamics::Model(_) => None,
        }
    }

    /// What signed neurons may not have: whatever loses input or spikes would make counts depend on the order.
    fn check_signed(&self, signed: Signed) -> Result<(), NetworkError> {
        let default = Self::default();
        let rules: [(&'static str, bool, i64, &str); 11] = [
            ("THplusInfo", self.fires_plus, self.fires_plus.into(), "1"),
            (
                "THminus",
                self.threshold_minus <= default.threshold_minus,
                self.threshold_minus.into(),
                "-2147483646 or less",
            ),
            ("THminusInfo", !self.fires_minus, self.fires_minus.into(), "0"),
            ("Reset_to_reminder", self.reset == Reset::Subtract, if self.reset == Reset::ToRest { 0 } else { 2 }, "1"),
            ("TLplus", self.leak_plus == 0, self.leak_plus.into(), "0"),
            ("TLminus", self.leak_minus == 0, self.leak_minus.into(), "0"),
            ("Tmin", self.t_min == 0, self.t_min, "0"),
            ("T_Refract", self.refractory == 0, self.refractory, "0"),
            ("mask_tau", self.mask_tau == 0, self.mask_tau.into(), "0"),
            ("leak_decay", self.leak_decay == 0, self.leak_decay.into(), "0"),
            (
                "resting_potential",
                self.resting_potential.is_none(),
                self.resting_potential.unwrap_or(0).into(),
                "no such key",
            ),
        ];
        let wrong: Vec<_> = rules.iter().filter(|(_, holds, ..)| !holds).collect();
        if let Some(&&(key, _, found, expected)) = wrong.first() {
            let others: Vec<&str> = wrong[1..].iter().map(|(key, ..)| *key).collect();
            let others =
                if others.is_empty() { String::new() } else { format!(" (as {} may not act)", others.join(", ")) };
            return Err(range(key, &format!("{expected}, as neurons are signed{others}"), found));
        }
        at_least("THplus", self.threshold_plus.into(), 1)?;
        at_least("hysteresis", signed.hysteresis.into(), 0)?;
        at_least("max_count", signed.max_count.into(), 1)?;
        if signed.min_count > 0 {
            return Err(range("min_count", "0 or less", signed.min_count));
        }
        // Else a neuron would spike without an event.
        if signed.min_count < 0 && self.membrane_reset < -signed.hysteresis {
            return Err(range("MembReset", "not below -hysteresis, as min_count is below 0", self.membrane_reset));
        }
        let most = i64::from(self.threshold_plus) * MAX_SPIKES_PER_EVENT;
        for (key, found) in [("hysteresis", signed.hysteresis), ("MembReset", self.membrane_reset)] {
            if i64::from(found).abs() > most {
                return Err(range(key, &format!("at most {MAX_SPIKES_PER_EVENT} times THplus"), found));
            }
        }
        Ok(())
    }

    /// Refuses weights with which one event would make a signed neuron spike without end.
    fn check_weights<'w>(&self, ports: impl Iterator<Item = &'w [i32]>) -> Result<(), NetworkError> {
        if self.signed().is_none() {
            return Ok(());
        }
        let largest = ports.flatten().map(|weight| i64::from(weight.unsigned_abs())).max().unwrap_or(0);
        if largest > i64::from(self.threshold_plus) * MAX_SPIKES_PER_EVENT {
            let expected =
                format!("at least 1/{MAX_SPIKES_PER_EVENT} of the largest weight ({largest}), as neurons are signed");
            return Err(range("THplus", &expected, self.threshold_plus));
        }
        Ok(())
    }

    fn check(&self) -> Result<(), NetworkError> {
        if let Some(signed) = self.signed() {
            self.check_signed(signed)?;
        }
        at_least("TLplus", self.leak_plus.into(), 0)?;
        at_least("TLminus", self.leak_minus.into(), 0)?;
        at_least("Tmin", self.t_min, 0)?;
        at_least("T_Refract", self.refractory, 0)?;
        at_least("mask_tau", self.mask_tau.into(), 0)?;
        if !(0..=Decay::WHOLE).contains(&self.leak_decay) {
            return Err(range("leak_decay", &format!("0 to {}", Decay::WHOLE), self.leak_decay));
        }
        for (key, leak) in [("TLplus", self.leak_plus), ("TLminus", self.leak_minus)] {
            if self.leak_decay > 0 && leak > 0 {
                return Err(range(key, "0, as leak_decay is above 0", leak));
            }
        }
        if let Some(rest) = self.resting_potential {
            if self.fires_plus && self.threshold_plus <= rest {
                return Err(range("resting_potential", "less than THplus, as THplusInfo is 1", rest));
            }
            if self.fires_minus && self.threshold_minus >= rest {
                return Err(range("resting_potential", "more than THminus, as THminusInfo is 1", rest));
            }
        }
        if self.model().is_some() && self.mask_tau > 0 {
            return Err(range("mask_tau", "0, as there is a neuron_model", self.mask_tau));
        }
        let modulo = self.reset == Reset::Modulo;
        if self.fires_plus && self.threshold_plus <= self.membrane_reset {
            return Err(range("THplus", "more than MembReset, as THplusInfo is 1", self.threshold_plus));
        }
        if self.fires_minus && self.threshold_minus >= self.membrane_reset {
            return Err(range("THminus", "less than MembReset, as THminusInfo is 1", self.threshold_minus));
        }
        if modulo && self.threshold_plus < 1 {
            return Err(range("THplus", "1 or more for a modulo reset", self.threshold_plus));
        }
        if modulo && self.fires_minus && self.threshold_minus > -1 {
            return Err(range("THminus", "-1 or less for a modulo reset, as THminusInfo is 1", self.threshold_minus));
        }
        Ok(())
    }
}

impl Output {
    fn check(&self, array: Array) -> Result<(), NetworkError> {
        at_least("x_subsmp", self.x_subsmp.into(), 1)?;
        at_least("y_subsmp", self.y_subsmp.into(), 1)?;
        let last = |min: i32, n: u32| min + n.saturating_sub(1) as i32;
        let x = (last(array.x_min, array.nx), self.xshift_pre, self.x_subsmp, self.xshift_pos, "xshift_pos");
        let y = (last(array.y_min, array.ny), self.yshift_pre, self.y_subsmp, self.yshift_pos, "yshift_pos");
        for ((last, pre, subsample, pos, key), first) in [(x, array.x_min), (y, array.y_min)] {
            for at in [first, last] {
                let address = leave(at, pre, subsample, pos);
                if i32::try_from(address).is_err() {
                    return Err(range(key, "output addresses within 32 bits", address));
                }
            }
        }
        Ok(())
    }
}

impl ConvPort {
    fn check(&self) -> Result<(), NetworkError> {
        at_least("x_stride", self.x_stride.into(), 1)?;
        at_least("y_stride", self.y_stride.into(), 1)?;
        at_least("x_expand", self.x_expand.into(), 1)?;
        at_least("y_expand", self.y_expand.into(), 1)?;
        matrix("Nx_kernel", u64::from(self.nx) * u64::from(self.ny), self.weights.len())
    }
}

impl FullyConnected {
    fn check(&self) -> Result<(), NetworkError> {
        if self.array.ny != 1 {
            return Err(range("Ny_array", "1, as the module is not a convolution", self.array.ny));
        }
        self.ports.iter().try_for_each(|port| {
            let lines = u64::from(port.nx_pre) * u64::from(port.ny_pre);
            matrix("Nx_array_pre", lines.saturating_mul(self.array.nx.into()), port.weights.len())
        })
    }
}

impl MaxPool {
    fn check(&self) -> Result<(), NetworkError> {
        if let Some(mask) = self.mask() {
            at_least("mask_tau", mask.tau.into(), 1)?;
            at_least("THplus", mask.threshold.into(), 1)?;
        }
        for (k, port) in self.ports.iter().enumerate() {
            at_least("x_stride", port.x_stride.into(), 1)?;
            at_least("y_stride", port.y_stride.into(), 1)?;
            let arrays = [(port.nx, port.ny), (port.nx_out, port.ny_out)];
            for found in arrays.map(|(nx, ny)| u64::from(nx) * u64::from(ny)) {
                if found > MAX_NEURONS {
                    return Err(NetworkError::TooLarge { found });
                }
            }
            if k > 0 && *port != PoolPort::RESET {
                return Err(range("Nx_array", "0 for all but the strides of a reset port", port.nx));
            }
        }
        Ok(())
    }
}

fn matrix(key: &'static str, announced: u64, found: usize) -> Result<(), NetworkError> {
    if announced != found as u64 {
        return Err(range(key, &format!("{announced} weights"), found));
    }
    Ok(())
}
