//! Time without input: whether it changes neurons, and what makes up for it.

use super::thresholds::Thresholds;
use super::{NEVER, Neurons};
use crate::engine::population::NeuronPopulation;
use crate::network::Tick;

impl Neurons {
    /// Whether a step without input would change a potential by a decay that rounds at each step, or by an equation.
    pub(in crate::engine) fn decays(&self, plan: &NeuronPopulation) -> bool {
        if let Some(custom) = &self.custom {
            return custom.stirs;
        }
        plan.decay.is_some() && self.v.iter().any(|&v| v != plan.neurons.rest())
    }

    /// Whether a clocked step without input would change a potential, other than by what the next step with input makes
    /// up for.
    pub(in crate::engine) fn stirs(&self, plan: &NeuronPopulation) -> bool {
        if plan.softmax || !plan.neurons.leaves_clamps() {
            return self.decays(plan);
        }
        let leaks = plan.neurons.leaks_beyond() && plan.neurons.clamps_to_spikes();
        self.decays(plan) || leaks || self.v.iter().any(|&v| plan.neurons.is_beyond(v))
    }

    /// Whether neurons would spike in the first clocked step without input. At the start all of them are alike.
    pub(in crate::engine) fn starts_beyond(&mut self, plan: &NeuronPopulation) -> bool {
        match (&plan.model, self.v.first()) {
            (_, None) => false,
            (Some(model), _) => self.beyond(plan, model, 1),
            (None, Some(&v)) => !plan.softmax && plan.neurons.signed().is_none() && plan.neurons.spikes_at(v),
        }
    }

    /// Makes up for the steps, `dt` apart, that were left out since the last update of a neuron: it leaked towards a
    /// potential beyond a threshold that clamps, and was clamped in each step in which it was not refractory.
    pub(super) fn clamp_before(&mut self, plan: &NeuronPopulation, n: usize, (s, dt): (Tick, Tick)) {
        let Some(&updated) = self.updated.get(n) else { return };
        let before = s.saturating_sub(dt);
        let until = self.refractory_until.get(n).copied().unwrap_or(NEVER);
        if before <= updated || before < until {
            return;
        }
        self.leak(plan, n, before);
        let parameters = &plan.neurons;
        if !parameters.fires_plus {
            self.v[n] = self.v[n].min(parameters.threshold_plus);
        }
        if !parameters.fires_minus {
            self.v[n] = self.v[n].max(parameters.threshold_minus);
        }
    }

    /// Whether an update without input could do more than the next one with input makes up for: spikes, a decay that
    /// rounds at each update, a clamp.
    pub(in crate::engine) fn restless(&self, plan: &NeuronPopulation) -> bool {
        if plan.softmax || plan.neurons.mask_tau > 0 {
            return false;
        }
        let parameters = &plan.neurons;
        self.decays(plan)
            || parameters.leaks_beyond()
            || self.v.iter().any(|&v| parameters.spikes_at(v) || parameters.is_beyond(v))
    }
}
