//! What a Keras network may not hold is refused by name: the layer, its class, the option.

use hdf5_writer::{AttributeBuilder, Hdf5Builder};
use megasim::ann::import;
use serde_json::{Value, json};

/// A Sequential model of one layer without weights, over maps of 4x4x2.
fn read(class: &str, config: Value) -> Result<import::Model, String> {
    let mut config = config;
    config["name"] = json!("the_layer");
    let model = json!({
        "class_name": "Sequential",
        "config": { "name": "model", "layers": [
            { "class_name": "InputLayer", "config": { "name": "input", "batch_shape": [null, 4, 4, 2] } },
            { "class_name": class, "config": config },
        ] },
    });
    read_model(&model)
}

fn read_model(model: &Value) -> Result<import::Model, String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("model.h5");
    let file = Hdf5Builder::new().attribute(AttributeBuilder::fixed_string("model_config", model.to_string()));
    std::fs::write(&path, file.into_plan().unwrap().encode(Default::default()).unwrap()).unwrap();
    import::read(&path).map_err(|error| error.to_string())
}

#[test]
fn a_layer_that_is_understood_is_taken() {
    assert!(read("MaxPooling2D", json!({ "pool_size": 2, "strides": null, "padding": "valid" })).is_ok());
    assert!(read("SpatialDropout2D", json!({ "rate": 0.5, "anything": 1 })).is_ok());
}

#[test]
fn layers_options_and_activations_are_refused_by_name() {
    for (class, config, words) in [
        ("LSTM", json!({}), ["'the_layer' (LSTM)", "a convolution over the steps is"]),
        ("Custom>Swish", json!({}), ["(Custom>Swish)", "not supported"]),
        ("MaxPooling2D", json!({ "pool_size": 2, "brand_new": true }), ["(MaxPooling2D)", "option 'brand_new' (true)"]),
        ("MaxPooling2D", json!({ "pool_size": 2, "padding": "reflect" }), ["(MaxPooling2D)", "padding 'reflect'"]),
        ("MaxPooling2D", json!({ "pool_size": [2, 2, 2] }), ["'pool_size'", "2 counts"]),
        ("MaxPooling2D", json!({ "pool_size": 9 }), ["(MaxPooling2D)", "no larger than the padded map"]),
        ("MaxPooling2D", json!({ "pool_size": 2, "strides": 0 }), ["(MaxPooling2D)", "found 2 and 0"]),
        ("MaxPooling1D", json!({}), ["(MaxPooling1D)", "input of 2 axes, found 3"]),
        ("UpSampling2D", json!({ "size": 2, "interpolation": "bilinear" }), ["(UpSampling2D)", "'bilinear'"]),
        ("UpSampling2D", json!({ "size": 1_000_000_000 }), ["(UpSampling2D)", "at most 100000000 numbers"]),
        ("Activation", json!({ "activation": "sparsemax" }), ["(Activation)", "'sparsemax' is not supported"]),
        ("ReLU", json!({ "threshold": 0.5, "negative_slope": 0.1 }), ["(ReLU)", "threshold of 0.5"]),
        ("Reshape", json!({ "target_shape": [5, -1] }), ["(Reshape)", "for 32 numbers, found [5, -1]"]),
        ("Permute", json!({ "dims": [1, 2, 4] }), ["(Permute)", "axes from 1 to 3"]),
        ("Softmax", json!({ "axis": 2 }), ["(Softmax)", "found axis 2"]),
        ("Cropping2D", json!({ "cropping": 2 }), ["(Cropping2D)", "holds something"]),
        ("Dense", json!({ "units": 3 }), ["model_weights/the_layer", "expected"]),
        ("Dense", json!({}), ["(Dense)", "option 'units', found none"]),
    ] {
        let message = read(class, config.clone()).map(|_| ()).expect_err(&format!("{class} {config}"));
        assert!(words.iter().all(|word| message.contains(word)), "{class} {config}: {message}");
        assert!(message.contains("model.h5"), "{message}");
    }
}

#[test]
fn toolbox_activations_are_read() {
    for activation in
        ["relu_Q1.15", "clamped_relu_0.1_1", "clamped_relu_0.1_None", "noisy_softplus_0.17_1", "binary_tanh"]
    {
        assert!(read("Activation", json!({ "activation": activation })).is_ok(), "{activation}");
    }
    for activation in ["relu_Q1", "clamped_relu_x_1", "relu_Q40.1"] {
        assert!(read("Activation", json!({ "activation": activation })).is_err(), "{activation}");
    }
}

#[test]
fn models_that_cannot_be_followed_are_refused() {
    let input = json!({
        "class_name": "InputLayer", "name": "a", "config": { "name": "a", "batch_shape": [null, 3] },
        "inbound_nodes": [],
    });
    let layer = |name: &str, class: &str, from: Value| {
        let config = json!({ "name": name });
        json!({ "class_name": class, "name": name, "config": config, "inbound_nodes": [from] })
    };
    let functional = |layers: Value, outputs: Value| {
        json!({
            "class_name": "Functional",
            "config": { "name": "m", "layers": layers, "input_layers": [["a", 0, 0]], "output_layers": outputs },
        })
    };
    let first = |name: &str| json!([[name, 0, 0, {}]]);
    for (model, word) in [
        (json!({ "class_name": "MyModel", "config": {} }), "subclassed"),
        (json!([1, 2]), "expected a model"),
        (json!({ "class_name": "Sequential", "config": { "layers": [] } }), "expected an input layer"),
        (
            functional(json!([input, layer("b", "ReLU", first("c")), layer("c", "ReLU", first("b"))]), first("c")),
            "some layer gives",
        ),
        (
            functional(json!([input, layer("b", "ReLU", first("a"))]), json!([["a", 0, 0], ["b", 0, 0]])),
            "'b' (output): a second output",
        ),
        (functional(json!([input, layer("b", "ReLU", json!([["a", 0, 1, {}]]))]), first("b")), "output number 1"),
        (
            functional(json!([input, layer("b", "Dropout", json!([["a", 0, 0, { "training": true }]]))]), first("b")),
            "training=true",
        ),
        (functional(json!([input, layer("b", "Add", json!([["a", 0, 0, {}]]))]), first("x")), "'x' as the output"),
        (
            json!({ "class_name": "Sequential", "config": { "layers": [
                { "class_name": "ReLU", "config": { "name": "r", "batch_shape": [null, null, 3] } },
            ] } }),
            "fixed size",
        ),
    ] {
        let message = read_model(&model).map(|_| ()).expect_err(&model.to_string());
        assert!(message.contains(word), "{model}: {message}");
    }
}
