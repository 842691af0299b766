//! Rank order code: the values of a sample that are not 0, sorted by magnitude, fire one bin after another, equally
//! many in each bin.
//!
//! S. J. Thorpe, J. Gautrais, "Rank order coding", Computational Neuroscience: Trends in Research (1998); equal bins as
//! in SpykeTorch. Of equal values the lower address comes first.

use super::{Clock, Raster, SpikeEncoder};
use ordered_float::OrderedFloat;
use std::cmp::Reverse;

/// One spike per value, by its rank. See the top of the file.
///
/// ```
/// use megasim_core::encode::{Clock, SpikeEncoder, Rank, Raster};
/// let mut raster = Raster::default();
/// raster.start(10);
/// Rank { bins: 2 }.encode(&[0.1, 0.9, 0.0, 0.2, 0.3], 0, Clock { duration: 10, ticks_per_ms: 1 }, &mut raster);
/// let mut spikes = Vec::new();
/// raster.in_time_order(|tick, trains| spikes.extend(trains.iter().map(|&it| (tick, raster.trains()[it as usize].0))));
/// assert_eq!(spikes, [(0, 1), (0, 4), (5, 0), (5, 3)]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rank {
    /// Bins of a presentation; 0: one per millisecond.
    pub bins: u32,
}

impl SpikeEncoder for Rank {
    fn encode(&self, values: &[f32], _sample: u64, clock: Clock, raster: &mut Raster) {
        let bins = if self.bins == 0 { clock.duration } else { self.bins } as u64;
        let mut order: Vec<usize> = (0..values.len()).filter(|&address| values[address] != 0.0).collect();
        order.sort_by_key(|&address| Reverse(OrderedFloat(values[address].abs())));
        let mut ticks = vec![None; values.len()];
        for (rank, &address) in order.iter().enumerate() {
            let bin = rank as u64 * bins / order.len() as u64;
            ticks[address] = Some(bin * clock.ticks() as u64 / bins.max(1));
        }
        for (address, tick) in ticks.into_iter().enumerate() {
            if let Some(tick) = tick.filter(|&tick| tick < clock.ticks() as u64) {
                raster.train(address as u32, values[address] < 0.0).set(tick as usize);
            }
        }
    }
}
