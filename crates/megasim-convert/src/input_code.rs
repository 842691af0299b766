//! How fine the input has to be: whether one spike per millisecond tells the network enough of its samples.

use super::normalize::Error;
use super::samples::Samples;
use megasim_ann::forward::{classes, forward};
use megasim_ann::graph::Graph;

/// Samples of the normalisation set that are looked at.
const SAMPLES: usize = 256;

/// Events per millisecond where one is too coarse, if there are as many ticks.
pub const FINER: u32 = 10;

/// Share of the samples that a coarse input may decide otherwise.
pub const TOLERATED: f64 = 0.01;

/// Share of samples that the trained network decides alike when its input is rounded to whole counts of `steps`, as
/// spikes of regular code are; `scale` is the value of an input that fires in each step.
///
/// # Errors
/// Where samples cannot be had or do not fit.
pub fn agreement(graph: &Graph, samples: &dyn Samples, scale: f64, steps: u32) -> Result<f64, Error> {
    let (mut alike, mut seen) = (0, 0);
    samples.visit(&mut |_, piece| {
        let rows = piece.nrows().min(SAMPLES - seen);
        if rows == 0 {
            return Ok(());
        }
        let exact = piece.slice(ndarray::s![..rows, ..]);
        let step = (scale / f64::from(steps)) as f32;
        let rounded = exact.mapv(|value| (value / step).round() * step);
        let (exact, rounded) = (forward(graph, exact)?, forward(graph, rounded.view())?);
        let pairs = classes(exact.view()).into_iter().zip(classes(rounded.view()));
        alike += pairs.filter(|(exact, rounded)| exact == rounded).count();
        seen += rows;
        Ok(())
    })?;
    Ok(alike as f64 / seen.max(1) as f64)
}
