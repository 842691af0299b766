//! When a decision falls, as output spikes come.

use megasim_core::network::{EventLog, Tick};
use megasim_core::readout::Tally;

/// Times of decisions, in ticks; the class with the most spikes so far leads, as in
/// [`readout::most_spikes`](megasim_core::readout::most_spikes).
///
/// ```
/// use megasim_core::network::{EventLog, Polarity, StimulusEvent};
/// use megasim_study::latency::Decisions;
/// let mut log = EventLog::default();
/// for (t, x) in [(3, 1), (5, 2), (6, 2), (9, 2)] {
///     log.push(StimulusEvent { t_pre: t, x, y: 0, polarity: Polarity::Positive }, t, t);
/// }
/// let decisions = Decisions::of(&log, 4, Some(2));
/// assert_eq!(decisions.first_spike, Some(3));
/// assert_eq!((decisions.first_correct, decisions.settled), (Some(6), Some(6)));
/// assert_eq!((decisions.decision, decisions.last_spike), (Some(2), Some(9)));
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Decisions {
    /// The first output spike.
    pub first_spike: Option<Tick>,
    /// The first time at which the right class led.
    pub first_correct: Option<Tick>,
    /// The time from which the leader did not change any more.
    pub settled: Option<Tick>,
    /// The last output spike: from then on the counts of the output are final.
    pub last_spike: Option<Tick>,
    /// The last leader.
    pub decision: Option<usize>,
}

impl Decisions {
    /// Of the events of an output node.
    pub fn of(log: &EventLog, classes: usize, label: Option<usize>) -> Self {
        let mut tally = Tally::new(classes);
        let mut decisions = Self::default();
        for ((&x, &polarity), &time) in log.x.iter().zip(&log.polarity).zip(&log.t_rqst) {
            if polarity.is_sign() {
                decisions.first_spike.get_or_insert(time);
                decisions.last_spike = decisions.last_spike.max(Some(time));
            }
            if tally.add(x, polarity, time).is_none() {
                continue;
            }
            let leader = tally.leader();
            if leader != decisions.decision {
                decisions.decision = leader;
                decisions.settled = Some(time);
            }
            if decisions.decision == label {
                decisions.first_correct.get_or_insert(time);
            }
        }
        decisions
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use megasim_core::network::{Polarity, StimulusEvent};
    use megasim_core::readout::most_spikes;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_last_leader_is_the_read_out(
            mut spikes in prop::collection::vec((0i64..12, -1i32..5, -4i32..20), 0..40),
        ) {
            spikes.sort_by_key(|&(t, ..)| t);
            let mut log = EventLog::default();
            let event = |(t_pre, x, sign): (Tick, i32, i32)| {
                let polarity = if sign < 0 { Polarity::Negative } else { Polarity::Positive };
                StimulusEvent { t_pre, x, y: 0, polarity }
            };
            for &spike in &spikes {
                log.push(event(spike), spike.0, spike.0);
            }
            let decisions = Decisions::of(&log, 4, Some(1));
            prop_assert_eq!(decisions.decision, most_spikes(&log, 4));
            // The leader changes last where a prefix up to then is decided alike, and one before is not.
            if let Some(settled) = decisions.settled {
                let upto = |last: Tick| {
                    let mut log = EventLog::default();
                    for &spike in spikes.iter().filter(|&&(t, ..)| t <= last) {
                        log.push(event(spike), spike.0, spike.0);
                    }
                    most_spikes(&log, 4)
                };
                prop_assert_eq!(upto(settled), decisions.decision);
                for later in settled..12 {
                    prop_assert_eq!(upto(later), decisions.decision);
                }
            }
        }
    }
}
