//! The signs of the events of a run.

use crate::engine::kernels::Sign;
use crate::network::Polarity;
use std::ops::Range;

/// Whether spike events are positive or negative.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) enum Signs<'e> {
    /// Of all.
    All(Sign),
    /// One per event, positive or negative.
    Each(&'e [Polarity]),
}

impl<'e> Signs<'e> {
    /// Those of events at rows `y`; none if one of them is no spike.
    pub fn of(polarity: &'e [Polarity], y: &[i32]) -> Option<Self> {
        // Folds, unlike `all`, look at many at once.
        if polarity.iter().fold(true, |all, &it| all & (it == Polarity::Positive)) {
            return Some(Self::All(Sign::Plus));
        }
        let spikes = polarity.iter().zip(y).fold(true, |all, (&polarity, &y)| {
            // A negative event at row -1 is a control event.
            all & ((polarity == Polarity::Positive) | ((polarity == Polarity::Negative) & (y != -1)))
        });
        spikes.then_some(Self::Each(polarity))
    }

    /// Runs of one sign among some of the events.
    pub fn runs(self, events: Range<usize>) -> impl Iterator<Item = (Range<usize>, Sign)> {
        let Range { start: mut at, end } = events;
        std::iter::from_fn(move || {
            let (len, sign) = match self {
                Self::All(sign) => (end - at, sign),
                Self::Each(polarity) => {
                    let rest = &polarity[at..end];
                    let len = rest.iter().take_while(|&&it| it == rest[0]).count();
                    (len, if rest.first() == Some(&Polarity::Negative) { Sign::Minus } else { Sign::Plus })
                }
            };
            let run = at..at + len;
            at = run.end;
            (len > 0).then_some((run, sign))
        })
    }

    /// Those of some of the events.
    pub fn slice(self, events: Range<usize>) -> Self {
        match self {
            Self::All(sign) => Self::All(sign),
            Self::Each(polarity) => Self::Each(&polarity[events]),
        }
    }
}
