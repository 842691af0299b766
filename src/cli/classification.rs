//! What commands that classify print of the result.

use super::tables::{Boxed, boxed, counted};
use megasim::readout::ReadOut;
use megasim::study::classification::{Classification, Outcome, decisions, wilson_interval};
use miette::{Result, bail};

/// Refuses more classes than a network has.
pub fn check_top_k(top_k: Option<u32>, classes: usize) -> Result<()> {
    match top_k {
        Some(k) if k as usize > classes => bail!("--top-k: expected at most the {classes} classes, found {k}"),
        _ => Ok(()),
    }
}

/// What only some read-outs have to say, for a person; a line a mode.
pub fn remarks(of: &Classification) -> String {
    let mut text = String::new();
    for (name, outcomes) in [("event", &of.event), ("clocked", &of.clocked)] {
        let Some(outcomes) = outcomes else { continue };
        let mut parts = Vec::new();
        if let Some(saved) = of.saved(outcomes) {
            let percent = |share: f64| format!("{:.1} %", 100.0 * share);
            let time = percent(saved.time);
            let saved = match saved.operations.map(percent) {
                Some(operations) => format!("{time} of the time and {operations} of the operations saved"),
                None => format!("{time} of the time saved"),
            };
            parts.push(format!("decided after {:.2} ms (mean), {saved}", of.decision_ms(outcomes)));
        }
        if let (Some(k), Some(share)) = (of.top_k, of.top_k(outcomes)) {
            parts.push(format!("right among the first {k}: {:.2} %", 100.0 * share));
        }
        let ties = outcomes.iter().filter(|outcome| outcome.decision.tied.len() > 1).count();
        if ties > 0 && (of.read_out != ReadOut::default() || of.top_k.is_some()) {
            parts.push(counted(ties as u64, "tie"));
        }
        if !parts.is_empty() {
            text += &format!("{name}: {}\n", parts.join("; "));
        }
    }
    text
}

/// What a person reads.
pub fn table(of: &Classification) -> Boxed {
    let n = of.len();
    let header = [
        &counted(n as u64, "sample"),
        "accuracy",
        "95 % interval",
        "as analog",
        "input spikes",
        "spikes",
        "operations",
        "CPU ms",
    ];
    let mut rows: Vec<Vec<String>> = Vec::new();
    let accuracy = |decisions: &[Option<usize>]| {
        let Some(right) = of.right(decisions) else { return ["-".to_string(), "-".to_string()] };
        let (low, high) = wilson_interval(right, n);
        let percent = |share: f64| format!("{:.2}", 100.0 * share);
        [format!("{} %", percent(right as f64 / n as f64)), format!("{} to {} %", percent(low), percent(high))]
    };
    let analog = of.analog_decisions();
    if let Some(analog) = &analog {
        let [share, interval] = accuracy(analog);
        let none = || "-".to_string();
        rows.push(vec!["analog".into(), share, interval, none(), none(), none(), none(), none()]);
    }
    for (name, outcomes) in [("event", &of.event), ("clocked", &of.clocked)] {
        let (Some(outcomes), Some(decisions)) = (outcomes, decisions(outcomes)) else { continue };
        let [share, interval] = accuracy(&decisions);
        let agreement = of.agreement(Some(&decisions), analog.as_deref());
        let mean = |of: fn(&Outcome) -> f64| outcomes.iter().map(of).sum::<f64>() / n as f64;
        rows.push(vec![
            name.to_string(),
            share,
            interval,
            agreement.map_or("-".into(), |agreement| format!("{:.2} %", 100.0 * agreement)),
            format!("{:.0}", mean(|outcome| outcome.input_spikes as f64)),
            format!("{:.0}", mean(|outcome| outcome.spikes as f64)),
            format!("{:.0}", mean(|outcome| outcome.synaptic_operations as f64)),
            format!("{:.2}", mean(|outcome| 1000.0 * outcome.cpu_time.as_secs_f64())),
        ]);
    }
    if let Some(agreement) = of.agreement(decisions(&of.event).as_deref(), decisions(&of.clocked).as_deref()) {
        let mut row = vec!["modes agree".to_string(), String::new(), String::new()];
        row.push(format!("{:.2} %", 100.0 * agreement));
        rows.push(row);
    }
    boxed(&header, rows).least(&["CPU ms", "input spikes"])
}
