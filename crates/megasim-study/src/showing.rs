//! Which layers, neurons and samples a page shows, and the membrane potentials of those neurons over time.

use crate::layers::{Layer, Place};
use megasim_core::engine::Progress;
use megasim_core::network::{Driver, Input, ModuleId, Network, NodeId, Tick};
use megasim_core::source_error::nearest;

/// Changes of a potential that are kept, at most.
const MOST_POINTS: usize = 20_000;

/// Neurons of a layer whose potentials are shown, where no neuron is named.
const BUSIEST: usize = 3;

/// Layers whose potentials are shown, where no layer is named.
const MOST_LAYERS: usize = 9;

/// Samples of a page, at most, so that it opens.
pub const MOST_SAMPLES: usize = 4;

/// A layer to be shown, by its place among the layers of a study, and one of its neurons, where one is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeuronSelection {
    /// Which layer.
    pub layer: usize,
    /// Which of its cells.
    pub cell: Option<usize>,
}

/// Why a layer or neuron cannot be shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShowError {
    /// There is no such layer.
    #[error("expected LAYER or LAYER:MAP,Y,X with a layer that spikes, found '{found}'{}", hint(found, known))]
    Layer {
        /// What was asked for.
        found: String,
        /// The layers that there are.
        known: Vec<String>,
    },
    /// The layer has no such neuron.
    #[error("expected a neuron of {layer} (MAP,Y,X; {shape}), found '{found}'")]
    Outside {
        /// The layer.
        layer: String,
        /// The numbers that it has.
        shape: String,
        /// What was asked for.
        found: String,
    },
    /// The layer has no potentials.
    #[error(
        "expected a layer whose neurons have potentials to show one of them, found '{0}'; name it without a neuron"
    )]
    NoPotentials(String),
}

fn hint(found: &str, known: &[String]) -> String {
    let near = nearest(found, known.iter().map(String::as_str));
    near.map_or(String::new(), |near| format!("; {near}"))
}

/// The layers and neurons of names as `LAYER` or `LAYER:MAP,Y,X` (addresses).
///
/// # Errors
/// If there is no such layer or neuron, or if a neuron is named in a layer without potentials.
pub fn shown<'t>(
    asked: impl IntoIterator<Item = &'t str>,
    layers: &[Layer],
    network: &Network,
) -> Result<Vec<NeuronSelection>, ShowError> {
    asked.into_iter().map(|text| one(text, layers, network)).collect()
}

fn one(text: &str, layers: &[Layer], network: &Network) -> Result<NeuronSelection, ShowError> {
    let named = |name: &str| layers.iter().position(|layer| layer.name == name);
    if let Some(layer) = named(text) {
        return Ok(NeuronSelection { layer, cell: None });
    }
    let unknown = |found: &str| {
        let known = layers.iter().map(|layer| layer.name.clone()).collect();
        ShowError::Layer { found: found.into(), known }
    };
    let (name, numbers) = text.rsplit_once(':').ok_or_else(|| unknown(text))?;
    let layer = named(name).ok_or_else(|| unknown(name))?;
    let of = &layers[layer];
    let parsed: Option<Vec<i32>> = numbers.split(',').map(|number| number.trim().parse().ok()).collect();
    let cell = match parsed.as_deref() {
        Some(&[map, y, x]) => usize::try_from(map).ok().and_then(|map| of.nodes.get(map)?.cell(x, y)),
        _ => None,
    };
    let cell =
        cell.ok_or_else(|| ShowError::Outside { layer: of.name.clone(), shape: shape(of), found: numbers.into() })?;
    match neuron(network, of, cell) {
        Some(_) => Ok(NeuronSelection { layer, cell: Some(cell) }),
        None => Err(ShowError::NoPotentials(of.name.clone())),
    }
}

/// The addresses of a layer in words.
fn shape(layer: &Layer) -> String {
    let Some(first) = layer.nodes.first() else { return String::new() };
    let range = |first: i64, n: usize| match n {
        0 | 1 => first.to_string(),
        n => format!("{first} to {}", first + n as i64 - 1),
    };
    let [maps, y, x] = [range(0, layer.nodes.len()), range(first.y.into(), first.ny), range(first.x.into(), first.nx)];
    format!("map {maps}, y {y}, x {x}")
}

/// The module and number of the neuron that a cell is; none where the layer has no neurons.
fn neuron(network: &Network, layer: &Layer, cell: usize) -> Option<(ModuleId, usize)> {
    let place = layer.place(cell);
    let Driver::Module(id) = network.nodes()[layer.nodes[place.map].node.index()].driver else { return None };
    let (array, _, output) = network.modules()[id.index()].kind.neurons()?;
    let rows = 0..array.ny as i32;
    let mut places = rows.flat_map(|y| (0..array.nx as i32).map(move |x| (array.x_min + x, array.y_min + y)));
    let number = places.position(|(x, y)| output.address(x, y) == Some((place.x, place.y)))?;
    Some((id, number))
}

/// The neurons whose potentials are shown: those that are named, of named layers and, where nothing is named, of all
/// layers the ones that spike most. `counts`: spikes by layer and cell.
pub(crate) fn traced(shown: &[NeuronSelection], counts: &[&[u32]]) -> Vec<(usize, usize)> {
    let busiest = |layer: usize, most: usize| {
        let mut cells: Vec<usize> = (0..counts[layer].len()).collect();
        // Of equal counts the first one.
        cells.sort_by_key(|&cell| std::cmp::Reverse(counts[layer][cell]));
        cells.truncate(most);
        cells.into_iter().map(move |cell| (layer, cell)).collect::<Vec<_>>()
    };
    if shown.is_empty() {
        let every = counts.len().div_ceil(MOST_LAYERS).max(1);
        // The last layer decides.
        let chosen = (0..counts.len()).rev().step_by(every).collect::<Vec<_>>();
        return chosen.into_iter().rev().flat_map(|layer| busiest(layer, 1)).collect();
    }
    let one = |it: &NeuronSelection| match it.cell {
        Some(cell) => vec![(it.layer, cell)],
        None => busiest(it.layer, BUSIEST),
    };
    shown.iter().flat_map(one).collect()
}

/// Which samples a page shows, the chosen one first: `wanted`, or the first of `differ` (those that the sides decide
/// differently), or the first one; then others that differ, then the first ones. `n` samples were run.
///
/// ```
/// use megasim_study::showing::samples;
/// assert_eq!(samples(None, &[7, 9], 20), [7, 9, 0, 1]);
/// assert_eq!(samples(Some(3), &[], 20), [3, 0, 1, 2]);
/// assert_eq!(samples(None, &[], 2), [0, 1]);
/// ```
pub fn samples(wanted: Option<usize>, differ: &[usize], n: usize) -> Vec<usize> {
    let mut chosen: Vec<usize> = Vec::with_capacity(MOST_SAMPLES);
    for k in wanted.into_iter().chain(differ.iter().copied()).chain(0..n) {
        if chosen.len() == MOST_SAMPLES {
            break;
        }
        if !chosen.contains(&k) {
            chosen.push(k);
        }
    }
    chosen
}

/// The membrane potential of one neuron.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Trace {
    /// Which layer of the study.
    pub layer: usize,
    /// Which of its cells.
    pub cell: usize,
    /// Where it is.
    pub place: Place,
    /// `THplus`.
    pub threshold: i32,
    /// Time in ticks, and potential from then on.
    pub points: Vec<(Tick, i32)>,
}

/// Follows potentials during a run.
pub(crate) struct Tracer<'n> {
    network: &'n Network,
    traces: Vec<Trace>,
    neurons: Vec<(ModuleId, usize)>,
}

impl<'n> Tracer<'n> {
    /// Of cells, by layer and number; those without potentials are left out.
    pub fn new(network: &'n Network, layers: &[Layer], cells: &[(usize, usize)]) -> Self {
        let (mut traces, mut neurons) = (Vec::new(), Vec::new());
        for &(layer, cell) in cells {
            let Some((module, number)) = neuron(network, &layers[layer], cell) else { continue };
            let Some((_, parameters, _)) = network.modules()[module.index()].kind.neurons() else { continue };
            neurons.push((module, number));
            traces.push(Trace {
                layer,
                cell,
                place: layers[layer].place(cell),
                threshold: parameters.threshold_plus,
                points: vec![(0, parameters.rest())],
            });
        }
        Self { network, traces, neurons }
    }

    /// Takes notice of the events that were just handled.
    pub fn look(&mut self, progress: &Progress<'_>) {
        let modules = self.network.modules();
        let reads = |module: ModuleId, node: NodeId| modules[module.index()].inputs.contains(&Input::Node(node));
        for (trace, &(module, number)) in self.traces.iter_mut().zip(&self.neurons) {
            // Only what touches a module changes it; a clocked step may.
            let may_change = progress.node.is_none_or(|node| reads(module, node));
            if !may_change || trace.points.len() >= MOST_POINTS {
                continue;
            }
            if let Some(&potential) = progress.potentials(module).get(number)
                && trace.points.last().is_none_or(|&(_, last)| last != potential)
            {
                trace.points.push((progress.time, potential));
            }
        }
    }

    /// What was seen.
    pub fn finish(self) -> Vec<Trace> {
        self.traces
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use megasim_core::network::{Array, Conv, Module, ModuleKind, NetworkBuilder, NeuronParameters, Output, Timing};

    fn network() -> Network {
        let mut builder = NetworkBuilder::new();
        let input = builder.source("in").unwrap();
        let array = Array { nx: 3, ny: 2, x_min: 0, y_min: 0 };
        for name in ["conv_0", "conv_1"] {
            let (neurons, output) = (NeuronParameters::default(), Output::whole(array));
            let kind = ModuleKind::Conv(Conv { array, neurons, ports: vec![], output });
            let inputs = vec![Input::Node(input)];
            builder
                .module(Module { kind, inputs, timing: Timing::default(), not_programmable: false }, &[name])
                .unwrap();
        }
        builder.build(10).unwrap()
    }

    #[test]
    fn layers_and_neurons_are_named_and_faults_say_what_there_is() {
        let network = network();
        let layers = Layer::of_network(&network);
        let show = |text: &str| one(text, &layers, &network);
        assert_eq!(show("conv"), Ok(NeuronSelection { layer: 0, cell: None }));
        assert_eq!(show("conv:1,1,2"), Ok(NeuronSelection { layer: 0, cell: Some(11) }));
        let message = |text: &str| show(text).unwrap_err().to_string();
        assert_eq!(
            message("conf"),
            "expected LAYER or LAYER:MAP,Y,X with a layer that spikes, found 'conf'; did you mean `conv`?"
        );
        for wrong in ["2,0,0", "0,0,3", "0,-1,0", "0", "a,b,c", ""] {
            let expected =
                format!("expected a neuron of conv (MAP,Y,X; map 0 to 1, y 0 to 1, x 0 to 2), found '{wrong}'");
            assert_eq!(message(&format!("conv:{wrong}")), expected);
        }
    }

    #[test]
    fn the_busiest_neurons_are_traced_unless_others_are_named() {
        let counts: [&[u32]; 2] = [&[1, 5, 5, 0], &[0, 0]];
        assert_eq!(traced(&[], &counts), [(0, 1), (1, 0)]);
        assert_eq!(traced(&[NeuronSelection { layer: 0, cell: None }], &counts), [(0, 1), (0, 2), (0, 0)]);
        assert_eq!(traced(&[NeuronSelection { layer: 1, cell: Some(1) }], &counts), [(1, 1)]);
    }
}
