//! Online normalisation: which layers of a converted network change their thresholds during a run, and at which they
//! end.

use super::recording::module_of;
use super::{Error, Outcome};
use megasim_convert::ConvertedModel;
use megasim_convert::manifest::{Layer, Manifest};
use megasim_core::encode::Clock;
use megasim_core::engine::{self, OnlineRule, Plan};
use megasim_core::network::{ModuleId, ModuleKind, Network, Tick};
use serde::Serialize;

/// When and how thresholds change, as SNN toolbox names it; the defaults are its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnlineNormalization {
    /// Only a highest rate of a layer that is lower than 1000 Hz by more than this changes its threshold.
    pub diff_to_max_rate: u32,
    /// Only a highest rate above this, in hertz, does.
    pub diff_to_min_rate: u32,
    /// Milliseconds from one change to the next, 1 or more.
    pub timestep_fraction: u32,
}

impl Default for OnlineNormalization {
    fn default() -> Self {
        Self { diff_to_max_rate: 200, diff_to_min_rate: 100, timestep_fraction: 10 }
    }
}

impl OnlineNormalization {
    pub(super) fn rule(self, clock: Clock) -> OnlineRule {
        OnlineRule {
            period: Tick::from(self.timestep_fraction) * Tick::from(clock.ticks_per_ms),
            ticks_per_ms: clock.ticks_per_ms,
            diff_to_max_rate: self.diff_to_max_rate,
            diff_to_min_rate: self.diff_to_min_rate,
        }
    }
}

/// What a run with it needs.
#[derive(Debug, Clone, Copy)]
pub struct Online<'a> {
    /// When and how.
    pub rule: OnlineNormalization,
    /// Which layers there are.
    pub manifest: &'a Manifest,
}

impl Online<'_> {
    pub(super) fn plan(&self, network: &Network, clock: Clock) -> Result<Plan, engine::Error> {
        let layers: Vec<_> = layers(self.manifest, network).into_iter().map(|(_, modules)| modules).collect();
        Plan::with_online_normalization(network, &layers, self.rule.rule(clock))
    }
}

/// Words of kinds of layers without their own weights: their thresholds go with their inputs.
const WITHOUT_WEIGHTS: &[&str] = &["Pooling", "Reshape", "Padding", "UpSampling", "Cropping", "Permute", "Flatten"];

/// The layers whose thresholds change, with their modules.
fn layers<'m>(manifest: &'m Manifest, network: &Network) -> Vec<(&'m Layer, Vec<ModuleId>)> {
    let modules_of = |layer: &Layer| -> Vec<ModuleId> {
        let nodes = layer.nodes.iter().filter_map(|name| network.node_named(name));
        let spiking = nodes.filter_map(|node| module_of(network, node)).filter(|&module| {
            let kind = &network.modules()[module.index()].kind;
            // A softmax and an output that gathers potentials never reach a threshold.
            let integrates = !matches!(kind, ModuleKind::Softmax(_));
            integrates && kind.neurons().is_some_and(|(_, neurons, _)| neurons.fires_plus)
        });
        spiking.collect()
    };
    let with_weights = manifest.layers.iter().filter(|layer| !WITHOUT_WEIGHTS.iter().any(|it| layer.kind.contains(it)));
    let layers = with_weights.map(|layer| (layer, modules_of(layer)));
    layers.filter(|(_, modules)| !modules.is_empty()).collect()
}

/// Refuses networks that the rule makes no sense for.
pub(super) fn check(converted: &ConvertedModel, network: &Network) -> Result<(), Error> {
    let manifest = converted.manifest();
    let conversion = &manifest.conversion;
    let code = conversion.rules.code;
    let refused = |why: String| Err(Error::Online(why));
    if !code.is_rate() {
        return refused(format!("expected neurons that tell numbers by rates, found the spike code {code}"));
    }
    if conversion.signed.is_some() {
        return refused("expected neurons that count spikes of one sign, found signed neurons, which are exact".into());
    }
    let second = manifest.layers.iter().find(|it| it.kind.ends_with("Excess") || it.kind.ends_with("Negative"));
    if let Some(second) = second {
        let why = "second neurons for one activation, whose spikes are worth as much as those of the first";
        return refused(format!("layer {}: {why}", second.name));
    }
    if layers(manifest, network).is_empty() {
        return refused("expected layers that spike at a threshold, found none".into());
    }
    Ok(())
}

/// A layer whose threshold changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnlineLayer {
    /// Its name.
    pub name: String,
    /// Its threshold in the files.
    pub threshold: i32,
}

/// The layers whose thresholds change, in netlist order.
pub(super) fn online_layers(manifest: &Manifest, network: &Network) -> Vec<OnlineLayer> {
    let layers = layers(manifest, network).into_iter().map(|(layer, modules)| {
        let neurons = network.modules()[modules[0].index()].kind.neurons();
        OnlineLayer { name: layer.name.clone(), threshold: neurons.map_or(0, |(_, neurons, _)| neurons.threshold_plus) }
    });
    layers.collect()
}

/// The thresholds at which a layer ended.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ThresholdFigures {
    /// The mean over samples.
    pub mean: f64,
    /// The lowest.
    pub least: i32,
    /// The highest.
    pub largest: i32,
}

impl ThresholdFigures {
    /// Those of one layer, by its number, over samples; none without any.
    pub fn new(outcomes: &[Outcome], layer: usize) -> Option<Self> {
        let ends = || outcomes.iter().filter_map(|outcome| outcome.thresholds.get(layer).copied());
        let sum: i64 = ends().map(i64::from).sum();
        let n = ends().count();
        Some(Self { mean: sum as f64 / n as f64, least: ends().min()?, largest: ends().max()? })
    }
}

/// What online normalisation did to a layer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerThresholds {
    /// Its name.
    pub layer: String,
    /// Its threshold in the files.
    pub of_the_files: i32,
    /// Those at which samples ended.
    pub at_the_end: super::ByMode<ThresholdFigures>,
}
