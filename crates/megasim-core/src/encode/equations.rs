//! A custom code: the neuron of an address as equations in a TOML file.
//!
//! Each address has a neuron, with the variables of `[state]`. In each step it changes them by `[update]`, all
//! from the old values; where `when` of `[spike]` then holds, it fires at the first tick of the step, and
//! `[spike.reset]` changes them again. Equations ([`crate::equations`]) may read
//!
//! | name | |
//! |---|---|
//! | `value` | the magnitude of the number at the address; the spikes have its sign |
//! | `step` | the number of the step, from 0 |
//! | `dt` | milliseconds of a step: 1, or those of a tick with `step = "tick"` at the top of the file |
//! | `duration` | milliseconds of the presentation |
//! | `random` | a number from 0, below 1, drawn for each address and step |

use super::{Clock, Raster, SpikeEncoder};
use crate::equations::{Given, LANES, Lanes, Scratch, Sign, System, Vocabulary};
use crate::source_error::TextError;
use ordered_float::OrderedFloat;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// What such a file may say.
const VOCABULARY: Vocabulary = Vocabulary {
    what: "code",
    inputs: &["value", "step", "dt", "duration", "random"],
    choices: &[("step", &["ms", "tick"])],
    negative: false,
};
const VALUE: usize = 0;
const STEP: usize = 1;
const DT: usize = 2;
const DURATION: usize = 3;
const RANDOM: usize = 4;

/// A code as a file describes it. See the top of the file.
///
/// ```
/// use megasim_core::encode::{Clock, SpikeEncoder, Equations, Raster};
/// let text = r#"
/// [state]
/// v = 0
/// [update]
/// v = "v + value * dt"
/// [spike]
/// when = "v >= 1"
/// reset.v = "v - 1"
/// "#;
/// let code = Equations::parse("mine.toml".as_ref(), text, &[], 0)?;
/// let mut raster = Raster::default();
/// raster.start(10);
/// code.encode(&[0.25], 0, Clock { duration: 10, ticks_per_ms: 1 }, &mut raster);
/// let mut ticks = Vec::new();
/// raster.in_time_order(|tick, _| ticks.push(tick));
/// assert_eq!(ticks, [3, 7]);
/// # Ok::<(), Box<megasim_core::source_error::TextError>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Equations {
    path: PathBuf,
    system: System<f64>,
    seed: u64,
}

/// A variable that is not a finite number any more.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error(
    "{}:{line}: `{variable}` is not a finite number ({found}) after step {step} of the value {value}",
    path.display()
)]
pub struct NotANumber {
    /// The file.
    pub path: PathBuf,
    /// The line that changes the variable, from 1.
    pub line: usize,
    /// The variable.
    pub variable: String,
    /// What it became.
    pub found: String,
    /// The step, from 0.
    pub step: usize,
    /// The value of the address.
    pub value: f64,
}

impl Equations {
    /// Reads a text; `path` is its name in errors. `given` parameters replace those of the text.
    ///
    /// # Errors
    /// The place of the error, what was expected there, and a hint.
    pub fn parse(path: &Path, text: &str, given: &Given, seed: u64) -> Result<Self, Box<TextError>> {
        Ok(Self { path: path.into(), system: System::parse(path, text, &VOCABULARY, given)?, seed })
    }

    /// Whether it draws random numbers.
    pub fn is_random(&self) -> bool {
        self.system.reads(RANDOM)
    }

    /// Tries the code on the values `k / 255`, at most 10,000 steps of each.
    ///
    /// # Errors
    /// The first variable that does not stay a finite number. With other values such an address has no spikes from
    /// there on.
    pub fn check(&self, clock: Clock) -> Result<(), NotANumber> {
        let values: Vec<f64> = (0..=255).map(|k| f64::from(k) / 255.0).collect();
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        let mut fault = None;
        for values in values.chunks(LANES) {
            self.run(
                values,
                &mut random,
                clock,
                10_000,
                |_, _| {},
                |step, lane, state, found| {
                    fault.get_or_insert_with(|| NotANumber {
                        path: self.path.clone(),
                        line: self.system.line_of(state),
                        variable: self.system.states()[state].clone(),
                        found: found.to_string(),
                        step,
                        value: values[lane],
                    });
                },
            );
            if let Some(fault) = fault {
                return Err(fault);
            }
        }
        Ok(())
    }

    /// Steps of at most [`LANES`] addresses; `fire` gets the tick and the lanes that fire then, `lost` the step, lane,
    /// variable and value of what is no finite number.
    fn run(
        &self,
        values: &[f64],
        random: &mut ChaCha8Rng,
        clock: Clock,
        most: usize,
        mut fire: impl FnMut(usize, u32),
        mut lost: impl FnMut(usize, usize, usize, f64),
    ) {
        let system = &self.system;
        let of_ticks = system.choice(0) == "tick";
        let (steps, ticks) = match (clock.duration as usize, clock.ticks_per_ms as usize) {
            (duration, ticks_per_ms) if of_ticks => (duration * ticks_per_ms, 1),
            (duration, ticks_per_ms) => (duration, ticks_per_ms),
        };
        let (mut slots, mut scratch) = (system.slots(), Scratch::default());
        let states = system.states().len();
        let input = |k: usize| states + k;
        let mut lanes: Lanes<f64> = [0.0; LANES];
        lanes[..values.len()].copy_from_slice(values);
        slots[input(VALUE)] = lanes;
        slots[input(DT)] = [if of_ticks { 1.0 / f64::from(clock.ticks_per_ms) } else { 1.0 }; LANES];
        slots[input(DURATION)] = [f64::from(clock.duration); LANES];
        let draws = system.reads(RANDOM);
        let mut alive = (1u32 << values.len()) - 1;
        for step in 0..steps.min(most) {
            slots[input(STEP)] = [step as f64; LANES];
            if draws {
                slots[input(RANDOM)] = std::array::from_fn(|_| random.random());
            }
            if step == 0 {
                system.start(&mut slots, &mut scratch);
            }
            system.advance(&mut slots, &mut scratch);
            let fires = system.fires(Sign::Plus, &slots, &mut scratch) & alive;
            if fires != 0 {
                fire(step * ticks, fires);
                system.reset(Sign::Plus, fires, &mut slots, &mut scratch);
            }
            for (state, numbers) in slots[..states].iter().enumerate() {
                for (lane, number) in numbers.iter().enumerate().take(values.len()) {
                    if !number.is_finite() && alive >> lane & 1 == 1 {
                        alive &= !(1 << lane);
                        lost(step, lane, state, *number);
                    }
                }
            }
        }
    }

    /// Trains of values, as words.
    fn trains(&self, values: &[f64], random: &mut ChaCha8Rng, clock: Clock, like: &Raster) -> Vec<Vec<u64>> {
        let mut words = Vec::with_capacity(values.len());
        for values in values.chunks(LANES) {
            let mut block = like.like();
            let trains = values.iter().map(|_| block.train(0, false).words().to_vec());
            let mut trains: Vec<Vec<u64>> = trains.collect();
            self.run(
                values,
                random,
                clock,
                usize::MAX,
                |tick, mut lanes| {
                    while lanes != 0 {
                        trains[lanes.trailing_zeros() as usize][tick / 64] |= 1 << (tick % 64);
                        lanes &= lanes - 1;
                    }
                },
                |_, _, _, _| {},
            );
            words.append(&mut trains);
        }
        words
    }
}

impl SpikeEncoder for Equations {
    fn encode(&self, values: &[f32], sample: u64, clock: Clock, raster: &mut Raster) {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(sample);
        let magnitudes: Vec<f64> = values.iter().map(|value| f64::from(value.abs())).collect();
        // Without random numbers a train depends on the magnitude alone.
        let mut different = magnitudes.clone();
        if !self.system.reads(RANDOM) {
            different.sort_by_key(|&magnitude| OrderedFloat(magnitude));
            different.dedup();
        }
        let trains = self.trains(&different, &mut random, clock, raster);
        let known: HashMap<_, usize> =
            different.iter().enumerate().map(|(k, &value)| (OrderedFloat(value), k)).collect();
        for (address, (value, magnitude)) in values.iter().zip(&magnitudes).enumerate() {
            let train = if self.system.reads(RANDOM) { address } else { known[&OrderedFloat(*magnitude)] };
            if trains[train].iter().any(|&word| word != 0) {
                raster.train(address as u32, *value < 0.0).words().copy_from_slice(&trains[train]);
            }
        }
    }
}
