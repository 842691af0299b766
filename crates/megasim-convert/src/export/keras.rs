//! The normalised network as a Keras 3 file: what Keras's `load_model` opens, and the simulators of SNN toolbox take.
//!
//! `.keras` is an archive of `config.json`, a functional model, and `model.weights.h5`, in which the arrays of a layer
//! are `layers/CLASS[_NUMBER]/vars/0`, `1`: classes in snake case, numbered in the order in which Keras sorts layers
//! (`keras/src/saving/saving_lib.py`, `keras/src/ops/function.py`). Maps are channels-last.

mod order;

use super::hdf5::File;
use super::{Error, ExportOptions, Exported, Target};
use crate::normalize::Normalized;
use crate::quantize::Quantization;
use megasim_ann::graph::{Activation, Graph, Layer, Operation, Padding, Pooling, Shape};
use ndarray::{ArrayD, ArrayView4};
use order::saved_names;
use serde_json::{Value, json};
use std::io::{Cursor, Write};
use zip::write::SimpleFileOptions;

/// See the module.
#[derive(Debug)]
pub struct Keras;

impl Target for Keras {
    fn name(&self) -> &'static str {
        "Keras"
    }

    fn ending(&self) -> &'static str {
        "keras"
    }

    fn has_neurons(&self) -> bool {
        false
    }

    fn build(&self, network: &Normalized, _: &Quantization, _: &ExportOptions) -> Result<Exported, Error> {
        let parsed = &network.parsed;
        let (graph, _) = parsed.graph().map_err(|fault| failed(fault.to_string()))?;
        let refuse = |reason: &str| Err(unsupported("InputLayer", reason));
        if parsed.input_order.is_some() {
            return refuse("expected an input in the order of the trained network's");
        }
        if parsed.input_features.is_some() {
            return refuse("expected one scale for all numbers of the input, found one each");
        }
        let model = Model::new(&graph, parsed.input_scale)?;
        let bytes = model.archive().map_err(failed)?;
        Ok(Exported { bytes, warnings: Vec::new() })
    }
}

fn failed(message: String) -> Error {
    Error::Failed { target: "Keras", message }
}

fn unsupported(layer: &str, reason: impl Into<String>) -> Error {
    Error::Unsupported { target: "Keras", layer: layer.into(), reason: reason.into() }
}

/// A layer of the model.
struct Node {
    name: String,
    class: &'static str,
    config: Value,
    /// Numbers of the layers that it reads.
    inputs: Vec<usize>,
    /// Of what it puts out, without samples.
    shape: Vec<usize>,
    arrays: Vec<ArrayD<f32>>,
}

/// Layers in topological order, the input first, the output last.
struct Model {
    nodes: Vec<Node>,
}

/// Without samples, maps as `(height, width, channels)`.
fn dimensions(shape: Shape) -> Vec<usize> {
    match shape {
        Shape::Features(n) => vec![n],
        Shape::Maps { channels, height, width } => vec![height, width, channels],
    }
}

/// `(out, in, height, width)` to `(height, width, in, out)`.
fn kernels(weights: ArrayView4<'_, f32>) -> ArrayD<f32> {
    weights.permuted_axes([2, 3, 1, 0]).as_standard_layout().into_owned().into_dyn()
}

fn sides(padding: &Padding) -> Value {
    json!([[padding.top, padding.bottom], [padding.left, padding.right]])
}

impl Model {
    fn new(graph: &Graph, input_scale: f64) -> Result<Self, Error> {
        let mut model = Self { nodes: Vec::new() };
        // The node that each layer of the graph ends in.
        let mut ends = Vec::with_capacity(graph.layers().len());
        for layer in graph.layers() {
            let inputs: Vec<usize> = layer.inputs.iter().map(|&input| ends[input]).collect();
            ends.push(model.layer(layer, &inputs, input_scale)?);
        }
        Ok(model)
    }

    /// Adds a node; its number.
    fn add(
        &mut self,
        name: &str,
        class: &'static str,
        mut config: Value,
        inputs: &[usize],
        shape: Vec<usize>,
    ) -> usize {
        // Names of scopes have no spaces.
        let name = name.replace([' ', '/'], "_");
        config["name"] = json!(name);
        self.nodes.push(Node { name, class, config, inputs: inputs.to_vec(), shape, arrays: Vec::new() });
        self.nodes.len() - 1
    }

    fn layer(&mut self, layer: &Layer, inputs: &[usize], input_scale: f64) -> Result<usize, Error> {
        let name = &layer.name;
        let shape = dimensions(layer.shape);
        let same = |model: &Self| inputs.first().map_or(Vec::new(), |&input| model.nodes[input].shape.clone());
        let refuse = |reason: &str| Err(unsupported(name, reason));
        let number = match &layer.operation {
            Operation::Input => {
                let batch: Vec<Value> = [Value::Null].into_iter().chain(shape.iter().map(|n| json!(n))).collect();
                let input =
                    self.add(name, "InputLayer", json!({ "batch_shape": batch, "dtype": "float32" }), &[], shape);
                if input_scale == 1.0 {
                    return Ok(input);
                }
                let shape = self.nodes[input].shape.clone();
                let config = json!({ "scale": 1.0 / input_scale, "offset": 0.0 });
                self.add(&format!("{name}_scale"), "Rescaling", config, &[input], shape)
            }
            Operation::Dense { weights, bias } => {
                let config = json!({ "units": weights.ncols(), "use_bias": bias.is_some() });
                let number = self.add(name, "Dense", config, inputs, shape);
                self.nodes[number].arrays.push(weights.clone().into_dyn());
                self.nodes[number].arrays.extend(bias.clone().map(ndarray::Array1::into_dyn));
                number
            }
            Operation::Convolution { weights, bias, strides, padding, dilation, groups } => {
                let from = self.padded(name, padding, inputs);
                let (out, _, height, width) = weights.dim();
                let config = json!({
                    "filters": out, "kernel_size": [height, width], "strides": strides, "padding": "valid",
                    "data_format": "channels_last", "dilation_rate": dilation, "groups": groups,
                    "use_bias": bias.is_some(),
                });
                let number = self.add(name, "Conv2D", config, &[from], shape);
                self.nodes[number].arrays.push(kernels(weights.view()));
                self.nodes[number].arrays.extend(bias.clone().map(ndarray::Array1::into_dyn));
                number
            }
            Operation::Activation(Activation::Linear) => {
                let shape = same(self);
                self.add(name, "Activation", json!({ "activation": "linear" }), inputs, shape)
            }
            Operation::Activation(Activation::Relu { negative_slope, max }) => {
                let config = json!({ "max_value": max, "negative_slope": negative_slope, "threshold": 0.0 });
                let shape = same(self);
                self.add(name, "ReLU", config, inputs, shape)
            }
            Operation::Pool { pooling, size, strides, padding } => {
                if *padding != Padding::default() {
                    return refuse("expected a pooling without padding, whose averages leave it out");
                }
                let class = match pooling {
                    Pooling::Max => "MaxPooling2D",
                    Pooling::Average { .. } => "AveragePooling2D",
                };
                let config = json!({
                    "pool_size": size, "strides": strides, "padding": "valid", "data_format": "channels_last",
                });
                self.add(name, class, config, inputs, shape)
            }
            Operation::ZeroPad(padding) => return Ok(self.padded(name, padding, inputs)),
            Operation::Crop(padding) if *padding == Padding::default() => return Ok(inputs[0]),
            Operation::Crop(padding) => {
                let config = json!({ "cropping": sides(padding), "data_format": "channels_last" });
                self.add(name, "Cropping2D", config, inputs, shape)
            }
            Operation::Upsample { factors: (1, 1) } => return Ok(inputs[0]),
            Operation::Upsample { factors } => {
                let config = json!({
                    "size": factors, "data_format": "channels_last", "interpolation": "nearest",
                });
                self.add(name, "UpSampling2D", config, inputs, shape)
            }
            Operation::Flatten { .. } => {
                // Netfiles flatten map after map.
                let [height, width, channels] = self.nodes[inputs[0]].shape[..] else {
                    return refuse("expected maps to flatten");
                };
                let turned = vec![channels, height, width];
                let permute =
                    self.add(&format!("{name}_order"), "Permute", json!({ "dims": [3, 1, 2] }), inputs, turned);
                self.add(name, "Flatten", json!({ "data_format": "channels_last" }), &[permute], shape)
            }
            Operation::Add => self.add(name, "Add", json!({}), inputs, shape),
            Operation::Activation(activation) => {
                return refuse(&format!("Keras has no layer of this {}", activation.name()));
            }
            Operation::TransposedConvolution { .. } => return refuse("transposed convolutions are not written"),
            Operation::Bias { .. } => return refuse("Keras has no layer of biases by position"),
            Operation::Gather { .. } | Operation::Channels { .. } | Operation::Reshape { .. } => {
                return refuse("Keras has no layer of this order of numbers");
            }
            other => {
                return Err(unsupported(name, format!("not written: {other:?}").chars().take(80).collect::<String>()));
            }
        };
        Ok(number)
    }

    /// Zeros around maps; the number of what has them.
    fn padded(&mut self, name: &str, padding: &Padding, inputs: &[usize]) -> usize {
        let from = inputs[0];
        let ([height, width, channels], false) = (&self.nodes[from].shape[..], *padding == Padding::default()) else {
            return from;
        };
        let shape = vec![height + padding.top + padding.bottom, width + padding.left + padding.right, *channels];
        let config = json!({ "padding": sides(padding), "data_format": "channels_last" });
        self.add(&format!("{name}_zeros"), "ZeroPadding2D", config, &[from], shape)
    }

    fn config(&self) -> Value {
        let tensor = |&input: &usize| {
            let node = &self.nodes[input];
            let shape: Vec<Value> = [Value::Null].into_iter().chain(node.shape.iter().map(|n| json!(n))).collect();
            let config = json!({ "shape": shape, "dtype": "float32", "keras_history": [node.name, 0, 0] });
            json!({ "class_name": "__keras_tensor__", "config": config })
        };
        let layer = |node: &Node| {
            let tensors: Vec<Value> = node.inputs.iter().map(tensor).collect();
            let arguments = match (node.class, &tensors[..]) {
                ("Add", _) => vec![json!(tensors)],
                _ => tensors,
            };
            let calls = if node.inputs.is_empty() { vec![] } else { vec![json!({ "args": arguments, "kwargs": {} })] };
            json!({
                "module": "keras.layers", "class_name": node.class, "config": node.config, "registered_name": null,
                "name": node.name, "inbound_nodes": calls,
            })
        };
        let end = |node: Option<&Node>| json!([node.map(|node| &node.name), 0, 0]);
        json!({
            "module": "keras.src.models.functional", "class_name": "Functional", "registered_name": "Functional",
            "config": {
                "name": "normalised", "trainable": true, "layers": self.nodes.iter().map(layer).collect::<Vec<_>>(),
                "input_layers": end(self.nodes.first()), "output_layers": end(self.nodes.last()),
            },
        })
    }

    fn weights(&self) -> Result<Vec<u8>, String> {
        let mut file = File::default();
        for (name, node) in saved_names(&self.nodes).into_iter().zip(&self.nodes) {
            for (k, array) in node.arrays.iter().enumerate() {
                let values: Vec<f32> = array.iter().copied().collect();
                file.numbers(format!("layers/{name}/vars/{k}"), array.shape(), &values)?;
            }
        }
        file.finish()
    }

    fn archive(&self) -> Result<Vec<u8>, String> {
        let exporter = concat!("megasim ", env!("CARGO_PKG_VERSION"));
        let metadata = json!({ "keras_version": "3.0.0", "date_saved": "", "exporter": exporter });
        let files = [
            ("metadata.json", metadata.to_string().into_bytes()),
            ("config.json", self.config().to_string().into_bytes()),
            ("model.weights.h5", self.weights()?),
        ];
        let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in files {
            // Keras reads the weights in place.
            let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
            archive.start_file(name, stored).map_err(|error| error.to_string())?;
            archive.write_all(&bytes).map_err(|error| error.to_string())?;
        }
        archive.finish().map(Cursor::into_inner).map_err(|error| error.to_string())
    }
}
