//! Branches: sums are connections of one population, concatenations are pieces side by side.

use super::value::{Content, Linear, Piece, Places, Value};
use super::{Simplifier, Unsupported, unsupported};
use megasim_ann::graph::{Layer, Shape};

impl Simplifier<'_> {
    /// Weights for a piece: its own, or an identity behind its rates.
    fn linear(&mut self, layer: &Layer, value: &Value, piece: &Piece) -> Result<Linear, Unsupported> {
        match &piece.content {
            Content::Linear(linear) => Ok(linear.clone()),
            Content::Sum(_) => self.identity(layer, value, piece),
        }
    }

    /// One set of weights for all pieces; `value` has no unrectified rates.
    pub(super) fn whole(&mut self, layer: &Layer, value: &Value) -> Result<Linear, Unsupported> {
        let mut sum: Option<Linear> = None;
        for piece in &value.pieces {
            let linear = self.linear(layer, value, piece)?.embed(piece.places.list(), value.shape);
            match &mut sum {
                None => sum = Some(linear),
                Some(sum) => sum.add(linear),
            }
        }
        sum.ok_or_else(|| unsupported(layer, "expected an input, found none"))
    }

    /// The sum of all inputs, piece by piece where they have the same ones.
    pub(super) fn add(&mut self, layer: &Layer, inputs: Vec<Value>) -> Result<Value, Unsupported> {
        let inputs = inputs
            .into_iter()
            .map(|value| {
                self.expect_rectified(&value, layer)?;
                self.as_maps(layer, value)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let places = |value: &Value| value.pieces.iter().map(|piece| piece.places.clone()).collect::<Vec<Places>>();
        let alike = inputs.windows(2).all(|pair| places(&pair[0]) == places(&pair[1]));
        let named = |mut linear: Linear| {
            (linear.name, linear.kind) = (layer.name.clone(), layer.kind.clone());
            Content::Linear(linear)
        };
        if !alike {
            let mut sum: Option<Linear> = None;
            for value in &inputs {
                let linear = self.whole(layer, value)?;
                match &mut sum {
                    None => sum = Some(linear),
                    Some(sum) => sum.add(linear),
                }
            }
            let sum = sum.ok_or_else(|| unsupported(layer, "expected an input, found none"))?;
            return Ok(Value::new(layer.shape, named(sum)));
        }
        let mut pieces = Vec::new();
        for k in 0..inputs[0].pieces.len() {
            let mut sum = self.linear(layer, &inputs[0], &inputs[0].pieces[k])?;
            for value in &inputs[1..] {
                sum.add(self.linear(layer, value, &value.pieces[k])?);
            }
            pieces.push(Piece { places: inputs[0].pieces[k].places.clone(), content: named(sum) });
        }
        Ok(Value { shape: layer.shape, pieces })
    }

    /// Inputs one after another along the channels (or numbers).
    pub(super) fn concatenate(&mut self, layer: &Layer, inputs: Vec<Value>) -> Result<Value, Unsupported> {
        let mut first = 0;
        let mut all = Vec::new();
        for value in inputs {
            let value = self.as_maps(layer, value)?;
            let n = value.shape.channels();
            all.extend(value.pieces.into_iter().map(|mut piece| {
                match &mut piece.places {
                    Places::Channels(list) | Places::Numbers(list) => list.iter_mut().for_each(|at| *at += first),
                }
                piece
            }));
            first += n;
        }
        Ok(Value { shape: layer.shape, pieces: all })
    }

    /// The output of the network: one vector in order, made of the last value.
    pub(super) fn one_vector(&mut self, layer: &Layer, value: Value) -> Result<Value, Unsupported> {
        match value.shape {
            Shape::Features(_) => Ok(value),
            Shape::Maps { .. } => self.flatten(layer, value),
        }
    }
}
