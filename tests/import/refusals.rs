//! What other libraries' files may not hold is refused by name.

use megasim::ann::import;
use std::path::{Path, PathBuf};

fn zoo(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/zoo").join(path)
}

/// The message about a file of the zoo in which some bytes stand for others, with its description likewise changed.
fn message(model: &str, change: (&str, &str), description: (&str, (&str, &str))) -> String {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(Path::new(model).file_name().unwrap());
    let mut content = std::fs::read(zoo(model)).unwrap();
    let (from, to) = (change.0.as_bytes(), change.1.as_bytes());
    assert_eq!(from.len(), to.len());
    if !from.is_empty() {
        let places: Vec<usize> =
            (0..content.len() - from.len()).filter(|&at| content[at..].starts_with(from)).collect();
        assert!(!places.is_empty(), "{change:?}");
        places.into_iter().for_each(|at| content[at..at + to.len()].copy_from_slice(to));
    }
    std::fs::write(&path, content).unwrap();
    let (ending, (from, to)) = description;
    if !ending.is_empty() {
        let text = std::fs::read_to_string(zoo(model).with_extension(ending)).unwrap();
        assert!(text.contains(from), "{from}");
        std::fs::write(path.with_extension(ending), text.replacen(from, to, 1)).unwrap();
    }
    match import::read(&path) {
        Ok(_) => panic!("{model} {change:?} {description:?}: expected a refusal"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn onnx_operators_and_attributes() {
    for (from, to, words) in [
        ("Relu", "Sinh", ["(Sinh)", "operator is not supported"]),
        ("strides", "stridez", ["(Conv)", "attribute 'stridez'"]),
        ("dilations", "dilationz", ["(Conv)", "attribute 'dilationz'"]),
        ("transB", "transA", ["(Gemm)", "transA other than 0"]),
    ] {
        let message = message("onnx/cnn.onnx", (from, to), ("", ("", "")));
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
    }
    assert!(message("onnx/external.onnx", ("", ""), ("", ("", ""))).contains("external.onnx.data"));
}

#[test]
fn descriptions_of_parameters() {
    let change = |from, to| message("parameters/cnn.pth", ("", ""), ("toml", (from, to)));
    for (from, to, word) in [
        ("kind = \"relu\"", "kind = \"swish\"", "(swish): this kind of layer is not known"),
        ("negative_slope = 0.1", "slope = 0.1", "option 'slope' (0.1)"),
        ("units = 3", "units = 4", "expected units 4, found 3 in the weights"),
        ("size = 3\nstride = 2\npadding", "size = 5\nstride = 2\npadding", "expected size (5, 5), found (3, 3)"),
        ("input = [2, 8, 7]", "input = [3, 8, 7]", "'00_conv' (Conv2D)"),
        ("input = [2, 8, 7]", "in = [2, 8, 7]", "expected 'input'"),
        ("groups = 4", "groups = 0", "into 0 groups"),
        ("kind = \"flatten\"", "kind = \"flatten\"\ninputs = [\"x\"]", "names of layers before"),
        ("[[layer]]", "[[layers]]", "found 'layers'"),
        ("kind = \"softmax\"", "kind = \"dense\"", "found none left"),
    ] {
        let message = change(from, to);
        assert!(message.contains(word), "{from} -> {to}: {message}");
    }
    assert!(message("parameters/cnn.pth", ("", ""), ("", ("", ""))).contains("cnn.toml"));
    let list = |from, to| message("parameters/list-h5.h5", ("", ""), ("toml", (from, to)));
    assert!(list("kind = \"batch_norm\"", "kind = \"dropout\"").contains("expected 0 or 1 vectors"));
}

#[test]
fn caffe_layers_and_options() {
    for (model, from, to, word) in [
        ("new-form", "\"ReLU\"", "\"LRN\"", "'relu' (LRN): this layer is not supported"),
        ("new-form", "weight_filler", "weight_thing", "option 'weight_thing'"),
        ("new-form", "num_output: 4", "num_output: 5", "num_output 5, found 4"),
        ("new-form", "pool: MAX", "pool: STOCHASTIC", "'STOCHASTIC'"),
        ("new-form", "phase: TRAIN", "phase: TEST", "'loss' (SoftmaxWithLoss): a layer of training"),
        ("old-form", "POOLING", "LRN", "(LRN)"),
        ("old-form", "input_dim: 7", "", "expected an input of 2 or 4 sizes"),
        ("old-form", "bottom: \"p\"", "bottom: \"q\"", "inputs that some layer gives"),
        ("old-form", "name: \"conv\"", "name: \"other\"", "'other' (Convolution): expected weights"),
        ("old-form", "layers {", "layers ", "line 5"),
    ] {
        let message = message(&format!("parameters/{model}.caffemodel"), ("", ""), ("prototxt", (from, to)));
        assert!(message.contains(word), "{model} {from} -> {to}: {message}");
    }
}
