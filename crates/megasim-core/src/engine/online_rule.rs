//! Online normalisation: when and how the thresholds of layers change during a run.

use crate::network::{NodeId, Tick};

/// When and how thresholds change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnlineRule {
    /// Ticks from one change to the next, 1 or more (`timestep_fraction`).
    pub period: Tick,
    /// Ticks per millisecond, 1 or more: the highest rate is a spike per millisecond.
    pub ticks_per_ms: u32,
    /// Only a rate lower than the highest rate by more than this, in hertz, changes a threshold (`diff_to_max_rate`).
    pub diff_to_max_rate: u32,
    /// Only a rate above this, in hertz, changes a threshold (`diff_to_min_rate`).
    pub diff_to_min_rate: u32,
}

impl OnlineRule {
    /// The threshold that a layer gets at `time`, if it gets one: `THplus count ticks_per_ms / time` of its threshold
    /// in the files and the largest spike count of its neurons, between `least` and `THplus`.
    pub fn threshold(&self, (least, threshold): (i32, i32), count: u64, time: Tick) -> Option<i32> {
        let (time, spikes) = (i128::from(time), i128::from(count) * i128::from(self.ticks_per_ms));
        let below = i128::from(HIGHEST) * (time - spikes);
        let changed = || (i128::from(threshold) * spikes / time.max(1)).max(least.into()).min(threshold.into());
        let changes = self.is_above_least(count, time) && below > i128::from(self.diff_to_max_rate) * time;
        changes.then(|| changed() as i32)
    }

    pub(super) fn is_above_least(&self, count: u64, time: i128) -> bool {
        i128::from(HIGHEST) * i128::from(count) * i128::from(self.ticks_per_ms)
            > i128::from(self.diff_to_min_rate) * time
    }
}

/// The highest rate, in hertz.
const HIGHEST: u32 = 1000;

/// The layers of a plan whose thresholds change.
#[derive(Debug, Clone)]
pub(super) struct OnlinePlan {
    pub rule: OnlineRule,
    pub layers: Vec<OnlineLayer>,
}

/// Populations whose thresholds change together.
#[derive(Debug, Clone)]
pub(super) struct OnlineLayer {
    /// In the files.
    pub threshold: i32,
    /// As low as it may become: above 0, and above where neurons start, rest and are reset to.
    pub least: i32,
    pub populations: Vec<usize>,
    /// One of each module.
    pub nodes: Vec<NodeId>,
}
