//! Converted networks and their studies.

use crate::array::Numbers;
use crate::{error, work};
use megasim::atomic_write::Overwrite;
use megasim::cli::options::{self, Threaded};
use megasim::dataset::{Dataset, Format};
use megasim::engine::{Mode, Plan, Probes, Simulation};
use megasim::network::{Driver, EventLog, NodeId, Polarity, Tick};
use megasim::study::classification::{self, Classification, Modes, Outcome, classify, network_for};
use megasim::study::latency::latency;
use megasim::study::sweep::MachineSubject;
use megasim::study::verify::verify;
use megasim::{Control, ConvertedModel, LabelledSamples};
use numpy::ndarray::Array2;
use numpy::{IntoPyArray, PyArray1, PyArray2};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::path::PathBuf;
use std::sync::Arc;

/// A converted network.
#[pyclass(module = "megasim._megasim", frozen)]
#[derive(Clone)]
pub struct Network(pub Arc<ConvertedModel>);

/// Events of a node: `t`, `t_request`, `t_acknowledge`, `x`, `y`, `polarity`.
type Columns<'py> = (
    Bound<'py, PyArray1<i64>>,
    Bound<'py, PyArray1<i64>>,
    Bound<'py, PyArray1<i64>>,
    Bound<'py, PyArray1<i32>>,
    Bound<'py, PyArray1<i32>>,
    Bound<'py, PyArray1<i8>>,
);

/// The columns of a log as arrays that own its memory; polarities, which are bytes already, are changed in place.
pub fn columns(py: Python<'_>, log: EventLog) -> Columns<'_> {
    let EventLog { t_pre, t_rqst, t_ack, x, y, polarity, value: _ } = log;
    let signs: Vec<i8> = polarity.into_iter().map(|polarity| polarity as i8).collect();
    (
        t_pre.into_pyarray(py),
        t_rqst.into_pyarray(py),
        t_ack.into_pyarray(py),
        x.into_pyarray(py),
        y.into_pyarray(py),
        signs.into_pyarray(py),
    )
}

impl Network {
    pub fn of(converted: ConvertedModel) -> Self {
        Self(Arc::new(converted))
    }

    fn format(&self) -> Format {
        Format { shape: self.0.input_shape(), classes: self.0.classes() }
    }

    /// Samples of the caller, and a warning where an input cannot fire what they hold; without labels all are of class
    /// 0, which callers do not show.
    fn samples(&self, data: &Dataset, skip: usize, most: Option<usize>) -> PyResult<(LabelledSamples, Option<String>)> {
        let samples = LabelledSamples::test(&self.0, data, skip, most).map_err(error::value)?;
        let warning = self.0.values_warning("test samples", samples.values());
        Ok((samples, warning.map(|warning| warning.to_string())))
    }

    /// The nodes of a layer or node by name.
    pub fn nodes_of(&self, name: &str) -> PyResult<Vec<NodeId>> {
        let network = self.0.network();
        let layer = self.0.manifest().layers.iter().find(|layer| layer.name == name);
        let names: Vec<&str> = match layer {
            Some(layer) => layer.nodes.iter().map(String::as_str).collect(),
            None => vec![name],
        };
        let node = |name: &str| {
            network.node_named(name).ok_or_else(|| {
                let layers: Vec<_> = self.0.manifest().layers.iter().map(|layer| layer.name.as_str()).collect();
                let known = layers.join(", ");
                error::message(format!("record: expected a layer or node of the network ({known}), found '{name}'"))
            })
        };
        names.into_iter().map(node).collect()
    }
}

/// Samples as a data set: with their labels, or with class 0 for each.
fn data(x: &Numbers<'_>, y: Option<&Numbers<'_>>, normalization: Option<&Numbers<'_>>) -> Dataset {
    let x = x.array();
    let y = y.map_or_else(
        || {
            let samples = x.shape.first().copied().unwrap_or(0);
            megasim::dataset::npy::Array { shape: vec![samples], values: vec![0.0; samples], is_bytes: false }
        },
        Numbers::array,
    );
    Dataset::in_memory(Some((x, y)), normalization.map(Numbers::array))
}

/// Outcomes of a mode as arrays.
fn outcomes<'py>(py: Python<'py>, of: &[Outcome], classes: usize) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    let class = |of: &Outcome| of.decision.class().map_or(-1, |class| class as i64);
    dict.set_item("predictions", of.iter().map(class).collect::<Vec<i64>>().into_pyarray(py))?;
    let table = |get: fn(&Outcome) -> &[i64]| {
        let mut rows = Array2::<i64>::zeros((of.len(), classes));
        for (mut row, outcome) in rows.rows_mut().into_iter().zip(of) {
            row.iter_mut().zip(get(outcome)).for_each(|(to, from)| *to = *from);
        }
        rows.into_pyarray(py)
    };
    dict.set_item("counts", table(|it| &it.counts))?;
    dict.set_item("scores", table(|it| &it.decision.scores))?;
    let column = |get: fn(&Outcome) -> u64| of.iter().map(get).collect::<Vec<u64>>();
    dict.set_item("operations", column(|it| it.synaptic_operations).into_pyarray(py))?;
    dict.set_item("spikes", column(|it| it.spikes).into_pyarray(py))?;
    dict.set_item("input_spikes", column(|it| it.input_spikes).into_pyarray(py))?;
    let stopped: Vec<i64> = of.iter().map(|it| it.decision.stopped.unwrap_or(-1)).collect();
    dict.set_item("stopped", stopped.into_pyarray(py))?;
    let seconds: Vec<f64> = of.iter().map(|it| it.cpu_time.as_secs_f64()).collect();
    dict.set_item("cpu_seconds", seconds.into_pyarray(py))?;
    Ok(dict)
}

#[pymethods]
impl Network {
    #[staticmethod]
    fn open(py: Python<'_>, directory: PathBuf) -> PyResult<(Self, Vec<String>)> {
        let converted = py.detach(|| ConvertedModel::open(&directory)).map_err(error::value)?;
        let warnings = converted.warnings().iter().map(ToString::to_string).collect();
        Ok((Self::of(converted), warnings))
    }

    fn save(&self, py: Python<'_>, directory: PathBuf, force: bool) -> PyResult<()> {
        py.detach(|| self.0.save(&directory, Overwrite::from_flag(force))).map_err(error::value)
    }

    /// `megasim.json` as text.
    fn manifest(&self) -> String {
        self.0.manifest().to_json()
    }

    #[getter]
    fn input_shape(&self) -> Vec<usize> {
        self.0.input_shape().sizes()
    }

    #[getter]
    fn classes(&self) -> usize {
        self.0.classes()
    }

    /// Modules: name of the first output node, and how many neurons it has.
    #[getter]
    fn nodes(&self) -> Vec<String> {
        self.0.network().nodes().iter().map(|node| node.name.clone()).collect()
    }

    #[pyo3(signature = (x, y, words, skip=0, samples=None, neurobench=false, progress=None))]
    #[allow(clippy::too_many_arguments)]
    fn classify<'py>(
        &self,
        py: Python<'py>,
        x: Numbers<'py>,
        y: Option<Numbers<'py>>,
        words: Vec<String>,
        skip: usize,
        samples: Option<usize>,
        neurobench: bool,
        progress: Option<Bound<'py, PyAny>>,
    ) -> PyResult<(Bound<'py, PyDict>, Vec<String>)> {
        let data = data(&x, y.as_ref(), None);
        let Threaded { options, pool } = options::classify(&words, &self.0).map_err(error::refusal)?;
        let (samples, warning) = py.detach(|| self.samples(&data, skip, samples))?;
        let warnings: Vec<String> = self.0.clock_warnings(options.clock).chain(warning).collect();
        let (found, more) = work::run(py, progress.as_ref(), |control| {
            pool.install(|| {
                let found = classify(&self.0, &samples, &options, control)?;
                let count = || classification::neurobench(&self.0, &samples, &options, control);
                Ok::<_, classification::Error>((found, neurobench.then(count).transpose()?))
            })
        })?;
        let (found, complexity): (Classification, _) = found.map_err(error::value)?;
        let dict = PyDict::new(py);
        let labels: Vec<i64> = found.labels.iter().flatten().map(|&label| label as i64).collect();
        dict.set_item("labels", labels.into_pyarray(py))?;
        let classes = |analog: &Vec<usize>| analog.iter().map(|&class| class as i64).collect::<Vec<i64>>();
        dict.set_item("analog", found.analog.as_ref().map(|analog| classes(analog).into_pyarray(py)))?;
        for (name, of) in [("event", &found.event), ("clocked", &found.clocked)] {
            if let Some(of) = of {
                dict.set_item(name, outcomes(py, of, self.0.classes())?)?;
            }
        }
        dict.set_item("duration_ms", found.clock.duration)?;
        dict.set_item("ticks_per_ms", found.clock.ticks_per_ms)?;
        let mut figures = serde_json::json!(found.figures());
        if let Some(complexity) = complexity {
            figures["neurobench"] = serde_json::json!(complexity);
        }
        dict.set_item("figures", figures.to_string())?;
        Ok((dict, warnings.into_iter().chain(more).collect()))
    }

    /// Figures as JSON, the printed text, warnings.
    #[pyo3(signature = (x, y, words, skip=0, samples=None, progress=None))]
    fn compare(
        &self,
        py: Python<'_>,
        x: Numbers<'_>,
        y: Numbers<'_>,
        words: Vec<String>,
        skip: usize,
        samples: Option<usize>,
        progress: Option<Bound<'_, PyAny>>,
    ) -> PyResult<(String, String, Vec<String>)> {
        let data = data(&x, Some(&y), None);
        let (samples, warning) = py.detach(|| self.samples(&data, skip, samples))?;
        let (found, warnings) =
            work::run(py, progress.as_ref(), |control| options::compare(&words, &self.0, &samples, control))?;
        let (figures, text) = found.map_err(error::refusal)?;
        Ok((figures.to_string(), text, warning.into_iter().chain(warnings).collect()))
    }

    #[pyo3(signature = (x, y, words, skip=0, samples=None, progress=None))]
    fn latency(
        &self,
        py: Python<'_>,
        x: Numbers<'_>,
        y: Numbers<'_>,
        words: Vec<String>,
        skip: usize,
        samples: Option<usize>,
        progress: Option<Bound<'_, PyAny>>,
    ) -> PyResult<(String, Vec<String>)> {
        let data = data(&x, Some(&y), None);
        let Threaded { options, pool } = options::latency(&words, &self.0).map_err(error::refusal)?;
        let (samples, warning) = py.detach(|| self.samples(&data, skip, samples))?;
        let (found, warnings) = work::run(py, progress.as_ref(), |control: &dyn Control| {
            let found = pool.install(|| latency(&self.0, &samples, &options, control));
            found.map(|found| found.figures().to_string())
        })?;
        Ok((found.map_err(error::value)?, warning.into_iter().chain(warnings).collect()))
    }

    /// Columns and points as JSON.
    #[pyo3(signature = (x, y, x_norm, words, skip=0, samples=None, progress=None))]
    #[allow(clippy::too_many_arguments)]
    fn sweep(
        &self,
        py: Python<'_>,
        x: Numbers<'_>,
        y: Numbers<'_>,
        x_norm: Option<Numbers<'_>>,
        words: Vec<String>,
        skip: usize,
        samples: Option<usize>,
        progress: Option<Bound<'_, PyAny>>,
    ) -> PyResult<(String, Vec<String>)> {
        let data = data(&x, Some(&y), x_norm.as_ref());
        let Threaded { options: plan, pool } = options::sweep(&words, &self.0).map_err(error::refusal)?;
        let (samples, warning) = py.detach(|| self.samples(&data, skip, samples))?;
        let converted = &*self.0;
        let (found, warnings) = work::run(py, progress.as_ref(), |control| {
            pool.install(|| {
                if plan.options().hardware.is_some() {
                    let subject = MachineSubject::Converted { converted, data: &data, samples: &samples };
                    let sweep = plan.on_machine(&subject, &(), control)?;
                    let rows: Vec<_> = sweep.rows().collect();
                    Ok(serde_json::json!({ "columns": sweep.columns(), "rows": rows, "sweep": sweep }))
                } else {
                    let sweep = plan.both_modes(converted, &data, &samples, &(), control)?;
                    let rows: Vec<_> = sweep.rows().collect();
                    Ok(serde_json::json!({ "columns": sweep.columns(), "rows": rows, "sweep": sweep }))
                }
            })
        })?;
        let found: Result<_, megasim::study::sweep::SweepError> = found;
        Ok((found.map_err(error::value)?.to_string(), warning.into_iter().chain(warnings).collect()))
    }

    #[pyo3(signature = (x, words, skip=0, samples=None, progress=None))]
    fn verify(
        &self,
        py: Python<'_>,
        x: Numbers<'_>,
        words: Vec<String>,
        skip: usize,
        samples: Option<usize>,
        progress: Option<Bound<'_, PyAny>>,
    ) -> PyResult<(String, Vec<String>)> {
        let data = data(&x, None, None);
        let Threaded { options, pool } = options::verify(&words, &self.0).map_err(error::refusal)?;
        let (samples, warning) = py.detach(|| self.samples(&data, skip, samples))?;
        let (found, warnings) =
            work::run(py, progress.as_ref(), |control| pool.install(|| verify(&self.0, &samples, &options, control)))?;
        let figures = serde_json::json!(found.map_err(error::value)?).to_string();
        Ok((figures, warning.into_iter().chain(warnings).collect()))
    }

    /// One sample, `(1, ...)`, with events recorded: by node its columns; potentials by layer; summary.
    fn run<'py>(
        &self,
        py: Python<'py>,
        x: Numbers<'py>,
        number: u64,
        record: Vec<String>,
        potentials: Vec<String>,
        words: Vec<String>,
    ) -> PyResult<(Bound<'py, PyDict>, Bound<'py, PyDict>, Bound<'py, PyDict>)> {
        let options = options::run(&words, &self.0).map_err(error::refusal)?;
        let data = data(&x, None, None);
        let mut nodes = Vec::new();
        for name in &record {
            for node in self.nodes_of(name)? {
                if !nodes.contains(&node) {
                    nodes.push(node);
                }
            }
        }
        let mut watched = Vec::new();
        for name in &potentials {
            for node in self.nodes_of(name)? {
                let Driver::Module(module) = self.0.network().nodes()[node.index()].driver else { continue };
                watched.push((node, module));
            }
        }
        let mode = match options.modes {
            Modes::Clocked { dt } => Mode::Clocked { dt },
            Modes::Event => Mode::Event,
            Modes::Both { .. } => {
                return Err(error::message("mode: expected 'event' or 'clocked', found 'both'".into()));
            }
        };
        let format = self.format();
        let (ran, _) = work::run(py, None, |control| {
            let sample = data.test(&format, 0, Some(1)).map_err(error::value)?;
            let network = network_for(&self.0, &options).map_err(error::value)?;
            let values = sample.x.row(0).to_vec();
            let (code, clock, layout) = (options.code.as_ref(), options.clock, self.0.layout());
            let kind = megasim::encode::SampleKind::Still;
            let stimuli = layout.stimuli(code, kind, &values, number, clock).map_err(error::value)?;
            let network = match code.is_current() {
                true => megasim::encode::current::driven(&network, layout, &values).map_err(error::value)?,
                false => network,
            };
            let last = layout.last_tick(network.t_max(), clock);
            let plan = Plan::new(&network).map_err(error::value)?.with_t_max(last).with_limits(options.limits);
            let mut simulation = Simulation::new(&plan, mode, &Probes::of(&nodes));
            let ran = work::simulate(&mut simulation, &stimuli, control)?;
            let potentials: Vec<_> =
                watched.iter().map(|&(node, module)| (node, simulation.potentials(module))).collect();
            Ok::<_, PyErr>((ran, potentials, last))
        })?;
        let (mut ran, potentials, ran_until) = ran?;
        let network = self.0.network();
        let name = |node: NodeId| network.nodes()[node.index()].name.clone();
        let events = PyDict::new(py);
        for node in nodes {
            if let Some(log) = ran.nodes[node.index()].take() {
                events.set_item(name(node), columns(py, log))?;
            }
        }
        let left = PyDict::new(py);
        for (node, potentials) in potentials {
            left.set_item(name(node), potentials.into_pyarray(py))?;
        }
        let summary = PyDict::new(py);
        // Signed neurons may go on for as long as they have something to send.
        let clock = options.clock;
        let shown = Tick::from(clock.duration) * Tick::from(clock.ticks_per_ms) - 1;
        summary.set_item("last_tick", ran_until.min(shown.max(ran.summary.last_time.unwrap_or(0))))?;
        summary.set_item("operations", ran.summary.synaptic_operations)?;
        summary.set_item("pending", ran.summary.pending)?;
        summary.set_item("last_time", ran.summary.last_time)?;
        let counts = PyDict::new(py);
        for (node, count) in network.nodes().iter().zip(&ran.summary.events) {
            counts.set_item(&node.name, *count)?;
        }
        summary.set_item("events", counts)?;
        Ok((events, left, summary))
    }

    /// The analog outputs of samples, `(samples, classes)`.
    fn predict<'py>(&self, py: Python<'py>, x: Numbers<'py>) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let Some(model) = self.0.model() else {
            let text = "this network was read as a spiking one; there is no trained network to ask";
            return Err(error::message(text.to_string()));
        };
        let data = data(&x, None, None);
        let outputs = py.detach(|| {
            let samples = data.test(&self.format(), 0, None).map_err(error::value)?;
            megasim::ann::forward::forward(&model.graph, samples.x.view()).map_err(error::value)
        })?;
        Ok(outputs.into_pyarray(py))
    }

    fn __repr__(&self) -> String {
        let manifest = self.0.manifest();
        let layers: Vec<_> = manifest.layers.iter().map(|layer| layer.name.as_str()).collect();
        format!("<megasim.Network of {}: {}>", manifest.model.name, layers.join(", "))
    }
}

/// A polarity of a number.
pub fn polarity(sign: i64) -> PyResult<Polarity> {
    Polarity::from_integer(sign)
        .ok_or_else(|| error::message(format!("polarity: expected 1, -1, -2 or -3, found {sign}")))
}
