//! Networks with any numbers in them: either they are refused, or they run in both modes without a panic.

use megasim::engine::kernels::Variant;
use megasim::engine::{Limits, Mode, Options, Plan, Probes, Simulation};
use megasim::network::*;
use proptest::collection::vec;
use proptest::prelude::*;
use std::num::NonZeroU32;

/// Mostly small, sometimes at an end of its range.
fn number() -> impl Strategy<Value = i32> {
    prop_oneof![6 => -3..20_i32, 1 => Just(i32::MAX), 1 => Just(i32::MIN), 1 => Just(-2_147_483_646)]
}

/// Mostly positive.
fn positive() -> impl Strategy<Value = i32> {
    prop_oneof![12 => 1..20_i32, 1 => Just(i32::MAX), 1 => number()]
}

fn size() -> impl Strategy<Value = u32> {
    prop_oneof![12 => 1..4_u32, 1 => Just(0), 1 => Just(u32::MAX)]
}

fn tick() -> impl Strategy<Value = Tick> {
    prop_oneof![8 => 0..4_i64, 1 => Just(Tick::MAX), 1 => Just(Tick::MAX / 2), 1 => Just(-1)]
}

fn zero_or(of: impl Strategy<Value = i32>) -> impl Strategy<Value = i32> {
    of.prop_flat_map(|n| prop_oneof![4 => Just(0), 1 => Just(n)])
}

fn signed_neurons() -> impl Strategy<Value = NeuronParameters> {
    let count = || prop_oneof![2 => Just(i32::MAX), 2 => Just(i32::MIN), 4 => -3..4_i32];
    (positive(), zero_or(number()), zero_or(number()), count(), count()).prop_map(
        |(threshold_plus, membrane_reset, hysteresis, min_count, max_count)| NeuronParameters {
            threshold_plus,
            membrane_reset,
            dynamics: Dynamics::Signed(Signed { hysteresis, min_count, max_count }),
            ..NeuronParameters::default()
        },
    )
}

fn neurons() -> BoxedStrategy<NeuronParameters> {
    prop_oneof![6 => other_neurons(), 1 => signed_neurons()].boxed()
}

fn other_neurons() -> BoxedStrategy<NeuronParameters> {
    let thresholds = (positive(), prop::bool::weighted(0.9), number(), prop::bool::weighted(0.2));
    let reset = prop_oneof![Just(Reset::ToRest), Just(Reset::Subtract), Just(Reset::Modulo)];
    let leaks = (zero_or(number()), zero_or(number()), zero_or(number()));
    let more = (zero_or(number()), prop::option::weighted(0.1, number()), prop::option::weighted(0.1, 1..4_u32));
    let more = (more.0, more.1, more.2, prop::option::weighted(0.15, 0..=16_u8));
    (thresholds, reset, zero_or(number()), leaks, tick(), tick(), more)
        .prop_map(|((plus, fires_plus, minus, fires_minus), reset, membrane_reset, leaks, t_min, refractory, more)| {
            NeuronParameters {
                threshold_plus: plus,
                fires_plus,
                threshold_minus: minus,
                fires_minus,
                reset,
                membrane_reset,
                leak_plus: leaks.0,
                leak_minus: leaks.1,
                leak_decay: leaks.2,
                t_min,
                refractory,
                mask_tau: more.0,
                resting_potential: more.1,
                payload_bits: more.3,
                dynamics: more.2.and_then(NonZeroU32::new).map_or(Dynamics::IntegrateAndFire, Dynamics::Model),
            }
        })
        .boxed()
}

fn array() -> impl Strategy<Value = Array> {
    (size(), size(), zero_or(number()), zero_or(number())).prop_map(|(nx, ny, x_min, y_min)| Array {
        nx,
        ny,
        x_min,
        y_min,
    })
}

fn output(array: Array) -> impl Strategy<Value = Output> {
    let numbers = (zero_or(number()), positive(), zero_or(number()), zero_or(number()));
    (prop::bool::weighted(0.7), numbers, any::<bool>()).prop_map(
        move |(whole, (pre, subsample, pos, crop), rectify)| {
            if whole {
                return Output { rectify, ..Output::whole(array) };
            }
            Output {
                xshift_pre: pre,
                yshift_pre: pre,
                x_subsmp: subsample,
                y_subsmp: subsample,
                xshift_pos: pos,
                yshift_pos: pos,
                crop_xmin: crop,
                rectify,
                ..Output::whole(array)
            }
        },
    )
}

/// Weights for a size, nearly always as many as announced, never so many that memory matters.
fn weights(announced: u64) -> impl Strategy<Value = std::sync::Arc<[i32]>> {
    let n = if announced > 4096 { 1 } else { announced as usize };
    (vec(number(), n), prop::bool::weighted(0.02)).prop_map(|(mut weights, short)| {
        if short {
            weights.pop();
        }
        weights.into()
    })
}

fn conv_port() -> BoxedStrategy<ConvPort> {
    let offsets = (zero_or(number()), zero_or(number()));
    let steps = (positive(), positive(), positive(), positive());
    (size(), size(), offsets, prop::option::weighted(0.3, steps))
        .prop_flat_map(|(nx, ny, (dx, dy), steps)| {
            let (x_stride, y_stride, x_expand, y_expand) = steps.unwrap_or((1, 1, 1, 1));
            weights(u64::from(nx) * u64::from(ny)).prop_map(move |weights| ConvPort {
                nx,
                ny,
                dx,
                dy,
                x_stride,
                y_stride,
                x_expand,
                y_expand,
                weights,
            })
        })
        .boxed()
}

fn conv() -> BoxedStrategy<ModuleKind> {
    (array(), neurons(), vec(conv_port(), 0..3))
        .prop_flat_map(|(array, neurons, ports)| {
            output(array)
                .prop_map(move |output| ModuleKind::Conv(Conv { array, neurons, ports: ports.clone(), output }))
        })
        .boxed()
}

fn full() -> BoxedStrategy<ModuleKind> {
    (array(), neurons(), vec((size(), size()), 0..3), prop::bool::weighted(0.9), any::<bool>())
        .prop_flat_map(|(mut array, neurons, ports, row, softmax)| {
            if row {
                array.ny = 1;
            }
            let ports: Vec<_> = ports
                .into_iter()
                .map(|(nx_pre, ny_pre)| {
                    let lines = u64::from(nx_pre) * u64::from(ny_pre);
                    weights(lines.saturating_mul(array.nx.into())).prop_map(move |weights| FullyConnectedPort {
                        nx_pre,
                        ny_pre,
                        weights,
                    })
                })
                .collect();
            (output(array), ports).prop_map(move |(output, ports)| {
                let full = FullyConnected { array, neurons, ports, output };
                if softmax { ModuleKind::Softmax(full) } else { ModuleKind::FullyConnected(full) }
            })
        })
        .boxed()
}

fn pool() -> BoxedStrategy<ModuleKind> {
    let port = ((size(), size(), size(), size()), (number(), number(), positive(), positive()), (size(), size()))
        .prop_map(|((nx, ny, nx_pool, ny_pool), (dx, dy, x_stride, y_stride), (nx_out, ny_out))| PoolPort {
            nx,
            ny,
            nx_pool,
            ny_pool,
            dx,
            dy,
            x_stride,
            y_stride,
            nx_out,
            ny_out,
        });
    let mask =
        (positive(), number(), positive()).prop_map(|(tau, weight, threshold)| PoolMask { tau, weight, threshold });
    let rule = prop_oneof![
        4 => Just(PoolRule::Busiest),
        3 => mask.prop_map(PoolRule::Mask),
        2 => Just(PoolRule::Signed),
        1 => (1..=Tick::MAX).prop_map(|over| PoolRule::Average { over }),
        1 => (1..=1 << 30).prop_map(|decay| PoolRule::Exponential { decay }),
    ];
    (port, any::<bool>(), rule)
        .prop_map(|(port, reset, rule)| {
            let ports = if reset { vec![port, PoolPort::RESET] } else { vec![port] };
            ModuleKind::MaxPool(MaxPool { ports, rule })
        })
        .boxed()
}

fn kind() -> BoxedStrategy<ModuleKind> {
    let flatten = vec((size(), size()).prop_map(|(nx, ny)| FlattenPort { nx, ny }), 0..3).prop_map(ModuleKind::Flatten);
    prop_oneof![3 => conv(), 3 => full(), 1 => flatten, 1 => pool()].boxed()
}

fn timing() -> BoxedStrategy<Timing> {
    let counts = (
        prop_oneof![4 => 0..3_u32, 1 => Just(u32::MAX)],
        prop_oneof![8 => 1..3_u32, 1 => Just(0), 1 => Just(u32::MAX)],
    );
    (prop::bool::weighted(0.5), tick(), tick(), counts, tick(), tick(), tick())
        .prop_map(|(ideal, process, ack, (fifo_depth, n_repeat), repeat, arrive, busy)| match ideal {
            true => Timing::default(),
            false => Timing {
                delay_to_process: process,
                delay_to_ack: ack,
                fifo_depth,
                n_repeat,
                delay_to_repeat: repeat,
                delay_to_arrive: arrive,
                time_busy_initial: busy,
            },
        })
        .boxed()
}

/// What a module reads: nodes by number, right or wrong, and names, driven or not.
fn input() -> impl Strategy<Value = Input> {
    prop_oneof![
        6 => (0..4_usize).prop_map(|id| Input::Node(NodeId::new(id))),
        1 => Just(Input::Node(NodeId::new(77))),
        2 => prop_oneof![Just("n1"), Just("n2"), Just("none")].prop_map(|name| Input::Undriven(name.into())),
    ]
}

fn event() -> impl Strategy<Value = StimulusEvent> {
    let polarity =
        prop_oneof![6 => Just(Polarity::Positive), 2 => Just(Polarity::Negative), 1 => Just(Polarity::Reset)];
    let time = prop_oneof![10 => 0..8_i64, 1 => tick()];
    (time, zero_or(number()), zero_or(number()), polarity).prop_map(|(t_pre, x, y, polarity)| StimulusEvent {
        t_pre,
        x,
        y,
        polarity,
    })
}

/// How a valid network is changed afterwards.
#[derive(Debug, Clone)]
enum Change {
    TMax(Tick),
    Kind(ModuleKind),
    Inputs(Vec<Input>),
    Set(&'static str, i64),
    Finer(Tick),
}

fn change() -> BoxedStrategy<Change> {
    let value = prop_oneof![number().prop_map(i64::from), tick()];
    prop_oneof![
        tick().prop_map(Change::TMax),
        kind().prop_map(Change::Kind),
        vec(input(), 0..4).prop_map(Change::Inputs),
        (prop::sample::select(settable_keys()), value).prop_map(|(key, value)| Change::Set(key, value)),
        prop_oneof![1..4_i64, Just(Tick::MAX)].prop_map(Change::Finer),
    ]
    .boxed()
}

fn changed(network: Network, change: &Change) -> Result<Network, NetworkError> {
    match change {
        Change::TMax(t_max) => network.with_t_max(*t_max),
        Change::Kind(kind) => network.map_modules(|module| module.kind = kind.clone()),
        Change::Inputs(inputs) => network.map_modules(|module| module.inputs.clone_from(inputs)),
        Change::Set(key, value) => {
            let mut network = network;
            network.set(|_| true, key, *value).map(|_| network)
        }
        Change::Finer(factor) => network.with_finer_ticks(*factor),
    }
}

/// Runs in every way; stopped runs are fine.
fn run(network: &Network, events: &[StimulusEvent]) {
    let limits = Limits { events_per_tick: 500, events: 2_000, memory: 200_000 };
    for kernel in [Variant::PLAIN, Variant::best()] {
        let Ok(plan) = Plan::with_options(network, Options { kernel, ..Options::default() }) else { return };
        let plan = plan.with_limits(limits);
        for mode in [Mode::Event, Mode::Clocked { dt: 1 }, Mode::Clocked { dt: 3 }] {
            let mut steps = 0;
            let stimuli = vec![Stimulus::from_events(events.iter().copied()); network.sources().len()];
            let mut simulation = Simulation::new(&plan, mode, &Probes::all(network));
            // Steps without events, which potentials that decay have, end at Tmax only.
            let _ = simulation.run_until(&stimuli, |_| {
                steps += 1;
                steps > 2_000
            });
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn any_network_is_refused_or_runs(
        modules in vec((kind(), vec(input(), 0..4), timing()), 1..3),
        t_max in prop_oneof![6 => 0..20_i64, 1 => tick()],
        changes in vec(change(), 0..3),
        events in vec(event(), 0..8),
    ) {
        let mut builder = NetworkBuilder::new();
        builder.source("n0").unwrap();
        for (k, (kind, inputs, timing)) in modules.into_iter().enumerate() {
            let module = Module { kind, inputs, timing, not_programmable: false };
            if builder.module(module, &[format!("n{}", k + 1)]).is_err() {
                return Ok(());
            }
        }
        let Ok(mut network) = builder.build(t_max) else { return Ok(()) };
        run(&network, &events);
        for change in &changes {
            if let Ok(other) = changed(network.clone(), change) {
                run(&other, &events);
                network = other;
            }
        }
    }
}

fn one(inputs: Vec<Input>, neurons: NeuronParameters) -> (NetworkBuilder, Module) {
    let mut builder = NetworkBuilder::new();
    builder.source("n0").unwrap();
    let array = Array { nx: 1, ny: 1, x_min: 0, y_min: 0 };
    let ports = vec![FullyConnectedPort { nx_pre: 1, ny_pre: 1, weights: [1].into() }];
    let kind = ModuleKind::FullyConnected(FullyConnected { array, neurons, ports, output: Output::whole(array) });
    (builder, Module { kind, inputs, timing: Timing::default(), not_programmable: false })
}

#[test]
fn what_a_module_reads_must_be_there() {
    let (mut builder, module) = one(vec![Input::Node(NodeId::new(7))], NeuronParameters::default());
    builder.module(module, &["n1"]).unwrap();
    assert_eq!(builder.build(9), Err(NetworkError::NoSuchNode { module: 0, node: 7, nodes: 2 }));

    let (mut builder, module) = one(vec![Input::Node(NodeId::new(0))], NeuronParameters::default());
    builder.module(module, &["n1"]).unwrap();
    let network = builder.build(9).unwrap();
    let elsewhere = network.map_modules(|module| module.inputs = vec![Input::Node(NodeId::new(2))]);
    assert_eq!(elsewhere, Err(NetworkError::NoSuchNode { module: 0, node: 2, nodes: 2 }));
    let unbound = network.map_modules(|module| module.inputs = vec![Input::Undriven("n0".into())]);
    assert_eq!(unbound, Err(NetworkError::NotUndriven { module: 0, node: "n0".into() }));
    assert!(matches!(network.with_t_max(-5), Err(NetworkError::Range { key: "Tmax", .. })));
}

#[test]
fn equations_must_be_there() {
    let neurons = NeuronParameters { dynamics: Dynamics::Model(NonZeroU32::MIN), ..NeuronParameters::default() };
    let (mut builder, module) = one(vec![Input::Node(NodeId::new(0))], neurons);
    builder.module(module, &["n1"]).unwrap();
    assert!(matches!(builder.build(9), Err(NetworkError::Range { key: "neuron_model", .. })));

    let (mut builder, module) = one(vec![Input::Node(NodeId::new(0))], NeuronParameters::default());
    builder.module(module, &["n1"]).unwrap();
    let network = builder.build(9).unwrap();
    let other = network.map_modules(|module| {
        if let ModuleKind::FullyConnected(full) = &mut module.kind {
            full.neurons.dynamics = Dynamics::Model(NonZeroU32::MIN);
        }
    });
    assert!(matches!(other, Err(NetworkError::Range { key: "neuron_model", .. })));
}

#[test]
fn a_kernel_of_no_rows_takes_no_memory() {
    let (mut builder, mut module) = one(vec![Input::Node(NodeId::new(0))], NeuronParameters::default());
    let array = Array { nx: 1, ny: 1, x_min: 0, y_min: 0 };
    let port = ConvPort {
        nx: u32::MAX,
        ny: 0,
        dx: 0,
        dy: 0,
        x_stride: 1,
        y_stride: 1,
        x_expand: 1,
        y_expand: 1,
        weights: [].into(),
    };
    let neurons = NeuronParameters::default();
    module.kind = ModuleKind::Conv(Conv { array, neurons, ports: vec![port], output: Output::whole(array) });
    builder.module(module, &["n1"]).unwrap();
    let Ok(network) = builder.build(9) else { return };
    let plan = Plan::new(&network).unwrap();
    let event = StimulusEvent { t_pre: 1, x: 0, y: 0, polarity: Polarity::Positive };
    let record = Simulation::new(&plan, Mode::Event, &Probes::all(&network)).run(&[Stimulus::from_events([event])]);
    assert_eq!(record.unwrap().summary.synaptic_operations, 0);
}
