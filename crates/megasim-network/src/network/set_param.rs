//! Changing one parameter of modules by its netfile key.

use super::parameters::{NEURON_MODEL, NEURONS, OUTPUT, Parameter, STATE, TIMING};
use super::{Dynamics, Module, ModuleKind, Network, NetworkError, NeuronModel};
use std::num::NonZeroU32;
use std::sync::Arc;

/// The keys that [`Network::set`] takes: those of the head, the state, the neurons and the output, but sizes, weights
/// and equations.
pub fn settable_keys() -> Vec<&'static str> {
    let timing = TIMING.iter().chain(STATE).map(|parameter| parameter.key);
    let neurons = NEURONS.iter().map(|parameter| parameter.key).filter(|&key| key != NEURON_MODEL);
    timing.chain(neurons).chain(OUTPUT.iter().map(|parameter| parameter.key)).collect()
}

impl Network {
    /// Sets a parameter, named by its netfile key, of every module one of whose outputs has a name that `selects`,
    /// where it has that key. Returns how many modules it set.
    ///
    /// # Errors
    /// [`NetworkError::UnknownKey`], or [`NetworkError::Range`] if a module may not have the value; then the
    /// network is unchanged.
    pub fn set(&mut self, selects: impl Fn(&str) -> bool, key: &str, value: i64) -> Result<usize, NetworkError> {
        let keys = settable_keys();
        if !keys.contains(&key) {
            return Err(NetworkError::UnknownKey { key: key.into(), known: keys.join(", ") });
        }
        let mut network = self.clone();
        let mut count = 0;
        for (module, outputs) in network.modules.iter_mut().zip(&self.outputs) {
            if outputs.iter().any(|node| selects(&self.nodes[node.index()].name)) && module.set(key, value)? {
                count += 1;
            }
        }
        *self = network.valid()?;
        Ok(count)
    }
}

impl Network {
    /// Gives the neurons of every module one of whose outputs has a name that `selects` custom equations, under
    /// this number. Returns how many modules have neurons that can follow them.
    ///
    /// # Errors
    /// [`NetworkError::Range`] if a module may not have them; the network is unchanged then.
    pub fn set_model(
        &mut self,
        selects: impl Fn(&str) -> bool,
        number: NonZeroU32,
        model: Arc<NeuronModel>,
    ) -> Result<usize, NetworkError> {
        let mut network = self.clone();
        let mut count = 0;
        for (module, outputs) in network.modules.iter_mut().zip(&self.outputs) {
            if matches!(module.kind, ModuleKind::Softmax(_)) {
                continue;
            }
            let Some((neurons, _)) = module.kind.neurons_mut() else { continue };
            if outputs.iter().any(|node| selects(&self.nodes[node.index()].name)) {
                neurons.dynamics = Dynamics::Model(number);
                count += 1;
            }
        }
        Arc::make_mut(&mut network.models).insert(number, model);
        *self = network.valid()?;
        Ok(count)
    }
}

impl Module {
    /// Sets one parameter; says whether the module has it.
    fn set(&mut self, key: &str, value: i64) -> Result<bool, NetworkError> {
        if let Some(parameter) = Parameter::find(TIMING, key).or(Parameter::find(STATE, key)) {
            return parameter.set(&mut self.timing, value);
        }
        let Some((neurons, output)) = self.kind.neurons_mut() else { return Ok(false) };
        match (Parameter::find(NEURONS, key), Parameter::find(OUTPUT, key)) {
            (Some(parameter), _) => parameter.set(neurons, value),
            (None, Some(parameter)) => parameter.set(output, value),
            (None, None) => Ok(false),
        }
    }
}
