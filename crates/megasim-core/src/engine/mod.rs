//! Runs a network: event mode (the product) and clocked mode (the cross-check), as `docs/engine.md` defines them.
//!
//! Three things are separate: what an event does to neurons (`neurons`, `kernels`, `routing`), when a module takes and
//! answers it (`timing`), and what is kept of it (`record`). The run loops over them are `event` and `clocked`, and two
//! that are faster where they apply: `layerwise` without delays and loops, `small` for networks of small modules.
//!
//! A [`Plan`] is the compiled network, a [`Simulation`] its state. Both modes are integer and deterministic: the same
//! network and stimuli give the same [`Record`] on any machine, with any kernel variant and any number of threads.

mod action;
mod aligned;
mod apply;
pub mod batch;
mod clocked;
mod event;
mod excess;
mod extremes;
mod geometry;
pub mod kernels;
mod layerwise;
mod limits;
mod loops;
pub mod machine;
mod neurons;
mod node_groups;
mod online;
mod online_rule;
mod output_address;
mod payload;
mod plan;
mod pool_scores;
mod population;
mod queue;
mod record;
mod routing;
mod run_end;
mod sign;
mod small;
mod spans;
mod step_events;
mod synapses;
mod tie_break;
mod tie_order;
mod timeless;
mod timing;

pub use excess::Excess;
pub use limits::{Limits, RECORDED_BYTES, WAITING_BYTES};
pub use online_rule::OnlineRule;
pub use plan::{Options, Plan};
pub use record::{Probes, Record, Summary};
pub use tie_order::TieOrder;

use crate::network::{EventLog, ModuleId, NodeId, Stimulus, Tick};
use apply::Cells;
use clocked::{ClockedRun, ClockedState};
use event::{EventRun, EventState};
use layerwise::{Handover, Layerwise, LayerwiseRun};
use neurons::Neurons;
use online::{Online, Pieces};
use population::{NeuronPopulation, Population, PopulationKind};
use record::Recorder;
use small::{SmallRun, SmallState};
use tie_break::{TieBreakRun, TieBreakState};
use timing::Handshake;

/// Most neurons and pooled addresses of one network.
pub const MAX_CELLS: u64 = 1_000_000_000;

/// Why a run cannot start or go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The network is too large.
    #[error("{found} neurons and pooled addresses; the limit is {}", MAX_CELLS)]
    TooLarge {
        /// How many the network has.
        found: u64,
    },
    /// The number of stimuli is not the number of sources.
    #[error("expected {expected} stimuli, one for each source in netlist order, found {found}")]
    Stimuli {
        /// Sources of the network.
        expected: usize,
        /// Stimuli given.
        found: usize,
    },
    /// A stimulus that begins before time 0.
    #[error("a stimulus begins at time {0}; expected 0 or later")]
    NegativeTime(Tick),
    /// Spikes that carry values where they cannot be read.
    #[error("node {{{node}}} should carry values (payload_bits, or column 7 of a stimulus), but it {reason}")]
    Payload {
        /// The node.
        node: String,
        /// What the trouble is.
        reason: String,
    },
    /// The step of clocked mode is not positive.
    #[error("a clocked step takes 1 tick or more, found {0}")]
    Step(Tick),
    /// The events of a tick do not come together at a module that does not act at once.
    #[error("node {{{node}}}: its module has delays, and the order 'split' is only for modules that act at once")]
    Delays {
        /// The first output of the module.
        node: String,
    },
    /// A module whose threshold cannot change during a run.
    #[error("node {{{node}}}: online normalisation is not available for its module: {why}")]
    OnlineNormalisation {
        /// The first output of the module.
        node: String,
        /// What it is, and what was expected.
        why: String,
    },
    /// A network whose weights cannot be split by their signs.
    #[error("the order 'split' is not available for this network: {0}")]
    Split(String),
    /// An event reaches a fully connected module under an address that its matrix does not have.
    #[error(
        "node {{{node}}}, time {time}: event at address ({x}, {y}), but the matrix that reads it has x in 0..{nx_pre} \
            and y in \
         0..{ny_pre}"
    )]
    Address {
        /// Where the event was.
        node: String,
        /// Its `t_pre`, in ticks.
        time: Tick,
        /// Column.
        x: i32,
        /// Row.
        y: i32,
        /// `Nx_array_pre`.
        nx_pre: u32,
        /// `Ny_array_pre`.
        ny_pre: u32,
    },
    /// A loop without any delay never becomes idle.
    #[error(
        "time does not advance at {time}: {events} events in this tick on loops without delay and without Tmin or \
            T_Refract: nodes {}",
        nodes.join(", ")
    )]
    Runaway {
        /// The tick, in ticks.
        time: Tick,
        /// Events handled in it.
        events: u64,
        /// The nodes on such loops.
        nodes: Vec<String>,
    },
    /// A machine that admits input only when it is idle, and never is.
    #[error(
        "the machine does not become idle: at {time}, {events} events after input was admitted last, more are under \
            way, among them some of {}; at the pace of the stimuli (real) a run ends at Tmax",
        nodes.join(", ")
    )]
    NeverRests {
        /// When, in ticks.
        time: Tick,
        /// Events since the last input was admitted.
        events: u64,
        /// Some nodes whose events are under way.
        nodes: Vec<String>,
    },
    /// More events than a run may have.
    #[error(
        "{excess}. The run is stopped at {limit} events (--max-events); lower Tmax or raise the limit if this is meant"
    )]
    TooManyEvents {
        /// The limit.
        limit: u64,
        /// Where, and why.
        excess: Box<Excess>,
    },
    /// More events wait or are recorded than the memory limit allows.
    #[error(
        "{excess}. The run is stopped as its events take more than {limit} bytes (--max-memory); lower Tmax or raise \
         the limit if this is meant"
    )]
    TooMuchMemory {
        /// The limit, in bytes.
        limit: u64,
        /// Where, and why.
        excess: Box<Excess>,
    },
}

/// How a network is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Every spike is an event with a handshake.
    Event,
    /// All spikes of a step act together.
    Clocked {
        /// Ticks per step, 1 or more.
        dt: Tick,
    },
}

impl Error {
    /// The limit that a run has exceeded, with what it looked like then.
    #[cold]
    fn limit(limits: &Limits, recorder: &Recorder, excess: Box<Excess>) -> Self {
        if recorder.total > limits.events {
            Self::TooManyEvents { limit: limits.events, excess }
        } else {
            Self::TooMuchMemory { limit: limits.memory, excess }
        }
    }
}

/// The progress of a run, and its state at that time.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'r> {
    /// Request time of the events just handled (clocked: first tick of the step).
    pub time: Tick,
    /// The node they were on; none in clocked mode.
    pub node: Option<NodeId>,
    /// Events handled so far, by node.
    pub events: &'r [u64],
    /// Events recorded so far, of the nodes that probes watch.
    pub logs: &'r [Option<EventLog>],
    plan: &'r Plan,
    populations: &'r [PopulationState],
}

impl Progress<'_> {
    /// Membrane potentials of a module's neurons in raster order, in scaled integers, each as its last event left it
    /// (clocked: after the step); nothing for modules without neurons.
    pub fn potentials(&self, module: ModuleId) -> Vec<i32> {
        potentials(self.plan, self.populations, module)
    }
}

/// Refuses times before 0; stimuli are in order of time.
fn check_times(stimuli: &[Stimulus]) -> Result<(), Error> {
    match stimuli.iter().filter_map(|stimulus| stimulus.t_pre().first()).find(|&&first| first < 0) {
        Some(&first) => Err(Error::NegativeTime(first)),
        None => Ok(()),
    }
}

fn totals(plan: &Plan, states: &[PopulationState], module: ModuleId) -> Vec<i64> {
    of_module(plan, states, module, |plan, neurons| neurons.totals(plan))
}

fn potentials(plan: &Plan, states: &[PopulationState], module: ModuleId) -> Vec<i32> {
    of_module(plan, states, module, |_, neurons| neurons.potentials().to_vec())
}

/// The values of a module among those of its population, which are in the order `(y, x, map)`.
fn of_module<T>(
    plan: &Plan,
    states: &[PopulationState],
    module: ModuleId,
    values: impl Fn(&NeuronPopulation, &Neurons) -> Vec<T>,
) -> Vec<T> {
    for (population, state) in plan.populations.iter().zip(states) {
        let Some(map) = population.modules.iter().position(|&member| member == module) else { continue };
        return match (&population.kind, &state.cells) {
            (PopulationKind::Neurons(plan), Cells::Neurons(neurons)) => {
                values(plan, neurons).into_iter().skip(map).step_by(population.modules.len()).collect()
            }
            _ => Vec::new(),
        };
    }
    Vec::new()
}

/// The state of one population.
#[derive(Debug, Clone)]
struct PopulationState {
    handshake: Handshake,
    cells: Cells,
}

impl PopulationState {
    fn new(population: &Population) -> Self {
        Self { handshake: Handshake::new(&population.timing), cells: Cells::new(&population.kind) }
    }

    fn start(&mut self, population: &Population) {
        self.handshake.restart(&population.timing);
        self.cells.start(&population.kind);
    }
}

/// The state of one run of a [`Plan`]; reusable, each run starts from the initial state. See [`Plan`] for an example.
#[derive(Debug, Clone)]
pub struct Simulation<'p> {
    plan: &'p Plan,
    limits: Limits,
    populations: Vec<PopulationState>,
    recorder: Recorder,
    run: Run,
    online: Option<Box<Online>>,
    layerwise: Box<Layerwise>,
    /// Made when it is needed.
    small: Option<Box<SmallState>>,
}

#[derive(Debug, Clone)]
enum Run {
    Event(Box<EventState>),
    TieBreak(Box<TieBreakState>),
    Clocked { dt: Tick, state: Box<ClockedState> },
}

impl<'p> Simulation<'p> {
    /// Room for the state of a plan in one mode.
    pub fn new(plan: &'p Plan, mode: Mode, probes: &Probes) -> Self {
        let run = match mode {
            Mode::Event if plan.tie_order != TieOrder::Netlist => Run::TieBreak(Box::new(TieBreakState::new(plan))),
            Mode::Event => Run::Event(Box::new(EventState::new(plan))),
            Mode::Clocked { dt } => Run::Clocked { dt, state: Box::new(ClockedState::new(plan)) },
        };
        let mut recorder = Recorder::new(probes, plan.nodes.len(), plan.modules);
        Self {
            plan,
            limits: plan.limits,
            populations: plan.populations.iter().map(PopulationState::new).collect(),
            online: plan.online.as_ref().map(|of| Box::new(Online::new(plan, of, &mut recorder))),
            recorder,
            run,
            layerwise: Box::default(),
            small: None,
        }
    }

    /// With other limits than those of the plan.
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Membrane potentials of a module's neurons in raster order as the last run left them; see
    /// [`Progress::potentials`].
    pub fn potentials(&self, module: ModuleId) -> Vec<i32> {
        potentials(self.plan, &self.populations, module)
    }

    /// Of signed neurons `V + n THplus` as the last run left them, in raster order and scaled integers: the potential
    /// at the start and all input. Of other neurons their potentials; nothing for modules without neurons.
    pub fn totals(&self, module: ModuleId) -> Vec<i64> {
        totals(self.plan, &self.populations, module)
    }

    /// With online normalisation: the thresholds at which the last run ended, by layer in the order of
    /// [`Plan::with_online_normalization`]; before a run those of the network.
    pub fn thresholds(&self) -> Vec<i32> {
        self.online.as_ref().map_or(Vec::new(), |online| online.thresholds())
    }

    /// Runs from the initial state up to `Tmax`. `stimuli`: one for each source, in netlist order.
    ///
    /// # Errors
    /// [`Error`]; what was recorded until then is lost.
    pub fn run(&mut self, stimuli: &[Stimulus]) -> Result<Record, Error> {
        self.advance(stimuli, Some(&|| false), |_| false)
    }

    /// As [`Simulation::run`], and as fast, unless it is cancelled: `is_cancelled` is asked many times a second.
    /// Nothing if it said so.
    ///
    /// # Errors
    /// As [`Simulation::run`].
    pub fn run_cancellable(
        &mut self,
        stimuli: &[Stimulus],
        is_cancelled: impl Fn() -> bool,
    ) -> Result<Option<Record>, Error> {
        let record = self.advance(stimuli, Some(&is_cancelled), |_| is_cancelled())?;
        Ok((!is_cancelled()).then_some(record))
    }

    /// Runs until `stop` says so, at the latest up to `Tmax`. It is asked after each run of events of one node at one
    /// tick (clocked: after each step).
    pub fn run_until(
        &mut self,
        stimuli: &[Stimulus],
        stop: impl FnMut(&Progress<'_>) -> bool,
    ) -> Result<Record, Error> {
        self.advance(stimuli, None, stop)
    }

    /// `is_cancelled`: none where `stop` is to be asked after each run of events.
    fn advance(
        &mut self,
        stimuli: &[Stimulus],
        is_cancelled: Option<&dyn Fn() -> bool>,
        mut stop: impl FnMut(&Progress<'_>) -> bool,
    ) -> Result<Record, Error> {
        let Self { plan, limits, populations, recorder, run, online, layerwise, small } = self;
        let (plan, limits, in_groups) = (*plan, *limits, is_cancelled.is_some());
        if stimuli.len() != plan.sources.len() {
            return Err(Error::Stimuli { expected: plan.sources.len(), found: stimuli.len() });
        }
        check_times(stimuli)?;
        payload::check(plan, stimuli, !matches!(run, Run::TieBreak(_)))?;
        recorder.restart();
        if let Run::Clocked { dt, .. } = run
            && *dt < 1
        {
            return Err(Error::Step(*dt));
        }
        let has_values = stimuli.iter().any(|stimulus| !stimulus.value().is_empty());
        let small_plan = match (&*run, is_cancelled) {
            (Run::Event(_), Some(is_cancelled)) if !has_values => plan.small().map(|small| (small, is_cancelled)),
            _ => None,
        };
        if small_plan.is_none() {
            populations.iter_mut().zip(&plan.populations).for_each(|(state, population)| state.start(population));
        }
        let handover = is_cancelled.and_then(|is_cancelled| {
            first_part((plan, limits), run, (populations, recorder), stimuli, is_cancelled, layerwise)
        });
        match (online, &mut *run) {
            (None, Run::Event(_)) if let Some((of, is_cancelled)) = small_plan => {
                let state =
                    small.get_or_insert_with(|| Box::new(SmallState::new(of, |node| recorder.logs[node].is_some())));
                SmallRun { plan, small: of, limits, state, recorder, stimuli, is_cancelled }.run()?;
                state.hand_over(of, populations);
            }
            (Some(online), _) => {
                online.advance(Pieces { limits, populations, recorder, run, stimuli, in_groups }, &mut stop)?;
            }
            (None, Run::Event(state)) => {
                let handover = handover.as_ref();
                EventRun { plan, limits, populations, state, recorder, stimuli, in_groups }.run(handover, &mut stop)?;
            }
            (None, Run::TieBreak(state)) => {
                let order = plan.tie_order;
                TieBreakRun { plan, limits, order, populations, state, recorder, stimuli }.run(&mut stop)?;
            }
            (None, Run::Clocked { dt, state }) => {
                let handover = handover.as_ref();
                ClockedRun { plan, limits, dt: *dt, populations, state, recorder, stimuli }.run(handover, &mut stop)?;
            }
        }
        for (state, population) in populations.iter().zip(&plan.populations) {
            if let Cells::Neurons(neurons) = &state.cells {
                for (module, &count) in population.modules.iter().zip(&neurons.saturations) {
                    recorder.summary.saturations[module.index()] = count;
                }
            }
        }
        payload::complete(plan, stimuli, &mut recorder.logs);
        let mut record = recorder.record();
        self.online.iter().for_each(|online| online.strip(&mut record));
        Ok(record)
    }
}

/// The greatest common divisor of all times of stimuli, 1 or more: without delays nothing happens between its
/// multiples.
fn common_step(stimuli: &[Stimulus]) -> Tick {
    let mut step: Tick = 0;
    let mut before = 0;
    for &time in stimuli.iter().flat_map(Stimulus::t_pre) {
        if step == 1 {
            break;
        }
        // Most events come with others.
        if time != before {
            let (mut a, mut b) = (time, step);
            while b != 0 {
                (a, b) = (b, a % b);
            }
            (step, before) = (a, time);
        }
    }
    step.max(1)
}

/// The part of a run that can go layer by layer; if that fails, all is as at the start.
fn first_part(
    (plan, limits): (&Plan, Limits),
    run: &Run,
    (populations, recorder): (&mut [PopulationState], &mut Recorder),
    stimuli: &[Stimulus],
    is_cancelled: &dyn Fn() -> bool,
    state: &mut Layerwise,
) -> Option<Handover> {
    let layers = plan.layerwise()?;
    let dt = match run {
        Run::Event(_) => common_step(stimuli),
        Run::Clocked { dt, .. } => *dt,
        Run::TieBreak(_) => return None,
    };
    let mut part = LayerwiseRun { plan, layers, limits, populations, recorder, stimuli, dt, is_cancelled };
    let handover = match run {
        Run::Clocked { .. } => state.run::<true>(&mut part),
        _ => state.run::<false>(&mut part),
    };
    let LayerwiseRun { populations, recorder, .. } = part;
    for (state, population) in populations.iter_mut().zip(&plan.populations) {
        match (&handover, &mut state.cells, &population.kind) {
            (Some(_), Cells::Neurons(neurons), PopulationKind::Neurons(plan)) => neurons.bound(plan),
            (Some(_), ..) => {}
            (None, ..) => state.start(population),
        }
    }
    if handover.is_none() {
        recorder.restart();
    }
    handover
}
