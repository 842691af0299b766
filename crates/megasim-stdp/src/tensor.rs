//! Thresholds on tensors of potentials, axes (time step, map, row, column), as SpykeTorch's `functional` has them.
//!
//! Layers here do the same event by event ([`Convolution::fire`](super::Convolution::fire)).

use ndarray::{Array4, ArrayView4, s};

/// Potentials that are not above the threshold become 0; without one, all but those of the last time step do.
///
/// ```
/// use megasim_stdp::threshold;
/// let potentials = ndarray::array![[[[1.0, 2.0]]], [[[2.5, 3.0]]]];
/// assert_eq!(threshold(potentials.view(), Some(2.0)), ndarray::array![[[[0.0, 0.0]]], [[[2.5, 3.0]]]]);
/// assert_eq!(threshold(potentials.view(), None), ndarray::array![[[[0.0, 0.0]]], [[[2.5, 3.0]]]]);
/// ```
pub fn threshold(potentials: ArrayView4<f32>, threshold: Option<f32>) -> Array4<f32> {
    match threshold {
        Some(threshold) => potentials.mapv(|potential| if potential > threshold { potential } else { 0.0 }),
        None => {
            let mut thresholded = potentials.to_owned();
            let last = thresholded.dim().0.saturating_sub(1);
            thresholded.slice_mut(s![..last, .., .., ..]).fill(0.0);
            thresholded
        }
    }
}

/// The spike wave of a tensor of potentials, 1 from the time step of a neuron's spike on and 0 before, with the
/// potentials that are left of [`threshold()`]. A wave for the layers is
/// [`SpikeWave::from_tensor`](super::SpikeWave::from_tensor) of these.
///
/// ```
/// use megasim_stdp::{SpikeWave, fire};
/// let potentials = ndarray::array![[[[1.0, 2.0]]], [[[2.5, 3.0]]]];
/// let (spikes, thresholded) = fire(potentials.view(), Some(1.5));
/// assert_eq!(spikes, ndarray::array![[[[0.0, 1.0]]], [[[1.0, 1.0]]]]);
/// assert_eq!(SpikeWave::from_tensor(thresholded.view())?.latencies(), ndarray::array![[[1, 0]]]);
/// # Ok::<(), megasim_stdp::Error>(())
/// ```
pub fn fire(potentials: ArrayView4<f32>, threshold: Option<f32>) -> (Array4<f32>, Array4<f32>) {
    let thresholded = self::threshold(potentials, threshold);
    // The sign of 0 is 0.
    let sign = |potential: f32| if potential == 0.0 { 0.0 } else { potential.signum() };
    (thresholded.mapv(sign), thresholded)
}
