//! Layers that only move numbers: shapes, axes, zeros, cuts, enlargements; and pooling.

use super::value::{Affine, Content, Piece, Places, Spikes, Value, reading_order, sum};
use super::weights::terms;
use super::{Simplifier, Unsupported, unsupported};
use crate::parsed::{LayerKind, Route, Source, Windows};
use megasim_ann::graph::{AxisOrder, Layer, LayerId, Operation, Padding, Pooling, Shape};

impl Simplifier<'_> {
    /// Changes every part of a value's rates; weights become populations first, whose rectifier is expected to follow.
    fn each_spikes(
        &mut self,
        value: Value,
        mut of: impl FnMut(&mut Self, &Piece, Spikes) -> Result<Spikes, Unsupported>,
    ) -> Result<Value, Unsupported> {
        let value = self.spikes(value);
        let mut pieces = Vec::new();
        for piece in value.pieces {
            let Content::Sum(terms) = &piece.content else { continue };
            let terms = terms.clone().into_iter().map(|spikes| of(self, &piece, spikes));
            let content = Content::Sum(terms.collect::<Result<_, _>>()?);
            pieces.push(Piece { places: piece.places, content });
        }
        Ok(Value { shape: value.shape, pieces })
    }

    /// Flattens map after map.
    pub(super) fn flatten(&mut self, layer: &Layer, value: Value) -> Result<Value, Unsupported> {
        let shape = Shape::Features(value.shape.len());
        self.reshape(None, layer, value, AxisOrder::ChannelsFirst, shape)
    }

    /// These numbers under another shape, both read in an order. With `id` the input may be addressed anew.
    pub(super) fn reshape(
        &mut self,
        id: Option<LayerId>,
        layer: &Layer,
        value: Value,
        order: AxisOrder,
        shape: Shape,
    ) -> Result<Value, Unsupported> {
        let mut moved = vec![0; value.shape.len()];
        let (before, after) = (reading_order(value.shape, order), reading_order(shape, order));
        before.iter().zip(&after).for_each(|(&from, &to)| moved[from] = to);
        self.renumber(id, layer, value, &moved, shape)
    }

    /// Axes of the maps exchanged.
    pub(super) fn permute(
        &mut self,
        id: LayerId,
        layer: &Layer,
        value: Value,
        axes: [usize; 3],
    ) -> Result<Value, Unsupported> {
        let (Shape::Maps { channels, height, width }, Shape::Maps { height: h, width: w, .. }) =
            (value.shape, layer.shape)
        else {
            return Err(unsupported(layer, "expected maps"));
        };
        let mut moved = Vec::with_capacity(value.shape.len());
        for channel in 0..channels {
            for y in 0..height {
                for x in 0..width {
                    let at = [channel, y, x];
                    moved.push((at[axes[0]] * h + at[axes[1]]) * w + at[axes[2]]);
                }
            }
        }
        self.renumber(Some(id), layer, value, &moved, layer.shape)
    }

    /// Number `k` of the value becomes number `moved[k]` of one of another shape.
    fn renumber(
        &mut self,
        id: Option<LayerId>,
        layer: &Layer,
        value: Value,
        moved: &[usize],
        shape: Shape,
    ) -> Result<Value, Unsupported> {
        let value = self.without_zeros(layer, value)?;
        let cells = |shape: Shape| match shape {
            Shape::Maps { height, width, .. } => height * width,
            Shape::Features(_) => 1,
        };
        let (old_shape, old_cells) = (value.shape, cells(value.shape));
        let value = self.spikes(value);
        let mut pieces = Vec::new();
        for piece in value.pieces {
            let in_maps = matches!(piece.places, Places::Channels(_));
            let numbers: Vec<usize> = match &piece.places {
                Places::Channels(list) => {
                    list.iter().flat_map(|&c| (0..old_cells).map(move |cell| moved[c * old_cells + cell])).collect()
                }
                Places::Numbers(list) => list.iter().map(|&number| moved[number]).collect(),
            };
            let mut parts = terms(layer, &piece)?.to_vec();
            for spikes in &mut parts {
                if let (Some(affine), true) = (&mut spikes.affine, in_maps) {
                    let repeat = |values: &[f64]| {
                        values.iter().flat_map(|&value| std::iter::repeat_n(value, old_cells)).collect::<Vec<_>>()
                    };
                    *affine = Affine { scale: repeat(&affine.scale), shift: repeat(&affine.shift) };
                }
                let source = self.parsed.shape(spikes.source);
                if let (Shape::Features(_), Shape::Maps { .. }) = (shape, source) {
                    spikes.source = self.push(
                        &layer.name,
                        "Flatten",
                        LayerKind::Flatten { source: spikes.source },
                        Shape::Features(source.len()),
                    );
                }
            }
            pieces.push(Piece { places: Places::Numbers(numbers), content: Content::Sum(parts) });
        }
        let value = Value { shape, pieces };
        if matches!(shape, Shape::Maps { .. }) {
            if shape == old_shape && moved.iter().copied().eq(0..moved.len()) {
                return self.as_maps(layer, value);
            }
            if let Some(value) = self.address_input(id, &value) {
                return Ok(value);
            }
        }
        Ok(value)
    }

    /// The input can be addressed in any shape, as long as nothing reads it yet.
    fn address_input(&mut self, id: Option<LayerId>, value: &Value) -> Option<Value> {
        let [Piece { places: Places::Numbers(numbers), content: Content::Sum(terms) }] = &value.pieces[..] else {
            return None;
        };
        let [Spikes { source: Source::Input, affine: None, .. }] = &terms[..] else { return None };
        if !self.readers[..id?].iter().all(|readers| readers.len() == 1) {
            return None;
        }
        let old = self.parsed.input_order.take();
        let mut order = vec![0; numbers.len()];
        for (at, &number) in numbers.iter().enumerate() {
            order[number] = old.as_ref().map_or(at, |old| old[at]);
        }
        self.parsed.input = value.shape;
        self.parsed.input_order = Some(order).filter(|order| !order.iter().copied().eq(0..order.len()));
        Some(Value::new(value.shape, Content::Sum(terms.clone())))
    }

    /// This value with maps that are maps of their sources, in order; relays bring them there. A vector stays as it
    /// is.
    pub(super) fn as_maps(&mut self, layer: &Layer, value: Value) -> Result<Value, Unsupported> {
        let Shape::Maps { channels, .. } = value.shape else { return Ok(value) };
        if value.pieces.iter().all(|piece| matches!(piece.places, Places::Channels(_))) {
            return Ok(value);
        }
        let [Piece { places: Places::Numbers(numbers), .. }] = &value.pieces[..] else {
            return Err(unsupported(
                layer,
                "maps that a change of shape made of several branches cannot be read; the change of shape before the \
                    branches join can be",
            ));
        };
        let mut order = vec![0; numbers.len()];
        numbers.iter().enumerate().for_each(|(at, &number)| order[number] = at);
        let mut parts = terms(layer, &value.pieces[0])?.to_vec();
        for spikes in &mut parts {
            if spikes.affine.is_some() {
                return Err(unsupported(
                    layer,
                    "expected weights behind a batch normalisation or a leaky ReLU, found a change of shape",
                ));
            }
            let source = self.parsed.shape(spikes.source);
            // Maps that are called otherwise may just be the same maps.
            if source == value.shape && order.iter().copied().eq(0..order.len()) {
                continue;
            }
            if let Shape::Maps { .. } = source {
                let flat = Shape::Features(source.len());
                spikes.source = self.push(&layer.name, "Flatten", LayerKind::Flatten { source: spikes.source }, flat);
            }
            let route = Route::Gather { numbers: order.clone() };
            spikes.source =
                self.push(&layer.name, "Reshape", LayerKind::Relay { source: spikes.source, route }, value.shape);
        }
        let places = Places::Channels((0..channels).collect());
        Ok(Value { shape: value.shape, pieces: vec![Piece { places, content: Content::Sum(parts) }] })
    }

    /// This value without zeros that are still to be put around maps; relays do that.
    pub(super) fn without_zeros(&mut self, layer: &Layer, value: Value) -> Result<Value, Unsupported> {
        let has = |piece: &Piece| match &piece.content {
            Content::Sum(terms) => terms.iter().any(|spikes| spikes.padding != Padding::default()),
            Content::Linear(_) => false,
        };
        if value.pieces.iter().any(has) {
            let shape = value.shape;
            return self.shift(layer, "ZeroPadding2D", value, (1, 1), Padding::default(), shape);
        }
        Ok(value)
    }

    /// Enlarges maps, then cuts rows and columns off; what zeros are around them comes along.
    pub(super) fn shift(
        &mut self,
        layer: &Layer,
        kind: &str,
        value: Value,
        expand: (usize, usize),
        cut: Padding,
        shape: Shape,
    ) -> Result<Value, Unsupported> {
        let value = self.as_maps(layer, value)?;
        let Shape::Maps { height, width, .. } = shape else { return Err(unsupported(layer, "expected maps")) };
        let mut value = self.each_spikes(value, |walk, piece, mut spikes| {
            let Padding { top, left, .. } = spikes.padding;
            let offset = ((top * expand.0) as i64 - cut.top as i64, (left * expand.1) as i64 - cut.left as i64);
            if (expand, offset) == ((1, 1), (0, 0)) && spikes.padding == Padding::default() && cut == Padding::default()
            {
                return Ok(spikes);
            }
            let shape = Shape::Maps { channels: piece.places.list().len(), height, width };
            let route = Route::Shift { expand, offset };
            spikes.source = walk.push(&layer.name, kind, LayerKind::Relay { source: spikes.source, route }, shape);
            spikes.padding = Padding::default();
            Ok(spikes)
        })?;
        value.shape = shape;
        Ok(value)
    }

    /// Zeros around maps, that the next convolution or pooling takes.
    pub(super) fn zero_pad(&mut self, layer: &Layer, value: Value, padding: Padding) -> Result<Value, Unsupported> {
        let value = self.as_maps(layer, value)?;
        let mut value = self.each_spikes(value, |_, _, mut spikes| {
            if spikes.affine.as_ref().is_some_and(Affine::shifts) {
                return Err(unsupported(
                    layer,
                    "zeros around a shifted batch normalisation cannot be spikes that stay away",
                ));
            }
            spikes.has_zeros |= padding != Padding::default();
            spikes.padding = sum(spikes.padding, padding);
            Ok(spikes)
        })?;
        value.shape = layer.shape;
        Ok(value)
    }

    /// Pooling of each piece by itself.
    pub(super) fn pool(
        &mut self,
        layer: &Layer,
        value: Value,
        pooling: Pooling,
        windows: Windows,
    ) -> Result<Value, Unsupported> {
        let value = match pooling {
            Pooling::Max => self.spikes(value),
            Pooling::Average { .. } => self.rectified(value, layer)?,
        };
        let value = self.as_maps(layer, value)?;
        let (height, width) = match layer.shape {
            Shape::Maps { height, width, .. } => (height, width),
            Shape::Features(_) => (1, 1),
        };
        let several = value.pieces.iter().any(|piece| matches!(&piece.content, Content::Sum(terms) if terms.len() > 1));
        if several && pooling == Pooling::Max {
            return Err(unsupported(
                layer,
                "maximum pooling behind a leaky ReLU has no spiking form; --max-to-average, or the ReLU behind the \
                    pooling, helps",
            ));
        }
        let global = matches!(layer.operation, Operation::GlobalPool { .. });
        let mut value = self.each_spikes(value, |walk, piece, mut spikes| {
            let is_padded = sum(windows.padding, spikes.padding) != Padding::default();
            if pooling == Pooling::Max
                && is_padded
                && spikes.unrectified.is_none()
                && walk.parsed.has_sign(spikes.source)
            {
                return Err(unsupported(
                    layer,
                    "maximum pooling with padding has a spiking form only behind activations that are not below 0",
                ));
            }
            let (operation, kind) = pool_kind(layer, &spikes, pooling, windows)?;
            let shape = Shape::Maps { channels: piece.places.list().len(), height, width };
            spikes.source = walk.push(&layer.name, if global { kind } else { &layer.kind }, operation, shape);
            spikes.padding = Padding::default();
            Ok(spikes)
        })?;
        value.shape = match layer.shape {
            Shape::Features(channels) => Shape::Maps { channels, height: 1, width: 1 },
            maps => maps,
        };
        Ok(value)
    }
}

/// What one part of a pooling becomes.
fn pool_kind(
    layer: &Layer,
    spikes: &Spikes,
    pooling: Pooling,
    mut windows: Windows,
) -> Result<(LayerKind, &'static str), Unsupported> {
    let own = windows.padding;
    windows.padding = sum(own, spikes.padding);
    let shifted = spikes.affine.as_ref().is_some_and(Affine::shifts);
    match pooling {
        // Rates are not negative, so a padded zero never wins over them and may be left out.
        Pooling::Max => {
            if spikes.affine.as_ref().is_some_and(|affine| affine.scale.iter().any(|&scale| scale <= 0.0)) {
                return Err(unsupported(
                    layer,
                    "maximum pooling behind a batch normalisation with a negative scale has no spiking form",
                ));
            }
            Ok((LayerKind::MaxPool { source: spikes.source, windows }, "MaxPooling2D"))
        }
        Pooling::Average { count_padding } => {
            let padded = spikes.padding != Padding::default();
            if padded && own != Padding::default() && !count_padding {
                return Err(unsupported(
                    layer,
                    "zero padding before an average pooling that pads and does not count it cannot be converted",
                ));
            }
            if own != Padding::default() && count_padding && shifted {
                return Err(unsupported(
                    layer,
                    "an average that counts padding behind a shifted batch normalisation cannot be converted",
                ));
            }
            let count_padding = padded || count_padding;
            Ok((LayerKind::AveragePool { source: spikes.source, windows, count_padding }, "AveragePooling2D"))
        }
    }
}
