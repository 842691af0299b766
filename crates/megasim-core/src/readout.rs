//! From what an output node recorded to a decision, as early as the rule allows.
//!
//! A [`ReadOut`] is a rule; a [`ReadoutMonitor`] follows one run with it, says when the run may stop, and gives the
//! [`Decision`]. Ties are reported as lists; one of the tied classes is the decision: the one that came to its score
//! first, of several in one tick the lowest.

use crate::engine::{Progress, Record, Simulation};
use crate::network::{EventLog, ModuleId, Network, NetworkError, NodeId, Polarity, Tick};
use std::cmp::Reverse;
use std::num::NonZeroU32;

/// Spikes of each class so far, counted with their signs; the class of a spike is its address `x`.
///
/// A rectified output spikes with one sign, and a class without a spike has no score. Where spikes of both signs come
/// (`convert --output signed`), those below 0 are taken off, and a class without a spike has 0.
#[derive(Debug, Clone)]
pub struct Tally {
    /// Spikes of each class, and the tick of the last one.
    scores: Vec<(i64, Option<Tick>)>,
    signed: bool,
}

impl Tally {
    /// No spike yet.
    pub fn new(classes: usize) -> Self {
        Self { scores: vec![(0, None); classes], signed: false }
    }

    /// Counts a spike, and says which class it counts for; what is no class, or no spike, does not count.
    pub fn add(&mut self, x: i32, polarity: Polarity, time: Tick) -> Option<usize> {
        let sign = match polarity {
            Polarity::Positive => 1,
            Polarity::Negative => -1,
            Polarity::Reset | Polarity::Settle => return None,
        };
        let class = usize::try_from(x).ok().filter(|&class| class < self.scores.len())?;
        self.scores[class].0 += sign;
        self.scores[class].1 = Some(time);
        self.signed |= sign < 0;
        Some(class)
    }

    /// Spikes of a class.
    pub fn count(&self, class: usize) -> i64 {
        self.scores[class].0
    }

    /// Classes that have a score, with it and the tick of the last spike.
    fn scored(&self) -> impl Iterator<Item = (usize, (i64, Option<Tick>))> {
        let scores = self.scores.iter().copied().enumerate();
        scores.filter(|(_, (_, last))| self.signed || last.is_some())
    }

    /// The class that leads; of several, the one that came to its score first; of these, the lowest.
    pub fn leader(&self) -> Option<usize> {
        let best = self.scored().min_by_key(|&(_, (count, reached))| (Reverse(count), reached));
        best.map(|(class, _)| class)
    }
}

/// The class with the most spikes, counted with their signs; of several, the one that reached its count first; of
/// these, the lowest. None without any spike.
///
/// The class of an event is its address `x`; addresses from `classes` on do not count. See [`Tally`] for signs.
///
/// ```
/// use megasim_core::network::{EventLog, Polarity, StimulusEvent};
/// use megasim_core::readout::most_spikes;
/// let mut log = EventLog::default();
/// for (t, x) in [(1, 4), (2, 3), (3, 3), (5, 4)] {
///     log.push(StimulusEvent { t_pre: t, x, y: 0, polarity: Polarity::Positive }, t, t);
/// }
/// assert_eq!(most_spikes(&log, 10), Some(3));
/// assert_eq!(most_spikes(&EventLog::default(), 10), None);
/// ```
pub fn most_spikes(log: &EventLog, classes: usize) -> Option<usize> {
    let mut tally = Tally::new(classes);
    for ((&x, &polarity), &time) in log.x.iter().zip(&log.polarity).zip(&log.t_rqst) {
        tally.add(x, polarity, time);
    }
    tally.leader()
}

/// How a class is decided. Spikes count with their signs ([`Tally`]); the class of a spike is its address `x`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadOut {
    /// The class with the most spikes at the end of the run, or as soon as it leads by `margin`.
    SpikeCount {
        /// Spikes by which the first class leads the second when the run stops.
        margin: Option<NonZeroU32>,
    },
    /// The class that spikes first; the run stops after that tick.
    FirstSpike,
    /// The class that has spiked so often first; the run stops after that tick. If none gets there, the one with the
    /// most spikes.
    KSpikes(NonZeroU32),
    /// Of signed neurons: the class with the highest `V + n THplus` at the end of the run, which is its count and what
    /// is left of its input.
    CountAndRest,
    /// The class with the highest membrane potential at the end of the run, or as soon as it leads by `margin`. The
    /// output must not spike ([`accumulating`]).
    MembranePotential {
        /// Scaled integers by which the first class leads the second when the run stops, above 0.
        margin: Option<i64>,
    },
}

impl Default for ReadOut {
    /// Most spikes, at the end.
    fn default() -> Self {
        Self::SpikeCount { margin: None }
    }
}

impl ReadOut {
    /// What the spikes of an output so far decide; nothing where potentials do, and without the rest where that counts.
    ///
    /// ```
    /// use megasim_core::network::{EventLog, Polarity, StimulusEvent};
    /// use megasim_core::readout::ReadOut;
    /// let mut log = EventLog::default();
    /// for (t, x) in [(1, 4), (2, 3), (3, 3)] {
    ///     log.push(StimulusEvent { t_pre: t, x, y: 0, polarity: Polarity::Positive }, t, t);
    /// }
    /// assert_eq!(ReadOut::default().on_spikes(&log, 10), Some(3));
    /// assert_eq!(ReadOut::FirstSpike.on_spikes(&log, 10), Some(4));
    /// assert_eq!(ReadOut::MembranePotential { margin: None }.on_spikes(&log, 10), None);
    /// ```
    pub fn on_spikes(self, log: &EventLog, classes: usize) -> Option<usize> {
        let enough = match self {
            Self::SpikeCount { .. } | Self::CountAndRest => return most_spikes(log, classes),
            Self::FirstSpike => 1,
            Self::KSpikes(k) => k.get().into(),
            Self::MembranePotential { .. } => return None,
        };
        let mut tally = Tally::new(classes);
        let mut decided = None;
        for ((&x, &polarity), &time) in log.x.iter().zip(&log.polarity).zip(&log.t_rqst) {
            // The spikes of the deciding tick are read together.
            if decided.is_some_and(|tick| tick != time) {
                break;
            }
            if let Some(class) = tally.add(x, polarity, time)
                && tally.count(class) >= enough
            {
                decided.get_or_insert(time);
            }
        }
        tally.leader()
    }

    /// Whether a run may stop before its end.
    pub fn stops_early(self) -> bool {
        !matches!(
            self,
            Self::SpikeCount { margin: None } | Self::CountAndRest | Self::MembranePotential { margin: None }
        )
    }
}

/// What a run decided.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Decision {
    /// The classes with any score, the best first; of several with the same, the one that came to it first, then the
    /// lowest. Classes without a spike have no score; every membrane potential is one.
    pub ranking: Vec<usize>,
    /// The classes that share the best score, rising; one where there is no tie, none where there is no score.
    pub tied: Vec<usize>,
    /// The score of each class: spikes, less those of negative polarity; with the rest for [`ReadOut::CountAndRest`];
    /// membrane potentials for [`ReadOut::MembranePotential`].
    pub scores: Vec<i64>,
    /// The tick after which the run stopped, because the decision was made; none where it went on to its end.
    pub stopped: Option<Tick>,
}

impl Decision {
    /// The class, if any has a score.
    pub fn class(&self) -> Option<usize> {
        self.ranking.first().copied()
    }
}

/// The network with an output that accumulates and never spikes: `THplusInfo` 0 and `THplus` at the 32-bit limit, as
/// ANNarchy's `IaF_Acc`.
///
/// # Errors
/// If the output's module may not have these values.
pub fn accumulating(mut network: Network, output: NodeId) -> Result<Network, NetworkError> {
    let name = network.nodes()[output.index()].name.clone();
    // What never spikes has no count.
    network.set(|node| node == name, "signed", 0)?;
    network.set(|node| node == name, "THplusInfo", 0)?;
    network.set(|node| node == name, "THplus", i32::MAX.into())?;
    Ok(network)
}

/// Whether an output has signed neurons, which [`ReadOut::CountAndRest`] needs.
pub fn is_signed(network: &Network, output: NodeId) -> bool {
    match network.nodes()[output.index()].driver {
        crate::network::Driver::Module(module) => {
            network.modules()[module.index()].kind.neurons().is_some_and(|(_, neurons, _)| neurons.signed().is_some())
        }
        crate::network::Driver::Source(_) => false,
    }
}

/// Follows the output of one run.
///
/// ```
/// use megasim_core::engine::{Mode, Plan, Probes, Simulation};
/// use megasim_core::netfile;
/// use megasim_core::network::NodeId;
/// use megasim_core::readout::{ReadOut, ReadoutMonitor};
///
/// # std::env::set_current_dir("../..")?;
/// let files = netfile::read("netfiles/two-neurons/megasim.sch".as_ref())?;
/// let output = files.network.node_named("excitatory").ok_or("no such node")?;
/// let plan = Plan::new(&files.network)?;
/// let mut simulation = Simulation::new(&plan, Mode::Event, &Probes::of(&[output]));
/// let mut watch = ReadoutMonitor::new(ReadOut::FirstSpike, &files.network, output, 1);
/// let record = simulation.run_until(&files.stimuli, |progress| watch.look(progress))?;
/// let decision = watch.decide(&record, &simulation);
/// assert_eq!(decision.class(), Some(0));
/// assert_eq!(decision.stopped, Some(4));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ReadoutMonitor {
    rule: ReadOut,
    output: NodeId,
    module: Option<ModuleId>,
    counts: Tally,
    /// Events of the log that are counted.
    seen: usize,
    /// The tick that is being watched.
    tick: Option<Tick>,
    /// A spike has decided; the run stops when the tick is over.
    decided: Option<Tick>,
    stopped: Option<Tick>,
}

impl ReadoutMonitor {
    /// A run in which `output` is recorded.
    pub fn new(rule: ReadOut, network: &Network, output: NodeId, classes: usize) -> Self {
        let module = match network.nodes()[output.index()].driver {
            crate::network::Driver::Module(module) => Some(module),
            crate::network::Driver::Source(_) => None,
        };
        Self { rule, output, module, counts: Tally::new(classes), seen: 0, tick: None, decided: None, stopped: None }
    }

    /// Whether a run may end before its last tick by this rule. If not, there is no need to [look](Self::look).
    pub fn may_stop(&self) -> bool {
        match self.rule {
            ReadOut::FirstSpike | ReadOut::KSpikes(_) => true,
            ReadOut::CountAndRest => false,
            ReadOut::SpikeCount { margin } => margin.is_some(),
            ReadOut::MembranePotential { margin } => margin.is_some(),
        }
    }

    /// Reads the progress of a run; returns whether it may stop. The first spikes of one tick are read together, so
    /// event mode continues to the first event of the next tick, which does not count; a margin is tested after each
    /// event.
    pub fn look(&mut self, progress: &Progress<'_>) -> bool {
        let over = self.tick.replace(progress.time).is_some_and(|tick| tick != progress.time);
        if over && self.decided.is_some() {
            self.stopped = self.decided;
            return true;
        }
        if let Some(log) = &progress.logs[self.output.index()] {
            self.count(log);
        }
        let is_final = match self.rule {
            ReadOut::CountAndRest => false,
            // A clocked step counts as one tick.
            ReadOut::FirstSpike | ReadOut::KSpikes(_) => progress.node.is_none() && self.decided.is_some(),
            ReadOut::SpikeCount { margin } => margin
                .is_some_and(|margin| lead(self.counts.scores.iter().map(|(count, _)| *count)) >= margin.get().into()),
            ReadOut::MembranePotential { margin } => margin.is_some_and(|margin| {
                let potentials = self.module.map(|module| progress.potentials(module)).unwrap_or_default();
                lead(potentials.into_iter().take(self.counts.scores.len()).map(i64::from)) >= margin
            }),
        };
        if is_final {
            self.stopped = Some(progress.time);
        }
        is_final
    }

    fn count(&mut self, log: &EventLog) {
        for k in self.seen..log.len() {
            if let Some(class) = self.counts.add(log.x[k], log.polarity[k], log.t_rqst[k]) {
                let enough = match self.rule {
                    ReadOut::FirstSpike => 1,
                    ReadOut::KSpikes(k) => k.get().into(),
                    _ => continue,
                };
                if self.counts.count(class) >= enough {
                    self.decided.get_or_insert(log.t_rqst[k]);
                }
            }
        }
        self.seen = log.len();
    }

    /// The decision of the run that is over.
    pub fn decide(mut self, record: &Record, simulation: &Simulation<'_>) -> Decision {
        if let (Some(log), None) = (&record.nodes[self.output.index()], self.stopped) {
            self.count(log);
            self.stopped = self.decided;
        }
        let scored: Vec<(usize, (i64, Option<Tick>))> = match self.rule {
            ReadOut::MembranePotential { .. } => {
                let potentials = self.module.map(|module| simulation.potentials(module)).unwrap_or_default();
                let potentials = potentials.into_iter().take(self.counts.scores.len());
                potentials.map(|v| (i64::from(v), None)).enumerate().collect()
            }
            ReadOut::CountAndRest => {
                let totals = self.module.map(|module| simulation.totals(module)).unwrap_or_default();
                let totals = totals.into_iter().take(self.counts.scores.len());
                totals.map(|total| (total, None)).enumerate().collect()
            }
            _ => self.counts.scored().collect(),
        };
        let mut scores = vec![0; self.counts.scores.len()];
        scored.iter().for_each(|&(class, (score, _))| scores[class] = score);
        let mut ranking = scored;
        ranking.sort_by_key(|&(class, (score, reached))| (Reverse(score), reached, class));
        let best = ranking.first().map(|(_, (score, _))| *score);
        let is_best = |&&(_, (score, _)): &&(usize, (i64, Option<Tick>))| Some(score) == best;
        let mut tied: Vec<usize> = ranking.iter().filter(is_best).map(|(class, _)| *class).collect();
        tied.sort_unstable();
        Decision { ranking: ranking.into_iter().map(|(class, _)| class).collect(), tied, scores, stopped: self.stopped }
    }
}

/// By how much the largest leads the second; a single one leads by nothing.
fn lead(scores: impl Iterator<Item = i64>) -> i64 {
    let (mut first, mut second) = (None, None);
    for score in scores {
        if first.is_none_or(|first| score > first) {
            (first, second) = (Some(score), first);
        } else if second.is_none_or(|second| score > second) {
            second = Some(score);
        }
    }
    first.zip(second).map_or(0, |(first, second)| first - second)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::StimulusEvent;

    fn log(events: &[(Tick, i32)]) -> EventLog {
        let mut log = EventLog::default();
        for &(t, x) in events {
            log.push(StimulusEvent { t_pre: t, x, y: 0, polarity: Polarity::Positive }, t, t);
        }
        log
    }

    #[test]
    fn the_lowest_of_those_that_tie_in_time() {
        assert_eq!(most_spikes(&log(&[(0, 2), (1, 1), (5, 1), (5, 2)]), 3), Some(1));
    }

    #[test]
    fn counts_before_time() {
        assert_eq!(most_spikes(&log(&[(0, 0), (1, 1), (9, 1)]), 2), Some(1));
    }

    #[test]
    fn what_is_no_class_does_not_count() {
        assert_eq!(most_spikes(&log(&[(0, 7), (1, -1), (2, 1)]), 2), Some(1));
        assert_eq!(most_spikes(&log(&[(0, 7)]), 2), None);
    }

    #[test]
    fn spikes_below_zero_are_taken_off() {
        let mut events = log(&[(0, 0), (1, 0), (2, 1), (3, 1)]);
        let minus = |t_pre, x| StimulusEvent { t_pre, x, y: 0, polarity: Polarity::Negative };
        events.push(minus(4, 0), 4, 4);
        // 1 and 2.
        assert_eq!(most_spikes(&events, 2), Some(1));
        let mut below = EventLog::default();
        below.push(minus(0, 0), 0, 0);
        below.push(minus(1, 2), 1, 1);
        // 0 is more than less than 0.
        assert_eq!(most_spikes(&below, 3), Some(1));
        below.push(minus(2, 1), 2, 2);
        below.push(minus(3, 0), 3, 3);
        assert_eq!(most_spikes(&below, 3), Some(2));
    }
}
