//! What thresholds do to a potential: spike, or clamp.

use crate::network::NeuronParameters;

/// The two thresholds of a neuron.
pub(in crate::engine) trait Thresholds {
    /// Whether this potential is at or beyond a threshold that makes a neuron spike.
    fn spikes_at(&self, v: i32) -> bool;

    /// Whether a potential is beyond a threshold.
    fn is_beyond(&self, v: i32) -> bool;

    /// Whether potentials leak, linearly or exponentially.
    fn leaks(&self) -> bool;

    /// Whether potentials leak towards one beyond a threshold, which clamps: one that spikes is not there.
    fn leaks_beyond(&self) -> bool;

    /// Whether a start, a spike or a leak can leave a potential beyond a threshold that clamps.
    fn leaves_clamps(&self) -> bool;

    /// Whether a clamp takes a potential to where it spikes, or to where the other threshold clamps.
    fn clamps_to_spikes(&self) -> bool;
}

impl Thresholds for NeuronParameters {
    fn spikes_at(&self, v: i32) -> bool {
        (self.fires_plus && v >= self.threshold_plus) || (self.fires_minus && v <= self.threshold_minus)
    }

    fn is_beyond(&self, v: i32) -> bool {
        v > self.threshold_plus || v < self.threshold_minus
    }

    fn leaks(&self) -> bool {
        self.leak_plus > 0 || self.leak_minus > 0 || self.leak_decay > 0
    }

    fn leaks_beyond(&self) -> bool {
        (self.leak_plus > 0 || self.leak_minus > 0) && self.is_beyond(self.rest())
    }

    fn leaves_clamps(&self) -> bool {
        if self.signed().is_some() || self.model().is_some() {
            return false;
        }
        // Spikes at + leave 0 or more, those at - leave 0 or less.
        let ends = [self.membrane_reset, self.rest(), 0];
        (!self.fires_plus && ends.iter().any(|&v| v > self.threshold_plus))
            || (!self.fires_minus && ends.iter().any(|&v| v < self.threshold_minus))
    }

    fn clamps_to_spikes(&self) -> bool {
        self.threshold_plus <= self.threshold_minus
    }
}
