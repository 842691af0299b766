//! A layer of a converted network.

use megasim_ann::graph::Levels;
use serde::{Deserialize, Serialize};

/// One layer of a converted network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// Its name in the netfiles.
    pub name: String,
    /// The source's name of it.
    pub source: String,
    /// SNN toolbox's word for its kind.
    pub kind: String,
    /// Names of the layers it reads.
    pub inputs: Vec<String>,
    /// `[features]` or `[maps, height, width]`.
    pub shape: Vec<usize>,
    /// Nodes, one per map or one.
    pub nodes: Vec<String>,
    /// The activation that one spike per millisecond stands for.
    pub scale: f64,
    /// The levels of its quantised activations, where counts of neurons are levels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub levels: Option<Levels>,
    /// Where maps have their own scales: that of each map (of a vector: of each neuron).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub map_scales: Vec<f64>,
}

impl Layer {
    /// The activation that one spike per millisecond stands for, of a neuron by its number: map after map, `y`, `x`.
    pub fn scale_of(&self, neuron: usize) -> f64 {
        let neurons: usize = self.shape.iter().product();
        let cells = (neurons / self.map_scales.len().max(1)).max(1);
        self.map_scales.get(neuron / cells).copied().unwrap_or(self.scale)
    }

    pub(super) fn maps(&self) -> (String, Vec<f64>) {
        (self.name.clone(), self.map_scales.clone())
    }
}
