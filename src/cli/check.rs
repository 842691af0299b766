//! `megasim check FILE.sch`: what is wrong with a netfile directory, what is odd, and what to expect of a run.

use super::output::Printed;
use super::tables::{Boxed, boxed, counted};
use clap::Args;
use megasim::engine::{Limits, Plan};
use megasim::netfile::inspect::{Effect, Headroom, addresses, headroom, misfits, samples, unread};
use megasim::netfile::{self, Error, Examination, Netfiles};
use megasim::network::{Driver, ModuleId, ModuleKind, Network, NodeId, Polarity, Stimulus, Tick};
use std::path::PathBuf;

/// Report all errors and warnings of a netfile directory
///
/// Reads all files, also after a fault in one of them, and tells for each module how far its weights reach, for each
/// source what it sends and how its resets cut it into samples. Exit status 1 if there is a fault, 0 otherwise.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The schematic
    schematic: PathBuf,
    #[command(flatten)]
    printed: Printed,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weight {
    Fault,
    Warning,
    Note,
}

/// Report and tables as text. Printed at the end in one go, so that a reader who stops early does no harm.
#[derive(Debug, Default)]
struct Report {
    text: String,
    faults: usize,
    warnings: usize,
}

impl Report {
    fn line(&mut self, line: impl std::fmt::Display) {
        self.text += &format!("{line}\n");
    }

    fn tell(&mut self, weight: Weight, text: &str) {
        let word = match weight {
            Weight::Fault => {
                self.faults += 1;
                "fault  "
            }
            Weight::Warning => {
                self.warnings += 1;
                "warning"
            }
            Weight::Note => "note   ",
        };
        self.line(format_args!("{word}  {text}"));
    }
}

/// Prints what was found; whether there is no fault.
pub fn run(arguments: &Arguments) -> bool {
    let Examination { netfiles, faults, warnings } = netfile::examine(&arguments.schematic);
    let mut report = Report::default();
    for fault in &faults {
        report.tell(Weight::Fault, &fault.to_string());
        if let Error::Text { fault, .. } = fault {
            excerpt(fault, &mut report);
        }
    }
    for warning in &warnings {
        report.tell(Weight::Warning, &warning.to_string());
    }
    if let Some(netfiles) = &netfiles {
        check_network(netfiles, &mut report);
    }
    let (found, unsure) = (counted(report.faults as u64, "fault"), counted(report.warnings as u64, "warning"));
    let mut answer = format!("{found}, {unsure}");
    if faults.len() >= netfile::MOST_FAULTS {
        answer += "\nThere may be more: reading stops after this many faults.";
    }
    if netfiles.is_none() {
        answer += "\nModules and sources are listed when the files have no fault.";
    }
    super::print(&report.text);
    super::answer(&answer);
    report.faults == 0
}

/// The line at fault, its place underlined.
fn excerpt(fault: &netfile::TextError, report: &mut Report) {
    if fault.text.is_empty() {
        return;
    }
    let number = fault.line.to_string();
    let columns = |text: &str| text.chars().count();
    let before = columns(&fault.text[..fault.span.start]);
    let width = columns(&fault.text[fault.span.clone()]).max(1);
    report.line(format_args!("         {number} | {}", fault.text));
    report.line(format_args!("         {} | {}{}", " ".repeat(number.len()), " ".repeat(before), "^".repeat(width)));
}

fn check_network(netfiles: &Netfiles, report: &mut Report) {
    let Netfiles { network, stimuli, .. } = netfiles;
    let headrooms = headroom(network, stimuli);
    check_addresses(network, stimuli, report);
    check_saturation(network, &headrooms, report);
    check_event_files(network, report);
    check_reading(network, report);
    check_loops(network, report);
    check_end(netfiles, report);
    report.line("");
    report.line(format_args!(
        "{}, {}, {}, Tmax {}",
        counted(network.sources().len() as u64, "source"),
        counted(network.modules().len() as u64, "module"),
        counted(network.nodes().len() as u64, "node"),
        network.t_max()
    ));
    report.line("");
    report.line(format_args!("{}", sources(netfiles)));
    let samples = samples(network, stimuli);
    for of in &samples {
        let name = name(network, network.sources()[of.source.index()]);
        let ticks = if of.shortest == of.longest {
            of.longest.to_string()
        } else {
            format!("{} to {}", of.shortest, of.longest)
        };
        let open = if of.open { "; the last sample has no reset after it" } else { "" };
        report.line(format_args!(
            "{{{name}}}: resets {}, samples {}, ticks up to a reset {ticks}{open}",
            of.resets, of.samples
        ));
    }
    report.line("");
    report.line(format_args!("{}", modules(network, &headrooms)));
    report.line(format_args!(
        "`one event` and `all inputs` are the reach of a potential in thresholds (THplus - \
        MembReset): of one event, and of one \
         event at every input\naddress. `to limit` is how many events of the largest weight fit between threshold and \
         32 bits; \
         no number where it cannot be reached."
    ));
    report.line("");
}

fn name(network: &Network, node: NodeId) -> &str {
    &network.nodes()[node.index()].name
}

fn module_name(network: &Network, module: usize) -> String {
    match network.outputs(ModuleId::new(module)).first() {
        Some(&node) => name(network, node).to_string(),
        None => format!("module {module} (no output)"),
    }
}

/// A list of names that stays readable.
fn list(names: &[&str]) -> String {
    const MOST: usize = 8;
    let shown = names[..names.len().min(MOST)].join(", ");
    if names.len() > MOST { format!("{shown} and {} more", names.len() - MOST) } else { shown }
}

fn check_addresses(network: &Network, stimuli: &[Stimulus], report: &mut Report) {
    for misfit in misfits(network, stimuli) {
        let (node, module) = (name(network, misfit.node), module_name(network, misfit.module.index()));
        let (x, y) = (misfit.addresses.x, misfit.addresses.y);
        let text = format!(
            "{{{node}}} carries spikes at x {}..{}, y {}..{}, but port {} of {{{module}}} has {} x {} addresses",
            x.0, x.1, y.0, y.1, misfit.port, misfit.array.0, misfit.array.1
        );
        match misfit.effect {
            Effect::Dropped => report.tell(Weight::Warning, &format!("{text}: those outside are dropped")),
            Effect::MayStop => report.tell(Weight::Warning, &format!("{text}: one outside would stop the run")),
            Effect::Stops => report.tell(Weight::Fault, &format!("{text}: the first one outside stops the run")),
        }
    }
    for (k, module) in network.modules().iter().enumerate() {
        let nothing =
            network.outputs(ModuleId::new(k)).first().is_some_and(|&it| addresses(network, &[], it).is_none());
        if module.kind.neurons().is_some() && nothing {
            let text = format!(
                "no spike can leave {{{}}}: nothing of its array is inside the crop window",
                module_name(network, k)
            );
            report.tell(Weight::Warning, &text);
        }
    }
}

fn check_saturation(network: &Network, headrooms: &[Option<Headroom>], report: &mut Report) {
    for (k, headroom) in headrooms.iter().enumerate() {
        let Some(headroom) = headroom else { continue };
        for (events, step) in [(headroom.events_up, headroom.up), (headroom.events_down, headroom.down)] {
            if events == Some(0) {
                let module = module_name(network, k);
                let text = format!(
                    "one event can move a potential of {{{module}}} by {step}, from its threshold beyond 32 bits"
                );
                report.tell(Weight::Warning, &text);
            }
        }
        let limit = i64::from(i32::MAX);
        if headroom.all_up > limit && headroom.events_up.is_some_and(|events| events > 0) {
            let text = format!(
                "one event at every input address of {{{}}} adds up to {}, beyond 32 bits",
                module_name(network, k),
                headroom.all_up
            );
            report.tell(Weight::Warning, &text);
        }
    }
}

fn check_event_files(network: &Network, report: &mut Report) {
    for node in network.nodes() {
        if let Err(error) = netfile::event_file_name(&node.name) {
            report.tell(Weight::Fault, &error.to_string());
        }
    }
}

fn check_reading(network: &Network, report: &mut Report) {
    let unread = unread(network);
    let of = |wanted: fn(&Driver) -> bool| -> Vec<&str> {
        let driver = |node: &&NodeId| wanted(&network.nodes()[node.index()].driver);
        unread.iter().filter(driver).map(|&node| name(network, node)).collect()
    };
    let sources = of(|driver| matches!(driver, Driver::Source(_)));
    if !sources.is_empty() {
        report.tell(Weight::Note, &format!("sources that no module reads: {}", list(&sources)));
    }
    let outputs = of(|driver| matches!(driver, Driver::Module(_)));
    if !outputs.is_empty() {
        report.tell(Weight::Note, &format!("nodes that no module reads (the outputs): {}", list(&outputs)));
    }
}

fn check_loops(network: &Network, report: &mut Report) {
    match Plan::new(network) {
        Err(error) => report.tell(Weight::Fault, &format!("cannot be run: {error}")),
        Ok(plan) => {
            for nodes in plan.timeless_loops() {
                let names: Vec<&str> = nodes.iter().map(|&node| name(network, node)).collect();
                let why = "no delay, and no neurons with Tmin or T_Refract";
                let text = format!("a loop in which time cannot advance ({why}): {}", list(&names));
                report.tell(Weight::Warning, &text);
            }
            check_without_end(network, &plan, report);
        }
    }
}

/// Loops and neurons that keep each other going until Tmax, where that is far.
fn check_without_end(network: &Network, plan: &Plan, report: &mut Report) {
    for node in plan.rising_at_spikes() {
        let text = format!(
            "{{{}}} spikes again and again in clocked mode, each spike taking its potential further beyond the \
                threshold: \
             Reset_to_reminder subtracts a THplus below 1 (or a THminus above -1)",
            name(network, node)
        );
        report.tell(Weight::Warning, &text);
    }
    let limit = Limits::default().events;
    if network.t_max().unsigned_abs() <= limit {
        return;
    }
    for nodes in plan.loops() {
        let names: Vec<&str> = nodes.iter().map(|&node| name(network, node)).collect();
        let text = format!(
            "a loop that may go on until Tmax = {}, further than the {limit} events after which a run is stopped: {}",
            network.t_max(),
            list(&names)
        );
        report.tell(Weight::Warning, &text);
    }
    if network.t_max() == Tick::MAX {
        let text = "Tmax is the largest time there is: what is due then or later is not run, as times end there";
        report.tell(Weight::Warning, text);
    }
}

fn check_end(netfiles: &Netfiles, report: &mut Report) {
    let Netfiles { network, stimuli, files, .. } = netfiles;
    for (stimulus, file) in stimuli.iter().zip(&files.stimuli) {
        let late = stimulus.len() - stimulus.t_pre().partition_point(|&t_pre| t_pre <= network.t_max());
        if late > 0 {
            let text = format!("{file}: {late} of {} events come after Tmax and are not sent", stimulus.len());
            report.tell(Weight::Note, &text);
        }
    }
}

fn sources(netfiles: &Netfiles) -> Boxed {
    let Netfiles { network, stimuli, files, .. } = netfiles;
    let mut rows = Vec::new();
    for ((stimulus, file), &node) in stimuli.iter().zip(&files.stimuli).zip(network.sources()) {
        let (mut resets, mut controls) = (0, 0);
        for event in stimulus.iter() {
            match event.polarity {
                Polarity::Reset => resets += 1,
                Polarity::Settle => controls += 1,
                Polarity::Negative if event.y == -1 => controls += 1,
                _ => {}
            }
        }
        let tick = |tick: Option<&i64>| tick.map_or("-".into(), i64::to_string);
        rows.push(vec![
            name(network, node).to_string(),
            file.clone(),
            (stimulus.len() - resets - controls).to_string(),
            resets.to_string(),
            controls.to_string(),
            tick(stimulus.t_pre().first()),
            tick(stimulus.t_pre().last()),
        ]);
    }
    let header = ["source", "file", "spikes", "resets", "controls", "first tick", "last tick"];
    boxed(&header, rows).texts(2).least(&["controls"])
}

fn modules(network: &Network, headrooms: &[Option<Headroom>]) -> Boxed {
    let head = ["module", "kind", "array", "ports", "one event", "all inputs", "to limit: up", "down"];
    let mut rows = Vec::new();
    for (k, (module, headroom)) in network.modules().iter().zip(headrooms).enumerate() {
        let array = match &module.kind {
            ModuleKind::Flatten(ports) => {
                ports.iter().map(|port| u64::from(port.nx) * u64::from(port.ny)).sum::<u64>().to_string()
            }
            ModuleKind::MaxPool(pool) => {
                pool.ports.first().map_or("-".into(), |port| format!("{} x {}", port.nx_out, port.ny_out))
            }
            kind => kind.neurons().map_or("-".into(), |(array, ..)| format!("{} x {}", array.nx, array.ny)),
        };
        let kind = module.kind.name().trim_start_matches("module_").to_string();
        let mut row = vec![module_name(network, k), kind, array, module.kind.ports().to_string()];
        match (headroom, module.kind.neurons()) {
            (Some(headroom), Some((_, neurons, _))) => {
                let threshold = f64::from(neurons.threshold_plus) - f64::from(neurons.membrane_reset);
                let range = |down: i64, up: i64| {
                    if threshold <= 0.0 {
                        return format!("{down} to {up}");
                    }
                    format!("{:.3} to {:.3}", down as f64 / threshold, up as f64 / threshold)
                };
                let events = |events: Option<u64>| events.map_or("-".into(), |events| events.to_string());
                row.extend([
                    range(headroom.down, headroom.up),
                    range(headroom.all_down, headroom.all_up),
                    events(headroom.events_up),
                    events(headroom.events_down),
                ]);
            }
            _ => row.extend(std::iter::repeat_n("-".to_string(), 4)),
        }
        rows.push(row);
    }
    boxed(&head, rows).texts(2).least(&["down", "to limit: up", "ports"])
}
