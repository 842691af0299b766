//! A point on a machine: the figures of a latency study that are reported of each point.

use super::Measured;
use crate::compare::Accuracy;
use crate::hardware::{Duration, module_name};
use crate::latency::{Busiest, Critical, EnergyBreakdown, Resource, Results, Spread};
use megasim_core::network::Network;
use ordered_float::OrderedFloat;
use serde::{Deserialize, Serialize};

/// What came out of a point; times in seconds, energies in joules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MachineFigures {
    /// Samples shown.
    pub samples: usize,
    /// Share of right decisions on the machine, where the right classes are known.
    pub accuracy: Option<Accuracy>,
    /// That of the ideal machine, which is event mode.
    pub ideal: Option<Accuracy>,
    /// Share of samples that are decided as ideally; none where there is no decision.
    pub as_ideal: Option<f64>,
    /// From the first input to the first output spike; none where no sample has one.
    pub first_spike: Option<Spread>,
    /// To the first right decision.
    pub first_correct: Option<Spread>,
    /// To the decision that stays.
    pub settled: Option<Spread>,
    /// To the end of the last work.
    pub last_work: Option<Spread>,
    /// Samples a second, one after the other.
    pub samples_per_second: f64,
    /// Events of all nodes, a sample.
    pub events: f64,
    /// Joules a sample, static power included.
    #[serde(rename = "total_energy", alias = "energy")]
    pub energy: f64,
    /// Of these, those of static power.
    #[serde(default)]
    pub static_energy: f64,
    /// What takes most of the critical path of the first sample, at the pace of the point; none where nothing takes any
    /// time.
    #[serde(default)]
    pub bottleneck: Option<Bottleneck>,
    /// What is busiest; none where nothing takes any time.
    pub busiest: Option<BusiestResource>,
    /// Share of the time in which the module that is stopped longest has no room for its outputs.
    pub stopped: f64,
    /// Events a sample that were made but never requested, or requested but never acknowledged.
    pub unfinished: f64,
    /// Of these, input a sample that was never requested: the machine does not take it in the time of a sample at this
    /// pace.
    #[serde(default)]
    pub unsent: f64,
    /// Samples that did not finish: that ended with events left over.
    #[serde(default)]
    pub unfinished_samples: usize,
    /// Samples that ended with modules waiting for each other.
    pub deadlocks: usize,
}

/// What takes most of a critical path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bottleneck {
    /// The hardware key.
    pub key: String,
    /// Where.
    pub place: String,
    /// Its share of the path.
    pub share: f64,
}

/// The busiest resource of a point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BusiestResource {
    /// A module by its first output node, or a link by its tile and direction.
    pub name: String,
    /// The share of the time in which it works.
    pub utilisation: f64,
    /// The hardware key that takes most of that.
    pub cause: String,
}

impl MachineFigures {
    /// Of a study's answer. `bill`: of all samples; `tick`: how long one is; `labelled`: whether the right classes are
    /// known.
    pub fn of(
        network: &Network,
        answer: &Results,
        bill: &EnergyBreakdown,
        (busiest, critical): (Option<&Busiest>, Option<&Critical>),
        tick: Duration,
        labelled: bool,
    ) -> Self {
        let n = answer.samples.len();
        let mean = |sum: f64| sum / n.max(1) as f64;
        let right = answer.right();
        let seconds = |spread: Option<Spread>| spread.map(|spread| spread.scaled(tick.seconds()));
        let elapsed = answer.statistics.elapsed as f64 * tick.seconds();
        let left = answer.unfinished();
        Self {
            samples: n,
            accuracy: labelled.then(|| Accuracy::new(right.machine, n)),
            ideal: labelled.then(|| Accuracy::new(right.ideal, n)),
            as_ideal: right.as_ideal(),
            first_spike: seconds(answer.latency(|it| it.first_spike)),
            first_correct: seconds(answer.latency(|it| it.first_correct)),
            settled: seconds(answer.latency(|it| it.settled)),
            last_work: seconds(answer.length()),
            samples_per_second: if elapsed > 0.0 { n as f64 / elapsed } else { 0.0 },
            events: mean(answer.samples.iter().map(|sample| sample.events as f64).sum()),
            energy: mean(bill.total()),
            static_energy: mean(bill.static_energy),
            bottleneck: critical.and_then(Critical::bottleneck).map(|it| Bottleneck {
                key: it.key.into(),
                place: it.place.clone(),
                share: it.share,
            }),
            busiest: busiest.map(|it| BusiestResource {
                name: match it.resource {
                    Resource::Module(module) => module_name(network, module),
                    Resource::Link(tile, direction) => format!("link ({}, {}) {direction:?}", tile.x, tile.y),
                },
                utilisation: it.utilisation,
                cause: it.cause.0.into(),
            }),
            stopped: busiest.and_then(|it| it.stopped).map_or(0.0, |(_, share)| share),
            unsent: mean(left.unsent as f64),
            unfinished: mean((left.pending + left.unacknowledged) as f64),
            unfinished_samples: answer.unfinished_samples(),
            deadlocks: answer.samples.iter().filter(|sample| !sample.deadlocks.is_empty()).count(),
        }
    }

    /// What to say of samples that did not finish, and of input that was left over; nothing where there is none.
    pub fn left_over<'f>(points: impl Iterator<Item = &'f Self> + Clone) -> Option<String> {
        let all = points.clone().count();
        let cut = points.clone().filter(|it| it.unfinished_samples > 0);
        let most_samples = cut.clone().map(|it| it.unfinished_samples).max()?;
        let mut text = format!(
            "Samples did not finish at {} of {all} points (up to {most_samples} samples): events were left over at \
                their ends.",
            cut.count()
        );
        let left = points.filter(|it| it.unsent > 0.0);
        if let Some(most) = left.clone().map(|it| OrderedFloat(it.unsent)).max() {
            text += &format!(
                " Input was left over at {} of {all} points (up to {most:.1} events per sample): the machine does not \
                    take it at that pace, so their figures are of part of the input. A slower pace, 'pace=fastest' (as \
                    fast as input is taken) or a longer --duration helps.",
                left.count()
            );
        }
        Some(text)
    }

    /// The four latencies by name.
    pub fn latencies(&self) -> [(&'static str, Option<&Spread>); 4] {
        [
            ("first output spike", self.first_spike.as_ref()),
            ("first correct decision", self.first_correct.as_ref()),
            ("decision that stays", self.settled.as_ref()),
            ("last work", self.last_work.as_ref()),
        ]
    }
}

impl Measured for MachineFigures {
    fn columns() -> Vec<String> {
        let mut columns: Vec<String> =
            ["samples", "accuracy", "low", "high", "ideal_accuracy", "as_ideal"].map(String::from).into();
        for what in ["first_spike", "first_correct", "decision", "last_work"] {
            columns.extend(["mean_s", "median_s", "p95_s"].map(|part| format!("{what}_{part}")));
        }
        let others = [
            "samples_per_s",
            "events",
            "total_energy_J",
            "static_energy_J",
            "bottleneck",
            "bottleneck_key",
            "bottleneck_share",
            "busiest",
            "utilisation",
            "cause",
            "stopped",
            "unfinished",
            "unsent",
            "unfinished_samples",
            "deadlocks",
        ];
        columns.extend(others.map(String::from));
        columns
    }

    fn cells(&self) -> Vec<String> {
        let share = |value: f64| format!("{value:.6}");
        // Seven digits, however small.
        let number = |value: f64| format!("{value:.6e}");
        let maybe = |value: Option<f64>| value.map_or(String::new(), share);
        let mut row = vec![self.samples.to_string()];
        row.push(maybe(self.accuracy.map(|it| it.share)));
        row.push(maybe(self.accuracy.map(|it| it.interval.0)));
        row.push(maybe(self.accuracy.map(|it| it.interval.1)));
        row.push(maybe(self.ideal.map(|it| it.share)));
        row.push(maybe(self.as_ideal));
        for (_, spread) in self.latencies() {
            let parts = |it: &Spread| [it.mean, it.median, it.p95].map(number);
            row.extend(spread.map_or_else(|| [const { String::new() }; 3], parts));
        }
        let [name, utilisation, cause] = match &self.busiest {
            Some(it) => [it.name.clone(), share(it.utilisation), it.cause.clone()],
            None => [String::new(), share(0.0), String::new()],
        };
        row.extend([
            number(self.samples_per_second),
            number(self.events),
            number(self.energy),
            number(self.static_energy),
        ]);
        row.extend(match &self.bottleneck {
            Some(it) => [it.place.clone(), it.key.clone(), share(it.share)],
            None => [const { String::new() }; 3],
        });
        row.extend([name, utilisation, cause, share(self.stopped), number(self.unfinished), number(self.unsent)]);
        row.extend([self.unfinished_samples, self.deadlocks].map(|samples| samples.to_string()));
        row
    }
}
