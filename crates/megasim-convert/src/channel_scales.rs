//! Scales of single maps: next to the scale of its layer, each map (of a vector: each neuron) has a factor on it.
//!
//! `W <- W f_in / f_out`, `b <- b / f_out` with the factor `f` of a map: a neuron of the map then fires
//! `activation / (l f)` times per millisecond, and what reads it takes that back, so that the network computes what it
//! did.

use super::normalize::{CANDIDATES, Error, Normalized, Schedule, magnitudes, role_of};
use super::parsed::{Connection, LayerKind, ParsedModel, Role, Route, Source, Weights};
use megasim_ann::graph::Shape;
use ndarray::ArrayView2;
use ordered_float::OrderedFloat;

/// Intervals of the histogram of a map, from 0 to its largest activation.
const INTERVALS: usize = 4096;

/// The least factor: a map that is hardly active fires at most this many times as often as at the scale of its layer.
const LEAST: f64 = 1.0 / 16.0;

/// What a map shows of itself, pass by pass.
#[derive(Debug, Clone, Default)]
struct Map {
    largest: f32,
    counts: Vec<u64>,
    /// Its percentile.
    l: Option<f64>,
    errors: [f64; CANDIDATES.len()],
}

impl Map {
    /// Sees an activation above 0 in a pass.
    fn see(&mut self, pass: usize, activation: f32, steps: Option<f32>) {
        match pass {
            1 => self.largest = self.largest.max(activation),
            2 => {
                self.counts.resize(INTERVALS, 0);
                let interval = (activation / self.largest * INTERVALS as f32).ceil() as usize;
                self.counts[interval.clamp(1, INTERVALS) - 1] += 1;
            }
            _ => {
                let (Some(l), Some(steps)) = (self.l, steps) else { return };
                for (error, candidate) in self.errors.iter_mut().zip(CANDIDATES) {
                    let scale = (l * candidate) as f32;
                    let count = (activation * steps / scale + 0.5).floor().min(steps);
                    *error += f64::from(count * scale / steps - activation).powi(2);
                }
            }
        }
    }

    /// The percentile of its activations above 0, to `1 / INTERVALS` of the largest.
    fn percentile(&self, percentile: f64) -> Option<f64> {
        let total: u64 = self.counts.iter().sum();
        let wanted = (total.checked_sub(1)? as f64 * percentile / 100.0).floor() as u64;
        let mut before = 0;
        let interval = self.counts.iter().position(|&count| {
            before += count;
            wanted < before
        })?;
        Some(f64::from(self.largest) * (interval + 1) as f64 / INTERVALS as f64)
    }
}

/// Finds scales of maps while others look at the same activations: in a first pass the largest activation of each map,
/// in a second its percentile, in a third the errors of scales near that.
#[derive(Debug)]
pub(super) struct Search {
    schedule: Schedule,
    /// Bias events of a presentation, for least squared errors.
    steps: Option<f32>,
    pass: usize,
    /// Of each layer; none where its maps have the scale of the layer.
    layers: Vec<Vec<Map>>,
    roles: Vec<Role>,
}

impl Search {
    /// For the populations of a network that may have factors.
    pub(super) fn new(parsed: &ParsedModel, schedule: Schedule, steps: Option<u32>) -> Self {
        let takes = takes_factors(parsed);
        let layers = parsed.layers.iter().zip(takes);
        let layers = layers.map(|(layer, takes)| vec![Map::default(); if takes { layer.shape.channels() } else { 0 }]);
        let roles = (0..parsed.layers.len()).map(|number| role_of(parsed, number)).collect();
        Self { schedule, steps: steps.map(|steps| steps as f32), pass: 0, layers: layers.collect(), roles }
    }

    /// Begins to see all activations once more.
    pub(super) fn begin(&mut self) {
        self.pass += 1;
        if self.pass == 3 {
            self.find_percentiles();
        }
    }

    fn find_percentiles(&mut self) {
        for (number, maps) in self.layers.iter_mut().enumerate() {
            let percentile = self.schedule.at(number);
            maps.iter_mut().for_each(|map| map.l = map.percentile(percentile));
        }
    }

    /// Sees some samples of a population.
    pub(super) fn see(&mut self, number: usize, activations: ArrayView2<f32>) {
        let maps = &mut self.layers[number];
        if maps.is_empty() {
            return;
        }
        let cells = (activations.ncols() / maps.len()).max(1);
        for sample in magnitudes(self.roles[number], activations).rows() {
            for (at, &activation) in sample.iter().enumerate() {
                // Others refuse what is no finite number.
                if activation > 0.0 && activation.is_finite() {
                    maps[at / cells].see(self.pass, activation, self.steps);
                }
            }
        }
    }

    /// The factors of each layer on its scale `l`; empty where there are none.
    pub(super) fn factors(mut self, l: &[Option<f64>]) -> Vec<Vec<f64>> {
        if self.pass < 3 {
            self.find_percentiles();
        }
        let by_error = self.steps.is_some();
        let layers = self.layers.iter().zip(l);
        let factors = layers.map(|(maps, l)| {
            let Some(l) = l else { return Vec::new() };
            let scale = |map: &Map| {
                let best = map.errors.iter().zip(CANDIDATES).min_by_key(|(error, _)| OrderedFloat(**error));
                map.l.zip(best).map(|(l, (_, candidate))| if by_error { l * candidate } else { l })
            };
            let factor = |map: &Map| scale(map).map_or(1.0, |scale| (scale / l).max(LEAST));
            maps.iter().map(factor).collect()
        });
        factors.collect()
    }
}

/// Which layers are populations whose maps may have factors: not those whose spikes reach the output or a change of
/// places without weights, which would compare or mix maps of different scales.
pub(super) fn takes_factors(parsed: &ParsedModel) -> Vec<bool> {
    let mut takes = vec![true; parsed.layers.len()];
    if let Some(last) = takes.last_mut() {
        *last = false;
    }
    for (number, layer) in parsed.layers.iter().enumerate().rev() {
        let (source, mixes) = match &layer.operation {
            LayerKind::Population { role, .. } => {
                takes[number] &= matches!(role, Role::Rectifier | Role::Excess | Role::Signed);
                continue;
            }
            LayerKind::Relay { source, route } => {
                let of_maps = matches!(parsed.shape(*source), Shape::Maps { .. });
                (*source, !of_maps || matches!(route, Route::Gather { .. }))
            }
            LayerKind::AveragePool { source, .. }
            | LayerKind::MaxPool { source, .. }
            | LayerKind::Flatten { source } => (*source, false),
        };
        if let Source::Layer(source) = source {
            takes[source] &= takes[number] && !mixes;
        }
        takes[number] = false;
    }
    takes
}

/// Scales the maps of a normalised network; `factors` has those of each population, and nothing for other layers.
///
/// # Errors
/// [`Error::Scale`] where a weight or bias no longer is a finite number, or where a layer cannot have factors.
pub(super) fn apply(mut normalized: Normalized, factors: &[Vec<f64>]) -> Result<Normalized, Error> {
    if factors.iter().all(Vec::is_empty) {
        return Ok(normalized);
    }
    let takes = takes_factors(&normalized.parsed);
    let mut of_layers: Vec<Vec<f64>> = Vec::with_capacity(factors.len());
    for (number, layer) in normalized.parsed.layers.iter_mut().enumerate() {
        let factors_of = |source: Source| match source {
            Source::Input => &[][..],
            Source::Layer(layer) => &of_layers[layer][..],
        };
        let own = match &mut layer.operation {
            LayerKind::Population { connections, bias, .. } => {
                let own = factors.get(number).cloned().unwrap_or_default();
                let scale = normalized.scales[number];
                let fault = || Error::Scale { layer: layer.source_name.clone(), scale };
                let good = |factor: &f64| factor.is_finite() && *factor > 0.0;
                let fits = own.is_empty() || (takes[number] && own.len() == layer.shape.channels());
                if !fits || !own.iter().all(good) {
                    return Err(fault());
                }
                for connection in connections {
                    scale_connection(connection, factors_of(connection.source), &own);
                    if !connection.weights.iter().all(|weight| weight.is_finite()) {
                        return Err(fault());
                    }
                }
                if let Some(bias) = bias
                    && !own.is_empty()
                {
                    let cells = (bias.len() / own.len()).max(1);
                    for (at, bias) in bias.iter_mut().enumerate() {
                        *bias = (f64::from(*bias) / own[at / cells]) as f32;
                    }
                }
                own
            }
            LayerKind::Flatten { source } => {
                let of_maps = factors_of(*source);
                let cells = (layer.shape.len() / of_maps.len().max(1)).max(1);
                of_maps.iter().flat_map(|&factor| std::iter::repeat_n(factor, cells)).collect()
            }
            LayerKind::AveragePool { source, .. }
            | LayerKind::MaxPool { source, .. }
            | LayerKind::Relay { source, .. } => factors_of(*source).to_vec(),
        };
        of_layers.push(own);
    }
    normalized.maps = of_layers;
    Ok(normalized)
}

/// `W <- W f_in / f_out`; no factors are factors of 1.
fn scale_connection(connection: &mut Connection, inputs: &[f64], outputs: &[f64]) {
    let input = |at: usize| inputs.get(at).copied().unwrap_or(1.0);
    let output = |at: usize| outputs.get(at).copied().unwrap_or(1.0);
    let scale = |weight: &mut f32, i: usize, o: usize| *weight = (f64::from(*weight) * input(i) / output(o)) as f32;
    match &mut connection.weights {
        Weights::Dense(weights) => {
            weights.indexed_iter_mut().for_each(|((i, o), weight)| scale(weight, i, o));
        }
        Weights::Convolution { kernels, groups, .. } => {
            let (out, per_group, ..) = kernels.dim();
            let of_group = (out / (*groups).max(1)).max(1);
            kernels.indexed_iter_mut().for_each(|((o, i, ..), weight)| scale(weight, o / of_group * per_group + i, o));
        }
        Weights::Transposed { kernels, groups, .. } => {
            let (inputs, per_group, ..) = kernels.dim();
            let of_group = (inputs / (*groups).max(1)).max(1);
            kernels.indexed_iter_mut().for_each(|((i, o, ..), weight)| scale(weight, i, i / of_group * per_group + o));
        }
    }
}
