//! The page of a network on a machine: latencies, queues, utilisation, waiting, energy.

use super::chart::{self, Axes, Bars, Extent, Line, Panel};
use super::picture::{brief, number};
use super::{Error, Page, Picture, Section, Table};
use crate::hardware::{Duration, ModuleLayer};
use crate::latency::{Account, Critical, Decisions, EnergyBreakdown, Load, Results, Spread, Traffic, WhatIf};
use megasim_core::engine::machine::{Direction, Distribution, Mesh, OccupancyPoint};
use megasim_core::network::{ModuleId, NodeId, Tick};
use ordered_float::OrderedFloat;
use std::cmp::Reverse;

/// Points of a line; more samples are thinned out evenly.
const MOST_POINTS: usize = 400;

/// Lines of a picture over time.
const MOST_LINES: usize = 6;

/// Links in a table.
const MOST_LINKS: usize = 12;

/// Fields of a map of tiles.
const MOST_TILES: usize = 4096;

/// What a page shows.
#[derive(Debug)]
pub struct PageContent<'a> {
    /// Heading of the page.
    pub title: String,
    /// The answer in one to three sentences.
    pub sentences: String,
    /// The figures that matter: what and its value.
    pub figures: Vec<(String, String)>,
    /// What was run, line by line.
    pub facts: Vec<(String, String)>,
    /// What came out.
    pub results: &'a Results,
    /// The mesh, if there is one.
    pub mesh: Option<&'a Mesh>,
    /// How long a tick is; without it times are in ticks.
    pub tick: Option<Duration>,
    /// Whether right classes are known.
    pub labelled: bool,
    /// Whether the output has signed neurons, whose counts are final after their last spike.
    pub signed: bool,
    /// Modules that are shown together, with a name.
    pub modules: Vec<(String, Vec<ModuleId>)>,
    /// Nodes that are shown together, with a name.
    pub nodes: Vec<(String, Vec<NodeId>)>,
    /// Layers of the bill.
    pub layers: &'a [ModuleLayer],
    /// What all samples cost.
    pub bill: &'a EnergyBreakdown,
    /// What holds the machine up, in words.
    pub bottleneck: String,
    /// Where critical paths go, and those of which pace.
    pub critical: Vec<(String, &'a Critical)>,
    /// The critical path of the first sample over time: place, key and span, in ticks.
    pub course: Vec<(String, &'static str, (Tick, Tick))>,
    /// What is busiest, in words.
    pub busiest: String,
    /// What would help.
    pub what_ifs: &'a [WhatIf],
}

/// A unit that suits some numbers: a number times `factor` is in it.
#[derive(Debug, Clone)]
pub(super) struct Unit {
    pub factor: f64,
    pub name: String,
}

impl Unit {
    /// The unit with the prefix that the largest number asks for, which is in units of `base`.
    pub fn of(largest: f64, base: &str) -> Self {
        const PREFIXES: [(f64, &str); 6] =
            [(1.0, ""), (1e-3, "m"), (1e-6, "u"), (1e-9, "n"), (1e-12, "p"), (1e-15, "f")];
        let fits = PREFIXES.into_iter().find(|(scale, _)| largest >= *scale);
        let (scale, prefix) = fits.unwrap_or(if largest > 0.0 { (1e-15, "f") } else { (1.0, "") });
        Self { factor: 1.0 / scale, name: format!("{prefix}{base}") }
    }

    /// For times of at most this many ticks.
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
pub fn page(of: &PageContent) -> Result<Page, Error> {
    let loads: Vec<(String, Load)> =
        of.modules.iter().map(|(name, modules)| (name.clone(), Load::of(&of.results.statistics, modules))).collect();
    let mut sections = vec![
        latency(of)?,
        utilisation(&loads)?,
        queues(of, &loads)?,
        handshakes(of)?,
        links(of)?,
        critical(of)?,
        busiest(of),
        energy(of)?,
    ];
    sections.retain(|section| !section.pictures.is_empty() || !section.tables.is_empty());
    sections.iter_mut().for_each(|section| section.folded = true);
    let (title, answer) = (of.title.clone(), of.sentences.clone());
    Ok(Page { title, answer, figures: of.figures.clone(), facts: of.facts.clone(), sections })
}

/// Bars by layer; none where all are 0.
fn bars(axes: &Axes, groups: Vec<String>, kinds: Vec<(String, Vec<f64>)>) -> Result<Option<Picture>, Error> {
    if kinds.iter().all(|(_, values)| values.iter().all(|&value| value == 0.0)) {
        return Ok(None);
    }
    let mut picture = chart::bars(axes, &Bars { groups, kinds })?;
    // The numbers are alone in their file, with their unit.
    picture.table.columns[1..].iter_mut().for_each(|name| *name = format!("{}: {name}", axes.y));
    Ok(Some(picture))
}

fn names<T>(of: &[(String, T)]) -> Vec<String> {
    of.iter().map(|(name, _)| name.clone()).collect()
}

fn latency(of: &PageContent) -> Result<Section, Error> {
    type When = fn(&Decisions) -> Option<Tick>;
    let kinds: [(&str, bool, When); 4] = [
        ("first output spike", true, |it| it.first_spike),
        ("first correct decision", of.labelled, |it| it.first_correct),
        ("decision that stays", true, |it| it.settled),
        ("counts that are final", of.signed, |it| it.last_spike),
    ];
    let mut times: Vec<(&str, Vec<Tick>)> = kinds
        .into_iter()
        .filter(|&(_, is_shown, _)| is_shown)
        .map(|(name, _, when)| (name, of.results.latencies(when)))
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
    let all = of.results.samples.len().max(1) as f64;
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
    let caption = "Share of all samples in which it has happened by a time; those in which it never happens are \
        missing at the end.";
    section.pictures.push(chart::lines(&axes, &lines)?.with_caption(caption));

    let spreads: Vec<(&str, Spread)> = times
        .iter()
        .filter_map(|(name, times)| Some((*name, Spread::of(times.iter().copied())?)))
        .chain(of.results.length().map(|spread| ("last work", spread)))
        .collect();
    let largest = spreads.iter().map(|(_, spread)| spread.max).fold(0.0, f64::max);
    let unit = Unit::of_ticks(largest, of.tick);
    let value = |ticks: f64| brief(ticks * unit.factor);
    let columns = ["mean", "from", "to", "median", "95 %", "max"].map(|name| format!("{name} ({})", unit.name));
    let mut table = Table::new(&["to the", "samples"]);
    table.columns.extend(columns);
    for (name, it) in spreads {
        let mut row = vec![name.to_string(), it.samples.to_string()];
        row.extend([it.mean, it.low, it.high, it.median, it.p95, it.max].map(value));
        table.rows.push(row);
    }
    section.text += " In the table the mean has its 95 % interval next to it.";
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

fn queues(of: &PageContent, loads: &[(String, Load)]) -> Result<Section, Error> {
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
        pictures: queue.into_iter().chain(over_time(of, loads)?).chain(wait).chain(stopped).collect(),
        ..Section::default()
    })
}

/// Queues over the time of a sample: the mean and the longest, of the layers whose queues are longest; the numbers of
/// all layers.
fn over_time(of: &PageContent, loads: &[(String, Load)]) -> Result<Vec<Picture>, Error> {
    let mut chosen: Vec<&(String, Load)> = loads.iter().filter(|(_, load)| load.queue.max() > Some(0)).collect();
    if chosen.is_empty() {
        return Ok(Vec::new());
    }
    let mean = |load: &Load| load.queue.mean().unwrap_or(0.0);
    chosen.sort_by_key(|(_, load)| Reverse(OrderedFloat(mean(load))));
    let all = chosen.len();
    chosen.truncate(MOST_LINES);
    // In the order of the network.
    chosen.sort_by_key(|(name, _)| loads.iter().position(|(known, _)| known == name));
    let end = loads.iter().flat_map(|(_, load)| load.queue_course.points()).map(|point| point.to).max().unwrap_or(0);
    let unit = Unit::of_ticks(end as f64, of.tick);
    let time = |ticks: u64| ticks as f64 * unit.factor;
    let x = format!("time since the start of a sample ({})", unit.name);
    let mut table = Table::new(&["layer"]);
    table.columns.extend(["from", "to"].map(|name| format!("{name} ({})", unit.name)));
    table.columns.extend(["least", "mean", "most"].map(|name| format!("{name} (events)")));
    for (name, load) in loads {
        table.rows.extend(load.queue_course.points().map(|it| {
            let numbers = [time(it.from), time(it.to), it.least as f64, it.mean, it.most as f64].map(number);
            std::iter::once(name.clone()).chain(numbers).collect()
        }));
    }
    let shown = match all > MOST_LINES {
        true => format!(" The {MOST_LINES} of {all} layers that wait most."),
        false => String::new(),
    };
    type Get = fn(&OccupancyPoint) -> f64;
    let kinds: [(&str, &str, &str, Get); 2] = [
        ("queue-over-time", "Queue over time", "Mean over samples and the modules of a layer.", |it| it.mean),
        ("longest-queue-over-time", "Longest queue over time", "The longest of any module and sample.", |it| {
            it.most as f64
        }),
    ];
    kinds
        .into_iter()
        .map(|(file, title, caption, get)| {
            let lines: Vec<Line> = chosen
                .iter()
                .map(|(name, load)| {
                    let points = load.queue_course.points();
                    let mut points: Vec<(f64, f64)> = points.map(|it| (time(it.from), get(&it))).collect();
                    // A step is as wide as its bucket, the last one too.
                    points.extend(load.queue_course.points().last().map(|it| (time(it.to), get(&it))));
                    Line { name: name.clone(), points, steps: true, ..Line::default() }
                })
                .collect();
            let axes =
                Axes { file, title, x: &x, y: "events that wait at a module", from_zero: true, ..Axes::default() };
            let mut picture = chart::lines(&axes, &lines)?.with_caption(format!("{caption}{shown}"));
            picture.table = table.clone();
            Ok(picture)
        })
        .collect()
}

/// The links of a mesh: what each carries and how long messages wait for it.
fn links(of: &PageContent) -> Result<Section, Error> {
    let mut section = Section { title: "Links of the mesh".into(), ..Section::default() };
    let Some(mesh) = of.mesh else { return Ok(section) };
    let statistics = &of.results.statistics;
    let elapsed = statistics.elapsed.max(1) as f64;
    let mut used: Vec<usize> = (0..statistics.links.len()).filter(|&k| statistics.links[k].wait.weight() > 0).collect();
    if used.is_empty() {
        return Ok(section);
    }
    used.sort_by_key(|&k| (std::cmp::Reverse(statistics.links[k].busy), k));
    let share = |k: usize| 100.0 * statistics.links[k].busy as f64 / elapsed;
    let longest = used.iter().filter_map(|&k| statistics.links[k].wait.max()).max().unwrap_or(0);
    let unit = Unit::of_ticks(longest as f64, of.tick);
    let samples = of.results.samples.len().max(1) as f64;
    let mut table = Table::new(&["from tile", "to the", "messages per sample", "busy (%)"]);
    table.columns.extend(["wait, mean", "99 %", "max"].map(|name| format!("{name} ({})", unit.name)));
    for &k in &used {
        let ((tile, direction), link) = (mesh.link(k), &statistics.links[k]);
        let waits = [
            link.wait.mean().unwrap_or(0.0),
            link.wait.quantile(0.99).unwrap_or(0) as f64,
            link.wait.max().unwrap_or(0) as f64,
        ];
        let mut row = vec![format!("({}, {})", tile.x, tile.y), format!("{direction:?}").to_lowercase()];
        row.extend([link.wait.weight() as f64 / samples, share(k)].map(number));
        row.extend(waits.map(|ticks| number(ticks * unit.factor)));
        table.rows.push(row);
    }
    section.text = format!(
        "{} of {} links carry messages, one at a time each. The {} busiest are in the table, all of them behind the \
            pictures.",
        used.len(),
        mesh.links(),
        used.len().min(MOST_LINKS)
    );
    // A row of tiles would be folded into a square.
    if mesh.rows > 1 {
        let (columns, rows) = (mesh.columns as usize, mesh.rows as usize);
        let panels = |get: &dyn Fn(usize) -> f64, what: &str| -> Vec<Panel> {
            let greatest = used.iter().map(|&k| get(k)).fold(0.0, f64::max);
            let of_direction = |wanted: Direction| {
                let mut values = vec![0.0; columns * rows];
                for &k in &used {
                    let (tile, direction) = mesh.link(k);
                    if direction == wanted {
                        values[tile.y as usize * columns + tile.x as usize] = get(k);
                    }
                }
                let name = format!("{} {what}", format!("{wanted:?}").to_lowercase());
                Panel { name, values, range: Some((0.0, greatest.max(f64::MIN_POSITIVE))) }
            };
            [Direction::East, Direction::West, Direction::North, Direction::South].map(of_direction).into()
        };
        let extent = Extent { maps: 1, ny: rows, nx: columns };
        let caption = "One field a tile: its link to the east, west, north and south; dark for much, all on one scale.";
        let wait = |k: usize| statistics.links[k].wait.mean().unwrap_or(0.0) * unit.factor;
        let what = format!("({})", unit.name);
        let mut pictures =
            vec![chart::grids("links", "Load of the links", extent, &panels(&share, "(%)"), MOST_TILES)?];
        if longest > 0 {
            let title = "Mean wait before the links";
            pictures.push(chart::grids("link-waits", title, extent, &panels(&wait, &what), MOST_TILES)?);
        }
        for picture in pictures {
            section.pictures.push(Picture { table: table.clone(), ..picture.with_caption(caption) });
        }
    } else {
        let name = |&k: &usize| {
            let (tile, direction) = mesh.link(k);
            format!("{} {direction:?}", tile.x)
        };
        let shown = &used[..used.len().min(MOST_LINKS)];
        let kinds = vec![("busy".to_string(), shown.iter().map(|&k| share(k)).collect())];
        let y = "busy (% of the time)";
        let axes =
            Axes { file: "links", title: "Load of the links", x: "link (column, direction)", y, ..Axes::default() };
        if let Some(picture) = bars(&axes, shown.iter().map(name).collect(), kinds)? {
            section.pictures.push(Picture { table: table.clone(), ..picture });
        }
    }
    table.rows.truncate(MOST_LINKS);
    for cell in table.rows.iter_mut().flat_map(|row| &mut row[2..]) {
        *cell = cell.parse().map_or_else(|_| cell.clone(), brief);
    }
    section.tables.push(table);
    Ok(section)
}

fn handshakes(of: &PageContent) -> Result<Section, Error> {
    let traffic: Vec<(String, Traffic)> = of
        .nodes
        .iter()
        .map(|(name, nodes)| (name.clone(), Traffic::of(&of.results.statistics, nodes)))
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

/// Parts of a critical path in a table.
const MOST_PARTS: usize = 12;

/// Where critical paths go, and that of the first sample over the layers.
fn critical(of: &PageContent) -> Result<Section, Error> {
    let mut section = Section { title: "Bottleneck".into(), text: of.bottleneck.clone(), ..Section::default() };
    for (pace, critical) in &of.critical {
        let mut table = Table::new(&[&format!("critical path, pace {pace}"), "key", "to the last work (%)"]);
        table.columns.extend((!critical.decision.is_empty()).then(|| "to the decision that stays (%)".to_string()));
        for part in critical.last_work.iter().take(MOST_PARTS) {
            let mut row = vec![part.place.clone(), part.key.to_string(), brief(100.0 * part.share)];
            if !critical.decision.is_empty() {
                let same = critical.decision.iter().find(|it| it.key == part.key && it.place == part.place);
                row.push(brief(100.0 * same.map_or(0.0, |it| it.share)));
            }
            table.rows.push(row);
        }
        section.tables.push(table);
    }
    let Some(&(.., (_, end))) = of.course.last() else { return Ok(section) };
    let unit = Unit::of_ticks(end as f64, of.tick);
    let x = format!("time since the start of the sample ({})", unit.name);
    let axes = Axes { file: "critical-path", title: "Critical path of the first sample", x: &x, ..Axes::default() };
    let time = |ticks: Tick| ticks as f64 * unit.factor;
    let spans: Vec<chart::Span> = of
        .course
        .iter()
        .map(|(place, key, (from, to))| chart::Span {
            row: place.clone(),
            kind: (*key).into(),
            from: time(*from),
            to: time(*to),
        })
        .collect();
    let caption = "Back from the last work: which wait determined the next. Each span of time shows the wait that \
        takes most of it.";
    section.pictures.push(chart::spans(&axes, &spans)?.with_caption(caption));
    Ok(section)
}

fn busiest(of: &PageContent) -> Section {
    let header = ["what would be faster", "time of a sample (% of the time now)", "time to the decision (%)"];
    let mut table = Table::new(&header);
    let decision = |it: &WhatIf| it.decision.map_or(String::new(), |share| brief(100.0 * share));
    table.rows = of.what_ifs.iter().map(|it| vec![it.change.clone(), brief(100.0 * it.time), decision(it)]).collect();
    let tables = if table.rows.is_empty() { Vec::new() } else { vec![table] };
    Section { title: "What is busiest".into(), text: of.busiest.clone(), tables, ..Section::default() }
}

fn energy(of: &PageContent) -> Result<Section, Error> {
    let n = of.results.samples.len().max(1) as f64;
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
    let y = format!("energy per sample ({})", unit.name);
    let axes = Axes { file: "energy", title: "Energy", x: "layer", y: &y, from_zero: true, ..Axes::default() };
    let picture = bars(&axes, names(&accounts), kinds)?;
    let mut section = Section { title: "Energy".into(), ..Section::default() };
    if of.bill.total() > 0.0 {
        let mut table = Table::new(&["", &y]);
        let line = |name: &str, joules: f64| vec![name.to_string(), brief(joules / n * unit.factor)];
        table.rows = accounts.iter().map(|(name, account)| line(name, account.total())).collect();
        table.rows.extend(of.bill.totals().map(|(name, joules)| line(name, joules)));
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
