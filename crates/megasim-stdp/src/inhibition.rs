//! Inhibition between maps on waves: one survivor per position, maps switched off.

use super::{Error, Shape, Spike, SpikeWave};

/// One map survives at each position: the earliest, of one bin the one with the largest potential, of equal ones the
/// lowest. Everything else at the position is dropped.
///
/// On a wave of [`SpikeWave::sign`] all potentials are 1, and the lowest map wins a bin.
///
/// ```
/// use megasim_stdp::{pointwise_inhibition, SpikeWave};
/// let wave = SpikeWave::from_latencies(ndarray::array![[[1_u32, 2]], [[1, 0]]].view(), 2)?;
/// assert_eq!(pointwise_inhibition(&wave).latencies(), ndarray::array![[[1, 2]], [[2, 0]]]);
/// # Ok::<(), megasim_stdp::Error>(())
/// ```
pub fn pointwise_inhibition(wave: &SpikeWave) -> SpikeWave {
    let mut state = PointwiseState::new(wave.shape());
    let mut spikes = Vec::new();
    let mut kept = Vec::new();
    for bin in 0..wave.time_steps() {
        kept.clear();
        state.pass(wave.bin(bin), &mut kept);
        spikes.extend(kept.iter().map(|spike| (bin, *spike)));
    }
    SpikeWave::from_spikes(wave.shape(), wave.time_steps(), spikes)
}

/// Drops the spikes of whole maps. A map listed twice is inhibited once.
///
/// # Errors
/// [`Error::Value`] for a map that the wave does not have.
pub fn feature_inhibition(wave: &SpikeWave, inhibited_features: &[usize]) -> Result<SpikeWave, Error> {
    let mut inhibited = vec![false; wave.shape().maps()];
    for &feature in inhibited_features {
        *inhibited.get_mut(feature).ok_or_else(|| Error::Value {
            what: "inhibited feature".into(),
            expected: "a map of the wave",
            found: feature.to_string(),
        })? = true;
    }
    let spikes =
        wave.spikes().filter(|(_, spike)| !inhibited[spike.map as usize]).map(|(bin, spike)| (bin, *spike)).collect();
    Ok(SpikeWave::from_spikes(wave.shape(), wave.time_steps(), spikes))
}

/// Which positions have a survivor, during one stimulus.
#[derive(Debug, Clone)]
pub(super) struct PointwiseState {
    shape: Shape,
    /// Survivor of the position in this bin, as index into the bin's spikes plus 1; [`CLOSED`] after its bin.
    best: Vec<u32>,
    set: Vec<usize>,
}

const CLOSED: u32 = u32::MAX;

impl PointwiseState {
    pub(super) fn new(shape: Shape) -> Self {
        Self { shape, best: vec![0; shape.positions()], set: Vec::new() }
    }

    pub(super) fn reset(&mut self) {
        for position in self.set.drain(..) {
            self.best[position] = 0;
        }
    }

    pub(super) fn pass(&mut self, spikes: &[Spike], kept: &mut Vec<Spike>) {
        let first = self.set.len();
        for (number, spike) in spikes.iter().enumerate() {
            let position = self.shape.position(spike.y.into(), spike.x.into());
            let best = &mut self.best[position];
            if *best == CLOSED {
                continue;
            }
            if *best == 0 {
                self.set.push(position);
                *best = number as u32 + 1;
                continue;
            }
            let other = &spikes[*best as usize - 1];
            if spike.potential > other.potential || (spike.potential == other.potential && spike.map < other.map) {
                *best = number as u32 + 1;
            }
        }
        for &position in &self.set[first..] {
            kept.push(spikes[self.best[position] as usize - 1]);
            self.best[position] = CLOSED;
        }
    }
}
