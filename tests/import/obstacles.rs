//! Models that cannot be converted: `megasim inspect` names all obstacles, each layer with its reason.

use assert_cmd::Command;
use hdf5_writer::{AttributeBuilder, Hdf5Builder};
use serde_json::{Value, json};

/// What `inspect` says of a Sequential model of these layers, none of which has weights.
fn inspected(input: &Value, layers: &[(&str, Value)], options: &[&str]) -> String {
    let mut all = vec![json!({ "class_name": "InputLayer", "config": { "name": "input", "batch_shape": input } })];
    for (number, (class, config)) in layers.iter().enumerate() {
        let mut config = config.clone();
        config["name"] = json!(format!("{}_{number}", class.to_lowercase()));
        all.push(json!({ "class_name": class, "config": config }));
    }
    said(&json!({ "class_name": "Sequential", "config": { "name": "model", "layers": all } }), "inspect", options)
}

/// What a command says of a model without weights.
fn said(model: &Value, command: &str, options: &[&str]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let file = Hdf5Builder::new().attribute(AttributeBuilder::fixed_string("model_config", model.to_string()));
    std::fs::write(directory.path().join("model.h5"), file.into_plan().unwrap().encode(Default::default()).unwrap())
        .unwrap();
    let words = [&[command, "model.h5"], options].concat();
    let output = Command::cargo_bin("megasim").unwrap().current_dir(directory.path()).args(words).output().unwrap();
    [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).join("\n")
}

fn activation(name: &str) -> (&'static str, Value) {
    ("Activation", json!({ "activation": name }))
}

/// A model, what it is, and the layers that are in the way.
type Case<'a> = (&'a str, Value, Vec<(&'static str, Value)>, &'a [&'a str]);

#[test]
fn inspect_names_every_obstacle_of_ten_models() {
    let none = || json!({});
    let pool = || ("MaxPooling2D", json!({ "pool_size": 2 }));
    let cases: [Case; 10] = [
        (
            "recurrent",
            json!([null, 10, 8]),
            vec![("LSTM", none()), ("GRU", none())],
            &["'lstm_0' (LSTM)", "'gru_1' (GRU)"],
        ),
        (
            "words",
            json!([null, 10]),
            vec![("Embedding", none()), ("Bidirectional", none()), ("TimeDistributed", none())],
            &["'embedding_0'", "'bidirectional_1'", "'timedistributed_2'"],
        ),
        (
            "normalised by layer and group",
            json!([null, 8, 8, 4]),
            vec![("LayerNormalization", none()), pool(), ("GroupNormalization", none())],
            &["'layernormalization_0'", "'groupnormalization_2'"],
        ),
        (
            "volumes",
            json!([null, 4, 8, 8, 1]),
            vec![("Conv3D", none()), ("MaxPooling3D", none())],
            &["'input' (InputLayer): expected an input of 1 to 3 axes", "'conv3d_0'", "'maxpooling3d_1'"],
        ),
        (
            "moving pictures",
            json!([null, 3, 8, 8, 1]),
            vec![("ConvLSTM2D", none()), ("Attention", none())],
            &["'input' (InputLayer)", "'convlstm2d_0'", "'attention_1'"],
        ),
        (
            "open sizes",
            json!([null, null, null, 3]),
            vec![("UnitNormalization", none()), pool(), ("GaussianBlur", none())],
            &["--input-shape 32,32,3", "'unitnormalization_0'", "'gaussianblur_2'"],
        ),
        (
            "resized",
            json!([null, 8, 8, 1]),
            vec![("Resizing", json!({ "height": 17, "width": 17 })), ("GaussianBlur", none())],
            &["'resizing_0' (Resizing): resizing 8 x 8 to 17 x 17", "preprocessing.toml", "'gaussianblur_1'"],
        ),
        (
            "smooth activations",
            json!([null, 8, 8, 1]),
            vec![activation("tanh"), pool(), activation("swish"), ("Flatten", none()), activation("gelu")],
            &["'activation_0' (Activation)", "'activation_2' (Activation)", "'activation_4' (Activation)"],
        ),
        (
            "options",
            json!([null, 8, 8, 1]),
            vec![
                ("UpSampling2D", json!({ "size": 2, "interpolation": "bilinear" })),
                ("MaxPooling2D", json!({ "new": 1 })),
            ],
            &["'upsampling2d_0'", "'bilinear'", "'maxpooling2d_1'", "option 'new'"],
        ),
        (
            "attention",
            json!([null, 6, 8]),
            vec![
                ("MultiHeadAttention", none()),
                ("LayerNormalization", none()),
                ("Softmax", none()),
                ("Einsum", none()),
            ],
            &["'multiheadattention_0'", "'layernormalization_1'", "'einsum_3'"],
        ),
    ];
    for (name, input, layers, expected) in cases {
        let found = inspected(&input, &layers, &[]);
        let missing: Vec<_> = expected.iter().filter(|words| !found.contains(**words)).collect();
        assert!(missing.is_empty(), "{name}: {missing:?} in\n{found}");
    }
}

#[test]
fn sizes_that_are_given_are_no_obstacle() {
    let layers = [("MaxPooling2D", json!({ "pool_size": 2 })), ("Flatten", json!({})), activation("relu")];
    let found = inspected(&json!([null, null, null, 3]), &layers, &["--input-shape", "8,8,3"]);
    assert!(found.contains("MaxPooling2D") && !found.contains("refused"), "{found}");
}

#[test]
fn resizing_by_whole_factors_is_taken() {
    for (options, size) in [
        (json!({ "height": 8, "width": 8 }), "(1, 8, 8)"),
        (json!({ "height": 4, "width": 4 }), "(1, 4, 4)"),
        (json!({ "height": 2, "width": 4, "interpolation": "area" }), "(1, 2, 4)"),
        (json!({ "height": 16, "width": 24, "interpolation": "nearest" }), "(1, 16, 24)"),
    ] {
        let layers = [("Resizing", options), ("Flatten", json!({})), activation("relu")];
        let found = inspected(&json!([null, 8, 8, 1]), &layers, &[]);
        assert!(!found.contains("Resizing): "), "{size}: {found}");
    }
}

/// The rows of a table, each as the texts of its cells.
fn rows(said: &str) -> Vec<Vec<String>> {
    let rows = said.lines().filter(|line| line.starts_with('│'));
    rows.map(|row| row.trim_matches('│').split('┆').map(|cell| cell.trim().to_string()).collect()).collect()
}

#[test]
fn the_layer_table_is_shown_of_a_file_that_is_not_read() {
    let layers = [
        ("MaxPooling2D", json!({ "pool_size": 2 })),
        ("LayerNormalization", json!({})),
        ("Flatten", json!({})),
        activation("tanh"),
        activation("relu"),
    ];
    let found = inspected(&json!([null, 8, 8, 1]), &layers, &[]);
    let expected = [
        ["input", "InputLayer", "(1, 8, 8)", "0", ""],
        ["maxpooling2d_0", "MaxPooling2D", "(1, 4, 4)", "0", ""],
        ["layernormalization_1", "LayerNormalization", "-", "-", "refused"],
        ["flatten_2", "Flatten", "-", "0", ""],
        ["activation_3", "Activation", "-", "0", "refused"],
        ["activation_4", "Activation", "-", "0", ""],
    ];
    assert_eq!(rows(&found)[1..], expected, "{found}");
    // What is read, but has no spiking form, is named in the same answer; the kinds that Keras has are no custom ones.
    assert!(found.contains("'layernormalization_1'") && found.contains("'activation_3' (Activation): "), "{found}");
    assert!(!found.contains("[custom]"), "{found}");
}

#[test]
fn inputs_outputs_and_arguments_that_are_refused_are_named_together() {
    let layer = |name: &str, class: &str, from: Value| {
        let config = json!({ "name": name, "batch_shape": [null, 3] });
        json!({ "class_name": class, "name": name, "config": config, "inbound_nodes": from })
    };
    let from = |name: &str| json!([[[name, 0, 0, {}]]]);
    let layers = [
        layer("a", "InputLayer", json!([])),
        layer("b", "InputLayer", json!([])),
        layer("drop", "Dropout", json!([[["a", 0, 0, { "training": true }]]])),
        layer("swirl", "Swirl", json!([[["drop", 0, 0, {}], ["b", 0, 0, {}]]])),
        layer("gru", "GRU", from("swirl")),
        layer("end", "ReLU", from("gru")),
    ];
    let ends = json!([["end", 0, 0], ["gru", 0, 0]]);
    let config = json!({ "name": "m", "layers": layers, "input_layers": [["a", 0, 0], ["b", 0, 0]],
        "output_layers": ends });
    let model = json!({ "class_name": "Functional", "config": config });
    let expected = [
        "'b' (InputLayer): a second input",
        "'gru' (output): a second output",
        "'drop' (Dropout): a call with training=true",
        "'swirl' (Swirl): this layer is not supported; if it is a custom one, a table [custom]",
        "'gru' (GRU): layers that go from step to step",
    ];
    for command in [&["inspect"][..], &["eval", "--data", "."], &["convert", "--data", ".", "--out", "net"]] {
        let found = said(&model, command[0], &command[1..]);
        let missing: Vec<_> = expected.iter().filter(|words| !found.contains(**words)).collect();
        assert!(missing.is_empty(), "{missing:?} in\n{found}");
        let refused: Vec<_> =
            rows(&found).into_iter().filter(|row| row[4] == "refused").map(|row| row[0].clone()).collect();
        assert_eq!(refused, ["b", "drop", "swirl", "gru"], "{found}");
    }
}

#[test]
fn operators_of_onnx_are_in_the_table() {
    let directory = tempfile::tempdir().unwrap();
    let zoo = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/zoo/onnx/cnn.onnx");
    let mut bytes = std::fs::read(zoo).unwrap();
    let places: Vec<usize> = (0..bytes.len() - 4).filter(|&at| bytes[at..].starts_with(b"Relu")).collect();
    places.iter().for_each(|&at| bytes[at..at + 4].copy_from_slice(b"LSTM"));
    std::fs::write(directory.path().join("net.onnx"), bytes).unwrap();
    let mut inspect = Command::cargo_bin("megasim").unwrap();
    inspect.current_dir(directory.path()).args(["inspect", "net.onnx", "--json", "out.json"]).assert().code(1);
    let json: Value = serde_json::from_slice(&std::fs::read(directory.path().join("out.json")).unwrap()).unwrap();
    let layers = json["layers"].as_array().unwrap();
    let refused = layers.iter().filter(|layer| layer["refused"] == true);
    assert!(refused.clone().count() > 0 && refused.clone().all(|layer| layer["kind"] == "LSTM"), "{json}");
    assert!(layers.len() > refused.count() + 2, "{json}");
    assert!(json["refused"].as_str().unwrap().contains("(LSTM): layers that go from step to step"), "{json}");
}
