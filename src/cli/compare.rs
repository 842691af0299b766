//! `megasim compare`: event mode next to clocked mode and the analog network, layer by layer; or a network next to a
//! changed copy.

mod tables;

use super::diagnostic::report;
use super::history::HistoryArguments;
use super::input::{InputArgs, LoadedInput, picture, read_network};
use super::paths::Paths;
use super::per_sample::page_file;
use super::presentation::Presentation;
use super::progress::Progress;
use super::read_out::SpikeReadOut;
use super::results::{Results, of_page};
use super::sharing::{self, Sharing};
use super::show::ShowArguments;
use super::{interrupt, limits, output, print};
use clap::Args;
use megasim::Control;
use megasim::control::Part;
use megasim::encode::SpikeEncoder;
use megasim::engine::{Mode, TieOrder};
use megasim::network::{Module, Network, Tick};
use megasim::readout;
use megasim::report::Page;
use megasim::report::comparison::{self, PageContent};
use megasim::study::answers;
use megasim::study::compare::{Causes, CompareInput, Comparison, Run, Setup};
use megasim::study::distributions::distributions;
use megasim::study::sample_source::SampleSource;
use megasim::study::showing::samples;
use miette::{Result, bail};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Compare event mode, clocked mode and the analog network on the same samples, layer by layer
///
/// Takes a netfile directory of 'megasim convert' with --data, or any schematic by itself: its own stimuli are cut at
/// their resets, each piece is a sample, and a millisecond is --ticks-per-ms ticks (SNN toolbox writes one).
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    pub(super) given: InputArgs,
    /// Compare with another netfile directory or schematic of the same nodes, both in event mode, instead of with
    /// clocked mode
    #[arg(long, value_name = "DIR")]
    against: Option<PathBuf>,
    /// Ticks per clocked step: a number, a list (1,2,5), or a range (1..10); the tables are about the first one
    #[arg(long, value_name = "TICKS", default_value = "1", value_parser = steps)]
    dt: Steps,
    /// Which of several events of one tick comes first, in event mode: netlist (the rule), reversed, seeded (at random,
    /// with --seed), or split (what raises potentials before what lowers them)
    #[arg(
        long,
        value_name = "ORDER",
        default_value = "netlist",
        value_parser = ["netlist", "reversed", "seeded", "split"],
    )]
    tie_order: String,
    /// Milliseconds at the start of each sample whose spikes do not count in rates
    #[arg(long, value_name = "MS", default_value_t = 0)]
    warm_up: u32,
    /// Samples on which the causes of lost and extra spikes are looked for; 0: none; 100 where it is not given, of
    /// networks with signed neurons none, as there the way to clocked mode has no steps between
    #[arg(long, value_name = "N")]
    causes: Option<usize>,
    /// Write a page of pictures to this file, and their numbers to a directory next to it
    #[arg(long, value_name = "FILE.html", value_parser = page_file)]
    report: Option<PathBuf>,
    #[command(flatten)]
    show: ShowArguments,
    #[command(flatten)]
    history: HistoryArguments,
    #[command(flatten)]
    spikes: SpikeReadOut,
    #[command(flatten)]
    pub(super) presentation: Presentation,
    #[command(flatten)]
    sharing: Sharing,
    #[command(flatten)]
    results: Results,
}

/// `--dt`.
#[derive(Debug, Clone)]
struct Steps(Vec<Tick>);

/// Most steps of a list.
const MOST_STEPS: usize = 1000;

fn steps(text: &str) -> Result<Steps, String> {
    let number = |text: &str| {
        let number: Option<Tick> = text.trim().parse().ok();
        number.filter(|&ticks| ticks > 0).ok_or_else(|| format!("expected a number of ticks above 0, found `{text}`"))
    };
    let mut steps = Vec::new();
    for part in text.split(',') {
        match part.split_once("..") {
            Some((from, to)) => {
                let (from, to) = (number(from)?, number(to)?);
                if from > to || to - from >= MOST_STEPS as Tick {
                    return Err(format!("expected a rising range of at most {MOST_STEPS} steps, found `{part}`"));
                }
                steps.extend(from..=to);
            }
            None => steps.push(number(part)?),
        }
    }
    if steps.len() > MOST_STEPS {
        return Err(format!("expected at most {MOST_STEPS} steps, found {}", steps.len()));
    }
    Ok(Steps(steps))
}

/// What a comparison needs of its input.
fn compare_input<'a>(arguments: &Arguments, loaded: &'a LoadedInput) -> Result<CompareInput<'a>> {
    let Arguments { given, presentation, .. } = arguments;
    match loaded {
        LoadedInput::Converted(input) => {
            if input.converted.deciding_spikes().is_none() {
                output::warn(format_args!(
                    "the output gathers potentials and never spikes, so spikes are compared, and no decisions"
                ));
            }
            Ok(CompareInput::converted(&input.converted, &input.samples))
        }
        LoadedInput::Schematic(schematic) => {
            let input = CompareInput::segments(&schematic.network, schematic.segments.clone());
            if input.layers().is_empty() {
                bail!("{}: expected at least one module with neurons, found none", given.subject.display());
            }
            let classes = input.output().map(|(_, classes)| classes);
            let labels = given.labels(presentation, &schematic.segments, classes)?;
            Ok(input.with_labels(labels))
        }
    }
}

/// Samples on which causes are looked for where nothing else is asked for.
const CAUSES: usize = 100;

impl Arguments {
    /// Samples on which causes are looked for.
    fn causes(&self, input: &CompareInput) -> Result<usize> {
        let signed = |module: &Module| module.kind.neurons().is_some_and(|(_, neurons, _)| neurons.signed().is_some());
        let can_be_told = !input.network().modules().iter().any(signed);
        match self.causes {
            Some(samples) if samples > 0 && !can_be_told => {
                bail!(
                    "--causes: expected 0, as causes of differences are not known for signed neurons, found {samples}"
                )
            }
            Some(samples) => Ok(samples),
            None => Ok(if can_be_told { CAUSES } else { 0 }),
        }
    }
}

/// Whether counts of signed neurons decide on both sides.
fn is_signed(input: &CompareInput, other: Option<&Network>) -> bool {
    let signed = |network: &Network| input.output().is_some_and(|(output, _)| readout::is_signed(network, output));
    signed(input.network())
        && other.is_none_or(|other| other.nodes().len() == input.network().nodes().len() && signed(other))
}

/// Compares, prints and writes.
pub fn run(arguments: &Arguments) -> Result<()> {
    let Arguments { presentation, results, .. } = arguments;
    results.check()?;
    let InputArgs { subject, data, labels, .. } = &arguments.given;
    let read = [subject].into_iter().chain(&arguments.against).chain(labels).chain(&arguments.history.history);
    let paths = Paths::default().files(results.file()).pages(&arguments.report);
    paths.directories(&arguments.sharing.outcomes).inputs(read).data(data).check()?;
    if let Some(path) = &arguments.report {
        Page::check(path, results.overwrite()).map_err(report)?;
    }
    let steps = if arguments.against.is_some() { &[1][..] } else { &arguments.dt.0[..] };
    let loaded = arguments.given.open(presentation, steps)?;
    let input = compare_input(arguments, &loaded)?;
    let pool = presentation.threads.pool().map_err(report)?;
    let mut inputs = loaded.files().to_vec();
    inputs.extend(arguments.against.clone());
    arguments.sharing.begin(&inputs, Some(presentation.seed), pool.current_num_threads())?;
    interrupt::watch();
    let answer = pool.install(|| compare(arguments, &input, &Progress::default()))?;
    let Some(answer) = answer else { return Ok(()) };
    print(&answer.text);
    if let (Some(path), Some(page)) = (&arguments.report, &answer.page) {
        page.write(path, results.overwrite()).map_err(report)?;
        print(&format!("Pictures: {}\n", path.display()));
    }
    inputs.extend(arguments.history.file(&arguments.report, subject));
    let mut parameters = presentation.parameters();
    parameters["samples"] = json!(answer.samples);
    arguments.given.parameters(&mut parameters);
    parameters["readout"] = json!(answer.read_out);
    parameters["dt"] = json!(arguments.against.is_none().then_some(&arguments.dt.0));
    parameters["tie_order"] = json!(arguments.tie_order);
    arguments.show.parameters(&mut parameters);
    parameters["warm_up"] = json!(arguments.warm_up);
    parameters["causes"] = json!(arguments.causes(&input)?);
    results.write(&answer.json, &of_page(&arguments.report), &inputs, Some(presentation.seed), parameters)?;
    super::answer(&answer.sentences);
    Ok(())
}

/// What came out, in words and for programs.
pub(super) struct Answer {
    pub text: String,
    /// The answer in one to three sentences.
    pub sentences: String,
    pub json: Value,
    page: Option<Page>,
    samples: usize,
    /// What decided.
    read_out: String,
}

/// Compares; `control` counts samples. None where only a part of the samples runs here.
///
/// # Errors
/// If options do not go with the input, or if a run fails.
pub(super) fn compare(arguments: &Arguments, input: &CompareInput, control: &dyn Control) -> Result<Option<Answer>> {
    let Arguments { presentation, .. } = arguments;
    let most_causes = arguments.causes(input)?;
    let encoded = presentation.code()?;
    let recorded = input.conversion().and_then(|(_, samples, _)| samples.recorded());
    let code = recorded.map_or(encoded.as_ref(), |recorded| recorded as &dyn SpikeEncoder);
    if code.is_current() && input.conversion().is_some() {
        bail!("--encode: expected a code that makes spikes, found currents, which give each sample its own network");
    }
    let sample_source = input.sample_source(code, presentation.clock());
    let analog = input.analog(code, presentation.clock()).map_err(report)?;
    if arguments.spikes.is_given() && input.output().is_none() {
        bail!(
            "--readout: expected an output that decides by its spikes (of a schematic a last layer that is one row), \
                found none: no decisions are \
             compared"
        );
    }
    let tie_order = match arguments.tie_order.as_str() {
        "reversed" => TieOrder::Reversed,
        "seeded" => TieOrder::Seeded(presentation.seed),
        "split" => TieOrder::Split,
        _ => TieOrder::Netlist,
    };
    let event = |name, network| Run { name, network, mode: Mode::Event, tie_order };
    let other = arguments.against.as_deref().map(read_network).transpose()?;
    let signed = is_signed(input, other.as_ref());
    let read_out = arguments.spikes.rule(signed)?;
    let setup = |dt: Tick| {
        let clocked =
            Run { name: "clocked", network: input.network(), mode: Mode::Clocked { dt }, tie_order: TieOrder::Netlist };
        let (left, right) = match &other {
            Some(other) => (event("first", input.network()), event("second", other)),
            None => (event("event", input.network()), clocked),
        };
        Setup {
            left,
            right,
            layers: input.layers(),
            sample_source: &sample_source,
            analog: analog.as_ref(),
            output: input.decides(),
            read_out,
            ticks_per_ms: presentation.ticks_per_ms,
            warm_up: arguments.warm_up,
            limits: presentation.limits(),
        }
    };
    let shown = arguments.show.neurons(input.layers(), input.network())?;
    let wanted = arguments.show.place(sample_source.len(), |k| sample_source.number(k))?;
    let steps = if other.is_some() { &[1][..] } else { &arguments.dt.0[..] };
    if other.is_none() {
        limits::warn_of_idle_steps(input.network(), sample_source.ticks(), steps[0]);
    }
    let answer = |dt: Tick| -> Result<Comparison> {
        let name = if other.is_some() { "compare".to_string() } else { format!("dt {dt}") };
        control.start(&name, sample_source.len());
        setup(dt).run(&Part { control, name: &name }).map_err(report)
    };
    let first = answer(steps[0])?;
    if first.samples == 0 && !sharing::is_partial() {
        bail!("stopped before the first samples were done");
    }
    let causes = if most_causes > 0 && !control.is_cancelled() {
        control.start("causes", most_causes.min(sample_source.len()));
        let causes = setup(steps[0]).causes(most_causes, control).map_err(report)?;
        causes.filter(|causes| causes.samples > 0)
    } else {
        None
    };
    let mut others: Vec<(Tick, Comparison)> = Vec::new();
    for &dt in &steps[1..] {
        if control.is_cancelled() {
            break;
        }
        let comparison = answer(dt)?;
        if comparison.samples == first.samples {
            others.push((dt, comparison));
        }
    }
    if !sharing::has_results() {
        return Ok(None);
    }
    let heading = match &arguments.against {
        Some(other) => format!("first: {}, second: {}", arguments.given.subject.display(), other.display()),
        None if arguments.tie_order == "netlist" => format!("clocked in steps of {}", ticks(steps[0])),
        None => format!("clocked in steps of {}; ties of event mode: {}", ticks(steps[0]), arguments.tie_order),
    };
    let class_names = input.conversion().map_or(&[][..], |(_, samples, _)| samples.class_names());
    let text = tables::text(&first, causes.as_ref(), &heading, steps[0], &others, class_names);
    let history = arguments.history.read(&arguments.report, &arguments.given.subject)?;
    let page = arguments.report.is_some().then(|| {
        let setup = setup(steps[0]);
        let conversion = input.conversion();
        let differ = first.disagreements.iter().filter_map(|it| place(&sample_source, it.sample)).collect::<Vec<_>>();
        let details = samples(wanted, &differ, first.samples).into_iter().map(|at| {
            let numbers = conversion.map(|(converted, samples, _)| picture(converted, samples.values(), at));
            Ok((setup.detail(at, &shown).map_err(report)?, numbers))
        });
        let details = details.collect::<Result<Vec<_>>>()?;
        let trained = conversion.and_then(|(converted, _, layers)| Some((converted, converted.model()?, layers)));
        let distributions = match (trained, &analog) {
            (Some((converted, model, layers)), Some(analog)) => {
                distributions(&model.graph, converted.manifest(), converted.network(), layers, analog)
                    .map_err(report)?
            }
            _ => Vec::new(),
        };
        let accuracy = |(dt, of): (Tick, &Comparison)| Some((dt, of.decisions.as_ref()?.right.as_ref()?.sides[1]));
        let all = std::iter::once((steps[0], &first)).chain(others.iter().map(|(dt, of)| (*dt, of)));
        let all = if others.is_empty() { Vec::new() } else { all.filter_map(accuracy).collect() };
        let shown = PageContent {
            title: format!("{} and {} compared", setup.left.name, setup.right.name),
            facts: facts(arguments, &first, &heading),
            comparison: &first,
            layers: input.layers(),
            causes: causes.as_ref(),
            details: &details,
            shown: &shown,
            classes: class_names,
            distributions: &distributions,
            steps: all,
            history: history.as_ref(),
        };
        comparison::page(&shown).map_err(report)
    });
    let page = page.transpose()?;
    let json = figures(&first, causes.as_ref(), steps[0], &others);
    let sentences = answers::of_comparison(&first, causes.as_ref());
    Ok(Some(Answer {
        text,
        sentences,
        json,
        page,
        samples: first.samples,
        read_out: arguments.spikes.parameter(signed),
    }))
}

/// Which of the samples has a number.
fn place(sample_source: &SampleSource, number: u64) -> Option<usize> {
    (0..sample_source.len()).find(|&k| sample_source.number(k) == number)
}

/// What was run, for the head of the page.
fn facts(arguments: &Arguments, of: &Comparison, heading: &str) -> Vec<(String, String)> {
    let Arguments { given: InputArgs { subject, data, .. }, presentation, .. } = arguments;
    let mut facts = vec![("network", subject.display().to_string())];
    facts.extend(data.as_ref().map(|data| ("data", data.display().to_string())));
    facts.push(("samples", of.samples.to_string()));
    facts.push((
        "duration",
        format!("{} ms per sample, {} per ms", of.duration_ms, ticks(presentation.ticks_per_ms.into())),
    ));
    if data.is_some() {
        let seed = format!("{}, seed {}", presentation.code_name(), presentation.seed);
        facts.push(("input code", seed));
    }
    facts.push(("modes", heading.to_string()));
    facts.push(("program", format!("megasim {}", env!("CARGO_PKG_VERSION"))));
    facts.into_iter().map(|(what, value)| (what.to_string(), value)).collect()
}

fn ticks(n: Tick) -> String {
    if n == 1 { "1 tick".into() } else { format!("{n} ticks") }
}

/// What other programs read.
fn figures(first: &Comparison, causes: Option<&Causes>, dt: Tick, others: &[(Tick, Comparison)]) -> Value {
    let mut figures = json!(first);
    figures["dt"] = json!(dt);
    figures["causes"] = json!(causes);
    if !others.is_empty() {
        let step = |dt: Tick, of: &Comparison| {
            let right = of.decisions.as_ref().and_then(|decisions| decisions.right.as_ref());
            json!({
                "dt": dt,
                "accuracy": right.map(|right| right.sides[1]),
                "mcnemar": right.map(|right| right.mcnemar),
                "agreement": of.decisions.as_ref().map(|decisions| decisions.agreement),
                "spikes": of.layers.iter().map(|layer| layer.spikes[1]).sum::<f64>(),
                "operations": of.course.operations[1].last(),
                "all_layers": of.all_layers,
            })
        };
        let steps = std::iter::once((dt, first)).chain(others.iter().map(|(dt, of)| (*dt, of)));
        figures["steps"] = steps.map(|(dt, of)| step(dt, of)).collect();
    }
    figures
}

#[cfg(test)]
mod tests {
    use super::steps;

    #[test]
    fn steps_are_numbers_lists_and_ranges() {
        assert_eq!(steps("3").unwrap().0, [3]);
        assert_eq!(steps("1,5..7").unwrap().0, [1, 5, 6, 7]);
        for wrong in ["0", "", "5..1", "1..100000", "a", "-1"] {
            assert!(steps(wrong).is_err(), "{wrong}");
        }
    }
}
