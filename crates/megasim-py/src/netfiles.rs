//! Netfile directories and event files.

use crate::mode::mode;
use crate::network::{columns, polarity};
use crate::{error, work};
use megasim::atomic_write::{AtomicDir, Overwrite};
use megasim::dataset::recording::Recording;
use megasim::engine::{Plan, Probes, Simulation};
use megasim::netfile::{self, difference};
use megasim::network::{Driver, EventLog, Input, ModuleId, Stimulus, StimulusEvent, Tick};
use numpy::IntoPyArray;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A network with its stimuli, as netfiles hold them.
#[pyclass(module = "megasim._megasim")]
pub struct Netfiles(netfile::Netfiles);

impl Netfiles {
    pub fn network(&self) -> &megasim::network::Network {
        &self.0.network
    }
}

/// A module: name, kind, the nodes it reads, the nodes it drives.
type Module = (String, String, Vec<String>, Vec<String>);

#[pymethods]
impl Netfiles {
    #[getter]
    fn nodes(&self) -> Vec<String> {
        self.0.network.nodes().iter().map(|node| node.name.clone()).collect()
    }

    #[getter]
    fn sources(&self) -> Vec<String> {
        let network = &self.0.network;
        network.sources().iter().map(|node| network.nodes()[node.index()].name.clone()).collect()
    }

    #[getter]
    fn modules(&self) -> Vec<Module> {
        let network = &self.0.network;
        let name = |node: megasim::network::NodeId| network.nodes()[node.index()].name.clone();
        let modules = network.modules().iter().enumerate().map(|(number, module)| {
            let id = ModuleId::new(number);
            let inputs = module.inputs.iter().map(|input| match input {
                Input::Node(node) => name(*node),
                Input::Undriven(name) => name.clone(),
            });
            let inputs = inputs.collect();
            let outputs: Vec<String> = network.outputs(id).iter().map(|node| name(*node)).collect();
            let kind = megasim::hardware::module_name(network, id);
            (kind, module.kind.name().to_string(), inputs, outputs)
        });
        modules.collect()
    }

    #[getter]
    fn t_max(&self) -> Tick {
        self.0.network.t_max()
    }

    #[getter]
    fn warnings(&self) -> Vec<String> {
        self.0.warnings.iter().map(ToString::to_string).collect()
    }

    /// Events of a source: `t`, `x`, `y`, `polarity`.
    fn stimulus<'py>(&self, py: Python<'py>, source: &str) -> PyResult<Bound<'py, PyDict>> {
        let stimulus = &self.0.stimuli[self.source(source)?];
        let dict = PyDict::new(py);
        dict.set_item("t", stimulus.t_pre().to_vec().into_pyarray(py))?;
        dict.set_item("x", stimulus.x().to_vec().into_pyarray(py))?;
        dict.set_item("y", stimulus.y().to_vec().into_pyarray(py))?;
        let signs: Vec<i8> = stimulus.polarity().iter().map(|&polarity| polarity as i8).collect();
        dict.set_item("polarity", signs.into_pyarray(py))?;
        Ok(dict)
    }

    /// These netfiles with other events of a source.
    fn with_stimulus(&self, source: &str, t: Vec<Tick>, x: Vec<i32>, y: Vec<i32>, signs: Vec<i64>) -> PyResult<Self> {
        let at = self.source(source)?;
        let n = t.len();
        if [x.len(), y.len(), signs.len()] != [n; 3] {
            let found = [x.len(), y.len(), signs.len()];
            return Err(error::message(format!("expected {n} values of x, y and polarity each, found {found:?}")));
        }
        if let Some(found) = t.iter().find(|t| **t < 0) {
            return Err(error::message(format!("t: expected times from 0 on, found {found}")));
        }
        let events = t.into_iter().zip(x).zip(y).zip(signs);
        let events = events.map(|(((t_pre, x), y), sign)| Ok(StimulusEvent { t_pre, x, y, polarity: polarity(sign)? }));
        let mut netfiles = self.0.clone();
        netfiles.stimuli[at] = Stimulus::from_events(events.collect::<PyResult<Vec<_>>>()?);
        Ok(Self(netfiles))
    }

    /// Runs on the stimuli, with all nodes recorded.
    fn run<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        dt: Tick,
        t_max: Option<Tick>,
    ) -> PyResult<(Bound<'py, PyDict>, u64)> {
        let mode = mode(name, dt)?;
        let netfile::Netfiles { network, stimuli, .. } = &self.0;
        let (record, _) = work::run(py, None, |control| {
            let mut plan = Plan::new(network).map_err(error::value)?;
            if let Some(t_max) = t_max {
                plan = plan.with_t_max(t_max.max(0));
            }
            let mut simulation = Simulation::new(&plan, mode, &Probes::all(network));
            work::simulate(&mut simulation, stimuli, control)
        })?;
        let record = record?;
        let dict = PyDict::new(py);
        for (node, log) in network.nodes().iter().zip(record.nodes) {
            // Stimuli are known already.
            if let (Driver::Module(_), Some(log)) = (node.driver, log) {
                dict.set_item(&node.name, columns(py, log))?;
            }
        }
        Ok((dict, record.summary.synaptic_operations))
    }

    /// Writes them: whole or not at all.
    fn write(&self, py: Python<'_>, directory: PathBuf, force: bool) -> PyResult<()> {
        let netfile::Netfiles { network, stimuli, files, .. } = &self.0;
        py.detach(|| {
            let new = AtomicDir::create(&directory, Overwrite::from_flag(force)).map_err(error::value)?;
            netfile::write(new.path(), network, stimuli, files).map_err(error::value)?;
            new.finish().map_err(error::value)
        })
    }

    fn __repr__(&self) -> String {
        let network = &self.0.network;
        format!("<megasim.Netfiles: {} modules, {} nodes>", network.modules().len(), network.nodes().len())
    }
}

impl Netfiles {
    fn source(&self, name: &str) -> PyResult<usize> {
        let sources = self.sources();
        sources.iter().position(|source| source == name).ok_or_else(|| {
            error::message(format!("expected a source of the network ({}), found '{name}'", sources.join(", ")))
        })
    }
}

/// A schematic with all its files.
#[pyfunction]
fn read_netfiles(py: Python<'_>, schematic: PathBuf) -> PyResult<Netfiles> {
    py.detach(|| netfile::read(&schematic)).map(Netfiles).map_err(error::value)
}

/// Recorded events by node: of one file, or of all in a directory.
#[pyfunction]
fn read_event_files(py: Python<'_>, path: PathBuf) -> PyResult<Bound<'_, PyDict>> {
    let logs = py.detach(|| logs(&path))?;
    let dict = PyDict::new(py);
    for (node, log) in logs {
        dict.set_item(node, columns(py, log))?;
    }
    Ok(dict)
}

fn logs(path: &PathBuf) -> PyResult<BTreeMap<String, EventLog>> {
    if path.is_dir() {
        let files = netfile::read_event_files(path).map_err(error::value)?;
        if files.is_empty() {
            let place = path.display();
            return Err(error::message(format!("{place}: expected event files (node_*.evs), found none")));
        }
        return Ok(files.into_iter().collect());
    }
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let node = name.strip_prefix("node_").unwrap_or(&name).to_string();
    Ok(BTreeMap::from([(node, netfile::read_event_file(path).map_err(error::value)?)]))
}

/// A recording of an event camera: width, height, microseconds, columns, rows, polarities.
#[pyfunction]
fn read_recording(py: Python<'_>, path: PathBuf) -> PyResult<Bound<'_, PyDict>> {
    let recording = py.detach(|| Recording::read(&path)).map_err(error::value)?;
    let dict = PyDict::new(py);
    dict.set_item("width", recording.width)?;
    dict.set_item("height", recording.height)?;
    let events = &recording.events;
    dict.set_item("t", events.iter().map(|event| event.t).collect::<Vec<i64>>().into_pyarray(py))?;
    dict.set_item("x", events.iter().map(|event| event.x.into()).collect::<Vec<i32>>().into_pyarray(py))?;
    dict.set_item("y", events.iter().map(|event| event.y.into()).collect::<Vec<i32>>().into_pyarray(py))?;
    let signs = events.iter().map(|event| if event.on { 1 } else { -1 }).collect::<Vec<i8>>();
    dict.set_item("polarity", signs.into_pyarray(py))?;
    Ok(dict)
}

/// Differences of two directories or files of recorded events, by node: events of both, equal, shifted, missing, extra,
/// whether the order differs, whether they are equal within the tolerance.
#[pyfunction]
fn diff(py: Python<'_>, first: PathBuf, second: PathBuf, tolerance: Tick) -> PyResult<Bound<'_, PyDict>> {
    if tolerance < 0 {
        return Err(error::message(format!("tolerance: expected a number of ticks from 0 on, found {tolerance}")));
    }
    let (left, right) = py.detach(|| Ok::<_, PyErr>((logs(&first)?, logs(&second)?)))?;
    let dict = PyDict::new(py);
    let mut nodes: Vec<&String> = left.keys().chain(right.keys()).collect();
    nodes.sort();
    nodes.dedup();
    let empty = EventLog::default();
    for node in nodes {
        let (a, b) = (left.get(node), right.get(node));
        let of = difference::compare(a.unwrap_or(&empty), b.unwrap_or(&empty), tolerance);
        let equal = a.is_some() == b.is_some() && of.is_equal(tolerance);
        let counts = (of.left, of.right, of.equal, of.shifted, of.missing, of.extra, of.reordered, equal);
        dict.set_item(node, counts)?;
    }
    Ok(dict)
}

pub fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Netfiles>()?;
    module.add_function(wrap_pyfunction!(read_netfiles, module)?)?;
    module.add_function(wrap_pyfunction!(read_event_files, module)?)?;
    module.add_function(wrap_pyfunction!(read_recording, module)?)?;
    module.add_function(wrap_pyfunction!(diff, module)?)
}
