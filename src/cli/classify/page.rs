//! The page of `megasim classify --report`.

use super::Arguments;
use crate::cli::diagnostic::report;
use crate::cli::input::picture;
use crate::cli::progress::Progress;
use megasim::convert::{ConvertedModel, LabelledSamples};
use megasim::engine::Mode;
use megasim::network::Network;
use megasim::report::classification::{PageContent, ShownMode, page as draw};
use megasim::report::history::History;
use megasim::report::samples::{OfSamples, ShownSample};
use megasim::report::{Page, class_name};
use megasim::study::answers;
use megasim::study::classification::{
    Classification, ClassifyOptions, Modes, Setup, course, decisions, network_for, sample_run, setup,
};
use megasim::study::compare::Accuracy;
use megasim::study::layers::Layer;
use megasim::study::read_out::Kind;
use megasim::study::showing::{self, NeuronSelection};
use miette::Result;

/// A run whose page is drawn.
pub struct Run<'a> {
    pub arguments: &'a Arguments,
    pub converted: &'a ConvertedModel,
    pub samples: &'a LabelledSamples,
    pub options: &'a ClassifyOptions,
    pub found: &'a Classification,
    pub wanted: &'a Wanted,
}

/// What was asked for of the page.
pub struct Wanted {
    /// Layers and neurons whose spikes and potentials are shown.
    pub neurons: Vec<NeuronSelection>,
    /// Row of the sample that is shown first.
    pub sample: Option<usize>,
}

/// The layers of a network that was made of a converted one.
pub fn layers(network: &Network, converted: &ConvertedModel) -> Vec<Layer> {
    Layer::of_manifest(network, converted.manifest()).into_iter().map(|(_, layer)| layer).collect()
}

/// Shows the part of the samples that runs here once more, so that the outcomes for a page are kept.
///
/// # Errors
/// If a run fails.
pub fn keep(converted: &ConvertedModel, samples: &LabelledSamples, options: &ClassifyOptions) -> Result<()> {
    let network = network_for(converted, options).map_err(report)?;
    let setup = setup(converted, &network, samples, options);
    let layers = layers(&network, converted);
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
    let Run { arguments, converted, samples, options, found, wanted } = *run;
    let (values, labels) = (samples.values(), samples.labels().unwrap_or_default());
    let network = network_for(converted, options).map_err(report)?;
    let layers = layers(&network, converted);
    let setup = setup(converted, &network, samples, options);
    let n = samples.len();
    let dt = arguments.dt;
    let (mut modes, mut sides) = (Vec::new(), Vec::new());
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
        });
        sides.push(Side { name, mode, decided });
    }
    let shown_samples = shown_samples(run, &setup, &layers, &sides)?;
    let names: Vec<String> = modes.iter().map(|mode| mode.name.clone()).collect();
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
    let shown = PageContent {
        title: format!("Classification by {}", arguments.netdir.display()),
        answer: answers::of_classification(found),
        facts: facts.into_iter().map(|(what, value)| (what.to_string(), value)).collect(),
        modes,
        analog: found.analog_decisions().map(|analog| Accuracy::new(found.right(&analog).unwrap_or(0), n)),
        of_samples: OfSamples {
            names: &names,
            layers: &layers,
            shown: &wanted.neurons,
            classes: samples.class_names(),
            tick_ms: 1.0 / f64::from(clock.ticks_per_ms),
            ms: f64::from(clock.duration),
        },
        samples: shown_samples,
        history,
    };
    draw(&shown).map_err(report)
}

/// One mode, and its decisions.
struct Side {
    name: &'static str,
    mode: Mode,
    decided: Vec<Option<usize>>,
}

/// The samples that the page shows in full, run once more.
fn shown_samples(run: &Run, setup: &Setup, layers: &[Layer], sides: &[Side]) -> Result<Vec<ShownSample>> {
    let Run { converted, samples, wanted, .. } = *run;
    let (values, labels, numbers) = (samples.values(), samples.labels().unwrap_or_default(), samples.numbers());
    let names = samples.class_names();
    let differ = |k: &usize| sides.iter().any(|side| side.decided.get(*k) != sides[0].decided.get(*k));
    let differ: Vec<usize> = (0..samples.len()).filter(differ).collect();
    let chosen = showing::samples(wanted.sample, &differ, samples.len()).into_iter().map(|k| {
        let class = |class: Option<usize>| class.map_or("none".to_string(), |class| class_name(class, names));
        let decides = |side: &Side| format!("{} decides {}", side.name, class(side.decided.get(k).copied().flatten()));
        let decided: Vec<String> = sides.iter().map(decides).collect();
        let mut shown = ShownSample {
            number: numbers.number(k),
            text: format!("Its label is {}; {}.", class(labels.get(k).copied()), decided.join(", ")),
            input: Some(picture(converted, values, k)),
            spikes: Vec::new(),
            traces: Vec::new(),
        };
        for (number, side) in sides.iter().enumerate() {
            // Potentials are those of the first mode.
            let neurons = (number == 0).then_some(&wanted.neurons[..]);
            let of = sample_run(setup, layers, (values, numbers), k, side.mode, neurons).map_err(report)?;
            shown.spikes.push(of.spikes);
            shown.traces.extend(of.traces);
        }
        Ok(shown)
    });
    chosen.collect()
}
