//! Which modules a pattern of a hardware file means, in any network: by name, by name without the counting prefix, by
//! number, by kind, by role.

use super::file::{LinkRule, Located, Selector};
use super::rank::Rank;
use super::{Hardware, ModuleLayer};
use glob::Pattern;
use megasim_core::network::{Driver, Input, ModuleId, ModuleKind, Network, NodeId};

/// The modules of a network under all the names that patterns may use.
pub(super) struct Matcher<'a> {
    network: &'a Network,
    layers: &'a [ModuleLayer],
    /// By source: whether it is input, and no clock.
    input: &'a [bool],
    /// By module: its layer.
    layer_of: Vec<usize>,
}

/// A name without the number that counts layers, and that number.
fn counted(name: &str) -> (&str, Option<u32>) {
    let digits = name.bytes().take_while(u8::is_ascii_digit).count();
    let rest = name[digits..].trim_start_matches('_');
    match name[..digits].parse() {
        Ok(number) if !rest.is_empty() => (rest, Some(number)),
        _ => (name, None),
    }
}

fn matches_name(pattern: &Pattern, name: &str) -> bool {
    pattern.matches(name) || pattern.matches(counted(name).0)
}

impl<'a> Matcher<'a> {
    pub fn new(network: &'a Network, layers: &'a [ModuleLayer], input: &'a [bool]) -> Self {
        let mut layer_of = vec![0; network.modules().len()];
        for (k, layer) in layers.iter().enumerate() {
            layer.modules.iter().for_each(|module| layer_of[module.index()] = k);
        }
        Self { network, layers, input, layer_of }
    }

    pub fn layer_of(&self, module: ModuleId) -> usize {
        self.layer_of[module.index()]
    }

    fn is_kind(&self, layer: &ModuleLayer, word: &str) -> bool {
        let Some(&first) = layer.modules.first() else { return false };
        // Pooling by averages is a convolution with its own name.
        let is_pool = layer.name.to_ascii_lowercase().contains("pool");
        match (word, &self.network.modules()[first.index()].kind) {
            ("pool", kind) => is_pool || matches!(kind, ModuleKind::MaxPool(_)),
            ("conv", ModuleKind::Conv(_)) => !is_pool,
            ("dense", ModuleKind::FullyConnected(_)) => true,
            ("flatten", ModuleKind::Flatten(_)) => true,
            ("softmax", ModuleKind::Softmax(_)) => true,
            _ => false,
        }
    }

    fn is_input(&self, node: NodeId) -> bool {
        match self.network.nodes()[node.index()].driver {
            Driver::Source(source) => self.input.get(source.index()).copied().unwrap_or(true),
            Driver::Module(_) => false,
        }
    }

    fn has_role(&self, k: usize, word: &str) -> bool {
        match word {
            "first" => k == 0,
            "last" => k + 1 == self.layers.len(),
            _ => self.layers[k].modules.iter().any(|module| {
                let inputs = &self.network.modules()[module.index()].inputs;
                inputs.iter().any(|input| matches!(input, Input::Node(node) if self.is_input(*node)))
            }),
        }
    }

    /// Whether a layer is meant. A name counts before a word of the same spelling.
    pub fn layer(&self, pattern: &Pattern, k: usize) -> bool {
        let is_name = |layer: &ModuleLayer| matches_name(pattern, &layer.name);
        if is_name(&self.layers[k]) {
            return true;
        }
        let word = pattern.as_str();
        match Rank::of(word) {
            Rank::Name => word.parse::<u32>().is_ok_and(|number| {
                let counts = self.layers.iter().any(|layer| counted(&layer.name).1.is_some());
                let own = if counts { counted(&self.layers[k].name).1 } else { u32::try_from(k).ok() };
                own == Some(number)
            }),
            _ if self.layers.iter().any(is_name) => false,
            Rank::Kind => self.is_kind(&self.layers[k], word),
            Rank::Role => self.has_role(k, word),
        }
    }

    /// Whether a node is meant.
    pub fn node(&self, pattern: &Pattern, node: NodeId) -> bool {
        if matches_name(pattern, &self.network.nodes()[node.index()].name) {
            return true;
        }
        match self.network.nodes()[node.index()].driver {
            Driver::Source(_) => pattern.as_str() == "input" && self.is_input(node),
            // Of nodes, `input` is what the sources send.
            Driver::Module(_) if pattern.as_str() == "input" => false,
            Driver::Module(module) => self.layer(pattern, self.layer_of(module)),
        }
    }

    /// Whether a module is meant, by an output node or its layer.
    pub fn module(&self, pattern: &Pattern, module: ModuleId) -> bool {
        let mut outputs = self.network.outputs(module).iter();
        outputs.any(|node| matches_name(pattern, &self.network.nodes()[node.index()].name))
            || self.layer(pattern, self.layer_of(module))
    }
}

/// A pattern of a file and what it means in a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternUse {
    /// The line of the file.
    pub line: usize,
    /// Where it is, as `[layer."conv"]`.
    pub table: String,
    /// What it means: layers, modules or nodes by name; nothing where it matches none.
    pub matches: Vec<String>,
    /// What is wrong where it matches nothing, with line and hint.
    pub warning: Option<String>,
}

impl Hardware {
    /// What each pattern of the file means in a network. `input`: by source, whether it is input and no clock.
    pub fn patterns(&self, network: &Network, layers: &[ModuleLayer], input: &[bool]) -> Vec<PatternUse> {
        self.located_patterns(&Matcher::new(network, layers, input)).into_iter().map(|(found, _)| found).collect()
    }

    /// As [`Self::patterns`], with the error of each that matches nothing.
    pub(super) fn located_patterns(&self, matcher: &Matcher<'_>) -> Vec<(PatternUse, Option<super::Error>)> {
        let Matcher { network, layers, .. } = *matcher;
        let modules = || (0..network.modules().len()).map(ModuleId::new);
        let nodes = || (0..network.nodes().len()).map(NodeId::new);
        let name = |node: NodeId| network.nodes()[node.index()].name.clone();
        let of_module = |module: ModuleId| super::module_name(network, module);
        let known_layers: Vec<String> = layers.iter().map(|layer| layer.name.clone()).collect();
        let known_modules: Vec<String> =
            modules().flat_map(|module| network.outputs(module)).map(|&node| name(node)).collect();
        let known_nodes: Vec<String> = nodes().map(name).collect();
        let mut found = Vec::new();
        let mut put = |table: String, what: &str, at: &Located<Pattern>, matches: Vec<String>, known: &[String]| {
            let error = matches.is_empty().then(|| {
                let message = format!("no {what} matches `{}`", at.value);
                let hint = super::error::nearest(at.value.as_str(), known.iter().map(String::as_str));
                self.source.fault(at.span.clone(), message, hint)
            });
            let line = self.source.text[..at.span.start.min(self.source.text.len())].matches('\n').count() + 1;
            let warning = error.as_ref().map(ToString::to_string);
            found.push((PatternUse { line, table, matches, warning }, error));
        };
        for rule in &self.rules {
            match &rule.selector {
                Selector::Layer(pattern) => {
                    let matching = (0..layers.len()).filter(|&k| matcher.layer(&pattern.value, k));
                    let names = matching.map(|k| layers[k].name.clone()).collect();
                    put(format!("[layer.\"{}\"]", pattern.value), "layer", pattern, names, &known_layers);
                }
                Selector::Module(pattern) => {
                    let names = modules().filter(|&module| matcher.module(&pattern.value, module)).map(of_module);
                    put(format!("[module.\"{}\"]", pattern.value), "module", pattern, names.collect(), &known_modules);
                }
                Selector::All | Selector::Kind(_) => {}
            }
        }
        for LinkRule { from, to, .. } in &self.links {
            if let Some(pattern) = from {
                let names = nodes().filter(|&node| matcher.node(&pattern.value, node)).map(name).collect();
                put(format!("[[links]] from \"{}\"", pattern.value), "node", pattern, names, &known_nodes);
            }
            if let Some(pattern) = to {
                let names = modules().filter(|&module| matcher.module(&pattern.value, module)).map(of_module);
                put(format!("[[links]] to \"{}\"", pattern.value), "module", pattern, names.collect(), &known_modules);
            }
        }
        for (pattern, _) in self.mesh.iter().flat_map(|mesh| &mesh.place) {
            let names = nodes().filter(|&node| matcher.node(&pattern.value, node)).map(name).collect();
            put(format!("[mesh.place] \"{}\"", pattern.value), "module or source", pattern, names, &known_nodes);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_that_counts_layers_is_no_part_of_a_name() {
        assert_eq!(counted("00Conv2D_8x8x8"), ("Conv2D_8x8x8", Some(0)));
        assert_eq!(counted("12_Dense_4"), ("Dense_4", Some(12)));
        assert_eq!((counted("conv1"), counted("7")), (("conv1", None), ("7", None)));
    }
}
