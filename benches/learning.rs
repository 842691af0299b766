//! Single-spike networks: images per second, and synaptic operations against the dense count.
//!
//! `cargo bench --bench learning`; with `DIGITS=DIRECTORY` (of `train.npz`) on digits, otherwise on strokes drawn here.
//! One core; on Linux seconds are those that the thread ran, so that other work on the machine counts less. Encoding is
//! a separate row; training and inference start from encoded images.

use megasim::learning::{Description, Evaluator, Layer, Learning, SpikingNetwork, Stimuli, Trainer};
use ndarray::{Array1, Array3, s};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

const IMAGES: usize = 2000;

fn images() -> (Array3<f32>, Vec<usize>) {
    if let Some(directory) = std::env::var_os("DIGITS") {
        let path = std::path::Path::new(&directory).join("train.npz");
        let mut npz =
            megasim::dataset::npy::NpzReader::new(std::fs::File::open(path).expect("train.npz")).expect("an npz file");
        let x: Array3<f32> = npz.array("x").expect("x").into_dimensionality().expect("images");
        let y: Array1<f32> = npz.array("y").expect("y").into_dimensionality().expect("classes");
        let labels = y.iter().take(IMAGES).map(|&label| label as usize).collect();
        return (x.slice(s![..IMAGES, .., ..]).mapv(|pixel| pixel / 255.0), labels);
    }
    // Strokes of random direction and curvature, three pixels wide: about as many active pixels as a digit has.
    let mut state = 1_u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f32 / (1_u64 << 31) as f32
    };
    let mut images = Array3::zeros((IMAGES, 28, 28));
    for mut image in images.outer_iter_mut() {
        for _ in 0..2 {
            let (mut y, mut x, mut angle) = (6.0 + 16.0 * random(), 6.0 + 16.0 * random(), 6.3 * random());
            let curve = 0.3 * (random() - 0.5);
            for _ in 0..16 {
                for (dy, dx) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                    let (row, column) = (y as usize + dy, x as usize + dx);
                    image[(row.min(27), column.min(27))] = 0.5 + 0.5 * random();
                }
                (y, x, angle) = ((y + angle.sin()).clamp(2.0, 25.0), (x + angle.cos()).clamp(2.0, 25.0), angle + curve);
            }
        }
    }
    (images, (0..IMAGES).map(|number| number % 10).collect())
}

/// Seconds from a moment on: of this thread on a processor where the system tells, of the clock otherwise.
struct Stopwatch {
    clock: Instant,
    thread: Option<Duration>,
}

impl Stopwatch {
    fn start() -> Self {
        Self { clock: Instant::now(), thread: on_processor() }
    }
    fn seconds(&self) -> f64 {
        match (self.thread, on_processor()) {
            (Some(start), Some(now)) => (now - start).as_secs_f64(),
            _ => self.clock.elapsed().as_secs_f64(),
        }
    }
}

fn on_processor() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

/// Multiplications that the dense form does for an image in a layer: every bin anew.
fn dense(network: &SpikingNetwork, layer: usize, time_steps: f64) -> f64 {
    let inputs = network.convolution(layer).map_or(0, |layer| layer.inputs_of_neuron());
    time_steps * inputs as f64 * network.shape(layer + 1).len() as f64
}

fn main() {
    // Cargo passes arguments that mean nothing here; `--test` asks for nothing but that it runs.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    pool.install(|| {
        let (images, labels) = images();
        println!("{IMAGES} images, one core{}", std::env::var("DIGITS").map_or(", drawn strokes", |_| ", digits"));
        println!("{:<48}{:>12}{:>16}{:>16}{:>9}", "", "images/s", "operations", "dense", "ratio");
        for name in ["kheradpisheh-2018", "mozafari-2019-deep"] {
            let path = format!("{}/examples/single-spike/{name}.toml", env!("CARGO_MANIFEST_DIR"));
            let text = std::fs::read_to_string(path).expect("the description");
            let mut description = Description::from_toml(&text).expect("a description");
            // Two passes a layer: enough for weights to settle.
            for layer in &mut description.layers {
                if let Layer::Convolution(layer) = layer {
                    match &mut layer.learning {
                        Some(Learning::Stdp(learning)) => learning.passes = 2,
                        Some(Learning::Rstdp(learning)) => learning.passes = 2,
                        None => {}
                    }
                }
            }
            let network = SpikingNetwork::<f32>::new(&description, 1).expect("a network");
            let start = Stopwatch::start();
            let stimuli = Stimuli::encode(network.encoder(), images.view(), &labels).expect("stimuli");
            row(&format!("{name}, encoding"), IMAGES, start.seconds(), None);

            let mut trainer = Trainer::new(network, 1);
            let mut last = Stopwatch::start();
            let mut operations = 0;
            let mut passes = 0;
            // The interval before a layer's first report holds the layers below it; the second pass is the layer alone.
            trainer
                .run(&stimuli, IMAGES, |trainer| {
                    let progress = trainer.progress();
                    if progress.log.len() > passes {
                        passes = progress.log.len();
                        let entry = &progress.log[passes - 1];
                        let done = (trainer.operations() - operations) as f64 / IMAGES as f64;
                        operations = trainer.operations();
                        if entry.pass == 2 {
                            let dense = dense(trainer.network(), entry.layer - 1, 15.0);
                            let label = format!("{name}, training layer {}", entry.layer);
                            row(&label, IMAGES, last.seconds(), Some((done, dense)));
                        }
                        last = Stopwatch::start();
                    }
                    ControlFlow::Continue(())
                })
                .expect("training");
            let network = trainer.network();
            let dense: f64 = (0..network.len()).map(|layer| dense(network, layer, 15.0)).sum();
            let mut evaluator = Evaluator::new(network).expect("an evaluator");
            let waves: Vec<_> = (0..IMAGES).map(|number| stimuli.wave(number)).collect();
            let start = Stopwatch::start();
            let mut sum = 0;
            for wave in &waves {
                sum += match network.description().classes() {
                    Some(_) => evaluator.decide(wave).unwrap_or(0),
                    None => evaluator.features(wave).len(),
                };
            }
            let seconds = start.seconds();
            let done = evaluator.operations() as f64 / IMAGES as f64;
            row(&format!("{name}, inference"), IMAGES, seconds, Some((done, dense)));
            std::hint::black_box(sum);
        }
    });
}

fn row(label: &str, images: usize, seconds: f64, operations: Option<(f64, f64)>) {
    print!("{label:<48}{:>12.0}", images as f64 / seconds);
    match operations {
        Some((done, dense)) => println!("{done:>16.0}{dense:>16.0}{:>9.0}", dense / done.max(1.0)),
        None => println!(),
    }
}
