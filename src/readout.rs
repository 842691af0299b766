//! From what an output node recorded to a decision.

use crate::network::{EventLog, Polarity, Tick};

/// The class with the most positive spikes; of several, the one that reached its count first; of these, the lowest. None
/// without any spike.
///
/// The class of an event is its address `x`; addresses from `classes` on do not count.
///
/// ```
/// use megasim::network::{EventLog, Polarity, StimulusEvent};
/// use megasim::readout::most_spikes;
/// let mut log = EventLog::default();
/// for (t, x) in [(1, 4), (2, 3), (3, 3), (5, 4)] {
///     log.push(StimulusEvent { t_pre: t, x, y: 0, polarity: Polarity::Positive }, t, t);
/// }
/// assert_eq!(most_spikes(&log, 10), Some(3));
/// assert_eq!(most_spikes(&EventLog::default(), 10), None);
/// ```
pub fn most_spikes(log: &EventLog, classes: usize) -> Option<usize> {
    let mut counts: Vec<(u64, Tick)> = vec![(0, 0); classes];
    for ((&x, &polarity), &time) in log.x.iter().zip(&log.polarity).zip(&log.t_rqst) {
        let class = usize::try_from(x).ok().filter(|_| polarity == Polarity::Positive);
        if let Some((count, last)) = class.and_then(|class| counts.get_mut(class)) {
            *count += 1;
            *last = time;
        }
    }
    let (class, &(count, _)) =
        counts.iter().enumerate().min_by_key(|(_, (count, reached))| (std::cmp::Reverse(*count), *reached))?;
    (count > 0).then_some(class)
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
}
