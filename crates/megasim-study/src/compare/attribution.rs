//! Why event mode has fewer or more spikes than clocked mode: one rule after the other is changed from the one into the
//! other.
//!
//! Between event mode and clocked mode are runs each of which differs from the one before by one rule only:
//!
//! | run | put down to |
//! |---|---|
//! | event mode as it is | |
//! | ties in netlist order | [`Cause::TieOrder`], where another order was asked for |
//! | no module delays, queues or repeats late | [`Cause::Delays`], where one does |
//! | weights and thresholds divided by 64, rounded | [`Cause::Saturation`], where a 32-bit limit cut a potential off |
//! | `Tmin` at most 1 tick | [`Cause::MinimumInterval`], where one is more |
//! | `Tmin` at least 1 tick: one spike of a neuron per tick | [`Cause::SeveralInATick`] |
//! | every neuron is touched (with weight 0, and so tested) at the end of every tick | [`Cause::Waiting`] |
//! | clocked mode with steps of one tick: the events of a tick are added up before the test | [`Cause::Order`] |
//! | `Tmin`, then the 32-bit limits, as they are | [`Cause::MinimumInterval`], [`Cause::Saturation`] |
//! | clocked mode with its steps | [`Cause::Step`], where they are longer than a tick |
//!
//! The difference of two neighbouring runs is put down to the rule between them, neuron by neuron and sample by sample;
//! together they are exactly the difference of event and clocked mode. The whole network is run each time, so a spike
//! that is lost in a late layer is put down to the rule that started it, in whatever layer that acted. A cause that
//! makes up for another one counts below 0. What a rule is put down with depends on those that were changed before it,
//! as with any order of a table of this kind.

use super::{Error, Run, Setup};
use crate::runner;
use megasim_core::control::{Control, Uncounted};
use megasim_core::engine::{Mode, Probes, Simulation, TieOrder};
use megasim_core::network::{
    Element, Input, Module, ModuleKind, Network, NetworkBuilder, NetworkError, SourceId, Stimulus, Tick, Timing,
};
use serde::{Deserialize, Serialize};

/// By how much numbers are divided so that potentials stay away from 32 bits.
const DIVISOR: i32 = 64;

/// A rule in which the modes differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Another order of ties was asked for.
    TieOrder,
    /// Delays, queues and late repeats, which act in event mode only.
    Delays,
    /// A potential was cut off at the 32-bit limits.
    Saturation,
    /// `Tmin` of more than a tick.
    MinimumInterval,
    /// A neuron spiked more than once in a tick.
    SeveralInATick,
    /// What was left beyond the threshold waited for the next touch.
    Waiting,
    /// A neuron was tested between the events of a tick.
    Order,
    /// Steps of more than a tick.
    Step,
}

impl Cause {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::TieOrder => "order of ties asked for",
            Self::Delays => "delays and queues",
            Self::Saturation => "saturation at 32 bits",
            Self::MinimumInterval => "Tmin",
            Self::SeveralInATick => "several spikes in a tick",
            Self::Waiting => "waiting for a touch",
            Self::Order => "order inside a tick",
            Self::Step => "steps longer than a tick",
        }
    }
}

/// What was put down to what.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Causes {
    /// Samples that were looked at.
    pub samples: usize,
    /// The rules that were changed.
    pub causes: Vec<Cause>,
    /// The layers.
    pub layers: Vec<LayerCauses>,
}

/// The lost and extra spikes of one layer, per sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerCauses {
    /// Its name.
    pub name: String,
    /// Spikes that event mode has less than clocked mode, summed over neurons that have less.
    pub lost: f64,
    /// How many of them are put down to each of the causes.
    pub lost_by: Vec<f64>,
    /// Spikes that event mode has more, summed over neurons that have more.
    pub extra: f64,
    /// How many of them are put down to each of the causes.
    pub extra_by: Vec<f64>,
}

/// One run of the ladder, and what the difference from the one before is put down to.
struct Rung {
    cause: Option<Cause>,
    network: Network,
    mode: Mode,
    tie_order: TieOrder,
    /// Whether all neurons are touched each tick.
    touched: bool,
}

impl Setup<'_> {
    /// Puts the differences of event mode, on the left, and clocked mode, on the right, down to their causes; on at
    /// most `samples` samples. Where `control` cancels, the samples up to the first one that did not run count.
    ///
    /// # Errors
    /// If a run fails. None where the sides are not event mode and clocked mode of one network.
    pub fn causes(&self, samples: usize, control: &dyn Control) -> Result<Option<Causes>, Error> {
        let (Mode::Event, Mode::Clocked { dt }) = (self.left.mode, self.right.mode) else { return Ok(None) };
        let scale = self.scale();
        let samples = samples.min(self.sample_source.len());
        let saturates = self.saturates(samples, &Uncounted(control))?;
        // What is put down to which rule depends on it.
        let stage = if saturates { "causes, with saturation" } else { "causes" };
        let rungs = ladder(&self.left, dt, saturates).map_err(Error::Changed)?;
        let plans: Vec<_> = rungs
            .iter()
            .map(|rung| {
                let Rung { network, mode, tie_order, touched, .. } = rung;
                let run = Run { name: "", network, mode: *mode, tie_order: *tie_order };
                let plan = self.plan(&run)?;
                let last = SourceId::new(network.sources().len().saturating_sub(1));
                Ok(if *touched { plan.with_touch(last) } else { plan })
            })
            .collect::<Result<_, megasim_core::engine::Error>>()?;
        let nodes: Vec<_> = self.layers.iter().flat_map(|layer| layer.nodes.iter().map(|cells| cells.node)).collect();
        let probes = Probes::of(&nodes);
        let mut causes: Vec<Cause> = Vec::new();
        for cause in rungs.iter().filter_map(|rung| rung.cause) {
            if !causes.contains(&cause) {
                causes.push(cause);
            }
        }
        let place = |cause: Cause| causes.iter().position(|&known| known == cause).unwrap_or(0);
        let mut sums: Vec<[Vec<i64>; 2]> =
            vec![[vec![0; causes.len() + 1], vec![0; causes.len() + 1]]; self.layers.len()];
        let mut taken = 0;
        for start in (0..samples).step_by(super::CHUNK) {
            if control.is_cancelled() {
                break;
            }
            let end = (start + super::CHUNK).min(samples);
            let chunk = runner::run(
                stage,
                start..end,
                control,
                || {
                    let simulation = |(plan, rung): (_, &Rung)| Simulation::new(plan, rung.mode, &probes);
                    plans.iter().zip(&rungs).map(simulation).collect::<Vec<_>>()
                },
                |simulations, k| {
                    let mut stimuli = self.stimuli(k)?;
                    let mut before: Option<Vec<Vec<i64>>> = None;
                    let mut steps: Vec<(Cause, Vec<Vec<i64>>)> = Vec::new();
                    for (simulation, rung) in simulations.iter_mut().zip(&rungs) {
                        if rung.touched {
                            stimuli.push(Stimulus::new());
                        }
                        let record = simulation.run(&stimuli).map_err(|source| Error::Run {
                            sample: self.sample_source.number(k),
                            run: rung.cause.map_or("event", Cause::name).into(),
                            source,
                        })?;
                        if rung.touched {
                            stimuli.pop();
                        }
                        let counts = self.counts(&record, scale.warm_up);
                        if let (Some(cause), Some(before)) = (rung.cause, &before) {
                            let difference = before.iter().zip(&counts).map(|(before, after)| {
                                before.iter().zip(after).map(|(before, after)| before - after).collect()
                            });
                            steps.push((cause, difference.collect()));
                        }
                        before = Some(counts);
                    }
                    Ok::<_, Error>(self.put_down(&steps, causes.len(), place))
                },
                drop,
            )?;
            for sample in chunk.complete() {
                taken += 1;
                for (sums, of) in sums.iter_mut().zip(sample) {
                    for (sums, of) in sums.iter_mut().zip(of) {
                        sums.iter_mut().zip(of).for_each(|(sum, n)| *sum += n);
                    }
                }
            }
        }
        let n = taken.max(1) as f64;
        let layers = self.layers.iter().zip(&sums).map(|(layer, [lost, extra])| {
            let mean = |sums: &[i64]| sums.iter().map(|&sum| sum as f64 / n).collect::<Vec<_>>();
            let (lost, extra) = (mean(lost), mean(extra));
            LayerCauses {
                name: layer.name.clone(),
                lost: lost[causes.len()],
                lost_by: lost[..causes.len()].to_vec(),
                extra: extra[causes.len()],
                extra_by: extra[..causes.len()].to_vec(),
            }
        });
        let layers = layers.collect();
        Ok(Some(Causes { samples: taken, causes, layers }))
    }

    /// Spikes of each cell of each layer.
    fn counts(&self, record: &megasim_core::engine::Record, warm_up: Tick) -> Vec<Vec<i64>> {
        let layers = self.layers.iter().map(|layer| {
            let mut counts = vec![0; layer.cells];
            for cells in &layer.nodes {
                let Some(log) = &record.nodes[cells.node.index()] else { continue };
                for ((&t, &x), &y) in log.t_rqst.iter().zip(&log.x).zip(&log.y) {
                    if let Some(cell) = cells.cell(x, y).filter(|_| t >= warm_up) {
                        counts[cell] += 1;
                    }
                }
            }
            counts
        });
        layers.collect()
    }

    /// Lost and extra spikes of each layer: by cause, and all together at the end.
    fn put_down(
        &self,
        steps: &[(Cause, Vec<Vec<i64>>)],
        causes: usize,
        place: impl Fn(Cause) -> usize,
    ) -> Vec<[Vec<i64>; 2]> {
        let layers = self.layers.iter().enumerate().map(|(layer, of)| {
            let mut sums = [vec![0; causes + 1], vec![0; causes + 1]];
            for cell in 0..of.cells {
                let whole: i64 = steps.iter().map(|(_, difference)| difference[layer][cell]).sum();
                if whole == 0 {
                    continue;
                }
                let side = &mut sums[usize::from(whole > 0)];
                side[causes] += whole.abs();
                for (cause, difference) in steps {
                    side[place(*cause)] += whole.signum() * difference[layer][cell];
                }
            }
            sums
        });
        layers.collect()
    }

    /// Whether a potential is cut off on either side.
    fn saturates(&self, samples: usize, control: &dyn Control) -> Result<bool, Error> {
        let probes = Probes::none();
        for run in [&self.left, &self.right] {
            let plan = self.plan(run)?;
            let any = runner::run(
                &format!("saturation, {}", run.name),
                0..samples,
                control,
                || Simulation::new(&plan, run.mode, &probes),
                |simulation, k| {
                    let record = simulation.run(&self.stimuli(k)?).map_err(|source| Error::Run {
                        sample: self.sample_source.number(k),
                        run: run.name.into(),
                        source,
                    })?;
                    Ok::<_, Error>(record.summary.saturations.iter().any(|&count| count > 0))
                },
                drop,
            )?;
            if any.complete().contains(&true) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The runs from event mode to clocked mode.
fn ladder(left: &Run, dt: Tick, saturates: bool) -> Result<Vec<Rung>, NetworkError> {
    let original = left.network;
    let mut rungs = vec![Rung {
        cause: None,
        network: original.clone(),
        mode: Mode::Event,
        tie_order: left.tie_order,
        touched: false,
    }];
    let mut step = |cause: Cause, network: &Network, mode: Mode, touched: bool| {
        rungs.push(Rung { cause: Some(cause), network: network.clone(), mode, tie_order: TieOrder::Netlist, touched });
    };
    let t_min = |module: &Module| module.kind.neurons().map_or(0, |(_, neurons, _)| neurons.t_min);
    let clocked = Mode::Clocked { dt: 1 };
    if left.tie_order != TieOrder::Netlist {
        step(Cause::TieOrder, original, Mode::Event, false);
    }
    let mut network = original.clone();
    let ideal = |Timing { delay_to_process, delay_to_ack, n_repeat, time_busy_initial, .. }: Timing| {
        delay_to_process == 0 && delay_to_ack == 0 && n_repeat == 1 && time_busy_initial == 0
    };
    if !original.modules().iter().all(|module| ideal(module.timing)) {
        network = network.map_modules(|module| {
            // What travels does so in both modes.
            module.timing = Timing { delay_to_arrive: module.timing.delay_to_arrive, ..Timing::default() };
        })?;
        step(Cause::Delays, &network, Mode::Event, false);
    }
    let limited = network.clone();
    // Thresholds that are too small to be divided leave the difference with the order of events.
    let divided = saturates.then(|| network.map_modules(divide).ok()).flatten();
    let saturates = divided.is_some();
    if let Some(divided) = divided {
        network = divided;
        step(Cause::Saturation, &network, Mode::Event, false);
    }
    let slow = network.modules().iter().any(|module| t_min(module) > 1);
    let with_t_min = network.clone();
    if slow {
        network = network.map_modules(|module| change_t_min(module, |t_min| t_min.min(1)))?;
        step(Cause::MinimumInterval, &network, Mode::Event, false);
    }
    let once = network.map_modules(|module| change_t_min(module, |t_min| t_min.max(1)))?;
    step(Cause::SeveralInATick, &once, Mode::Event, false);
    step(Cause::Waiting, &touched(&once)?, Mode::Event, true);
    step(Cause::Order, &network, clocked, false);
    if slow {
        step(Cause::MinimumInterval, &with_t_min, clocked, false);
    }
    if saturates {
        step(Cause::Saturation, &limited, clocked, false);
    }
    if dt > 1 {
        step(Cause::Step, &limited, Mode::Clocked { dt }, false);
    }
    Ok(rungs)
}

fn change_t_min(module: &mut Module, change: impl Fn(Tick) -> Tick) {
    let is_softmax = matches!(module.kind, ModuleKind::Softmax(_));
    if let Some((neurons, _)) = module.kind.neurons_mut().filter(|_| !is_softmax) {
        neurons.t_min = change(neurons.t_min);
    }
}

/// Divides all numbers that are potentials; the limits of potentials stay where they are.
fn divide(module: &mut Module) {
    let weights = |weights: &mut std::sync::Arc<[i32]>| {
        let half = DIVISOR / 2;
        *weights = weights.iter().map(|&w| w.saturating_add(half).div_euclid(DIVISOR)).collect();
    };
    module.kind.weights_mut().into_iter().for_each(weights);
    let Some((neurons, _)) = module.kind.neurons_mut() else { return };
    // A threshold near the limit is the limit.
    let threshold = |value: i32| if value.unsigned_abs() > i32::MAX as u32 / 2 { value } else { value / DIVISOR };
    neurons.threshold_plus = threshold(neurons.threshold_plus);
    neurons.threshold_minus = threshold(neurons.threshold_minus);
    neurons.membrane_reset /= DIVISOR;
    neurons.resting_potential = neurons.resting_potential.map(|rest| rest / DIVISOR);
    neurons.leak_plus /= DIVISOR;
    neurons.leak_minus /= DIVISOR;
}

/// The network with one more source, the last one, whose events at (0, 0) touch every neuron with weight 0.
fn touched(network: &Network) -> Result<Network, NetworkError> {
    let mut name = "touch".to_string();
    while network.node_named(&name).is_some() {
        name.push('_');
    }
    let mut builder = NetworkBuilder::with_models_of(network);
    for element in network.elements() {
        match *element {
            Element::Source(source) => {
                builder.source(&network.nodes()[network.sources()[source.index()].index()].name)?;
            }
            Element::Module(id) => {
                let mut module = network.modules()[id.index()].clone();
                add_touch(&mut module, &name);
                let outputs: Vec<_> =
                    network.outputs(id).iter().map(|node| network.nodes()[node.index()].name.clone()).collect();
                builder.module(module, &outputs)?;
            }
        }
    }
    builder.source(&name)?;
    builder.build(network.t_max())
}

fn add_touch(module: &mut Module, name: &str) {
    let ports = module.kind.ports();
    let n = module.kind.neurons().map_or(0, |(array, ..)| array.len());
    // The events of a softmax's clock are what makes it fire.
    if matches!(module.kind, ModuleKind::Softmax(_)) || !module.kind.insert_plane(ports, vec![0; n].into()) {
        return;
    }
    module.inputs.insert(ports, Input::Undriven(name.into()));
}
