//! Activations: what neurons make of the sum of their input.

use super::value::{Affine, Content, Linear, Piece, Spikes, Value};
use super::{Quantized, Simplifier, Unsupported, unsupported};
use crate::parsed::{Connection, LayerKind, Role, Source, Weights};
use megasim_ann::graph::{Activation, Layer, LayerId, Levels, Operation, Padding, Shape};
use ndarray::{Array1, Array2, Array4};

impl Simplifier<'_> {
    pub(super) fn activation(
        &mut self,
        id: LayerId,
        layer: &Layer,
        activation: Activation,
        value: Value,
    ) -> Result<Value, Unsupported> {
        // Whoever needs weights of 1 before it needs maps in order.
        let passes = |piece: &Piece| match &piece.content {
            Content::Sum(terms) => matches!(&terms[..], [Spikes { affine: None, source: Source::Layer(_), .. }]),
            Content::Linear(_) => true,
        };
        let keeps_places = matches!(activation, Activation::RELU | Activation::Quantized(_));
        let idle = keeps_places && value.pieces.iter().all(passes);
        let computes = !matches!(activation, Activation::Linear) && !self.ends_the_network(id);
        let value = if computes && !idle { self.as_maps(layer, value)? } else { value };
        match activation {
            Activation::Linear => Ok(value),
            Activation::Relu { negative_slope: 0.0, max: None } => self.each(layer, value, Self::rectify),
            Activation::Relu { negative_slope: 0.0, max: Some(max) }
            | Activation::ClampedRelu { threshold: 0.0, max: Some(max) } => {
                self.each(layer, value, |walk, layer, value, piece| walk.clamp(layer, value, piece, max))
            }
            Activation::ClampedRelu { threshold: 0.0, max: None } => self.each(layer, value, Self::rectify),
            Activation::ClampedRelu { threshold, .. } => Err(unsupported(
                layer,
                format!(
                    "expected a ReLU that starts at 0, found one that jumps at {threshold}, which no rate does; a \
                        ReLU behind a bias of -{threshold} comes close"
                ),
            )),
            Activation::Relu { negative_slope, max } => {
                self.each(layer, value, |walk, layer, value, piece| walk.leak(layer, value, piece, negative_slope, max))
            }
            Activation::Quantized(levels) => self.quantized(id, layer, value, levels),
            Activation::Floor | Activation::Round => Err(unsupported(
                layer,
                "rounding has a spiking form only as part of a quantised activation, clip(round(x / step), lowest, \
                    highest) * step with numbers for all channels",
            )),
            Activation::BinaryStep => {
                self.each(layer, value, |walk, layer, value, piece| walk.step(layer, value, piece, (1.0, 0.0)))
            }
            Activation::BinarySign => {
                self.each(layer, value, |walk, layer, value, piece| walk.step(layer, value, piece, (2.0, -1.0)))
            }
            Activation::Softmax
            | Activation::LogSoftmax
            | Activation::Sigmoid
            | Activation::Tanh
            | Activation::Softplus { .. }
            | Activation::Elu { .. }
            | Activation::Gelu { .. }
            | Activation::Silu
            | Activation::Mish
            | Activation::HardSigmoid { .. }
            | Activation::HardSwish
            | Activation::Softsign
            | Activation::Exponential => {
                let rises = !matches!(
                    activation,
                    Activation::Gelu { .. }
                        | Activation::Silu
                        | Activation::Mish
                        | Activation::HardSigmoid { .. }
                        | Activation::HardSwish
                );
                if rises && self.ends_the_network(id) {
                    // It grows with its input, so the largest stays the largest.
                    return Ok(value);
                }
                let hint = match activation {
                    Activation::Softmax | Activation::LogSoftmax => {
                        "expected a softmax only at the output, found layers behind it".into()
                    }
                    Activation::Softplus { .. } => {
                        "a softplus (noisy softplus) is never 0 and has no spiking form here; at inference it is \
                            close to a ReLU: train or fine-tune with ReLU"
                            .into()
                    }
                    other => format!(
                        "expected ReLU, found {}, {}: its negative or saturating values are no rates; train or \
                            fine-tune with ReLU",
                        other.name(),
                        if rises { "which only the output may have" } else { "which has no spiking form" }
                    ),
                };
                Err(unsupported(layer, hint))
            }
        }
    }

    /// Whether nothing behind a layer computes.
    fn ends_the_network(&self, id: LayerId) -> bool {
        self.readers[id].iter().all(|&reader| {
            let idle = matches!(
                self.graph.layers()[reader].operation,
                Operation::TrainingOnly { .. }
                    | Operation::Flatten { .. }
                    | Operation::Reshape { .. }
                    | Operation::Activation(Activation::Linear)
            );
            idle && self.ends_the_network(reader)
        })
    }

    fn each(
        &mut self,
        layer: &Layer,
        value: Value,
        mut of: impl FnMut(&mut Self, &Layer, &Value, Piece) -> Result<Content, Unsupported>,
    ) -> Result<Value, Unsupported> {
        let pieces = value.pieces.iter().map(|piece| {
            let content = of(self, layer, &value, piece.clone())?;
            Ok(Piece { places: piece.places.clone(), content })
        });
        let pieces = pieces.collect::<Result<_, _>>()?;
        Ok(Value { shape: value.shape, pieces })
    }

    /// A ReLU.
    fn rectify(&mut self, layer: &Layer, value: &Value, piece: Piece) -> Result<Content, Unsupported> {
        let linear = match piece.content {
            Content::Linear(linear) => linear,
            Content::Sum(mut terms) => {
                if let [spikes] = &mut terms[..]
                    && spikes.affine.is_none()
                    && spikes.source != Source::Input
                {
                    spikes.unrectified = None;
                    return Ok(Content::Sum(terms));
                }
                self.expect_rectifier_next_to(layer, &terms)?;
                self.identity(layer, value, &Piece { content: Content::Sum(terms), ..piece })?
            }
        };
        Ok(Content::Sum(vec![self.population(linear, Role::Rectifier)]))
    }

    fn expect_rectifier_next_to(&self, layer: &Layer, terms: &[Spikes]) -> Result<(), Unsupported> {
        match terms.iter().find_map(|spikes| spikes.unrectified) {
            None => Ok(()),
            Some(k) => {
                let before = &self.parsed.layers[k].source_name;
                let reason = format!(
                    "expected the rectifier of '{before}' next to it, found it behind a batch normalisation or a \
                        pooling"
                );
                Err(unsupported(layer, reason))
            }
        }
    }

    /// The weights before an activation other than a plain ReLU.
    fn before(&mut self, layer: &Layer, value: &Value, piece: Piece) -> Result<Linear, Unsupported> {
        match piece.content {
            Content::Linear(linear) => Ok(linear),
            Content::Sum(ref terms) => {
                self.expect_rectifier_next_to(layer, terms)?;
                self.identity(layer, value, &piece)
            }
        }
    }

    /// `min(ReLU(x), max) = ReLU(x - ReLU(x - max))`: a second population subtracts what is too much.
    fn clamp(&mut self, layer: &Layer, value: &Value, piece: Piece, max: f32) -> Result<Content, Unsupported> {
        if max == f32::INFINITY {
            return self.rectify(layer, value, piece);
        }
        if max <= 0.0 {
            return Err(unsupported(layer, format!("expected a maximum above 0, found {max}")));
        }
        // What a maximum pooling or a flattening has before its rectifier is rectified first, which changes nothing.
        let rectified = match &piece.content {
            Content::Sum(terms) if matches!(&terms[..], [spikes] if spikes.unrectified.is_some()) => {
                Piece { content: self.rectify(layer, value, piece.clone())?, ..piece }
            }
            _ => piece,
        };
        let linear = self.before(layer, value, rectified)?;
        Ok(Content::Sum(vec![self.clamped(linear, max)]))
    }

    fn clamped(&mut self, mut linear: Linear, max: f32) -> Spikes {
        if let Quantized::AsCounts { steps } = self.quantized {
            return self.population(linear, Role::Clamped { max, steps });
        }
        let n = linear.shape.channels();
        let mut excess = linear.clone();
        excess.bias.get_or_insert_with(|| vec![0.0; n]).iter_mut().for_each(|bias| *bias -= f64::from(max));
        excess.kind.push_str("Excess");
        let excess = self.population(excess, Role::Excess);
        let weights = match linear.shape {
            Shape::Features(n) => Weights::Dense(-Array2::<f32>::eye(n)),
            Shape::Maps { channels, .. } => Weights::Convolution {
                kernels: Array4::from_elem((channels, 1, 1, 1), -1.0),
                strides: (1, 1),
                padding: Padding::default(),
                dilation: (1, 1),
                groups: channels,
            },
        };
        linear.connections.push(Connection { source: excess.source, weights });
        self.population(linear, Role::Rectifier)
    }

    /// Neurons with these levels, or what comes close to it.
    fn quantized(&mut self, id: LayerId, layer: &Layer, value: Value, levels: Levels) -> Result<Value, Unsupported> {
        let of_input = |terms: &[Spikes]| terms.iter().all(|spikes| spikes.source == Source::Input);
        let is_input = |piece: &Piece| matches!(&piece.content, Content::Sum(terms) if of_input(terms));
        // The code of an input rounds it; and the largest output stays the largest.
        let is_rounded = value.pieces.iter().all(is_input);
        match self.quantized {
            _ if is_rounded || (levels.lowest < 0 && self.ends_the_network(id)) => Ok(value),
            Quantized::AsCounts { .. } if !self.ends_the_network(id) => {
                let exclusive = self.only_reader_since_weights(id);
                self.each(layer, value, |walk, layer, value, piece| {
                    walk.with_levels(layer, value, piece, levels, exclusive)
                })
            }
            _ if levels.lowest < 0 => Ok(value),
            _ => {
                let max = levels.max() as f32;
                self.each(layer, value, |walk, layer, value, piece| walk.clamp(layer, value, piece, max))
            }
        }
    }

    /// Neurons whose counts are levels. Behind a maximum pooling or a flattening the neurons before it have them, which
    /// is the same: a larger number has no lower level.
    fn with_levels(
        &mut self,
        layer: &Layer,
        value: &Value,
        piece: Piece,
        levels: Levels,
        exclusive: bool,
    ) -> Result<Content, Unsupported> {
        if let Content::Sum(terms) = &piece.content
            && let [Spikes { source: Source::Layer(last), unrectified: Some(k), affine: None, .. }] = terms[..]
            && exclusive
            && self.parsed.layers[k + 1..=last].iter().all(|layer| match layer.operation {
                LayerKind::Flatten { .. } => true,
                // The analog pass pads with zeros.
                LayerKind::MaxPool { windows, .. } => levels.lowest >= 0 || windows.padding == Padding::default(),
                _ => false,
            })
            && let LayerKind::Population { role, .. } = &mut self.parsed.layers[k].operation
        {
            *role = Role::Quantized(levels);
            let mut terms = terms.clone();
            terms.iter_mut().for_each(|spikes| spikes.unrectified = None);
            return Ok(Content::Sum(terms));
        }
        let linear = self.before(layer, value, piece)?;
        Ok(Content::Sum(vec![self.population(linear, Role::Quantized(levels))]))
    }

    /// `max(x, 0) + slope * min(x, 0)`: the difference of two populations.
    fn leak(
        &mut self,
        layer: &Layer,
        value: &Value,
        piece: Piece,
        slope: f32,
        max: Option<f32>,
    ) -> Result<Content, Unsupported> {
        if let Some(max) = max.filter(|&max| max <= 0.0) {
            return Err(unsupported(layer, format!("expected a maximum above 0, found {max}")));
        }
        let linear = self.before(layer, value, piece)?;
        Ok(Content::Sum(self.both_signs(linear, slope, max)))
    }

    /// A leaky ReLU with a slope for each map or number.
    pub(super) fn parametric(
        &mut self,
        layer: &Layer,
        value: Value,
        slopes: &Array1<f32>,
    ) -> Result<Value, Unsupported> {
        if slopes.len() != value.shape.channels() {
            return Err(unsupported(
                layer,
                "expected one slope a channel, found one a number, which has no spiking form; in Keras, \
                 shared_axes=[1, 2] makes it one a channel",
            ));
        }
        let value = self.as_maps(layer, value)?;
        let slopes: Vec<f64> = slopes.iter().map(|&slope| slope.into()).collect();
        let shape = value.shape;
        self.each(layer, value, |walk, layer, value, piece| {
            let own = piece.places.pick(shape, &slopes);
            let linear = walk.before(layer, value, piece)?;
            let mut terms = walk.both_signs(linear, 1.0, None);
            if let [_, below] = &mut terms[..] {
                let (scale, shift) = (own.iter().map(|slope| -slope).collect(), vec![0.0; own.len()]);
                below.affine = Some(Affine { scale, shift });
            }
            Ok(Content::Sum(terms))
        })
    }

    /// `min(ReLU(x), max) - slope * ReLU(-x)`.
    pub(super) fn both_signs(&mut self, linear: Linear, slope: f32, max: Option<f32>) -> Vec<Spikes> {
        let n = linear.shape.channels();
        let mut below = linear.clone().negated();
        below.kind.push_str("Negative");
        let above = match max.filter(|max| max.is_finite()) {
            Some(max) => self.clamped(linear, max),
            None => self.population(linear, Role::Rectifier),
        };
        let mut below = self.population(below, Role::Rectifier);
        below.affine = Some(Affine::uniform(n, -f64::from(slope), 0.0));
        vec![above, below]
    }

    /// 1 where the sum is above 0; `scale` and `shift` of that.
    fn step(
        &mut self,
        layer: &Layer,
        value: &Value,
        piece: Piece,
        (scale, shift): (f64, f64),
    ) -> Result<Content, Unsupported> {
        let linear = self.before(layer, value, piece)?;
        let n = linear.shape.channels();
        let mut spikes = self.population(linear, Role::Step);
        spikes.affine = Some(Affine::uniform(n, scale, shift)).filter(|_| (scale, shift) != (1.0, 0.0));
        Ok(Content::Sum(vec![spikes]))
    }

    /// Makes a population of weights.
    pub(super) fn population(&mut self, linear: Linear, role: Role) -> Spikes {
        let bias = linear.all_biases();
        let Linear { connections, shape, name, kind, .. } = linear;
        let bias = bias.map(|bias| bias.iter().map(|&b| b as f32).collect());
        Spikes::new(self.push(&name, &kind, LayerKind::Population { connections, bias, role }, shape))
    }
}
