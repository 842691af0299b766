//! Signed neurons: what each role becomes, and whether potentials have room.

use super::{Emitter, Error};
use crate::parsed::Role;
use megasim_core::network::{Dynamics, ModuleKind, NeuronParameters, Signed};

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
            Role::Signed => self.with_counts(layer, usual, i32::MIN, i32::MAX),
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

    /// Refuses a module whose potentials could leave 32 bits, in whatever order the spikes of its inputs come, of which
    /// each has so many `events` where others have one.
    pub(super) fn expect_room(&self, layer: &str, kind: &ModuleKind, events: u32) -> Result<(), Error> {
        let Some(signed) = self.quantization.signed else { return Ok(()) };
        let Some((_, neurons, _)) = kind.neurons() else { return Ok(()) };
        let count = signed.max_count.map_or(USUAL_COUNT, |most| most.get().into()).saturating_mul(events.into());
        let furthest = largest_sum(kind).saturating_mul(count).saturating_add(neurons.membrane_reset.into());
        if furthest <= i32::MAX.into() {
            return Ok(());
        }
        let factor = self.quantization.scaling_factor;
        let fits = factor * f64::from(i32::MAX) / furthest as f64;
        Err(Error::Room { layer: layer.into(), furthest, count, factor, fits })
    }
}

fn refuse(layer: &str, reason: &str) -> Error {
    Error::Format { layer: layer.into(), reason: reason.into() }
}

/// The most that one spike of each input, all of them raising or all of them lowering, moves a potential.
fn largest_sum(kind: &ModuleKind) -> i64 {
    match kind {
        ModuleKind::Conv(conv) => {
            let weights = || conv.ports.iter().flat_map(|port| port.weights.iter().copied().map(i64::from));
            let planes: i64 = conv.ports.iter().map(|port| i64::from(is_plane(port.nx, port.ny, conv.array))).sum();
            if planes == 0 {
                return either(weights());
            }
            // A plane (a bias) has one weight for each neuron.
            let kernels = conv.ports.iter().filter(|port| !is_plane(port.nx, port.ny, conv.array));
            let kernels = either(kernels.flat_map(|port| port.weights.iter().copied().map(i64::from)));
            let of_plane = conv.ports.iter().filter(|port| is_plane(port.nx, port.ny, conv.array));
            let largest = |weights: &[i32]| weights.iter().map(|w| i64::from(w.unsigned_abs())).max().unwrap_or(0);
            kernels + of_plane.map(|port| largest(&port.weights)).sum::<i64>()
        }
        ModuleKind::FullyConnected(full) | ModuleKind::Softmax(full) => {
            let n = full.array.nx as usize;
            let mut sums = vec![(0i64, 0i64); n];
            for line in full.ports.iter().flat_map(|port| port.weights.chunks_exact(n.max(1))) {
                for ((up, down), &weight) in sums.iter_mut().zip(line) {
                    *up += i64::from(weight.max(0));
                    *down -= i64::from(weight.min(0));
                }
            }
            sums.into_iter().map(|(up, down)| up.max(down)).max().unwrap_or(0)
        }
        ModuleKind::Flatten(_) | ModuleKind::MaxPool(_) => 0,
    }
}

/// Whether a kernel covers the whole array, as the plane of a bias does.
fn is_plane(nx: u32, ny: u32, array: megasim_core::network::Array) -> bool {
    (nx, ny) == (array.nx, array.ny)
}

/// The larger of the sums above and below 0.
fn either(weights: impl Iterator<Item = i64>) -> i64 {
    let (up, down) = weights.fold((0, 0), |(up, down): (i64, i64), w| (up + w.max(0), down - w.min(0)));
    up.max(down)
}
