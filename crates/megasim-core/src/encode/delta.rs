//! Delta code, for sequences: an address fires each time its value has changed by a step since it last did, positive
//! where it rose.
//!
//! Frames share the presentation evenly. At the first tick of a frame each address compares the value with what its
//! spikes have signalled so far (0 before the first frame); it fires once for each whole step in between, one spike per
//! tick. This is what an event camera does to the logarithm of light. A still picture is a sequence of one frame.

use super::{Clock, Raster, SpikeEncoder};

/// Spikes of change. See the top of the file.
///
/// ```
/// use megasim_core::encode::{Clock, SpikeEncoder, Delta, Raster};
/// let mut raster = Raster::default();
/// raster.start(20);
/// // Two frames of one value.
/// Delta { step: 0.25 }.encode_frames(&[0.6, 0.3], 1, 0, Clock { duration: 20, ticks_per_ms: 1 }, &mut raster);
/// let mut spikes = Vec::new();
/// raster.in_time_order(|tick, trains| spikes.push((tick, raster.trains()[trains[0] as usize].1)));
/// assert_eq!(spikes, [(0, false), (1, false)]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Delta {
    /// The change that one spike signals, above 0.
    pub step: f64,
}

impl SpikeEncoder for Delta {
    fn encode(&self, values: &[f32], sample: u64, clock: Clock, raster: &mut Raster) {
        self.encode_frames(values, values.len(), sample, clock, raster);
    }

    fn encode_frames(&self, values: &[f32], numbers: usize, _sample: u64, clock: Clock, raster: &mut Raster) {
        let frames = values.len() / numbers.max(1);
        let ticks = clock.ticks() as usize;
        for address in 0..numbers {
            // By sign: the ticks at which the address fires.
            let mut fired: [Vec<usize>; 2] = Default::default();
            let mut reported = 0i64;
            for frame in 0..frames {
                let (start, end) = (frame * ticks / frames, (frame + 1) * ticks / frames);
                let change = f64::from(values[frame * numbers + address]) / self.step - reported as f64;
                let steps = change.abs().floor() as usize;
                // Rounding of a value that is a whole number of steps does not lose one.
                let steps = if change.abs() - steps as f64 > 1.0 - 1e-6 { steps + 1 } else { steps };
                let steps = steps.min(end - start);
                fired[usize::from(change < 0.0)].extend(start..start + steps);
                reported += if change < 0.0 { -(steps as i64) } else { steps as i64 };
            }
            for (fired, negative) in fired.iter().zip([false, true]).filter(|(fired, _)| !fired.is_empty()) {
                let mut train = raster.train(address as u32, negative);
                fired.iter().for_each(|&tick| train.set(tick));
            }
        }
    }

    fn bias_period(&self, _clock: Clock) -> f64 {
        1.0
    }
}
