//! The dense form, written to be read: every layer recomputed for every bin, as SpykeTorch does, on arrays of axes
//! (time, map, row, column). Only the tests use it.

use ndarray::{Array3, Array4, ArrayView4, Axis, s};

/// Stride 1, no padding.
pub fn convolution(wave: &Array4<f64>, weights: ArrayView4<f64>) -> Array4<f64> {
    let (time, inputs, height, width) = wave.dim();
    let (maps, _, rows, columns) = weights.dim();
    Array4::from_shape_fn((time, maps, height + 1 - rows, width + 1 - columns), |(t, map, y, x)| {
        let field = wave.slice(s![t, ..inputs, y..y + rows, x..x + columns]);
        (&field * &weights.index_axis(Axis(0), map)).sum()
    })
}

/// Potentials at or below the threshold become 0; without one all but those of the last bin.
pub fn threshold(potentials: &Array4<f64>, threshold: Option<f64>) -> Array4<f64> {
    let last = potentials.dim().0 - 1;
    let mut output = potentials.clone();
    for ((t, ..), value) in output.indexed_iter_mut() {
        let kept = match threshold {
            Some(threshold) => *value > threshold,
            None => t == last,
        };
        if !kept {
            *value = 0.0;
        }
    }
    output
}

pub fn sign(values: &Array4<f64>) -> Array4<f64> {
    values.mapv(|value| if value == 0.0 { 0.0 } else { value.signum() })
}

pub fn fire(potentials: &Array4<f64>, limit: Option<f64>) -> Array4<f64> {
    sign(&threshold(potentials, limit))
}

/// Maximum of each window; cells of the padding never win.
pub fn pooling(
    input: &Array4<f64>,
    kernel: (usize, usize),
    stride: (usize, usize),
    padding: (usize, usize),
) -> Array4<f64> {
    let (time, maps, height, width) = input.dim();
    let places = |size: usize, kernel: usize, stride: usize, padding: usize| (size + 2 * padding - kernel) / stride + 1;
    let dim = (time, maps, places(height, kernel.0, stride.0, padding.0), places(width, kernel.1, stride.1, padding.1));
    Array4::from_shape_fn(dim, |(t, map, y, x)| {
        let mut maximum = f64::NEG_INFINITY;
        for i in 0..kernel.0 {
            for j in 0..kernel.1 {
                let (row, column) = (y * stride.0 + i, x * stride.1 + j);
                if (padding.0..padding.0 + height).contains(&row) && (padding.1..padding.1 + width).contains(&column) {
                    maximum = maximum.max(input[(t, map, row - padding.0, column - padding.1)]);
                }
            }
        }
        maximum
    })
}

/// The index of the first bin of a monotone column of `active` of `time` bins.
fn first_bin(time: usize, active: f64) -> usize {
    (time as f64 - active).clamp(0.0, time as f64 - 1.0) as usize
}

pub fn pointwise_inhibition(potentials: &Array4<f64>) -> Array4<f64> {
    let (time, maps, height, width) = potentials.dim();
    let mut output = Array4::zeros(potentials.dim());
    for y in 0..height {
        for x in 0..width {
            let strongest = |t: usize| {
                (0..maps).fold((0, f64::NEG_INFINITY), |best, map| {
                    let value = potentials[(t, map, y, x)];
                    if value > best.1 { (map, value) } else { best }
                })
            };
            let signs: Vec<f64> = (0..time)
                .map(|t| strongest(t).1)
                .map(|value| if value == 0.0 { 0.0 } else { value.signum() })
                .collect();
            let (survivor, _) = strongest(first_bin(time, signs.iter().sum()));
            for t in 0..time {
                output[(t, survivor, y, x)] = potentials[(t, survivor, y, x)] * signs[time - 1];
            }
        }
    }
    output
}

/// Winners by a score: number of active bins times (potential in the first of them, plus a value above all).
pub fn get_k_winners(
    potentials: &Array4<f64>,
    spikes: &Array4<f64>,
    kwta: usize,
    radius: usize,
) -> Vec<(usize, usize, usize)> {
    let (time, maps, height, width) = potentials.dim();
    let active = spikes.sum_axis(Axis(0));
    let values =
        Array3::from_shape_fn((maps, height, width), |at| potentials[(first_bin(time, active[at]), at.0, at.1, at.2)]);
    let largest =
        spikes.axis_iter(Axis(0)).flat_map(|spikes| (&spikes * &values).into_iter()).fold(f64::NEG_INFINITY, f64::max);
    let above = largest * time as f64;
    let mut scores = &active * &(&values + above);
    let mut winners = Vec::new();
    while winners.len() < kwta {
        let mut best = ((0, 0, 0), f64::NEG_INFINITY);
        for (at, &score) in scores.indexed_iter() {
            if score > best.1 {
                best = (at, score);
            }
        }
        let (winner, score) = best;
        if score == 0.0 {
            break;
        }
        winners.push(winner);
        scores.index_axis_mut(Axis(0), winner.0).fill(0.0);
        if radius > 0 {
            let near = |at: usize, size: usize| at.saturating_sub(radius)..(at + radius + 1).min(size);
            scores.slice_mut(s![.., near(winner.1, height), near(winner.2, width)]).fill(0.0);
        }
    }
    winners
}

/// Rates and options of one STDP call.
pub struct Stdp {
    pub rates: Vec<(f64, f64)>,
    pub use_stabilizer: bool,
    pub lower: f64,
    pub upper: f64,
}

impl Stdp {
    pub fn update(
        &self,
        weights: &mut Array4<f64>,
        input: &Array4<f64>,
        output: &Array4<f64>,
        winners: &[(usize, usize, usize)],
    ) {
        let (_, inputs, rows, columns) = weights.dim();
        let before = weights.clone();
        for &(map, y, x) in winners {
            let own = output.slice(s![.., map, y, x]).sum();
            for c in 0..inputs {
                for i in 0..rows {
                    for j in 0..columns {
                        let first = input.slice(s![.., c, y + i, x + j]).sum() >= own;
                        let rate = if first { self.rates[map].0 } else { self.rates[map].1 };
                        let weight = before[(map, c, i, j)];
                        let room =
                            if self.use_stabilizer { (weight - self.lower) * (self.upper - weight) } else { 1.0 };
                        weights[(map, c, i, j)] = weight + rate * room;
                    }
                }
            }
        }
        weights.mapv_inplace(|weight| weight.clamp(self.lower, self.upper));
    }
}
