//! Keras layers with masks, and custom layers and activations that a TOML file says to be known ones.

use hdf5_writer::{DatasetBuilder, Hdf5Builder};
use megasim::ann::{forward, import};
use ndarray::{Array1, Array2, ArrayD, array};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// A `.keras` archive of a Sequential network: its input, its layers as JSON, and the arrays of each group under
/// `layers`.
fn write(path: &Path, input: &str, layers: &str, weights: &[(&str, &[ArrayD<f32>])]) {
    let mut hdf5 = Hdf5Builder::new();
    for (group, arrays) in weights {
        for (k, array) in arrays.iter().enumerate() {
            let shape: Vec<u64> = array.shape().iter().map(|&n| n as u64).collect();
            let values: Vec<f32> = array.iter().copied().collect();
            let path = format!("layers/{group}/vars/{k}");
            hdf5 = hdf5.dataset(DatasetBuilder::typed_data(path, shape, &values).unwrap());
        }
    }
    let config = format!(
        r#"{{"class_name": "Sequential", "config": {{"name": "net", "layers": [
        {{"class_name": "InputLayer", "config": {{"name": "in", "batch_shape": [null, {input}]}}}}, {layers}]}}}}"#
    );
    let mut archive = ZipWriter::new(File::create(path).unwrap());
    let parts: [(&str, Vec<u8>); 3] = [
        ("metadata.json", br#"{"keras_version": "3.0.0"}"#.to_vec()),
        ("config.json", config.into_bytes()),
        ("model.weights.h5", hdf5.into_plan().unwrap().encode(Default::default()).unwrap()),
    ];
    for (name, content) in parts {
        archive.start_file(name, SimpleFileOptions::default()).unwrap();
        archive.write_all(&content).unwrap();
    }
    archive.finish().unwrap();
}

fn model(folder: &Path, input: &str, layers: &str, weights: &[(&str, &[ArrayD<f32>])]) -> PathBuf {
    let path = folder.join("net.keras");
    write(&path, input, layers, weights);
    path
}

fn outputs(path: &Path, x: Array2<f32>) -> Result<Array2<f32>, String> {
    let model = import::read(path).map_err(|error| error.to_string())?;
    forward::forward(&model.graph, x.view()).map_err(|error| error.to_string())
}

fn kernel(shape: &[usize]) -> ArrayD<f32> {
    let n = shape.iter().product();
    Array1::from_iter((0..n).map(|k| (k as f32 * 0.37).sin())).into_shape_with_order(shape.to_vec()).unwrap()
}

fn mask(shape: &[usize]) -> ArrayD<f32> {
    let n = shape.iter().product();
    Array1::from_iter((0..n).map(|k| f32::from(u8::from(k % 3 != 0)))).into_shape_with_order(shape.to_vec()).unwrap()
}

#[test]
fn masked_layers_are_layers_with_masked_weights() {
    let folder = tempfile::tempdir().unwrap();
    let maps = r#""kernel_size": [2, 2], "activation": "relu", "connectivity_level": 0.5"#;
    for (class, usual, group, options, input, shape, outs) in [
        ("Sparse", "Dense", "dense", r#""units": 4, "activation": "relu""#.to_string(), "3", vec![3, 4], 4),
        ("SparseConv2D", "Conv2D", "conv2d", format!(r#""filters": 4, {maps}"#), "3, 3, 2", vec![2, 2, 2, 4], 4),
        (
            "SparseDepthwiseConv2D",
            "DepthwiseConv2D",
            "depthwise_conv2d",
            maps.to_string(),
            "3, 3, 2",
            vec![2, 2, 2, 1],
            2,
        ),
    ] {
        let (kernel, mask, bias) = (kernel(&shape), mask(&shape), kernel(&[outs]));
        let layer = |class: &str| {
            let options =
                if class == usual { options.replace(r#", "connectivity_level": 0.5"#, "") } else { options.clone() };
            format!(r#"{{"class_name": "{class}", "config": {{"name": "layer", {options}}}}}"#)
        };
        let masked = model(
            folder.path(),
            input,
            &layer(class),
            &[(&format!("sparse{}", group_of(class)), &[kernel.clone(), bias.clone(), mask.clone()])],
        );
        let numbers = if input == "3" { 3 } else { 18 };
        let x = Array2::from_shape_fn((5, numbers), |(i, j)| ((i * 5 + j * 3) % 7) as f32 / 7.0);
        let found = outputs(&masked, x.clone()).unwrap();
        let plain = model(folder.path(), input, &layer(usual), &[(group, &[&kernel * &mask, bias])]);
        assert_eq!(found, outputs(&plain, x).unwrap(), "{class}");
        assert!(found.iter().any(|&value| value > 0.0));
    }
}

/// What comes after `sparse` in the name of the group.
fn group_of(class: &str) -> &'static str {
    match class {
        "Sparse" => "",
        "SparseConv2D" => "_conv2d",
        _ => "_depthwise_conv2d",
    }
}

const LAYERS: &str = r#"
    {"class_name": "MyDense", "config": {"name": "a", "units": 2, "activation": "my_relu", "wiggle": 3}},
    {"class_name": "Activation", "config": {"name": "b", "activation": {"class_name": "function", "config": "steps"}}}
"#;

fn custom(folder: &Path) -> PathBuf {
    let weights = [array![[1.0, -1.0], [0.5, 2.0]].into_dyn(), array![0.0, 0.25].into_dyn()];
    model(folder, "2", LAYERS, &[("my_dense", &weights)])
}

#[test]
fn custom_objects_are_what_a_table_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = custom(folder.path());
    let x = array![[1.0, 2.0], [-4.0, 1.0]];
    let refused = outputs(&path, x.clone()).unwrap_err();
    assert!(refused.contains("MyDense") && refused.contains("[custom]"), "{refused}");
    let table = folder.path().join("net.toml");
    let toml =
        "[custom]\nMyDense = { class = \"Dense\", ignore = [\"wiggle\"] }\nmy_relu = \"relu\"\nsteps = \"linear\"\n";
    std::fs::write(&table, toml).unwrap();
    assert_eq!(outputs(&path, x.clone()).unwrap(), array![[2.0, 3.25], [0.0, 6.25]]);
    // It belongs to the model, which is copied with it.
    let model = import::read(&path).unwrap();
    assert_eq!(model.source.companions.len(), 1);
    assert_eq!(model.source.companions[0].name, Path::new("net.toml"));
    // Named, it may be elsewhere.
    let other = folder.path().join("elsewhere.toml");
    std::fs::rename(&table, &other).unwrap();
    assert!(import::read(&path).is_err());
    assert!(import::read_with(&path, Some(&other)).is_ok());
    for (text, expected) in [
        (toml.replace(", ignore = [\"wiggle\"]", ""), "option 'wiggle' (3) is not supported"),
        (toml.replace("\"Dense\"", "\"Danse\""), "layer 'a' (Danse): this layer is not supported"),
        (toml.replace("\"relu\"", "\"rely\""), "activation 'rely' is not supported"),
        (toml.replace("\"relu\"", "6"), "expected the name of a known class"),
        (toml.replace("ignore", "ignores"), "expected the name of a known class"),
        ("[custom\n".to_string(), "net.toml: "),
    ] {
        std::fs::write(&table, &text).unwrap();
        let error = outputs(&path, x.clone()).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
    // A file without the table is none of the model's.
    std::fs::write(&table, "[other]\na = 1\n").unwrap();
    assert!(outputs(&path, x).unwrap_err().contains("MyDense"));
}
