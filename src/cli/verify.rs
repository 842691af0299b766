//! `megasim verify`: whether spike counts depend on the order and the delays of events.

use super::diagnostic::{self, report};
use super::input::{InputArgs, read_network};
use super::latency::{machine_input, reported};
use super::paths::Paths;
use super::presentation::Presentation;
use super::print;
use super::progress::Progress;
use super::results::Results;
use super::samples::SampleArguments;
use super::sharing::{self, Sharing};
use super::tables::{boxed, counted, fixed};
use clap::Args;
use megasim::hardware::{Hardware, SHIPPED};
use megasim::study::verify::{self, Error, VerifyError, VerifyOptions, Way, verify_of};
use miette::Result;
use serde_json::json;
use std::path::PathBuf;

/// Run a network in many orders, with many delays and on machines, and compare every spike count with an exact integer
/// pass
///
/// With signed neurons ('megasim convert --neuron signed') no count may differ, and the exit status is 1 if one does.
/// With other neurons the numbers tell how much the order matters.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Netfile directory that 'megasim convert' wrote, or a schematic (.sch)
    subject: PathBuf,
    /// Directory or file of test data; not for a schematic
    #[arg(long, value_name = "DATA")]
    data: Option<PathBuf>,
    #[command(flatten)]
    taken: SampleArguments,
    /// Random orders of the events of a tick, each with random delays of all modules
    #[arg(long, value_name = "K", default_value_t = 20)]
    orders: u32,
    /// A machine to run on: ideal, serial-aer, loihi, or a file (docs/hardware.md); may be repeated; those shipped ones
    /// that take the network where it is not given
    #[arg(long, value_name = "FILE|NAME")]
    hardware: Vec<PathBuf>,
    /// Take the expected counts from the netfiles of another directory or schematic with the same nodes
    #[arg(long, value_name = "NETDIR")]
    against: Option<PathBuf>,
    #[command(flatten)]
    pub(super) presentation: Presentation,
    #[command(flatten)]
    sharing: Sharing,
    #[command(flatten)]
    results: Results,
}

/// Runs, prints and writes. Says whether all is as it must be.
pub fn run(arguments: &Arguments) -> Result<bool> {
    let Arguments { presentation, results, .. } = arguments;
    results.check()?;
    let given = InputArgs {
        subject: arguments.subject.clone(),
        data: arguments.data.clone(),
        labels: None,
        taken: arguments.taken.clone(),
    };
    let read = [&given.subject].into_iter().chain(&arguments.hardware).chain(&arguments.against);
    let paths = Paths::default().files(results.file()).directories(&arguments.sharing.outcomes);
    paths.inputs(read).data(&given.data).check()?;
    let (input, mut inputs) = machine_input(&given, presentation, None)?;
    let options = arguments.options()?;
    let pool = presentation.threads.pool().map_err(report)?;
    inputs.extend(arguments.machines().into_iter().filter(|name| name.is_file()));
    inputs.extend(arguments.against.clone());
    arguments.sharing.begin(&inputs, Some(presentation.seed), pool.current_num_threads())?;
    let answer = pool.install(|| verify_of(&input, &options, &Progress::default()));
    let answer = answer.map_err(|error| match (&error, &arguments.against) {
        (VerifyError::Run(Error::Reference), Some(other)) => {
            miette::miette!("--against {}: {}", other.display(), Error::Reference)
        }
        (VerifyError::Input(error), _) => reported(error),
        _ => report(error),
    })?;
    if !sharing::has_results() {
        return Ok(true);
    }
    print(&text(&answer));

    let mut parameters = presentation.parameters();
    parameters["samples"] = json!(answer.samples);
    given.parameters(&mut parameters);
    parameters["orders"] = json!(arguments.orders);
    parameters["hardware"] = json!(options.hardware.iter().map(Hardware::name).collect::<Vec<_>>());
    results.write(&json!(answer), &[], &inputs, Some(presentation.seed), parameters)?;
    super::answer(&in_words(&answer));
    Ok(!answer.signed || answer.totals().1 == 0)
}

/// The answer.
fn in_words(answer: &verify::Results) -> String {
    let (compared, different) = answer.totals();
    let neurons = if answer.signed { "signed neurons" } else { "not all neurons are signed" };
    let samples = counted(answer.samples as u64, "sample");
    let mut text = format!("{samples}, {neurons}: of {compared} counts, {different} differ");
    let most = answer.ways.iter().max_by_key(|way| way.different).filter(|way| way.different > 0);
    if let Some(way) = most {
        text += &format!(", most of them in the run '{}' ({})", way.name, way.different);
    }
    text
}

impl Arguments {
    fn machines(&self) -> Vec<PathBuf> {
        let shipped = || SHIPPED.iter().map(|(name, _)| PathBuf::from(name)).collect();
        if self.hardware.is_empty() { shipped() } else { self.hardware.clone() }
    }

    /// As the library takes them.
    ///
    /// # Errors
    /// If a machine or another network cannot be read.
    pub(super) fn options(&self) -> Result<VerifyOptions> {
        let open = |name: &PathBuf| Hardware::open(name).map_err(|error| diagnostic::hardware(&error));
        let mut options = VerifyOptions::new().presentation(self.presentation.presented()).orders(self.orders);
        options.only_fitting = self.hardware.is_empty();
        options.hardware = self.machines().iter().map(open).collect::<Result<_>>()?;
        options.reference = self.against.as_deref().map(read_network).transpose()?;
        Ok(options)
    }
}

fn text(answer: &verify::Results) -> String {
    let over = |spikes: u64| {
        let least = answer.least_spikes.max(1);
        fixed(spikes as f64 / least as f64, 2)
    };
    let compared = |way: &Way| {
        let difference = way.difference as f64 / way.compared.max(1) as f64;
        vec![way.name.clone(), way.compared.to_string(), way.different.to_string(), fixed(difference, 4)]
    };
    let rows = answer.ways.iter().map(|way| {
        let run = [way.spikes.to_string(), over(way.spikes), way.operations.to_string()];
        compared(way).into_iter().chain(run).collect()
    });
    let trained = answer.trained.iter().map(|way| {
        let run = std::iter::repeat_n("-".to_string(), 3);
        compared(way).into_iter().chain(run).collect()
    });
    let header = ["run", "counts", "different", "mean difference", "spikes", "of the least", "operations"];
    let mut text = format!("{}\n", boxed(&header, rows.chain(trained)).least(&["operations", "of the least"]));
    for example in answer.examples.iter().take(5) {
        let (x, y) = example.address;
        text += &format!(
            "  sample {}, {}: {} at ({x}, {y}): expected {}, found {}\n",
            example.sample, example.way, example.node, example.expected, example.found
        );
    }
    text
}
