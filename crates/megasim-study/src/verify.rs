//! Whether spike counts depend on the order in which events come: every count of every layer against an integer pass
//! without time.

pub mod integer;
mod study;
mod trained;

pub use study::{VerifyError, VerifyOptions, verify, verify_of};
pub use trained::Trained;

use crate::runner;
use integer::{Counts, NoCounts};
use megasim_core::control::Control;
use megasim_core::engine::machine::{Machine, MachinePlan, MachineSimulation, PlanError, RunSettings};
use megasim_core::engine::{self, Limits, Mode, Options, Plan, Probes, Record, Simulation, TieOrder};
use megasim_core::network::{
    DEFAULT_T_MAX, Driver, ModuleKind, Network, NetworkError, NodeId, Polarity, Stimulus, Tick,
};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};

/// Most ticks that random delays add to the events of a module, and to its work.
const MOST_DELAY: (Tick, Tick) = (40, 3);

/// What the comparison with the trained network is called.
const TRAINED: &str = "trained network";

/// Most differences that are kept.
const MOST_EXAMPLES: usize = 20;

/// A network on a machine.
#[derive(Debug, Clone)]
pub struct OnMachine {
    /// What the machine is called.
    pub name: String,
    /// The network in ticks of the machine.
    pub network: Network,
    /// The machine.
    pub machine: Machine,
    /// How many of its ticks one tick of the network is.
    pub factor: Tick,
}

/// What is asked.
pub struct Setup<'a> {
    /// The network that runs.
    pub network: &'a Network,
    /// The network whose counts are expected, with the same nodes.
    pub reference: &'a Network,
    /// The trained network, where counts are its levels.
    pub trained: Option<&'a Trained>,
    /// The stimuli of a sample, in finer ticks than those of the network, by a factor.
    pub stimuli: &'a (dyn Fn(usize, Tick) -> Vec<Stimulus> + Sync),
    /// Samples.
    pub samples: usize,
    /// Random orders of events, each with its own random delays.
    pub orders: u32,
    /// Seed of orders and delays.
    pub seed: u64,
    /// Machines.
    pub machines: &'a [OnMachine],
    /// What a run may take, each by itself.
    pub limits: Limits,
}

/// Why it cannot be answered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A layer has no counts without time.
    #[error(transparent)]
    NoCounts(#[from] NoCounts),
    /// The other network has other nodes.
    #[error("expected a network with the same nodes to compare with, found another")]
    Reference,
    /// A network that breaks a rule.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A network that cannot be run.
    #[error(transparent)]
    Plan(engine::Error),
    /// A machine that does not take the network.
    #[error("{machine}: {source}")]
    Machine {
        /// Its name.
        machine: String,
        /// What is wrong.
        source: PlanError,
    },
    /// A run failed.
    #[error("sample {sample}, {way}: {source}")]
    Run {
        /// Its number among those that were shown.
        sample: usize,
        /// How it ran.
        way: String,
        /// What happened.
        source: engine::Error,
    },
}

/// What came out in one way of running.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Way {
    /// `event`, `clocked`, `order K` or a machine.
    pub name: String,
    /// Counts that were compared.
    pub compared: u64,
    /// Counts that differ.
    pub different: u64,
    /// The sum of the sizes of all differences.
    pub difference: u64,
    /// Spikes of all layers.
    pub spikes: u64,
    /// Weights added to potentials.
    pub operations: u64,
}

/// A count that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    /// Number of the sample among those that were shown.
    pub sample: usize,
    /// How it ran.
    pub way: String,
    /// The node.
    pub node: String,
    /// The address, column and row.
    pub address: (i32, i32),
    /// The count of the integer pass.
    pub expected: i64,
    /// The count of the run.
    pub found: i64,
}

/// What came out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Results {
    /// Samples that were run.
    pub samples: usize,
    /// Whether all neurons that spike are signed: then no count may differ.
    pub signed: bool,
    /// The least number of spikes with these counts, for all samples.
    pub least_spikes: u64,
    /// One for each way of running.
    pub ways: Vec<Way>,
    /// The expected counts next to the levels of the trained network with quantised activations, on the input that the
    /// spikes are; none where it has none.
    pub trained: Option<Way>,
    /// The first differences.
    pub examples: Vec<Example>,
}

impl Results {
    /// Counts that were compared, and those of them that differ.
    pub fn totals(&self) -> (u64, u64) {
        self.ways.iter().fold((0, 0), |(compared, different), way| (compared + way.compared, different + way.different))
    }
}

/// A way to run the network.
enum Runner<'a> {
    Events(Box<Plan>, Mode, Network),
    Machine(Box<MachinePlan>, &'a OnMachine),
}

impl Setup<'_> {
    fn runners(&self) -> Result<Vec<(String, Runner<'_>)>, Error> {
        let network = self.network.clone().with_t_max(DEFAULT_T_MAX)?;
        let plan = |network: &Network, options| {
            Plan::with_options(network, options).map_err(Error::Plan).map(|plan| plan.with_limits(self.limits))
        };
        let mut runners = Vec::new();
        for (name, mode) in [("event", Mode::Event), ("clocked", Mode::Clocked { dt: 1 })] {
            let runner = Runner::Events(Box::new(plan(&network, Options::default())?), mode, network.clone());
            runners.push((name.to_string(), runner));
        }
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        for order in 1..=self.orders {
            let delayed = network.map_modules(|module| {
                module.timing.delay_to_arrive += random.random_range(0..=MOST_DELAY.0);
                module.timing.delay_to_process += random.random_range(0..=MOST_DELAY.1);
            })?;
            let tie_order = TieOrder::Seeded(self.seed.wrapping_add(order.into()));
            let plan = plan(&delayed, Options { tie_order, ..Options::default() })?;
            runners.push((format!("order {order}"), Runner::Events(Box::new(plan), Mode::Event, delayed)));
        }
        for on in self.machines {
            let fault = |source| Error::Machine { machine: on.name.clone(), source };
            let plan = MachinePlan::new(&on.network, on.machine.clone()).map_err(fault)?;
            let plan = plan.with_t_max(Tick::MAX).with_limits(self.limits);
            runners.push((on.name.clone(), Runner::Machine(Box::new(plan), on)));
        }
        Ok(runners)
    }

    /// Runs all samples in all ways, in parallel; the answer does not depend on the number of threads. Where `control`
    /// cancels, it is about the samples up to the first one that did not run.
    ///
    /// # Errors
    /// If a network has no counts without time, or if a run fails; of several runs the first.
    pub fn run(&self, control: &dyn Control) -> Result<Results, Error> {
        let names = |network: &Network| network.nodes().iter().map(|node| node.name.clone()).collect::<Vec<_>>();
        if names(self.network) != names(self.reference) {
            return Err(Error::Reference);
        }
        let runners = self.runners()?;
        let counted = counted_nodes(self.network);
        let one = |(): &mut (), sample| self.sample(sample, &runners, &counted);
        let runs = runner::run("verify", 0..self.samples, control, || (), one, drop)?;
        let mut answer = Results { signed: all_signed(self.network), ..Results::default() };
        answer.ways = runners.iter().map(|(name, _)| Way { name: name.clone(), ..Way::default() }).collect();
        answer.trained = self.trained.map(|_| Way { name: TRAINED.into(), ..Way::default() });
        for of_sample in runs.complete() {
            answer.samples += 1;
            answer.least_spikes += of_sample.least_spikes;
            let ways = of_sample.ways.into_iter().chain(of_sample.trained);
            for (sum, way) in answer.ways.iter_mut().chain(&mut answer.trained).zip(ways) {
                sum.compared += way.compared;
                sum.different += way.different;
                sum.difference += way.difference;
                sum.spikes += way.spikes;
                sum.operations += way.operations;
            }
            answer.examples.extend(of_sample.examples);
            answer.examples.truncate(MOST_EXAMPLES);
        }
        Ok(answer)
    }

    fn sample(&self, sample: usize, runners: &[(String, Runner)], counted: &[NodeId]) -> Result<Results, Error> {
        let expected = integer::counts(self.reference, &(self.stimuli)(sample, 1))?;
        let mut answer = Results::default();
        for node in counted {
            answer.least_spikes += expected[node.index()].values().map(|count| count.unsigned_abs()).sum::<u64>();
        }
        answer.trained = self.trained.map(|trained| {
            let mut way = Way { name: TRAINED.into(), ..Way::default() };
            for (node, address, level) in trained.levels(&expected) {
                let counts = (level, count_at(&expected[node.index()], address));
                way.compare(sample, &self.network.nodes()[node.index()].name, address, counts, &mut answer.examples);
            }
            way
        });
        for (name, runner) in runners {
            let fault = |source| Error::Run { sample, way: name.clone(), source };
            let record = match runner {
                Runner::Events(plan, mode, network) => {
                    let stimuli = (self.stimuli)(sample, 1);
                    Simulation::new(plan, *mode, &Probes::all(network)).run(&stimuli).map_err(fault)?
                }
                Runner::Machine(plan, on) => {
                    let stimuli = (self.stimuli)(sample, on.factor);
                    let mut simulation = MachineSimulation::new(plan, &Probes::all(&on.network));
                    simulation.run(&stimuli, &RunSettings::default(), None).map_err(fault)?.record
                }
            };
            let operations = record.summary.synaptic_operations;
            let mut way = Way { name: name.clone(), operations, ..Way::default() };
            for &node in counted {
                way.spikes += record.summary.events[node.index()];
                let found = found(&record, node);
                let addresses = expected[node.index()].keys().chain(found.keys());
                let addresses: std::collections::BTreeSet<_> = addresses.copied().collect();
                for address in addresses {
                    let counts = (count_at(&expected[node.index()], address), count_at(&found, address));
                    way.compare(
                        sample,
                        &self.network.nodes()[node.index()].name,
                        address,
                        counts,
                        &mut answer.examples,
                    );
                }
            }
            answer.ways.push(way);
        }
        Ok(answer)
    }
}

/// The count of an address, 0 where none came.
fn count_at(counts: &Counts, address: (i32, i32)) -> i64 {
    counts.get(&address).copied().unwrap_or(0)
}

impl Way {
    /// Adds one count, expected and found, and an example where they differ.
    fn compare(
        &mut self,
        sample: usize,
        node: &str,
        address: (i32, i32),
        (expected, found): (i64, i64),
        examples: &mut Vec<Example>,
    ) {
        self.compared += 1;
        self.different += u64::from(expected != found);
        self.difference += expected.abs_diff(found);
        if expected != found && examples.len() < MOST_EXAMPLES {
            examples.push(Example { sample, way: self.name.clone(), node: node.into(), address, expected, found });
        }
    }
}

/// The nodes whose spikes are counted: those of neurons and of maximum pooling; flattening passes them on.
fn counted_nodes(network: &Network) -> Vec<NodeId> {
    let nodes = network.nodes().iter().enumerate();
    let counted = nodes.filter(|(_, node)| match node.driver {
        Driver::Source(_) => false,
        Driver::Module(module) => !matches!(network.modules()[module.index()].kind, ModuleKind::Flatten(_)),
    });
    counted.map(|(index, _)| NodeId::new(index)).collect()
}

/// Whether all neurons that spike are signed, and all maximum pooling is.
fn all_signed(network: &Network) -> bool {
    network.modules().iter().all(|module| match &module.kind {
        ModuleKind::Flatten(_) => true,
        ModuleKind::MaxPool(pool) => pool.rule == megasim_core::network::PoolRule::Signed,
        kind => kind.neurons().is_none_or(|(_, neurons, _)| {
            neurons.signed().is_some() || (neurons.model().is_none() && !neurons.fires_plus && !neurons.fires_minus)
        }),
    })
}

/// The counts of a node in a run.
fn found(record: &Record, node: NodeId) -> Counts {
    let mut counts = Counts::new();
    let Some(log) = &record.nodes[node.index()] else { return counts };
    for k in 0..log.len() {
        let sign = match log.polarity[k] {
            Polarity::Positive => 1,
            Polarity::Negative => -1,
            Polarity::Reset | Polarity::Settle => continue,
        };
        *counts.entry((log.x[k], log.y[k])).or_default() += sign;
    }
    counts
}
