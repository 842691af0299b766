//! Trained networks.

use crate::array::Numbers;
use crate::network::Network;
use crate::{error, work};
use megasim::ann::forward;
use megasim::ann::import::{self, ReadOptions};
use megasim::cli::options;
use megasim::convert::Checkpoints;
use megasim::dataset::Format;
use megasim::{Convert, Dataset};
use numpy::{IntoPyArray, PyArray2};
use pyo3::prelude::*;
use std::path::PathBuf;

/// A trained network.
#[pyclass(module = "megasim._megasim", frozen)]
pub struct Model(import::Model);

/// A layer of a trained network: name, kind, inputs, output shape, parameters.
type Layer = (String, String, Vec<String>, Vec<usize>);

#[pymethods]
impl Model {
    #[staticmethod]
    #[pyo3(signature = (path, architecture=None, input_shape=None))]
    fn open(
        py: Python<'_>,
        path: PathBuf,
        architecture: Option<PathBuf>,
        input_shape: Option<Vec<usize>>,
    ) -> PyResult<Self> {
        let model = py.detach(|| import::read_as(&path, ReadOptions { architecture, input_shape }));
        model.map(Self).map_err(|error| error::model(&path, error))
    }

    #[getter]
    fn path(&self) -> PathBuf {
        self.0.source.path.clone()
    }

    #[getter]
    fn sha256(&self) -> String {
        self.0.source.sha256.clone()
    }

    #[getter]
    fn input_shape(&self) -> Vec<usize> {
        self.0.input_shape().sizes()
    }

    #[getter]
    fn classes(&self) -> usize {
        self.0.classes()
    }

    #[getter]
    fn layers(&self) -> Vec<Layer> {
        let layers = self.0.graph.layers();
        let inputs = |of: &[usize]| of.iter().map(|&layer| layers[layer].name.clone()).collect();
        layers
            .iter()
            .map(|layer| (layer.name.clone(), layer.kind.clone(), inputs(&layer.inputs), layer.shape.sizes()))
            .collect()
    }

    /// Outputs for samples, `(samples, classes)`.
    fn predict<'py>(&self, py: Python<'py>, x: Numbers<'py>) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let data = Dataset::in_memory(None, Some(x.array()));
        let format = Format { shape: self.0.input_shape(), classes: self.0.classes() };
        let outputs = py.detach(|| {
            let samples = data.normalization(&format).map_err(|error| of_predict(&error))?;
            forward::forward(&self.0.graph, samples.view()).map_err(error::value)
        })?;
        Ok(outputs.into_pyarray(py))
    }

    /// The converted network, warnings, the number of test samples, and the accuracy of the analog network after each
    /// step.
    #[pyo3(signature = (x_norm, test, words, progress=None))]
    fn convert(
        &self,
        py: Python<'_>,
        x_norm: Option<Numbers<'_>>,
        test: Option<(Numbers<'_>, Numbers<'_>)>,
        words: Vec<String>,
        progress: Option<Bound<'_, PyAny>>,
    ) -> PyResult<(Network, Vec<String>, usize, Vec<(&'static str, f64)>)> {
        let options = options::convert(&words, &self.0).map_err(error::refusal)?;
        let test = test.map(|(x, y)| (x.array(), y.array()));
        let data = Dataset::in_memory(test, x_norm.map(|x| x.array()));
        let (conversion, mut warnings) = work::run(py, progress.as_ref(), |control| {
            self.0.convert_with(&data, &options, &Checkpoints::default(), control)
        })?;
        let conversion = conversion.map_err(error::conversion)?;
        warnings.extend(conversion.warnings.iter().map(ToString::to_string));
        let network = Network::of(conversion.converted);
        Ok((network, warnings, conversion.stages.samples, conversion.stages.steps))
    }

    fn __repr__(&self) -> String {
        let shape = self.0.input_shape();
        format!("<megasim.Model {:?}: input {shape}, {} classes>", self.0.source.path, self.0.classes())
    }
}

fn of_predict(error: &megasim::dataset::Error) -> PyErr {
    error::message(error.to_string().replacen("x_norm: ", "x: ", 1))
}
