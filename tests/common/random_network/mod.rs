//! Small random networks with stimuli: every kind of module, reset and timing rule, and what they do to each other.
//!
//! A network grows from a `Sketch`, whose numbers are picks and sizes that shrink one by one; [`grow`] turns any sketch
//! into a valid network. Sizes are kept so that a plain simulator runs a network in milliseconds: where the events of a
//! node could multiply, the module gets a delay of one tick, which bounds them by the ticks of the run.

#![allow(dead_code)] // each test binary takes what it needs

mod build;

use build::grow;
use megasim::network::*;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// Which feedback loops a network may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loops {
    /// None: modules read only what is driven above them.
    None,
    /// Each module that reads from below takes a tick, or its neurons have `Tmin` of one.
    Advancing,
    /// Any; a loop may run away within one tick.
    Any,
}

/// What [`random_network_with`] may make.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    pub loops: Loops,
    /// Last tick of a run, at most.
    pub t_max: Tick,
    /// Only fully connected modules with the neurons of MegaSim that make each event once: a run with delays or loops
    /// takes the flat arrays of small modules.
    pub small: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { loops: Loops::Advancing, t_max: 60, small: false }
    }
}

/// A small network and one stimulus a source, in the order of [`Network::sources`].
pub fn random_network() -> impl Strategy<Value = (Network, Vec<Stimulus>)> {
    random_network_with(Options::default())
}

/// A random network under given options.
pub fn random_network_with(options: Options) -> impl Strategy<Value = (Network, Vec<Stimulus>)> {
    sketch(options).prop_map(move |sketch| grow(&sketch, options))
}

/// Events beyond which a module is slowed down.
const MOST_EVENTS: u64 = 2_000;

#[derive(Debug, Clone)]
struct Sketch {
    sources: Vec<SourceSketch>,
    bias: Vec<Tick>,
    /// When, and whether it is a settle event.
    resets: Vec<(Tick, bool)>,
    controls: Vec<Tick>,
    layers: Vec<LayerSketch>,
    t_max: Tick,
}

#[derive(Debug, Clone)]
struct SourceSketch {
    nx: i32,
    ny: i32,
    /// Addresses start here; only those of the first source always at 0, 0.
    corner: (i32, i32),
    /// Written below the modules.
    late: bool,
    events: Vec<EventSketch>,
}

#[derive(Debug, Clone)]
struct EventSketch {
    t_pre: Tick,
    x: i32,
    y: i32,
    what: What,
}

#[derive(Debug, Clone, Copy)]
enum What {
    Positive,
    Negative,
    Reset,
    Control,
    Settle,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KindSketch {
    Conv,
    FullyConnected,
    Softmax,
    Flatten,
    MaxPool,
}

#[derive(Debug, Clone)]
struct LayerSketch {
    kind: KindSketch,
    /// Modules with the same inputs, geometry and (but for `odd_one`) timing.
    maps: usize,
    odd_one: bool,
    data: Vec<usize>,
    feedback: Option<usize>,
    bias: bool,
    reset: bool,
    control: bool,
    undriven: bool,
    extra: Option<usize>,
    second_output: bool,
    nx: u32,
    ny: u32,
    corner: (i32, i32),
    ports: Vec<PortSketch>,
    weights: Vec<i32>,
    neurons: NeuronParameters,
    output: OutputSketch,
    timing: Timing,
}

#[derive(Debug, Clone, Copy)]
struct PortSketch {
    nx: u32,
    ny: u32,
    dx: i32,
    dy: i32,
    stride: (i32, i32),
    expand: (i32, i32),
}

#[derive(Debug, Clone, Copy)]
struct OutputSketch {
    /// Columns and rows cut off at each side.
    crop: (i32, i32, i32, i32),
    pre: (i32, i32),
    subsample: (i32, i32),
    pos: (i32, i32),
    rectify: bool,
}

fn sketch(options: Options) -> impl Strategy<Value = Sketch> {
    let last = options.t_max + 3;
    let clock = move |most| vec(0..=last, 0..=most);
    (
        vec(source(last), 1..=3),
        clock(12),
        vec((0..=last, prop::bool::weighted(0.3)), 0..=3),
        clock(4),
        vec(layer(options.small), 1..=4),
        prop_oneof![8 => options.t_max / 3..=options.t_max, 1 => 0..=options.t_max],
    )
        .prop_map(|(sources, bias, resets, controls, layers, t_max)| Sketch {
            sources,
            bias,
            resets,
            controls,
            layers,
            t_max,
        })
}

fn source(last: Tick) -> impl Strategy<Value = SourceSketch> {
    let what = prop_oneof![
        20 => Just(What::Positive),
        4 => Just(What::Negative),
        1 => Just(What::Reset),
        1 => Just(What::Control),
        1 => Just(What::Settle),
    ];
    let event = (0..=last, 0..4i32, 0..4i32, what).prop_map(|(t_pre, x, y, what)| EventSketch { t_pre, x, y, what });
    (1..=4i32, 1..=3i32, corner(), prop::bool::weighted(0.2), vec(event, 0..=24))
        .prop_map(|(nx, ny, corner, late, events)| SourceSketch { nx, ny, corner, late, events })
}

fn corner() -> impl Strategy<Value = (i32, i32)> {
    prop_oneof![4 => Just((0, 0)), 1 => (-2..=2i32, -2..=2i32)]
}

fn layer(small: bool) -> impl Strategy<Value = LayerSketch> {
    let any = prop_oneof![
        5 => Just(KindSketch::Conv),
        4 => Just(KindSketch::FullyConnected),
        2 => Just(KindSketch::Softmax),
        2 => Just(KindSketch::Flatten),
        2 => Just(KindSketch::MaxPool),
    ];
    let kind = any.prop_map(move |any| if small { KindSketch::FullyConnected } else { any });
    let shape = (kind, prop_oneof![3 => Just(1usize), 1 => 2..=3usize], 1..=4u32, 1..=4u32, corner());
    let weight = prop_oneof![
        12 => -12..=12i32,
        4 => 1..=9i32,
        1 => prop_oneof![Just(1_500_000_000), Just(-1_900_000_000), Just(i32::MAX), Just(i32::MIN)],
    ];
    let any = prop_oneof![4 => neurons(), 1 => signed_neurons()].boxed();
    let plain = neurons().prop_map(|neurons| NeuronParameters { mask_tau: 0, ..neurons }).boxed();
    let neurons = if small { plain } else { any };
    let timing = timing().prop_map(move |timing| if small { Timing { n_repeat: 1, ..timing } } else { timing });
    let wiring = (
        vec(0..16usize, 1..=3),
        option::weighted(0.25, 0..16usize),
        option::weighted(0.15, 0..16usize),
        prop::bool::weighted(0.6),
        prop::bool::weighted(0.4),
        prop::bool::weighted(0.8),
        prop::bool::weighted(0.05),
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.3),
    );
    (shape, wiring, vec(port(), 3), vec(weight, 1..=24), neurons, output(), timing).prop_map(
        |(shape, wiring, ports, weights, neurons, output, timing)| {
            let (kind, maps, nx, ny, corner) = shape;
            let (data, feedback, extra, bias, reset, control, undriven, second_output, odd_one) = wiring;
            LayerSketch {
                kind,
                maps,
                odd_one,
                data,
                feedback,
                bias,
                reset,
                control,
                undriven,
                extra,
                second_output,
                nx,
                ny,
                corner,
                ports,
                weights,
                neurons,
                output,
                timing,
            }
        },
    )
}

fn port() -> impl Strategy<Value = PortSketch> {
    let factor = || prop_oneof![4 => Just(1), 1 => 2..=3i32];
    (1..=3u32, 1..=3u32, -2..=1i32, -2..=1i32, factor(), factor(), factor(), factor()).prop_map(
        |(nx, ny, dx, dy, x_stride, y_stride, x_expand, y_expand)| PortSketch {
            nx,
            ny,
            dx,
            dy,
            stride: (x_stride, y_stride),
            expand: (x_expand, y_expand),
        },
    )
}

fn neurons() -> impl Strategy<Value = NeuronParameters> {
    let reset = prop_oneof![Just(Reset::ToRest), Just(Reset::Subtract), Just(Reset::Modulo)];
    let rest = prop_oneof![4 => Just(0), 1 => -4..=4i32];
    let above = prop_oneof![10 => 1..=30i32, 1 => Just(i32::MAX - 4)];
    let below = prop_oneof![4 => Just(2_147_483_642), 4 => 1..=60i32];
    let leak = || prop_oneof![3 => Just(0), 1 => 1..=3i32, 1 => Just(i32::MAX)];
    let time = || prop_oneof![2 => Just(0), 1 => 1..=5i64];
    let mask = prop_oneof![8 => Just(0), 1 => 1..=4i32];
    let decay = prop_oneof![2 => 1..=1i32 << 30, 1 => Just(1i32 << 30), 1 => Just(1 << 28)];
    let leaks = prop_oneof![
        4 => (leak(), leak()).prop_map(|(plus, minus)| (plus, minus, 0)),
        1 => decay.prop_map(|decay| (0, 0, decay)),
    ];
    let rest = (rest, prop_oneof![3 => Just(None), 1 => (-4..=4i32).prop_map(Some)]);
    // Thresholds that clamp may be on either side of where potentials start and leak to.
    let clamps = prop::option::weighted(0.3, -12..=12i32);
    let flags = (prop::bool::weighted(0.9), prop::bool::weighted(0.4), clamps.clone(), clamps);
    (reset, rest, above, below, flags, leaks, mask, time(), time()).prop_map(
        |(
            reset,
            (rest, resting_potential),
            above,
            below,
            (fires_plus, fires_minus, ceiling, floor),
            leaks,
            mask_tau,
            t_min,
            refractory,
        )| {
            let (leak_plus, leak_minus, leak_decay) = leaks;
            let (highest, lowest) =
                (rest.max(resting_potential.unwrap_or(rest)), rest.min(resting_potential.unwrap_or(rest)));
            let modulo = reset == Reset::Modulo;
            // Above MembReset, and above 0 for a division; likewise below.
            let plus = highest.saturating_add(above);
            let plus = ceiling.filter(|_| !fires_plus).unwrap_or(plus);
            let minus = lowest.saturating_sub(below);
            let minus = floor.filter(|_| !fires_minus).unwrap_or(minus);
            NeuronParameters {
                threshold_plus: plus.max(if modulo { 1 } else { i32::MIN }),
                fires_plus,
                threshold_minus: minus.min(if modulo { -1 } else { i32::MAX }),
                fires_minus,
                reset,
                membrane_reset: rest,
                leak_plus,
                leak_minus,
                t_min,
                refractory,
                mask_tau,
                leak_decay,
                resting_potential,
                payload_bits: None,
                dynamics: Dynamics::IntegrateAndFire,
            }
        },
    )
}

/// Signed neurons; what may not act on them has the values at which it does not.
pub fn signed_neurons() -> impl Strategy<Value = NeuronParameters> {
    let threshold = prop_oneof![10 => 1..=30i32, 1 => Just(i32::MAX - 4)];
    let least = prop_oneof![3 => Just(0), 1 => -3..=0i32, 1 => Just(i32::MIN)];
    let most = prop_oneof![2 => Just(i32::MAX), 1 => 1..=4i32];
    (threshold, -20..=40i32, 0..=20i32, least, most).prop_map(
        |(threshold_plus, membrane_reset, hysteresis, min_count, max_count)| NeuronParameters {
            threshold_plus,
            membrane_reset: membrane_reset.min(threshold_plus - 1).max(if min_count < 0 {
                -hysteresis
            } else {
                i32::MIN
            }),
            dynamics: Dynamics::Signed(Signed { hysteresis, min_count, max_count }),
            ..NeuronParameters::default()
        },
    )
}

fn output() -> impl Strategy<Value = OutputSketch> {
    let cut = || prop_oneof![4 => Just(0), 1 => -1..=2i32];
    let shift = || prop_oneof![4 => Just(0), 1 => -2..=2i32];
    let factor = || prop_oneof![4 => Just(1), 1 => 2..=3i32];
    (
        (cut(), cut(), cut(), cut()),
        (shift(), shift()),
        (factor(), factor()),
        (shift(), shift()),
        prop::bool::weighted(0.3),
    )
        .prop_map(|(crop, pre, subsample, pos, rectify)| OutputSketch { crop, pre, subsample, pos, rectify })
}

fn timing() -> impl Strategy<Value = Timing> {
    let delay = || prop_oneof![3 => Just(0), 1 => 1..=5i64];
    let n_repeat = prop_oneof![4 => Just(1), 1 => 2..=3u32];
    let arrival = prop_oneof![5 => Just(0), 1 => 1..=7i64];
    (delay(), delay(), prop_oneof![2 => Just(0), 1 => 1..=4u32], n_repeat, 0..=15i64, (delay(), arrival)).prop_map(
        |(
            delay_to_process,
            delay_to_ack,
            fifo_depth,
            n_repeat,
            delay_to_repeat,
            (time_busy_initial, delay_to_arrive),
        )| Timing {
            delay_to_arrive,
            delay_to_process,
            delay_to_ack,
            fifo_depth,
            n_repeat,
            delay_to_repeat,
            time_busy_initial,
        },
    )
}
