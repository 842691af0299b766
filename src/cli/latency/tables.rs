//! What `megasim latency` prints.

use super::units::{tick, time};
use super::{Outcome, described};
use crate::cli::tables::{boxed, counted, engineering, percent, percents};
use megasim::engine::machine::{Distribution, Pace};
use megasim::hardware::module_name;
use megasim::network::{Driver, ModuleId, Network, NodeId};
use megasim::study::classification::wilson_interval;
use megasim::study::latency::{Account, Critical, Latency, Load, NotQuantised, PathPart, Resource, Spread, Traffic};
use std::fmt::Write;

/// All of it.
pub fn text(outcome: &Outcome<'_>) -> String {
    let mut text = heading(outcome);
    text += &described::fitted(outcome);
    text += &described::machine(outcome);
    text += &latencies(outcome);
    let statistics = &outcome.found.results.statistics;
    let works = statistics.modules.iter().any(|module| module.busy.total() > 0 || module.wait.sum() > 0);
    if works || statistics.nodes.iter().any(|node| node.waiting.sum() + node.handshake.sum() > 0) {
        text += &modules(outcome);
        text += &nodes(outcome);
    }
    text += &links(outcome);
    text += &bottleneck(outcome);
    text += &energy(outcome);
    text += &quantised(outcome.found);
    text += &accuracy(outcome);
    text += &leftovers(outcome);
    text
}

fn heading(outcome: &Outcome<'_>) -> String {
    let tick = tick(outcome).map_or("times in ticks".into(), |tick| format!("ticks of {tick}"));
    let samples = counted(outcome.found.results.samples.len() as u64, "sample");
    format!("{samples} on {}, {tick}, pace {}\n\n", outcome.found.hardware.name(), outcome.arguments.pace)
}

fn latencies(outcome: &Outcome<'_>) -> String {
    let results = &outcome.found.results;
    let row = |name: &str, spread: Option<Spread>| {
        let mut row = vec![name.to_string()];
        let time = |ticks: f64| time(ticks, tick(outcome));
        match spread {
            None => row.extend(std::iter::once("0".to_string()).chain(std::iter::repeat_n("-".into(), 5))),
            Some(it) => row.extend([
                it.samples.to_string(),
                time(it.mean),
                format!("{} to {}", time(it.low), time(it.high)),
                time(it.median),
                time(it.p95),
                time(it.max),
            ]),
        }
        row
    };
    let mut rows = vec![row("first output spike", results.latency(|decisions| decisions.first_spike))];
    if outcome.found.input.labels.is_some() {
        rows.push(row("first correct decision", results.latency(|decisions| decisions.first_correct)));
    }
    if outcome.found.input.output.is_some_and(|(_, classes)| classes > 0) {
        rows.push(row("decision that stays", results.latency(|decisions| decisions.settled)));
    }
    if outcome.found.input.output_is_signed() {
        rows.push(row("counts that are final", results.latency(|decisions| decisions.last_spike)));
    }
    rows.push(row("last work", results.length()));
    let header = ["from the first input to the", "samples", "mean", "95 % interval", "median", "95 %", "max"];
    format!("{}\n\n", boxed(&header, rows))
}

fn quantiles(distribution: &Distribution, outcome: &Outcome<'_>) -> [String; 5] {
    let time = |ticks: Option<f64>| ticks.map_or("-".into(), |ticks| time(ticks, tick(outcome)));
    let at = |share: f64| time(distribution.quantile(share).map(|ticks| ticks as f64));
    [time(distribution.mean()), at(0.5), at(0.95), at(0.99), time(distribution.max().map(|ticks| ticks as f64))]
}

/// Modules that are shown in one line, with a name.
pub fn module_groups(outcome: &Outcome<'_>, network: &Network) -> Vec<(String, Vec<ModuleId>)> {
    if outcome.arguments.modules {
        let modules = (0..network.modules().len()).map(ModuleId::new);
        return modules.map(|id| (module_name(network, id), vec![id])).collect();
    }
    outcome.found.input.layers.iter().map(|layer| (layer.name.clone(), layer.modules.clone())).collect()
}

fn modules(outcome: &Outcome<'_>) -> String {
    let statistics = &outcome.found.results.statistics;
    let seconds = tick(outcome).map(|tick| tick.seconds() * statistics.elapsed as f64);
    let rows = module_groups(outcome, &outcome.found.input.network).into_iter().map(|(name, ids)| {
        let load = Load::of(statistics, &ids);
        let rate = match seconds {
            Some(seconds) if seconds > 0.0 => engineering(load.events as f64 / seconds, "/s"),
            _ => format!("{:.4} a tick", load.events as f64 / statistics.elapsed.max(1) as f64),
        };
        vec![
            name,
            load.modules.to_string(),
            percent(load.busy),
            percent(load.busiest),
            percent(load.stopped),
            load.queue.mean().map_or("-".into(), |mean| format!("{mean:.3}")),
            load.queue.quantile(0.99).map_or("-".into(), |events| events.to_string()),
            load.queue.max().map_or("-".into(), |events| events.to_string()),
            load.wait.mean().map_or("-".into(), |ticks| time(ticks, tick(outcome))),
            rate,
        ]
    });
    let header =
        ["modules", "n", "busy, mean", "busiest", "stopped", "queue, mean", "99 %", "max", "wait, mean", "events"];
    format!(
        "{}\nbusy: share of the time; stopped: share in which a full output FIFO held it up (largest of the modules); \
            queue: events that \
         arrived and are not started.\n\n",
        boxed(&header, rows).least(&["99 %", "stopped", "n", "max"])
    )
}

/// Nodes that are shown in one line, with a name.
pub fn node_groups(outcome: &Outcome<'_>, network: &Network) -> Vec<(String, Vec<NodeId>)> {
    let mut groups: Vec<(String, Vec<NodeId>)> = Vec::new();
    let sources: Vec<NodeId> = network.sources().to_vec();
    for (name, wanted) in [("input", true), ("clocks", false)] {
        let nodes: Vec<NodeId> = sources
            .iter()
            .zip(&outcome.found.input.input)
            .filter(|(_, input)| **input == wanted)
            .map(|(node, _)| *node)
            .collect();
        if !nodes.is_empty() {
            groups.push((name.into(), nodes));
        }
    }
    for (name, modules) in module_groups(outcome, network) {
        groups.push((name, modules.iter().flat_map(|&module| network.outputs(module)).copied().collect()));
    }
    groups
}

fn nodes(outcome: &Outcome<'_>) -> String {
    let rows = node_groups(outcome, &outcome.found.input.network).into_iter().map(|(name, nodes)| {
        let sum = Traffic::of(&outcome.found.results.statistics, &nodes);
        let per_sample = sum.events as f64 / outcome.found.results.samples.len() as f64;
        let cell = |distribution: &Distribution| {
            let [mean, median, p95, p99, max] = quantiles(distribution, outcome);
            format!("{mean} | {median} | {p95} | {p99} | {max}")
        };
        vec![name, format!("{per_sample:.1}"), cell(&sum.waiting), cell(&sum.handshake)]
    });
    let header =
        ["nodes", "events/sample", "waiting: mean | 50 | 95 | 99 % | max", "handshake: mean | 50 | 95 | 99 % | max"];
    let rows: Vec<_> = rows.filter(|row| row[1] != "0.0").collect();
    format!(
        "{}\nwaiting: from t_pre to the request; handshake: from the request to the last acknowledge.\n\n",
        boxed(&header, rows)
    )
}

fn links(outcome: &Outcome<'_>) -> String {
    let Some(mesh) = &outcome.found.mapped.resolved.machine.mesh else { return String::new() };
    let statistics = &outcome.found.results.statistics;
    let mut busiest: Vec<(usize, u64)> =
        statistics.links.iter().map(|link| link.busy).enumerate().filter(|(_, busy)| *busy > 0).collect();
    let used = busiest.len();
    busiest.sort_by_key(|&(k, busy)| (std::cmp::Reverse(busy), k));
    let most = if outcome.arguments.modules { used } else { 5 };
    let rows = busiest.iter().take(most).map(|&(k, busy)| {
        let (tile, direction) = mesh.link(k);
        let link = &statistics.links[k];
        let [mean, _, _, p99, max] = quantiles(&link.wait, outcome);
        vec![
            format!("({}, {}) {direction:?}", tile.x, tile.y),
            format!("{:.1}", link.wait.weight() as f64 / outcome.found.results.samples.len() as f64),
            percent(busy as f64 / statistics.elapsed.max(1) as f64),
            mean,
            p99,
            max,
        ]
    });
    let header = ["busiest links", "messages/sample", "busy", "wait, mean", "99 %", "max"];
    let more = if used > most { "; --modules lists all" } else { "" };
    format!("{}\n{used} links in use{more}.\n\n", boxed(&header, rows))
}

fn resource(outcome: &Outcome<'_>, resource: Resource) -> String {
    match resource {
        Resource::Module(module) => format!("module {{{}}}", module_name(&outcome.found.input.network, module)),
        Resource::Link(tile, direction) => format!("the link from tile ({}, {}) {direction:?}", tile.x, tile.y),
    }
}

/// Where a critical path goes: its largest parts.
fn largest(parts: &[PathPart]) -> String {
    const MOST: usize = 3;
    let shown = parts.iter().take(MOST).filter(|it| it.share >= 0.01);
    shown.map(|it| format!("{} {}", percent(it.share), it.name())).collect::<Vec<_>>().join(", ")
}

/// What takes most of the critical path, as fast as input is taken where that was tried, and what halving it gives.
pub fn bottleneck_sentence(outcome: &Outcome<'_>) -> String {
    let found = outcome.found;
    let (critical, pace) = match (&found.what_ifs.critical, &found.critical) {
        (Some(critical), _) => (critical, Pace::Fastest),
        (None, Some(critical)) => (critical, found.pace),
        (None, None) => {
            let none = found.results.samples.iter().all(|sample| sample.paths.is_none());
            let why = if none { "the first samples are too long to be traced" } else { "nothing takes time" };
            return format!("Bottleneck: none, {why}.");
        }
    };
    let Some(most) = critical.bottleneck() else { return String::new() };
    let mut text = format!(
        "Bottleneck: {}, {} of the critical path to the last work (pace {pace}).",
        most.name(),
        percent(most.share)
    );
    let what_ifs = &found.what_ifs;
    let gives = match (what_ifs.of_bottleneck(), what_ifs.is_bottleneck()) {
        (Some(relief), Some(true)) => format!(" With {} a sample takes {}", relief.change, percent(relief.time)),
        (Some(relief), _) => {
            let (change, time) = (&relief.change, percent(relief.time));
            format!(" Alone it gives nothing, as other ways are as long: with {change} a sample takes {time}")
        }
        (None, _) => " What halving it gives was not tried".into(),
    };
    text += &gives;
    if what_ifs.of_bottleneck().is_some() {
        text += " of the time";
    }
    text += match what_ifs.agree() {
        Some(true) => "; the best of the runs below changes the same key.",
        Some(false) => "; the best of the runs below changes another key.",
        None => ".",
    };
    if let Some((node, share)) = critical.handshake.filter(|(_, share)| *share >= 0.01) {
        let name = &found.input.network.nodes()[node.index()].name;
        let _ = write!(
            text,
            " {} of the path are handshakes of node {{{name}}}, each of which held up its next event.",
            percent(share)
        );
    }
    text
}

/// The critical paths in words.
fn paths(outcome: &Outcome<'_>) -> String {
    let found = outcome.found;
    let mut text = String::new();
    let mut say = |critical: &Critical, pace: Pace| {
        let n = counted(critical.samples as u64, "sample");
        let _ = writeln!(text, "Critical path to the last work, pace {pace}, {n}: {}.", largest(&critical.last_work));
        if !critical.decision.is_empty() {
            let _ = writeln!(text, "  To the decision that stays: {}.", largest(&critical.decision));
        }
    };
    if let Some(critical) = &found.critical {
        say(critical, found.pace);
    }
    if let Some(critical) = found.what_ifs.critical.as_ref().filter(|_| found.pace != Pace::Fastest) {
        say(critical, Pace::Fastest);
    }
    text
}

/// What is busiest.
pub fn busiest_sentence(outcome: &Outcome<'_>) -> String {
    let Some(it) = &outcome.found.busiest else { return "No module takes any time.".into() };
    let mut text = format!(
        "Busiest: {}, busy {} of the time, {} of that with {}.",
        resource(outcome, it.resource),
        percent(it.utilisation),
        percent(it.cause.1),
        it.cause.0
    );
    if let Some((next, utilisation)) = it.next {
        let _ = write!(text, " Next is {} with {}.", resource(outcome, next), percent(utilisation));
    }
    if let Some((node, share)) = it.handshake {
        let name = &outcome.found.input.network.nodes()[node.index()].name;
        let _ = write!(text, " Node {{{name}}} waits for acknowledges {} of the time.", percent(share));
    }
    if let Some((module, share)) = it.stopped {
        let name = module_name(&outcome.found.input.network, module);
        let _ = write!(text, " Full output FIFOs stop {{{name}}} for {} of the time.", percent(share));
    }
    text
}

fn bottleneck(outcome: &Outcome<'_>) -> String {
    let mut text = bottleneck_sentence(outcome) + "\n" + &paths(outcome) + &busiest_sentence(outcome) + "\n";
    let runs = &outcome.found.what_ifs.runs;
    if !runs.is_empty() {
        let n = counted(outcome.arguments.relief.min(outcome.found.results.samples.len()) as u64, "sample");
        let decided = runs.iter().any(|relief| relief.decision.is_some());
        let rows = runs.iter().map(|relief| {
            let mut row = vec![relief.change.clone(), percent(relief.time)];
            row.extend(decided.then(|| relief.decision.map_or("-".into(), percent)));
            row
        });
        let mut header = vec!["what would be faster", "time of a sample"];
        header.extend(decided.then_some("time to the decision"));
        let _ = write!(text, "{}\nof the time now, input as fast as it is taken, {n}.\n", boxed(&header, rows));
    }
    text + "\n"
}

/// Energies a sample; nothing where none are given.
fn energy(outcome: &Outcome<'_>) -> String {
    let bill = outcome.found.bill();
    if bill.total() == 0.0 {
        return "The machine has no energies.\n\n".into();
    }
    let n = outcome.found.results.samples.len() as f64;
    let mut sum = Account::default();
    let named = outcome.found.input.layers.iter().map(|layer| layer.name.as_str()).zip(&bill.layers);
    let accounts: Vec<(&str, &Account)> = std::iter::once(("input", &bill.input)).chain(named).collect();
    for (_, account) in &accounts {
        sum.add(account);
    }
    let causes: Vec<usize> = (0..sum.parts().len()).filter(|&k| sum.parts()[k].1 > 0.0).collect();
    let mut header = vec!["energy/sample"];
    header.extend(causes.iter().map(|&k| sum.parts()[k].0));
    header.push("dynamic");
    let row = |name: &str, account: &Account| {
        let mut row = vec![name.to_string()];
        row.extend(causes.iter().map(|&k| engineering(account.parts()[k].1 / n, "J")));
        row.push(engineering(account.total() / n, "J"));
        row
    };
    let mut rows: Vec<_> = accounts
        .iter()
        .filter(|(_, account)| account.total() > 0.0)
        .map(|(name, account)| row(name, account))
        .collect();
    let [dynamic, others @ ..] = bill.totals();
    rows.push(row(dynamic.0, &sum));
    rows.extend(others.into_iter().map(|(name, joules)| {
        let mut row = vec![name.to_string()];
        row.extend(std::iter::repeat_n(String::new(), causes.len()));
        row.push(engineering(joules / n, "J"));
        row
    }));
    format!("{}\n\n", boxed(&header, rows).least(&["hops", "messages", "updates", "spikes"]))
}

/// The network as multiply-accumulates; nothing where the machine does not say what these cost.
fn quantised(found: &Latency) -> String {
    let it = match found.quantised() {
        Ok(it) => it,
        Err(NotQuantised::Machine) => return String::new(),
        Err(why) => {
            return format!("The same network quantised, as multiply-accumulates: not available, as {why}.\n\n");
        }
    };
    let equal = match it.equal_at {
        Some(rate) => {
            format!("Equal at {rate:.3} spikes per connection and sample, here {:.3}", it.spikes_per_connection)
        }
        None => "No spike rate makes both equal, as neurons and static power alone cost more".into(),
    };
    format!(
        "The same network quantised to {} levels: {} multiply-accumulates of {} bits, {}; the spikes take {}, {:.2} \
         times as much.\n{equal}.\n\n",
        it.levels,
        it.macs,
        it.bits,
        engineering(it.energy, "J"),
        engineering(it.spikes_energy, "J"),
        it.spikes_energy / it.energy
    )
}

fn accuracy(outcome: &Outcome<'_>) -> String {
    let results = &outcome.found.results;
    let right = results.right();
    let mean = |of: fn(&megasim::study::latency::Sample) -> u64| {
        results.samples.iter().map(|sample| of(sample) as f64).sum::<f64>() / right.of as f64
    };
    let accuracy = |hits: usize| match outcome.found.input.labels {
        Some(_) => [percent(hits as f64 / right.of as f64), percents(wilson_interval(hits, right.of))],
        None => ["-".into(), "-".into()],
    };
    let line = |name: &str, hits: usize, events: f64, agree: String| {
        let [share, interval] = accuracy(hits);
        vec![name.to_string(), share, interval, format!("{events:.1}"), agree]
    };
    let agree = right.as_ideal().map_or("-".into(), percent);
    let rows = [
        line("on the machine", right.machine, mean(|sample| sample.events), agree),
        line("ideal (event mode)", right.ideal, mean(|sample| sample.ideal_events), "-".into()),
    ];
    format!("{}\n", boxed(&["", "accuracy", "95 % interval", "events/sample", "as ideal"], rows))
}

fn leftovers(outcome: &Outcome<'_>) -> String {
    let left = outcome.found.results.unfinished();
    let n = outcome.found.results.samples.len() as f64;
    let mut text = format!(
        "Left at the end of a sample, on average: {:.1} events made and never requested, {:.1} requested and never \
            acknowledged, {:.1} arrived and \
         never started.\n",
        left.pending as f64 / n,
        left.unacknowledged as f64 / n,
        left.unstarted as f64 / n
    );
    let unfinished = outcome.found.results.unfinished_samples();
    if unfinished > 0 {
        let _ = writeln!(text, "{unfinished} of {n} samples did not finish: events were left over at their ends.");
    }
    if left.unsent > 0 {
        let _ = writeln!(
            text,
            "Input was left over: {:.1} events of a sample were never requested, as the machine does not take them \
                at pace {}; figures are of part of \
             the input. A slower --pace, --pace fastest or a longer --duration helps.",
            left.unsent as f64 / n,
            outcome.arguments.pace
        );
    }
    let stuck: Vec<_> = outcome.found.results.samples.iter().filter(|sample| !sample.deadlocks.is_empty()).collect();
    if let Some(first) = stuck.first() {
        let _ = writeln!(text, "Deadlock in {} of {} samples.", stuck.len(), outcome.found.results.samples.len());
        for deadlock in &first.deadlocks {
            let network = &outcome.found.input.network;
            let ring: Vec<String> = deadlock
                .modules
                .iter()
                .zip(&deadlock.nodes)
                .map(|(module, node)| {
                    let node = &network.nodes()[node.index()];
                    debug_assert!(matches!(node.driver, Driver::Module(driver) if driver == *module));
                    format!("{{{}}}", node.name)
                })
                .collect();
            let _ = writeln!(
                text,
                "  sample {}, time {}: {} -> {} (each waits until the next one takes its output)",
                first.number,
                time(deadlock.at as f64, tick(outcome)),
                ring.join(" -> "),
                ring.first().map_or("", String::as_str)
            );
        }
    }
    text
}
