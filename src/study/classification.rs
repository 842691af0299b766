//! Samples shown to a network one by one, each from a fresh state, and what it decided.
//!
//! Samples run in parallel; what comes out does not depend on the number of threads.

use crate::encode::{self, Clock, Code, Encoder, Layout, current};
use crate::engine::{self, Mode, Plan, Probes, Record, Simulation};
use crate::network::{Driver, ModuleKind, Network, NodeId, Tick};
use crate::readout;
use ndarray::ArrayView2;
use rayon::prelude::*;
use std::time::Duration;

/// What is the same for all samples.
#[derive(Debug, Clone, Copy)]
pub struct Setup<'a> {
    /// The network.
    pub network: &'a Network,
    /// Its input.
    pub layout: &'a Layout,
    /// Its output.
    pub output: NodeId,
    /// Classes of the output.
    pub classes: usize,
    /// How values become spikes.
    pub code: &'a dyn Code,
    /// How long each sample is shown.
    pub clock: Clock,
}

/// What became of one sample in one mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// The class, if any neuron of the output spiked.
    pub decision: Option<usize>,
    /// Spikes of the inputs.
    pub input_spikes: u64,
    /// Spikes of all neurons and of maximum pooling; those of inputs, clocks and flattening do not count.
    pub spikes: u64,
    /// Weights added to potentials.
    pub synaptic_operations: u64,
    /// Processor time of encoding and run.
    pub cpu_time: Duration,
}

/// Why samples could not be classified.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The network cannot be run.
    #[error(transparent)]
    Plan(engine::Error),
    /// A run failed.
    #[error("sample {sample}: {source}")]
    Run {
        /// Its number in the data set.
        sample: u64,
        /// What happened.
        source: engine::Error,
    },
    /// A sample cannot be put into the network.
    #[error("sample {sample}: {source}")]
    Encode {
        /// Its number in the data set.
        sample: u64,
        /// What is wrong.
        source: encode::Error,
    },
    /// A sample of another size.
    #[error("expected {expected} numbers a sample, as the network has inputs, found {found}")]
    Shape {
        /// Addresses of the input.
        expected: usize,
        /// Numbers of a sample.
        found: usize,
    },
}

/// Classifies samples, `(samples, numbers)`; the first one is number `first` in the data set. `done` is called after each.
///
/// # Errors
/// Where samples do not fit, or where the engine stops; of several the one with the lowest number.
pub fn classify(
    setup: &Setup,
    samples: ArrayView2<f32>,
    first: u64,
    mode: Mode,
    done: impl Fn() + Sync,
) -> Result<Vec<Outcome>, Error> {
    let (expected, found) = (setup.layout.numbers(), samples.ncols());
    if expected != found {
        return Err(Error::Shape { expected, found });
    }
    let last: Tick = setup.clock.ticks() - 1;
    let plan = Plan::new(setup.network).map_err(Error::Plan)?.with_t_max(last.max(0));
    let probes = Probes::of(&[setup.output]);
    let roles = roles(setup.network);
    let outcomes: Vec<Result<Outcome, Error>> = (0..samples.nrows())
        .into_par_iter()
        .map_init(
            || (Simulation::new(&plan, mode, &probes), Encoder::default()),
            |(simulation, encoder), k| {
                let sample = first + k as u64;
                let values = samples.row(k);
                let start = thread_time();
                let values = values.to_vec();
                let stimuli = encoder.encode(setup.layout, setup.code, &values, sample, setup.clock);
                let ran = if setup.code.is_current() {
                    let network = current::driven(setup.network, setup.layout, &values)
                        .map_err(|source| Error::Encode { sample, source })?;
                    let plan = Plan::new(&network).map_err(Error::Plan)?.with_t_max(last.max(0));
                    Simulation::new(&plan, mode, &probes).run(stimuli)
                } else {
                    simulation.run(stimuli)
                };
                let record = ran.map_err(|source| Error::Run { sample, source })?;
                let cpu_time = thread_time().saturating_sub(start);
                done();
                Ok(outcome(setup, &roles, &record, cpu_time))
            },
        )
        .collect();
    outcomes.into_iter().collect()
}

/// What the events of a node count as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Source,
    Spikes,
    Addresses,
}

fn roles(network: &Network) -> Vec<Role> {
    let roles = network.nodes().iter().map(|node| match node.driver {
        Driver::Source(_) => Role::Source,
        Driver::Module(module) => match network.modules()[module.index()].kind {
            ModuleKind::Flatten(_) => Role::Addresses,
            _ => Role::Spikes,
        },
    });
    roles.collect()
}

fn outcome(setup: &Setup, roles: &[Role], record: &Record, cpu_time: Duration) -> Outcome {
    let log = record.nodes[setup.output.index()].as_ref();
    let events = &record.summary.events;
    Outcome {
        decision: log.and_then(|log| readout::most_spikes(log, setup.classes)),
        input_spikes: if setup.code.is_current() {
            0
        } else {
            setup.layout.nodes(setup.network).map(|node| events[node.index()]).sum()
        },
        spikes: events.iter().zip(roles).filter(|(_, role)| **role == Role::Spikes).map(|(events, _)| events).sum(),
        synaptic_operations: record.summary.synaptic_operations,
        cpu_time,
    }
}

/// Processor time of this thread, so that threads that wait for a processor do not count as busy.
#[cfg(unix)]
fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Time since the first call, where the system does not say what a thread took.
#[cfg(not(unix))]
fn thread_time() -> Duration {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed()
}

/// Wilson's interval for a share of `hits` in `n`, at 95 %.
///
/// E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22:209 (1927).
///
/// ```
/// let (low, high) = megasim::study::classification::wilson_interval(958, 1000);
/// assert!((low - 0.9437).abs() < 1e-4 && (high - 0.9688).abs() < 1e-4);
/// ```
pub fn wilson_interval(hits: usize, n: usize) -> (f64, f64) {
    if n == 0 {
        return (0.0, 1.0);
    }
    const Z: f64 = 1.959_963_984_540_054;
    let (share, n) = (hits as f64 / n as f64, n as f64);
    let middle = share + Z * Z / (2.0 * n);
    let half = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    let whole = 1.0 + Z * Z / n;
    ((middle - half) / whole, (middle + half) / whole)
}
