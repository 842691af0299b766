//! How samples are presented to a network.

use megasim_convert::ConvertedModel;
use megasim_core::encode::registry::{self, Choice, Common};
use megasim_core::encode::{Clock, DEFAULT_INPUT_RATE, DEFAULT_TICKS_PER_MS, SpikeEncoder};
use megasim_core::engine::Limits;

/// How samples are presented to a network: the spike code of the input, for how long, and how fine time is.
///
/// ```
/// use megasim_study::presentation::Presentation;
///
/// let presentation = Presentation { encode: "poisson".parse()?, seed: 7, ..Presentation::new() };
/// assert_eq!(presentation.clock().ticks(), 1000);
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone)]
pub struct Presentation {
    /// Milliseconds per sample; 100 where nothing else is asked for.
    pub duration: u32,
    /// The spike code; regular where nothing else is asked for.
    pub encode: Choice,
    /// Spikes per second of a white pixel, in codes that use it; biases act at the same rate.
    pub input_rate: f64,
    /// Ticks per millisecond; 10 where nothing else is asked for.
    pub ticks_per_ms: u32,
    /// Seed of random codes, and of orders of events that are drawn.
    pub seed: u64,
    /// Where a run is stopped.
    pub limits: Limits,
}

impl Default for Presentation {
    fn default() -> Self {
        Self {
            duration: 100,
            encode: Choice::default(),
            input_rate: DEFAULT_INPUT_RATE,
            ticks_per_ms: DEFAULT_TICKS_PER_MS,
            seed: 0,
            limits: Limits::of_samples(),
        }
    }
}

impl Presentation {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The presentation that a network was converted for; the defaults where it was converted for none.
    ///
    /// # Errors
    /// If its manifest names no code.
    pub fn of(converted: &ConvertedModel) -> Result<Self, String> {
        let encode = converted.manifest().encode().parse()?;
        Ok(match &converted.manifest().presentation {
            None => Self { encode, ..Self::default() },
            Some(it) => Self { duration: it.duration, encode, ticks_per_ms: it.ticks_per_ms, ..Self::default() },
        })
    }

    /// The spike code, with its rate and seed.
    ///
    /// # Errors
    /// If it is a file that makes no code.
    pub fn code(&self) -> Result<Box<dyn SpikeEncoder>, registry::Error> {
        let common = Common { input_rate: self.input_rate, seed: self.seed };
        self.encode.code(&common, self.clock())
    }

    /// Duration and ticks.
    pub fn clock(&self) -> Clock {
        Clock { duration: self.duration, ticks_per_ms: self.ticks_per_ms }
    }
}
