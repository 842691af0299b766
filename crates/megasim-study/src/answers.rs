//! The answer of a study in one to three sentences: what the terminal prints last and a page first.

use crate::classification::{Classification, decisions};
use crate::compare::{Accuracy, Causes, Comparison};
use megasim_stdp::PassLog;

/// Of a classification: what each mode loses against the analog network, and on how many samples the modes differ.
pub fn of_classification(of: &Classification) -> String {
    let n = of.len();
    let analog = of.analog_decisions();
    let accuracy = |decided: &[Option<usize>]| of.right(decided).map(|right| Accuracy::new(right, n));
    let modes = [("event mode", decisions(&of.event)), ("clocked mode", decisions(&of.clocked))];
    let sides: Vec<_> = modes
        .iter()
        .filter_map(|(name, decided)| {
            let decided = decided.as_deref()?;
            Some(Side {
                name: (*name).to_string(),
                accuracy: accuracy(decided),
                as_analog: of.agreement(Some(decided), analog.as_deref()),
            })
        })
        .collect();
    let differ = of.agreement(modes[0].1.as_deref(), modes[1].1.as_deref()).map(|share| different(share, n));
    let analog = analog.as_deref().and_then(accuracy);
    text(&sides, analog, differ, n)
}

/// Of a comparison: as of a classification, and the layer in which the spikes differ most, with the cause.
pub fn of_comparison(of: &Comparison, causes: Option<&Causes>) -> String {
    let mut answer = String::new();
    if let Some(decisions) = &of.decisions {
        let sides: Vec<_> = (0..2)
            .map(|side| Side {
                name: match &of.names[side][..] {
                    "event" => "event mode".to_string(),
                    "clocked" => "clocked mode".to_string(),
                    name => name.to_string(),
                },
                accuracy: decisions.right.as_ref().map(|right| right.sides[side]),
                as_analog: decisions.agreement_analog.map(|shares| shares[side]),
            })
            .collect();
        let analog = decisions.right.as_ref().and_then(|right| right.analog);
        answer = text(&sides, analog, Some(different(decisions.agreement, of.samples)), of.samples);
    }
    let most = of.layers.iter().max_by(|one, other| (one.lost + one.extra).total_cmp(&(other.lost + other.extra)));
    if let Some(layer) = most.filter(|layer| layer.lost + layer.extra > 0.0) {
        let [left, _] = &of.names;
        answer += &format!(
            " Spikes differ most in {}: {left} has {:.1} more and {:.1} fewer per sample",
            layer.name, layer.extra, layer.lost
        );
        let of_layer = causes.and_then(|causes| Some((causes, causes.layers.iter().find(|it| it.name == layer.name)?)));
        let cause = of_layer.and_then(|(causes, of_layer)| {
            let shares = of_layer.lost_by.iter().zip(&of_layer.extra_by).map(|(lost, extra)| lost + extra);
            causes.causes.iter().zip(shares).max_by(|(_, one), (_, other)| one.total_cmp(other))
        });
        if let Some((cause, _)) = cause {
            answer += &format!(", most of them by {}", cause.name());
        }
        answer += ".";
    }
    answer.trim_start().to_string()
}

/// Mean of `w (1 - w)` over weights that are all 0 or 1, within what is left of learning.
const SETTLED: f64 = 0.01;

/// Of that mean from the first pass to the last, what says that weights move.
const MOVED: f64 = 0.05;

/// First and last pass of each layer that learns.
fn by_layer(log: &[PassLog]) -> Vec<(&PassLog, &PassLog)> {
    let mut layers: Vec<(&PassLog, &PassLog)> = Vec::new();
    for pass in log {
        match layers.last_mut().filter(|(first, _)| first.layer == pass.layer) {
            Some((_, last)) => *last = pass,
            None => layers.push((pass, pass)),
        }
    }
    layers
}

/// Of a training: how far the weights of each layer have settled, and what share of stimuli was decided right.
pub fn of_training(log: &[PassLog]) -> String {
    let layers = by_layer(log);
    if layers.is_empty() {
        return "No layer has learnt.".into();
    }
    let one = |(_, last): &(&PassLog, &PassLog)| {
        let passes = if last.pass == 1 { "1 pass".to_string() } else { format!("{} passes", last.pass) };
        let mean = format!("mean w(1-w) {:.4} after {passes}", last.convergence);
        match last.convergence < SETTLED {
            true => format!("layer {} has settled ({mean})", last.layer),
            false => format!("layer {} has not settled ({mean}; below {SETTLED} it has)", last.layer),
        }
    };
    let mut text = sentence(layers.iter().map(one));
    let decided = layers.iter().rev().find_map(|(_, last)| last.outcomes);
    if let Some([right, wrong, silent]) = decided.filter(|outcomes| outcomes.iter().sum::<u64>() > 0) {
        let all = right + wrong + silent;
        let share = 100.0 * right as f64 / all as f64;
        text += &format!(" In its last pass {share:.1} % of {all} stimuli were decided right, {silent} not at all.");
    }
    text
}

/// Warnings of layers in which nothing was learnt.
pub fn not_learnt(log: &[PassLog]) -> Vec<String> {
    let one = |(first, last): (&PassLog, &PassLog)| {
        let silent = last.outcomes.filter(|[right, wrong, silent]| right + wrong == 0 && *silent > 0);
        let moved = (first.convergence - last.convergence).abs() >= MOVED * first.convergence.abs();
        if silent.is_some() {
            return Some(format!(
                "layer {}: no stimulus had a decision in the last pass: nothing was learnt",
                last.layer
            ));
        }
        (last.pass > first.pass && !moved && last.convergence >= SETTLED).then(|| {
            format!(
                "layer {}: the weights hardly moved (mean w(1-w) {:.4} after pass 1, {:.4} after pass {}): little or \
                 nothing was learnt; more stimuli, lower thresholds or larger learning rates help",
                last.layer, first.convergence, last.convergence, last.pass
            )
        })
    };
    by_layer(log).into_iter().filter_map(one).collect()
}

/// One of the things that are compared.
struct Side {
    name: String,
    /// Where labels are known.
    accuracy: Option<Accuracy>,
    /// The share of samples that are decided as by the analog network, where there is one.
    as_analog: Option<f64>,
}

/// Of `n` samples those that are not decided alike.
fn different(agreement: f64, n: usize) -> usize {
    n - ((agreement * n as f64).round() as usize).min(n)
}

/// Parts of a sentence as one, with a capital and a full stop; nothing of none.
fn sentence(parts: impl Iterator<Item = String>) -> String {
    let text = parts.collect::<Vec<_>>().join("; ");
    text.get(..1).map_or(String::new(), |first| format!("{}{}.", first.to_uppercase(), &text[1..]))
}

fn samples(n: usize) -> String {
    if n == 1 { "1 sample".into() } else { format!("{n} samples") }
}

/// What one side did, or two of which the same is to be said.
fn outcome(of: &Side, names: &[&str], analog: Option<Accuracy>, n: usize) -> String {
    let percent = |share: f64| format!("{:.2} %", 100.0 * share);
    let subject = match names {
        [one, other] => match (one.strip_suffix(" mode"), other.strip_suffix(" mode")) {
            (Some(one), Some(other)) => format!("{one} and {other} mode"),
            _ => format!("{one} and {other}"),
        },
        _ => of.name.clone(),
    };
    let verb = |one: &'static str, both: &'static str| if names.len() > 1 { both } else { one };
    match (of.accuracy, analog, of.as_analog) {
        (Some(it), Some(analog), _) if it.right == analog.right => {
            format!("{subject} {} right as often as the analog network ({})", verb("is", "are"), percent(it.share))
        }
        (Some(it), Some(analog), _) => format!(
            "{subject} {} {:.2} points ({}, analog {})",
            if it.right < analog.right { verb("loses", "lose") } else { verb("gains", "gain") },
            100.0 * (it.share - analog.share).abs(),
            percent(it.share),
            percent(analog.share)
        ),
        (Some(it), None, _) => {
            format!("{subject} {} right on {} of {}", verb("is", "are"), percent(it.share), samples(n))
        }
        (None, _, Some(share)) => {
            format!("{subject} {} as the analog network on {}", verb("decides", "decide"), percent(share))
        }
        (None, _, None) => format!("{subject} {} run on {}", verb("was", "were"), samples(n)),
    }
}

fn text(sides: &[Side], analog: Option<Accuracy>, differ: Option<usize>, n: usize) -> String {
    let alike = match sides {
        [left, right] => {
            outcome(left, &[], analog, n).strip_prefix(&left.name[..])
                == outcome(right, &[], analog, n).strip_prefix(&right.name[..])
        }
        _ => false,
    };
    let names: Vec<&str> = sides.iter().map(|side| &side.name[..]).collect();
    let mut answer = match sides.first().filter(|_| alike) {
        Some(both) => sentence(std::iter::once(outcome(both, &names, analog, n))),
        None => sentence(sides.iter().map(|side| outcome(side, &[], analog, n))),
    };
    if let (Some(differ), [left, right]) = (differ, &names[..]) {
        let decisions = if n == 1 { "decision differs" } else { "decisions differ" };
        let between = if alike { "them".to_string() } else { format!("{left} and {right}") };
        answer += &format!(" {differ} of {n} {decisions} between {between}.");
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass(layer: usize, pass: usize, convergence: f64, outcomes: Option<[u64; 3]>) -> PassLog {
        PassLog { layer, pass, convergence, outcomes }
    }

    #[test]
    fn training_says_what_has_settled_and_where_nothing_was_learnt() {
        let log = [pass(1, 1, 0.16, None), pass(1, 2, 0.005, None), pass(2, 1, 0.15, Some([60, 30, 10]))];
        assert_eq!(
            of_training(&log),
            "Layer 1 has settled (mean w(1-w) 0.0050 after 2 passes); layer 2 has not settled (mean w(1-w) 0.1500 \
             after 1 pass; below 0.01 it has). In its last pass 60.0 % of 100 stimuli were \
             decided right, 10 not at all."
        );
        assert!(not_learnt(&log).is_empty());
        let still = [pass(1, 1, 0.16, None), pass(1, 3, 0.159, None), pass(2, 1, 0.1, Some([0, 0, 5]))];
        let warnings = not_learnt(&still);
        assert!(warnings[0].starts_with("layer 1: the weights hardly moved") && warnings.len() == 2, "{warnings:?}");
        assert!(warnings[1].starts_with("layer 2: no stimulus had a decision"), "{warnings:?}");
    }

    fn side(name: &str, right: usize) -> Side {
        Side { name: name.into(), accuracy: Some(Accuracy::new(right, 450)), as_analog: None }
    }

    #[test]
    fn answers_say_what_is_lost() {
        let sides = [side("event mode", 441), side("clocked mode", 443)];
        assert_eq!(
            text(&sides, Some(Accuracy::new(443, 450)), Some(3), 450),
            "Event mode loses 0.44 points (98.00 %, analog 98.44 %); clocked mode is right as often as the analog \
             network (98.44 %). 3 of 450 decisions differ between event mode and clocked mode."
        );
        let equal = [side("event mode", 441), side("clocked mode", 441)];
        assert_eq!(
            text(&equal, Some(Accuracy::new(443, 450)), Some(0), 450),
            "Event and clocked mode lose 0.44 points (98.00 %, analog 98.44 %). 0 of 450 decisions differ between them."
        );
        let named = [side("netfiles", 441), side("others", 441)];
        assert_eq!(text(&named, None, None, 450), "Netfiles and others are right on 98.00 % of 450 samples.");
        assert_eq!(text(&sides[..1], None, None, 450), "Event mode is right on 98.00 % of 450 samples.");
        let unlabelled = Side { name: "event mode".into(), accuracy: None, as_analog: Some(0.5) };
        assert_eq!(text(&[unlabelled], None, None, 2), "Event mode decides as the analog network on 50.00 %.");
        assert_eq!(different(447.0 / 450.0, 450), 3);
    }
}
