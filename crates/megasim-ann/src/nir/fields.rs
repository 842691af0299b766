//! The fields of one node.

use super::{Convolution, Neurons, Primitive};
use crate::graph::MAX_LAYER_SIZE;
use crate::import::ImportError;
use crate::import::hdf5::File;
use ndarray::{Array1, ArrayD, Axis, Ix1, Ix2, Ix3, Ix4};
use std::collections::{BTreeMap, BTreeSet};

/// The types that are known, for messages.
const KINDS: &str = "Input, Output, Affine, Linear, Conv1d, Conv2d, SumPool2d, AvgPool2d, Flatten, IF, LIF, CubaLIF, \
    I, LI, CubaLI, Scale, Threshold, Delay and NIRGraph";

/// The data sets of one group.
pub(super) struct Fields<'f> {
    file: &'f File,
    path: String,
    names: BTreeSet<String>,
}

impl<'f> Fields<'f> {
    pub(super) fn open(file: &'f File, path: &str) -> Result<Self, ImportError> {
        Ok(Self { file, path: path.into(), names: file.data_sets(path)?.into_iter().collect() })
    }

    fn at(&self, name: &str) -> String {
        if self.path.is_empty() { name.into() } else { format!("{}/{name}", self.path) }
    }

    fn place(&self, name: &str) -> String {
        format!("HDF5 '{}'", self.at(name))
    }

    pub(super) fn missing(&self, name: &str) -> ImportError {
        ImportError::damaged(format!("HDF5 '{}'", self.path), format!("expected a data set '{name}', found none"))
    }

    fn fault(&self, name: &str, expected: &str, found: impl std::fmt::Display) -> ImportError {
        ImportError::damaged(self.place(name), format!("expected {expected}, found {found}"))
    }

    /// A string, where there is one.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, ImportError> {
        if !self.names.contains(name) {
            return Ok(None);
        }
        let texts = match self.file.texts(&self.at(name)) {
            Ok(texts) => texts,
            Err(problem) => return Err(self.file.doubles(&self.at(name)).map_or(problem, |n| self.no_text(name, &n))),
        };
        match (texts.len(), texts.first()) {
            (1, Some(text)) => Ok(Some(text.clone())),
            (n, _) => Err(self.fault(name, "one string", format_args!("{n}"))),
        }
    }

    fn no_text(&self, name: &str, numbers: &ArrayD<f64>) -> ImportError {
        let found = match numbers.first() {
            Some(number) if numbers.len() == 1 => format!("the number {number}"),
            _ => format!("{} numbers", numbers.len()),
        };
        let known = if name == "type" { format!(", one of {KINDS}") } else { String::new() };
        self.fault(name, &format!("a string{known}"), format_args!("{found}; nir.write of package nir writes strings"))
    }

    /// All data sets that are a text or a number.
    pub(super) fn as_text(&self) -> BTreeMap<String, String> {
        let text = |name: &String| {
            let text = self.file.texts(&self.at(name)).ok().and_then(|texts| texts.first().cloned());
            let number = || Some(self.file.doubles(&self.at(name)).ok()?.first()?.to_string());
            Some((name.clone(), text.or_else(number)?))
        };
        self.names.iter().filter_map(text).collect()
    }

    pub(super) fn edges(&self) -> Result<Vec<[String; 2]>, ImportError> {
        if !self.names.contains("edges") {
            return Err(self.missing("edges"));
        }
        let texts = self.file.texts(&self.at("edges"))?;
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        if texts.ndim() != 2 || texts.shape()[1] != 2 {
            return Err(self.fault("edges", "pairs of names", format_args!("shape {:?}", texts.shape())));
        }
        Ok(texts.rows().into_iter().map(|row| [row[0].clone(), row[1].clone()]).collect())
    }

    /// Finite numbers, where there are any.
    fn optional(&self, name: &str) -> Result<Option<ArrayD<f64>>, ImportError> {
        if !self.names.contains(name) {
            return Ok(None);
        }
        let numbers = self.file.doubles(&self.at(name))?;
        match numbers.iter().find(|number| !number.is_finite()) {
            Some(number) => Err(self.fault(name, "finite numbers", number)),
            None => Ok(Some(numbers)),
        }
    }

    fn numbers(&self, name: &str) -> Result<ArrayD<f64>, ImportError> {
        let numbers = self.optional(name)?.ok_or_else(|| self.missing(name))?;
        if numbers.is_empty() { Err(self.fault(name, "numbers", "none")) } else { Ok(numbers) }
    }

    fn positive(&self, name: &str) -> Result<ArrayD<f64>, ImportError> {
        let numbers = self.numbers(name)?;
        match numbers.iter().find(|number| **number <= 0.0) {
            Some(number) => Err(self.fault(name, "numbers above 0", number)),
            None => Ok(numbers),
        }
    }

    /// Sizes; `least` is the smallest.
    fn sizes(&self, name: &str, least: usize) -> Result<Vec<usize>, ImportError> {
        let size = |&number: &f64| {
            let fits = number >= least as f64 && number <= MAX_LAYER_SIZE as f64 && number.fract() == 0.0;
            if fits {
                Ok(number as usize)
            } else {
                Err(self.fault(name, &format!("whole numbers from {least} to {MAX_LAYER_SIZE}"), number))
            }
        };
        self.numbers(name)?.iter().map(size).collect()
    }

    /// A pair; of one number both. With one axis in space the first is `across`.
    fn pair(&self, name: &str, (axes, across): (usize, usize), least: usize) -> Result<(usize, usize), ImportError> {
        let sizes = self.sizes(name, least)?;
        match (&sizes[..], axes) {
            (&[size], 1) => Ok((across, size)),
            (&[size], _) => Ok((size, size)),
            (&[vertical, horizontal], 2) => Ok((vertical, horizontal)),
            _ => Err(self.fault(name, &format!("{axes} numbers or one"), sizes.len())),
        }
    }

    fn shape(&self, name: &str) -> Result<Vec<usize>, ImportError> {
        let shape = self.sizes(name, 1)?;
        let size = shape.iter().try_fold(1usize, |n, &size| n.checked_mul(size));
        match (shape.len(), size) {
            (1..=3, Some(size)) if size <= MAX_LAYER_SIZE => Ok(shape),
            _ => {
                let expected = format!("one to three sizes, at most {MAX_LAYER_SIZE} in all");
                Err(self.fault(name, &expected, format_args!("{shape:?}")))
            }
        }
    }

    fn axis(&self, name: &str, default: i64) -> Result<i64, ImportError> {
        match self.optional(name)? {
            None => Ok(default),
            Some(numbers) => match numbers.first() {
                Some(number) if numbers.len() == 1 && number.fract() == 0.0 && number.abs() <= 8.0 => {
                    Ok(*number as i64)
                }
                _ => Err(self.fault(name, "the number of an axis", numbers)),
            },
        }
    }

    fn bias(&self, outputs: usize) -> Result<Option<Array1<f64>>, ImportError> {
        let Some(bias) = self.optional("bias")? else { return Ok(None) };
        match bias.into_dimensionality::<Ix1>() {
            Ok(bias) if bias.len() == outputs => Ok(Some(bias)),
            Ok(bias) => Err(self.fault("bias", &format!("{outputs} numbers, as there are outputs"), bias.len())),
            Err(_) => Err(self.fault("bias", "one axis", "another number of axes")),
        }
    }

    fn convolution(&self, axes: usize) -> Result<Primitive, ImportError> {
        let weight = self.numbers("weight")?;
        let shape = format!("{:?}", weight.shape());
        let weight = match axes {
            1 => weight.into_dimensionality::<Ix3>().map(|weight| weight.insert_axis(Axis(2))),
            _ => weight.into_dimensionality::<Ix4>(),
        };
        let weight =
            weight.map_err(|_| self.fault("weight", &format!("{} axes", axes + 2), format_args!("shape {shape}")))?;
        let groups = match self.sizes("groups", 1)?[..] {
            [groups] if weight.dim().0 % groups == 0 => groups,
            ref groups => {
                let expected = format!("one number that divides {} output channels", weight.dim().0);
                return Err(self.fault("groups", &expected, format_args!("{groups:?}")));
            }
        };
        let padding = self.file.texts(&self.at("padding")).ok().and_then(|texts| texts.first().cloned());
        let padding = match padding.as_deref() {
            Some("same") => None,
            Some("valid") => Some((0, 0)),
            Some(other) => return Err(self.fault("padding", "numbers, 'same' or 'valid'", format_args!("'{other}'"))),
            None => Some(self.pair("padding", (axes, 0), 0)?),
        };
        // Files that leave it out have no data set, or a text that says so.
        let is_text = self.file.texts(&self.at("input_shape")).is_ok();
        let input = match self.names.contains("input_shape") && !is_text {
            true => Some(self.sizes("input_shape", 1)?).filter(|sizes| !sizes.is_empty()),
            false => None,
        };
        Ok(Primitive::Convolution(Convolution {
            axes,
            bias: self.bias(weight.dim().0)?,
            stride: self.pair("stride", (axes, 1), 1)?,
            padding,
            dilation: self.pair("dilation", (axes, 1), 1)?,
            groups,
            input,
            weight,
        }))
    }

    fn neurons(&self, leak: Option<&str>, synapse: bool, spikes: bool) -> Result<Primitive, ImportError> {
        let leak = match leak {
            Some(tau) => Some((self.positive(tau)?, self.numbers("v_leak")?)),
            None => None,
        };
        let synapse = if synapse { Some((self.positive("tau_syn")?, self.numbers("w_in")?)) } else { None };
        let spikes = if spikes { Some((self.numbers("v_threshold")?, self.optional("v_reset")?)) } else { None };
        Ok(Primitive::Neurons(Box::new(Neurons { r: self.numbers("r")?, leak, synapse, spikes })))
    }

    /// What the node is.
    ///
    /// # Errors
    /// [`ImportError::Unsupported`] without a name where the type is not known.
    pub(super) fn primitive(&self, kind: &str) -> Result<Primitive, ImportError> {
        let pair = |name, least| self.pair(name, (2, 0), least);
        Ok(match kind {
            "Input" => Primitive::Input(self.shape("shape")?),
            "Output" => Primitive::Output(self.shape("shape")?),
            "Affine" | "Linear" => {
                let weight = self.numbers("weight")?.into_dimensionality::<Ix2>();
                let weight = weight.map_err(|_| self.fault("weight", "two axes", "another number of axes"))?;
                let bias = if kind == "Affine" { self.bias(weight.nrows())? } else { None };
                Primitive::Linear { weight, bias }
            }
            "Conv1d" => self.convolution(1)?,
            "Conv2d" => self.convolution(2)?,
            "SumPool2d" | "AvgPool2d" => Primitive::Pool {
                average: kind == "AvgPool2d",
                size: pair("kernel_size", 1)?,
                stride: pair("stride", 1)?,
                padding: pair("padding", 0)?,
            },
            "Flatten" => Primitive::Flatten { start: self.axis("start_dim", 0)?, end: self.axis("end_dim", -1)? },
            "IF" => self.neurons(None, false, true)?,
            "I" => self.neurons(None, false, false)?,
            "LIF" => self.neurons(Some("tau"), false, true)?,
            "LI" => self.neurons(Some("tau"), false, false)?,
            "CubaLIF" => self.neurons(Some("tau_mem"), true, true)?,
            "CubaLI" => self.neurons(Some("tau_mem"), true, false)?,
            "Scale" => Primitive::Scale(self.numbers("scale")?),
            "Threshold" => Primitive::Threshold(self.numbers("threshold")?),
            "Delay" => {
                let delay = self.numbers("delay")?;
                if let Some(negative) = delay.iter().find(|delay| **delay < 0.0) {
                    return Err(self.fault("delay", "numbers from 0 on", negative));
                }
                Primitive::Delay(delay)
            }
            _ => {
                let message = format!("not supported; the types of nodes are {KINDS}");
                return Err(ImportError::Unsupported { layer: String::new(), kind: kind.into(), message });
            }
        })
    }
}
