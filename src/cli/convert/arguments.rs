//! Values of options of `convert`, and the options that presets set.

use crate::cli::numbers::{self, not_negative};
use clap::{Args, ValueEnum};
use megasim::convert::model_based::Schedule;
use megasim::convert::{OutputForm, Rules, SpikeCode, Weighting};
use megasim::network::MAX_PAYLOAD_BITS;
use miette::Result;
use std::num::NonZeroU32;
use std::path::PathBuf;

/// `--input-scale`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum InputScaleArgument {
    Value(f64),
    Percentile(f64),
}

impl std::str::FromStr for InputScaleArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("percentile:") {
            Some(percentile) => numbers::percentile(percentile).map(Self::Percentile),
            None => numbers::positive(text).map(Self::Value),
        }
    }
}

/// `--input-range`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InputRangeArgument {
    pub low: f64,
    pub high: f64,
}

impl std::str::FromStr for InputRangeArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |text: &str| text.trim().parse().ok().filter(|number: &f64| number.is_finite());
        let range = text.split_once("..").and_then(|(low, high)| Some((number(low)?, number(high)?)));
        match range {
            Some((low, high)) if low < high => Ok(Self { low, high }),
            _ => Err(format!("expected two numbers that rise, as 0..255 or -1..1, found '{text}'")),
        }
    }
}

/// `--neuron`.
#[derive(Debug, Clone)]
pub enum NeuronArgument {
    Plain,
    Signed,
    Equations(PathBuf),
}

/// The file of equations, if one is given.
pub fn equations(neuron: &Option<NeuronArgument>) -> Option<&PathBuf> {
    match neuron {
        Some(NeuronArgument::Equations(path)) => Some(path),
        Some(NeuronArgument::Plain | NeuronArgument::Signed) | None => None,
    }
}

impl std::str::FromStr for NeuronArgument {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "plain" => Self::Plain,
            "signed" => Self::Signed,
            _ => Self::Equations(text.into()),
        })
    }
}

/// What presets set.
#[derive(Debug, Args)]
pub struct RuleArguments {
    /// How weights are scaled: by activations on data, by the model alone, or not
    #[arg(long, value_enum)]
    weighting: Option<WeightingArgument>,
    /// With --weighting model: what the largest gain of a layer in a step becomes: 'depth' (2, 3, 4, ...), a number, or
    /// one per layer with commas between
    #[arg(long, value_name = "S")]
    depth_scale: Option<Schedule>,
    /// By how much each layer's threshold is below that of the one before
    #[arg(long, value_name = "STEP", value_parser = not_negative)]
    threshold_step: Option<f64>,
    /// The lowest potential, as thresholds of 1 below 0
    #[arg(long, value_name = "N", value_parser = not_negative)]
    floor: Option<f64>,
    /// Ticks that spikes travel to the next layer
    #[arg(long, value_name = "TICKS", value_parser = clap::value_parser!(i64).range(0..))]
    delay_to_arrive: Option<i64>,
    /// Time constant in ms of the mask that convolution and pooling read instead of spikes; 0: they read spikes
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(i32).range(0..))]
    mask_tau: Option<i32>,
    /// Spikes of hidden neurons carry what was added to the residual of the potential since the last one, with BITS
    /// bits behind the point (0 to 16): SNN toolbox's payloads
    #[arg(
        long,
        value_name = "BITS",
        value_parser = clap::value_parser!(u8).range(0..=i64::from(MAX_PAYLOAD_BITS)),
        conflicts_with_all = ["plain_megasim", "export"],
    )]
    payload_bits: Option<u8>,
}

/// `--preset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PresetArgument {
    /// Signed neurons, for presentations of 50 ms: the default
    Short,
    /// SNN toolbox: percentiles of activations, reset by subtraction
    Toolbox,
    /// ANNarchy's converter 5.0.4 without its faults
    Annarchy,
    /// As the listing of its manual: output's threshold lowered too, flatten not counted, convolutions not scaled
    AnnarchyManual,
    /// Annarchy, with the output's threshold lowered too
    AnnarchyLoweredOutput,
    /// SNN toolbox's code of that name: the bits of a number, one per millisecond (--num-bits)
    TemporalPattern,
    /// SNN toolbox's code of that name: the time of the first spike
    Ttfs,
    /// As ttfs, with thresholds that rise while inputs are about to fire
    TtfsDynThresh,
    /// As ttfs, with spikes that take earlier ones back
    TtfsCorrective,
}

impl PresetArgument {
    /// The spike code, where it is one of those other than rates.
    pub fn code(self, bits: u32) -> Option<SpikeCode> {
        match self {
            Self::TemporalPattern => Some(SpikeCode::TemporalPattern { bits }),
            Self::Ttfs => Some(SpikeCode::Ttfs),
            Self::TtfsDynThresh => Some(SpikeCode::TtfsDynThresh),
            Self::TtfsCorrective => Some(SpikeCode::TtfsCorrective),
            Self::Short | Self::Toolbox | Self::Annarchy | Self::AnnarchyManual | Self::AnnarchyLoweredOutput => None,
        }
    }
}

/// `--pool`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PoolArgument {
    Integrate,
    Relay,
}

/// `--input`: spikes per millisecond of an input of full value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InputArgument(pub NonZeroU32);

impl std::str::FromStr for InputArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = text.strip_prefix("events:").and_then(|number| number.parse().ok());
        number.map(Self).ok_or_else(|| "expected events:N with a whole number N of at least 1".into())
    }
}

/// `--output`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputArgument {
    Relu,
    Softmax,
    Signed,
    Potential,
}

impl OutputArgument {
    /// The form of the output layer.
    pub fn form(self) -> OutputForm {
        match self {
            Self::Relu => OutputForm::Relu,
            Self::Softmax => OutputForm::Softmax,
            Self::Signed => OutputForm::Signed,
            Self::Potential => OutputForm::Potential,
        }
    }
}

/// `--weighting`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WeightingArgument {
    Percentile,
    Model,
    AsTrained,
}

impl RuleArguments {
    /// The first of them that is given.
    pub fn given(&self) -> Option<&'static str> {
        let given = [
            (self.weighting.is_some_and(|weighting| weighting != WeightingArgument::Percentile), "weighting"),
            (self.threshold_step.is_some(), "threshold-step"),
            (self.floor.is_some(), "floor"),
            (self.delay_to_arrive.is_some(), "delay-to-arrive"),
            (self.mask_tau.is_some(), "mask-tau"),
            (self.payload_bits.is_some(), "payload-bits"),
        ];
        given.into_iter().find(|(is_given, _)| *is_given).map(|(_, name)| name)
    }

    /// The rules of a preset, with the options that are given in addition.
    pub fn apply(&self, rules: &mut Rules) -> Result<()> {
        match self.weighting {
            Some(WeightingArgument::Percentile) => rules.weighting = Weighting::Percentile,
            Some(WeightingArgument::Model) => rules.weighting = Weighting::Model(Schedule::default()),
            Some(WeightingArgument::AsTrained) => rules.weighting = Weighting::AsTrained,
            None => {}
        }
        if let Some(schedule) = &self.depth_scale {
            match &mut rules.weighting {
                Weighting::Model(of) => *of = schedule.clone(),
                _ => miette::bail!("--depth-scale goes with --weighting model"),
            }
        }
        rules.threshold_step = self.threshold_step.unwrap_or(rules.threshold_step);
        rules.floor = self.floor.or(rules.floor);
        rules.delay_to_arrive = self.delay_to_arrive.unwrap_or(rules.delay_to_arrive);
        rules.mask_tau = self.mask_tau.unwrap_or(rules.mask_tau);
        rules.payload_bits = self.payload_bits;
        Ok(())
    }
}

/// `--reset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ResetArgument {
    Subtract,
    Zero,
    Modulo,
}
