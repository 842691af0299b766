//! NIR, the neuromorphic intermediate representation, version 1: a graph of nodes in HDF5, which snnTorch, Norse,
//! Sinabs, Lava and others read.
//!
//! J. E. Pedersen et al., "Neuromorphic intermediate representation: a unified instruction set for interoperable
//! brain-inspired computing", Nature Communications 15:8122 (2024). A population is a linear node (`Affine`, `Conv2d`)
//! before integrate-and-fire neurons (`IF`) with `r` 1; a time step is a millisecond, in which biases are added once.
//! Several connections are several linear nodes, whose outputs a node adds up. An average is a sum before neurons whose
//! threshold is the area of the window, which more libraries read. NIR's neurons reset to a potential; it has no form
//! for a reset by subtraction, which is therefore only in the metadata.

mod importer;

use super::hdf5::File;
use super::{Error, ExportOptions, Exported, PoolAs, Target};
use crate::normalize::Normalized;
use crate::parsed::{Connection, LayerKind, Role, Source, Weights};
use crate::quantize::Quantization;
use crate::spiking::Dialect;
use importer::Reads;
use megasim_ann::graph::{Padding, Shape};
use ndarray::{Array1, ArrayD, Axis};

/// The version of the format.
const VERSION: &str = "1.0.8";

/// See the module.
#[derive(Debug)]
pub struct Nir;

impl Target for Nir {
    fn name(&self) -> &'static str {
        "NIR"
    }

    fn ending(&self) -> &'static str {
        "nir"
    }

    fn build(
        &self,
        network: &Normalized,
        quantization: &Quantization,
        options: &ExportOptions,
    ) -> Result<Exported, Error> {
        let parsed = &network.parsed;
        let reads = Reads::new(options, quantization)?;
        let mut warnings = reads.warnings();
        if quantization.signed.is_some() {
            warnings.push("neurons are signed; in the file they are IF neurons, which do not take spikes back".into());
        }
        if parsed.input_order.is_some() {
            return Err(unsupported("InputLayer", "expected an input in the order of the trained network's"));
        }
        if parsed.input_features.is_some() {
            let what = "samples are shown as (x - offset) / scale, one of each a feature; megasim.json has them as \
                conversion.input_features";
            warnings.push(what.into());
        } else if parsed.input_scale != 1.0 {
            warnings.push(format!("samples are divided by {} before they are shown", parsed.input_scale));
        }
        let mut graph = Graph::default();
        graph.add("input", "Input", vec![("shape", Value::integers(&dimensions(parsed.input)))]);
        let mut outputs: Vec<String> = Vec::with_capacity(parsed.layers.len());
        for (number, layer) in parsed.layers.iter().enumerate() {
            let name = parsed.name(number);
            let node = |source: Source| match source {
                Source::Input => "input".to_string(),
                Source::Layer(k) => outputs[k].clone(),
            };
            let neurons = match &layer.operation {
                LayerKind::Population { connections, bias, role } => {
                    let kind = match role {
                        Role::Rectifier | Role::Excess => "IF",
                        Role::Accumulator => reads.potentials(&name)?,
                        Role::Signed => {
                            let what = "neurons fire spikes of both signs; in the file they are IF neurons, which fire \
                                positive ones only";
                            warnings.push(format!("layer '{name}': {what}"));
                            "IF"
                        }
                        Role::Quantized(_) | Role::Clamped { .. } => {
                            let what = "counts of neurons have levels or a maximum; in the file they are IF neurons, \
                                which have none";
                            warnings.push(format!("layer '{name}': {what}"));
                            "IF"
                        }
                        Role::Step | Role::Softmax => {
                            return Err(unsupported(
                                &name,
                                format!("expected rectified activations, found neurons that are {role:?}"),
                            ));
                        }
                    };
                    if bias.as_ref().is_some_and(|bias| bias.len() != layer.shape.channels()) {
                        return Err(unsupported(&name, "expected one bias per map, found one per neuron"));
                    }
                    for (k, connection) in connections.iter().enumerate() {
                        let linear = format!("{name}_weights_{k}");
                        let bias = bias.as_ref().filter(|_| k == 0);
                        reads.check_weights(&name, &connection.weights, bias)?;
                        let (of, values) = self::linear(&name, connection, bias, parsed.shape(connection.source))?;
                        graph.add(&linear, of, values);
                        graph.connect(node(connection.source), &linear);
                        graph.connect(linear, &name);
                    }
                    kind
                }
                LayerKind::AveragePool { source, windows, count_padding } => {
                    if windows.padding != Padding::default() && !count_padding {
                        return Err(unsupported(&name, "expected an average without padding, or one that counts it"));
                    }
                    let pool = format!("{name}_pool");
                    let kind = if reads.pool == PoolAs::Sum { "SumPool2d" } else { "AvgPool2d" };
                    reads.check_windows(&name, windows)?;
                    let values = vec![
                        ("kernel_size", pair(windows.size)),
                        ("stride", pair(windows.strides)),
                        ("padding", symmetric(&name, windows.padding)?),
                    ];
                    graph.add(&pool, kind, values);
                    graph.connect(node(*source), &pool);
                    graph.connect(pool, &name);
                    "IF"
                }
                LayerKind::Flatten { source } => {
                    let shape = dimensions(parsed.shape(*source));
                    let values = vec![
                        ("start_dim", Value::integer(0)),
                        ("end_dim", Value::integer(-1)),
                        ("input_type", Value::integers(&shape)),
                    ];
                    graph.add(&name, "Flatten", values);
                    graph.connect(node(*source), &name);
                    outputs.push(name);
                    continue;
                }
                LayerKind::MaxPool { .. } => {
                    return Err(unsupported(&name, "it has no maximum pooling; --max-to-average makes averages of it"));
                }
                LayerKind::Relay { .. } => {
                    return Err(unsupported(&name, "it has no upsampling, cropping or reshaping"));
                }
            };
            reads.check_neurons(&name, layer.shape)?;
            let all = |value: f64| Value::Numbers(ArrayD::from_elem(layer.shape_dimensions(), value as f32));
            let mut values = vec![("r", all(1.0))];
            if neurons == "IF" {
                let area = match &layer.operation {
                    LayerKind::AveragePool { windows, .. } if reads.pool == PoolAs::Sum => {
                        (windows.size.0 * windows.size.1) as f64
                    }
                    _ => 1.0,
                };
                // NIR's neurons spike above their threshold, those of netfiles at it: sums of whole spikes often are.
                let threshold = ((quantization.threshold * area) as f32).next_down();
                values.extend([("v_threshold", all(threshold.into())), ("v_reset", all(0.0))]);
            }
            let neurons = match reads.without_leak().filter(|_| neurons == "IF") {
                Some((tau, r)) => {
                    values[0] = ("r", all(r));
                    values.extend([("tau", all(tau)), ("v_leak", all(0.0))]);
                    "LIF"
                }
                None => neurons,
            };
            graph.add(&name, neurons, values);
            outputs.push(name);
        }
        if let (Some(last), Some(layer)) = (outputs.last(), parsed.layers.last()) {
            graph.add("output", "Output", vec![("shape", Value::integers(&dimensions(layer.shape)))]);
            graph.connect(last.clone(), "output");
        }
        let reset = crate::manifest::reset_name(quantization.reset);
        let bytes = graph.write(reset, reads.units()).map_err(|message| Error::Failed { target: "NIR", message })?;
        Ok(Exported { bytes, warnings })
    }
}

fn unsupported(layer: &str, reason: impl Into<String>) -> Error {
    Error::Unsupported { target: "NIR", layer: layer.into(), reason: reason.into() }
}

impl crate::parsed::ParsedLayer {
    fn shape_dimensions(&self) -> Vec<usize> {
        dimensions(self.shape).iter().map(|&n| n as usize).collect()
    }
}

fn dimensions(shape: Shape) -> Vec<i64> {
    match shape {
        Shape::Features(n) => vec![n as i64],
        Shape::Maps { channels, height, width } => vec![channels as i64, height as i64, width as i64],
    }
}

fn pair((vertical, horizontal): (usize, usize)) -> Value {
    Value::integers(&[vertical as i64, horizontal as i64])
}

fn symmetric(layer: &str, padding: Padding) -> Result<Value, Error> {
    let Padding { top, bottom, left, right } = padding;
    if (top, left) != (bottom, right) {
        let reason = format!(
            "expected as much padding at both sides, found {top} and {bottom} rows, {left} and {right} columns"
        );
        return Err(unsupported(layer, reason));
    }
    Ok(pair((top, left)))
}

/// The node of a connection.
fn linear(
    layer: &str,
    connection: &Connection,
    bias: Option<&Array1<f32>>,
    from: Shape,
) -> Result<(&'static str, Values), Error> {
    let biases = |n: usize| Value::Numbers(bias.cloned().unwrap_or_else(|| Array1::zeros(n)).into_dyn());
    match &connection.weights {
        Weights::Dense(weights) => {
            // (in, out) to (out, in).
            let weight = Value::Numbers(weights.t().as_standard_layout().into_owned().into_dyn());
            Ok(("Affine", vec![("weight", weight), ("bias", biases(weights.len_of(Axis(1))))]))
        }
        Weights::Convolution { kernels, strides, padding, dilation, groups } => {
            let Shape::Maps { height, width, .. } = from else {
                return Err(unsupported(layer, "expected maps before a convolution"));
            };
            let values = vec![
                ("input_shape", pair((height, width))),
                ("weight", Value::Numbers(kernels.clone().into_dyn())),
                ("stride", pair(*strides)),
                ("padding", symmetric(layer, *padding)?),
                ("dilation", pair(*dilation)),
                ("groups", Value::integer(*groups as i64)),
                ("bias", biases(kernels.len_of(Axis(0)))),
            ];
            Ok(("Conv2d", values))
        }
        Weights::Transposed { .. } => Err(unsupported(layer, "it has no transposed convolution")),
    }
}

/// What a node holds, by name.
type Values = Vec<(&'static str, Value)>;

/// What a node can hold.
enum Value {
    Text(String),
    Integer(i64),
    Integers(Vec<i64>),
    Numbers(ArrayD<f32>),
}

impl Value {
    fn integer(value: i64) -> Self {
        Self::Integer(value)
    }

    fn integers(values: &[i64]) -> Self {
        Self::Integers(values.to_vec())
    }

    fn write(&self, file: &mut File, path: String) -> Result<(), String> {
        match self {
            Self::Text(text) => file.texts(path, &[], &[text]),
            Self::Integer(value) => file.numbers(path, &[], &[*value]),
            Self::Integers(values) => file.numbers(path, &[values.len()], values),
            Self::Numbers(array) => file.numbers(path, array.shape(), &array.iter().copied().collect::<Vec<f32>>()),
        }
    }
}

/// Nodes in order, and edges.
#[derive(Default)]
struct Graph {
    nodes: Vec<(String, Values)>,
    edges: Vec<[String; 2]>,
}

impl Graph {
    fn add(&mut self, name: &str, kind: &str, mut values: Values) {
        values.push(("type", Value::Text(kind.into())));
        self.nodes.push((name.into(), values));
    }

    fn connect(&mut self, from: impl Into<String>, to: impl Into<String>) {
        self.edges.push([from.into(), to.into()]);
    }

    /// The file; with the library for whose units it is, if there is one.
    fn write(&self, reset: &str, (library, dt): (Option<Dialect>, f64)) -> Result<Vec<u8>, String> {
        let mut file = File::default();
        file.texts("version".into(), &[], &[VERSION])?;
        file.texts("node/type".into(), &[], &["NIRGraph"])?;
        let edges: Vec<&str> = self.edges.iter().flatten().map(String::as_str).collect();
        file.texts("node/edges".into(), &[self.edges.len(), 2], &edges)?;
        for (name, values) in &self.nodes {
            values.iter().try_for_each(|(key, value)| value.write(&mut file, format!("node/nodes/{name}/{key}")))?;
        }
        file.numbers("node/metadata/dt".into(), &[], &[dt])?;
        if let Some(library) = library {
            file.texts("node/metadata/units".into(), &[], &[library.name()])?;
        }
        file.texts("node/metadata/reset".into(), &[], &[reset])?;
        file.texts("node/metadata/exporter".into(), &[], &[concat!("megasim ", env!("CARGO_PKG_VERSION"))])?;
        file.finish()
    }
}
