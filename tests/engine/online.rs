//! Online normalisation against the plain reference, whose thresholds change between events.

use super::reference::{narrow_matrix, pooled_maps, wide_kernel, wide_matrix};
use crate::common::random_network::random_network;
use crate::common::reference::{self, run_clocked_with, run_event_with};
use megasim::engine::{Error, Limits, Mode, OnlineRule, Plan, Probes, Record, Simulation};
use megasim::network::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A network made fit for the rule where it is not, with what may change put into layers of one threshold each.
fn fit(network: &Network, split: usize) -> Option<(Network, Vec<Vec<ModuleId>>)> {
    let network = network.map_modules(|module| {
        module.timing.n_repeat = 1;
        if let ModuleKind::Conv(Conv { neurons, .. }) | ModuleKind::FullyConnected(FullyConnected { neurons, .. }) =
            &mut module.kind
            && neurons.model().is_none()
            && neurons.signed().is_none()
        {
            (neurons.leak_plus, neurons.leak_minus, neurons.leak_decay, neurons.mask_tau) = (0, 0, 0, 0);
            neurons.fires_minus = false;
        }
    });
    let network = network.ok()?;
    let mut layers: BTreeMap<(i32, usize), Vec<ModuleId>> = BTreeMap::new();
    for (k, module) in network.modules().iter().enumerate() {
        let softmax = matches!(module.kind, ModuleKind::Softmax(_));
        if let Some((_, neurons, _)) = module.kind.neurons()
            && !softmax
            && neurons.model().is_none()
            && neurons.signed().is_none()
            && neurons.fires_plus
            && neurons.threshold_plus > 0
        {
            layers.entry((neurons.threshold_plus, k % split)).or_default().push(ModuleId::new(k));
        }
    }
    (!layers.is_empty()).then(|| (network, layers.into_values().collect()))
}

/// The rule, as `docs/engine.md` has it.
struct Plain<'n> {
    network: &'n Network,
    layers: &'n [Vec<ModuleId>],
    rule: OnlineRule,
    next: Tick,
    thresholds: Vec<i32>,
}

impl<'n> Plain<'n> {
    fn new(network: &'n Network, layers: &'n [Vec<ModuleId>], rule: OnlineRule) -> Self {
        let mut it = Self { network, layers, rule, next: rule.period, thresholds: Vec::new() };
        it.thresholds = (0..layers.len()).map(|layer| it.of_file(layer)).collect();
        it
    }

    fn of_file(&self, layer: usize) -> i32 {
        self.neurons(layer).next().unwrap().threshold_plus
    }

    fn neurons(&self, layer: usize) -> impl Iterator<Item = &NeuronParameters> {
        self.layers[layer].iter().map(|module| self.network.modules()[module.index()].kind.neurons().unwrap().1)
    }

    /// Neurons may not be at their threshold without input.
    fn least(&self, layer: usize) -> i32 {
        let of = |it: &NeuronParameters| {
            let rest = it.resting_potential.unwrap_or(it.membrane_reset);
            it.membrane_reset.max(rest).max(it.threshold_minus).max(0) + 1
        };
        self.neurons(layer).map(of).max().unwrap()
    }

    /// What has changed up to `now`.
    fn up_to(&mut self, now: Tick, logs: &[EventLog]) {
        while self.next <= now {
            for layer in 0..self.layers.len() {
                let mut most = 0;
                for module in &self.layers[layer] {
                    let mut counts: BTreeMap<(i32, i32), u64> = BTreeMap::new();
                    let log = &logs[self.network.outputs(*module)[0].index()];
                    for k in (0..log.len()).filter(|&k| log.polarity[k] == Polarity::Positive) {
                        assert!(log.t_rqst[k] < self.next);
                        let count = counts.entry((log.x[k], log.y[k])).or_default();
                        *count += 1;
                        most = most.max(*count);
                    }
                }
                // In hertz, times the time.
                let rate = 1000 * most as i128 * i128::from(self.rule.ticks_per_ms);
                let t = i128::from(self.next);
                let (least, below) = (i128::from(self.rule.diff_to_min_rate), i128::from(self.rule.diff_to_max_rate));
                if rate > least * t && 1000 * t - rate > below * t {
                    let threshold = i128::from(self.of_file(layer)) * rate / (1000 * t);
                    let at_most = self.of_file(layer);
                    self.thresholds[layer] = (threshold as i32).max(self.least(layer)).min(at_most);
                }
            }
            self.next += self.rule.period;
        }
    }

    fn set(&self, network: &mut Network) {
        let mut at = 0;
        let changed = network.map_modules(|module| {
            let layer = self.layers.iter().position(|layer| layer.contains(&ModuleId::new(at)));
            at += 1;
            if let (
                Some(layer),
                ModuleKind::Conv(Conv { neurons, .. }) | ModuleKind::FullyConnected(FullyConnected { neurons, .. }),
            ) = (layer, &mut module.kind)
            {
                neurons.threshold_plus = self.thresholds[layer];
            }
        });
        *network = changed.unwrap();
    }

    fn run(mut self, stimuli: &[Stimulus], mode: Mode) -> Result<(Vec<EventLog>, Vec<i32>), reference::OutsideMatrix> {
        let network = self.network;
        let mut change = |now: Tick, logs: &[EventLog], network: &mut Network| {
            let before = self.thresholds.clone();
            self.up_to(now, logs);
            if before != self.thresholds {
                self.set(network);
            }
        };
        let logs = match mode {
            Mode::Event => run_event_with(network, stimuli, &mut change)?,
            Mode::Clocked { dt } => run_clocked_with(network, stimuli, dt, Some(&mut change))?,
        };
        self.up_to(network.t_max(), &logs);
        Ok((logs, self.thresholds))
    }
}

fn simulate(simulation: &mut Simulation<'_>, stimuli: &[Stimulus]) -> Result<(Record, Vec<i32>), Error> {
    let record = simulation.run(stimuli)?;
    Ok((record, simulation.thresholds()))
}

fn compare(
    (network, layers): (&Network, &[Vec<ModuleId>]),
    stimuli: &[Stimulus],
    rule: OnlineRule,
    mode: Mode,
) -> Result<(), TestCaseError> {
    let plan = Plan::with_online_normalization(network, layers, rule).unwrap();
    let limits = Limits { events_per_tick: 3_000, memory: 500_000, ..Limits::default() };
    let simulation = |probes: &Probes| Simulation::new(&plan, mode, probes).with_limits(limits);
    let mut all = simulation(&Probes::all(network));
    let plain = || Plain::new(network, layers, rule);
    match simulate(&mut all, stimuli) {
        Ok((record, thresholds)) => {
            let logs: Vec<_> = record.nodes.iter().flatten().cloned().collect();
            let expected = plain().run(stimuli, mode);
            prop_assert_eq!(Ok((logs, thresholds.clone())), expected);
            // Again from the same state, and with nothing recorded but what the rule needs.
            prop_assert_eq!(simulate(&mut all, stimuli).unwrap(), (record.clone(), thresholds.clone()));
            let (counted, again) = simulate(&mut simulation(&Probes::none()), stimuli).unwrap();
            prop_assert_eq!((&counted.summary, again), (&record.summary, thresholds.clone()));
            prop_assert!(counted.nodes.iter().all(Option::is_none));
            Ok(())
        }
        Err(Error::Address { .. }) => {
            prop_assert_eq!(plain().run(stimuli, mode), Err(reference::OutsideMatrix));
            Ok(())
        }
        Err(Error::Runaway { .. } | Error::TooMuchMemory { .. }) => Err(TestCaseError::reject("runs away")),
        Err(error) => Err(TestCaseError::fail(error.to_string())),
    }
}

fn rules() -> impl Strategy<Value = OnlineRule> {
    let below = prop_oneof![Just(200u32), Just(0), 0u32..1000];
    let least = prop_oneof![Just(100u32), Just(0), 0u32..1000];
    (1i64..9, 1u32..5, below, least).prop_map(|(period, ticks_per_ms, diff_to_max_rate, diff_to_min_rate)| OnlineRule {
        period,
        ticks_per_ms,
        diff_to_max_rate,
        diff_to_min_rate,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, max_global_rejects: 50_000, ..ProptestConfig::default() })]

    #[test]
    fn random_networks((network, stimuli) in random_network(), rule in rules(), split in 1usize..3, dt in 1i64..4) {
        let Some((network, layers)) = fit(&network, split) else {
            return Err(TestCaseError::reject("nothing changes"));
        };
        compare((&network, &layers), &stimuli, rule, Mode::Event)?;
        compare((&network, &layers), &stimuli, rule, Mode::Clocked { dt })?;
    }

    #[test]
    fn layers_of_fast_kernels(
        (network, stimuli) in
            prop_oneof![4 => wide_matrix(), 4 => wide_kernel(), 4 => pooled_maps(), 1 => narrow_matrix()],
        rule in rules(),
        split in 1usize..3,
        dt in 1i64..4,
    ) {
        let Some((network, layers)) = fit(&network, split) else {
            return Err(TestCaseError::reject("nothing changes"));
        };
        compare((&network, &layers), &stimuli, rule, Mode::Event)?;
        compare((&network, &layers), &stimuli, rule, Mode::Clocked { dt })?;
    }
}

/// A neuron behind a source, with a threshold of 100.
fn one(neurons: NeuronParameters, timing: Timing) -> (Network, Vec<Vec<ModuleId>>) {
    let array = Array { nx: 1, ny: 1, x_min: 0, y_min: 0 };
    let ports = vec![FullyConnectedPort { nx_pre: 1, ny_pre: 1, weights: [50].into() }];
    let kind = ModuleKind::FullyConnected(FullyConnected { array, neurons, ports, output: Output::whole(array) });
    let mut builder = NetworkBuilder::new();
    let input = builder.source("in").unwrap();
    let module = Module { kind, inputs: vec![Input::Node(input)], timing, not_programmable: false };
    builder.module(module, &["out"]).unwrap();
    (builder.build(59).unwrap(), vec![vec![ModuleId::new(0)]])
}

const RULE: OnlineRule = OnlineRule { period: 10, ticks_per_ms: 1, diff_to_max_rate: 200, diff_to_min_rate: 100 };

#[test]
fn a_neuron_at_half_the_highest_rate_gets_half_the_threshold() {
    let neurons = NeuronParameters { threshold_plus: 100, ..NeuronParameters::default() };
    let (network, layers) = one(neurons, Timing::default());
    // Each ms an event of half a threshold.
    let spikes = (0..20).map(|t_pre| StimulusEvent { t_pre, x: 0, y: 0, polarity: Polarity::Positive });
    let stimulus = [Stimulus::from_events(spikes)];
    let plan = Plan::with_online_normalization(&network, &layers, RULE).unwrap();
    for mode in [Mode::Event, Mode::Clocked { dt: 1 }] {
        let mut simulation = Simulation::new(&plan, mode, &Probes::all(&network));
        assert_eq!(simulation.thresholds(), [100]);
        let record = simulation.run(&stimulus).unwrap();
        let times = record.nodes[1].as_ref().unwrap().t_pre.clone();
        // At 10 ms 5 spikes: 50. From then on every event makes a spike: at 20 ms 15 spikes: 75. Without further
        // spikes at 30 ms 50, at 40 ms 37, at 50 ms 30.
        assert_eq!(times, [1, 3, 5, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
        assert_eq!(simulation.thresholds(), [30]);
    }
    // Stopped at 12 ms, the threshold is that of then.
    let mut simulation = Simulation::new(&plan, Mode::Event, &Probes::none());
    simulation.run_until(&stimulus, |progress| progress.time == 12).unwrap();
    assert_eq!(simulation.thresholds(), [50]);
}

#[test]
fn rates_outside_the_limits_change_nothing() {
    let limits = |diff_to_max_rate, diff_to_min_rate| OnlineRule { diff_to_max_rate, diff_to_min_rate, ..RULE };
    // 500 Hz: 1000 - 500 must be more than the first, 500 more than the second.
    assert_eq!(limits(500, 100).threshold((1, 100), 5, 10), None);
    assert_eq!(limits(499, 100).threshold((1, 100), 5, 10), Some(50));
    assert_eq!(limits(200, 500).threshold((1, 100), 5, 10), None);
    assert_eq!(limits(200, 499).threshold((1, 100), 5, 10), Some(50));
    assert_eq!(RULE.threshold((60, 100), 5, 10), Some(60));
    assert_eq!(RULE.threshold((1, 1), 5, 10), Some(1));
    // Not a positive rate below 0.
    assert_eq!(limits(0, 0).threshold((1, 100), 11, 10), None);
    assert_eq!(limits(0, 0).threshold((1, 100), 0, 10), None);
}

#[test]
fn modules_that_the_rule_is_not_for_are_refused() {
    let plain = NeuronParameters { threshold_plus: 100, ..NeuronParameters::default() };
    let timing = Timing::default();
    for (neurons, timing, why) in [
        (NeuronParameters { leak_plus: 1, ..plain }, timing, "its neurons leak"),
        (NeuronParameters { mask_tau: 4, ..plain }, timing, "decaying current"),
        (NeuronParameters { fires_plus: false, ..plain }, timing, "do not spike"),
        (NeuronParameters { fires_minus: true, ..plain }, timing, "both signs"),
        (plain, Timing { n_repeat: 2, ..timing }, "n_repeat"),
    ] {
        let (network, layers) = one(neurons, timing);
        let error = Plan::with_online_normalization(&network, &layers, RULE).unwrap_err().to_string();
        assert!(error.contains("node {out}: online normalisation") && error.contains(why), "{error}");
    }
}
