//! Which preset a conversion has where none is given.

use super::Arguments;
use super::arguments::{NeuronArgument, OutputArgument, PresetArgument, ResetArgument};
use megasim::ann::graph::{Activation, Operation};
use megasim::ann::import::Model;

/// A preset, and why it is not the default one.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// The preset.
    pub preset: PresetArgument,
    /// What has no form with signed neurons.
    because: Option<String>,
}

impl Chosen {
    /// That of the command line; else `short`, or `toolbox` where an option or a layer has no form with it.
    pub fn of(arguments: &Arguments, model: &Model) -> Self {
        if let Some(preset) = arguments.preset {
            return Self { preset, because: None };
        }
        let because = timed_option(arguments).map(|option| format!("--{option}")).or_else(|| {
            let is_step = |operation: &Operation| {
                matches!(operation, Operation::Activation(Activation::BinaryStep | Activation::BinarySign))
            };
            let layer = model.graph.layers().iter().find(|layer| is_step(&layer.operation));
            layer.map(|layer| format!("layer '{}' (binary activations)", layer.name))
        });
        let preset = if because.is_some() { PresetArgument::Toolbox } else { PresetArgument::Short };
        Self { preset, because }
    }

    /// What there is to say of it.
    pub fn note(&self) -> Option<String> {
        let because = self.because.as_ref()?;
        Some(format!("converted as --preset toolbox: {because} has no form with the default, --preset short"))
    }
}

/// The first option that asks for what depends on time, other formats or other rules.
pub fn timed_option(arguments: &Arguments) -> Option<&'static str> {
    let rules = &arguments.rules;
    let timed = [
        (arguments.reset.is_some_and(|reset| reset != ResetArgument::Subtract), "reset"),
        (arguments.plain_megasim, "plain-megasim"),
        (matches!(arguments.neuron, Some(NeuronArgument::Equations(_))), "neuron"),
        (matches!(arguments.output, Some(OutputArgument::Softmax)), "output softmax"),
        (arguments.tau_mem.is_some(), "tau-mem"),
        (arguments.resting_potential.is_some(), "resting-potential"),
        (arguments.export.is_some(), "export"),
        (arguments.settings.is_some(), "settings"),
        (!arguments.set.is_empty(), "set"),
    ];
    timed.into_iter().find(|(is_given, _)| *is_given).map(|(_, name)| name).or_else(|| rules.given())
}
