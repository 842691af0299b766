//! A trained network as a netlist: the event-driven engine gives the same first-spike bins, in every layer.

use megasim::engine::{Mode, Plan, Probes, Simulation};
use megasim::learning::{
    Description, Evaluator, Fixed, SpikeWave, SpikingNetwork, Stimuli, Trainer, Weight, to_netlist, to_stimuli,
};
use megasim::network::{EventLog, Polarity};
use ndarray::{Array1, Array3, Axis, s};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// Compares the engine's record of one stimulus with the library's waves; gives the number of neurons whose bins differ
/// and the number of spikes.
fn compare<W: Weight>(
    network: &SpikingNetwork<W>,
    simulation: &mut Simulation,
    evaluator: &Evaluator<W>,
    input: &SpikeWave,
    ticks: i64,
) -> (usize, usize) {
    let record = simulation.run(&to_stimuli(std::slice::from_ref(input), ticks).0).unwrap();
    let waves = evaluator.waves(input).unwrap();
    // Features may be taken with all input at once; what they are does not show it.
    let last = waves.last().unwrap();
    let spiked = last
        .latencies()
        .iter()
        .enumerate()
        .filter(|(_, bin)| **bin < last.time_steps())
        .map(|(at, _)| at as u32)
        .collect::<Vec<_>>();
    // Sums of float32 depend on their order: at once, one that is all but equal to the threshold can come out on its
    // other side.
    let features = evaluator.clone().features(input);
    let apart =
        features.iter().filter(|neuron| !spiked.contains(neuron)).count().max(spiked.len().abs_diff(features.len()));
    assert!(apart == 0 || (W::NAME == f32::NAME && apart < 5), "{apart} of {} features", spiked.len());
    // Sources first: input maps and resets; then the modules of each layer that the netlist has.
    let mut node = network.shape(0).maps() + 1;
    let (mut differ, mut spikes) = (0, 0);
    let layers = waves.iter().zip(&network.description().layers);
    for (wave, _) in layers.filter(|(_, layer)| !matches!(layer, megasim::learning::Layer::PointwiseInhibition(_))) {
        let mut found = Array3::from_elem(wave.shape().dim(), wave.time_steps());
        for map in 0..wave.shape().maps() {
            let log: &EventLog = record.nodes[node].as_ref().unwrap();
            node += 1;
            for k in 0..log.len() {
                let event = log.event(k);
                assert_eq!(event.t_pre % ticks, 0);
                let bin = &mut found[(map, event.y as usize, event.x as usize)];
                assert_eq!(*bin, wave.time_steps(), "two spikes of one neuron");
                *bin = (event.t_pre / ticks) as u32;
            }
        }
        differ += found.iter().zip(&wave.latencies()).filter(|(found, expected)| found != expected).count();
        spikes += wave.len();
    }
    assert_eq!(node, record.nodes.len());
    (differ, spikes)
}

fn description(
    kernel: usize,
    stride: usize,
    padding: usize,
    threshold: f64,
    pool: (usize, usize, usize),
) -> Description {
    let (window, step, margin) = pool;
    Description::from_toml(&format!(
        r#"
        name = "random"
        [input]
        height = 10
        width = 9
        [encoding]
        time_steps = 6
        [[layer]]
        type = "convolution"
        maps = 5
        kernel_size = {kernel}
        stride = {stride}
        padding = {padding}
        weight_std = 0.1
        threshold = {threshold}
        [layer.learning]
        rule = "stdp"
        learning_rate = [0.1, -0.08]
        passes = 3
        [[layer]]
        type = "pooling"
        kernel_size = {window}
        stride = {step}
        padding = {margin}
        [[layer]]
        type = "pointwise_inhibition"
        training_only = true
        [[layer]]
        type = "convolution"
        maps = 4
        kernel_size = 2
        padding = 1
        weight_std = 0.1
        threshold = 1.5
        "#
    ))
    .unwrap()
}

fn check<W: Weight>(description: &Description, images: &Array3<f32>, seed: u64) -> usize {
    let network = SpikingNetwork::<W>::new(description, seed).unwrap();
    let labels = vec![0; images.dim().0];
    let stimuli = Stimuli::encode(network.encoder(), images.view(), &labels).unwrap();
    let mut trainer = Trainer::new(network, seed);
    trainer.run(&stimuli, 1, |_| ControlFlow::Continue(())).unwrap();
    let network = trainer.network();
    let netlist = to_netlist(network).unwrap();
    let plan = Plan::new(&netlist).unwrap();
    let mut simulation = Simulation::new(&plan, Mode::Event, &Probes::all(&netlist));
    let evaluator = Evaluator::new(network).unwrap();
    let mut all = 0;
    for number in 0..stimuli.len() {
        let (differ, spikes) = compare(network, &mut simulation, &evaluator, &stimuli.wave(number), 100);
        assert_eq!(differ, 0);
        all += spikes;
    }
    // One after the other in one run, with resets between, they spike as each for itself.
    let waves: Vec<SpikeWave> = (0..stimuli.len()).map(|number| stimuli.wave(number)).collect();
    let mut spikes = |waves: &[SpikeWave], from: i64| {
        let record = simulation.run(&to_stimuli(waves, 100).0).unwrap();
        let nodes = record.nodes.iter().enumerate().flat_map(|(node, log)| {
            let log = log.as_ref().unwrap();
            (0..log.len()).map(move |k| (node, log.event(k)))
        });
        let spikes = nodes.filter(|(_, event)| event.polarity != Polarity::Reset);
        spikes.map(|(node, event)| (event.t_pre + from, node, event.x, event.y)).collect::<BTreeSet<_>>()
    };
    let length = (i64::from(waves[0].time_steps()) + 1) * 100;
    let apart = waves.chunks(1).zip(0..).flat_map(|(wave, number)| spikes(wave, number * length)).collect();
    assert_eq!(spikes(&waves, 0), apart);
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn engine_and_library_agree(
        kernel in 1_usize..5, stride in 1_usize..3, padding in 0_usize..3, threshold in 0_u32..6,
        pool in prop::sample::select(vec![(1, 1, 0), (2, 2, 0), (2, 2, 1), (3, 1, 1), (2, 1, 0)]),
        pixels in prop::collection::vec(0_u8..255, 3 * 90), seed in 0_u64..1000,
    ) {
        let images = Array3::from_shape_vec((3, 10, 9), pixels).unwrap().mapv(|pixel| f32::from(pixel) / 255.0);
        let description = description(kernel, stride, padding, f64::from(threshold) / 2.0, pool);
        check::<Fixed>(&description, &images, seed);
        check::<f64>(&description, &images, seed);
    }
}

#[test]
fn spikes_reach_the_last_layer() {
    let images = Array3::from_shape_fn((4, 10, 9), |(n, y, x)| ((n * 31 + y * 7 + x * 13) % 23) as f32 / 23.0);
    assert!(check::<Fixed>(&description(3, 1, 1, 2.0, (2, 2, 0)), &images, 1) > 500);
    assert!(check::<f32>(&description(3, 1, 1, 2.0, (2, 2, 0)), &images, 1) > 500);
}

#[test]
fn what_netfiles_cannot_say_is_refused() {
    let text = toml::to_string(&description(3, 1, 1, 2.0, (2, 2, 0))).unwrap();
    let refused = |from: &str, to: &str, layer: &str| {
        assert!(text.contains(from), "{text}");
        let network = SpikingNetwork::<f32>::new(&Description::from_toml(&text.replace(from, to)).unwrap(), 0).unwrap();
        let message = to_netlist(&network).unwrap_err().to_string();
        assert!(message.contains(layer), "{message}");
    };
    refused("training_only = true", "training_only = false", "layer 3");
    refused("threshold = 1.5", "", "layer 4");
    refused("weight_std = 0.1", "weight_std = 2.0", "layer 1");
}

/// The Kheradpisheh network on digits, where a directory with train.npz and test.npz is at hand. Fixed-point weights
/// are exact; with float32 ones, weights that have settled at 0 and 1 make potentials that miss the threshold by less
/// than the rounding of a sum, and some neurons differ.
#[test]
#[ignore = "needs digits: DIGITS=DIRECTORY"]
fn a_hundred_digits_in_every_layer() {
    assert_eq!(digits::<Fixed>(), 0);
    assert!(digits::<f32>() < 10_000);
}

fn digits<W: Weight>() -> usize {
    let directory = std::path::PathBuf::from(std::env::var_os("DIGITS").expect("DIGITS"));
    let read = |name: &str, count: usize| {
        let mut npz = crate::npy::NpzReader::new(std::fs::File::open(directory.join(name)).unwrap()).unwrap();
        let images: Array3<u8> = npz.by_name("x").unwrap();
        let labels: Array1<u8> = npz.by_name("y").unwrap();
        let labels: Vec<usize> = labels.iter().take(count).map(|&label| label.into()).collect();
        (images.slice(s![..count, .., ..]).mapv(|pixel| f32::from(pixel) / 255.0), labels)
    };
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/single-spike/kheradpisheh-2018.toml");
    let description = Description::from_toml(&std::fs::read_to_string(path).unwrap()).unwrap();
    let (images, labels) = read("train.npz", 2000);
    let network = SpikingNetwork::<W>::new(&description, 1).unwrap();
    let stimuli = Stimuli::encode(network.encoder(), images.view(), &labels).unwrap();
    let mut trainer = Trainer::new(network, 1);
    trainer.run(&stimuli, 1000, |_| ControlFlow::Continue(())).unwrap();
    let network = trainer.network();
    let netlist = to_netlist(network).unwrap();
    let plan = Plan::new(&netlist).unwrap();
    let mut simulation = Simulation::new(&plan, Mode::Event, &Probes::all(&netlist));
    let evaluator = Evaluator::new(network).unwrap();
    let (digits, _) = read("test.npz", 100);
    let (mut differ, mut spikes) = (0, 0);
    for digit in digits.axis_iter(Axis(0)) {
        let input = evaluator.encode(digit).unwrap();
        let found = compare(network, &mut simulation, &evaluator, &input, 1);
        differ += found.0;
        spikes += found.1;
    }
    println!("{}: 100 digits, {spikes} spikes, {differ} neurons in another bin", W::NAME);
    differ
}
