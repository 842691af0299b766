//! The page of `megasim classify --report`.

use super::Arguments;
use crate::cli::diagnostic::report;
use crate::cli::input::picture;
use crate::cli::progress::Progress;
use megasim::convert::{ConvertedModel, LabelledSamples};
use megasim::engine::Mode;
use megasim::report::Page;
use megasim::report::classification::{Shown, ShownMode, page as draw};
use megasim::report::history::History;
use megasim::study::answers;
use megasim::study::classification::{Classification, ClassifyOptions, Modes, course, decisions, network_for, setup};
use megasim::study::compare::Accuracy;
use megasim::study::layers::Layer;
use megasim::study::read_out::Kind;
use miette::Result;

/// A run whose page is drawn.
pub struct Run<'a> {
    pub arguments: &'a Arguments,
    pub converted: &'a ConvertedModel,
    pub samples: &'a LabelledSamples,
    pub options: &'a ClassifyOptions,
    pub found: &'a Classification,
}

/// Shows the part of the samples that runs here once more, so that the outcomes for a page are kept.
///
/// # Errors
/// If a run fails.
pub fn keep(converted: &ConvertedModel, samples: &LabelledSamples, options: &ClassifyOptions) -> Result<()> {
    let network = network_for(converted, options).map_err(report)?;
    let setup = setup(converted, &network, samples, options);
    let layers: Vec<Layer> =
        Layer::of_manifest(&network, converted.manifest()).into_iter().map(|(_, layer)| layer).collect();
    for (_, mode) in options.modes.each() {
        let progress = Progress::of("page", samples.len());
        let labels = samples.labels().unwrap_or_default();
        course(&setup, &layers, samples.values(), labels, samples.numbers(), mode, &progress).map_err(report)?;
    }
    Ok(())
}

/// Shows the samples once more, with everything recorded, and draws what came out.
///
/// # Errors
/// If a run fails, or a picture cannot be drawn.
pub fn page(run: &Run, readout: Kind, history: Option<&History>) -> Result<Page> {
    let Run { arguments, converted, samples, options, found } = *run;
    let (values, labels) = (samples.values(), samples.labels().unwrap_or_default());
    let network = network_for(converted, options).map_err(report)?;
    let layers: Vec<Layer> =
        Layer::of_manifest(&network, converted.manifest()).into_iter().map(|(_, layer)| layer).collect();
    let setup = setup(converted, &network, samples, options);
    let n = samples.len();
    let dt = arguments.dt;
    let mut modes = Vec::new();
    let runs =
        [("event", Mode::Event, decisions(&found.event)), ("clocked", Mode::Clocked { dt }, decisions(&found.clocked))];
    for (name, mode, decided) in runs {
        let Some(decided) = decided else { continue };
        let progress = Progress::to_the_end(&format!("{name}, page"), n);
        let course = course(&setup, &layers, values, labels, samples.numbers(), mode, &progress);
        drop(progress);
        let classes = setup.classes;
        let mut confusion = vec![vec![0; classes + 1]; classes];
        for (label, decision) in labels.iter().zip(&decided) {
            if let Some(row) = confusion.get_mut(*label) {
                row[decision.unwrap_or(classes)] += 1;
            }
        }
        modes.push(ShownMode {
            name: name.into(),
            accuracy: Accuracy::new(found.right(&decided).unwrap_or(0), n),
            confusion,
            course: course.map_err(report)?,
            first: decided.first().copied().flatten(),
        });
    }
    let clock = options.clock;
    let presentation = &arguments.presentation;
    let mut facts = vec![("network", arguments.netdir.display().to_string())];
    facts.push(("data", arguments.data.display().to_string()));
    facts.push(("samples", n.to_string()));
    facts.push(("duration", format!("{} ms per sample, {} ticks per ms", clock.duration, clock.ticks_per_ms)));
    facts.push(("input code", format!("{}, seed {}", presentation.code_name(), presentation.seed)));
    facts.push(("read-out", readout.to_string()));
    let is_clocked = options.modes != Modes::Event;
    facts.extend((is_clocked && dt != 1).then(|| ("clocked step", format!("{dt} ticks"))));
    facts.push(("program", format!("megasim {}", env!("CARGO_PKG_VERSION"))));
    let shown = Shown {
        title: format!("Classification by {}", arguments.netdir.display()),
        answer: answers::of_classification(found),
        facts: facts.into_iter().map(|(what, value)| (what.to_string(), value)).collect(),
        modes,
        analog: found.analog_decisions().map(|analog| Accuracy::new(found.right(&analog).unwrap_or(0), n)),
        layers: &layers,
        sample: (samples.numbers().number(0) as usize, labels.first().copied().unwrap_or(0)),
        input: (n > 0).then(|| picture(converted, values, 0)),
        tick_ms: 1.0 / f64::from(clock.ticks_per_ms),
        duration_ms: f64::from(clock.duration),
        history,
    };
    draw(&shown).map_err(report)
}
