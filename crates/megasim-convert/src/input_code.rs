//! How the input becomes spikes: how many stand for its full value, and whether features need their own scales. The
//! samples decide: of a way that is too coarse the trained network itself says something else.

use super::adapt::Adapted;
use super::calibrate::first_samples;
use super::input_ranges::{Ranges, is_pooled, is_uneven};
use super::normalize::Error;
use super::percentile::Counts;
use super::samples::Samples;
use super::{ConvertOptions, parse};
use megasim_ann::forward::{classes, forward};
use megasim_ann::graph::Graph;
use megasim_core::encode::FeatureScales;
use megasim_core::encode::registry::Choice;
use ndarray::{Array2, ArrayView2};

/// Samples of the normalisation set that are looked at.
const SAMPLES: usize = 256;

/// Events per millisecond where one is too coarse, if there are as many ticks.
const FINER: u32 = 10;

/// Share of the samples that a coarse input may decide otherwise.
const TOLERATED: f64 = 0.01;

/// Milliseconds of a presentation where none is known.
const USUAL_DURATION: u32 = 100;

/// The value of an input that one spike per millisecond stands for.
#[derive(Debug, Clone, Copy)]
struct InputScale<'f> {
    /// Of all features.
    scale: f64,
    /// Of each feature, in addition.
    features: Option<&'f FeatureScales>,
}

impl InputScale<'_> {
    /// Samples whose values are those of whole counts of `steps`, as spikes of regular code are, and not beyond one in
    /// each step.
    fn rounded(&self, samples: ArrayView2<f32>, steps: u32) -> Array2<f32> {
        let (numbers, scale, steps) = (samples.ncols(), self.scale as f32, steps as f32);
        let mut rounded = samples.to_owned();
        for ((_, number), value) in rounded.indexed_iter_mut() {
            let rate = self.features.map_or(*value, |features| features.rate(number, numbers, *value)) / scale;
            let counted = (rate.clamp(-1.0, 1.0) * steps).round() / steps * scale;
            *value = self.features.map_or(counted, |features| features.value(number, numbers, counted));
        }
        rounded
    }
}

/// The first samples, and what the trained network decides on them.
struct Decided<'g> {
    graph: &'g Graph,
    samples: Array2<f32>,
    classes: Vec<usize>,
}

impl<'g> Decided<'g> {
    fn new(graph: &'g Graph, samples: &dyn Samples) -> Result<Self, Error> {
        let samples = first_samples(samples, graph.input_shape().len(), SAMPLES)?;
        let classes = classes(forward(graph, samples.view())?.view());
        Ok(Self { graph, samples, classes })
    }

    /// Share of them that it decides alike when its input is rounded to whole counts of `steps`, and cut off beyond
    /// them, as spikes of regular code are.
    fn alike(&self, scale: InputScale, steps: u32) -> Result<f64, Error> {
        let rounded = scale.rounded(self.samples.view(), steps);
        let rounded = classes(forward(self.graph, rounded.view())?.view());
        let alike = self.classes.iter().zip(&rounded).filter(|(exact, rounded)| exact == rounded).count();
        Ok(alike as f64 / self.samples.nrows().max(1) as f64)
    }
}

/// A percentile of the magnitudes above 0 of samples; none where all are 0.
fn percentile_of(samples: &dyn Samples, percentile: f64) -> Result<Option<f64>, Error> {
    let mut counts = Counts::default();
    samples.visit(&mut |_, piece| {
        piece.iter().for_each(|value| counts.add([&value.abs()]));
        Ok(())
    })?;
    let Some(mut search) = counts.search(percentile) else { return Ok(None) };
    samples.visit(&mut |_, piece| {
        piece.iter().for_each(|value| search.add([&value.abs()]));
        Ok(())
    })?;
    Ok(Some(search.value()))
}

/// Decides what the options leave open, and notes it in them and in what was found.
pub(super) fn decide(
    graph: &Graph,
    samples: &dyn Samples,
    ranges: &Ranges,
    options: &mut ConvertOptions,
    adapted: &mut Adapted,
) -> Result<(), Error> {
    let is_given =
        options.input_scale.is_some() || options.input_features.is_some() || options.input_percentile.is_some();
    if let (Some(percentile), None) = (options.input_percentile, options.input_scale) {
        options.input_scale = percentile_of(samples, percentile)?;
    }
    adapted.input_scale = *options.input_scale.get_or_insert(adapted.input_scale);
    adapted.input_features = options.input_features.clone();
    let events = options.quantization.input_events;
    adapted.input_events.0 = events;
    if !options.looks_at_activations() {
        return Ok(());
    }
    let own = (!is_given).then(|| ranges.scales(is_pooled(graph))).flatten();
    let own = own.filter(|features| is_uneven(features, adapted.input_scale));
    let presentation = options.presentation.clone().filter(|_| options.adapt_input);
    if own.is_none() && presentation.is_none() {
        return Ok(());
    }
    let duration = options.presentation.as_ref().map_or(USUAL_DURATION, |presentation| presentation.duration);
    let decided = Decided::new(graph, samples)?;
    let alike = |scale: InputScale, events: u32| decided.alike(scale, duration.saturating_mul(events));
    let finer = match &presentation {
        Some(presentation) => presentation.ticks_per_ms.min(FINER).max(events),
        None => events,
    };
    let plain = InputScale { scale: adapted.input_scale, features: options.input_features.as_ref() };
    let mut share = alike(plain, events)?;
    let is_coarse = share < 1.0 - TOLERATED;
    if is_coarse
        && let Some(features) = own
        && parse(graph, &ConvertOptions { input_features: Some(features.clone()), ..options.clone() }).is_ok()
    {
        let by_feature = InputScale { scale: 1.0, features: Some(&features) };
        let (found, fine) = (alike(by_feature, events)?, alike(plain, finer)?);
        // Tables have few inputs, so that finer spikes cost little with scales, too.
        if found > fine || (fine < 1.0 - TOLERATED && alike(by_feature, finer)? > fine) {
            adapted.without_features = Some(share);
            share = found;
            adapted.input_scale = 1.0;
            options.input_scale = Some(1.0);
            adapted.input_features = Some(features.clone());
            options.input_features = Some(features);
        }
    }
    if presentation.is_some() {
        adapted.input_events.1 = Some(share);
        if is_coarse
            && finer > events
            && let Some(presentation) = &mut options.presentation
        {
            presentation.encode = Choice::events(finer).to_string();
            options.quantization.input_events = finer;
            adapted.input_events.0 = finer;
        }
    }
    Ok(())
}
