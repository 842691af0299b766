//! Runs a network on a machine with links, work that takes time, queues that end, a mesh, barriers: `docs/timing.md`.
//!
//! Here every step of every handshake happens at its own time, which costs several queue operations per event. Where a
//! machine is no more than `docs/engine.md` knows, [`engine::Simulation`](super::Simulation) gives the same bytes by a
//! closed form, much faster. Steps behind a barrier are processed link by link and core by core where the machine
//! allows it; a run with a [`TraceSink`] or [`Causes`] is not.
//!
//! A [`Machine`] is plain data; a [`MachinePlan`] is a network compiled for it, a [`MachineSimulation`] the state of
//! its runs. Figures of all runs add up in [`Statistics`]; a [`TraceSink`] gets a [`HandshakeTrace`] of every
//! handshake.

mod agenda;
mod apply;
mod arbiter;
mod barrier;
mod causes;
mod deadlock;
mod error;
mod mesh;
mod messages;
mod occupancy;
mod order;
mod parameters;
mod path;
mod receivers;
mod run;
mod service;
mod slab;
mod split;
mod state;
mod statistics;
mod sweep;
mod tile;
mod transport;

pub use arbiter::Arbiter;
pub use causes::Causes;
pub use deadlock::Deadlock;
pub use error::MachineError;
pub use mesh::{Acknowledge, Direction, Mesh};
pub use occupancy::{Occupancy, OccupancyPoint};
pub use parameters::{Barrier, Link, Machine, Soma, Station};
pub use path::{CriticalPath, PathSegment, Wait, WorkPart};
pub use split::Split;
pub use statistics::{Busy, Distribution, LinkStatistics, ModuleStatistics, NodeStatistics, Statistics};
pub use tile::Tile;

use super::plan::Plan;
use super::record::{Probes, Record};
use super::{Error, Limits};
use crate::network::{Driver, ModuleId, Network, NodeId, StimulusEvent, Tick};
use order::Order;
use receivers::Receivers;
use split::Parts;
use state::State;
use std::num::NonZeroU32;

/// A network compiled for a machine; immutable, shared by any number of simulations and threads.
///
/// ```
/// use megasim_core::engine::machine::{Machine, Pace, RunSettings, MachinePlan, MachineSimulation};
/// use megasim_core::engine::Probes;
/// use megasim_core::network::*;
/// let mut builder = NetworkBuilder::new();
/// let input = builder.source("input")?;
/// let flatten = Module {
///     kind: ModuleKind::Flatten(vec![FlattenPort { nx: 2, ny: 2 }]),
///     inputs: vec![Input::Node(input)],
///     timing: Timing::default(),
///     not_programmable: false,
/// };
/// let output = builder.module(flatten, &["flat"])?[0];
/// let network = builder.build(100)?;
/// let mut machine = Machine::of(&network);
/// machine.module_mut(ModuleId::new(0)).time_per_output = 7;
///
/// let plan = MachinePlan::new(&network, machine)?;
/// let spike = StimulusEvent { t_pre: 10, x: 1, y: 1, polarity: Polarity::Positive };
/// let mut simulation = MachineSimulation::new(&plan, &Probes::all(&network));
/// let run = simulation.run(&[Stimulus::from_events([spike])], &RunSettings::default(), None)?;
/// assert_eq!(run.record.nodes[output.index()].as_ref().unwrap().t_pre, [17]);
/// assert_eq!(simulation.statistics().modules[0].busy.outputs, 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct MachinePlan {
    plan: Plan,
    machine: Machine,
    receivers: Receivers,
    /// By node: the module that drives it, if it is not a source.
    drivers: Vec<Option<u32>>,
    /// By module: messages of one output event, over all output nodes.
    messages: Vec<u64>,
    /// By module: the core that it is on.
    cores: Vec<u32>,
    /// By core: its modules.
    modules_of: Vec<Vec<u32>>,
    /// By module: its neurons by core, where it is on several.
    parts: Vec<Option<Parts>>,
    /// By module: its ports.
    inputs: Vec<u32>,
    /// How steps behind a barrier can be processed, where the machine allows it.
    order: Option<Order>,
}

/// Why a network cannot be compiled for a machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The network itself.
    #[error(transparent)]
    Network(#[from] Error),
    /// The machine.
    #[error(transparent)]
    Machine(#[from] MachineError),
}

impl MachinePlan {
    /// Compiles a network for a machine.
    ///
    /// # Errors
    /// If the network is too large, or the machine is none: negative times, places outside the mesh.
    pub fn new(network: &Network, machine: Machine) -> Result<Self, PlanError> {
        machine.check(network)?;
        let plan = Plan::module_by_module(network)?;
        let cores = machine.cores.clone().unwrap_or_else(|| (0..network.modules().len() as u32).collect());
        let mut modules_of = vec![Vec::new(); cores.iter().max().map_or(0, |&last| last as usize + 1)];
        for (module, &core) in (0..).zip(&cores) {
            modules_of[core as usize].push(module);
        }
        let receivers = Receivers::new(network, &plan, &machine, &cores);
        let messages = plan.populations.iter().map(|population| {
            population.outputs.iter().flatten().map(|node| receivers.messages(node.index(), 0).count).sum()
        });
        let parts = (0..network.modules().len()).map(|module| {
            let split = machine.splits.get(&ModuleId::new(module))?;
            Parts::new(split, &plan.populations[module])
        });
        let parts = parts.collect();
        let inputs = network.modules().iter().map(|module| module.inputs.len() as u32).collect();
        let messages = messages.collect();
        let mut drivers = vec![None; plan.nodes.len()];
        for (node, described) in network.nodes().iter().enumerate() {
            if let Driver::Module(module) = described.driver {
                drivers[node] = Some(module.index() as u32);
            }
        }
        let order = Order::new(&plan, &machine, &receivers, &modules_of);
        Ok(Self { plan, machine, receivers, drivers, messages, cores, modules_of, parts, inputs, order })
    }

    /// The machine.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// The last tick of a run.
    pub fn t_max(&self) -> Tick {
        self.plan.t_max()
    }

    /// With limits for the runs of simulations that are made of it from now on.
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.plan = self.plan.with_limits(limits);
        self
    }

    /// This plan with another last tick.
    pub fn with_t_max(mut self, t_max: Tick) -> Self {
        self.plan = self.plan.with_t_max(t_max);
        self
    }
}

/// How fast the input comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pace {
    /// At the times of the stimuli.
    #[default]
    Real,
    /// As many times as fast as this number.
    Times(NonZeroU32),
    /// As fast as it is taken.
    Fastest,
}

impl std::fmt::Display for Pace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Real => write!(f, "real"),
            Self::Times(times) => write!(f, "x{times}"),
            Self::Fastest => write!(f, "fastest"),
        }
    }
}

impl std::str::FromStr for Pace {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "real" => Ok(Self::Real),
            "fastest" => Ok(Self::Fastest),
            _ => {
                let times = text.strip_prefix('x').and_then(|times| times.parse().ok());
                let fault = || format!("expected real, fastest or xK with a whole number K from 1 on, found `{text}`");
                times.map(Self::Times).ok_or_else(fault)
            }
        }
    }
}

/// How a stimulus is shown to a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RunSettings {
    /// How fast the input comes.
    pub pace: Pace,
    /// Figures leave out what is requested or begins before this tick.
    pub warm_up: Tick,
    /// The run lasts at least until this tick as far as figures go, though nothing may happen.
    pub until: Option<Tick>,
}

/// One event on its way through one receiver, when the module has begun to work on it. Times in ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandshakeTrace {
    /// Where it came from.
    pub node: NodeId,
    /// The module that takes it.
    pub module: ModuleId,
    /// The port of the module.
    pub port: u32,
    /// The event as it was made.
    pub event: StimulusEvent,
    /// When the node requested it.
    pub requested: Tick,
    /// When it arrived at the module.
    pub arrived: Tick,
    /// When the module took it.
    pub accepted: Tick,
    /// When the module began to work on it.
    pub started: Tick,
    /// When the module was done with it.
    pub done: Tick,
    /// When the node heard of it.
    pub acknowledged: Tick,
    /// Synaptic operations.
    pub operations: u64,
    /// Output events made, repeats not counted.
    pub outputs: u64,
}

/// Takes every [`HandshakeTrace`] of a run, in the order of starts.
pub type TraceSink<'w> = dyn FnMut(&HandshakeTrace) + 'w;

/// What was left when a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Unfinished {
    /// Made, or in a stimulus, but never requested.
    pub pending: u64,
    /// Of these, events of stimuli: input that the machine did not take in time.
    pub unsent: u64,
    /// Requested, but not acknowledged by all receivers.
    pub unacknowledged: u64,
    /// Arrived at a module, but never started; several times where several modules have it.
    pub unstarted: u64,
}

/// What one run on a machine left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineRecord {
    /// Events with their request and acknowledge times, and counts, as of event mode.
    pub record: Record,
    /// By source: when its first event was requested.
    pub first_input: Vec<Option<Tick>>,
    /// When the last event arrived, was done or acknowledged, in ticks; 0 of nothing.
    pub ended: Tick,
    /// What was left.
    pub unfinished: Unfinished,
    /// Rings of modules that wait for each other.
    pub deadlocks: Vec<Deadlock>,
}

/// The state of runs of a [`MachinePlan`]; reusable, each run starts from the initial state. See [`MachinePlan`] for an
/// example.
#[derive(Debug, Clone)]
pub struct MachineSimulation<'p> {
    plan: &'p MachinePlan,
    limits: Limits,
    state: State,
    statistics: Statistics,
}

impl<'p> MachineSimulation<'p> {
    /// Room for the state of a plan.
    pub fn new(plan: &'p MachinePlan, probes: &Probes) -> Self {
        let links = plan.machine.mesh.as_ref().map_or(0, Mesh::links);
        let statistics = Statistics::new(plan.messages.len(), plan.receivers.nodes(), links);
        Self { plan, limits: plan.plan.limits, state: State::new(plan, probes), statistics }
    }

    /// With other limits than those of the plan.
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Figures of all runs so far.
    pub fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// Runs from the initial state. `stimuli`: one for each source, in netlist order; `watch` sees every handshake.
    ///
    /// # Errors
    /// As [`Simulation::run`](super::Simulation::run).
    pub fn run(
        &mut self,
        stimuli: &[crate::network::Stimulus],
        showing: &RunSettings,
        watch: Option<&mut TraceSink<'_>>,
    ) -> Result<MachineRecord, Error> {
        self.run_with(stimuli, showing, watch, None)
    }

    /// As [`MachineSimulation::run`], with what each moment of the run waited for. `output`: a node whose requests can
    /// be traced back.
    ///
    /// # Errors
    /// As there.
    pub fn run_with_causes(
        &mut self,
        stimuli: &[crate::network::Stimulus],
        showing: &RunSettings,
        output: Option<NodeId>,
    ) -> Result<(MachineRecord, Causes), Error> {
        let links = self.plan.machine.mesh.as_ref().map_or(0, Mesh::links);
        let mut causes = Causes::new(self.plan.modules_of.len(), self.plan.receivers.nodes(), links, output);
        let record = self.run_with(stimuli, showing, None, Some(&mut causes))?;
        Ok((record, causes))
    }

    fn run_with(
        &mut self,
        stimuli: &[crate::network::Stimulus],
        showing: &RunSettings,
        watch: Option<&mut TraceSink<'_>>,
        causes: Option<&mut Causes>,
    ) -> Result<MachineRecord, Error> {
        let (expected, found) = (self.plan.plan.sources.len(), stimuli.len());
        if expected != found {
            return Err(Error::Stimuli { expected, found });
        }
        super::check_times(stimuli)?;
        super::payload::check(&self.plan.plan, stimuli, false)?;
        let Self { plan, limits, state, statistics } = self;
        let limits = *limits;
        if plan.order.is_some() && watch.is_none() && causes.is_none() {
            let (state, statistics) = (&mut *state, &mut *statistics);
            let (watch, causes) = (None, None);
            let run = run::Run { plan, limits, state, statistics, stimuli, showing, watch, causes, sweeps: true }.run();
            // The run by what is due reports the error that comes first in time.
            if run.is_ok() {
                return run;
            }
        }
        run::Run { plan, limits, state, statistics, stimuli, showing, watch, causes, sweeps: false }.run()
    }
}
