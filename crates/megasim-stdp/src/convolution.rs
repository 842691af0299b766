//! Convolution of spike waves, event by event: each spike adds its weights to the neurons whose field it is in.

use super::pooling::PoolingState;
use super::positions::Positions;
use super::shape::{places, reached};
use super::wave::spike;
use super::weight::Block;
use super::{Error, Pair, Shape, Spike, SpikeWave, Weight};
use ndarray::{Array4, ArrayView4};
use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;
use std::ops::Range;

/// Weights of a convolution layer: SpykeTorch's `Convolution`, with stride, padding and bias as options.
///
/// The potential of neuron (map, y, x) at the end of a bin is the sum of the weights `(map, input, ky, kx)` whose input
/// neuron `(input, y stride + ky - padding, x stride + kx - padding)` has spiked by then, plus the bias.
///
/// ```
/// use megasim_stdp::{Convolution, SpikeWave};
/// let convolution = Convolution::from_weights(ndarray::array![[[[1.0_f32, 0.5]]]].view())?;
/// let input = SpikeWave::from_latencies(ndarray::array![[[0_u32, 1, 2]]].view(), 3)?;
/// let output = convolution.fire(&input, Some(1.0))?;
/// // Potentials 1, 1.5 and 0, 1, 1.5: a spike needs more than the threshold.
/// assert_eq!(output.latencies(), ndarray::array![[[1, 2]]]);
/// # Ok::<(), megasim_stdp::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Convolution<W: Weight = f32> {
    inputs: usize,
    maps: usize,
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    bias: Option<Vec<W>>,
    /// Maps innermost and both kernel axes reversed, so that one spike reaches contiguous memory:
    /// `[input][kernel row from last][kernel column from last][map]`.
    weights: Vec<W>,
    /// Bounds of all weights.
    pub(super) within: Option<(W, W)>,
}

impl<W: Weight> Convolution<W> {
    /// Weights drawn from a normal distribution; SpykeTorch's defaults are mean 0.8 and deviation 0.02. They are not
    /// held to any bounds here.
    ///
    /// # Errors
    /// [`Error::Size`] for a size of 0; [`Error::Value`] for a mean or deviation that is not finite.
    pub fn new(
        in_channels: usize,
        out_channels: usize,
        kernel_size: impl Into<Pair>,
        weight_mean: f64,
        weight_std: f64,
        random: &mut ChaCha8Rng,
    ) -> Result<Self, Error> {
        let kernel = kernel_size.into();
        Shape::new(out_channels, kernel.rows, kernel.columns)?;
        if !(weight_mean.is_finite() && weight_std.is_finite()) {
            return Err(Error::Value {
                what: "weight mean and deviation".into(),
                expected: "finite numbers",
                found: format!("{weight_mean}, {weight_std}"),
            });
        }
        let mut normal = normal_numbers(random);
        let dim = (out_channels, in_channels, kernel.rows, kernel.columns);
        let weights = Array4::from_shape_simple_fn(dim, || W::from_real(weight_mean + weight_std * normal()));
        Self::from_weights(weights.view())
    }

    /// New weights of a normal distribution in place of all, as [`Convolution::new`] draws them; SpykeTorch's defaults
    /// are mean 0.8 and deviation 0.02. Stride, padding and bias stay.
    ///
    /// # Errors
    /// As there; the weights are then as before.
    pub fn reset_weight(&mut self, weight_mean: f64, weight_std: f64, random: &mut ChaCha8Rng) -> Result<(), Error> {
        let drawn = Self::new(self.inputs, self.maps, self.kernel, weight_mean, weight_std, random)?;
        (self.weights, self.within) = (drawn.weights, drawn.within);
        Ok(())
    }

    /// Given weights, axes (map, input map, row, column).
    ///
    /// # Errors
    /// [`Error::Size`] for a size of 0, [`Error::Value`] for a weight that is not finite or too large for its kind.
    pub fn from_weights(weights: ArrayView4<W>) -> Result<Self, Error> {
        let (maps, inputs, rows, columns) = weights.dim();
        Shape::new(maps, rows, columns)?;
        Shape::new(inputs, rows, columns)?;
        let kernel = Pair { rows, columns };
        let mut layer = Self {
            inputs,
            maps,
            kernel,
            stride: 1.into(),
            padding: 0.into(),
            bias: None,
            weights: vec![W::default(); weights.len()],
            within: None,
        };
        let mut largest = 0.0_f64;
        for ((map, input, ky, kx), &weight) in weights.indexed_iter() {
            let real = weight.to_real();
            if !real.is_finite() {
                return Err(Error::Value {
                    what: format!("weight of map {map}, input {input}, row {ky}, column {kx}"),
                    expected: "a finite number",
                    found: real.to_string(),
                });
            }
            largest = largest.max(real.abs());
            let index = layer.index(map, input, ky, kx);
            layer.weights[index] = weight;
        }
        layer.check_magnitude(largest)?;
        Ok(layer)
    }

    /// That potentials cannot leave the range of their kind.
    pub(super) fn check_magnitude(&self, largest: f64) -> Result<(), Error> {
        let inputs = self.inputs_of_neuron();
        if largest * inputs as f64 > W::LARGEST {
            return Err(Error::Value {
                what: format!("weights of {} type with {inputs} inputs to a neuron", W::NAME),
                expected: "a sum of magnitudes in the type's range (16,383 for fixed)",
                found: format!("weights up to {largest}"),
            });
        }
        Ok(())
    }

    /// Distance between fields.
    ///
    /// # Errors
    /// [`Error::Size`] for a stride of 0.
    pub fn stride(self, stride: impl Into<Pair>) -> Result<Self, Error> {
        let stride = stride.into();
        Shape::new(1, stride.rows, stride.columns)?;
        Ok(Self { stride, ..self })
    }

    /// Rows and columns of silent neurons around the input.
    pub fn padding(self, padding: impl Into<Pair>) -> Self {
        Self { padding: padding.into(), ..self }
    }

    /// A potential each map starts with.
    ///
    /// # Errors
    /// [`Error::Shape`] if there is not one for each map.
    pub fn bias(self, bias: &[W]) -> Result<Self, Error> {
        if bias.len() != self.maps {
            return Err(Error::Shape {
                what: "bias",
                expected: format!("{} (one for each map)", self.maps),
                found: bias.len().to_string(),
            });
        }
        Ok(Self { bias: Some(bias.into()), ..self })
    }

    /// Number of input maps.
    pub fn in_channels(&self) -> usize {
        self.inputs
    }
    /// Number of maps.
    pub fn out_channels(&self) -> usize {
        self.maps
    }
    /// Size of the kernel.
    pub fn kernel_size(&self) -> Pair {
        self.kernel
    }
    /// Distance between fields.
    pub fn stride_size(&self) -> Pair {
        self.stride
    }
    /// Silent neurons around the input.
    pub fn padding_size(&self) -> Pair {
        self.padding
    }
    /// Weights of one neuron.
    pub fn inputs_of_neuron(&self) -> usize {
        self.inputs * self.kernel.rows * self.kernel.columns
    }

    pub(super) fn index(&self, map: usize, input: usize, ky: usize, kx: usize) -> usize {
        let row = self.kernel.rows - 1 - ky;
        let column = self.kernel.columns - 1 - kx;
        ((input * self.kernel.rows + row) * self.kernel.columns + column) * self.maps + map
    }

    /// One weight.
    pub fn weight(&self, map: usize, input: usize, ky: usize, kx: usize) -> W {
        self.weights[self.index(map, input, ky, kx)]
    }

    /// All weights, axes (map, input map, row, column).
    pub fn weights(&self) -> Array4<W> {
        let dim = (self.maps, self.inputs, self.kernel.rows, self.kernel.columns);
        Array4::from_shape_fn(dim, |(map, input, ky, kx)| self.weight(map, input, ky, kx))
    }

    /// The weights in memory order, to change them; what was known about their bounds is forgotten.
    pub(super) fn weights_mut(&mut self) -> &mut [W] {
        &mut self.weights
    }

    /// The least weight.
    pub(super) fn least_weight(&self) -> f64 {
        self.weights.iter().map(|weight| weight.to_real()).fold(f64::INFINITY, f64::min)
    }

    /// The largest weight.
    pub(super) fn largest_weight(&self) -> f64 {
        self.weights.iter().map(|weight| weight.to_real()).fold(f64::NEG_INFINITY, f64::max)
    }

    /// How far a layer's weights are from 0 and 1: the mean of `w (1 - w)`, 0 when all have settled (Kheradpisheh et
    /// al. 2018, equation 5).
    pub fn convergence(&self) -> f64 {
        let sum: f64 = self.weights.iter().map(|weight| weight.to_real()).map(|weight| weight * (1.0 - weight)).sum();
        sum / self.weights.len() as f64
    }

    /// Size of its maps.
    ///
    /// # Errors
    /// [`Error::Shape`] for another number of input maps, [`Error::Window`] if the kernel does not fit.
    pub fn output_shape(&self, input: Shape) -> Result<Shape, Error> {
        if input.maps() != self.inputs {
            return Err(Error::Shape {
                what: "convolution",
                expected: format!("{} input maps", self.inputs),
                found: input.maps().to_string(),
            });
        }
        let window = || Error::Window {
            what: "convolution",
            window: self.kernel,
            height: input.height(),
            width: input.width(),
            padding: self.padding,
        };
        let height = places(input.height(), self.kernel.rows, self.stride.rows, self.padding.rows);
        let width = places(input.width(), self.kernel.columns, self.stride.columns, self.padding.columns);
        let (height, width) = height.zip(width).ok_or_else(window)?;
        Shape::new(self.maps, height, width)
    }

    /// Potentials at the end of every bin, axes (time, map, row, column): SpykeTorch's `forward`.
    ///
    /// # Errors
    /// As [`Convolution::output_shape`].
    pub fn potentials(&self, input: &SpikeWave) -> Result<Array4<W>, Error> {
        let mut state = ConvolutionState::new(self, input.shape())?;
        state.reset(self, &[]);
        let output = state.output;
        let mut potentials = Array4::default((input.time_steps() as usize, self.maps, output.height(), output.width()));
        for bin in 0..input.time_steps() {
            state.deliver(self, bin, input.bin(bin));
            for map in 0..self.maps {
                for y in 0..output.height() {
                    for x in 0..output.width() {
                        potentials[(bin as usize, map, y, x)] = state.potentials[output.index(map, y, x)];
                    }
                }
            }
        }
        Ok(potentials)
    }

    /// The spikes with their potentials: SpykeTorch's `forward` and `fire`. `None` as threshold: every neuron whose
    /// potential is not 0 spikes in the last bin.
    ///
    /// A neuron fires once, in the first bin at whose end its potential is above the threshold, also where it falls
    /// again later (negative weights): SpykeTorch does not support those.
    ///
    /// # Errors
    /// As [`Convolution::output_shape`]; [`Error::Value`] for a negative threshold, which neurons would exceed that no
    /// event ever reaches.
    pub fn fire(&self, input: &SpikeWave, threshold: Option<W>) -> Result<SpikeWave, Error> {
        if let Some(threshold) = threshold.filter(|threshold| threshold.to_real().is_nan() || *threshold < W::default())
        {
            return Err(Error::Value {
                what: "threshold".into(),
                expected: "at least 0",
                found: threshold.to_real().to_string(),
            });
        }
        let mut state = ConvolutionState::new(self, input.shape())?;
        state.reset(self, &[]);
        let mut spikes = Vec::new();
        let mut fired = Vec::new();
        for bin in 0..input.time_steps() {
            state.deliver(self, bin, input.bin(bin));
            fired.clear();
            if let Some(threshold) = threshold {
                state.fire(threshold, Competition::None, &mut fired);
            } else if bin + 1 == input.time_steps() {
                state.fire_rest(&mut fired);
            }
            spikes.extend(fired.iter().map(|spike| (bin, *spike)));
        }
        Ok(SpikeWave::from_spikes(state.output, input.time_steps(), spikes))
    }
}

/// Standard normal numbers by Marsaglia's polar method.
fn normal_numbers(random: &mut ChaCha8Rng) -> impl FnMut() -> f64 + '_ {
    let mut spare = None;
    move || {
        if let Some(value) = spare.take() {
            return value;
        }
        loop {
            let u: f64 = random.random_range(-1.0..1.0);
            let v: f64 = random.random_range(-1.0..1.0);
            let squared = u * u + v * v;
            if squared > 0.0 && squared < 1.0 {
                let factor = (-2.0 * squared.ln() / squared).sqrt();
                spare = Some(v * factor);
                return u * factor;
            }
        }
    }
}

/// Who else may fire at a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Competition {
    /// Everyone above the threshold.
    None,
    /// Pointwise inhibition: the first map to fire, among those of one bin the one with the largest potential (the
    /// lowest map if equal), and no other later.
    Pointwise,
}

/// What a convolution layer holds during one stimulus. It keeps its memory from one to the next.
#[derive(Debug, Clone)]
pub(super) struct ConvolutionState<W: Weight> {
    pub(super) input: Shape,
    pub(super) output: Shape,
    /// `[y][x][map]`.
    potentials: Vec<W>,
    /// What a position starts with: bias, inhibited maps.
    initial: Vec<W>,
    /// Positions that got input since they were last tested.
    touched: Positions,
    /// Positions that are not as they started.
    dirty: Positions,
    /// Positions that fired and inhibit what comes.
    closed: Positions,
    /// Bin of each input neuron's spike, [`NEVER`] before it: `[map][y][x]`.
    pub(super) arrived: Vec<u32>,
    /// Those entries of `arrived` that are set.
    delivered: Vec<u32>,
    /// Places that each row and each column of the input reaches.
    rows: Vec<Range<usize>>,
    columns: Vec<Range<usize>>,
    /// Weights added.
    pub(super) operations: u64,
}

/// No spike (yet).
pub(super) const NEVER: u32 = u32::MAX;

impl<W: Weight> ConvolutionState<W> {
    pub(super) fn new(layer: &Convolution<W>, input: Shape) -> Result<Self, Error> {
        let output = layer.output_shape(input)?;
        let positions = || Positions::new(output.height(), output.width());
        let (kernel, stride, padding) = (layer.kernel, layer.stride, layer.padding);
        let row = |y| reached(y + padding.rows, kernel.rows, stride.rows, output.height());
        let column = |x| reached(x + padding.columns, kernel.columns, stride.columns, output.width());
        let mut state = Self {
            input,
            output,
            potentials: vec![W::default(); output.len()],
            initial: vec![W::default(); output.maps()],
            touched: positions(),
            dirty: positions(),
            closed: positions(),
            arrived: vec![NEVER; input.len()],
            delivered: Vec::new(),
            rows: (0..input.height()).map(row).collect(),
            columns: (0..input.width()).map(column).collect(),
            operations: 0,
        };
        state.dirty.fill();
        Ok(state)
    }

    /// Before a stimulus. `inhibited` maps stay silent.
    pub(super) fn reset(&mut self, layer: &Convolution<W>, inhibited: &[bool]) {
        let maps = self.output.maps();
        let before = self.initial.clone();
        match &layer.bias {
            Some(bias) => self.initial.copy_from_slice(bias),
            None => self.initial.fill(W::default()),
        }
        for (initial, _) in self.initial.iter_mut().zip(inhibited).filter(|(_, inhibited)| **inhibited) {
            *initial = W::INHIBITED;
        }
        if before != self.initial {
            self.dirty.fill();
        }
        let initial = &self.initial;
        let potentials = &mut self.potentials;
        self.dirty.drain(|position| potentials[position * maps..][..maps].copy_from_slice(initial));
        self.touched.clear();
        self.closed.clear();
        if layer.bias.is_some() {
            self.touched.fill();
        }
        for index in self.delivered.drain(..) {
            self.arrived[index as usize] = NEVER;
        }
    }

    /// Adds the weights of the spikes of one bin.
    pub(super) fn deliver(&mut self, layer: &Convolution<W>, bin: u32, spikes: &[Spike]) {
        let maps = self.output.maps();
        let (stride, padding) = (layer.stride, layer.padding);
        for spike in spikes {
            let (input, y, x) = (spike.map as usize, spike.y as usize, spike.x as usize);
            let arrived = (input * self.input.height() + y) * self.input.width() + x;
            self.arrived[arrived] = bin;
            self.delivered.push(arrived as u32);
            let negative = spike.potential < 0.0;
            let (rows, columns) = (self.rows[y].clone(), self.columns[x].clone());
            let (y, x) = (y + padding.rows, x + padding.columns);
            if rows.is_empty() || columns.is_empty() {
                continue;
            }
            for row in rows.clone() {
                self.touched.set(row, columns.clone());
            }
            let length = (columns.end - columns.start) * maps;
            self.operations += ((rows.end - rows.start) * length) as u64;
            if stride.rows == 1 && stride.columns == 1 {
                let block = Block {
                    rows: rows.end - rows.start,
                    length,
                    potential_stride: self.output.width() * maps,
                    weight_stride: layer.kernel.columns * maps,
                };
                let first = self.output.position(rows.start, columns.start) * maps;
                let weights = layer.index(0, input, y - rows.start, x - columns.start);
                W::add_rows(&mut self.potentials[first..], &layer.weights[weights..], block, negative);
            } else {
                let block = Block { rows: 1, length: maps, potential_stride: 0, weight_stride: 0 };
                for row in rows {
                    for column in columns.clone() {
                        let first = self.output.position(row, column) * maps;
                        let weights = layer.index(0, input, y - row * stride.rows, x - column * stride.columns);
                        W::add_rows(&mut self.potentials[first..], &layer.weights[weights..], block, negative);
                    }
                }
            }
        }
    }

    /// The barrier at a bin's end: tests the touched neurons and appends those that fire.
    pub(super) fn fire(&mut self, threshold: W, competition: Competition, fired: &mut Vec<Spike>) {
        let Self { potentials, touched, dirty, closed, output, .. } = self;
        let maps = output.maps();
        let width = output.width();
        dirty.include(touched);
        touched.exclude(closed);
        touched.drain(|position| {
            let row = &mut potentials[position * maps..][..maps];
            if !W::any_above(row, threshold) {
                return;
            }
            let mut spike =
                Spike { map: 0, y: (position / width) as u16, x: (position % width) as u16, potential: 0.0 };
            match competition {
                Competition::None => {
                    for (map, potential) in row.iter_mut().enumerate().filter(|(_, potential)| **potential > threshold)
                    {
                        spike.map = map as u16;
                        spike.potential = potential.to_real();
                        fired.push(spike);
                        *potential = W::INHIBITED;
                    }
                }
                Competition::Pointwise => {
                    let mut best = 0;
                    for map in 1..maps {
                        if row[map] > row[best] {
                            best = map;
                        }
                    }
                    spike.map = best as u16;
                    spike.potential = row[best].to_real();
                    fired.push(spike);
                    closed.set(position / width, position % width..position % width + 1);
                }
            }
        });
    }

    /// Firing and pooling at one stroke, where all input came in one bin: a window passes a spike of each map whose
    /// largest potential in it is above the threshold.
    pub(super) fn fire_pooled(
        &mut self,
        threshold: W,
        pooling: &PoolingState,
        largest: &mut Vec<W>,
        fired: &mut Vec<Spike>,
    ) {
        let Self { potentials, touched, dirty, output, .. } = self;
        dirty.include(touched);
        touched.clear();
        let maps = output.maps();
        for y in 0..pooling.output.height() {
            for x in 0..pooling.output.width() {
                let (rows, columns) = pooling.window(y, x);
                largest.clear();
                largest.resize(maps, W::INHIBITED);
                for row in rows {
                    for column in columns.clone() {
                        let at = output.position(row, column) * maps;
                        W::raise(largest, &potentials[at..at + maps]);
                    }
                }
                if W::any_above(largest, threshold) {
                    let above = largest.iter().enumerate().filter(|(_, potential)| **potential > threshold);
                    fired.extend(above.map(|(map, _)| spike((map, y, x), 1.0)));
                }
            }
        }
    }

    /// Firing without a threshold: at the end of the last bin every neuron with a potential fires.
    pub(super) fn fire_rest(&mut self, fired: &mut Vec<Spike>) {
        let Self { potentials, touched, dirty, output, .. } = self;
        dirty.include(touched);
        touched.clear();
        let maps = output.maps();
        let width = output.width();
        dirty.each(|position| {
            for (map, potential) in potentials[position * maps..][..maps].iter().enumerate() {
                if *potential != W::default() && *potential > W::INHIBITED {
                    fired.push(Spike {
                        map: map as u16,
                        y: (position / width) as u16,
                        x: (position % width) as u16,
                        potential: potential.to_real(),
                    });
                }
            }
        });
    }
}
