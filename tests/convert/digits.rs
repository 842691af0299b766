//! The demo's network is read as Keras means it: the logits that Keras computed, and its accuracy.

use megasim::ann::forward::{classes, forward, visit_activations};
use megasim::ann::graph::{Activation, Operation};
use megasim::ann::import;
use megasim::dataset::{Dataset, Format};
use ndarray::{Array2, s};
use std::path::{Path, PathBuf};

fn digits() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/digits")
}

#[test]
fn logits_agree_with_keras() {
    let model = import::read(&digits().join("digits_cnn.keras")).unwrap();
    let expected: Array2<f32> = crate::npy::read_npy(digits().join("expected_logits.npy")).unwrap();
    let format = Format { shape: model.input_shape(), classes: model.classes() };
    let samples = Dataset::open(&digits()).unwrap().test(&format, 0, Some(expected.nrows())).unwrap();

    let last = model.graph.layers().last().unwrap();
    assert_eq!(last.operation, Operation::Activation(Activation::Softmax));
    let mut logits = Array2::zeros(expected.raw_dim());
    visit_activations(&model.graph, samples.x.view(), |first, layer, values| {
        if layer == last.inputs[0] {
            logits.slice_mut(s![first..first + values.nrows(), ..]).assign(&values);
        }
    })
    .unwrap();
    for (found, expected) in logits.iter().zip(&expected) {
        assert!((found - expected).abs() <= 1e-5 * expected.abs().max(1.0), "expected {expected}, found {found}");
    }

    let outputs = forward(&model.graph, samples.x.view()).unwrap();
    for (found, logits) in outputs.rows().into_iter().zip(expected.rows()) {
        let largest = logits.fold(f32::MIN, |largest, &logit| largest.max(logit));
        let powers = logits.mapv(|logit| f64::from(logit - largest).exp());
        let sum = powers.sum();
        for (&found, power) in found.iter().zip(powers) {
            assert!((f64::from(found) - power / sum).abs() <= 1e-5, "expected {}, found {found}", power / sum);
        }
    }
}

#[test]
fn accuracy_is_that_of_keras() {
    let model = import::read(&digits().join("digits_cnn.keras")).unwrap();
    let format = Format { shape: model.input_shape(), classes: model.classes() };
    let samples = Dataset::open(&digits()).unwrap().test(&format, 0, None).unwrap();
    let outputs = forward(&model.graph, samples.x.view()).unwrap();
    let right = classes(outputs.view()).iter().zip(&samples.y).filter(|(found, label)| found == label).count();
    assert_eq!((right, samples.y.len()), (443, 450));
}
