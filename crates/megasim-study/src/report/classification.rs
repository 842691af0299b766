//! The page of a classification.

use super::chart::{self, Axes, Extent, Line, Panel};
use super::comparison::{file, short_name, thinned};
use super::history::History;
use super::{Error, Page, Section, Table};
use crate::classification::Course;
use crate::compare::Accuracy;
use crate::layers::Layer;

/// Spikes of a raster.
const MOST_SPIKES: usize = 7_000;

/// One mode.
#[derive(Debug)]
pub struct ShownMode {
    /// Its name.
    pub name: String,
    /// Share of right decisions.
    pub accuracy: Accuracy,
    /// Samples by label and decision; the last column are those without one.
    pub confusion: Vec<Vec<usize>>,
    /// All samples over time.
    pub course: Course,
    /// What it decides on the first sample.
    pub first: Option<usize>,
}

/// What a page shows.
#[derive(Debug)]
pub struct Shown<'a> {
    /// Heading of the page.
    pub title: String,
    /// What was run, line by line.
    pub facts: Vec<(String, String)>,
    /// The modes.
    pub modes: Vec<ShownMode>,
    /// The analog network, where there is one.
    pub analog: Option<Accuracy>,
    /// The layers.
    pub layers: &'a [Layer],
    /// Number of the first sample in the data set, and its label.
    pub sample: (usize, usize),
    /// Numbers of that sample.
    pub input: Option<(Extent, Vec<f64>)>,
    /// Milliseconds of a tick.
    pub tick_ms: f64,
    /// How long a sample is shown, in milliseconds.
    pub duration_ms: f64,
    /// How the network was trained.
    pub history: Option<&'a History>,
}

/// The page.
///
/// # Errors
/// If a picture cannot be drawn.
pub fn page(of: &Shown) -> Result<Page, Error> {
    let mut sections = vec![decisions(of)?, over_time(of)?, sample(of)?];
    sections.extend(of.history.map(History::section).transpose()?);
    sections.retain(|section| !section.pictures.is_empty() || !section.tables.is_empty());
    Ok(Page { title: of.title.clone(), facts: of.facts.clone(), sections })
}

fn lines(of: &Shown, get: impl Fn(&Course) -> Option<Vec<f64>>) -> Vec<Line> {
    let line = |mode: &ShownMode| {
        let points = mode.course.ms.iter().copied().zip(get(&mode.course)?).collect();
        Some(Line { name: mode.name.clone(), points, ..Line::default() })
    };
    of.modes.iter().filter_map(line).collect()
}

fn decisions(of: &Shown) -> Result<Section, Error> {
    let mut table = Table::new(&["", "accuracy (%)", "95 % interval (%)"]);
    let row = |name: &str, it: &Accuracy| {
        let two = |share: f64| format!("{:.2}", 100.0 * share);
        vec![name.to_string(), two(it.share), format!("{} to {}", two(it.interval.0), two(it.interval.1))]
    };
    table.rows.extend(of.analog.iter().map(|analog| row("analog", analog)));
    table.rows.extend(of.modes.iter().map(|mode| row(&mode.name, &mode.accuracy)));
    let mut section = Section { title: "Decisions".into(), tables: vec![table], ..Section::default() };
    let percents = |shares: &[f64]| shares.iter().map(|share| 100.0 * (1.0 - share)).collect::<Vec<_>>();
    let mut accuracy = lines(of, |course| course.error.as_deref().map(percents));
    if !accuracy.is_empty() {
        if let (Some(first), Some(analog)) = (accuracy.first(), &of.analog) {
            let level = first.points.iter().map(|&(ms, _)| (ms, 100.0 * analog.share)).collect();
            accuracy.push(Line { name: "analog".into(), points: level, ..Line::default() });
        }
        let axes = Axes {
            file: "accuracy-over-time",
            title: "Accuracy over time",
            x: "time (ms)",
            y: "right decisions (%)",
            from_zero: true,
            ..Axes::default()
        };
        let caption = "Share of samples that are decided right on the spikes up to a time.";
        section.pictures.push(chart::lines(&axes, &accuracy)?.with_caption(caption));
    } else {
        section.text = "Potentials decide at the end of a sample, so there is no accuracy over time.".into();
    }
    for mode in &of.modes {
        let classes = mode.confusion.len();
        let columns: Vec<String> = (0..classes).map(|class| class.to_string()).chain(["none".to_string()]).collect();
        let picture = chart::matrix(
            &format!("confusion-{}", file(&mode.name)),
            &format!("Confusion, {}", mode.name),
            ("label", "decision"),
            &columns,
            &mode.confusion,
        )?;
        section.pictures.push(picture.with_caption("Samples by label (row) and decision (column)."));
    }
    Ok(section)
}

fn over_time(of: &Shown) -> Result<Section, Error> {
    let axes = |file, title, y| Axes { file, title, x: "time (ms)", y, from_zero: true, ..Axes::default() };
    let operations = axes("operations-over-time", "Operations over time", "weights added so far, a sample");
    let spikes = axes("spikes-over-time", "Spikes over time", "spikes so far, a sample");
    let pictures = vec![
        chart::lines(&operations, &lines(of, |course| Some(course.operations.clone())))?
            .with_caption("Weights added to potentials, mean over the samples."),
        chart::lines(&spikes, &lines(of, |course| Some(course.spikes.clone())))?
            .with_caption("Spikes of all layers, mean over the samples."),
    ];
    Ok(Section { title: "Over time".into(), pictures, ..Section::default() })
}

fn sample(of: &Shown) -> Result<Section, Error> {
    let (number, label) = of.sample;
    let decides = |mode: &ShownMode| {
        let class = mode.first.map_or("none".to_string(), |class| class.to_string());
        format!("{} decides {class}", mode.name)
    };
    let decided: Vec<String> = of.modes.iter().map(decides).collect();
    let mut section = Section {
        title: format!("Sample {number}"),
        text: format!("Its label is {label}; {}.", decided.join(", ")),
        ..Section::default()
    };
    if let Some((extent, values)) = &of.input {
        let panel = Panel { name: "input value".into(), values: values.clone(), range: None };
        section.pictures.push(chart::grids("input", "Input", *extent, &[panel], 4096)?);
    }
    for mode in &of.modes {
        let budget = MOST_SPIKES / of.layers.len().max(1);
        let groups: Vec<_> = of
            .layers
            .iter()
            .zip(&mode.course.first)
            .map(|(layer, spikes)| {
                let (rows, spikes) = thinned(layer.cells, spikes, budget);
                let of_all = if rows < layer.cells { format!(" ({rows} of {})", layer.cells) } else { String::new() };
                let spikes = spikes.into_iter().map(|(tick, row)| (tick as f64 * of.tick_ms, row)).collect();
                chart::Rows { name: format!("{}{of_all}", short_name(&layer.name)), rows, spikes }
            })
            .collect();
        let (stem, title) = (format!("raster-{}", file(&mode.name)), format!("Spikes, {}", mode.name));
        let axes = Axes { file: &stem, title: &title, x: "time (ms)", ..Axes::default() };
        let caption = "Each mark is a spike, each row a neuron; of large layers some neurons, evenly spaced.";
        section.pictures.push(chart::raster(&axes, of.duration_ms, &groups)?.with_caption(caption));
    }
    Ok(section)
}
