//! Activation functions: by name, as serialised functions, and as layers given for one.

use super::super::ImportError;
use super::options::Options;
use crate::graph::{Activation, Levels};
use serde_json::Value;

/// Most bits of `relu_Qm.f` either side of the point.
const MOST_BITS: u32 = 30;

/// The function that an option or layer names; `None` is the linear one.
pub(super) fn parse(value: &Value, options: &Options) -> Result<Option<Activation>, ImportError> {
    match value {
        Value::Null => Ok(None),
        Value::String(name) => named(name, options).map(Some).map(drop_linear),
        Value::Object(object) => {
            let class = object.get("class_name").and_then(Value::as_str).unwrap_or_default();
            match object.get("config") {
                // A function: {"class_name": "function", "config": "relu"}.
                Some(Value::String(name)) => named(name, options).map(Some).map(drop_linear),
                // A layer that stands for its function.
                Some(Value::Object(config)) if ["ReLU", "LeakyReLU"].contains(&class) => {
                    let mut inner = Options::new(options.layer(), class, config);
                    let activation = rectifier(class, &mut inner)?;
                    inner.finish()?;
                    Ok(Some(activation))
                }
                _ => named(class, options).map(Some).map(drop_linear),
            }
        }
        other => Err(options.misfit(format!("expected the name of an activation function, found {other}"))),
    }
}

fn drop_linear(activation: Option<Activation>) -> Option<Activation> {
    activation.filter(|&activation| activation != Activation::Linear)
}

fn named(name: &str, options: &Options) -> Result<Activation, ImportError> {
    Ok(match name {
        "linear" => Activation::Linear,
        "relu" => Activation::RELU,
        "relu6" => Activation::Relu { negative_slope: 0.0, max: Some(6.0) },
        // Keras's default slope of the function (that of the layer is another).
        "leaky_relu" => Activation::Relu { negative_slope: 0.2, max: None },
        "softmax" => Activation::Softmax,
        "log_softmax" => Activation::LogSoftmax,
        "sigmoid" => Activation::Sigmoid,
        "elu" => Activation::Elu { alpha: 1.0, scale: 1.0 },
        "selu" => Activation::Elu { alpha: 1.673_263_2, scale: 1.050_701 },
        // The exact one by default, since Keras 2.4.
        "gelu" => Activation::Gelu { tanh: false },
        "silu" | "swish" => Activation::Silu,
        "mish" => Activation::Mish,
        "hard_silu" | "hard_swish" => Activation::HardSwish,
        "softsign" => Activation::Softsign,
        "exponential" => Activation::Exponential,
        "tanh" => Activation::Tanh,
        "softplus" => Activation::Softplus { scale: 1.0 },
        "binary_sigmoid" => Activation::BinaryStep,
        "binary_tanh" => Activation::BinarySign,
        other => {
            return toolbox(other).ok_or_else(|| options.unsupported(format!("activation '{other}' is not supported")));
        }
    })
}

/// SNN toolbox's parametrised names: `relu_Q1.15`, `clamped_relu_0.1_1`, `noisy_softplus_0.17_1`.
fn toolbox(name: &str) -> Option<Activation> {
    if let Some(format) = name.strip_prefix("relu_Q") {
        let (integer, fraction) = format.split_once('.')?;
        let bits = |text: &str| text.parse().ok().filter(|&bits| bits <= MOST_BITS);
        return Some(Activation::Quantized(Levels::fixed_point(bits(integer)?, bits(fraction)?)));
    }
    if let Some(parameters) = name.strip_prefix("clamped_relu_") {
        let (threshold, max) = parameters.split_once('_')?;
        let max = if max == "None" { None } else { Some(max.parse().ok()?) };
        return Some(Activation::ClampedRelu { threshold: threshold.parse().ok()?, max });
    }
    let (k, sigma) = name.strip_prefix("noisy_softplus_")?.split_once('_')?;
    // k * sigma * softplus(x / (k * sigma)).
    Some(Activation::Softplus { scale: k.parse::<f32>().ok()? * sigma.parse::<f32>().ok()? })
}

/// The layers `ReLU` and `LeakyReLU`.
pub(super) fn rectifier(class: &str, options: &mut Options) -> Result<Activation, ImportError> {
    if class == "LeakyReLU" {
        // Keras 2 calls the slope alpha.
        let alpha = options.number_or("alpha", 0.3)?;
        return Ok(Activation::Relu { negative_slope: options.number_or("negative_slope", alpha)?, max: None });
    }
    let max = match options.number_or("max_value", f32::INFINITY)? {
        max if max.is_finite() => Some(max),
        _ => None,
    };
    let negative_slope = options.number_or("negative_slope", 0.0)?;
    match options.number_or("threshold", 0.0)? {
        0.0 => Ok(Activation::Relu { negative_slope, max }),
        threshold if negative_slope == 0.0 && threshold > 0.0 => Ok(Activation::ClampedRelu { threshold, max }),
        threshold => Err(options.unsupported(format!(
            "a threshold of {threshold} with a negative slope of {negative_slope} is not supported"
        ))),
    }
}
