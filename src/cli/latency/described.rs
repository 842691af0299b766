//! The machine as it is described, and what was fitted to a log.

use super::Outcome;
use super::units::{tick, time};
use crate::cli::tables::{boxed, engineering, percent};
use megasim::hardware::{Agreement, Cores, Duration, Origin, Value, module_name};
use megasim::network::Tick;
use std::fmt::Write;

/// What calibration found, as a hardware file says it.
pub(super) fn fitted(outcome: &Outcome<'_>) -> String {
    if outcome.found.fits.is_empty() {
        return String::new();
    }
    let network = &outcome.found.input.network;
    let ticks = |ticks: Tick| time(ticks as f64, tick(outcome));
    // A hardware file has times with units; without a tick they stay ticks.
    let time = |ticks: Tick| match tick(outcome) {
        Some(tick) => format!("\"{}\"", tick.times(ticks.into())),
        None => format!("\"{ticks} ticks\""),
    };
    let mut text = "Fitted to the log, as a hardware file has it:\n\n".to_string();
    for fit in &outcome.found.fits {
        let name = module_name(network, fit.module);
        let _ = writeln!(text, "[module.\"{name}\"] # {} events", fit.events);
        let is = |(low, high): (Tick, Tick)| format!("95 % interval {} to {}", ticks(low), ticks(high));
        if let Some(work) = &fit.work {
            let lines = [
                ("delay_to_process", work.delay_to_process),
                ("time_per_operation", work.time_per_operation),
                ("time_per_output", work.time_per_output),
            ];
            for ((key, value), interval) in lines.into_iter().zip(work.intervals) {
                let _ = writeln!(text, "{key} = {} # {}", time(value), is(interval));
            }
            let _ = writeln!(text, "time_per_message = {} # part of time_per_output", time(0));
            let _ = writeln!(text, "# fitted to {}", agreement(&work.fitted, tick(outcome)));
            let _ = match &work.held_out {
                Some(held_out) => writeln!(text, "# held out: {}", agreement(held_out, tick(outcome))),
                None => writeln!(text, "# held out: none, the log has too few events"),
            };
        }
        if let (Some(delay), Some(interval)) = (fit.delay_to_ack, fit.delay_to_ack_interval) {
            let _ = writeln!(text, "delay_to_ack = {} # {}", time(delay), is(interval));
        }
    }
    for fit in &outcome.found.fits {
        for &(node, delay) in fit.links.iter().filter(|(_, delay)| *delay > 0) {
            let (from, to) = (&network.nodes()[node.index()].name, module_name(network, fit.module));
            let _ = writeln!(text, "[[links]]\nfrom = \"{from}\"\nto = \"{to}\"\ndelay = {}", time(delay));
        }
    }
    text + "\n"
}

/// How well a fit says how long events took.
fn agreement(of: &Agreement, tick: Option<Duration>) -> String {
    let r_squared = of.r_squared.map_or("all took as long".into(), |part| format!("R squared {part:.4}"));
    format!("{} events: off by {} (root mean square), {r_squared}", of.events, time(of.residual, tick))
}

/// The resolved values, layer by layer; keys that are not set are left out.
pub(super) fn machine(outcome: &Outcome<'_>) -> String {
    let rows = &outcome.found.mapped.resolved.rows;
    let counts = |value: &Value, origin: Origin| match value {
        Value::Time(ticks) => *ticks != 0 || origin > Origin::Prm,
        Value::Depth(Some(depth)) => *depth != 0 || origin > Origin::Prm,
        Value::Depth(None) | Value::Arbiter(_) => origin > Origin::Prm,
        Value::Energy(_) => origin > Origin::Prm,
    };
    let columns = rows.first().map_or(0, |row| row.values.len());
    let shown: Vec<usize> =
        (0..columns).filter(|&k| rows.iter().any(|row| counts(&row.values[k].1, row.values[k].2))).collect();
    if shown.is_empty() {
        return "The machine adds nothing to the .prm files, which have no delays.\n\n".into();
    }
    let cell = |(_, value, origin): &(&str, Value, Origin)| {
        let value = match value {
            Value::Time(ticks) => time(*ticks as f64, tick(outcome)),
            Value::Depth(Some(depth)) => depth.to_string(),
            Value::Depth(None) => "no limit".into(),
            Value::Arbiter(arbiter) => arbiter.name().into(),
            Value::Energy(joules) => engineering(*joules, "J"),
        };
        if *origin <= Origin::Absent { value } else { format!("{value} ({origin})") }
    };
    // One line a key, one column for layers that are alike.
    let mut groups: Vec<(Vec<String>, Vec<String>)> = Vec::new();
    for layer in &outcome.found.input.layers {
        let mut kinds: Vec<Vec<String>> = Vec::new();
        for module in &layer.modules {
            let cells: Vec<String> = shown.iter().map(|&k| cell(&rows[module.index()].values[k])).collect();
            if !kinds.contains(&cells) {
                kinds.push(cells);
            }
        }
        for (k, cells) in kinds.into_iter().enumerate() {
            let name = if k == 0 { layer.name.clone() } else { format!("{} (others)", layer.name) };
            match groups.iter_mut().find(|(_, known)| *known == cells) {
                Some((names, _)) => names.push(name),
                None => groups.push((vec![name], cells)),
            }
        }
    }
    let mut header = vec![String::new()];
    header.extend(groups.iter().map(|(names, _)| names.join("\n")));
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let table = boxed(
        &header,
        shown.iter().enumerate().map(|(line, &k)| {
            let mut row = vec![rows[0].values[k].0.to_string()];
            row.extend(groups.iter().map(|(_, cells)| cells[line].clone()));
            row
        }),
    );
    let mut text = format!("Machine, with where each value came from:\n{table}\n");
    let machine = &outcome.found.mapped.resolved.machine;
    if let Some(mesh) = &machine.mesh {
        let _ = writeln!(
            text,
            "Mesh of {} x {} tiles, {} in use; a hop takes {} east or west ({}), {} north or south ({}).",
            mesh.columns,
            mesh.rows,
            machine.used_tiles(),
            time(mesh.time_east_west as f64, tick(outcome)),
            engineering(outcome.found.mapped.resolved.energy_east_west, "J"),
            time(mesh.time_north_south as f64, tick(outcome)),
            engineering(outcome.found.mapped.resolved.energy_north_south, "J"),
        );
    }
    if let Some(used) = &outcome.found.mapped.resolved.cores {
        text += &cores(used, rows.len());
    }
    if let Some(barrier) = &machine.barrier {
        let step = time(barrier.step as f64, tick(outcome));
        let _ = writeln!(text, "Steps of {step} with a barrier of {}.", time(barrier.time as f64, tick(outcome)));
    }
    text + "\n"
}

/// Chips and cores in use, and how full cores are.
pub fn cores(of: &Cores, modules: usize) -> String {
    let all = of.per_chip * u64::from(of.chips);
    let chips = if of.chips == 1 { "1 chip".to_string() } else { format!("{} chips", of.chips) };
    let mut text = format!("{chips} of {} cores: {modules} modules on {} of {all} cores", of.per_chip, of.used.len());
    let _ = match of.split() {
        0 => write!(text, "."),
        split => write!(text, ", {split} of them split over several."),
    };
    for (key, limit, mean, most) in of.capacities() {
        let (mean, most) = (percent(mean / limit as f64), percent(most as f64 / limit as f64));
        let _ = write!(text, " {key} {limit}: {mean} in use on average, {most} at most.");
    }
    if let Some((order, placed)) = of.hops {
        let _ = write!(
            text,
            " Placed by spikes: {placed} hops of the measured spikes, {order} in the order of the network."
        );
    }
    text + "\n"
}
