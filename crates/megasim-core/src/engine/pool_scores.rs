//! Scores of the inputs of maximum pooling that change with time: moving averages and decaying ones.
//!
//! All scores of a module are those of one tick when they are compared, and computed from the ticks of the spikes
//! alone: event mode and clocked mode give the same for the same spikes.

use crate::equations::Decay;
use crate::network::{PoolRule, Tick};
use std::collections::VecDeque;

/// What a spike adds to a score that decays: 2^32.
const SPIKE: i64 = 1 << 32;

/// How high the inputs of a module score.
#[derive(Debug, Clone)]
pub(super) enum Scores {
    /// As many spikes as came in the last ticks.
    Average {
        /// How many ticks.
        over: Tick,
        /// The spikes of each address that were within them at its last spike.
        spikes: Vec<VecDeque<Tick>>,
    },
    /// A part is lost per tick.
    Exponential {
        decay: Box<Decay>,
        /// The score of each address at its last spike, and that tick.
        scores: Vec<(i64, Tick)>,
    },
}

impl Scores {
    /// Of a rule by which scores change with time.
    pub fn new(rule: PoolRule, inputs: usize) -> Option<Self> {
        match rule {
            PoolRule::Average { over } => Some(Self::Average { over, spikes: vec![VecDeque::new(); inputs] }),
            PoolRule::Exponential { decay } => {
                Some(Self::Exponential { decay: Decay::new(decay).into(), scores: vec![(0, 0); inputs] })
            }
            PoolRule::Busiest | PoolRule::Mask(_) | PoolRule::Signed => None,
        }
    }

    /// Forgets all spikes.
    pub fn reset(&mut self) {
        match self {
            Self::Average { spikes, .. } => spikes.iter_mut().for_each(VecDeque::clear),
            Self::Exponential { scores, .. } => scores.fill((0, 0)),
        }
    }

    /// A spike of an address at `s`.
    pub fn count(&mut self, address: usize, s: Tick) {
        match self {
            Self::Average { over, spikes } => {
                let spikes = &mut spikes[address];
                while spikes.front().is_some_and(|&spike| !is_recent(spike, s, *over)) {
                    spikes.pop_front();
                }
                spikes.push_back(s);
            }
            Self::Exponential { decay, scores } => {
                let (score, last) = &mut scores[address];
                *score = decay.after(*score, s - *last).saturating_add(SPIKE);
                *last = s;
            }
        }
    }

    /// The score of an address at `s`, which is not before its last spike.
    pub fn at(&self, address: usize, s: Tick) -> i64 {
        match self {
            Self::Average { over, spikes } => {
                let spikes = &spikes[address];
                (spikes.len() - spikes.partition_point(|&spike| !is_recent(spike, s, *over))) as i64
            }
            Self::Exponential { decay, scores } => {
                let (score, last) = scores[address];
                decay.after(score, s - last)
            }
        }
    }
}

/// Whether a spike is among the last ticks at `s`.
fn is_recent(spike: Tick, s: Tick, over: Tick) -> bool {
    s - spike < over
}
