//! The page of a network on a machine: latencies, queues, utilisation, waiting, energy.

use super::chart::{self, Axes, Bars, Line};
use super::picture::number;
use super::{Error, Page, Picture, Section, Table};
use crate::engine::timed::Distribution;
use crate::hardware::{Duration, ModuleLayer};
use crate::network::{ModuleId, NodeId, Tick};
use crate::study::latency::{Account, Answer, Bill, Decisions, Load, Relief, Spread, Traffic};

/// Points of a line; more samples are thinned out evenly.
const MOST_POINTS: usize = 400;

/// What a page shows.
#[derive(Debug)]
pub struct Shown<'a> {
    /// Heading of the page.
    pub title: String,
    /// What was run, line by line.
    pub facts: Vec<(String, String)>,
    /// The figures.
    pub answer: &'a Answer,
    /// How long a tick is; without it times are in ticks.
    pub tick: Option<Duration>,
    /// Whether right classes are known.
    pub labelled: bool,
    /// Modules that are shown together, with a name.
    pub modules: Vec<(String, Vec<ModuleId>)>,
    /// Nodes that are shown together, with a name.
    pub nodes: Vec<(String, Vec<NodeId>)>,
    /// Layers of the bill.
    pub layers: &'a [ModuleLayer],
    /// What all samples cost.
    pub bill: &'a Bill,
    /// What holds the machine up, in words.
    pub bottleneck: String,
    /// What would help.
    pub reliefs: &'a [Relief],
}

/// A unit that suits some numbers: a number times `factor` is in it.
#[derive(Debug, Clone)]
struct Unit {
    factor: f64,
    name: String,
}

impl Unit {
    /// The unit with the prefix that the largest number asks for, which is in units of `base`.
    fn of(largest: f64, base: &str) -> Self {
        const PREFIXES: [(f64, &str); 6] =
            [(1.0, ""), (1e-3, "m"), (1e-6, "u"), (1e-9, "n"), (1e-12, "p"), (1e-15, "f")];
        let fits = PREFIXES.into_iter().find(|(scale, _)| largest >= *scale);
        let (scale, prefix) = fits.unwrap_or(if largest > 0.0 { (1e-15, "f") } else { (1.0, "") });
        Self { factor: 1.0 / scale, name: format!("{prefix}{base}") }
    }

    /// For times of at most so many ticks.
    fn of_ticks(largest: f64, tick: Option<Duration>) -> Self {
        let Some(tick) = tick else { return Self { factor: 1.0, name: "ticks".into() } };
        let Self { factor, name } = Self::of(largest * tick.seconds(), "s");
        Self { factor: factor * tick.seconds(), name }
    }
}

/// The page. Parts that would be empty, as queues of the ideal machine, are left out.
///
/// # Errors
/// If a picture cannot be drawn.
pub fn page(of: &Shown) -> Result<Page, Error> {
    let loads: Vec<(String, Load)> =
        of.modules.iter().map(|(name, modules)| (name.clone(), Load::of(&of.answer.statistics, modules))).collect();
    let mut sections =
        vec![latency(of)?, utilisation(&loads)?, queues(of, &loads)?, handshakes(of)?, bottleneck(of), energy(of)?];
    sections.retain(|section| !section.pictures.is_empty() || !section.tables.is_empty());
    Ok(Page { title: of.title.clone(), facts: of.facts.clone(), sections })
}

/// Bars by layer; none where all are 0.
fn bars(axes: &Axes, groups: Vec<String>, kinds: Vec<(String, Vec<f64>)>) -> Result<Option<Picture>, Error> {
    if kinds.iter().all(|(_, values)| values.iter().all(|&value| value == 0.0)) {
        return Ok(None);
    }
    let mut picture = chart::bars(axes, &Bars { groups, kinds })?;
    // The numbers stand alone in their file, with their unit.
    picture.table.columns[1..].iter_mut().for_each(|name| *name = format!("{}: {name}", axes.y));
    Ok(Some(picture))
}

fn names<T>(of: &[(String, T)]) -> Vec<String> {
    of.iter().map(|(name, _)| name.clone()).collect()
}

fn latency(of: &Shown) -> Result<Section, Error> {
    type When = fn(&Decisions) -> Option<Tick>;
    let kinds: [(&str, When); 3] = [
        ("first output spike", |it| it.first_spike),
        ("first correct decision", |it| it.first_correct),
        ("decision that stays", |it| it.settled),
    ];
    let mut times: Vec<(&str, Vec<Tick>)> = kinds
        .into_iter()
        .filter(|(name, _)| of.labelled || !name.contains("correct"))
        .map(|(name, when)| (name, of.answer.latencies(when)))
        .filter(|(_, times)| !times.is_empty())
        .collect();
    times.iter_mut().for_each(|(_, times)| times.sort_unstable());
    let mut section = Section {
        title: "Latency".into(),
        text: "From the request of the first input event to the request of an output event.".into(),
        ..Section::default()
    };
    if times.is_empty() {
        return Ok(section);
    }
    let end = times.iter().filter_map(|(_, times)| times.last()).max().map_or(0.0, |&last| last as f64);
    let unit = Unit::of_ticks(end, of.tick);
    let all = of.answer.samples.len().max(1) as f64;
    let lines: Vec<Line> = times
        .iter()
        .map(|(name, times)| {
            let n = times.len();
            let mut points = vec![(0.0, 0.0)];
            points.extend((1..=n.min(MOST_POINTS)).map(|k| {
                // The last one is always there.
                let rank = k * n / n.min(MOST_POINTS);
                (times[rank - 1] as f64 * unit.factor, 100.0 * rank as f64 / all)
            }));
            points.push((end * unit.factor, 100.0 * n as f64 / all));
            Line { name: (*name).into(), points, steps: true, ..Line::default() }
        })
        .collect();
    let x = format!("time since the first input ({})", unit.name);
    let axes = Axes {
        file: "latency",
        title: "Samples that are that far",
        x: &x,
        y: "samples (%)",
        from_zero: true,
        ..Axes::default()
    };
    let caption = "Share of all samples in which it has happened by a time; those in which it never happens are missing at the end.";
    section.pictures.push(chart::lines(&axes, &lines)?.with_caption(caption));

    let spreads: Vec<(&str, Spread)> = times
        .iter()
        .filter_map(|(name, times)| Some((*name, Spread::of(times.iter().copied())?)))
        .chain(of.answer.length().map(|spread| ("last work", spread)))
        .collect();
    let largest = spreads.iter().map(|(_, spread)| spread.max).fold(0.0, f64::max);
    let unit = Unit::of_ticks(largest, of.tick);
    let value = |ticks: f64| number(ticks * unit.factor);
    let columns = ["mean", "from", "to", "median", "95 %", "max"].map(|name| format!("{name} ({})", unit.name));
    let mut table = Table::new(&["to the", "samples"]);
    table.columns.extend(columns);
    for (name, it) in spreads {
        let mut row = vec![name.to_string(), it.samples.to_string()];
        row.extend([it.mean, it.low, it.high, it.median, it.p95, it.max].map(value));
        table.rows.push(row);
    }
    section.text += " In the table the mean has its 95 % interval beside it.";
    section.tables.push(table);
    Ok(section)
}

fn utilisation(loads: &[(String, Load)]) -> Result<Section, Error> {
    let of = |value: &dyn Fn(&Load) -> f64| loads.iter().map(|(_, load)| 100.0 * value(load)).collect::<Vec<_>>();
    let axes = Axes { x: "layer", y: "busy (% of the time)", from_zero: true, ..Axes::default() };
    let busy = bars(
        &Axes { file: "utilisation", title: "Utilisation", ..axes },
        names(loads),
        vec![("mean of the modules".into(), of(&|it| it.busy)), ("busiest module".into(), of(&|it| it.busiest))],
    )?;
    let mut causes = Vec::new();
    for k in 0..loads.first().map_or(0, |(_, load)| load.causes.len()) {
        let values = of(&|it| it.causes[k].1);
        if values.iter().any(|&value| value > 0.0) {
            causes.push((loads[0].1.causes[k].0.to_string(), values));
        }
    }
    let by_cause =
        bars(&Axes { file: "utilisation-by-cause", title: "What the work is made of", ..axes }, names(loads), causes)?;
    let by_cause = by_cause.map(|it| it.with_caption("By the key of the hardware file, mean of the modules."));
    Ok(Section {
        title: "Utilisation".into(),
        text: "Share of the time in which modules work.".into(),
        pictures: busy.into_iter().chain(by_cause).collect(),
        ..Section::default()
    })
}

/// Mean, 99 % and the largest value of distributions.
fn quantiles(of: &[&Distribution], factor: f64) -> Vec<(String, Vec<f64>)> {
    let each = |value: &dyn Fn(&Distribution) -> Option<f64>| {
        of.iter().map(|it| value(it).unwrap_or(0.0) * factor).collect::<Vec<_>>()
    };
    vec![
        ("mean".into(), each(&|it| it.mean())),
        ("99 %".into(), each(&|it| it.quantile(0.99).map(|value| value as f64))),
        ("max".into(), each(&|it| it.max().map(|value| value as f64))),
    ]
}

/// The largest value of some distributions.
fn largest(of: &[&Distribution]) -> f64 {
    of.iter().filter_map(|it| it.max()).max().map_or(0.0, |max| max as f64)
}

fn queues(of: &Shown, loads: &[(String, Load)]) -> Result<Section, Error> {
    let queues: Vec<&Distribution> = loads.iter().map(|(_, load)| &load.queue).collect();
    let axes = Axes { x: "layer", from_zero: true, ..Axes::default() };
    let queue = bars(
        &Axes { file: "queues", title: "Queue", y: "events that wait at a module", ..axes },
        names(loads),
        quantiles(&queues, 1.0),
    )?;
    let queue =
        queue.map(|it| it.with_caption("Arrived and not started, weighted by time, over the modules of a layer."));
    let waits: Vec<&Distribution> = loads.iter().map(|(_, load)| &load.wait).collect();
    let unit = Unit::of_ticks(largest(&waits), of.tick);
    let y = format!("from arrival to start ({})", unit.name);
    let wait = bars(
        &Axes { file: "waits", title: "Waiting before a module", y: &y, ..axes },
        names(loads),
        quantiles(&waits, unit.factor),
    )?;
    let stopped = bars(
        &Axes { file: "stopped", title: "Stopped by full output FIFOs", y: "stopped (% of the time)", ..axes },
        names(loads),
        vec![("longest of the modules".into(), loads.iter().map(|(_, load)| 100.0 * load.stopped).collect())],
    )?;
    let stopped = stopped.map(|it| {
        it.with_caption(
            "The module of the layer that is stopped longest: free, with an event, without room for its outputs.",
        )
    });
    Ok(Section {
        title: "Queues, waiting and stopped time".into(),
        pictures: queue.into_iter().chain(wait).chain(stopped).collect(),
        ..Section::default()
    })
}

fn handshakes(of: &Shown) -> Result<Section, Error> {
    let traffic: Vec<(String, Traffic)> = of
        .nodes
        .iter()
        .map(|(name, nodes)| (name.clone(), Traffic::of(&of.answer.statistics, nodes)))
        .filter(|(_, traffic)| traffic.events > 0)
        .collect();
    let draw = |file: &str, title: &str, what: &str, pick: fn(&Traffic) -> &Distribution| {
        let distributions: Vec<&Distribution> = traffic.iter().map(|(_, traffic)| pick(traffic)).collect();
        let unit = Unit::of_ticks(largest(&distributions), of.tick);
        let y = format!("{what} ({})", unit.name);
        let axes = Axes { file, title, x: "nodes of", y: &y, from_zero: true, ..Axes::default() };
        bars(&axes, names(&traffic), quantiles(&distributions, unit.factor))
    };
    let waiting = draw("requests", "Waiting for the request", "from t_pre to the request", |it| &it.waiting)?;
    let handshake = draw("handshakes", "Handshakes", "from the request to the last acknowledge", |it| &it.handshake)?;
    Ok(Section {
        title: "Events on their wires".into(),
        text: "A node requests its next event when all receivers have acknowledged the one before.".into(),
        pictures: waiting.into_iter().chain(handshake).collect(),
        ..Section::default()
    })
}

fn bottleneck(of: &Shown) -> Section {
    let mut table = Table::new(&["what relieves it", "time of a sample (% of the time now)"]);
    table.rows = of.reliefs.iter().map(|it| vec![it.change.clone(), number(100.0 * it.time)]).collect();
    let tables = if table.rows.is_empty() { Vec::new() } else { vec![table] };
    Section { title: "Bottleneck".into(), text: of.bottleneck.clone(), tables, ..Section::default() }
}

fn energy(of: &Shown) -> Result<Section, Error> {
    let n = of.answer.samples.len().max(1) as f64;
    let layers = of.layers.iter().map(|layer| layer.name.clone()).zip(&of.bill.layers);
    let accounts: Vec<(String, &Account)> = std::iter::once(("input".to_string(), &of.bill.input))
        .chain(layers)
        .filter(|(_, account)| account.total() > 0.0)
        .collect();
    let most = accounts.iter().flat_map(|(_, account)| account.parts()).map(|(_, joules)| joules / n);
    let unit = Unit::of(most.fold(0.0, f64::max), "J");
    let causes = Account::default().parts().len();
    let kinds: Vec<(String, Vec<f64>)> = (0..causes)
        .map(|k| {
            let values = accounts.iter().map(|(_, account)| account.parts()[k].1 / n * unit.factor).collect();
            (Account::default().parts()[k].0.to_string(), values)
        })
        .filter(|(_, values): &(String, Vec<f64>)| values.iter().any(|&value| value > 0.0))
        .collect();
    let y = format!("energy a sample ({})", unit.name);
    let axes = Axes { file: "energy", title: "Energy", x: "layer", y: &y, from_zero: true, ..Axes::default() };
    let picture = bars(&axes, names(&accounts), kinds)?;
    let mut section = Section { title: "Energy".into(), ..Section::default() };
    if of.bill.total() > 0.0 {
        let mut table = Table::new(&["", &y]);
        let line = |name: &str, joules: f64| vec![name.to_string(), number(joules / n * unit.factor)];
        table.rows = accounts.iter().map(|(name, account)| line(name, account.total())).collect();
        if of.bill.static_energy > 0.0 {
            table.rows.push(line("static power", of.bill.static_energy));
        }
        table.rows.push(line("all", of.bill.total()));
        section.tables.push(table);
    }
    section.pictures.extend(picture);
    Ok(section)
}

#[cfg(test)]
mod tests {
    use super::Unit;

    #[test]
    fn units_suit_the_largest_number() {
        for (largest, name) in [(2.0, "s"), (0.5, "ms"), (3e-6, "us"), (9e-8, "ns"), (1e-20, "fs"), (0.0, "s")] {
            assert_eq!(Unit::of(largest, "s").name, name, "{largest}");
        }
        let unit = Unit::of_ticks(4_000.0, "10 ns".parse().ok());
        assert_eq!((unit.name.as_str(), (4_000.0 * unit.factor).round()), ("us", 40.0));
        assert_eq!(Unit::of_ticks(4_000.0, None).name, "ticks");
    }
}
