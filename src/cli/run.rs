//! `megasim run FILE.sch`, and the bare `megasim FILE.sch` that does as MegaSim did.

use super::limits::{self, RunLimits};
use super::paths::Paths;
use super::spikes::{npz_file, write_events};
use super::tables::counted;
use super::{diagnostic, output, print, provenance};
use clap::Args;
use megasim::atomic_write::{self, AtomicDir, Overwrite};
use megasim::convert::settings::Setting;
use megasim::engine::{Limits, Mode, Plan, Probes, Record, batch};
use megasim::netfile::{self, Netfiles};
use megasim::network::{Network, Stimulus, Tick};
use miette::Result;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// Run a netfile directory, event by event or clocked
#[derive(Debug, Args)]
pub struct Arguments {
    /// The schematic
    schematic: PathBuf,
    /// Where the event files go; a new directory
    #[arg(long, value_name = "DIR", required_unless_present = "npz")]
    out: Option<PathBuf>,
    /// Write the events of all nodes as arrays: NODE/t_pre, t_rqst, t_ack, x, y, polarity
    #[arg(long, value_name = "FILE.npz", value_parser = npz_file)]
    npz: Option<PathBuf>,
    /// Run in steps, all spikes of a step at once, instead of event by event
    #[arg(long)]
    clocked: bool,
    /// Ticks per clocked step
    #[arg(
        long,
        value_name = "TICKS",
        default_value_t = 1,
        requires = "clocked",
        allow_negative_numbers = true,
        value_parser = clap::value_parser!(i64).range(1..),
    )]
    dt: Tick,
    /// The last tick, instead of the schematic's Tmax
    #[arg(long, value_name = "T", allow_negative_numbers = true, value_parser = clap::value_parser!(i64).range(0..))]
    tmax: Option<Tick>,
    /// Change a parameter of all modules with an output that matches, as '05Dense*.THplus=5000000' or '*.fifo_depth=4'
    #[arg(long, value_name = "GLOB.KEY=VALUE")]
    set: Vec<Setting>,
    /// Write counts as JSON: events, operations, updates, last time, pending at Tmax, saturations
    #[arg(long, value_name = "FILE.json")]
    summary: Option<PathBuf>,
    #[command(flatten)]
    run_limits: RunLimits,
    /// Replace an earlier result: the files that its run.json lists, unless one was changed or others were added
    #[arg(long)]
    force: bool,
}

/// Reads a schematic with all its files; warnings go to stderr.
pub fn read(schematic: &Path) -> Result<Netfiles> {
    let netfiles = netfile::read(schematic).map_err(|error| diagnostic::netfile(&error))?;
    for warning in &netfiles.warnings {
        output::warn(format_args!("{warning}"));
    }
    Ok(netfiles)
}

/// Runs as the arguments say.
pub fn run(arguments: &Arguments) -> Result<()> {
    let Netfiles { mut network, stimuli, files, .. } = read(&arguments.schematic)?;
    let inputs = input_files(&arguments.schematic, &files);
    let files = arguments.summary.iter().chain(&arguments.npz);
    Paths::default().directories(&arguments.out).files(files).inputs(&inputs).check()?;
    arguments.set.iter().try_for_each(|setting| setting.apply(&mut network)).map_err(diagnostic::report)?;
    if let Some(tmax) = arguments.tmax {
        network = network.with_t_max(tmax).map_err(diagnostic::report)?;
    }
    let mode = if arguments.clocked { Mode::Clocked { dt: arguments.dt } } else { Mode::Event };
    let replace = Overwrite::from_flag(arguments.force);
    let out = arguments.out.as_deref().map(|out| AtomicDir::create(out, replace));
    let out = out.transpose().map_err(diagnostic::report)?;
    for file in arguments.summary.iter().chain(&arguments.npz) {
        atomic_write::check_file(file, replace).map_err(diagnostic::report)?;
    }
    let limits = arguments.run_limits.of_run();
    if arguments.clocked {
        let last = stimuli.iter().filter_map(|stimulus| stimulus.t_pre().last().copied()).max().unwrap_or(0);
        limits::warn_of_idle_steps(&network, last.min(network.t_max()), arguments.dt);
    }
    let record = simulate(&network, mode, limits, &stimuli)?;
    if let Some(out) = &out {
        netfile::write_event_files(out.path(), &network, &record.nodes).map_err(|error| diagnostic::netfile(&error))?;
    }
    let mut parameters = json!({
        "mode": if arguments.clocked { "clocked" } else { "event" },
        "dt": arguments.clocked.then_some(arguments.dt),
        "Tmax": network.t_max(),
        "set": arguments.set.iter().map(ToString::to_string).collect::<Vec<_>>(),
    });
    limits::record(limits, &mut parameters);
    let inputs: Vec<&Path> = inputs.iter().map(PathBuf::as_path).collect();
    if let Some(path) = &arguments.npz {
        write_events(path, &network, &record, replace)?;
        provenance::write_beside(&[path], &inputs, None, parameters.clone()).map_err(diagnostic::report)?;
    }
    if let Some(out) = &out {
        let provenance = provenance::Run { results: &["node_*.evs"], inputs: &inputs, seed: None, parameters };
        provenance::write(out.path(), &provenance).map_err(diagnostic::report)?;
    }
    if let Some(path) = &arguments.summary {
        let text = format!("{:#}\n", summary(&network, &record));
        atomic_write::write_file(path, replace, |file| file.write_all(text.as_bytes())).map_err(diagnostic::report)?;
    }
    out.map_or(Ok(()), AtomicDir::finish).map_err(diagnostic::report)?;
    print_summary(&network, &record, arguments.out.as_deref());
    if let Some(path) = &arguments.npz {
        print(&format!("events as arrays: {}\n", path.display()));
    }
    Ok(())
}

/// Runs a schematic in its directory: event files next to it, replacing those of an earlier run.
pub fn run_in_place(schematic: &Path) -> Result<()> {
    let Netfiles { network, stimuli, files, .. } = read(schematic)?;
    let directory = directory_of(schematic);
    let limits = Limits::default();
    let record = simulate(&network, Mode::Event, limits, &stimuli)?;
    netfile::write_event_files(directory, &network, &record.nodes).map_err(|error| diagnostic::netfile(&error))?;
    let inputs = input_files(schematic, &files);
    let inputs: Vec<&Path> = inputs.iter().map(PathBuf::as_path).collect();
    let mut parameters = json!({ "mode": "event", "Tmax": network.t_max() });
    limits::record(limits, &mut parameters);
    let provenance = provenance::Run { results: &["node_*.evs"], inputs: &inputs, seed: None, parameters };
    match provenance::write_shared(directory, &provenance) {
        // Other files there are not ours, and the event files are written: as MegaSim did.
        Err(error @ provenance::Error::Foreign(_)) => output::warn(format_args!("{error}")),
        other => other.map_err(diagnostic::report)?,
    }
    print_summary(&network, &record, Some(directory));
    Ok(())
}

fn directory_of(schematic: &Path) -> &Path {
    schematic.parent().filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The schematic and the files it names, each once.
pub fn input_files(schematic: &Path, files: &netfile::FileNames) -> Vec<PathBuf> {
    let modules = files.modules.iter().flat_map(|module| [&module.parameters, &module.state]);
    let mut named: Vec<PathBuf> =
        files.stimuli.iter().chain(modules).map(|name| directory_of(schematic).join(name)).collect();
    named.sort();
    named.dedup();
    named.insert(0, schematic.into());
    named
}

fn simulate(network: &Network, mode: Mode, limits: Limits, stimuli: &[Stimulus]) -> Result<Record> {
    let plan = Plan::new(network).map_err(diagnostic::report)?.with_limits(limits);
    batch::run(&plan, mode, &Probes::all(network), stimuli).map_err(diagnostic::report)
}

fn module_name(network: &Network, module: usize) -> &str {
    let outputs = network.outputs(megasim::network::ModuleId::new(module));
    outputs.first().map_or("(no output)", |node| &network.nodes()[node.index()].name)
}

/// The counts of a run, by node and module name.
fn summary(network: &Network, record: &Record) -> Value {
    let summary = &record.summary;
    let events: Map<String, Value> =
        network.nodes().iter().zip(&summary.events).map(|(node, &n)| (node.name.clone(), n.into())).collect();
    let saturations: Map<String, Value> = summary
        .saturations
        .iter()
        .enumerate()
        .map(|(module, &n)| (module_name(network, module).to_string(), n.into()))
        .collect();
    json!({
        "events": events,
        "synaptic_operations": summary.synaptic_operations,
        "neuron_updates": summary.neuron_updates,
        "last_time": summary.last_time,
        "pending_at_Tmax": summary.pending,
        "saturations": saturations,
    })
}

fn print_summary(network: &Network, record: &Record, out: Option<&Path>) {
    let summary = &record.summary;
    let events: u64 = summary.events.iter().sum();
    let last = summary.last_time.map_or("none".into(), |t| t.to_string());
    let mut text = String::new();
    if network.t_max() == Tick::MAX && summary.pending > 0 {
        eprintln!("warning: times end at {}, Tmax: what would come then or later stays pending", Tick::MAX);
    }
    let saturated: u64 = summary.saturations.iter().sum();
    if saturated > 0 {
        text += &format!("potentials cut off at 32 bits: {saturated}\n");
    }
    if let Some(out) = out {
        text += &format!("event files: {}\n", out.display());
    }
    print(&text);
    super::answer(&format!(
        "{}, {}, {}, last time {last}, pending at Tmax {}",
        counted(network.nodes().len() as u64, "node"),
        counted(events, "event"),
        counted(summary.synaptic_operations, "synaptic operation"),
        summary.pending
    ));
}
