//! Winners: the neurons that learn.

use super::{Error, Shape, Spike, SpikeWave};

/// A neuron that won, and the bin of its spike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Winner {
    /// Map.
    pub map: usize,
    /// Row.
    pub row: usize,
    /// Column.
    pub column: usize,
    /// Bin of its spike. `None` for a neuron that has not spiked, where a caller names one: every input then counts
    /// as having come before it.
    pub bin: Option<u32>,
}

impl Winner {
    /// A winner by name, its bin looked up in the layer's spikes.
    ///
    /// # Errors
    /// [`Error::Winner`] outside the wave's maps.
    pub fn given(wave: &SpikeWave, map: usize, row: usize, column: usize) -> Result<Self, Error> {
        let shape = wave.shape();
        if map >= shape.maps() || row >= shape.height() || column >= shape.width() {
            return Err(Error::Winner { map, row, column, shape });
        }
        let it = |spike: &Spike| (spike.map as usize, spike.y as usize, spike.x as usize) == (map, row, column);
        let bin = wave.spikes().find(|(_, spike)| it(spike)).map(|(bin, _)| bin);
        Ok(Self { map, row, column, bin })
    }
}

/// Up to `kwta` winners of a wave with potentials, in the order in which they win: SpykeTorch's `get_k_winners`.
///
/// The earliest spike wins, of one bin the one with the largest potential, of equal ones the lowest (map, row, column).
/// A winner takes its whole map out of the contest and, if `inhibition_radius` is not 0, in every map the square of
/// that radius around it.
///
/// Potentials are compared exactly. SpykeTorch compares a float32 score of bin and potential together, in which
/// potentials of one bin that differ by a relative 1e-6 to 1e-5 are equal.
///
/// ```
/// use megasim_stdp::{get_k_winners, SpikeWave};
/// let wave = SpikeWave::from_latencies(ndarray::array![[[2_u32, 1]], [[0, 0]]].view(), 2)?;
/// let winners = get_k_winners(&wave, 2, 0);
/// assert_eq!((winners[0].map, winners[0].column), (1, 0));
/// assert_eq!((winners[1].map, winners[1].column), (0, 1));
/// # Ok::<(), megasim_stdp::Error>(())
/// ```
pub fn get_k_winners(wave: &SpikeWave, kwta: usize, inhibition_radius: usize) -> Vec<Winner> {
    let mut contest = Contest::new(wave.shape(), kwta, inhibition_radius);
    for bin in 0..wave.time_steps() {
        if contest.is_decided() {
            break;
        }
        contest.offer(bin, wave.bin(bin));
    }
    contest.winners
}

/// The k-winners-take-all contest of one stimulus, bin by bin, so that the run can stop when it is decided.
#[derive(Debug, Clone)]
pub(super) struct Contest {
    kwta: usize,
    radius: usize,
    taken: Vec<bool>,
    open: usize,
    pub(super) winners: Vec<Winner>,
    left: Vec<Spike>,
}

impl Contest {
    pub(super) fn new(shape: Shape, kwta: usize, radius: usize) -> Self {
        let maps = shape.maps();
        Self { kwta, radius, taken: vec![false; maps], open: maps, winners: Vec::new(), left: Vec::new() }
    }

    pub(super) fn reset(&mut self) {
        self.taken.fill(false);
        self.open = self.taken.len();
        self.winners.clear();
    }

    /// Whether no later spike can win.
    pub(super) fn is_decided(&self) -> bool {
        self.winners.len() == self.kwta || self.open == 0
    }

    pub(super) fn offer(&mut self, bin: u32, spikes: &[Spike]) {
        let Self { kwta, radius, taken, open, winners, left } = self;
        let near = |spike: &Spike, winner: &Winner| {
            *radius > 0
                && (spike.y as usize).abs_diff(winner.row) <= *radius
                && (spike.x as usize).abs_diff(winner.column) <= *radius
        };
        left.clear();
        // A spike of -1 wins nothing.
        left.extend(spikes.iter().filter(|spike| {
            spike.potential > 0.0 && !taken[spike.map as usize] && !winners.iter().any(|winner| near(spike, winner))
        }));
        while winners.len() < *kwta {
            let place = |spike: &Spike| (spike.map, spike.y, spike.x);
            let best = left.iter().copied().reduce(|best, spike| {
                let better = spike.potential > best.potential
                    || (spike.potential == best.potential && place(&spike) < place(&best));
                if better { spike } else { best }
            });
            let Some(best) = best else { return };
            let winner = Winner { map: best.map.into(), row: best.y.into(), column: best.x.into(), bin: Some(bin) };
            taken[winner.map] = true;
            *open -= 1;
            left.retain(|spike| spike.map != best.map && !near(spike, &winner));
            winners.push(winner);
        }
    }
}
