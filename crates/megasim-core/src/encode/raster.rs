//! Spike trains as bits: a row for each address, a bit for each tick.
//!
//! Codes write a train at a time, engines read all trains tick by tick. Turning 64 rows of 64 ticks at once makes that
//! cost almost nothing but the spikes.

use crate::network::Tick;

/// The spikes of one sample, at most one for each address and tick.
///
/// ```
/// use megasim_core::encode::Raster;
/// let mut raster = Raster::default();
/// raster.start(100);
/// raster.train(3, false).set(70);
/// raster.train(8, true).set(2);
/// let mut spikes = Vec::new();
/// raster.in_time_order(|tick, trains| spikes.push((tick, trains.to_vec())));
/// assert_eq!(spikes, [(2, vec![1]), (70, vec![0])]);
/// assert_eq!(raster.trains(), [(3, false), (8, true)]);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Raster {
    /// Words of 64 ticks in a row.
    words: usize,
    rows: Vec<(u32, bool)>,
    bits: Vec<u64>,
}

/// The spike train of one address.
#[derive(Debug)]
pub struct Train<'r> {
    bits: &'r mut [u64],
}

impl Train<'_> {
    /// A spike at this tick.
    ///
    /// # Panics
    /// If it is beyond the raster.
    #[inline]
    pub fn set(&mut self, tick: usize) {
        self.bits[tick / 64] |= 1 << (tick % 64);
    }

    /// The train in words of 64 ticks, the earliest in the lowest bit; bits beyond the last tick stay 0.
    pub fn words(&mut self) -> &mut [u64] {
        self.bits
    }
}

impl Raster {
    /// Forgets all trains; the next ones have `ticks` ticks.
    pub fn start(&mut self, ticks: Tick) {
        self.words = usize::try_from(ticks).unwrap_or(0).div_ceil(64);
        self.rows.clear();
        self.bits.clear();
    }

    /// A train without spikes for an address that is higher than those before.
    pub fn train(&mut self, address: u32, negative: bool) -> Train<'_> {
        let start = self.bits.len();
        self.rows.push((address, negative));
        self.bits.resize(start + self.words, 0);
        Train { bits: &mut self.bits[start..] }
    }

    /// An empty raster of as many ticks.
    pub(super) fn like(&self) -> Self {
        Self { words: self.words, ..Self::default() }
    }

    /// Address and sign of each train.
    pub fn trains(&self) -> &[(u32, bool)] {
        &self.rows
    }

    /// How many spikes all trains have.
    pub(super) fn spikes(&self) -> u64 {
        self.bits.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// Calls `visit` with each tick that has spikes and the trains that have one then, as indices into
    /// [`Raster::trains`], rising.
    pub fn in_time_order(&self, mut visit: impl FnMut(Tick, &[u32])) {
        let groups = self.rows.len().div_ceil(64);
        // By group of 64 rows: for each tick of a word, the rows that spike.
        let mut turned = vec![[0u64; 64]; groups];
        let mut trains = vec![0; self.rows.len()];
        for word in 0..self.words {
            let mut any = 0;
            for (group, block) in turned.iter_mut().enumerate() {
                let rows = 64.min(self.rows.len() - group * 64);
                block.fill(0);
                for (row, bits) in block.iter_mut().enumerate().take(rows) {
                    *bits = self.bits[(group * 64 + row) * self.words + word];
                    any |= *bits;
                }
                transpose(block);
            }
            // Ticks at which somebody spikes.
            while any != 0 {
                let tick = any.trailing_zeros() as usize;
                any &= any - 1;
                let mut count = 0;
                for (group, block) in turned.iter().enumerate() {
                    let mut rows = block[tick];
                    while rows != 0 {
                        trains[count] = group as u32 * 64 + rows.trailing_zeros();
                        count += 1;
                        rows &= rows - 1;
                    }
                }
                visit((word * 64 + tick) as Tick, &trains[..count]);
            }
        }
    }
}

/// Transposes a matrix of bits: bit `c` of row `r` becomes bit `r` of row `c` (H. S. Warren, Hacker's Delight, 7-3,
/// with the lowest bit first).
fn transpose(rows: &mut [u64; 64]) {
    let mut width = 32;
    let mut mask = 0x0000_0000_ffff_ffffu64;
    while width > 0 {
        let mut row = 0;
        while row < 64 {
            let swap = ((rows[row] >> width) ^ rows[row + width]) & mask;
            rows[row] ^= swap << width;
            rows[row + width] ^= swap;
            row = (row + width + 1) & !width;
        }
        width /= 2;
        mask ^= mask << width;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_bit_comes_once_in_order(
            spikes in prop::collection::btree_set((0i64..200, 0u32..150), 0..500),
        ) {
            let mut raster = Raster::default();
            raster.start(200);
            for address in 0..150 {
                let mut train = raster.train(address, address % 3 == 0);
                for (tick, _) in spikes.iter().filter(|spike| spike.1 == address) {
                    train.set(*tick as usize);
                }
            }
            let mut found = Vec::new();
            raster.in_time_order(|tick, trains| found.extend(trains.iter().map(|&train| (tick, train))));
            prop_assert_eq!(found, spikes.into_iter().collect::<Vec<_>>());
        }
    }
}
