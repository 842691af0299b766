//! Signed neurons: what each role becomes, and whether potentials have room.

use super::{Emitter, Error};
use crate::parsed::{LayerKind, Role, Source};
use megasim_core::network::{ConvPort, Dynamics, ModuleKind, NeuronParameters, NodeId, Signed};

/// Spikes of each input, where no `max_count` tells: one per millisecond for 100 ms.
const USUAL_COUNT: i64 = 100;

impl Emitter<'_> {
    /// Signed neurons of a role.
    pub(super) fn signed_of_role(
        &self,
        layer: &str,
        role: Role,
        usual: NeuronParameters,
    ) -> Result<NeuronParameters, Error> {
        match role {
            Role::Rectifier | Role::Excess => {
                let most = self.quantization.signed.and_then(|signed| signed.max_count);
                let max_count = most.map_or(i32::MAX, |most| i32::try_from(most.get()).unwrap_or(i32::MAX));
                self.with_counts(layer, usual, 0, max_count)
            }
            Role::Clamped { max, steps } => {
                let most = self
                    .quantization
                    .signed
                    .and_then(|signed| signed.max_count)
                    .map_or(f64::MAX, |most| most.get().into());
                let highest = (f64::from(max) * f64::from(steps)).round().clamp(1.0, most);
                self.with_counts(layer, usual, 0, highest as i32)
            }
            Role::Signed => self.with_counts(layer, usual, i32::MIN, i32::MAX),
            Role::Quantized(levels) => {
                let most = self.quantization.signed.and_then(|signed| signed.max_count);
                let highest =
                    most.map_or(levels.highest, |most| levels.highest.min(most.get().into())).max(levels.lowest);
                let whole = |level: i64| level.clamp(i32::MIN.into(), i32::MAX.into()) as i32;
                let membrane_reset = (f64::from(usual.threshold_plus) * levels.start()) as i32;
                let neurons = NeuronParameters { membrane_reset, ..usual };
                self.with_counts(layer, neurons, whole(levels.lowest), whole(highest))
            }
            Role::Accumulator => {
                Ok(NeuronParameters { threshold_plus: i32::MAX - 1, fires_plus: false, membrane_reset: 0, ..usual })
            }
            Role::Step => Err(refuse(layer, "a step is no sum of spikes, so that signed neurons have none")),
            Role::Softmax => Err(refuse(
                layer,
                "a softmax draws by the time of a clock, so that its counts depend on time; another --output has a \
                    signed form",
            )),
        }
    }

    /// The most spikes of a node, of either sign: levels where there are some, else those of 100 ms.
    fn most_spikes(&self, node: NodeId) -> i64 {
        let usual = self.quantization.signed.and_then(|signed| signed.max_count);
        let usual = usual.map_or(USUAL_COUNT, |most| most.get().into());
        if self.input.contains(&node) {
            return usual.saturating_mul(self.quantization.input_events.into());
        }
        let layer = self.layers.iter().position(|nodes| nodes.contains(&node));
        layer.and_then(|layer| self.most_of_layer(layer)).unwrap_or(usual)
    }

    /// The most spikes of a neuron of a layer with levels, or of one that passes the spikes of such a layer on.
    fn most_of_layer(&self, layer: usize) -> Option<i64> {
        let source = match &self.parsed.layers[layer].operation {
            LayerKind::Population { .. } => {
                let levels = self.parsed.levels(layer)?;
                return Some(levels.highest.max(levels.lowest.saturating_neg()));
            }
            LayerKind::Relay { source, .. } | LayerKind::MaxPool { source, .. } | LayerKind::Flatten { source } => {
                (*source, 1)
            }
            LayerKind::AveragePool { source, windows, .. } => {
                (*source, if self.quantization.relays { windows.size.0 * windows.size.1 } else { 1 })
            }
        };
        match source {
            (Source::Layer(before), cells) => Some(self.most_of_layer(before)?.saturating_mul(cells as i64)),
            (Source::Input, _) => None,
        }
    }

    /// These neurons, signed if all are, with any count: a linear function.
    pub(super) fn linear(&self, layer: &str, neurons: NeuronParameters) -> Result<NeuronParameters, Error> {
        match self.quantization.signed {
            Some(_) => self.with_counts(layer, neurons, i32::MIN, i32::MAX),
            None => Ok(neurons),
        }
    }

    /// These neurons, signed if all are, which pass each spike on.
    pub(super) fn passing(&self, neurons: NeuronParameters) -> NeuronParameters {
        if self.quantization.signed.is_none() {
            return neurons;
        }
        let dynamics = Dynamics::Signed(Signed { hysteresis: 0, min_count: i32::MIN, max_count: i32::MAX });
        NeuronParameters { dynamics, membrane_reset: 0, ..neurons }
    }

    /// Plain neurons of a linear function, with negative spikes where those of its source may be; what they read is
    /// else cut off at 0.
    pub(super) fn of_signs_of(&self, source: Source, neurons: NeuronParameters) -> NeuronParameters {
        if self.quantization.signed.is_some() || !self.may_be_negative(source) {
            return neurons;
        }
        NeuronParameters { threshold_minus: -neurons.threshold_plus, fires_minus: true, membrane_reset: 0, ..neurons }
    }

    /// Whether the spikes of a source may be negative: those of the input are where its values are.
    fn may_be_negative(&self, source: Source) -> bool {
        let Source::Layer(layer) = source else { return true };
        match &self.parsed.layers[layer].operation {
            LayerKind::Population { role, .. } => *role == Role::Signed,
            LayerKind::AveragePool { source, .. }
            | LayerKind::MaxPool { source, .. }
            | LayerKind::Relay { source, .. }
            | LayerKind::Flatten { source } => self.may_be_negative(*source),
        }
    }

    fn with_counts(
        &self,
        layer: &str,
        neurons: NeuronParameters,
        min_count: i32,
        max_count: i32,
    ) -> Result<NeuronParameters, Error> {
        let hysteresis = self.quantization.signed.map_or(0.0, |signed| signed.hysteresis);
        let hysteresis = hysteresis * f64::from(neurons.threshold_plus);
        let hysteresis = self.quantization.fit(layer, "hysteresis", hysteresis)?;
        Ok(NeuronParameters { dynamics: Dynamics::Signed(Signed { hysteresis, min_count, max_count }), ..neurons })
    }

    /// Refuses a module whose potentials could leave 32 bits, in whatever order the spikes of its inputs come.
    pub(super) fn expect_room(&self, layer: &str, kind: &ModuleKind, inputs: &[NodeId]) -> Result<(), Error> {
        if self.quantization.signed.is_none() {
            return Ok(());
        }
        let Some((_, neurons, _)) = kind.neurons() else { return Ok(()) };
        let counts: Vec<i64> = inputs.iter().map(|&node| self.most_spikes(node)).collect();
        let count = counts.iter().copied().max().unwrap_or(0);
        let furthest = largest_sum(kind, &counts).saturating_add(neurons.membrane_reset.into());
        if furthest <= i32::MAX.into() {
            return Ok(());
        }
        let factor = self.quantization.scaling_factor;
        let fits = factor * f64::from(i32::MAX) / furthest as f64;
        Err(Error::Room { layer: layer.into(), furthest, count, factor, fits })
    }
}

/// The most that these spikes of the inputs, all of them raising or all of them lowering, move a potential.
fn largest_sum(kind: &ModuleKind, counts: &[i64]) -> i64 {
    let count = |port: usize| counts.get(port).copied().unwrap_or(0);
    let times = |weight: i32, port: usize| i64::from(weight).saturating_mul(count(port));
    match kind {
        ModuleKind::Conv(conv) => {
            // A plane (a bias) has one weight for each neuron.
            let is_plane = |port: &ConvPort| (port.nx, port.ny) == (conv.array.nx, conv.array.ny);
            let ports = || conv.ports.iter().enumerate();
            let planes = ports().filter(|(_, port)| is_plane(port));
            let kernels = ports().filter(|(_, port)| !is_plane(port));
            let kernels = kernels.flat_map(|(k, port)| port.weights.iter().map(move |&weight| (k, weight)));
            let largest = |weights: &[i32]| weights.iter().map(|w| i64::from(w.unsigned_abs())).max().unwrap_or(0);
            let of_planes = planes.map(|(k, port)| largest(&port.weights).saturating_mul(count(k)));
            either(kernels.map(|(k, weight)| times(weight, k))).saturating_add(of_planes.fold(0, i64::saturating_add))
        }
        ModuleKind::FullyConnected(full) | ModuleKind::Softmax(full) => {
            let n = full.array.nx as usize;
            let mut sums = vec![(0i64, 0i64); n];
            for (k, port) in full.ports.iter().enumerate() {
                for line in port.weights.chunks_exact(n.max(1)) {
                    for ((up, down), &weight) in sums.iter_mut().zip(line) {
                        *up = up.saturating_add(times(weight.max(0), k));
                        *down = down.saturating_sub(times(weight.min(0), k));
                    }
                }
            }
            sums.into_iter().map(|(up, down)| up.max(down)).max().unwrap_or(0)
        }
        // What has no neurons.
        _ => 0,
    }
}

fn refuse(layer: &str, reason: &str) -> Error {
    Error::Format { layer: layer.into(), reason: reason.into() }
}

/// The larger of the sums above and below 0.
fn either(weights: impl Iterator<Item = i64>) -> i64 {
    let sums = weights.fold((0, 0), |(up, down): (i64, i64), weight| {
        (up.saturating_add(weight.max(0)), down.saturating_sub(weight.min(0)))
    });
    sums.0.max(sums.1)
}
