//! What runs layer by layer need of neurons.

use super::Neurons;
use crate::engine::kernels::FireReset;
use crate::engine::layerwise::{NEAR, Rules, Singles};
use crate::engine::population::NeuronPopulation;
use crate::network::Reset;

impl Neurons {
    /// When plain and signed neurons spike now; some events change a potential by at most `reach`.
    pub(in crate::engine) fn rules(&self, plan: &NeuronPopulation, reach: i64) -> Rules {
        let parameters = &plan.neurons;
        let signed = parameters.signed();
        let floor = if signed.is_some() { i32::MIN } else { parameters.threshold_minus };
        let inside = |reach: i64| {
            let inside = i64::from(floor) + reach + 1..=i64::from(i32::MAX) - reach;
            // A spike, or one that is taken back, brings a potential to one of these or nearer to 0.
            let is_safe = inside.contains(&i64::from(parameters.threshold_plus))
                && (parameters.reset != Reset::ToRest || inside.contains(&i64::from(parameters.membrane_reset)));
            if is_safe { (*inside.start() as i32, *inside.end() as i32) } else { (i32::MAX, i32::MIN) }
        };
        Rules {
            threshold: parameters.threshold_plus,
            floor,
            reset: FireReset::of(parameters),
            signed: self.signed_now(plan).unwrap_or_default(),
            inside: inside(reach),
            near: inside(reach / NEAR),
        }
    }

    /// Those of all.
    pub(in crate::engine) fn singles(&mut self) -> Singles<'_> {
        let Self { v, signed, saturations, .. } = self;
        let counts = signed.as_mut().map_or(&mut [][..], |state| &mut state.counts);
        Singles { v, counts, saturations }
    }
}
