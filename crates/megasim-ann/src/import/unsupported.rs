//! Layers of libraries that are not supported: why, and what helps.

const RECURRENT: &str = "layers that go from step to step are not supported; a convolution over the steps is";
const ATTENTION: &str =
    "attention, which multiplies activations by each other and normalises each sample, is not supported";
const BY_SAMPLE: &str = "a normalisation by the numbers of each sample is not supported; batch normalisation, whose \
    statistics are fixed, is";

/// Classes of Keras, and why they are refused. Of others that Keras has, the module in the file says that they are
/// Keras's.
const OF_KERAS: &[(&[&str], &str)] = &[
    (
        &[
            "RNN",
            "SimpleRNN",
            "SimpleRNNCell",
            "LSTM",
            "LSTMCell",
            "GRU",
            "GRUCell",
            "CuDNNLSTM",
            "CuDNNGRU",
            "StackedRNNCells",
            "ConvRNN2D",
            "ConvLSTM1D",
            "ConvLSTM2D",
            "ConvLSTM3D",
            "Bidirectional",
            "TimeDistributed",
        ],
        RECURRENT,
    ),
    (
        &["Attention", "AdditiveAttention", "MultiHeadAttention", "GroupQueryAttention", "GroupedQueryAttention"],
        ATTENTION,
    ),
    (
        &[
            "Embedding",
            "ReversibleEmbedding",
            "TextVectorization",
            "StringLookup",
            "IntegerLookup",
            "Hashing",
            "HashedCrossing",
            "CategoryEncoding",
            "Discretization",
        ],
        "words and categories are not supported as input; give what this layer puts out as data, and the model behind \
            it: keras.Model(this_layer.output, model.output)",
    ),
    (&["LayerNormalization", "GroupNormalization", "UnitNormalization", "RMSNormalization"], BY_SAMPLE),
    (
        &[
            "Conv3D",
            "Conv3DTranspose",
            "MaxPooling3D",
            "AveragePooling3D",
            "GlobalMaxPooling3D",
            "GlobalAveragePooling3D",
            "AdaptiveMaxPooling3D",
            "AdaptiveAveragePooling3D",
            "UpSampling3D",
            "ZeroPadding3D",
            "Cropping3D",
            "SpatialDropout3D",
        ],
        "volumes are not supported; maps of two axes are",
    ),
    (
        &["CenterCrop", "RandomCrop", "AutoContrast", "Equalization", "Solarization", "GaussianBlur"],
        "this change of pictures is not supported; do it to the data, and save the model behind it",
    ),
    (
        &["ContrastLimitedAdaptiveHistogramEqualization", "MelSpectrogram", "STFTSpectrogram", "MaxNumBoundingBoxes"],
        "this step of preprocessing is not supported; do it to the data, and save the model behind it",
    ),
    (
        &["AdaptiveMaxPooling1D", "AdaptiveMaxPooling2D", "AdaptiveAveragePooling1D", "AdaptiveAveragePooling2D"],
        "a pooling to a given size is not supported; one by windows of a given size is",
    ),
    (
        &["Lambda", "TensorFlowOpLayer", "TFOpLambda", "SlicingOpLambda", "Function"],
        "a function of Python or TensorFlow is not run; build the model with a layer of Keras in its place",
    ),
    (
        &["TorchModuleWrapper", "FlaxLayer", "JaxLayer", "TFSMLayer", "Wrapper", "SpectralNormalization", "Pipeline"],
        "a layer around something else is not supported; build the model with what is in it",
    ),
    (
        &[
            "Dot",
            "EinsumDense",
            "LocallyConnected1D",
            "LocallyConnected2D",
            "Masking",
            "RepeatVector",
            "ThresholdedReLU",
        ],
        KNOWN,
    ),
];

const KNOWN: &str =
    "this layer of Keras is not supported, and no option helps; build the model with other layers in its place";

const CUSTOM: &str = "this layer is not supported; if it is a custom one, a table [custom] in a TOML file next to the \
    model can say which known one it is";

/// Operators of ONNX, and why they are refused.
const OF_ONNX: &[(&[&str], &str)] = &[
    (&["RNN", "LSTM", "GRU"], RECURRENT),
    (&["Attention"], ATTENTION),
    (
        &[
            "LayerNormalization",
            "InstanceNormalization",
            "GroupNormalization",
            "RMSNormalization",
            "LpNormalization",
            "MeanVarianceNormalization",
            "LRN",
        ],
        BY_SAMPLE,
    ),
    (&["If", "Loop", "Scan", "SequenceMap"], "control flow is not supported; export the model as a plain graph"),
];

const OPERATOR: &str = "this operator is not supported, and no option helps; export the model with others in its place";

/// Why an operator of ONNX is refused that no layer here is.
pub(super) fn onnx(operator: &str) -> &'static str {
    OF_ONNX.iter().find(|(operators, _)| operators.contains(&operator)).map_or(OPERATOR, |(_, why)| why)
}

/// Why a class of Keras is refused that no layer here is; `module` is where Python finds it, as Keras 3 notes.
pub(super) fn keras(class: &str, module: Option<&str>) -> &'static str {
    let of_keras = module.is_some_and(|module| module == "keras" || module.starts_with("keras."));
    let listed = OF_KERAS.iter().find(|(classes, _)| classes.contains(&class));
    match listed {
        Some((_, why)) => why,
        None if of_keras => KNOWN,
        None => CUSTOM,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_keras_does_not_have_may_be_custom_layers() {
        for (class, module) in [("LSTM", None), ("Einsum", Some("keras.src.ops.numpy")), ("Dot", Some("keras.layers"))]
        {
            assert!(!keras(class, module).contains("[custom]"), "{class}");
        }
        for (class, module) in [("MyDense", None), ("Swirl", Some("kerasx.layers")), ("Swirl", Some("__main__"))] {
            assert_eq!(keras(class, module), CUSTOM, "{class}");
        }
    }

    #[test]
    fn each_class_has_one_reason() {
        let mut all: Vec<&str> = OF_KERAS.iter().flat_map(|(classes, _)| classes.iter()).copied().collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
