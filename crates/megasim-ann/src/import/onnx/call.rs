//! A node of an ONNX graph and its attributes.

use super::super::{ImportError, ModelFile};
use super::constants::Constant;
use super::proto;
use ndarray::ArrayD;
use std::collections::BTreeSet;

/// A node, its attributes taken once each so that one which was not understood is found.
pub(super) struct Call<'a> {
    node: &'a proto::Node,
    file: &'a ModelFile,
    pub(super) opset: i64,
    taken: BTreeSet<&'static str>,
}

impl<'a> Call<'a> {
    pub(super) fn new(node: &'a proto::Node, file: &'a ModelFile, opset: i64) -> Self {
        Self { node, file, opset, taken: BTreeSet::new() }
    }

    /// How many outputs it has.
    pub(super) fn outputs(&self) -> usize {
        self.node.output.len()
    }

    pub(super) fn operation(&self) -> &'a str {
        &self.node.op_type
    }

    /// Name of the node; where it has none, of what it gives.
    pub(super) fn name(&self) -> &'a str {
        match &self.node.name[..] {
            "" => self.node.output.first().map_or("", |name| name),
            name => name,
        }
    }

    /// A refusal that names the node.
    pub(super) fn unsupported(&self, message: impl Into<String>) -> ImportError {
        ImportError::Unsupported { layer: self.name().into(), kind: self.operation().into(), message: message.into() }
    }

    /// What comes in, or a size, is not what the layer takes.
    pub(super) fn misfit(&self, message: impl Into<String>) -> ImportError {
        ImportError::Misfit { layer: self.name().into(), kind: self.operation().into(), message: message.into() }
    }

    pub(super) fn attribute(&mut self, name: &'static str) -> Option<&'a proto::Attribute> {
        self.taken.insert(name);
        self.node.attribute.iter().find(|attribute| attribute.name == name)
    }

    pub(super) fn integer_or(&mut self, name: &'static str, default: i64) -> Result<i64, ImportError> {
        Ok(self.attribute(name).map_or(default, |attribute| attribute.i))
    }

    pub(super) fn number_or(&mut self, name: &'static str, default: f32) -> f32 {
        self.attribute(name).map_or(default, |attribute| attribute.f)
    }

    pub(super) fn string_or(&mut self, name: &'static str, default: &'static str) -> Result<&'a str, ImportError> {
        let Some(attribute) = self.attribute(name) else { return Ok(default) };
        std::str::from_utf8(&attribute.s).map_err(|_| self.misfit(format!("expected text as attribute '{name}'")))
    }

    pub(super) fn integers(&mut self, name: &'static str) -> Result<Option<Vec<i64>>, ImportError> {
        Ok(self.attribute(name).map(|attribute| attribute.ints.clone()))
    }

    pub(super) fn counts(&mut self, name: &'static str) -> Result<Option<Vec<usize>>, ImportError> {
        let Some(values) = self.integers(name)? else { return Ok(None) };
        let counts = values.iter().map(|&value| usize::try_from(value).ok()).collect::<Option<Vec<_>>>();
        match counts {
            Some(counts) => Ok(Some(counts)),
            None => Err(self.misfit(format!("expected counts as attribute '{name}', found {values:?}"))),
        }
    }

    pub(super) fn tensor(&mut self, name: &'static str) -> Result<Option<Constant>, ImportError> {
        let tensor = self.attribute(name).and_then(|attribute| attribute.t.as_ref());
        tensor.map(|tensor| Constant::decode(tensor, self.file)).transpose()
    }

    /// The attribute `axes`, which became an input.
    pub(super) fn axes(&mut self, input: Option<&Constant>) -> Result<Option<Vec<i64>>, ImportError> {
        match input {
            Some(constant) => Ok(constant.integers()),
            None => self.integers("axes"),
        }
    }

    /// The attribute `perm`, default the reverse.
    pub(super) fn permutation(&mut self, rank: usize) -> Result<Vec<usize>, ImportError> {
        let axes = self.counts("perm")?.unwrap_or_else(|| (0..rank).rev().collect());
        let mut sorted = axes.clone();
        sorted.sort_unstable();
        if !sorted.iter().copied().eq(0..rank) {
            return Err(self.misfit(format!("expected {rank} axes in some order as 'perm', found {axes:?}")));
        }
        Ok(axes)
    }

    /// The value of a `Constant` node.
    pub(super) fn constant(&mut self) -> Result<Constant, ImportError> {
        if let Some(constant) = self.tensor("value")? {
            return Ok(constant);
        }
        let array = |values: Vec<f32>| ArrayD::from_shape_vec(vec![values.len()], values);
        let scalar = |value: f32| Constant::Floats(ArrayD::from_elem(vec![], value));
        if let Some(attribute) = self.attribute("value_float") {
            return Ok(scalar(attribute.f));
        }
        if let Some(attribute) = self.attribute("value_int") {
            return Ok(Constant::Integers(ArrayD::from_elem(vec![], attribute.i)));
        }
        if let Some(attribute) = self.attribute("value_ints") {
            return Ok(Constant::of_integers(attribute.ints.clone()));
        }
        let floats = self.attribute("value_floats").and_then(|attribute| array(attribute.floats.clone()).ok());
        floats.map(Constant::Floats).ok_or_else(|| self.misfit("expected a constant of numbers"))
    }

    /// Refuses attributes that are left.
    pub(super) fn finish(&self) -> Result<(), ImportError> {
        match self.node.attribute.iter().find(|attribute| !self.taken.contains(attribute.name.as_str())) {
            // Of the first operator sets; where inputs may be overwritten.
            Some(attribute) if attribute.name == "consumed_inputs" => Ok(()),
            Some(attribute) => Err(self.unsupported(format!("attribute '{}' is not supported", attribute.name))),
            None => Ok(()),
        }
    }
}
