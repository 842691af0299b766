//! Layer-by-layer normalisation: after it, a neuron's rate in spikes per millisecond is its activation divided by the
//! scale `l` of its layer, and hardly any neuron would have to exceed one spike per millisecond.
//!
//! `W <- W * l_in / l_out`, `b <- b / l_out`, where `l` is a percentile of a layer's non-zero activations after ReLU
//! over the normalisation set, and 1 for the input. B. Rueckauer et al., "Conversion of continuous-valued deep networks
//! to efficient event-driven networks for image classification", Front. Neurosci. 11:682 (2017), section 2.2.1.

pub(super) mod error;

use super::parsed::{LayerKind, ParsedModel, Role, Source};
use super::percentile::{Counts, Search};
use super::samples::Samples;
pub use error::Error;
use megasim_core::rate_error::{self, add_squared_errors};
use ndarray::{ArrayView2, CowArray, Ix2};
use ordered_float::OrderedFloat;

/// The percentile that is used where none is given.
pub const DEFAULT_PERCENTILE: f64 = 99.9;

/// A normalised network.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalized {
    /// The network with scaled weights.
    pub parsed: ParsedModel,
    /// For each layer, the activation that one spike per millisecond stands for.
    pub scales: Vec<f64>,
    /// Numbers of the populations that were silent over the whole normalisation set; their scale is 1.
    pub silent: Vec<usize>,
    /// Of each layer, what calibration adds to the initial potential of each neuron, `(map, y, x)`, in thresholds;
    /// empty where it adds nothing.
    pub potentials: Vec<Vec<f32>>,
    /// Of each layer, the factor of each map (of a vector: of each number) on its scale; empty where all are 1.
    pub maps: Vec<Vec<f64>>,
}

impl Normalized {
    /// The network for passes of real numbers, in which averages are averages.
    pub(super) fn computed(&self, options: &super::ConvertOptions) -> ParsedModel {
        match options.pooled() {
            Pooled::Mean => self.parsed.clone(),
            Pooled::Sum => self.parsed.clone().averaging(),
        }
    }

    /// A network without calibrated potentials.
    pub fn new(parsed: ParsedModel, scales: Vec<f64>, silent: Vec<usize>) -> Self {
        let potentials = vec![Vec::new(); parsed.layers.len()];
        let maps = vec![Vec::new(); parsed.layers.len()];
        Self { parsed, scales, silent, potentials, maps }
    }

    /// The scales of the maps of a layer; empty where all have that of the layer.
    pub fn map_scales(&self, layer: usize) -> Vec<f64> {
        self.maps[layer].iter().map(|factor| factor * self.scales[layer]).collect()
    }
}

/// How a pooling changes the scale from its input to its output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooled {
    /// An average is a rate like its inputs.
    Mean,
    /// Every input spike passes: the rate is the sum over the window.
    Sum,
}

/// Which percentile of a layer's activations above 0 becomes one spike per millisecond.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// Of the first layer, 0 to 100.
    pub percentile: f64,
    /// So much less for each layer behind it: errors add up with depth, and more spikes make them smaller.
    pub step: f64,
}

impl Schedule {
    /// The percentile of layer number `layer`.
    ///
    /// ```
    /// use megasim_convert::normalize::Schedule;
    /// assert_eq!(Schedule { percentile: 99.9, step: 0.1 }.at(2), 99.9 - 0.2);
    /// ```
    pub fn at(self, layer: usize) -> f64 {
        (self.percentile - self.step * layer as f64).clamp(0.0, 100.0)
    }
}

impl Default for Schedule {
    fn default() -> Self {
        Self { percentile: DEFAULT_PERCENTILE, step: 0.0 }
    }
}

/// Shows the activations of each population over the samples, which are taken in small batches; `progress` is called
/// with the number of samples done.
///
/// # Errors
/// Where samples cannot be had or do not fit.
pub fn visit_populations(
    parsed: &ParsedModel,
    samples: &dyn Samples,
    progress: &mut dyn FnMut(usize),
    see: See,
) -> Result<(), Error> {
    if samples.count() == 0 {
        return Err(Error::Empty);
    }
    let (graph, ids) = parsed.graph()?;
    // Which parsed layer's activations a layer of the graph gives.
    let mut population: Vec<Option<usize>> = vec![None; graph.layers().len()];
    for (number, layer) in parsed.layers.iter().enumerate() {
        if matches!(layer.operation, LayerKind::Population { .. }) {
            population[ids[number]] = Some(number);
        }
    }
    super::samples::activations(parsed, &graph, samples, progress, &mut |layer, activations| {
        if let Some(number) = population[layer] {
            see(number, activations);
        }
    })
}

/// Who sees activations: the number of the population, and some samples of them.
pub type See<'a> = &'a mut dyn FnMut(usize, ArrayView2<f32>);

/// Percentiles of the activations of each population (none for other layers, and where nothing is above 0) that `visit`
/// shows, all of them each of the two times that it is called.
///
/// # Errors
/// What `visit` reports, and where an activation is no finite number.
pub fn percentiles(
    parsed: &ParsedModel,
    schedule: Schedule,
    visit: &mut dyn FnMut(See) -> Result<(), Error>,
) -> Result<Vec<Option<f64>>, Error> {
    let role = |number: usize| role_of(parsed, number);
    let mut counts: Vec<Counts> = vec![Counts::default(); parsed.layers.len()];
    let mut not_finite = None;
    visit(&mut |number, activations| {
        if let Some(&value) = activations.iter().find(|value| !value.is_finite()) {
            not_finite.get_or_insert((number, value));
        } else {
            counts[number].add(magnitudes(role(number), activations).iter());
        }
    })?;
    if let Some((number, value)) = not_finite {
        return Err(Error::NotFinite { layer: parsed.layers[number].source_name.clone(), value });
    }
    let mut searches: Vec<Option<Search>> =
        counts.iter().enumerate().map(|(layer, counts)| counts.search(schedule.at(layer))).collect();
    visit(&mut |number, activations| {
        if let Some(search) = searches[number].as_mut() {
            search.add(magnitudes(role(number), activations).iter());
        }
    })?;
    Ok(searches.into_iter().map(|search| search.map(|search| search.value())).collect())
}

/// Scales with the least squared error of a presentation of `steps` bias events, near the percentiles `l` of each
/// population:
///
/// `l* = argmin E(clip(floor(a T / l + 1/2), 0, T) l / T - a)^2`, what counts that start at half a threshold say of
/// activations.
///
/// # Errors
/// What `visit` reports.
pub fn least_squares(
    parsed: &ParsedModel,
    l: &[Option<f64>],
    steps: u32,
    visit: &mut dyn FnMut(See) -> Result<(), Error>,
) -> Result<Vec<Option<f64>>, Error> {
    let mut errors = vec![[0.0f64; CANDIDATES.len()]; parsed.layers.len()];
    let steps = steps as f32;
    visit(&mut |number, activations| {
        let Some(Some(l)) = l.get(number) else { return };
        let role = role_of(parsed, number);
        let scales = CANDIDATES.map(|candidate| (l * candidate) as f32);
        for row in magnitudes(role, activations).rows() {
            add_squared_errors(&row.to_vec(), steps, &scales, &mut errors[number]);
        }
    })?;
    let best = |(l, errors): (&Option<f64>, &[f64; CANDIDATES.len()])| {
        let best = errors.iter().zip(CANDIDATES).min_by_key(|(error, _)| OrderedFloat(**error));
        l.zip(best).map(|(l, (_, candidate))| l * candidate)
    };
    Ok(l.iter().zip(&errors).map(best).collect())
}

/// Parts of the percentile among which [`least_squares`] chooses.
pub(super) const CANDIDATES: [f64; rate_error::CANDIDATES] =
    [0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0, 1.1, 1.2, 1.3];

pub(super) fn role_of(parsed: &ParsedModel, number: usize) -> Role {
    match parsed.layers[number].operation {
        LayerKind::Population { role, .. } => role,
        _ => Role::Rectifier,
    }
}

/// What counts of the activations of a population: those above 0, and where outputs may be negative those below, too.
pub(super) fn magnitudes(role: Role, activations: ArrayView2<f32>) -> CowArray<f32, Ix2> {
    match role {
        role if role.has_sign() => activations.mapv(f32::abs).into(),
        _ => activations.into(),
    }
}

/// Scales the weights of a parsed network.
///
/// `l` holds the percentile of each population, as [`percentiles`] or [`least_squares`] gives them.
///
/// # Errors
/// [`Error::Scale`] where a scaled weight or bias is no finite number.
pub fn normalize(mut parsed: ParsedModel, l: &[Option<f64>], pooled: Pooled) -> Result<Normalized, Error> {
    let mut scales: Vec<f64> = Vec::with_capacity(parsed.layers.len());
    let mut silent = Vec::new();
    for (number, layer) in parsed.layers.iter_mut().enumerate() {
        let scale = |source: Source| match source {
            Source::Input => 1.0,
            Source::Layer(layer) => scales[layer],
        };
        let l_out = match &mut layer.operation {
            LayerKind::MaxPool { source, .. } | LayerKind::Flatten { source } | LayerKind::Relay { source, .. } => {
                scale(*source)
            }
            LayerKind::AveragePool { source, windows, .. } => match pooled {
                Pooled::Mean => scale(*source),
                Pooled::Sum => scale(*source) / (windows.size.0 * windows.size.1) as f64,
            },
            LayerKind::Population { connections, bias, role } => {
                let l_out = match role {
                    // It fires once per millisecond or not at all.
                    Role::Step => 1.0,
                    Role::Quantized(levels) => {
                        let l = l.get(number).copied().flatten().unwrap_or_else(|| levels.step.into());
                        levels.step = (f64::from(levels.step) / l) as f32;
                        l
                    }
                    _ => l.get(number).copied().flatten().unwrap_or_else(|| {
                        if *role != Role::Excess {
                            silent.push(number);
                        }
                        1.0
                    }),
                };
                if let Role::Clamped { max, .. } = role {
                    *max = (f64::from(*max) / l_out) as f32;
                }
                let fault = || Error::Scale { layer: layer.source_name.clone(), scale: l_out };
                for connection in connections {
                    connection.weights.scale(scale(connection.source) / l_out);
                    if !connection.weights.iter().all(|weight| weight.is_finite()) {
                        return Err(fault());
                    }
                }
                if let Some(bias) = bias {
                    bias.iter_mut().for_each(|bias| *bias = (f64::from(*bias) / l_out) as f32);
                    if !bias.iter().all(|bias| bias.is_finite()) {
                        return Err(fault());
                    }
                }
                l_out
            }
        };
        scales.push(l_out);
    }
    Ok(Normalized::new(parsed, scales, silent))
}
