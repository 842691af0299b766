//! Single-spike networks that learn by STDP.

use crate::{error, work};
use megasim::learning::{self, Description, Evaluator, Model, SpikingNetwork, Stimuli, Trainer};
use numpy::ndarray::{Array3, Axis};
use numpy::{IntoPyArray, PyArray2, PyArray3, PyReadonlyArray3};
use pyo3::prelude::*;
use rayon::prelude::*;
use std::fs::File;
use std::ops::ControlFlow;
use std::path::PathBuf;

/// A network of single-spike layers, with weights of 32 bits.
#[pyclass(module = "megasim._megasim")]
pub struct StdpNetwork {
    network: SpikingNetwork<f32>,
    progress: learning::Progress,
}

/// A fault with the file that it is in.
fn at(path: &PathBuf, error: impl std::fmt::Display) -> PyErr {
    error::message(format!("{}: {error}", path.display()))
}

#[pymethods]
impl StdpNetwork {
    #[staticmethod]
    fn from_toml(path: PathBuf, seed: u64) -> PyResult<Self> {
        let text = std::fs::read_to_string(&path).map_err(|source| {
            let message = format!("{}: cannot be read: {source}", path.display());
            match source.kind() {
                std::io::ErrorKind::NotFound => pyo3::exceptions::PyFileNotFoundError::new_err(message),
                _ => pyo3::exceptions::PyOSError::new_err(message),
            }
        })?;
        let description = Description::from_toml(&text).map_err(|error| at(&path, error))?;
        let network = SpikingNetwork::new(&description, seed).map_err(error::value)?;
        let progress = Trainer::new(network.clone(), seed).progress().clone();
        Ok(Self { network, progress })
    }

    #[staticmethod]
    fn open(path: PathBuf) -> PyResult<Self> {
        let file = File::open(&path).map_err(|source| {
            pyo3::exceptions::PyFileNotFoundError::new_err(format!("{}: cannot be read: {source}", path.display()))
        })?;
        let model = Model::read(file).map_err(|error| at(&path, error))?;
        match model.network {
            learning::AnyNetwork::Float(network) => Ok(Self { network, progress: model.progress }),
            learning::AnyNetwork::Fixed(_) => {
                Err(at(&path, "expected weights of 32-bit floats, found fixed-point ones"))
            }
        }
    }

    /// The size of its images, rows and columns.
    #[getter]
    fn input_shape(&self) -> (usize, usize) {
        let input = &self.network.description().input;
        (input.height, input.width)
    }

    /// Trains all layers; images `(samples, rows, columns)` of pixels between 0 and 1.
    #[pyo3(signature = (images, labels, progress=None))]
    fn train(
        &mut self,
        py: Python<'_>,
        images: PyReadonlyArray3<'_, f32>,
        labels: Vec<usize>,
        progress: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let images: Array3<f32> = images.as_array().to_owned();
        let mut trainer = Trainer::resume(self.network.clone(), self.progress.clone());
        let (trained, _) = work::run(py, progress.as_ref(), |control| {
            let stimuli = Stimuli::encode(trainer.network().encoder(), images.view(), &labels)?;
            let mut layer = usize::MAX;
            let mut before = 0;
            trainer.run(&stimuli, 50, |trainer| {
                let now = trainer.progress();
                if now.layer != layer {
                    (layer, before) = (now.layer, 0);
                    control.start(&format!("layer {}", layer + 1), trainer.passes() * stimuli.len());
                }
                let count = usize::try_from(now.count).unwrap_or(usize::MAX);
                control.done(count.saturating_sub(before));
                before = count;
                if control.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
            Ok::<_, learning::Error>(trainer.into_parts())
        })?;
        (self.network, self.progress) = trained.map_err(error::value)?;
        Ok(())
    }

    /// Which neurons of the last layer spike, `(samples, neurons)`.
    fn features<'py>(
        &self,
        py: Python<'py>,
        images: PyReadonlyArray3<'py, f32>,
    ) -> PyResult<Bound<'py, PyArray2<bool>>> {
        let images: Array3<f32> = images.as_array().to_owned();
        let neurons = self.network.shape(self.network.len()).len();
        let features = py.detach(|| {
            let evaluator = Evaluator::new(&self.network).map_err(error::value)?;
            let sets: Vec<_> = (0..images.dim().0)
                .into_par_iter()
                .map_with(evaluator, |evaluator, number| {
                    evaluator.encode(images.index_axis(Axis(0), number)).map(|wave| evaluator.features(&wave))
                })
                .collect::<Result<_, _>>()
                .map_err(error::value)?;
            let mut features = numpy::ndarray::Array2::from_elem((images.dim().0, neurons), false);
            for (mut row, set) in features.rows_mut().into_iter().zip::<Vec<Vec<u32>>>(sets) {
                set.into_iter().for_each(|neuron| row[neuron as usize] = true);
            }
            Ok::<_, PyErr>(features)
        })?;
        Ok(features.into_pyarray(py))
    }

    /// The class that each image is decided as, -1 where none is.
    fn decide(&self, py: Python<'_>, images: PyReadonlyArray3<'_, f32>) -> PyResult<Vec<i64>> {
        let images: Array3<f32> = images.as_array().to_owned();
        py.detach(|| {
            let evaluator = Evaluator::new(&self.network).map_err(error::value)?;
            (0..images.dim().0)
                .into_par_iter()
                .map_with(evaluator, |evaluator, number| {
                    let wave = evaluator.encode(images.index_axis(Axis(0), number))?;
                    Ok(evaluator.decide(&wave).map_or(-1, |class| class as i64))
                })
                .collect::<Result<_, learning::Error>>()
                .map_err(error::value)
        })
    }

    /// Spike times of one image in front of the first layer: the bin of each, the number of bins where there is none.
    fn latencies<'py>(
        &self,
        py: Python<'py>,
        image: numpy::PyReadonlyArray2<'py, f32>,
    ) -> PyResult<Bound<'py, PyArray3<u32>>> {
        let wave = self.network.encoder().encode(image.as_array()).map_err(error::value)?;
        Ok(wave.latencies().into_pyarray(py))
    }
}

/// A difference of two Gaussians.
#[pyfunction]
fn difference_of_gaussians(py: Python<'_>, window: usize, sigma1: f64, sigma2: f64) -> Bound<'_, PyArray2<f64>> {
    learning::DoGKernel { window_size: window, sigma1, sigma2 }.values().into_pyarray(py)
}

/// A Gabor kernel; the orientation in degrees.
#[pyfunction]
fn gabor(py: Python<'_>, window: usize, orientation: f64, div: f64) -> Bound<'_, PyArray2<f64>> {
    learning::GaborKernel { window_size: window, orientation, div }.values().into_pyarray(py)
}

/// Intensities, `(maps, rows, columns)`, as bins of spikes.
#[pyfunction]
fn latency_code<'py>(
    py: Python<'py>,
    intensities: PyReadonlyArray3<'py, f32>,
    bins: u32,
) -> PyResult<Bound<'py, PyArray3<u32>>> {
    let code = learning::Intensity2Latency::new(bins).map_err(error::value)?;
    let wave = code.transform(intensities.as_array()).map_err(error::value)?;
    Ok(wave.latencies().into_pyarray(py))
}

pub fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<StdpNetwork>()?;
    module.add_function(wrap_pyfunction!(difference_of_gaussians, module)?)?;
    module.add_function(wrap_pyfunction!(gabor, module)?)?;
    module.add_function(wrap_pyfunction!(latency_code, module)?)
}
