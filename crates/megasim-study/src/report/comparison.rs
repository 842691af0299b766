//! The page of a comparison.

use super::chart::{self, Axes, Bars, Extent, Line, Panel};
use super::history::History;
use super::picture::{number, short};
use super::samples::{InputValues, OfSamples, ShownSample, short_name};
use super::{Error, Page, Picture, Section, Table, class_name};
use crate::answers;
use crate::compare::{Accuracy, Causes, Comparison, SampleDetail};
use crate::distributions::Distributions;
use crate::layers::Layer;
use crate::showing as neurons;
use megasim_core::network::Tick;

/// Cells of all maps of a page, so that it opens.
const MOST_CELLS: usize = 36_000;

/// Small histograms in a picture.
const MOST_SMALL: usize = 12;

/// Layers from which on the page folds them.
const FOLDED_FROM: usize = 9;

/// Everything that a page shows.
#[derive(Debug)]
pub struct PageContent<'a> {
    /// Heading of the page.
    pub title: String,
    /// What was run, line by line.
    pub facts: Vec<(String, String)>,
    /// The figures.
    pub comparison: &'a Comparison,
    /// The layers, where the cells of each are known.
    pub layers: &'a [Layer],
    /// Why there are lost and extra spikes.
    pub causes: Option<&'a Causes>,
    /// Samples in full, the chosen one first, and the numbers of each.
    pub details: &'a [(SampleDetail, Option<InputValues>)],
    /// Layers and neurons that were asked for.
    pub shown: &'a [neurons::NeuronSelection],
    /// Names of the classes, where they have some.
    pub classes: &'a [String],
    /// Weights and activations.
    pub distributions: &'a [Distributions],
    /// Accuracy of the right side with clocked steps of several lengths, in ticks.
    pub steps: Vec<(Tick, Accuracy)>,
    /// How the network was trained.
    pub history: Option<&'a History>,
}

/// The page.
///
/// # Errors
/// If a picture cannot be drawn.
pub fn page(of: &PageContent) -> Result<Page, Error> {
    let mut sections = vec![decisions(of)?, summary(of)?, over_time(of)?];
    if !of.steps.is_empty() {
        sections.push(steps(of)?);
    }
    sections.push(samples(of)?);
    if !of.distributions.is_empty() {
        sections.push(combined(of)?);
    }
    sections.extend(of.history.map(History::section).transpose()?);
    for layer in 0..of.layers.len() {
        sections.push(one_layer(of, layer)?);
    }
    sections.retain(|section| !section.is_empty());
    sections.iter_mut().for_each(|section| section.folded = true);
    let answer = answers::of_comparison(of.comparison, of.causes);
    Ok(Page { title: of.title.clone(), answer, facts: of.facts.clone(), sections, ..Page::default() })
}

fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

fn maybe(value: Option<f64>) -> String {
    value.map_or("-".into(), |value| format!("{value:.4}"))
}

/// A picture's place in the order of its files, and a name that any file system takes.
pub(super) fn file(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect()
}

fn decisions(of: &PageContent) -> Result<Section, Error> {
    let comparison = of.comparison;
    let [left, right] = &comparison.names;
    let mut section = Section { title: "Decisions".into(), ..Section::default() };
    let Some(decisions) = &comparison.decisions else { return Ok(section) };
    section.text = format!("Of the decisions of {left} and {right}, {} agree.", percent(decisions.agreement));
    if let Some(answers) = &decisions.right {
        let mut table = Table::new(&["", "accuracy", "95 % interval", "as analog", "spikes", "operations"]);
        let total = |of: &[f64]| of.last().map_or("-".into(), |&sum| short(sum));
        let course = &comparison.course;
        let interval = |(low, high): (f64, f64)| format!("{:.2} to {:.2} %", 100.0 * low, 100.0 * high);
        if let Some(analog) = &answers.analog {
            table.rows.push(vec![
                "analog".into(),
                percent(analog.share),
                interval(analog.interval),
                "-".into(),
                "-".into(),
                "-".into(),
            ]);
        }
        for (side, name) in comparison.names.iter().enumerate() {
            let one = &answers.sides[side];
            let analog = decisions.agreement_analog.map_or("-".into(), |shares| percent(shares[side]));
            let sums = [total(&course.spikes[side]), total(&course.operations[side])];
            let row = [name.clone(), percent(one.share), interval(one.interval), analog];
            table.rows.push(row.into_iter().chain(sums).collect());
        }
        section.tables.push(table);
        section.text += &format!(
            " On {} samples only {left} is right, on {} only {right}; McNemar's exact test: p = {:.3}.",
            answers.only[0], answers.only[1], answers.mcnemar
        );
        if let Some(error) = &comparison.course.error {
            let course = |values: &[f64]| {
                comparison.course.ms.iter().copied().zip(values.iter().map(|share| 100.0 * share)).collect::<Vec<_>>()
            };
            let line =
                |name: &String, values: &[f64]| Line { name: name.clone(), points: course(values), ..Line::default() };
            let mut lines = vec![line(left, &error[0]), line(right, &error[1])];
            if let Some(analog) = &answers.analog {
                let level = vec![1.0 - analog.share; comparison.course.ms.len()];
                lines.push(line(&"analog".to_string(), &level));
            }
            let axes = Axes {
                file: "error-over-time",
                title: "Error over time",
                x: "time (ms)",
                y: "wrong decisions (%)",
                from_zero: true,
                ..Axes::default()
            };
            let caption = "Share of samples that are decided wrong, or not at all, on the spikes up to a time.";
            section.pictures.push(chart::lines(&axes, &lines)?.with_caption(caption));
        }
        let columns: Vec<String> =
            (0..decisions.classes).map(|class| class_name(class, of.classes)).chain(["none".to_string()]).collect();
        for (side, name) in comparison.names.iter().enumerate() {
            let picture = chart::matrix(
                &format!("confusion-{}", file(name)),
                &format!("Confusion matrix, {name}"),
                ("label", "decision"),
                &columns,
                &answers.confusion[side],
            )?;
            section.pictures.push(picture.with_caption("Samples by label (row) and decision (column)."));
        }
    }
    Ok(section)
}

fn summary(of: &PageContent) -> Result<Section, Error> {
    let comparison = of.comparison;
    let [left, right] = &comparison.names;
    let mut table = Table::new(&["layer", "neurons"]);
    let with_analog = comparison.layers.iter().any(|layer| layer.analog.is_some());
    let names = [
        format!("spikes {left}"),
        format!("spikes {right}"),
        "lost".into(),
        "extra".into(),
        format!("r {left}/{right}"),
        "first spike (ms)".into(),
        "silent (%)".into(),
        "saturated (%)".into(),
    ];
    table.columns.extend(names);
    if with_analog {
        table.columns.extend(comparison.names.iter().map(|name| format!("r {name}/analog")));
    }
    for layer in &comparison.layers {
        let analog = |side: usize| maybe(layer.analog.and_then(|of| of[side].correlation));
        let mut row = vec![
            layer.name.clone(),
            layer.neurons.to_string(),
            format!("{:.1}", layer.spikes[0]),
            format!("{:.1}", layer.spikes[1]),
            format!("{:.2}", layer.lost),
            format!("{:.2}", layer.extra),
            maybe(layer.sides.correlation),
            maybe(layer.first_spike_difference_ms),
            format!("{:.1} / {:.1}", 100.0 * layer.silent[0], 100.0 * layer.silent[1]),
            format!("{:.1} / {:.1}", 100.0 * layer.saturated[0], 100.0 * layer.saturated[1]),
        ];
        if with_analog {
            row.extend([analog(0), analog(1)]);
        }
        table.rows.push(row);
    }
    let groups: Vec<String> = comparison.layers.iter().map(|layer| short_name(&layer.name)).collect();
    let mut pictures = Vec::new();
    let correlation = |of: &dyn Fn(usize) -> Option<f64>| {
        (0..comparison.layers.len()).filter_map(|k| Some((k as f64, of(k)?))).collect::<Vec<_>>()
    };
    let mut lines = vec![Line {
        name: format!("{left}/{right}"),
        points: correlation(&|k| comparison.layers[k].sides.correlation),
        ..Line::default()
    }];
    if with_analog {
        for side in 0..2 {
            lines.push(Line {
                name: format!("{}/analog", comparison.names[side]),
                points: correlation(&|k| comparison.layers[k].analog?[side].correlation),
                ..Line::default()
            });
        }
    }
    if comparison.layers.len() > 1 {
        let axes = Axes {
            file: "correlations",
            title: "Correlation of rates, layer by layer",
            x: "layer",
            y: "Pearson's r",
            names: &groups,
            ..Axes::default()
        };
        pictures.push(
            chart::lines(&axes, &lines)?.with_caption("Over all neurons and samples; 1: the rates are proportional."),
        );
    }
    let kinds = [0, 1].map(|side| {
        (comparison.names[side].clone(), comparison.layers.iter().map(|layer| layer.spikes[side]).collect::<Vec<_>>())
    });
    let axes =
        Axes { file: "spikes", title: "Spikes of each layer", x: "layer", y: "spikes per sample", ..Axes::default() };
    let spikes = chart::bars(&axes, &Bars { groups: groups.clone(), kinds: kinds.to_vec() })?;
    pictures.push(spikes.with_caption("Means over the samples; bars of unequal length are spikes lost or extra."));
    let differs = |causes: &&Causes| {
        causes.layers.iter().any(|layer| layer.extra_by.iter().chain(&layer.lost_by).any(|&spikes| spikes != 0.0))
    };
    if let Some(causes) = of.causes.filter(differs) {
        let kinds = causes.causes.iter().enumerate().map(|(k, cause)| {
            let net = causes.layers.iter().map(|layer| layer.extra_by[k] - layer.lost_by[k]);
            (cause.name().to_string(), net.collect::<Vec<_>>())
        });
        let axes = Axes {
            file: "causes",
            title: "Causes of lost and extra spikes",
            x: "layer",
            y: "extra less lost, spikes per sample",
            ..Axes::default()
        };
        let caption = format!(
            "What each rule adds to the spikes of {left} (right of 0) or takes from them (left), against {right}; over \
                {} samples.",
            causes.samples
        );
        pictures.push(chart::bars(&axes, &Bars { groups, kinds: kinds.collect() })?.with_caption(caption));
    }
    let text = format!(
        "Means per sample; lost and extra: spikes that {left} has less and more, neuron by neuron; r: Pearson's \
            correlation of rates over all neurons and samples."
    );
    Ok(Section { title: "Layers".into(), text, tables: vec![table], pictures, ..Section::default() })
}

fn over_time(of: &PageContent) -> Result<Section, Error> {
    let course = &of.comparison.course;
    let lines = |values: &[Vec<f64>; 2]| {
        [0, 1].map(|side| Line {
            name: of.comparison.names[side].clone(),
            points: course.ms.iter().copied().zip(values[side].iter().copied()).collect(),
            ..Line::default()
        })
    };
    let axes = |file, title, y| Axes { file, title, x: "time (ms)", y, from_zero: true, ..Axes::default() };
    let operations = axes("operations-over-time", "Operations over time", "weights added so far, per sample");
    let spikes = axes("spikes-over-time", "Spikes over time", "spikes so far, per sample");
    let pictures = vec![
        chart::lines(&operations, &lines(&course.operations))?
            .with_caption("Weights added to potentials, mean over the samples."),
        chart::lines(&spikes, &lines(&course.spikes))?.with_caption("Spikes of all layers, mean over the samples."),
    ];
    Ok(Section { title: "Over time".into(), pictures, ..Section::default() })
}

fn steps(of: &PageContent) -> Result<Section, Error> {
    let percents = |it: &Accuracy| (100.0 * it.share, (100.0 * it.interval.0, 100.0 * it.interval.1));
    let mut lines = vec![Line {
        name: of.comparison.names[1].clone(),
        points: of.steps.iter().map(|(dt, it)| (*dt as f64, percents(it).0)).collect(),
        bounds: of.steps.iter().map(|(_, it)| percents(it).1).collect(),
        steps: false,
    }];
    let decisions = of.comparison.decisions.as_ref();
    if let Some(left) = decisions.and_then(|decisions| decisions.right.as_ref()).map(|right| right.sides[0]) {
        lines.push(Line {
            name: of.comparison.names[0].clone(),
            points: of.steps.iter().map(|(dt, _)| (*dt as f64, percents(&left).0)).collect(),
            ..Line::default()
        });
    }
    let axes = Axes {
        file: "accuracy-against-dt",
        title: "Accuracy against the clocked step",
        x: "clocked step (ticks)",
        y: "accuracy (%)",
        ..Axes::default()
    };
    let pictures = vec![chart::lines(&axes, &lines)?.with_caption("Bars are Wilson's 95 % intervals.")];
    Ok(Section { title: "Clocked steps of other lengths".into(), pictures, ..Section::default() })
}

fn samples(of: &PageContent) -> Result<Section, Error> {
    let names = &of.comparison.names;
    let class = |class: Option<usize>| class.map_or("none".to_string(), |class| class_name(class, of.classes));
    let one = |(detail, input): &(SampleDetail, Option<InputValues>)| ShownSample {
        number: detail.sample,
        text: match of.comparison.decisions {
            Some(_) => format!(
                "{}{} decides {}, {} decides {}.",
                detail.label.map_or(String::new(), |label| format!("Its label is {}; ", class(Some(label)))),
                names[0],
                class(detail.decisions[0]),
                names[1],
                class(detail.decisions[1])
            ),
            None => String::new(),
        },
        input: input.clone(),
        spikes: (0..2).map(|side| detail.layers.iter().map(|one| one.spikes[side].clone()).collect()).collect(),
        traces: detail.traces.clone(),
    };
    let all: Vec<ShownSample> = of.details.iter().map(one).collect();
    let Some((first, _)) = of.details.first() else { return Ok(Section::default()) };
    let same = OfSamples {
        names,
        layers: of.layers,
        shown: of.shown,
        classes: of.classes,
        tick_ms: first.tick_ms,
        ms: first.ms,
    };
    super::samples::section(&same, &all)
}

fn combined(of: &PageContent) -> Result<Section, Error> {
    let mut pictures = Vec::new();
    let named = |get: &dyn Fn(&Distributions) -> Option<crate::statistics::Histogram>| {
        of.distributions.iter().filter_map(|it| Some((short_name(&it.name), get(it)?))).collect::<Vec<_>>()
    };
    let sets = [
        (
            "activations-before",
            "Activations before normalisation",
            "activation",
            named(&|it| Some(it.activations_before.clone())),
        ),
        (
            "activations-after",
            "Activations after normalisation",
            "activation (spikes/ms)",
            named(&|it| Some(it.activations_after.clone())),
        ),
        ("weights-before", "Weights before normalisation", "weight", named(&|it| it.weights_before.clone())),
        ("weights-after", "Weights after normalisation", "weight (thresholds)", named(&|it| it.weights_after.clone())),
    ];
    for (file, title, x, histograms) in sets {
        // The layers have their own, large ones.
        let every = histograms.len().div_ceil(MOST_SMALL).max(1);
        let shown: Vec<_> = histograms.into_iter().step_by(every).collect();
        if shown.is_empty() {
            continue;
        }
        let axes = Axes { file, title, x, y: "share", ..Axes::default() };
        let which = if every > 1 { format!("Every {every}th layer") } else { "Each layer".to_string() };
        let caption = format!("{which} on its own axes.");
        pictures.push(chart::histograms(&axes, &shown)?.with_caption(caption));
    }
    Ok(Section {
        title: "Normalisation".into(),
        text: "Activations above 0 over the first samples; after normalisation 1 is one spike per millisecond.".into(),
        pictures,
        ..Section::default()
    })
}

fn one_layer(of: &PageContent, k: usize) -> Result<Section, Error> {
    let layer = &of.layers[k];
    let names = &of.comparison.names;
    let stem = format!("layer-{k:02}-{}", file(&layer.name));
    let many = of.layers.len() >= FOLDED_FROM;
    let mut section = Section { title: format!("Layer {}", layer.name), folded: true, ..Section::default() };
    let most = (MOST_CELLS / (3 * of.layers.len().max(1))).clamp(100, 1600);
    if let Some((detail, _)) = of.details.first() {
        let one = &detail.layers[k];
        let rates = |counts: &[u32]| counts.iter().map(|&n| f64::from(n) / detail.counted_ms).collect::<Vec<f64>>();
        let left = rates(&one.counts[0]);
        let panels = match &one.analog {
            Some(analog) => {
                let analog: Vec<f64> = analog.iter().map(|&rate| f64::from(rate)).collect();
                let greatest = |values: &[f64]| values.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
                let (a, b) = (greatest(&left), greatest(&analog));
                let difference: Vec<f64> =
                    left.iter().zip(&analog).map(|(left, analog)| left / a - analog / b).collect();
                let bound = difference.iter().fold(0.01f64, |bound, value| bound.max(value.abs()));
                vec![
                    Panel { name: format!("{} (spikes/ms)", names[0]), values: left, range: None },
                    Panel { name: "activation (spikes/ms)".into(), values: analog, range: None },
                    Panel { name: "difference, normalised".into(), values: difference, range: Some((-bound, bound)) },
                ]
            }
            None => {
                let right = rates(&one.counts[1]);
                let difference: Vec<f64> = left.iter().zip(&right).map(|(left, right)| left - right).collect();
                let bound = difference.iter().fold(0.01f64, |bound, value| bound.max(value.abs()));
                vec![
                    Panel { name: format!("{} (spikes/ms)", names[0]), values: left, range: None },
                    Panel { name: format!("{} (spikes/ms)", names[1]), values: right, range: None },
                    Panel { name: "difference (spikes/ms)".into(), values: difference, range: Some((-bound, bound)) },
                ]
            }
        };
        let title = format!("Rates of {} on sample {}", layer.name, detail.sample);
        let caption = match &one.analog {
            Some(_) => {
                "One tile a map, dark for much. The difference is of both over their greatest value: white is none, \
                    blue is more spikes than activation, orange fewer."
            }
            None => {
                "One tile a map, dark for much. White is no difference, blue is more spikes of the first, orange fewer."
            }
        };
        section
            .pictures
            .push(chart::grids(&format!("{stem}-map"), &title, extent(layer), &panels, most)?.with_caption(caption));
    }
    let figures = &of.comparison.layers[k];
    let cells = &of.comparison.cells;
    if let Some(cells) = cells.get(k) {
        let samples = of.comparison.samples.max(1) as f64;
        let ms = of.details.first().map_or(of.comparison.duration_ms, |(detail, _)| detail.counted_ms);
        let rate = |side: usize, cell: usize| cells.spikes[side][cell] as f64 / samples / ms;
        let (x_name, points): (String, Vec<(f64, f64)>) = match &cells.analog {
            Some(analog) => (
                "activation (spikes/ms)".into(),
                analog.iter().enumerate().map(|(cell, sum)| (sum / samples, rate(0, cell))).collect(),
            ),
            None => (
                format!("{} (spikes/ms)", names[1]),
                (0..layer.cells).map(|cell| (rate(1, cell), rate(0, cell))).collect(),
            ),
        };
        let title =
            format!("Rate against {}, {}", if cells.analog.is_some() { "activation" } else { &names[1] }, layer.name);
        let y = format!("{} (spikes/ms)", names[0]);
        let file = format!("{stem}-scatter");
        let axes = Axes { file: &file, title: &title, x: &x_name, y: &y, from_zero: true, ..Axes::default() };
        let correlation = match &figures.analog {
            Some(of) => of[0].correlation,
            None => figures.sides.correlation,
        };
        let r = correlation.map_or(String::new(), |r| format!(" Pearson's r over neurons and samples: {r:.4}."));
        let caption = format!(
            "Means over {} samples, a point a neuron (dark: many); the dashed line is equality.{r}",
            of.comparison.samples
        );
        let fields = if many { 30 } else { 60 };
        section.pictures.push(chart::density(&axes, &points, fields)?.with_caption(caption));
    }
    if let Some(of) = of.distributions.iter().find(|it| it.name == layer.name) {
        section.text =
            format!("One spike per millisecond represents an activation of {} (scale factor).", short(of.scale));
        section.pictures.extend(normalisation(of, &stem)?);
    }
    Ok(section)
}

fn normalisation(of: &Distributions, stem: &str) -> Result<Vec<Picture>, Error> {
    let mut pictures = Vec::new();
    let scale = number(of.scale);
    let sets = [
        ("activations", "Activations", Some(&of.activations_before), Some(&of.activations_after)),
        ("weights", "Weights", of.weights_before.as_ref(), of.weights_after.as_ref()),
    ];
    for (what, name, before, after) in sets {
        for (when, histogram) in [("before", before), ("after", after)] {
            let Some(histogram) = histogram else { continue };
            let (file, title) =
                (format!("{stem}-{what}-{when}"), format!("{name} of {}, {when} normalisation", of.name));
            let axes = Axes { file: &file, title: &title, x: "value", y: "share", ..Axes::default() };
            let caption = format!("The scale factor is {scale}.");
            pictures.push(chart::histogram(&axes, when, histogram)?.with_caption(caption));
        }
    }
    Ok(pictures)
}

fn extent(layer: &Layer) -> Extent {
    match &layer.nodes[..] {
        [first, others @ ..] if others.iter().all(|it| (it.nx, it.ny) == (first.nx, first.ny)) => {
            Extent { maps: layer.nodes.len(), ny: first.ny, nx: first.nx }
        }
        _ => Extent { maps: 1, ny: 1, nx: layer.cells },
    }
}
