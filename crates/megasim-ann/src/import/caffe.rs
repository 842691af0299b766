//! Caffe: weights from a `.caffemodel`, the network from the `.prototxt` next to it; old and new layer forms.

mod prototxt;

use super::refusal::Obstacles;
use super::{ImportError, Imported, ModelFile, first_axes};
use crate::graph::{Activation, AxisOrder, Graph, GraphBuilder, LayerId, Operation, Padding, Pooling, Shape};
use ndarray::{Array1, Array2, Array4, ArrayD, Dimension, IxDyn};
use prost::Message as _;
use prototxt::Message;
use std::collections::HashMap;

/// The messages of a `.caffemodel`, as far as they are used; numbers from the public schema (`caffe.proto`).
mod proto {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Net {
        #[prost(message, repeated, tag = "2")]
        pub(super) layers: Vec<OldLayer>,
        #[prost(message, repeated, tag = "100")]
        pub(super) layer: Vec<Layer>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Layer {
        #[prost(string, tag = "1")]
        pub(super) name: String,
        #[prost(message, repeated, tag = "7")]
        pub(super) blobs: Vec<Blob>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct OldLayer {
        #[prost(string, tag = "4")]
        pub(super) name: String,
        #[prost(message, repeated, tag = "6")]
        pub(super) blobs: Vec<Blob>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Blob {
        #[prost(int32, tag = "1")]
        pub(super) num: i32,
        #[prost(int32, tag = "2")]
        pub(super) channels: i32,
        #[prost(int32, tag = "3")]
        pub(super) height: i32,
        #[prost(int32, tag = "4")]
        pub(super) width: i32,
        #[prost(float, repeated, tag = "5")]
        pub(super) data: Vec<f32>,
        #[prost(message, optional, tag = "7")]
        pub(super) shape: Option<BlobShape>,
        #[prost(double, repeated, tag = "8")]
        pub(super) double_data: Vec<f64>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct BlobShape {
        #[prost(int64, repeated, tag = "1")]
        pub(super) dim: Vec<i64>,
    }
}

pub(super) fn is_caffe(file: &ModelFile) -> bool {
    file.has_extension("caffemodel")
}

/// Reads a network and its weights.
pub(super) fn read(file: &ModelFile) -> Result<Imported, ImportError> {
    let net = proto::Net::decode(&file.bytes[..]);
    let net =
        net.map_err(|error| ImportError::damaged("protobuf", format!("expected a .caffemodel, found: {error}")))?;
    let mut blobs: HashMap<String, Vec<proto::Blob>> = HashMap::new();
    blobs.extend(net.layers.into_iter().map(|layer| (layer.name, layer.blobs)));
    blobs.extend(net.layer.into_iter().map(|layer| (layer.name, layer.blobs)));
    let (text, place) = file.architecture("prototxt")?;
    let network = prototxt::parse(&text).map_err(|message| ImportError::damaged(&place, message))?;
    let graph = Importer::run(network, &place, blobs)?;
    let axes = first_axes(&graph);
    Ok(Imported { graph, input_order: AxisOrder::ChannelsFirst, axes, library: "caffe", version: None })
}

/// Keys of a layer that change nothing at inference.
const NEUTRAL: &[&str] = &[
    "name",
    "type",
    "bottom",
    "top",
    "param",
    "blobs_lr",
    "weight_decay",
    "include",
    "exclude",
    "phase",
    "propagate_down",
    "loss_weight",
];

/// A layer under translation: its own message and the one with its options.
struct Layer {
    name: String,
    kind: String,
    whole: Message,
    options: Message,
    bottoms: Vec<String>,
    tops: Vec<String>,
}

impl Layer {
    fn new(mut whole: Message, place: &str) -> Result<Self, ImportError> {
        let name = whole.text("name").unwrap_or_default();
        let kind = whole
            .text("type")
            .ok_or_else(|| ImportError::damaged(place, format!("expected a type in layer '{name}', found none")))?;
        let (bottoms, tops) = (whole.texts("bottom"), whole.texts("top"));
        let kind = new_name(&kind).to_string();
        let options = match option_key(&kind) {
            Some(key) => whole.message(key).unwrap_or_default(),
            None => Message::default(),
        };
        Ok(Self { name, kind, whole, options, bottoms, tops })
    }

    fn unsupported(&self, message: impl Into<String>) -> ImportError {
        ImportError::Unsupported { layer: self.name.clone(), kind: self.kind.clone(), message: message.into() }
    }

    /// What comes in, or a size, is not what the layer takes.
    fn misfit(&self, message: impl Into<String>) -> ImportError {
        ImportError::Misfit { layer: self.name.clone(), kind: self.kind.clone(), message: message.into() }
    }

    /// Whether it belongs to training only.
    fn is_left_out(&self) -> bool {
        let phases =
            |key: &str| self.whole.messages(key).iter().filter_map(|rule| rule.peek("phase")).collect::<Vec<_>>();
        let included = phases("include");
        phases("exclude").iter().any(|phase| phase == "TEST")
            || (!included.is_empty() && !included.iter().any(|phase| phase == "TEST"))
    }

    fn count(&mut self, key: &str) -> Result<Option<usize>, ImportError> {
        let Some(text) = self.options.text(key) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| self.misfit(format!("expected a count as '{key}', found {text}")))
    }

    fn number(&mut self, key: &str, default: f32) -> Result<f32, ImportError> {
        let Some(text) = self.options.text(key) else { return Ok(default) };
        text.parse().map_err(|_| self.misfit(format!("expected a number as '{key}', found {text}")))
    }

    fn flag(&mut self, key: &str, default: bool) -> Result<bool, ImportError> {
        match self.options.text(key).as_deref() {
            None => Ok(default),
            Some("true" | "1") => Ok(true),
            Some("false" | "0") => Ok(false),
            Some(other) => Err(self.misfit(format!("expected true or false as '{key}', found {other}"))),
        }
    }

    /// A size for both directions, as one number, two, or under separate keys.
    fn pair(&mut self, key: &str, vertical: &str, horizontal: &str) -> Result<Option<(usize, usize)>, ImportError> {
        let both: Option<Vec<usize>> = self.options.texts(key).iter().map(|text| text.parse().ok()).collect();
        let (own_vertical, own_horizontal) = (self.count(vertical)?, self.count(horizontal)?);
        match (both.as_deref(), own_vertical, own_horizontal) {
            (Some([]), None, None) => Ok(None),
            (Some([]), Some(vertical), Some(horizontal)) => Ok(Some((vertical, horizontal))),
            (Some([both]), None, None) => Ok(Some((*both, *both))),
            (Some([vertical, horizontal]), None, None) => Ok(Some((*vertical, *horizontal))),
            _ => Err(self.misfit(format!("expected one or two counts as '{key}'"))),
        }
    }

    /// Refuses what has not been understood.
    fn finish(&self) -> Result<(), ImportError> {
        let known = |key: &str| NEUTRAL.contains(&key) || key.ends_with("_filler") || key == "engine";
        match self.whole.keys().chain(self.options.keys()).find(|key| !known(key)) {
            Some(key) => Err(self.unsupported(format!("option '{key}' is not supported"))),
            None => Ok(()),
        }
    }
}

/// Names of layer types in the old form.
fn new_name(kind: &str) -> &str {
    match kind {
        "CONVOLUTION" => "Convolution",
        "DECONVOLUTION" => "Deconvolution",
        "INNER_PRODUCT" => "InnerProduct",
        "POOLING" => "Pooling",
        "RELU" => "ReLU",
        "SIGMOID" => "Sigmoid",
        "TANH" => "TanH",
        "SOFTMAX" => "Softmax",
        "DROPOUT" => "Dropout",
        "CONCAT" => "Concat",
        "ELTWISE" => "Eltwise",
        "FLATTEN" => "Flatten",
        "SPLIT" => "Split",
        "POWER" => "Power",
        other => other,
    }
}

fn option_key(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "Input" => "input_param",
        "Convolution" | "Deconvolution" => "convolution_param",
        "InnerProduct" => "inner_product_param",
        "Pooling" => "pooling_param",
        "ReLU" => "relu_param",
        "Softmax" => "softmax_param",
        "Dropout" => "dropout_param",
        "BatchNorm" => "batch_norm_param",
        "Scale" => "scale_param",
        "Bias" => "bias_param",
        "Eltwise" => "eltwise_param",
        "Concat" => "concat_param",
        "Flatten" => "flatten_param",
        "Power" => "power_param",
        _ => return None,
    })
}

struct Importer {
    builder: GraphBuilder,
    blobs: HashMap<String, Vec<proto::Blob>>,
    /// What each blob of the network holds by now: layers may work in place.
    tops: HashMap<String, LayerId>,
}

impl Importer {
    fn run(mut network: Message, place: &str, blobs: HashMap<String, Vec<proto::Blob>>) -> Result<Graph, ImportError> {
        let mut layers = Vec::new();
        for key in ["layers", "layer"] {
            for message in network.take_messages(key) {
                let layer = Layer::new(message, place)?;
                if !layer.is_left_out() {
                    layers.push(layer);
                }
            }
        }
        // The input: fields of the network, or a layer.
        let mut names = network.texts("input");
        let mut sizes: Vec<Vec<String>> =
            network.take_messages("input_shape").iter_mut().map(|shape| shape.texts("dim")).collect();
        let flat = network.texts("input_dim");
        sizes.extend(flat.chunks(4).map(<[String]>::to_vec));
        for layer in layers.iter_mut().filter(|layer| layer.kind == "Input") {
            names.extend(layer.tops.clone());
            sizes.extend(layer.options.take_messages("shape").iter_mut().map(|shape| shape.texts("dim")));
        }
        let ([name], [size]) = (&names[..], &sizes[..]) else {
            let message = format!(
                "expected one input with its shape (a network for deployment), found {} inputs, {} shapes",
                names.len(),
                sizes.len()
            );
            return Err(ImportError::damaged(place, message));
        };
        let size: Option<Vec<usize>> = size.iter().skip(1).map(|size| size.parse().ok()).collect();
        let shape = match size.as_deref() {
            Some(&[features]) => Shape::Features(features),
            Some(&[channels, height, width]) => Shape::Maps { channels, height, width },
            _ => {
                return Err(ImportError::damaged(place, format!("expected an input of 2 or 4 sizes, found {sizes:?}")));
            }
        };
        let builder = GraphBuilder::new(name, shape);
        let mut walk = Self { builder, blobs, tops: HashMap::from([(name.clone(), 0)]) };
        let (mut last, mut obstacles) = (0, Obstacles::default());
        let mut layers = layers.into_iter().filter(|layer| layer.kind != "Input").peekable();
        while let Some(mut layer) = layers.next() {
            // A Scale right after a BatchNorm is the other half of one batch normalisation.
            let scale = match layer.kind.as_str() {
                "BatchNorm" => {
                    layers.next_if(|next| next.kind == "Scale" && next.bottoms == layer.tops && layer.tops.len() == 1)
                }
                _ => None,
            };
            let inputs = layer.bottoms.iter().map(|bottom| walk.tops.get(bottom).copied()).collect::<Option<Vec<_>>>();
            let inputs = inputs.ok_or_else(|| {
                layer.misfit(format!("expected inputs that some layer gives, found {:?}", layer.bottoms))
            })?;
            let tops = scale.as_ref().map_or(&layer.tops, |scale| &scale.tops).clone();
            last = walk.layer(&mut layer, scale, &inputs).and_then(|id| layer.finish().map(|()| id)).or_else(
                |problem| {
                    let input = inputs.first().copied().unwrap_or(0);
                    obstacles.replace(&mut walk.builder, (&layer.name, &layer.kind), input, problem)
                },
            )?;
            walk.tops.extend(tops.into_iter().map(|top| (top, last)));
        }
        if !obstacles.is_empty() {
            return Err(obstacles.refusal(walk.builder, last));
        }
        Ok(walk.builder.finish_at(last)?)
    }

    fn layer(&mut self, layer: &mut Layer, scale: Option<Layer>, inputs: &[LayerId]) -> Result<LayerId, ImportError> {
        let kind = layer.kind.clone();
        let (keras, operation) = match &kind[..] {
            "Convolution" => self.convolution(layer)?,
            "Deconvolution" => return self.deconvolution(layer, inputs),
            "InnerProduct" => return self.inner_product(layer, inputs),
            "Pooling" => self.pooling(layer, inputs)?,
            "ReLU" => {
                let negative_slope = layer.number("negative_slope", 0.0)?;
                ("Activation", Operation::Activation(Activation::Relu { negative_slope, max: None }))
            }
            "Sigmoid" => ("Activation", Operation::Activation(Activation::Sigmoid)),
            "TanH" => ("Activation", Operation::Activation(Activation::Tanh)),
            "Softmax" => {
                self.check_axis(layer, "axis")?;
                ("Activation", Operation::Activation(Activation::Softmax))
            }
            "Dropout" => {
                layer.options = Message::default();
                ("Dropout", Operation::TrainingOnly { kind: "Dropout".into() })
            }
            "BatchNorm" => self.batch_normalization(layer, scale)?,
            "Scale" => {
                let (gamma, beta) = self.scale(layer)?;
                ("BatchNormalization", Operation::affine(gamma, beta))
            }
            "Bias" => {
                self.check_axis(layer, "axis")?;
                let beta: Array1<f32> = self.blob(layer, 0)?;
                ("BatchNormalization", Operation::affine(Array1::ones(beta.len()), beta))
            }
            "Power" => {
                let (power, factor, shift) =
                    (layer.number("power", 1.0)?, layer.number("scale", 1.0)?, layer.number("shift", 0.0)?);
                let Some(&input) = inputs.first() else { return Err(layer.misfit("expected an input")) };
                if power != 1.0 {
                    return Err(layer.unsupported(format!("a power of {power} is not supported")));
                }
                let channels = self.builder.shape(input).channels();
                ("BatchNormalization", Operation::scale_and_shift(channels, factor, shift))
            }
            "Eltwise" => {
                let operation = layer.options.text("operation").unwrap_or("SUM".into());
                let coefficients = layer.options.texts("coeff");
                layer.flag("stable_prod_grad", true)?;
                if !["SUM", "1"].contains(&&operation[..]) || coefficients.iter().any(|one| one.parse() != Ok(1.0)) {
                    return Err(layer.misfit(format!("expected a plain sum, found {operation} {coefficients:?}")));
                }
                ("Add", Operation::Add)
            }
            "Concat" => {
                self.check_axis(layer, "axis")?;
                self.check_axis(layer, "concat_dim")?;
                ("Concatenate", Operation::Concatenate)
            }
            "Flatten" => {
                self.check_axis(layer, "axis")?;
                ("Flatten", Operation::Flatten { order: AxisOrder::ChannelsFirst })
            }
            "Split" => match inputs {
                [input] => return Ok(*input),
                _ => return Err(layer.misfit("expected one input")),
            },
            "Data" | "DATA" | "ImageData" | "SoftmaxWithLoss" | "SOFTMAX_LOSS" | "Accuracy" | "ACCURACY" => {
                return Err(layer.unsupported("a layer of training is not supported: use the network for deployment"));
            }
            _ => return Err(layer.unsupported("this layer is not supported")),
        };
        Ok(self.builder.add(self.builder.free_name(&layer.name), keras, operation, inputs)?)
    }

    fn check_axis(&self, layer: &mut Layer, key: &str) -> Result<(), ImportError> {
        match layer.options.text(key).as_deref() {
            None | Some("1") => Ok(()),
            Some(axis) => Err(layer.misfit(format!("expected '{key}' 1, the channels, found {axis}"))),
        }
    }

    /// A parameter array of `N` axes.
    fn blob<D: Dimension>(&self, layer: &Layer, place: usize) -> Result<ndarray::Array<f32, D>, ImportError> {
        let blobs = self.blobs.get(&layer.name).map(Vec::as_slice).unwrap_or_default();
        let blob = blobs.get(place);
        let blob = blob.ok_or_else(|| {
            layer.misfit(format!("expected weights number {place} in the .caffemodel, found {}", blobs.len()))
        })?;
        let values =
            if blob.data.is_empty() { blob.double_data.iter().map(|&x| x as f32).collect() } else { blob.data.clone() };
        // The old form has always four axes, the first ones 1.
        let old = [blob.num, blob.channels, blob.height, blob.width].map(i64::from);
        let mut shape: Vec<i64> = blob.shape.as_ref().map_or(old.to_vec(), |shape| shape.dim.clone());
        let axes = D::NDIM.unwrap_or_default();
        while shape.len() > axes && shape[0] == 1 {
            shape.remove(0);
        }
        let found = format!("shape {shape:?} with {} numbers", values.len());
        let sizes: Option<Vec<usize>> = shape.into_iter().map(|size| usize::try_from(size).ok()).collect();
        let array = sizes.and_then(|sizes| ArrayD::from_shape_vec(IxDyn(&sizes), values).ok());
        array.and_then(|array| array.into_dimensionality().ok()).ok_or_else(|| {
            ImportError::damaged(
                format!("weights {place} of layer '{}'", layer.name),
                format!("expected {axes} axes, found {found}"),
            )
        })
    }

    fn bias(&self, layer: &mut Layer) -> Result<Option<Array1<f32>>, ImportError> {
        if layer.flag("bias_term", true)? { self.blob(layer, 1).map(Some) } else { Ok(None) }
    }

    /// Kernels, strides, padding, dilation and groups of a convolution either way.
    #[allow(clippy::type_complexity)]
    fn kernels(
        &self,
        layer: &mut Layer,
    ) -> Result<(Array4<f32>, (usize, usize), Padding, (usize, usize), usize), ImportError> {
        let weights: Array4<f32> = self.blob(layer, 0)?;
        let size = layer.pair("kernel_size", "kernel_h", "kernel_w")?;
        let strides = layer.pair("stride", "stride_h", "stride_w")?.unwrap_or((1, 1));
        let (vertical, horizontal) = layer.pair("pad", "pad_h", "pad_w")?.unwrap_or((0, 0));
        let dilation = layer.pair("dilation", "dilation_h", "dilation_w")?.unwrap_or((1, 1));
        let groups = layer.count("group")?.unwrap_or(1);
        self.check_axis(layer, "axis")?;
        let (_, _, height, width) = weights.dim();
        if size != Some((height, width)) {
            return Err(
                layer.misfit(format!("expected kernels of {size:?}, found {:?} in the weights", (height, width)))
            );
        }
        let padding = Padding { top: vertical, bottom: vertical, left: horizontal, right: horizontal };
        Ok((weights, strides, padding, dilation, groups))
    }

    fn convolution(&self, layer: &mut Layer) -> Result<(&'static str, Operation), ImportError> {
        let (weights, strides, padding, dilation, groups) = self.kernels(layer)?;
        let bias = self.bias(layer)?;
        check_outputs(layer, weights.dim().0)?;
        Ok(("Conv2D", Operation::Convolution { weights, bias, strides, padding, dilation, groups }))
    }

    fn deconvolution(&mut self, layer: &mut Layer, inputs: &[LayerId]) -> Result<LayerId, ImportError> {
        let (weights, strides, padding, dilation, groups) = self.kernels(layer)?;
        let bias = self.bias(layer)?;
        let (_, per_group, kernel_height, kernel_width) = weights.dim();
        let channels = per_group.saturating_mul(groups);
        check_outputs(layer, channels)?;
        let input = inputs.first().map(|&input| self.builder.shape(input));
        let (Some(Shape::Maps { height, width, .. }), (1, 1)) = (input, dilation) else {
            return Err(layer.misfit("expected maps as input and no dilation"));
        };
        let along = |n: usize, size: usize, stride: usize, cut: usize| {
            (n - 1).checked_mul(stride)?.checked_add(size)?.checked_sub(cut.checked_mul(2)?)
        };
        let sizes = along(height, kernel_height, strides.0, padding.top).zip(along(
            width,
            kernel_width,
            strides.1,
            padding.left,
        ));
        let (height, width) =
            sizes.ok_or_else(|| layer.misfit("expected a padding smaller than what it is cut from"))?;
        let operation = Operation::TransposedConvolution { weights, bias, strides, padding, groups };
        let name = self.builder.free_name(&layer.name);
        Ok(self.builder.add_shaped(
            name,
            "Conv2DTranspose",
            operation,
            inputs,
            Shape::Maps { channels, height, width },
        )?)
    }

    fn inner_product(&mut self, layer: &mut Layer, inputs: &[LayerId]) -> Result<LayerId, ImportError> {
        let mut weights: Array2<f32> = self.blob(layer, 0)?;
        let bias = self.bias(layer)?;
        self.check_axis(layer, "axis")?;
        if !layer.flag("transpose", false)? {
            weights = weights.t().as_standard_layout().into_owned();
        }
        check_outputs(layer, weights.ncols())?;
        let &[mut input] = inputs else { return Err(layer.misfit("expected one input")) };
        if matches!(self.builder.shape(input), Shape::Maps { .. }) {
            let name = self.builder.free_name(&format!("{}_flatten", layer.name));
            let order = AxisOrder::ChannelsFirst;
            input = self.builder.add(name, "Flatten", Operation::Flatten { order }, &[input])?;
        }
        let name = self.builder.free_name(&layer.name);
        Ok(self.builder.add(name, "Dense", Operation::Dense { weights, bias }, &[input])?)
    }

    fn pooling(&self, layer: &mut Layer, inputs: &[LayerId]) -> Result<(&'static str, Operation), ImportError> {
        let is_max = match layer.options.text("pool").as_deref() {
            None | Some("MAX" | "0") => true,
            Some("AVE" | "1") => false,
            Some(other) => return Err(layer.unsupported(format!("pooling '{other}' is not supported"))),
        };
        if layer.flag("global_pooling", false)? {
            let pooling = if is_max { Pooling::Max } else { Pooling::Average { count_padding: false } };
            let kind = if is_max { "GlobalMaxPooling2D" } else { "GlobalAveragePooling2D" };
            return Ok((kind, Operation::GlobalPool { pooling }));
        }
        let size = layer.pair("kernel_size", "kernel_h", "kernel_w")?;
        let size = size.ok_or_else(|| layer.misfit("expected a kernel_size, found none"))?;
        let strides = layer.pair("stride", "stride_h", "stride_w")?.unwrap_or((1, 1));
        let (vertical, horizontal) = layer.pair("pad", "pad_h", "pad_w")?.unwrap_or((0, 0));
        let own = Padding { top: vertical, bottom: vertical, left: horizontal, right: horizontal };
        let mut padding = own;
        let Some(&input) = inputs.first() else { return Err(layer.misfit("expected an input")) };
        match layer.options.text("round_mode").as_deref() {
            // Caffe rounds the number of windows up.
            None | Some("CEIL" | "0") => {
                super::widen_to_ceil(self.builder.shape(input), size, strides, &mut padding)
                    .ok_or_else(|| layer.misfit("expected windows no larger than the map"))?;
            }
            Some(_) => {}
        }
        if is_max {
            return Ok(("MaxPooling2D", Operation::Pool { pooling: Pooling::Max, size, strides, padding }));
        }
        // The padding counts in the mean, but not what the rounding adds.
        let count_padding = own != Padding::default();
        if count_padding && padding != own {
            return Err(layer.unsupported("a mean over padding and over a last window that is cut is not supported"));
        }
        Ok((
            "AveragePooling2D",
            Operation::Pool { pooling: Pooling::Average { count_padding }, size, strides, padding },
        ))
    }

    fn batch_normalization(
        &self,
        layer: &mut Layer,
        scale: Option<Layer>,
    ) -> Result<(&'static str, Operation), ImportError> {
        let epsilon = layer.number("eps", 1e-5)?;
        layer.number("moving_average_fraction", 0.999)?;
        layer.flag("use_global_stats", true)?;
        let (mean, variance): (Array1<f32>, Array1<f32>) = (self.blob(layer, 0)?, self.blob(layer, 1)?);
        let weight: Array1<f32> = self.blob(layer, 2)?;
        // Both are sums; the third blob says of how much.
        let weight = weight.first().copied().filter(|&weight| weight != 0.0).map_or(0.0, f32::recip);
        let (gamma, beta) = match scale {
            Some(mut scale) => {
                let parameters = self.scale(&mut scale)?;
                scale.finish()?;
                parameters
            }
            None => (Array1::ones(mean.len()), Array1::zeros(mean.len())),
        };
        let (mean, variance) = (mean * weight, variance * weight);
        Ok(("BatchNormalization", Operation::BatchNormalization { gamma, beta, mean, variance, epsilon }))
    }

    fn scale(&self, layer: &mut Layer) -> Result<(Array1<f32>, Array1<f32>), ImportError> {
        self.check_axis(layer, "axis")?;
        let gamma: Array1<f32> = self.blob(layer, 0)?;
        let beta = if layer.flag("bias_term", false)? { self.blob(layer, 1)? } else { Array1::zeros(gamma.len()) };
        Ok((gamma, beta))
    }
}

fn check_outputs(layer: &mut Layer, found: usize) -> Result<(), ImportError> {
    match layer.count("num_output")? {
        Some(said) if said != found => {
            Err(layer.misfit(format!("expected num_output {said}, found {found} in the weights")))
        }
        _ => Ok(()),
    }
}
