//! Models that cannot be converted: `megasim inspect` names all that stands in the way, each layer with its reason.

use assert_cmd::Command;
use hdf5_pure::{AttrValue, FileBuilder};
use serde_json::{Value, json};

/// What `inspect` says of a Sequential model of these layers, none of which has weights.
fn inspected(input: &Value, layers: &[(&str, Value)], options: &[&str]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let mut all = vec![json!({ "class_name": "InputLayer", "config": { "name": "input", "batch_shape": input } })];
    for (number, (class, config)) in layers.iter().enumerate() {
        let mut config = config.clone();
        config["name"] = json!(format!("{}_{number}", class.to_lowercase()));
        all.push(json!({ "class_name": class, "config": config }));
    }
    let model = json!({ "class_name": "Sequential", "config": { "name": "model", "layers": all } });
    let mut builder = FileBuilder::new();
    builder.set_attr("model_config", AttrValue::String(model.to_string()));
    builder.write(directory.path().join("model.h5")).unwrap();
    let mut command = Command::cargo_bin("megasim").unwrap();
    let output = command.current_dir(directory.path()).args(["inspect", "model.h5"]).args(options).output().unwrap();
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
