//! Single samples on a page: input, spikes of all sides and potentials; the script of the page shows one at a time.

use super::chart::{self, Axes, Extent, Panel, Potential};
use super::page::Choice;
use super::{Error, Picture, Section};
use crate::compare::Part;
use crate::layers::{Layer, Place};
use crate::showing::{NeuronSelection, Trace};
use megasim_core::network::Tick;

/// Spikes of a side in the raster of the first sample, and of each further one, so that the page opens.
const MOST_SPIKES: [usize; 2] = [7_000, 3_000];

/// Rows of a layer in a raster of several layers, and in a raster of one layer.
const MOST_ROWS: [usize; 2] = [60, 240];

/// Numbers of an input that are drawn.
const MOST_INPUT: usize = 4096;

/// Numbers of a sample: maps, rows and columns, and a value for each, in this order.
pub type InputValues = (Extent, Vec<f64>);

/// One sample.
#[derive(Debug)]
pub struct ShownSample {
    /// Its number in the data set.
    pub number: u64,
    /// What its label is, and what was decided.
    pub text: String,
    /// Its numbers.
    pub input: Option<InputValues>,
    /// Its spikes, by side and layer.
    pub spikes: Vec<Vec<Vec<Part>>>,
    /// Potentials on the first side.
    pub traces: Vec<Trace>,
}

/// What is the same for all samples.
#[derive(Debug, Clone, Copy)]
pub struct OfSamples<'a> {
    /// Names of the sides.
    pub names: &'a [String],
    /// The layers.
    pub layers: &'a [Layer],
    /// Layers and neurons to which rasters and potentials are limited; empty: all layers.
    pub shown: &'a [NeuronSelection],
    /// Names of the classes, which are the neurons of the last layer; empty where they have none.
    pub classes: &'a [String],
    /// Milliseconds of a tick.
    pub tick_ms: f64,
    /// Milliseconds of a sample.
    pub ms: f64,
}

/// A class by its number, and its name where there is one.
///
/// ```
/// use megasim_study::report::class_name;
/// assert_eq!(class_name(1, &["cat".into(), "dog".into()]), "1 (dog)");
/// assert_eq!(class_name(1, &[]), "1");
/// ```
pub fn class_name(class: usize, names: &[String]) -> String {
    match names.get(class) {
        // Folders that are named by their numbers add nothing.
        Some(name) if *name != class.to_string() => format!("{class} ({name})"),
        _ => class.to_string(),
    }
}

/// The samples as a part of a page, the chosen one first.
///
/// # Errors
/// If a picture cannot be drawn.
pub fn section(of: &OfSamples, samples: &[ShownSample]) -> Result<Section, Error> {
    let numbers: Vec<String> = samples.iter().map(|sample| sample.number.to_string()).collect();
    let title = match &numbers[..] {
        [one] => format!("Sample {one}"),
        several => format!("Samples {}", several.join(", ")),
    };
    let choices = samples.iter().enumerate().map(|(k, sample)| choice(of, sample, k == 0));
    Ok(Section { title, choices: choices.collect::<Result<_, _>>()?, ..Section::default() })
}

fn choice(of: &OfSamples, sample: &ShownSample, first: bool) -> Result<Choice, Error> {
    let suffix = if first { String::new() } else { format!("-sample-{}", sample.number) };
    let mut pictures = Vec::new();
    if let Some((extent, values)) = &sample.input {
        let panel = Panel { name: "input value".into(), values: values.clone(), range: None };
        let title = format!("Input of sample {}", sample.number);
        pictures.push(chart::grids(&format!("input{suffix}"), &title, *extent, &[panel], MOST_INPUT)?);
    }
    pictures.push(raster(of, sample, &suffix, MOST_SPIKES[usize::from(!first)])?);
    pictures.extend(potentials(of, sample, &suffix)?);
    Ok(Choice { name: format!("Sample {}", sample.number), text: sample.text.clone(), pictures })
}

/// The layers that are shown, without repetition.
fn layers_shown(of: &OfSamples) -> Vec<usize> {
    let mut layers: Vec<usize> = of.shown.iter().map(|it| it.layer).collect();
    layers.dedup();
    if layers.is_empty() { (0..of.layers.len()).collect() } else { layers }
}

/// Rasters of all sides with the same neurons.
fn raster(of: &OfSamples, sample: &ShownSample, suffix: &str, most: usize) -> Result<Picture, Error> {
    let shown = layers_shown(of);
    let budget = most / shown.len().max(1);
    let rows_wanted = MOST_ROWS[usize::from(shown.len() == 1)];
    let empty = |name: &String| chart::Raster { name: name.clone(), groups: Vec::new() };
    let mut rasters: Vec<chart::Raster> = of.names.iter().map(empty).collect();
    for layer_number in shown {
        let layer = &of.layers[layer_number];
        let spikes: Vec<&[Part]> = sample.spikes.iter().map(|side| &side[layer_number][..]).collect();
        // A neuron that is named is among the rows.
        let through = of.shown.iter().find(|it| it.layer == layer_number).and_then(|it| it.cell).unwrap_or(0);
        let (every, chosen) = thinned(layer.cells, &spikes, (budget, rows_wanted), through);
        let first = through % every;
        let rows = (layer.cells - first).div_ceil(every);
        let is_output = layer_number + 1 == of.layers.len() && every == 1 && of.classes.len() == layer.cells;
        let names = if is_output { of.classes.to_vec() } else { Vec::new() };
        for (raster, spikes) in rasters.iter_mut().zip(chosen) {
            let spikes = spikes.into_iter().map(|(tick, row)| (tick as f64 * of.tick_ms, row)).collect();
            let (name, neurons) = (short_name(&layer.name), layer.cells);
            raster.groups.push(chart::Rows { name, rows, every, first, neurons, spikes, names: names.clone() });
        }
    }
    let file = format!("raster{suffix}");
    let title = format!("Spikes of sample {}", sample.number);
    let axes = Axes { file: &file, title: &title, x: "time (ms)", ..Axes::default() };
    let caption = "Each mark is a spike, each row a neuron, the same ones side by side; of large layers some neurons, \
        evenly spaced.";
    Ok(chart::rasters(&axes, of.ms, "ms", &rasters)?.with_caption(caption))
}

/// Potentials of the first side; none where no neuron has one.
fn potentials(of: &OfSamples, sample: &ShownSample, suffix: &str) -> Result<Option<Picture>, Error> {
    if sample.traces.is_empty() {
        return Ok(None);
    }
    let one = |trace: &Trace| {
        let threshold = f64::from(trace.threshold.max(1));
        let is_output = trace.layer + 1 == of.layers.len() && of.classes.len() == of.layers[trace.layer].cells;
        let name = of.classes.get(trace.cell).filter(|_| is_output);
        let name = name.map_or(String::new(), |name| format!(", {name}"));
        let spikes = sample.spikes.first().map(|side| &side[trace.layer][..]).unwrap_or_default();
        let own = spikes.iter().filter(|(_, cell)| *cell as usize == trace.cell);
        Potential {
            layer: of.layers[trace.layer].name.clone(),
            neuron: format!("{}{name}", neuron(&of.layers[trace.layer], trace)),
            points: trace
                .points
                .iter()
                .map(|&(tick, v)| (tick as f64 * of.tick_ms, f64::from(v) / threshold))
                .collect(),
            spikes: own.map(|&(tick, _)| tick as f64 * of.tick_ms).collect(),
        }
    };
    let all: Vec<Potential> = sample.traces.iter().map(one).collect();
    let side = of.names.first().map_or("", String::as_str);
    let file = format!("potentials{suffix}");
    let title = format!("Membrane potentials of sample {}, {side}", sample.number);
    let axes = Axes { file: &file, title: &title, x: "time (ms)", y: "potential (thresholds)", ..Axes::default() };
    let which = if of.shown.iter().any(|it| it.cell.is_some()) {
        "The neurons that were named"
    } else if of.shown.is_empty() {
        "Of each layer the neuron that spikes most"
    } else {
        "The neurons of the layer that spike most"
    };
    let caption =
        format!("{which}, each on its own axis; the dashed line is the threshold (1), marks above are spikes.");
    Ok(Some(chart::potentials(&axes, of.ms, &all)?.with_caption(caption)))
}

/// Where a neuron is, as `--show` takes it; of a layer that is one row, its number.
fn neuron(layer: &Layer, trace: &Trace) -> String {
    let Place { map, x, y } = trace.place;
    match &layer.nodes[..] {
        [row] if row.ny == 1 => format!("neuron {x}"),
        _ => format!("map {map}, y {y}, x {x}"),
    }
}

/// The part of a layer's name before its size, in short.
pub(super) fn short_name(name: &str) -> String {
    let name = name.split('_').next().unwrap_or(name);
    name.replace("AveragePooling", "AvgPool").replace("MaxPooling", "MaxPool")
}

/// The spikes of evenly spaced cells, cell `through` among them, the same ones of each side, at most `budget` spikes a
/// side and `rows` cells: of how many cells each is one, and `(tick, row)`.
fn thinned(
    cells: usize,
    sides: &[&[Part]],
    (budget, rows): (usize, usize),
    through: usize,
) -> (usize, Vec<Vec<(Tick, usize)>>) {
    let mut every = cells.div_ceil(rows).max(1);
    loop {
        let first = through % every;
        let row = |cell: u32| (cell as usize).checked_sub(first).filter(|cell| cell.is_multiple_of(every));
        let chosen = sides.iter().map(|spikes| {
            let kept = spikes.iter().filter_map(|&(tick, cell)| Some((tick, row(cell)? / every)));
            kept.collect::<Vec<_>>()
        });
        let mut chosen: Vec<_> = chosen.collect();
        if chosen.iter().all(|side| side.len() <= budget) || every >= cells {
            chosen.iter_mut().for_each(|side| side.truncate(budget));
            return (every, chosen);
        }
        every *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rasters_hold_the_neuron_that_is_named_and_no_more_spikes_than_fit() {
        let spikes: Vec<Part> = (0..1000).map(|k| (k, (k % 100) as u32)).collect();
        let (every, chosen) = thinned(100, &[&spikes], (400, 60), 37);
        assert_eq!((every, chosen[0].len()), (4, 250));
        // Cell 37 is row 9 of cells 1, 5, 9, ...
        assert_eq!(chosen[0].iter().filter(|(tick, row)| tick % 100 == 37 && *row == 9).count(), 10);
    }
}
