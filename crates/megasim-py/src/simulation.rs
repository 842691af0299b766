//! A network step by step.
//!
//! The engine runs from the start: [`Simulation::run_until`] runs it anew with all events that were injected, so that
//! what comes out is what one run gives.

use crate::array::Numbers;
use crate::mode::mode;
use crate::netfiles::Netfiles;
use crate::network::{Network, columns, polarity};
use crate::{error, work};
use megasim::Control;
use megasim::cli::options;
use megasim::dataset::{Dataset, Format};
use megasim::encode::SampleKind;
use megasim::engine::{self, Mode, Plan, Probes};
use megasim::network::{Driver, EventLog, ModuleId, NodeId, Stimulus, StimulusEvent, Tick};
use numpy::{IntoPyArray, PyArray1};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// A network that runs up to one time after the other.
#[pyclass(module = "megasim._megasim")]
pub struct Simulation {
    network: megasim::network::Network,
    converted: Option<Network>,
    mode: Mode,
    /// Events by source.
    stimuli: Vec<Vec<StimulusEvent>>,
    time: Tick,
    record: Vec<Option<EventLog>>,
    potentials: Vec<Vec<i32>>,
    operations: u64,
}

impl Simulation {
    fn new(network: megasim::network::Network, converted: Option<Network>, mode: Mode) -> PyResult<Self> {
        let mut simulation = Self {
            stimuli: vec![Vec::new(); network.sources().len()],
            network,
            converted,
            mode,
            time: -1,
            record: Vec::new(),
            potentials: Vec::new(),
            operations: 0,
        };
        simulation.run(-1, &())?;
        Ok(simulation)
    }

    fn run(&mut self, until: Tick, control: &dyn Control) -> PyResult<()> {
        let plan = Plan::new(&self.network).map_err(error::value)?.with_t_max(until.max(0));
        // Before tick 0 nothing has happened.
        let stimuli: Vec<Stimulus> = self
            .stimuli
            .iter()
            .map(|events| Stimulus::from_events(events.iter().copied().filter(|event| event.t_pre <= until)))
            .collect();
        let mut simulation = engine::Simulation::new(&plan, self.mode, &Probes::all(&self.network));
        let record = work::simulate(&mut simulation, &stimuli, control)?;
        let modules = (0..self.network.modules().len()).map(ModuleId::new);
        self.potentials = modules.map(|module| simulation.potentials(module)).collect();
        self.operations = record.summary.synaptic_operations;
        self.record = record.nodes;
        self.time = until;
        Ok(())
    }

    fn node(&self, name: &str) -> PyResult<NodeId> {
        self.network
            .node_named(name)
            .ok_or_else(|| error::message(format!("expected a node of the network, found '{name}'")))
    }

    fn nodes_of(&self, name: &str) -> PyResult<Vec<NodeId>> {
        match &self.converted {
            Some(network) => network.nodes_of(name),
            None => Ok(vec![self.node(name)?]),
        }
    }
}

#[pymethods]
impl Simulation {
    #[staticmethod]
    fn of_network(network: &Network, name: &str, dt: Tick) -> PyResult<Self> {
        Self::new(network.0.network().clone(), Some(network.clone()), mode(name, dt)?)
    }

    #[staticmethod]
    fn of_netfiles(netfiles: &Netfiles, name: &str, dt: Tick) -> PyResult<Self> {
        Self::new(netfiles.network().clone(), None, mode(name, dt)?)
    }

    #[getter]
    fn time(&self) -> Tick {
        self.time
    }

    #[getter]
    fn operations(&self) -> u64 {
        self.operations
    }

    #[getter]
    fn sources(&self) -> Vec<String> {
        self.network.sources().iter().map(|node| self.network.nodes()[node.index()].name.clone()).collect()
    }

    /// An event of a source after the present time.
    fn inject(&mut self, node: &str, t: Tick, x: i32, y: i32, sign: i64) -> PyResult<()> {
        let id = self.node(node)?;
        let source = match self.network.nodes()[id.index()].driver {
            Driver::Source(_) => self.network.sources().iter().position(|source| *source == id),
            Driver::Module(_) => None,
        };
        let Some(source) = source else {
            let sources = self.sources().join(", ");
            return Err(error::message(format!("inject: expected a source ({sources}), found the output '{node}'")));
        };
        if t <= self.time {
            let now = self.time;
            return Err(error::message(format!("inject: expected a time after the present one, {now}, found {t}")));
        }
        self.stimuli[source].push(StimulusEvent { t_pre: t, x, y, polarity: polarity(sign)? });
        Ok(())
    }

    /// The events of a sample, from tick `start` on.
    fn inject_sample(&mut self, x: Numbers<'_>, number: u64, start: Tick, words: Vec<String>) -> PyResult<()> {
        let Some(network) = &self.converted else {
            return Err(error::message("inject_sample: expected a converted network, found netfiles".into()));
        };
        if start <= self.time {
            let now = self.time;
            return Err(error::message(format!("start: expected a time after the present one, {now}, found {start}")));
        }
        let options = options::encode(&words, &network.0).map_err(error::refusal)?;
        let format = Format { shape: network.0.input_shape(), classes: network.0.classes() };
        let values = Dataset::in_memory(None, Some(x.array())).normalization(&format);
        let values = values.map_err(|error| error::message(error.to_string().replacen("x_norm: ", "x: ", 1)))?;
        let layout = network.0.layout();
        let code = options.code.as_ref();
        let stimuli = layout.stimuli(code, SampleKind::Still, &values.row(0).to_vec(), number, options.clock);
        for (events, stimulus) in self.stimuli.iter_mut().zip(stimuli.map_err(error::value)?) {
            events.extend(stimulus.iter().map(|event| StimulusEvent { t_pre: event.t_pre + start, ..event }));
        }
        Ok(())
    }

    fn run_until(&mut self, py: Python<'_>, t: Tick) -> PyResult<()> {
        if t < self.time {
            let now = self.time;
            return Err(error::message(format!("run_until: expected a time from {now} on, found {t}")));
        }
        work::run(py, None, |control| self.run(t, control))?.0
    }

    /// Events so far, by node.
    fn events<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for node in self.nodes_of(name)? {
            let log = self.record[node.index()].clone().unwrap_or_default();
            dict.set_item(&self.network.nodes()[node.index()].name, columns(py, log))?;
        }
        Ok(dict)
    }

    /// Potentials of the modules that drive nodes, node after node, in raster order.
    fn potentials<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyArray1<i32>>> {
        let mut all = Vec::new();
        for node in self.nodes_of(name)? {
            if let Driver::Module(module) = self.network.nodes()[node.index()].driver {
                all.extend_from_slice(&self.potentials[module.index()]);
            }
        }
        Ok(all.into_pyarray(py))
    }
}
