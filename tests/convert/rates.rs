//! Networks of well-known shapes, converted: at 500 ms the rates of every layer are its activations.

use crate::npy::NpzReader;
use megasim::ann::forward::{forward, visit_activations};
use megasim::ann::import;
use megasim::convert::{ConvertOptions, convert};
use megasim::encode::{Clock, Regular, SampleKind};
use megasim::engine::{Mode, Plan, Probes, Simulation};
use megasim::network::Polarity;
use ndarray::{Array2, s};
use std::fs::File;
use std::path::{Path, PathBuf};

const DURATION: u32 = 500;
const SAMPLES: usize = 3;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/zoo/rates")
}

/// Rates next to activations of one layer.
#[derive(Default)]
struct Pairs {
    expected: Vec<f64>,
    found: Vec<f64>,
}

impl Pairs {
    /// Pearson's correlation, slope of the rates over the activations, mean absolute difference.
    fn compare(&self) -> (f64, f64, f64) {
        let n = self.expected.len() as f64;
        let mean = |values: &[f64]| values.iter().sum::<f64>() / n;
        let (x, y) = (mean(&self.expected), mean(&self.found));
        let pairs = || self.expected.iter().zip(&self.found);
        let xy: f64 = pairs().map(|(a, b)| (a - x) * (b - y)).sum();
        let xx: f64 = pairs().map(|(a, _)| (a - x).powi(2)).sum();
        let yy: f64 = pairs().map(|(_, b)| (b - y).powi(2)).sum();
        let difference = pairs().map(|(a, b)| (a - b).abs()).sum::<f64>() / n;
        (xy / (xx * yy).sqrt(), xy / xx, difference)
    }
}

fn check(file: &str, mode: Mode, options: &ConvertOptions) -> Vec<String> {
    let path = folder().join(file);
    let model = import::read(&path).unwrap();
    let mut npz = NpzReader::new(File::open(path.with_extension("npz")).unwrap()).unwrap();
    let (x, y): (Array2<f32>, Array2<f32>) = (npz.by_name("x").unwrap(), npz.by_name("y").unwrap());
    let outputs = forward(&model.graph, x.slice(s![..y.nrows(), ..])).unwrap();
    let worst = outputs.iter().zip(&y).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < 1e-4, "{file}: outputs differ from the framework's by {worst}");

    // The rates of both are compared over samples that set the scales.
    let converted = convert(&model.graph, x.view(), options).unwrap();
    let parsed = &converted.normalized.parsed;
    let (graph, ids) = parsed.graph().unwrap();
    let mut layers: Vec<Pairs> = parsed.layers.iter().map(|_| Pairs::default()).collect();
    let samples = x.slice(s![..SAMPLES, ..]);
    visit_activations(&graph, parsed.addressed(samples).view(), |_, id, activations| {
        if let Some(layer) = ids.iter().position(|&own| own == id) {
            layers[layer].expected.extend(activations.iter().map(|&value| f64::from(value)));
        }
    })
    .unwrap();
    let layout = converted.layout().unwrap();
    let clock = Clock { duration: DURATION, ticks_per_ms: 10 };
    let network = converted.emitted.network.clone().with_t_max(clock.ticks() - 1).unwrap();
    let plan = Plan::new(&network).unwrap();
    let mut simulation = Simulation::new(&plan, mode, &Probes::all(&network));
    for (k, sample) in samples.rows().into_iter().enumerate() {
        let stimuli = layout
            .stimuli(&Regular { input_rate: 1000.0 }, SampleKind::Still, &sample.to_vec(), k as u64, clock)
            .unwrap();
        let record = simulation.run(&stimuli).unwrap();
        for (layer, nodes) in converted.emitted.layers.iter().enumerate() {
            let cells = parsed.layers[layer].shape.len() / nodes.len();
            let width = match parsed.layers[layer].shape {
                megasim::ann::graph::Shape::Maps { width, .. } => width,
                megasim::ann::graph::Shape::Features(n) => n,
            };
            for node in nodes {
                let mut counts = vec![0.0; cells];
                let log = record.nodes[node.index()].as_ref().unwrap();
                for ((&x, &y), &polarity) in log.x.iter().zip(&log.y).zip(&log.polarity) {
                    let sign = if polarity == Polarity::Negative { -1.0 } else { 1.0 };
                    counts[y as usize * width + x as usize] += sign;
                }
                layers[layer].found.extend(counts.iter().map(|count| count / f64::from(DURATION)));
            }
        }
    }
    let mut wrong = Vec::new();
    for (layer, pairs) in layers.iter().enumerate() {
        let (pearson, slope, difference) = pairs.compare();
        let silent = pairs.expected.iter().all(|&value| value == 0.0);
        let fine = difference < 0.02 && (silent || pearson > 0.98 && (slope - 1.0).abs() < 0.05);
        if !fine {
            let name = parsed.name(layer);
            wrong.push(format!(
                "{file}, {mode:?}, {name}: Pearson {pearson:.4}, slope {slope:.4}, difference {difference:.4}"
            ));
        }
    }
    wrong
}

#[test]
fn clocked_rates_are_normalised_activations() {
    let mut files: Vec<String> =
        std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    files.retain(|name| name.ends_with(".keras") || name.ends_with(".onnx"));
    files.sort();
    assert_eq!(files.len(), 11);
    let wrong: Vec<String> =
        files.iter().flat_map(|file| check(file, Mode::Clocked { dt: 1 }, &ConvertOptions::default())).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn so_are_those_of_event_mode() {
    let of = |file: &&str| check(file, Mode::Event, &ConvertOptions::default());
    let wrong: Vec<String> = ["resnet.keras", "unet.keras"].iter().flat_map(of).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn so_are_those_of_maps_with_scales_of_their_own() {
    let options = ConvertOptions::new().channel_scales(true);
    let of = |file: &&str| check(file, Mode::Clocked { dt: 1 }, &options);
    let wrong: Vec<String> = ["resnet.keras", "densenet.keras", "unet.keras"].iter().flat_map(of).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A ReLU with a maximum is one population of signed neurons, whose counts are cut off.
#[test]
fn so_are_those_of_counts_that_are_cut_off() {
    let options = ConvertOptions::new().signed(Default::default()).unwrap().duration(DURATION).unwrap();
    for file in ["clamped.keras", "mobilenet.keras"] {
        let wrong = check(file, Mode::Clocked { dt: 1 }, &options);
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        let model = import::read(&folder().join(file)).unwrap();
        let parsed = megasim::convert::parse(&model.graph, &options).unwrap();
        assert!(parsed.layers.iter().all(|layer| !layer.kind.ends_with("Excess")), "{file}");
        let plain = megasim::convert::parse(&model.graph, &ConvertOptions::new()).unwrap();
        assert!(plain.layers.iter().any(|layer| layer.kind.ends_with("Excess")), "{file}");
    }
}
