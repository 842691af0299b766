//! Online normalisation: during a run the threshold of a layer follows its highest rate.
//!
//! The rule is that of the manuals of SNN toolbox (`online_normalization`), as integers; `docs/engine.md` defines it.
//! A run with it has a copy of the plan, with its own thresholds, and is made of pieces between the ticks at which they
//! may change, so that other runs do nothing more.

use super::clocked::ClockedRun;
use super::event::EventRun;
use super::neurons::Thresholds;
use super::online_rule::{OnlineLayer, OnlinePlan, OnlineRule};
use super::plan::Plan;
use super::population::{NeuronPopulation, PopulationKind};
use super::record::Recorder;
use super::run_end::RunEnd;
use super::{Cells, Error, Limits, Options, PopulationState, Progress, Record, Run};
use crate::network::{KindName, ModuleId, Network, NeuronParameters, NodeId, Polarity, Stimulus, Tick};
use std::sync::Arc;

impl Plan {
    /// Compiles a network whose layers, given as their modules, change their thresholds during each run as the rule
    /// says. Each run starts with the thresholds of the network.
    ///
    /// # Errors
    /// As [`Plan::new`]; [`Error::OnlineNormalisation`] for modules that do not integrate and fire, and for layers
    /// whose modules have several thresholds.
    pub fn with_online_normalization(
        network: &Network,
        layers: &[Vec<ModuleId>],
        rule: OnlineRule,
    ) -> Result<Self, Error> {
        let mut plan = Self::in_layers(network, Options::default(), layers)?;
        plan.online = Some(Arc::new(OnlinePlan::new(&plan, network, layers, rule)?));
        Ok(plan)
    }
}

impl OnlinePlan {
    /// Refuses modules that the rule is not for. `populations`: those of the plan, none of which has modules of two
    /// layers.
    pub fn new(plan: &Plan, network: &Network, layers: &[Vec<ModuleId>], rule: OnlineRule) -> Result<Self, Error> {
        let layers = layers.iter().filter(|modules| !modules.is_empty()).map(|modules| {
            let name = |module: ModuleId| {
                network.outputs(module).first().map_or(String::new(), |node| network.nodes()[node.index()].name.clone())
            };
            let refused = |module: ModuleId, why: String| Error::OnlineNormalisation { node: name(module), why };
            let (mut threshold, mut least) = (None, 1);
            for &module in modules {
                let neurons = neurons_of(network, module).map_err(|why| refused(module, why.into()))?;
                let found = neurons.threshold_plus;
                let above = neurons.membrane_reset.max(neurons.rest()).max(neurons.threshold_minus);
                least = least.max(above.saturating_add(1));
                let expected = *threshold.get_or_insert(found);
                if found != expected {
                    let why = format!("expected one THplus in its layer, found {expected} and {found}");
                    return Err(refused(module, why));
                }
            }
            let has_some = |population: &super::Population| population.modules.iter().any(|it| modules.contains(it));
            let populations = plan.populations.iter().enumerate().filter(|(_, population)| has_some(population));
            Ok(OnlineLayer {
                threshold: threshold.unwrap_or(least),
                least,
                populations: populations.map(|(id, _)| id).collect(),
                nodes: modules.iter().filter_map(|&module| network.outputs(module).first().copied()).collect(),
            })
        });
        Ok(Self { rule, layers: layers.collect::<Result<_, _>>()? })
    }
}

/// Neurons that integrate and fire, or why the rule is not for those of a module.
fn neurons_of(network: &Network, module: ModuleId) -> Result<&NeuronParameters, &'static str> {
    let module = &network.modules()[module.index()];
    let Some((_, neurons, _)) = module.kind.neurons() else { return Err("it has no neurons") };
    let refused = [
        (module.kind.kind_name() == KindName::Softmax, "a softmax spikes by its clock, not at a threshold"),
        (neurons.model().is_some(), "its neurons have their own equations"),
        (neurons.signed().is_some(), "signed neurons are exact with the threshold that they were made for"),
        (!neurons.fires_plus || neurons.threshold_plus < 1, "its neurons do not spike at a threshold above 0"),
        (neurons.fires_minus, "its neurons spike at both signs"),
        (neurons.mask_tau > 0, "its neurons have a decaying current (mask_tau)"),
        (neurons.leaks(), "its neurons leak, and the rule is for those that integrate and fire"),
        (neurons.payload_bits.is_some(), "its spikes carry values (payload_bits), parts of one threshold"),
        (module.timing.n_repeat > 1, "its spikes are repeated (n_repeat), and would count more than once"),
    ];
    match refused.into_iter().find(|(is_refused, _)| *is_refused) {
        Some((_, why)) => Err(why),
        None => Ok(neurons),
    }
}

/// The state of online normalisation in a run.
#[derive(Debug, Clone)]
pub(super) struct Online {
    /// With the thresholds of this run.
    plan: Plan,
    of: Arc<OnlinePlan>,
    layers: Vec<LayerCounts>,
}

/// Spikes of the neurons of a layer.
#[derive(Debug, Clone)]
struct LayerCounts {
    threshold: i32,
    /// The largest count.
    most: u32,
    nodes: Vec<NodeCounts>,
}

/// Positive events of a node, by address.
#[derive(Debug, Clone)]
struct NodeCounts {
    node: usize,
    /// Whether the events are recorded only to be counted.
    alone: bool,
    /// Events of the log that are counted.
    counted: usize,
    x_min: i32,
    y_min: i32,
    nx: usize,
    counts: Vec<u32>,
}

impl NodeCounts {
    fn new(node: usize, plan: &NeuronPopulation, alone: bool) -> Self {
        let addresses = (0..plan.addresses.len()).filter_map(|position| plan.addresses.of(position));
        let mut ends = ((0, -1), (0, -1));
        for (k, (x, y)) in addresses.enumerate() {
            let of = |(low, high): (i32, i32), at: i32| if k == 0 { (at, at) } else { (low.min(at), high.max(at)) };
            ends = (of(ends.0, x), of(ends.1, y));
        }
        let size = |(low, high): (i32, i32)| (i64::from(high) - i64::from(low) + 1) as usize;
        let (nx, ny) = (size(ends.0), size(ends.1));
        Self { node, alone, counted: 0, x_min: ends.0.0, y_min: ends.1.0, nx, counts: vec![0; nx * ny] }
    }

    /// Counts what was recorded since the last time; the largest of all counts and `most`.
    fn count(&mut self, recorder: &mut Recorder, mut most: u32) -> u32 {
        let Some(log) = &mut recorder.logs[self.node] else { return most };
        for k in self.counted..log.x.len() {
            if log.polarity[k] == Polarity::Positive {
                let at = (log.x[k] - self.x_min) as usize + (log.y[k] - self.y_min) as usize * self.nx;
                self.counts[at] += 1;
                most = most.max(self.counts[at]);
            }
        }
        self.counted = log.x.len();
        if self.alone {
            recorder.recorded -= self.counted as u64;
            log.clear();
            self.counted = 0;
        }
        most
    }
}

/// What a run needs besides its plan and thresholds.
pub(super) struct Pieces<'s> {
    pub limits: Limits,
    pub populations: &'s mut [PopulationState],
    pub recorder: &'s mut Recorder,
    pub run: &'s mut Run,
    pub stimuli: &'s [Stimulus],
    pub in_groups: bool,
}

impl Online {
    /// Of a plan that has layers whose thresholds change. The recorder is made to record their spikes.
    pub fn new(plan: &Plan, of: &Arc<OnlinePlan>, recorder: &mut Recorder) -> Self {
        let mut counts_of = |node: &NodeId| {
            let driver = plan.populations.iter().find(|it| it.outputs.iter().flatten().any(|output| output == node));
            let alone = recorder.logs[node.index()].is_none();
            recorder.logs[node.index()].get_or_insert_default();
            match driver.map(|it| &it.kind) {
                Some(PopulationKind::Neurons(driver)) => Some(NodeCounts::new(node.index(), driver, alone)),
                _ => None,
            }
        };
        let layers = of.layers.iter().map(|layer| LayerCounts {
            threshold: layer.threshold,
            most: 0,
            nodes: layer.nodes.iter().filter_map(&mut counts_of).collect(),
        });
        let layers = layers.collect();
        Self { plan: plan.clone(), of: of.clone(), layers }
    }

    /// The thresholds at the end of the last run, by layer.
    pub fn thresholds(&self) -> Vec<i32> {
        self.layers.iter().map(|layer| layer.threshold).collect()
    }

    /// Runs in pieces, between which thresholds change.
    pub fn advance(
        &mut self,
        mut pieces: Pieces<'_>,
        stop: &mut impl FnMut(&Progress<'_>) -> bool,
    ) -> Result<(), Error> {
        for k in 0..self.layers.len() {
            let layer = &mut self.layers[k];
            layer.most = 0;
            for node in &mut layer.nodes {
                node.counts.fill(0);
                node.counted = 0;
            }
            self.set(k, self.of.layers[k].threshold);
        }
        let rule = self.of.rule;
        let t_max = self.plan.t_max;
        let mut time = rule.period.max(1);
        pieces.start(&self.plan);
        loop {
            let came = pieces.run_to(&self.plan, t_max.min(time - 1), stop)?;
            if came == RunEnd::Stopped || time > t_max {
                break;
            }
            let changes = self.change(time, &mut pieces);
            if came == RunEnd::Idle && !changes {
                break;
            }
            time = time.saturating_add(rule.period.max(1));
        }
        pieces.finish();
        Ok(())
    }

    /// Changes thresholds at `time`, by the spikes of all ticks before; says whether neurons may spike at the new ones,
    /// or thresholds may change again without further spikes.
    fn change(&mut self, time: Tick, pieces: &mut Pieces<'_>) -> bool {
        let rule = self.of.rule;
        let mut changes = false;
        for k in 0..self.layers.len() {
            let layer = &mut self.layers[k];
            layer.most = layer.nodes.iter_mut().fold(layer.most, |most, node| node.count(pieces.recorder, most));
            let (most, before) = (u64::from(layer.most), layer.threshold);
            let OnlineLayer { least, threshold, .. } = self.of.layers[k];
            let changed = rule.threshold((least, threshold), most, time);
            changes |= rule.is_above_least(most, time.into()) && changed != Some(least);
            if let Some(threshold) = changed.filter(|&threshold| threshold != before) {
                changes = true;
                self.set(k, threshold);
                for &population in &self.of.layers[k].populations {
                    pieces.changed(&self.plan, population);
                }
            }
        }
        changes
    }

    /// What the fast kernels rely on stays true: a threshold is above 0 and not above that of the files, bounds on
    /// potentials do not depend on one that makes neurons spike.
    fn set(&mut self, layer: usize, threshold: i32) {
        self.layers[layer].threshold = threshold;
        for &population in &self.of.layers[layer].populations {
            if let PopulationKind::Neurons(neurons) = &mut self.plan.populations[population].kind {
                neurons.neurons.threshold_plus = threshold;
            }
        }
    }

    /// Takes events out of a record that were recorded only to be counted.
    pub fn strip(&self, record: &mut Record) {
        for node in self.layers.iter().flat_map(|layer| &layer.nodes).filter(|node| node.alone) {
            record.nodes[node.node] = None;
        }
    }
}

impl Pieces<'_> {
    fn start(&mut self, plan: &Plan) {
        match self.run {
            Run::Event(state) => state.start(plan, self.stimuli, self.in_groups),
            Run::Clocked { dt, state } => state.start(plan, *dt, self.populations),
            Run::TieBreak(_) => {}
        }
    }

    fn run_to(
        &mut self,
        plan: &Plan,
        last: Tick,
        stop: &mut impl FnMut(&Progress<'_>) -> bool,
    ) -> Result<RunEnd, Error> {
        let Self { limits, populations, recorder, run, stimuli, in_groups } = self;
        let (limits, in_groups) = (*limits, *in_groups);
        match run {
            Run::Event(state) => {
                EventRun { plan, limits, populations, state, recorder, stimuli, in_groups }.run_to(last, stop)
            }
            Run::Clocked { dt, state } => {
                ClockedRun { plan, limits, dt: *dt, populations, state, recorder, stimuli }.run_to(last, stop)
            }
            // Plans with this rule have the order of the netlist.
            Run::TieBreak(_) => Ok(RunEnd::Stopped),
        }
    }

    /// Notes that a threshold has changed: neurons at or above it spike at their next test, which in clocked mode is in
    /// the next step.
    fn changed(&mut self, plan: &Plan, population: usize) {
        if let (Run::Clocked { state, .. }, Cells::Neurons(neurons), PopulationKind::Neurons(of)) =
            (&mut *self.run, &self.populations[population].cells, &plan.populations[population].kind)
        {
            state.beyond[population] = neurons.potentials().iter().any(|&v| of.neurons.spikes_at(v));
        }
    }

    fn finish(&mut self) {
        self.recorder.summary.pending = match self.run {
            Run::Event(state) => state.pending(self.stimuli),
            Run::Clocked { state, .. } => state.pending(self.stimuli),
            Run::TieBreak(_) => 0,
        };
    }
}
