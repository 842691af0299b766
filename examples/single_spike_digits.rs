//! Trains a single-spike network on digits and tests it, all from Rust:
//!
//! `cargo run --release --example single_spike_digits -- DESCRIPTION.toml TRAIN.npz TEST.npz [TRAINING_IMAGES] [SEED]`
//!
//! The npz files hold `x` (images, 8 bit) and `y` (classes). The last 2,000 test images are classified.

use megasim::dataset::npy::NpzReader;
use megasim::learning::{Description, Evaluator, LinearClassifier, Readout, SpikingNetwork, Stimuli, Trainer};
use ndarray::{Array1, Array3, ArrayView3, Axis, s};
use rayon::prelude::*;
use std::error::Error;
use std::fs::File;
use std::ops::ControlFlow;
use std::time::Instant;

fn digits(path: &str) -> Result<(Array3<f32>, Vec<usize>), Box<dyn Error>> {
    let mut npz = NpzReader::new(File::open(path)?)?;
    let images: Array3<f32> = npz.array("x")?.into_dimensionality()?;
    let labels: Array1<f32> = npz.array("y")?.into_dimensionality()?;
    Ok((images / 255.0, labels.iter().map(|&label| label as usize).collect()))
}

fn features(network: &SpikingNetwork, images: ArrayView3<f32>) -> Result<Vec<Vec<u32>>, Box<dyn Error>> {
    let evaluator = Evaluator::new(network)?;
    Ok((0..images.dim().0)
        .into_par_iter()
        .map_with(evaluator, |evaluator, number| {
            evaluator.encode(images.index_axis(Axis(0), number)).map(|wave| evaluator.features(&wave))
        })
        .collect::<Result<_, _>>()?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [description, train, test, rest @ ..] = arguments.as_slice() else {
        return Err("expected DESCRIPTION.toml TRAIN.npz TEST.npz [TRAINING_IMAGES] [SEED]".into());
    };
    let description = Description::from_toml(&std::fs::read_to_string(description)?)?;
    let (images, labels) = digits(train)?;
    let count = rest.first().map_or(Ok(images.dim().0), |count| count.parse())?;
    let seed = rest.get(1).map_or(Ok(1), |seed| seed.parse())?;
    let images = images.slice(s![..count, .., ..]);
    let labels = &labels[..count];
    let (test_images, test_labels) = digits(test)?;
    let test_images = test_images.slice(s![-2000.., .., ..]);
    let test_labels = &test_labels[test_labels.len() - 2000..];

    let network = SpikingNetwork::new(&description, seed)?;
    let start = Instant::now();
    let stimuli = Stimuli::encode(network.encoder(), images, labels)?;
    println!("encoded {} images in {:.2} s", stimuli.len(), start.elapsed().as_secs_f64());
    let accuracy = |network: &SpikingNetwork| -> Result<f64, Box<dyn Error>> {
        let right = match network.description().readout {
            Some(Readout::Linear { c }) => {
                let shape = network.shape(network.len());
                let classifier = LinearClassifier::train(&features(network, images)?, labels, shape.len(), c, seed)?;
                let predicted = features(network, test_images)?;
                predicted
                    .iter()
                    .zip(test_labels)
                    .filter(|(sample, label)| classifier.predict(sample) == **label)
                    .count()
            }
            _ => {
                let evaluator = Evaluator::new(network)?;
                let decisions: Vec<Option<usize>> = (0..test_images.dim().0)
                    .into_par_iter()
                    .map_with(evaluator, |evaluator, number| {
                        let wave = evaluator.encode(test_images.index_axis(Axis(0), number))?;
                        Ok::<_, megasim::learning::Error>(evaluator.decide(&wave))
                    })
                    .collect::<Result<_, _>>()?;
                decisions.iter().zip(test_labels).filter(|(decision, label)| **decision == Some(**label)).count()
            }
        };
        Ok(right as f64 / test_labels.len() as f64)
    };
    println!("untrained: {:.4}", accuracy(&network)?);

    let mut trainer = Trainer::new(network, seed);
    let start = Instant::now();
    let mut passes = 0;
    trainer.run(&stimuli, usize::MAX, |trainer| {
        let log = &trainer.progress().log;
        if log.len() > passes {
            passes = log.len();
            println!("{:.2} s: {:?}", start.elapsed().as_secs_f64(), log.last());
        }
        ControlFlow::Continue(())
    })?;
    println!("trained: {:.4}", accuracy(trainer.network())?);
    Ok(())
}
