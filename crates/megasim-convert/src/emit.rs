//! From the normalised network to modules and nodes, named and ordered as SNN toolbox does.
//!
//! - A layer of maps is one module a map, a vector one module. Names: `00Conv2D_8x26x26_0`, `04Flatten_400`,
//!   `05Dense_64`.
//! - Ports: data, then the bias (driven by `bias_clk`), then the reset (driven by `reset_event`). The bias port is
//!   there only where a bias is.
//! - A convolution has one neuron an output, so nothing needs cropping: output `X` reads input `x` with the tap `i`
//!   where `X * stride = x + padding - i`, so with a kernel flipped on both axes `Dx = padding - (kernel - 1)`.
//! - A transposed convolution is the same the other way round: `x_expand` is its stride, `Dx = -padding`, the kernel as
//!   it is. A kernel that is 0 throughout has no port.
//! - An average is an integrating convolution whose threshold is the sum of its weights, so that truncation does not
//!   bias it.
//! - The original format has no strides and no maximum pooling ([`Format::Original`]). There an average over windows
//!   that do not overlap passes every input spike under the address of its window; the factor is in the weights of the
//!   next layer ([`Pooled::Sum`](super::normalize::Pooled::Sum)).

mod pool;
mod relay;
mod signed;

use super::parsed::{Connection, LayerKind, ParsedLayer, ParsedModel, Role, Source, Weights};
use super::quantize::{Overflow, Quantization};
use megasim_ann::graph::Shape;
use megasim_core::network::{
    Array, Conv, ConvPort, DEFAULT_T_MAX, FlattenPort, FullyConnected, FullyConnectedPort, Input, Module, ModuleKind,
    Network, NetworkBuilder, NetworkError, NeuronParameters, NodeId, Output, Timing,
};
use ndarray::s;
use std::sync::Arc;

/// Name of the input node; with several maps `InputLayer_0`, `InputLayer_1`, ...
pub const INPUT: &str = "InputLayer";
/// Name of the node whose events make biases act.
pub const BIAS_CLOCK: &str = "bias_clk";
/// Name of the node whose events make a softmax output fire.
pub const SOFTMAX_CLOCK: &str = "softmax_input";
/// Start of the names of the nodes whose event ends the hysteresis of the signed neurons of a layer; the layer's number
/// follows.
pub const SETTLE: &str = "settle_event";
/// Name of the node whose events reset all modules.
pub const RESET: &str = "reset_event";

/// Which netfiles may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// With the extension keys of convolutions and `module_max_pool`.
    Extended,
    /// Only what the original MegaSim reads.
    Original,
}

/// Why a network could not be written as modules.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// A number beyond 32 bits.
    #[error(transparent)]
    Overflow(#[from] Overflow),
    /// A layer that the format has no module for.
    #[error("layer '{layer}': {reason}")]
    Format {
        /// The layer in the netfiles.
        layer: String,
        /// What is missing.
        reason: String,
    },
    /// A module whose potentials could leave 32 bits.
    #[error(
        "layer '{layer}': expected potentials within 32 bits, found up to {furthest} after {count} spikes of each \
            input at scaling factor {factor}; --scaling-factor {fits:.0} fits"
    )]
    Room {
        /// The layer in the netfiles.
        layer: String,
        /// The largest magnitude.
        furthest: i64,
        /// Spikes of each input.
        count: i64,
        /// What a weight of 1 becomes.
        factor: f64,
        /// The largest factor with which this layer fits.
        fits: f64,
    },
    /// A module that breaks a rule of the format.
    #[error("layer '{layer}': {fault}")]
    Module {
        /// The layer in the netfiles.
        layer: String,
        /// The rule.
        fault: NetworkError,
    },
}

/// A network, and which nodes belong to which layer.
#[derive(Debug, Clone, PartialEq)]
pub struct SpikingModel {
    /// The network.
    pub network: Network,
    /// Nodes of the input, one per map.
    pub input: Vec<NodeId>,
    /// Nodes of each layer, one per map or one.
    pub layers: Vec<Vec<NodeId>>,
    /// The bias clock, if any layer has a bias.
    pub bias_clock: Option<NodeId>,
    /// The reset.
    pub reset: NodeId,
    /// The sources of the events that end the hysteresis of signed neurons, one for each layer of them.
    pub settle: Vec<NodeId>,
    /// The clock at whose events a softmax output fires.
    pub control: Option<NodeId>,
    /// The node whose control events make masks act, if any layer has one; the reset's.
    pub mask_clock: Option<NodeId>,
    /// The node whose one event sets the initial potentials of single neurons, if any layer has them.
    pub start: Option<NodeId>,
}

/// Makes the modules of a normalised network; `ticking`: all neurons get the events of the bias clock.
///
/// # Errors
/// Where a number does not fit, or where the format cannot express a layer.
pub fn emit(
    parsed: &ParsedModel,
    quantization: &Quantization,
    format: Format,
    ticking: bool,
) -> Result<SpikingModel, Error> {
    // A step is tested at each event of the bias clock, so that it fires with it.
    let needed = |role: Role| ticking || role == Role::Step;
    let biases = parsed.layers.iter().enumerate().map(|(k, layer)| match &layer.operation {
        LayerKind::Population { bias: None, role, .. } if needed(*role) => Ok(Some(vec![0; layer.shape.channels()])),
        LayerKind::Population { bias: Some(bias), role, .. } => {
            quantized_bias(&parsed.name(k), quantization, bias.iter(), needed(*role))
        }
        _ => Ok(None),
    });
    let biases = biases.collect::<Result<Vec<_>, _>>()?;

    let mut builder = NetworkBuilder::new();
    let mut source = |name: &str| builder.source(name).map_err(|fault| Error::Module { layer: name.into(), fault });
    let input = match parsed.input {
        Shape::Maps { channels, .. } if channels > 1 => {
            (0..channels).map(|k| source(&format!("{INPUT}_{k}"))).collect::<Result<_, _>>()?
        }
        _ => vec![source(INPUT)?],
    };
    let bias_clock = biases.iter().any(Option::is_some).then(|| source(BIAS_CLOCK)).transpose()?;
    let has_softmax =
        |layer: &ParsedLayer| matches!(layer.operation, LayerKind::Population { role: Role::Softmax, .. });
    let control = parsed.layers.iter().any(has_softmax).then(|| source(SOFTMAX_CLOCK)).transpose()?;
    let reset = source(RESET)?;
    let layers = Vec::new();
    let mut emitter = Emitter {
        parsed,
        quantization,
        format,
        builder,
        input,
        layers,
        bias_clock,
        reset,
        control,
        settle: Vec::new(),
        settling: None,
    };
    for (number, bias) in biases.into_iter().enumerate() {
        let nodes = emitter.layer(number, bias)?;
        emitter.layers.push(nodes);
    }
    let Emitter { builder, input, layers, settle, .. } = emitter;
    let network = builder.build(DEFAULT_T_MAX).map_err(|fault| Error::Module { layer: "Tmax".into(), fault })?;
    Ok(SpikingModel { network, input, layers, bias_clock, reset, settle, control, mask_clock: None, start: None })
}

/// One integer a map or neuron; none if all are zero and none is needed.
fn quantized_bias<'a>(
    name: &str,
    quantization: &Quantization,
    bias: impl Iterator<Item = &'a f32>,
    needed: bool,
) -> Result<Option<Vec<i32>>, Overflow> {
    let bias = bias.map(|&bias| quantization.integer(name, "bias", bias.into())).collect::<Result<Vec<_>, _>>()?;
    Ok(Some(bias).filter(|bias| needed || bias.iter().any(|&bias| bias != 0)))
}

struct Emitter<'a> {
    parsed: &'a ParsedModel,
    quantization: &'a Quantization,
    format: Format,
    builder: NetworkBuilder,
    input: Vec<NodeId>,
    layers: Vec<Vec<NodeId>>,
    bias_clock: Option<NodeId>,
    reset: NodeId,
    control: Option<NodeId>,
    settle: Vec<NodeId>,
    /// The layer that the last of these sources is for.
    settling: Option<usize>,
}

impl Emitter<'_> {
    fn nodes(&self, source: Source) -> &[NodeId] {
        match source {
            Source::Input => &self.input,
            Source::Layer(layer) => &self.layers[layer],
        }
    }

    fn layer(&mut self, number: usize, bias: Option<Vec<i32>>) -> Result<Vec<NodeId>, Error> {
        let parsed = self.parsed;
        let layer = &parsed.layers[number];
        let name = parsed.name(number);
        match &layer.operation {
            LayerKind::Relay { source, route } => self.relay(&name, layer.shape, *source, route),
            LayerKind::Population { connections, role, .. } => match layer.shape {
                Shape::Maps { channels, height, width } => (0..channels)
                    .map(|map| {
                        let cells = height * width;
                        let bias = bias.as_ref().map(|bias| match bias.len() {
                            n if n == channels => vec![bias[map]; cells],
                            _ => bias[map * cells..(map + 1) * cells].to_vec(),
                        });
                        self.convolution(&name, map, (height, width), connections, bias, *role)
                    })
                    .collect(),
                Shape::Features(n) => Ok(vec![self.fully_connected(&name, n, connections, bias, *role)?]),
            },
            LayerKind::AveragePool { source, windows, count_padding } => {
                self.average_pool(&name, layer.shape, *source, windows, *count_padding)
            }
            LayerKind::MaxPool { source, windows } => self.max_pool(&name, layer.shape, *source, windows),
            LayerKind::Flatten { source } => {
                let nodes = self.nodes(*source).to_vec();
                let Shape::Maps { height, width, .. } = parsed.shape(*source) else {
                    return Err(Error::Format { layer: name, reason: "expected maps to flatten".into() });
                };
                let port = FlattenPort { nx: size(width), ny: size(height) };
                let kind = ModuleKind::Flatten(vec![port; nodes.len()]);
                Ok(vec![self.module(&name, &name, kind, nodes)?])
            }
        }
    }

    /// Adds a module; `node` is its output.
    fn module(&mut self, layer: &str, node: &str, kind: ModuleKind, inputs: Vec<NodeId>) -> Result<NodeId, Error> {
        self.expect_room(layer, &kind, &inputs)?;
        let not_programmable = matches!(kind, ModuleKind::Conv(_) | ModuleKind::FullyConnected(_));
        let inputs = inputs.into_iter().map(Input::Node).collect();
        let module = Module { kind, inputs, timing: Timing::default(), not_programmable };
        let nodes =
            self.builder.module(module, &[node]).map_err(|fault| Error::Module { layer: layer.into(), fault })?;
        Ok(nodes[0])
    }

    /// Neurons with a threshold in scaled integers.
    fn neurons(&self, layer: &str, threshold_plus: i32) -> Result<NeuronParameters, Error> {
        if threshold_plus < 1 {
            let reason = format!(
                "expected a threshold of 1 or more in scaled integers, found {threshold_plus}; a larger \
                    --scaling-factor or --v-thresh helps"
            );
            return Err(Error::Format { layer: layer.into(), reason });
        }
        let Quantization { reset, initial_potential, .. } = *self.quantization;
        let membrane_reset =
            (f64::from(threshold_plus) * initial_potential).clamp(0.0, f64::from(threshold_plus - 1)) as i32;
        Ok(NeuronParameters { threshold_plus, membrane_reset, reset, ..NeuronParameters::default() })
    }

    fn threshold(&self, layer: &str) -> Result<NeuronParameters, Error> {
        self.neurons(layer, self.quantization.integer(layer, "threshold", self.quantization.threshold)?)
    }

    /// Neurons that do with their input what their role says.
    fn of_role(&self, layer: &str, role: Role) -> Result<NeuronParameters, Error> {
        let usual = self.threshold(layer)?;
        if self.quantization.signed.is_some() {
            return self.signed_of_role(layer, role, usual);
        }
        Ok(match role {
            Role::Rectifier | Role::Excess | Role::Softmax => usual,
            // The least threshold, so that the potential is the sum so far, and one spike per millisecond.
            Role::Step => NeuronParameters {
                threshold_plus: 1,
                membrane_reset: 0,
                t_min: self.quantization.ticks_per_ms.into(),
                ..usual
            },
            Role::Signed => NeuronParameters {
                threshold_minus: -usual.threshold_plus,
                fires_minus: true,
                membrane_reset: 0,
                ..usual
            },
            Role::Accumulator => {
                NeuronParameters { threshold_plus: i32::MAX - 1, fires_plus: false, membrane_reset: 0, ..usual }
            }
            Role::Quantized(_) | Role::Clamped { .. } => {
                let reason = "levels and maxima of activations are counts of signed neurons (--neuron signed)";
                return Err(Error::Format { layer: layer.into(), reason: reason.into() });
            }
        })
    }

    fn fully_connected(
        &mut self,
        name: &str,
        population: usize,
        connections: &[Connection],
        bias: Option<Vec<i32>>,
        role: Role,
    ) -> Result<NodeId, Error> {
        let mut inputs = Vec::new();
        let mut ports = Vec::new();
        for Connection { source, weights } in connections {
            let Weights::Dense(weights) = weights else {
                return Err(Error::Format {
                    layer: name.into(),
                    reason: "expected dense weights before a vector".into(),
                });
            };
            let integers = weights
                .iter()
                .map(|&weight| self.quantization.integer(name, "weight", weight.into()))
                .collect::<Result<Arc<[i32]>, _>>()?;
            inputs.extend_from_slice(self.nodes(*source));
            ports.push(FullyConnectedPort { nx_pre: size(weights.nrows()), ny_pre: 1, weights: integers });
        }
        if let (Some(bias), Some(clock)) = (bias, self.bias_clock) {
            inputs.push(clock);
            ports.push(FullyConnectedPort { nx_pre: 1, ny_pre: 1, weights: bias.into() });
        }
        if let Some(settle) = self.settle_source(name)? {
            inputs.push(settle);
            ports.push(FullyConnectedPort { nx_pre: 1, ny_pre: 1, weights: vec![0; population].into() });
        }
        inputs.push(self.reset);
        ports.push(FullyConnectedPort { nx_pre: 1, ny_pre: 1, weights: vec![0; population].into() });
        let array = Array { nx: size(population), ny: 1, x_min: 0, y_min: 0 };
        let neurons = self.of_role(name, role)?;
        if let (Role::Softmax, Some(control)) = (role, self.control) {
            inputs.insert(inputs.len() - 1, control);
            ports.push(FullyConnectedPort { nx_pre: 1, ny_pre: 1, weights: vec![0; population].into() });
        }
        let full = FullyConnected { array, neurons, ports, output: Output::whole(array) };
        let kind = match role {
            Role::Softmax => ModuleKind::Softmax(full),
            _ => ModuleKind::FullyConnected(full),
        };
        self.module(name, name, kind, inputs)
    }

    fn convolution(
        &mut self,
        name: &str,
        map: usize,
        (height, width): (usize, usize),
        connections: &[Connection],
        bias: Option<Vec<i32>>,
        role: Role,
    ) -> Result<NodeId, Error> {
        let mut inputs = Vec::new();
        let mut ports = Vec::new();
        for Connection { source, weights } in connections {
            let (kernels, strides, padding, dilation, groups) = match weights {
                Weights::Convolution { kernels, strides, padding, dilation, groups } => {
                    (kernels, strides, padding, dilation, groups)
                }
                Weights::Transposed { .. } => {
                    self.transposed(name, map, *source, weights, &mut inputs, &mut ports)?;
                    continue;
                }
                Weights::Dense(_) => {
                    return Err(Error::Format { layer: name.into(), reason: "expected kernels before maps".into() });
                }
            };
            let (out, per_group, kernel_height, kernel_width) = kernels.dim();
            let first = map / (out / groups) * per_group;
            let (y_stride, x_stride) = (self.stride(name, strides.0, height)?, self.stride(name, strides.1, width)?);
            let extent = |kernel: usize, dilation: usize| (kernel.max(1) - 1) * dilation + 1;
            let (ny, nx) = (extent(kernel_height, dilation.0), extent(kernel_width, dilation.1));
            for channel in 0..per_group {
                if kernels.slice(s![map, channel, .., ..]).iter().all(|&weight| weight == 0.0) {
                    continue;
                }
                let mut taps = vec![0; nx * ny];
                for j in 0..kernel_height {
                    for i in 0..kernel_width {
                        let weight = kernels[[map, channel, j, i]];
                        let at = (ny - 1 - j * dilation.0) * nx + (nx - 1 - i * dilation.1);
                        taps[at] = self.quantization.integer(name, "weight", weight.into())?;
                    }
                }
                inputs.push(self.nodes(*source)[first + channel]);
                ports.push(ConvPort {
                    nx: size(nx),
                    ny: size(ny),
                    dx: offset(padding.left, nx),
                    dy: offset(padding.top, ny),
                    x_stride,
                    y_stride,
                    x_expand: 1,
                    y_expand: 1,
                    weights: taps.into(),
                });
            }
        }
        if let (Some(bias), Some(clock)) = (bias, self.bias_clock) {
            inputs.push(clock);
            ports.push(ConvPort::kernel(size(width), size(height), 0, 0, bias.into()));
        }
        let array = Array { nx: size(width), ny: size(height), x_min: 0, y_min: 0 };
        let neurons = self.of_role(name, role)?;
        let conv = Conv { array, neurons, ports, output: Output::whole(array) };
        self.conv_with_reset(name, map, conv, inputs)
    }

    /// The source whose event settles the signed neurons of a layer; made at the first module of the layer.
    ///
    /// It is in the netlist behind the layers that this one reads, so that of the events of a tick theirs come first:
    /// when a layer settles, its input is final, and the corrections of one layer are not multiplied by the next.
    fn settle_source(&mut self, layer: &str) -> Result<Option<NodeId>, Error> {
        if self.quantization.signed.is_none() {
            return Ok(None);
        }
        let number = self.layers.len();
        if self.settling != Some(number) {
            let source = self.builder.source(&format!("{SETTLE}_{number}"));
            self.settle.push(source.map_err(|fault| Error::Module { layer: layer.into(), fault })?);
            self.settling = Some(number);
        }
        Ok(self.settle.last().copied())
    }

    /// Adds the ports of settle events and resets, and the module.
    fn conv_with_reset(
        &mut self,
        name: &str,
        map: usize,
        mut conv: Conv,
        mut inputs: Vec<NodeId>,
    ) -> Result<NodeId, Error> {
        let settle = self.settle_source(name)?;
        for source in settle.into_iter().chain([self.reset]) {
            inputs.push(source);
            conv.ports.push(ConvPort::kernel(1, 1, 0, 0, Arc::new([0])));
        }
        self.module(name, &format!("{name}_{map}"), ModuleKind::Conv(conv), inputs)
    }

    /// A stride as a key. Where there is only one output, any stride will do, so the original format gets 1.
    fn stride(&self, layer: &str, stride: usize, outputs: usize) -> Result<i32, Error> {
        match (self.format, stride) {
            (_, stride) if stride == 1 || outputs == 1 => Ok(1),
            (Format::Extended, stride) => Ok(i32::try_from(stride).unwrap_or(i32::MAX)),
            (Format::Original, stride) => Err(Error::Format {
                layer: layer.into(),
                reason: format!(
                    "the original format has no stride, found {stride}; without --plain-megasim it can be written"
                ),
            }),
        }
    }
}

/// Sizes come from arrays in memory and layers whose size is checked, so they fit.
pub(super) fn size(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// `Dx` of a flipped kernel of `n` columns.
fn offset(padding: usize, n: usize) -> i32 {
    i32::try_from(padding as i64 - (n as i64 - 1)).unwrap_or(i32::MIN)
}
