//! The modules of a network as layers, by name.

use megasim_convert::Manifest;
use megasim_core::network::{ModuleId, Network};

/// Modules whose figures belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleLayer {
    /// Its name.
    pub name: String,
    /// In netlist order, not empty.
    pub modules: Vec<ModuleId>,
}

impl ModuleLayer {
    /// The layers of a converted network as its manifest names them; modules that it does not know are layers of their
    /// own.
    pub fn of_manifest(network: &Network, manifest: &Manifest) -> Vec<Self> {
        let layer = |node: &str| manifest.layers.iter().find(|layer| layer.nodes.iter().any(|name| name == node));
        Self::group(network, |node| layer(node).map_or(node, |layer| &layer.name).to_string())
    }

    /// The layers of any network: modules of one kind whose first outputs differ only in a number after the last `_`
    /// are maps of one layer, as SNN toolbox names them.
    ///
    /// ```
    /// use megasim_study::hardware::ModuleLayer;
    /// use megasim_core::network::*;
    /// let mut builder = NetworkBuilder::new();
    /// for name in ["flat_0", "flat_1", "other"] {
    ///     let kind = ModuleKind::Flatten(vec![]);
    ///     let module = Module { kind, inputs: vec![], timing: Timing::default(), not_programmable: false };
    ///     builder.module(module, &[name])?;
    /// }
    /// let layers = ModuleLayer::of_network(&builder.build(10)?);
    /// let sizes: Vec<_> = layers.iter().map(|layer| (layer.name.as_str(), layer.modules.len())).collect();
    /// assert_eq!(sizes, [("flat", 2), ("other", 1)]);
    /// # Ok::<(), NetworkError>(())
    /// ```
    pub fn of_network(network: &Network) -> Vec<Self> {
        let mut layers = Self::group(network, |node| match node.rsplit_once('_') {
            Some((stem, number)) if !stem.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => stem.into(),
            _ => node.into(),
        });
        for layer in &mut layers {
            if let [only] = layer.modules[..] {
                layer.name = module_name(network, only);
            }
        }
        layers
    }

    fn group(network: &Network, name: impl Fn(&str) -> String) -> Vec<Self> {
        let mut layers: Vec<(Self, &'static str)> = Vec::new();
        for (k, module) in network.modules().iter().enumerate() {
            let (id, kind) = (ModuleId::new(k), module.kind.name());
            let name = name(&module_name(network, id));
            match layers.iter_mut().find(|(layer, known)| layer.name == name && *known == kind) {
                Some((layer, _)) => layer.modules.push(id),
                None => layers.push((Self { name, modules: vec![id] }, kind)),
            }
        }
        layers.into_iter().map(|(layer, _)| layer).collect()
    }
}

/// What a module is called: its first output node.
pub fn module_name(network: &Network, module: ModuleId) -> String {
    let node = network.outputs(module).first();
    node.map_or_else(|| format!("module {}", module.index()), |node| network.nodes()[node.index()].name.clone())
}
