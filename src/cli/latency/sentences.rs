//! The answer of `megasim latency`, in sentences.

use super::Outcome;
use super::units::{tick, time};
use crate::cli::tables::{counted, engineering, percent};
use megasim::study::latency::{Critical, Spread};

/// The answer: time, energy and accuracy of a sample, and what holds it up.
pub fn in_words(outcome: &Outcome<'_>) -> String {
    let found = outcome.found;
    let unit = if tick(outcome).is_none() { " ticks" } else { "" };
    let time = |spread: Option<Spread>| spread.map(|it| time(it.mean, tick(outcome)) + unit);
    let name = found.hardware.name();
    let mut text = match time(found.results.length()) {
        Some(length) => format!("On {name} the last work of a sample is done {length} after its first input (mean)"),
        None => format!("On {name} no sample has any input"),
    };
    if let Some(settled) = time(found.results.latency(|decisions| decisions.settled)) {
        text += &format!(", the decision that stays is there after {settled}");
    }
    let energy = found.bill().total();
    if energy > 0.0 {
        let n = found.results.samples.len().max(1) as f64;
        text += &format!(", and a sample takes {}", engineering(energy / n, "J"));
    }
    text += ".";
    let right = found.results.right();
    if found.input.labels.is_some() {
        let share = |hits: usize| percent(hits as f64 / right.of.max(1) as f64);
        let samples = counted(right.of as u64, "sample");
        text += &match right.machine == right.ideal {
            true => format!(" {} of {samples} are right, as on the ideal machine.", share(right.machine)),
            false => {
                let (machine, ideal) = (share(right.machine), share(right.ideal));
                format!(" {machine} of {samples} are right, on the ideal machine {ideal}.")
            }
        };
    }
    let critical = found.what_ifs.critical.as_ref().or(found.critical.as_ref());
    if let Some(most) = critical.and_then(Critical::bottleneck) {
        text += &format!(" The bottleneck is {}, {} of the critical path.", most.name(), percent(most.share));
    }
    text
}
