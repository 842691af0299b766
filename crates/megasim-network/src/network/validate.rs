//! The rules of a whole network. Whatever makes or changes one ends here.

use super::{Input, Module, Network, NetworkError, NeuronModel, at_least};
use std::collections::HashSet;

impl Network {
    /// Checks every rule, so that every network can be run.
    fn validate(&self) -> Result<(), NetworkError> {
        at_least("Tmax", self.t_max, 0)?;
        let names: HashSet<&str> = self.nodes.iter().map(|node| node.name.as_str()).collect();
        for (k, module) in self.modules.iter().enumerate() {
            module.check()?;
            for input in &module.inputs {
                match input {
                    Input::Node(node) if node.index() >= self.nodes.len() => {
                        return Err(NetworkError::NoSuchNode {
                            module: k,
                            node: node.index(),
                            nodes: self.nodes.len(),
                        });
                    }
                    Input::Undriven(name) if names.contains(name.as_str()) => {
                        return Err(NetworkError::NotUndriven { module: k, node: name.clone() });
                    }
                    Input::Node(_) | Input::Undriven(_) => {}
                }
            }
            self.check_model(module)?;
        }
        self.check_payloads()
    }

    /// The network itself, if it is valid.
    pub(super) fn valid(self) -> Result<Self, NetworkError> {
        self.validate()?;
        Ok(self)
    }

    /// Refuses a number that no equations have.
    fn check_model(&self, module: &Module) -> Result<(), NetworkError> {
        match module.kind.neurons().and_then(|(_, neurons, _)| neurons.model()) {
            Some(number) if !self.models.contains_key(&number) => Err(NetworkError::Range {
                key: "neuron_model",
                expected: format!("the number of a file of equations, {}", NeuronModel::file_name(number)),
                found: number.to_string(),
            }),
            _ => Ok(()),
        }
    }
}
