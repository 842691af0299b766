//! The engine against the plain reference, on random small networks: the same events in both modes, with every kernel
//! variant.

use crate::common::random_network::{random_network, signed_neurons};
use crate::common::reference;
use megasim::engine::kernels::Variant;
use megasim::engine::{Error, Limits, Mode, Options, Plan, Probes, Record, Simulation, batch};
use megasim::network::*;
use proptest::prelude::*;

/// Loops without delay may run away in the reference, which has no limits: such a network is passed over where the
/// engine says so.
fn run(network: &Network, stimuli: &[Stimulus], mode: Mode, options: Options) -> Result<Record, Error> {
    let plan = Plan::with_options(network, options)?;
    let limits = Limits { events_per_tick: 3_000, memory: 500_000, ..Limits::default() };
    Simulation::new(&plan, mode, &Probes::all(network)).with_limits(limits).run(stimuli)
}

pub fn compare(
    network: &Network,
    stimuli: &[Stimulus],
    mode: Mode,
    reference: impl Fn() -> Result<Vec<EventLog>, reference::OutsideMatrix>,
) -> Result<(), TestCaseError> {
    let all = Variant::available()
        .into_iter()
        .flat_map(|kernel| [true, false].map(|narrow| Options { kernel, narrow, ..Options::default() }));
    for options in all {
        match run(network, stimuli, mode, options) {
            Ok(record) => {
                let logs: Vec<_> = record.nodes.into_iter().flatten().collect();
                prop_assert_eq!(Ok(logs.clone()), reference(), "{:?}", options);
                let counts: Vec<_> = logs.iter().map(|log| log.len() as u64).collect();
                prop_assert_eq!(record.summary.events, counts);
            }
            Err(Error::Address { .. }) => prop_assert_eq!(reference(), Err(reference::OutsideMatrix)),
            Err(Error::Runaway { .. } | Error::TooMuchMemory { .. }) => {
                return Err(TestCaseError::reject("runs away"));
            }
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
        }
    }
    Ok(())
}

/// Neurons as kernels let them spike, and nearly so.
pub(crate) fn plain_neurons() -> impl Strategy<Value = NeuronParameters> {
    let reset = prop_oneof![3 => Just(Reset::Subtract), 1 => Just(Reset::ToRest), 1 => Just(Reset::Modulo)];
    let floor = prop_oneof![3 => Just(-2_147_483_646), 1 => Just(-400), 1 => Just(-3)];
    (reset, floor, 0i64..3, 1i32..40, prop_oneof![4 => Just(0i64), 1 => Just(2)]).prop_map(
        |(reset, threshold_minus, t_min, threshold_plus, refractory)| NeuronParameters {
            threshold_plus,
            threshold_minus,
            reset,
            t_min,
            refractory,
            ..NeuronParameters::default()
        },
    )
}

/// Plain and signed neurons.
fn neurons() -> impl Strategy<Value = NeuronParameters> {
    prop_oneof![3 => plain_neurons(), 2 => signed_neurons()]
}

/// Weights that these neurons may have: signed ones answer each with a limited number of spikes.
fn weights_for(neurons: NeuronParameters, n: usize) -> impl Strategy<Value = std::sync::Arc<[i32]>> {
    let is_signed = neurons.signed().is_some();
    weights(n).prop_map(move |weights| match is_signed {
        true => weights.iter().map(|weight| weight.clamp(&-60, &60)).copied().collect(),
        false => weights,
    })
}

fn weights(n: usize) -> impl Strategy<Value = std::sync::Arc<[i32]>> {
    let huge = prop_oneof![Just(i32::MAX), Just(i32::MIN), Just(1_500_000_000), Just(-1_500_000_000)];
    let weight = prop_oneof![200 => -9i32..12, 1 => huge];
    prop::collection::vec(weight, n).prop_map(Into::into)
}

fn stimulus(nx: i32, ny: i32) -> impl Strategy<Value = Stimulus> {
    let polarity = prop_oneof![6 => Just(Polarity::Positive), 1 => Just(Polarity::Negative)];
    let event = (0i64..6, 0..nx, 0..ny, polarity);
    let reset = (0i64..6).prop_map(StimulusEvent::reset);
    let spike = event.prop_map(|(t_pre, x, y, polarity)| StimulusEvent { t_pre, x, y, polarity });
    prop::collection::vec(prop_oneof![30 => spike, 1 => reset], 0..60).prop_map(Stimulus::from_events)
}

/// A module without delays.
pub(crate) fn module(kind: ModuleKind, inputs: &[NodeId]) -> Module {
    let inputs = inputs.iter().map(|&node| Input::Node(node)).collect();
    Module { kind, inputs, timing: Timing::default(), not_programmable: false }
}

/// One fully connected layer of any width: whole vectors, tails, more than fits the registers.
pub(crate) fn wide_matrix() -> impl Strategy<Value = (Network, Vec<Stimulus>)> {
    (prop_oneof![1usize..70, 120usize..140, 250usize..300], neurons(), 1u32..5).prop_flat_map(|(n, neurons, lines)| {
        (weights_for(neurons, n * lines as usize), stimulus(lines as i32, 1))
            .prop_map(move |(weights, stimulus)| (one_layer(n, lines, neurons, weights), vec![stimulus]))
    })
}

/// One fully connected layer that is large enough, with weights small enough, to be kept in 16 bits.
pub(crate) fn narrow_matrix() -> impl Strategy<Value = (Network, Vec<Stimulus>)> {
    let weight = prop_oneof![20 => -9i32..12, 1 => Just(i32::from(i16::MIN)), 1 => Just(i32::from(i16::MAX))];
    (prop_oneof![1usize..70, 120usize..140, 250usize..300], neurons()).prop_flat_map(move |(n, neurons)| {
        let lines = 4096_usize.div_ceil(n);
        let largest = if neurons.signed().is_some() { 60 } else { i32::MAX };
        let weight = weight.clone().prop_map(move |weight| weight.clamp(-largest, largest));
        let weights = prop::collection::vec(weight, n * lines);
        (weights, stimulus(lines as i32, 1))
            .prop_map(move |(weights, stimulus)| (one_layer(n, lines as u32, neurons, weights.into()), vec![stimulus]))
    })
}

fn one_layer(n: usize, lines: u32, neurons: NeuronParameters, weights: std::sync::Arc<[i32]>) -> Network {
    let array = Array { nx: n as u32, ny: 1, x_min: 0, y_min: 0 };
    let ports = vec![FullyConnectedPort { nx_pre: lines, ny_pre: 1, weights }];
    let kind = ModuleKind::FullyConnected(FullyConnected { array, neurons, ports, output: Output::whole(array) });
    let mut builder = NetworkBuilder::new();
    let input = builder.source("in").unwrap();
    builder.module(module(kind, &[input]), &["out"]).unwrap();
    builder.build(20).unwrap()
}

/// One convolutional layer of several maps: stretches of any length, strides, clipping.
pub(crate) fn wide_kernel() -> impl Strategy<Value = (Network, Vec<Stimulus>)> {
    let geometry = (1u32..7, 1u32..6, 1u32..4, 1u32..4, -3i32..3, 1i32..3, 1i32..3);
    (1usize..24, neurons(), geometry).prop_flat_map(|(maps, neurons, (nx, ny, kx, ky, d, stride, expand))| {
        let kernels = prop::collection::vec(weights_for(neurons, (kx * ky) as usize), maps);
        (kernels, stimulus(nx as i32, ny as i32)).prop_map(move |(kernels, stimulus)| {
            let array = Array { nx, ny, x_min: 0, y_min: 0 };
            let mut builder = NetworkBuilder::new();
            let input = builder.source("in").unwrap();
            for (map, weights) in kernels.into_iter().enumerate() {
                let port = ConvPort {
                    nx: kx,
                    ny: ky,
                    dx: d,
                    dy: d,
                    x_stride: stride,
                    y_stride: stride,
                    x_expand: expand,
                    y_expand: expand,
                    weights,
                };
                let output = Output::whole(array);
                let kind = ModuleKind::Conv(Conv { array, neurons, ports: vec![port], output });
                builder.module(module(kind, &[input]), &[format!("out_{map}")]).unwrap();
            }
            (builder.build(20).unwrap(), vec![stimulus])
        })
    })
}

/// What the modules of [`pooled_maps`] are made of.
#[derive(Debug, Clone)]
struct Pooled {
    neurons: [NeuronParameters; 3],
    array: Array,
    stride: i32,
    /// By map: the kernels before pooling, those of pooling, and of pooling what was pooled.
    kernels: Vec<[std::sync::Arc<[i32]>; 3]>,
    /// The last layer reads all maps.
    last: Vec<std::sync::Arc<[i32]>>,
    /// A map whose pooling takes time.
    slow: Option<usize>,
    /// Pooling that reads a source, too, which is the same for all maps.
    shared: bool,
}

/// Maps that are pooled each by itself, twice by modules that are alike, and read together.
pub(crate) fn pooled_maps() -> impl Strategy<Value = (Network, Vec<Stimulus>)> {
    let sizes = (1usize..6, 1i32..4, 1i32..4, 1u32..7, 1u32..7, -2i32..2);
    (sizes, neurons(), neurons(), neurons()).prop_flat_map(|((maps, stride, size, nx, ny, corner), one, two, three)| {
        let neurons = [one, two, three];
        let size = size.min(stride) as usize;
        let kernels = (weights_for(one, 4), weights_for(two, size * size), weights_for(two, size * size));
        let kernels = prop::collection::vec(kernels.prop_map(|(a, b, c)| [a, b, c]), maps);
        let last = prop::collection::vec(weights_for(three, 4), maps);
        let slow = prop_oneof![4 => Just(None), 1 => (0..maps).prop_map(Some)];
        let array = Array { nx, ny, x_min: corner, y_min: 0 };
        let stimuli = (stimulus(nx as i32, ny as i32), stimulus(2, 2));
        (kernels, last, slow, any::<bool>(), stimuli).prop_map(move |(kernels, last, slow, shared, (input, other))| {
            (Pooled { neurons, array, stride, kernels, last, slow, shared }.network(), vec![input, other])
        })
    })
}

impl Pooled {
    fn network(&self) -> Network {
        let Self { array, stride, neurons, .. } = *self;
        let mut builder = NetworkBuilder::new();
        let input = builder.source("in").unwrap();
        let other = builder.source("other").unwrap();
        let conv = |neurons: NeuronParameters, ports: Vec<ConvPort>| {
            ModuleKind::Conv(Conv { array, neurons, ports, output: Output::whole(array) })
        };
        let square = |weights: &std::sync::Arc<[i32]>| {
            let size = weights.len().isqrt() as u32;
            ConvPort::kernel(size, size, 0, 0, weights.clone())
        };
        let mut nodes = vec![input; self.kernels.len()];
        for layer in 0..3 {
            for (map, kernels) in self.kernels.iter().enumerate() {
                let is_pool = layer > 0;
                let stride = if is_pool { stride } else { 1 };
                let port = ConvPort { x_stride: stride, y_stride: stride, ..square(&kernels[layer]) };
                let inputs = if is_pool && self.shared { &[nodes[map], other][..] } else { &[nodes[map]] };
                let ports = if is_pool && self.shared { vec![port, square(&kernels[2])] } else { vec![port] };
                let mut module = module(conv(neurons[layer.min(1)], ports), inputs);
                module.timing.delay_to_process = i64::from(layer == 1 && self.slow == Some(map));
                nodes[map] = builder.module(module, &[format!("{layer}_{map}")]).unwrap()[0];
            }
        }
        let last = conv(neurons[2], self.last.iter().map(square).collect());
        builder.module(module(last, &nodes), &["out"]).unwrap();
        builder.build(20).unwrap()
    }
}

/// Two layers without delay, samples, and resets that reach both, one or none, in a separate tick or not.
fn batch_of_samples() -> impl Strategy<Value = (Network, Vec<Stimulus>)> {
    let reset_ticks = prop::collection::vec((0i64..40, prop::bool::weighted(0.8), prop::bool::weighted(0.8)), 0..6);
    let spikes = prop::collection::vec((0i64..40, 0i32..3), 0..60);
    let shapes = (plain_neurons(), plain_neurons(), weights(3 * 5), weights(5 * 2), prop::bool::weighted(0.2));
    (shapes, reset_ticks, spikes).prop_map(|((one, two, first, second, delayed), resets, spikes)| {
        let mut builder = NetworkBuilder::new();
        let input = builder.source("in").unwrap();
        let reset = [builder.source("reset_1").unwrap(), builder.source("reset_2").unwrap()];
        let mut layer = |from: NodeId, k: usize, neurons, n: u32, weights: std::sync::Arc<[i32]>| {
            let array = Array { nx: n, ny: 1, x_min: 0, y_min: 0 };
            let lines = weights.len() as u32 / n;
            let port = |nx_pre, weights| FullyConnectedPort { nx_pre, ny_pre: 1, weights };
            let ports = vec![port(lines, weights), port(1, vec![0; n as usize].into())];
            let full = FullyConnected { array, neurons, ports, output: Output::whole(array) };
            let mut module = module(ModuleKind::FullyConnected(full), &[from, reset[k]]);
            module.timing.delay_to_process = i64::from(delayed);
            builder.module(module, &[format!("layer_{k}")]).unwrap()[0]
        };
        let hidden = layer(input, 0, one, 5, first);
        layer(hidden, 1, two, 2, second);
        let polarity = Polarity::Positive;
        let spike = |(t_pre, x)| StimulusEvent { t_pre, x, y: 0, polarity };
        let of = |pick: fn(&(i64, bool, bool)) -> bool| {
            Stimulus::from_events(resets.iter().filter(|it| pick(it)).map(|it| StimulusEvent::reset(it.0)))
        };
        let stimuli = vec![Stimulus::from_events(spikes.into_iter().map(spike)), of(|it| it.1), of(|it| it.2)];
        (builder.build(60).unwrap(), stimuli)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, max_global_rejects: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn event_mode((network, stimuli) in random_network()) {
        compare(&network, &stimuli, Mode::Event, || reference::run_event(&network, &stimuli))?;
    }

    #[test]
    fn clocked_mode((network, stimuli) in random_network(), dt in 1i64..5) {
        compare(&network, &stimuli, Mode::Clocked { dt }, || reference::run_clocked(&network, &stimuli, dt))?;
    }

    #[test]
    fn wide_layers(
        (network, stimuli) in
            prop_oneof![4 => wide_matrix(), 4 => wide_kernel(), 4 => pooled_maps(), 1 => narrow_matrix()],
        dt in 1i64..4,
    ) {
        compare(&network, &stimuli, Mode::Event, || reference::run_event(&network, &stimuli))?;
        compare(&network, &stimuli, Mode::Clocked { dt }, || reference::run_clocked(&network, &stimuli, dt))?;
    }

    #[test]
    fn samples_between_resets((network, samples) in batch_of_samples(), dt in 1i64..3) {
        for mode in [Mode::Event, Mode::Clocked { dt }] {
            let plan = Plan::new(&network).unwrap();
            let probes = Probes::all(&network);
            let whole = Simulation::new(&plan, mode, &probes).run(&samples);
            prop_assert_eq!(batch::run(&plan, mode, &probes, &samples), whole);
        }
    }
}
