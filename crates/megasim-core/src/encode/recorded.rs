//! Recordings of event cameras in place of encoded values: each sample has its own events.

use super::{Clock, InputMap, Raster, SampleNumbers, SpikeEncoder};
use crate::network::{Polarity, Stimulus, Tick};

/// The events of samples, by their number. What is later than the presentation is not shown; of several events of an
/// address and sign in one tick one is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Numbers of the samples.
    numbers: SampleNumbers,
    /// Address, negative, tick; sorted.
    samples: Vec<Vec<((u32, bool), Tick)>>,
}

impl Recorded {
    /// No sample yet; those to come have these numbers.
    pub fn new(numbers: SampleNumbers) -> Self {
        Self { numbers, samples: Vec::new() }
    }

    /// With other numbers.
    pub fn with_numbers(self, numbers: SampleNumbers) -> Self {
        Self { numbers, ..self }
    }

    /// Takes some samples of others, by their order there.
    pub fn take(&mut self, others: &Self, wanted: &[usize]) {
        self.samples.extend(wanted.iter().map(|&k| others.samples[k].clone()));
    }

    /// Adds a sample: a stimulus for each map of a sensor of the input's `(height, width)`, and returns its rates, in
    /// spikes per millisecond with their sign, in the order in which samples have their numbers.
    ///
    /// # Errors
    /// The first event outside, as `(x, y)`.
    pub fn push(
        &mut self,
        layout: &InputMap,
        stimuli: &[Stimulus],
        (height, width): (usize, usize),
        clock: Clock,
    ) -> Result<Vec<f32>, (i32, i32)> {
        let addresses = layout.addresses();
        let mut rates = vec![0.0; layout.numbers()];
        let mut events = Vec::new();
        for (map, stimulus) in stimuli.iter().enumerate() {
            for event in stimulus.iter().filter(|event| event.t_pre < clock.ticks()) {
                let inside = (0..width as i32).contains(&event.x) && (0..height as i32).contains(&event.y);
                let number = map * height * width + event.y.max(0) as usize * width + event.x.max(0) as usize;
                let Some(&address) = addresses.get(number).filter(|_| inside) else { return Err((event.x, event.y)) };
                let negative = event.polarity == Polarity::Negative;
                rates[number] += if negative { -1.0 } else { 1.0 } / clock.duration as f32;
                events.push(((address, negative), event.t_pre));
            }
        }
        events.sort_unstable();
        self.samples.push(events);
        Ok(rates)
    }
}

impl SpikeEncoder for Recorded {
    fn encode(&self, _values: &[f32], sample: u64, clock: Clock, raster: &mut Raster) {
        let events = self.numbers.position(sample).and_then(|k| self.samples.get(k));
        for train in events.map_or(&[][..], Vec::as_slice).chunk_by(|a, b| a.0 == b.0) {
            let ((address, negative), _) = train[0];
            let mut bits = raster.train(address, negative);
            train.iter().filter(|event| event.1 < clock.ticks()).for_each(|event| bits.set(event.1 as usize));
        }
    }

    fn bias_period(&self, _clock: Clock) -> f64 {
        1.0
    }
}
