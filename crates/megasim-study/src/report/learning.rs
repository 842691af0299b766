//! The page of a single-spike network: how it was trained, what its maps prefer, and when and where it spikes.

use super::chart::{self, Axes, Extent, Line, Panel};
use super::picture::number;
use super::{Error, Page, Section, Table};
use crate::answers;
use crate::statistics::Histogram;
use megasim_stdp::{PassLog, SpikeWave, Winner};
use ndarray::Array3;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Cells of one picture.
const MOST_CELLS: usize = 12_000;

/// Intervals of the weights of a layer.
const INTERVALS: usize = 40;

/// What a page shows.
#[derive(Debug)]
pub struct Learned<'a> {
    /// Heading of the page.
    pub title: String,
    /// What was run, line by line.
    pub facts: Vec<(String, String)>,
    /// What each pass came to.
    pub log: &'a [PassLog],
    /// Layers with weights.
    pub convolutions: Vec<LearnedLayer>,
    /// One stimulus.
    pub detail: SampleDetail,
    /// First winner of the last layer on each of some stimuli, with the number and the class of the stimulus.
    pub winners: Vec<(usize, usize, Option<Winner>)>,
}

/// A layer with weights.
#[derive(Debug)]
pub struct LearnedLayer {
    /// Its number, from 1.
    pub number: usize,
    /// All its weights.
    pub weights: Vec<f64>,
    /// What each map prefers to see, in the domain of pixels, axes (map, row, column).
    pub preferred: Array3<f32>,
}

/// One stimulus in all layers.
#[derive(Debug)]
pub struct SampleDetail {
    /// Its number in the data.
    pub sample: usize,
    /// What the filters make of it.
    pub input: SpikeWave,
    /// The wave of each layer, with the layer's number, from 1.
    pub layers: Vec<(usize, SpikeWave)>,
}

/// The page.
///
/// # Errors
/// If a picture cannot be drawn.
pub fn page(of: &Learned) -> Result<Page, Error> {
    let mut sections = vec![training(of)?];
    for layer in &of.convolutions {
        sections.push(weights(layer)?);
    }
    sections.extend([spike_times(&of.detail)?, winners(of)]);
    sections.retain(|section| !section.pictures.is_empty() || !section.tables.is_empty());
    let mut answer = answers::of_training(of.log);
    for warning in answers::not_learnt(of.log) {
        answer += &format!(" Warning: {warning}.");
    }
    answer += &who_wins(&of.winners);
    Ok(Page { title: of.title.clone(), answer, facts: of.facts.clone(), sections, ..Page::default() })
}

/// The mean of `w (1 - w)` by pass, which falls to 0 as weights settle (Kheradpisheh et al. 2018, equation 5), and the
/// decisions of reward-modulated STDP.
fn training(of: &Learned) -> Result<Section, Error> {
    let mut convergence: BTreeMap<usize, Vec<(f64, f64)>> = BTreeMap::new();
    let mut decisions: Vec<Line> =
        ["right", "wrong", "silent"].map(|name| Line { name: name.into(), ..Line::default() }).into();
    for PassLog { layer, pass, convergence: mean, outcomes } in of.log {
        convergence.entry(*layer).or_default().push((*pass as f64, *mean));
        if let Some(outcomes) = outcomes {
            let all = outcomes.iter().sum::<u64>().max(1) as f64;
            for (line, &count) in decisions.iter_mut().zip(outcomes) {
                line.points.push((*pass as f64, 100.0 * count as f64 / all));
            }
        }
    }
    let lines: Vec<Line> = convergence
        .into_iter()
        .map(|(layer, points)| Line { name: format!("layer {layer}"), points, ..Line::default() })
        .collect();
    let mut pictures = Vec::new();
    if !lines.is_empty() {
        let axes = Axes {
            file: "convergence",
            title: "Convergence of the weights",
            x: "pass",
            y: "mean of w (1 - w)",
            from_zero: true,
            ..Axes::default()
        };
        pictures.push(chart::lines(&axes, &lines)?.with_caption("0 when all weights have settled at 0 or 1."));
    }
    if decisions[0].points.len() > 1 {
        let axes = Axes {
            file: "decisions",
            title: "Decisions while learning by reward",
            x: "pass",
            y: "share of stimuli (%)",
            from_zero: true,
            ..Axes::default()
        };
        pictures
            .push(chart::lines(&axes, &decisions)?.with_caption("Learning is done when right stays high and level."));
    }
    Ok(Section { title: "Training".into(), pictures, ..Section::default() })
}

fn weights(layer: &LearnedLayer) -> Result<Section, Error> {
    let LearnedLayer { number, weights, preferred } = layer;
    let (maps, ny, nx) = preferred.dim();
    // Each map between its own least and greatest value.
    let values = preferred.outer_iter().flat_map(|map| {
        let (low, high) = map.iter().fold((f32::MAX, f32::MIN), |(low, high), &at| (low.min(at), high.max(at)));
        let scale = if high > low { 1.0 / f64::from(high - low) } else { 0.0 };
        map.iter().map(|&value| f64::from(value - low) * scale).collect::<Vec<_>>()
    });
    let panel = Panel { name: "pixels, by map from least to greatest".into(), values: values.collect(), range: None };
    let caption = format!(
        "For each of the {maps} maps, row by row from map 0, the weighted sum of what the maps below prefer, down to \
            the filters; {nx} by {ny} pixels are what one neuron sees."
    );
    let file = format!("layer-{number}-preferred");
    let stimuli = chart::grids(&file, "Preferred stimuli", Extent { maps, ny, nx }, &[panel], MOST_CELLS)?;
    let (file, title) = (format!("layer-{number}-weights"), format!("Weights of layer {number}"));
    let axes =
        Axes { file: &file, title: &title, x: "weight", y: "share of weights", from_zero: true, ..Axes::default() };
    let histogram = Histogram::of(weights.iter().copied(), INTERVALS);
    let histogram =
        chart::histogram(&axes, "weights", &histogram)?.with_caption("Of all maps; settled weights are at 0 and 1.");
    Ok(Section {
        title: format!("Layer {number}: what it learned"),
        pictures: vec![stimuli.with_caption(caption), histogram],
        ..Section::default()
    })
}

/// Which maps of the last layer win how often.
fn who_wins(winners: &[(usize, usize, Option<Winner>)]) -> String {
    if winners.is_empty() {
        return String::new();
    }
    let mut wins: BTreeMap<usize, usize> = BTreeMap::new();
    for winner in winners.iter().filter_map(|(.., winner)| winner.as_ref()) {
        *wins.entry(winner.map).or_default() += 1;
    }
    let n = winners.len();
    match wins.iter().max_by_key(|(map, n)| (**n, Reverse(**map))) {
        None => format!(" None of {n} samples has a winner in the last layer."),
        Some((map, most)) => {
            let maps = if wins.len() == 1 { "1 map wins".to_string() } else { format!("{} maps win", wins.len()) };
            format!(" In the last layer {maps} on {n} samples, map {map} most often ({most}).")
        }
    }
}

/// Dark for early, white for never.
fn spike_times(of: &SampleDetail) -> Result<Section, Error> {
    let input = std::iter::once(("input".to_string(), "filters".to_string(), &of.input));
    let layers = of.layers.iter().map(|(number, wave)| (format!("layer-{number}"), format!("layer {number}"), wave));
    let pictures = input.chain(layers).map(|(file, name, wave)| {
        let (maps, ny, nx) = wave.shape().dim();
        let steps = wave.time_steps();
        let values = wave.latencies().iter().map(|&bin| f64::from(steps - bin)).collect();
        let panel = Panel {
            name: format!("steps left after the spike, of {steps} (0: no spike)"),
            values,
            range: Some((0.0, f64::from(steps))),
        };
        let title = format!("Spike times, {name}");
        let picture =
            chart::grids(&format!("spike-times-{file}"), &title, Extent { maps, ny, nx }, &[panel], MOST_CELLS)?;
        Ok(picture.with_caption(format!(
            "{} of {} neurons spike; maps row by row from map 0.",
            wave.len(),
            maps * ny * nx
        )))
    });
    Ok(Section {
        title: format!("Sample {}: when each neuron spikes", of.sample),
        text: "The darker, the earlier; white neurons stay silent.".into(),
        pictures: pictures.collect::<Result<_, Error>>()?,
        ..Section::default()
    })
}

fn winners(of: &Learned) -> Section {
    let mut table = Table::new(&["sample", "class", "map", "row", "column", "bin"]);
    for (sample, class, winner) in &of.winners {
        let mut row = vec![sample.to_string(), class.to_string()];
        row.extend(match winner {
            Some(Winner { map, row, column, bin }) => {
                let bin = bin.map_or("-".into(), |bin| number(f64::from(bin)));
                [map.to_string(), row.to_string(), column.to_string(), bin]
            }
            None => ["-", "-", "-", "-"].map(String::from),
        });
        table.rows.push(row);
    }
    let tables = if table.rows.is_empty() { Vec::new() } else { vec![table] };
    Section {
        title: "Winners of the last layer".into(),
        text: "The first neuron to spike, and of those of its bin the one with the highest potential.".into(),
        tables,
        ..Section::default()
    }
}
