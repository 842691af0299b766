//! The tables of `megasim compare`.

use super::super::tables::{boxed, counted, fixed, maybe, percent, percents};
use megasim::network::Tick;
use megasim::report::class_name;
use megasim::study::compare::{Accuracy, Causes, Comparison, Decisions, FirstDivergence};
use megasim::study::statistics::Agreement;

/// Disagreeing samples that are printed.
const MOST_DISAGREEMENTS: usize = 5;

/// Points of the course over time that are printed.
const POINTS: [f64; 6] = [0.1, 0.2, 0.3, 0.5, 0.75, 1.0];

/// Everything, for a person.
pub fn text(
    of: &Comparison,
    causes: Option<&Causes>,
    heading: &str,
    dt: Tick,
    others: &[(Tick, Comparison)],
    classes: &[String],
) -> String {
    let mut text = format!("{} of {} ms; {heading}\n", counted(of.samples as u64, "sample"), of.duration_ms);
    if let Some(decisions) = &of.decisions {
        text += &decided(of, decisions);
    }
    text += &spikes(of);
    text += &rates(of);
    if let Some(causes) = causes {
        text += &put_down(of, causes);
    }
    text += &divergence(of);
    text += &over_time(of);
    text += &disagreements(of, classes);
    if !others.is_empty() {
        text += &sweep(of, dt, others);
    }
    text
}

fn decided(of: &Comparison, decisions: &Decisions) -> String {
    let [left, right] = &of.names;
    let mut text = String::new();
    if let Some(answers) = &decisions.right {
        let row = |name: &str, of: &Accuracy, as_analog: Option<f64>, undecided: Option<usize>| {
            vec![
                name.to_string(),
                percent(of.share),
                percents(of.interval),
                as_analog.map_or("-".into(), percent),
                undecided.map_or("-".into(), |n| n.to_string()),
            ]
        };
        let analog = |side: usize| decisions.agreement_analog.map(|shares| shares[side]);
        let mut rows: Vec<_> = answers.analog.iter().map(|of| row("analog", of, None, None)).collect();
        for (side, name) in of.names.iter().enumerate() {
            rows.push(row(name, &answers.sides[side], analog(side), Some(decisions.undecided[side])));
        }
        text += &format!("{}\n", boxed(&["", "accuracy", "95 % interval", "as analog", "undecided"], rows));
        text += &format!(
            "{left} and {right} decide alike on {}; only {left} is right on {}, only {right} on {} (McNemar's exact \
                test: p = {:.3})\n",
            percent(decisions.agreement),
            answers.only[0],
            answers.only[1],
            answers.mcnemar
        );
    } else {
        text += &format!("{left} and {right} decide alike on {}\n", percent(decisions.agreement));
    }
    text
}

fn spikes(of: &Comparison) -> String {
    let [left, right] = &of.names;
    let pair = |shares: [f64; 2]| format!("{:.1} / {:.1} %", 100.0 * shares[0], 100.0 * shares[1]);
    let rows = of.layers.iter().map(|layer| {
        vec![
            layer.name.clone(),
            layer.neurons.to_string(),
            fixed(layer.spikes[0], 1),
            fixed(layer.spikes[1], 1),
            fixed(layer.lost, 2),
            fixed(layer.extra, 2),
            maybe(layer.first_spike_difference_ms, 3),
            maybe(layer.first_spike_distance_ms, 3),
            pair(layer.silent),
            pair(layer.saturated),
        ]
    });
    let header = ["layer", "neurons", left, right, "lost", "extra", "first spike ms", "|ms|", "silent", "saturated"];
    format!(
        "Spikes per sample; lost and extra: what {left} has less and more, neuron by neuron\n{}\n",
        boxed(&header, rows).least(&["saturated", "silent", "|ms|", "first spike ms", "neurons"])
    )
}

fn rates(of: &Comparison) -> String {
    let [left, right] = &of.names;
    let figures = |of: &Agreement| {
        [maybe(of.correlation, 4), maybe(of.slope, 3), maybe(of.mean_absolute_difference, 4)].map(|it| it.to_string())
    };
    let with_analog = of.layers.iter().any(|layer| layer.analog.is_some());
    let rows = of.layers.iter().map(|layer| {
        let mut row = vec![layer.name.clone()];
        row.extend(figures(&layer.sides));
        match &layer.analog {
            Some(analog) => analog.iter().for_each(|of| row.extend(figures(of))),
            None if with_analog => row.extend((0..6).map(|_| "-".to_string())),
            None => {}
        }
        row
    });
    let mut header = vec!["layer".to_string(), format!("{left}/{right}: r"), "slope".into(), "|d|".into()];
    if with_analog {
        for name in &of.names {
            header.extend([format!("{name}/analog: r"), "slope".into(), "|d|".into()]);
        }
    }
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    format!(
        "Rates of the neurons: Pearson's r, slope, mean absolute difference in spikes per ms\n{}\n",
        boxed(&header, rows).least(&["slope", "|d|"])
    )
}

fn put_down(of: &Comparison, causes: &Causes) -> String {
    let [left, right] = &of.names;
    let mut header = vec!["layer", "", "spikes"];
    header.extend(causes.causes.iter().map(|cause| cause.name()));
    let rows = causes.layers.iter().flat_map(|layer| {
        let row = |name: &str, what: &str, whole: f64, by: &[f64]| {
            let mut row = vec![name.to_string(), what.to_string(), fixed(whole, 2)];
            row.extend(by.iter().map(|&n| fixed(n, 2)));
            row
        };
        [row(&layer.name, "lost", layer.lost, &layer.lost_by), row("", "extra", layer.extra, &layer.extra_by)]
    });
    format!(
        "Why {left} has fewer or more spikes than {right}, in spikes per sample over {} samples\n{}\n",
        causes.samples,
        boxed(&header, rows)
    )
}

fn at(first: &FirstDivergence) -> String {
    format!("{} ms, {}, only {}", fixed(first.ms, 1), first.place, first.only)
}

fn divergence(of: &Comparison) -> String {
    if of.layers.iter().all(|layer| layer.parted == 0) {
        return format!("{} and {} have the same spikes in all layers and samples\n", of.names[0], of.names[1]);
    }
    let rows = of.layers.iter().map(|layer| {
        let first = layer.first.as_ref();
        vec![
            layer.name.clone(),
            layer.parted.to_string(),
            layer.parted_first.to_string(),
            first.map_or("-".into(), |first| first.sample.to_string()),
            first.map_or("-".into(), at),
        ]
    });
    let header = ["layer", "samples that part", "here first", "earliest: sample", "spike"];
    format!("Where they part\n{}\n", boxed(&header, rows).least(&["here first"]))
}

fn over_time(of: &Comparison) -> String {
    let course = &of.course;
    let points = course.ms.len();
    let mut shown: Vec<usize> =
        POINTS.iter().map(|part| ((part * points as f64).ceil() as usize).clamp(1, points) - 1).collect();
    shown.dedup();
    let mut header = vec!["ms".to_string()];
    for name in &of.names {
        if course.error.is_some() {
            header.push(format!("{name}: error"));
        }
        header.push(format!("{name}: operations"));
    }
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let rows = shown.iter().map(|&k| {
        let mut row = vec![fixed(course.ms[k], 0)];
        for side in 0..2 {
            row.extend(course.error.as_ref().map(|error| percent(error[side][k])));
            row.push(fixed(course.operations[side][k], 0));
        }
        row
    });
    format!("Over time, means per sample\n{}\n", boxed(&header, rows))
}

fn disagreements(of: &Comparison, classes: &[String]) -> String {
    let all = &of.disagreements;
    if all.is_empty() {
        return String::new();
    }
    let [left, right] = &of.names;
    let mut text = format!("Samples on which {left} and {right} disagree: {}\n", all.len());
    for of in all.iter().take(MOST_DISAGREEMENTS) {
        let label = of.label.map_or(String::new(), |label| format!(", label {}", class_name(label, classes)));
        let analog = of.analog.map_or(String::new(), |class| format!(", analog {}", class_name(class, classes)));
        let [l, r] = of.decisions.map(|class| class.map_or("none".into(), |class| class_name(class, classes)));
        text += &format!("  sample {}{label}{analog}: {left} {l}, {right} {r}\n", of.sample);
        for layer in &of.layers {
            let first = layer.first.as_ref().map_or(String::new(), |first| format!("; first at {}", at(first)));
            text += &format!(
                "    {}: {} and {} spikes, {} neurons differ{first}\n",
                layer.name, layer.spikes[0], layer.spikes[1], layer.neurons
            );
        }
    }
    if all.len() > MOST_DISAGREEMENTS {
        text += &format!("  and {} more (--json has all)\n", all.len() - MOST_DISAGREEMENTS);
    }
    text
}

fn sweep(first: &Comparison, dt: Tick, others: &[(Tick, Comparison)]) -> String {
    let all = std::iter::once((dt, first)).chain(others.iter().map(|(dt, of)| (*dt, of)));
    let rows = all.map(|(dt, of)| {
        let decisions = of.decisions.as_ref();
        let right = decisions.and_then(|decisions| decisions.right.as_ref());
        vec![
            dt.to_string(),
            right.map_or("-".into(), |right| percent(right.sides[1].share)),
            right.map_or("-".into(), |right| percents(right.sides[1].interval)),
            decisions.map_or("-".into(), |decisions| percent(decisions.agreement)),
            fixed(of.layers.iter().map(|layer| layer.spikes[1]).sum(), 1),
            maybe(of.all_layers.correlation, 4),
            maybe(of.all_layers.mean_absolute_difference, 4),
        ]
    });
    let header = ["dt", "clocked accuracy", "95 % interval", "as event", "spikes", "rates: r", "|d|"];
    format!("Steps of other lengths\n{}\n", boxed(&header, rows))
}
