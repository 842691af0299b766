//! Spike waves: at most one spike per neuron, in time bins.

use super::{Error, Padding, Shape};
use megasim_data::npy::{self, Rows};
use ndarray::{Array3, Array4, ArrayView3, ArrayView4};

/// One spike of a map's neuron.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spike {
    /// Map (channel, feature).
    pub map: u16,
    /// Row.
    pub y: u16,
    /// Column.
    pub x: u16,
    /// What decides between spikes of one bin: the membrane potential at the end of the bin, or the intensity of an
    /// input. Where it is negative the spike counts as -1.
    pub potential: f64,
}

/// The spikes of one stimulus in one layer, by bin, and inside a bin by (map, y, x).
///
/// What SpykeTorch holds as a tensor of (time, maps, rows, columns) that stays 1 from a neuron's spike on; here it is
/// one entry per spike.
///
/// ```
/// use megasim_stdp::SpikeWave;
/// let latencies = ndarray::array![[[0_i64, 3], [2, 3]]]; // 3 of 3 bins: never
/// let wave = SpikeWave::from_latencies(latencies.view(), 3)?;
/// assert_eq!(wave.len(), 2);
/// assert_eq!(wave.bin(2)[0].y, 1);
/// assert_eq!(wave.to_tensor()[(1, 0, 0, 0)], 1.0);
/// # Ok::<(), megasim_stdp::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct SpikeWave {
    shape: Shape,
    spikes: Vec<Spike>,
    /// Where each bin starts in `spikes`; one more than bins.
    starts: Vec<usize>,
}

impl SpikeWave {
    /// A wave without spikes.
    pub fn silent(shape: Shape, time_steps: u32) -> Self {
        Self { shape, spikes: Vec::new(), starts: vec![0; time_steps as usize + 1] }
    }

    /// Sorts spikes with their bins. A neuron that comes twice keeps its earliest.
    pub(crate) fn from_spikes(shape: Shape, time_steps: u32, mut spikes: Vec<(u32, Spike)>) -> Self {
        let key = |spike: &Spike| (spike.map, spike.y, spike.x);
        spikes.sort_unstable_by_key(|(bin, spike)| (*bin, key(spike)));
        let mut wave = Self::silent(shape, time_steps);
        for (bin, _) in &spikes {
            wave.starts[*bin as usize + 1] += 1;
        }
        for bin in 0..time_steps as usize {
            wave.starts[bin + 1] += wave.starts[bin];
        }
        wave.spikes = spikes.into_iter().map(|(_, spike)| spike).collect();
        wave
    }

    /// From the first active bin of each neuron, axes (map, row, column); `time_steps` or more, or a negative value,
    /// is never.
    ///
    /// # Errors
    /// [`Error::Size`] for an empty array.
    pub fn from_latencies<T: Copy + TryInto<u32>>(latencies: ArrayView3<T>, time_steps: u32) -> Result<Self, Error> {
        let (maps, height, width) = latencies.dim();
        let shape = Shape::new(maps, height, width)?;
        let spikes = latencies
            .indexed_iter()
            .filter_map(|(at, &latency)| {
                let bin = latency.try_into().ok().filter(|&bin| bin < time_steps)?;
                Some((bin, spike(at, 1.0)))
            })
            .collect();
        Ok(Self::from_spikes(shape, time_steps, spikes))
    }

    /// From a tensor of axes (time, map, row, column): a neuron spikes in its first bin that is not 0, and what it
    /// holds there is its potential (1 in a plain wave).
    ///
    /// # Errors
    /// [`Error::NotCumulative`] if a neuron is active in a bin but not in a later one, [`Error::NotFinite`] for NaN or
    /// infinite values, [`Error::Size`] for an empty tensor.
    pub fn from_tensor(tensor: ArrayView4<f32>) -> Result<Self, Error> {
        let (time_steps, maps, height, width) = tensor.dim();
        let shape = Shape::new(maps, height, width)?;
        let time_steps = u32::try_from(time_steps)
            .ok()
            .filter(|&steps| steps > 0)
            .ok_or(Error::Size { what: "time bins", found: time_steps })?;
        let mut spikes = Vec::new();
        for map in 0..maps {
            for row in 0..height {
                for column in 0..width {
                    let mut values = tensor.slice(ndarray::s![.., map, row, column]).into_iter().copied().enumerate();
                    if let Some((bin, value)) = values.find(|(_, value)| *value != 0.0) {
                        if !value.is_finite() {
                            return Err(Error::NotFinite { map, row, column, found: value });
                        }
                        spikes.push((bin as u32, spike((map, row, column), f64::from(value))));
                        if values.any(|(_, value)| value == 0.0) {
                            return Err(Error::NotCumulative { map, row, column });
                        }
                    }
                }
            }
        }
        Ok(Self::from_spikes(shape, time_steps, spikes))
    }

    /// From a `.npy` file's bytes: a tensor as [`SpikeWave::from_tensor`] takes it, of any kind of number.
    ///
    /// ```
    /// use megasim_stdp::SpikeWave;
    /// let wave = SpikeWave::from_latencies(ndarray::array![[[0_u32, 2]]].view(), 2)?;
    /// assert_eq!(SpikeWave::from_npy(&wave.to_npy())?, wave);
    /// # Ok::<(), megasim_stdp::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Model`] for bytes that are no such array; as [`SpikeWave::from_tensor`].
    pub fn from_npy(bytes: &[u8]) -> Result<Self, Error> {
        let wrong = |message: String| Error::Model { what: "spike wave".into(), message };
        let all = Rows { skip: 0, take: usize::MAX };
        let npy::Array { shape, values, .. } = npy::read(&mut &bytes[..], all, bytes.len() as u64).map_err(wrong)?;
        let found = format!("expected axes (time, map, row, column), found shape {shape:?}");
        let tensor = ndarray::ArrayD::from_shape_vec(shape, values).map_err(|error| wrong(error.to_string()))?;
        let tensor: Array4<f32> = tensor.into_dimensionality().map_err(|_| wrong(found))?;
        Self::from_tensor(tensor.view())
    }

    /// [`SpikeWave::to_tensor`] as the bytes of a `.npy` file (float32).
    pub fn to_npy(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // A vector takes whatever it is given, and the tensor's shape fits any header.
        // A vector takes all bytes.
        let _ = npy::write(&mut bytes, &self.to_tensor());
        bytes
    }

    /// Size of the maps.
    pub fn shape(&self) -> Shape {
        self.shape
    }
    /// Number of time bins.
    pub fn time_steps(&self) -> u32 {
        (self.starts.len() - 1) as u32
    }
    /// Number of spikes.
    pub fn len(&self) -> usize {
        self.spikes.len()
    }
    /// Whether nothing spikes.
    pub fn is_empty(&self) -> bool {
        self.spikes.is_empty()
    }
    /// The spikes of a bin, by (map, y, x). Empty beyond the last bin.
    pub fn bin(&self, bin: u32) -> &[Spike] {
        match (self.starts.get(bin as usize), self.starts.get(bin as usize + 1)) {
            (Some(&start), Some(&end)) => &self.spikes[start..end],
            _ => &[],
        }
    }
    /// All spikes with their bins, in order.
    pub fn spikes(&self) -> impl Iterator<Item = (u32, &Spike)> {
        (0..self.time_steps()).flat_map(|bin| self.bin(bin).iter().map(move |spike| (bin, spike)))
    }

    /// First active bin of each neuron, axes (map, row, column); the number of bins where it never spikes.
    pub fn latencies(&self) -> Array3<u32> {
        let mut latencies = Array3::from_elem(self.shape.dim(), self.time_steps());
        for (bin, spike) in self.spikes() {
            latencies[(spike.map.into(), spike.y.into(), spike.x.into())] = bin;
        }
        latencies
    }

    /// SpykeTorch's tensor: axes (time, map, row, column), from its spike on 1 (or -1), before it 0.
    pub fn to_tensor(&self) -> Array4<f32> {
        self.tensor_of(|potential| if potential < 0.0 { -1.0 } else { 1.0 })
    }

    /// As [`SpikeWave::to_tensor`], with each spike's potential or intensity held from its bin on.
    pub fn to_intensity_tensor(&self) -> Array4<f32> {
        self.tensor_of(|potential| potential as f32)
    }

    fn tensor_of(&self, value: impl Fn(f64) -> f32) -> Array4<f32> {
        let (maps, height, width) = self.shape.dim();
        let mut tensor = Array4::zeros((self.time_steps() as usize, maps, height, width));
        for (bin, spike) in self.spikes() {
            tensor
                .slice_mut(ndarray::s![bin as usize.., spike.map as usize, spike.y as usize, spike.x as usize])
                .fill(value(spike.potential));
        }
        tensor
    }

    /// These spikes, all of potential 1: what SpykeTorch's `sign()` does to thresholded potentials.
    pub fn sign(mut self) -> Self {
        for spike in &mut self.spikes {
            spike.potential = if spike.potential < 0.0 { -1.0 } else { 1.0 };
        }
        self
    }

    /// Moves the spikes into larger maps.
    ///
    /// # Errors
    /// [`Error::Size`] if the maps grow beyond the limit.
    pub fn pad(mut self, padding: Padding) -> Result<Self, Error> {
        let Padding { left, right, top, bottom } = padding;
        let (maps, height, width) = self.shape.dim();
        self.shape = Shape::new(maps, height + top + bottom, width + left + right)?;
        for spike in &mut self.spikes {
            spike.y += top as u16;
            spike.x += left as u16;
        }
        Ok(self)
    }

    /// All spikes in one single bin: what ever spiked. With weights that are not negative, whether a neuron downstream
    /// fires at all is the same as with the bins apart.
    pub fn collapse(mut self) -> Self {
        self.spikes.sort_unstable_by_key(|spike| (spike.map, spike.y, spike.x));
        self.starts = vec![0, self.spikes.len()];
        self
    }
}

pub(crate) fn spike((map, y, x): (usize, usize, usize), potential: f64) -> Spike {
    Spike { map: map as u16, y: y as u16, x: x as u16, potential }
}
