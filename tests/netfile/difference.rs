//! Every event of two recordings is counted once, whichever comes first, and what was done to a recording is found.

use megasim::netfile::difference::{Part, compare};
use megasim::network::{EventLog, Polarity, StimulusEvent};
use proptest::prelude::*;

type Row = (i64, i32, bool);

fn log(rows: &[Row]) -> EventLog {
    let mut log = EventLog::default();
    for &(t_pre, x, plus) in rows {
        let polarity = if plus { Polarity::Positive } else { Polarity::Negative };
        log.push(StimulusEvent { t_pre, x, y: 0, polarity }, t_pre, t_pre);
    }
    log
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    proptest::collection::vec((0..30i64, 0..3i32, any::<bool>()), 0..30).prop_map(|mut rows| {
        rows.sort_by_key(|row| row.0);
        rows
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_event_is_counted_once(a in rows(), b in rows(), tolerance in 0..4i64) {
        let (a, b) = (log(&a), log(&b));
        let (there, back) = (compare(&a, &b, tolerance), compare(&b, &a, tolerance));
        prop_assert_eq!(there.equal + there.shifted + there.missing, a.len());
        prop_assert_eq!(there.equal + there.shifted + there.extra, b.len());
        prop_assert_eq!((there.missing, there.extra, there.equal), (back.extra, back.missing, back.equal));
        prop_assert_eq!(there.first.is_none(), a == b);
        if tolerance == 0 {
            prop_assert_eq!(there.shifted, 0);
            prop_assert_eq!(there.is_equal(0), a == b);
        }
    }

    #[test]
    fn a_wider_tolerance_leaves_no_more_over(a in rows(), b in rows(), tolerance in 0..4i64) {
        let (a, b) = (log(&a), log(&b));
        prop_assert!(compare(&a, &b, tolerance + 1).missing <= compare(&a, &b, tolerance).missing);
    }

    #[test]
    fn a_shift_within_the_tolerance_is_a_shift(a in rows(), by in 1..5i64) {
        let shifted: Vec<Row> = a.iter().map(|&(t, x, plus)| (t + by, x, plus)).collect();
        let difference = compare(&log(&a), &log(&shifted), by);
        prop_assert!(difference.is_equal(by));
        prop_assert_eq!(difference.missing, 0);
    }

    #[test]
    fn a_lost_event_is_found(a in rows(), pick: prop::sample::Index) {
        prop_assume!(!a.is_empty());
        let at = pick.index(a.len());
        let mut cut = a.clone();
        let lost = cut.remove(at);
        let difference = compare(&log(&a), &log(&cut), 0);
        prop_assert_eq!((difference.missing, difference.extra, difference.equal), (1, 0, cut.len()));
        let Some(Part::Missing(event)) = difference.first else { panic!("a missing event") };
        prop_assert_eq!((event.time(), event.address.0), (lost.0, lost.1));
    }
}
