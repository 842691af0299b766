//! Channels picked, dropped and reordered, and numbers added one by one.

use super::value::{Content, Linear, Piece, Places, Value};
use super::{Simplifier, Unsupported};
use megasim_ann::graph::{Layer, Shape};
use ndarray::Array1;

impl Simplifier<'_> {
    /// Map (or number) `k` of the output is map `from[k]` of the value, or zeros.
    pub(super) fn channels(
        &mut self,
        layer: &Layer,
        value: Value,
        from: &[Option<usize>],
    ) -> Result<Value, Unsupported> {
        let mut value = self.as_maps(layer, value)?;
        let n = value.shape.channels();
        let mut to: Vec<Option<usize>> = vec![None; n];
        from.iter().enumerate().for_each(|(k, from)| {
            if let Some(from) = *from {
                to[from] = Some(k);
            }
        });
        // Only reordered: what reads them reads others.
        let places: Option<Vec<usize>> = to.into_iter().collect();
        if let (Some(places), true) = (places, from.len() == n) {
            for piece in &mut value.pieces {
                match &mut piece.places {
                    Places::Channels(list) | Places::Numbers(list) => list.iter_mut().for_each(|at| *at = places[*at]),
                }
            }
            value.shape = layer.shape;
            return Ok(value);
        }
        self.expect_rectified(&value, layer)?;
        let mut linear = self.whole(layer, &value)?.select(from, layer.shape);
        (linear.name, linear.kind) = (layer.name.clone(), layer.kind.clone());
        Ok(Value::linear(linear))
    }

    /// One number added to each number of a value.
    pub(super) fn add_bias(&mut self, layer: &Layer, value: Value, bias: &Array1<f32>) -> Result<Value, Unsupported> {
        let value = self.as_maps(layer, value)?;
        self.expect_rectified(&value, layer)?;
        let mut pieces = Vec::new();
        for piece in &value.pieces {
            let shape = value.piece_shape(piece);
            let mut linear: Linear = match &piece.content {
                Content::Linear(linear) => linear.clone(),
                Content::Sum(_) => self.identity(layer, &value, piece)?,
            };
            let cells = match shape {
                Shape::Features(_) => 1,
                Shape::Maps { height, width, .. } => height * width,
            };
            let own = piece.places.list().iter().flat_map(|&at| bias.iter().skip(at * cells).take(cells));
            let border = linear.border.get_or_insert_with(|| vec![0.0; shape.len()]);
            border.iter_mut().zip(own).for_each(|(border, &bias)| *border += f64::from(bias));
            pieces.push(Piece { places: piece.places.clone(), content: Content::Linear(linear) });
        }
        Ok(Value { shape: value.shape, pieces })
    }
}
