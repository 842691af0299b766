//! What layers are made of: the populations of a network, what drives their nodes, and under which addresses.

use super::places::SourcePlaces;
use crate::engine::population::{Population, PopulationKind};

/// Most weights of a layer, and of a network, that are copied.
pub(super) const MOST_WEIGHTS: (usize, usize) = (1 << 22, 1 << 24);

/// What drives a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Origin {
    /// The source of this number.
    Source(usize),
    /// The population of this number.
    Population(usize),
}

/// Makes layers of populations.
pub(super) struct Compiler<'p> {
    pub populations: &'p [Population],
    pub sources: &'p [SourcePlaces],
    /// By node.
    pub origins: &'p [Origin],
    /// By node, of those with the same addresses the same one.
    pub tables: &'p [Origin],
}

impl Compiler<'_> {
    /// The addresses under which events of a node leave, by place.
    pub fn addresses(&self, node: usize) -> Option<Vec<(i32, i32)>> {
        let driver = match self.origins[node] {
            Origin::Source(source) => return Some(self.sources[source].addresses().collect()),
            Origin::Population(driver) => driver,
        };
        Some(match &self.populations[driver].kind {
            PopulationKind::Neurons(neurons) => {
                let (x, y) = neurons.addresses.columns()?;
                x.iter().copied().zip(y.iter().copied()).collect()
            }
            PopulationKind::Flatten(ports) => {
                let size: u64 = ports.iter().map(|port| u64::from(port.nx) * u64::from(port.ny)).sum();
                (0..i32::try_from(size).ok()?).map(|x| (x, 0)).collect()
            }
            _ => return None,
        })
    }

    /// Nodes and ports that a population reads. In a tick nodes come in the order of the netlist.
    pub fn inputs(&self, population: &Population) -> Vec<(usize, usize)> {
        let inputs = population.inputs.iter().enumerate();
        let mut inputs: Vec<_> = inputs.filter_map(|(port, input)| Some((input.node?.index(), port))).collect();
        inputs.sort_unstable();
        inputs
    }
}
