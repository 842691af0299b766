"""Makes the zoo of tiny Keras networks: for each, a model file and NAME.npz with a batch and what Keras makes of it.

    KERAS_BACKEND=jax python make_keras_zoo.py 3    # with keras 3 and jax
    python make_keras_zoo.py 2                      # with tf_keras, which is Keras 2

In NAME.npz, `x` and `y` are flattened in the order (channels, height, width) whatever the data format of the network,
so that the test need not know how Keras orders axes.
"""

import pathlib
import sys

import numpy as np

VERSION = int(sys.argv[1])
if VERSION == 3:
    import keras
    from keras import layers
else:
    import tf_keras as keras
    from tf_keras import layers

FOLDER = pathlib.Path(__file__).parent / "keras"
rng = np.random.default_rng(7)


def canonical(array, data_format):
    """(samples, ...) as Keras has it to (samples, channels * height * width)."""
    if data_format == "channels_last" and array.ndim > 2:
        array = np.moveaxis(array, -1, 1)
    return np.ascontiguousarray(array).reshape(len(array), -1).astype(np.float32)


def save(name, model, kinds=("keras",), data_format="channels_last", output_format=None):
    """Random weights, so that no bias or statistic is at its default; files of the kinds asked for."""
    for weight in model.weights:
        value = rng.normal(0, 0.5, weight.shape)
        if "variance" in weight.name:
            value = np.abs(value) + 0.5
        weight.assign(value.astype(np.float32))
    x = rng.uniform(-1, 1, (3, *model.input_shape[1:])).astype(np.float32)
    y = np.asarray(model(x, training=False))
    name = f"keras{VERSION}-{name}"
    np.savez(FOLDER / f"{name}.npz", x=canonical(x, data_format), y=canonical(y, output_format or data_format))
    for kind in kinds:
        model.save(FOLDER / f"{name}.{kind}")


def sequential(name, shape, *stack, **options):
    save(name, keras.Sequential([layers.Input(shape), *stack]), **options)


def functional(name, shape, build, **options):
    x = layers.Input(shape)
    save(name, keras.Model(x, build(x)), **options)


MAPS = (7, 6, 3)
BOTH = ("keras", "h5")


def dense():
    sequential("dense", (5,), layers.Dense(4, activation="relu"), layers.Dense(3, activation="softmax"), kinds=BOTH)
    sequential("dense-without-bias", (5,), layers.Dense(3, use_bias=False))
    sequential("dense-over-maps", MAPS, layers.Dense(4, activation="softmax"))
    sequential("dense-normalised", (5,), layers.Dense(4), layers.BatchNormalization(), layers.ReLU(), layers.Dense(2))


def convolutions():
    sequential(
        "conv-valid", MAPS, layers.Conv2D(4, 3, activation="relu"), layers.Flatten(), layers.Dense(3), kinds=BOTH
    )
    sequential("conv-same-stride", MAPS, layers.Conv2D(4, (4, 3), strides=(2, 3), padding="same"))
    sequential("conv-same-even", MAPS, layers.Conv2D(2, 2, padding="same", use_bias=False))
    sequential("conv-dilated", MAPS, layers.Conv2D(4, 3, dilation_rate=(2, 1), padding="same"))
    sequential("depthwise", MAPS, layers.DepthwiseConv2D(3, strides=2, depth_multiplier=2, padding="same"), kinds=BOTH)
    sequential("separable", MAPS, layers.SeparableConv2D(5, 3, depth_multiplier=2, activation="relu"), kinds=BOTH)
    sequential("transposed-valid", (4, 3, 2), layers.Conv2DTranspose(3, 2, strides=3))
    sequential(
        "transposed-same", (4, 3, 2), layers.Conv2DTranspose(3, (3, 4), strides=2, padding="same", activation="relu")
    )
    sequential("transposed-wide", (4, 3, 2), layers.Conv2DTranspose(3, 5, strides=2))
    sequential(
        "conv1d",
        (9, 3),
        layers.Conv1D(4, 3, padding="causal", dilation_rate=2),
        layers.Conv1D(2, 4, strides=2, padding="same"),
    )
    sequential(
        "separable1d",
        (9, 3),
        layers.SeparableConv1D(4, 3, padding="same"),
        layers.Conv1D(2, 3),
        layers.Flatten(),
        layers.Dense(2),
    )
    if VERSION == 3:
        # TensorFlow trains these on graphics cards only.
        sequential("conv-groups", (7, 6, 4), layers.Conv2D(6, 3, groups=2))
        sequential("depthwise1d", (9, 3), layers.DepthwiseConv1D(3, depth_multiplier=2))


def channels_first():
    if VERSION == 2:
        return
    first = {"data_format": "channels_first"}
    for flatten in ["channels_first", "channels_last"]:
        sequential(
            f"first-flatten-{flatten[9:]}",
            (3, 7, 6),
            layers.Conv2D(4, 3, padding="same", strides=2, **first),
            layers.BatchNormalization(axis=1),
            layers.Activation("relu"),
            layers.AveragePooling2D(2, padding="same", **first),
            layers.Flatten(data_format=flatten),
            layers.Dense(3),
            kinds=BOTH,
            **first,
        )
    sequential(
        "first-global",
        (3, 7, 6),
        layers.SeparableConv2D(4, 3, **first),
        layers.GlobalMaxPooling2D(**first),
        layers.Dense(2),
        **first,
    )
    sequential(
        "first-permuted",
        (7, 6, 3),
        layers.Permute((3, 1, 2)),
        layers.Conv2D(4, 3, **first),
        layers.Permute((2, 3, 1)),
        layers.Flatten(),
        layers.Dense(2),
        **first,
    )
    functional(
        "first-branches",
        (3, 6, 6),
        lambda x: layers.Concatenate(axis=1)(
            [layers.Conv2D(2, 3, padding="same", **first)(x), layers.MaxPooling2D(3, 1, "same", **first)(x)]
        ),
        **first,
    )
    sequential("first-softmax", (3, 4, 4), layers.Conv2D(4, 3, **first), layers.Softmax(axis=1), **first)


def pooling():
    for size, strides, padding in [(2, None, "valid"), (3, 2, "same"), ((2, 3), (1, 2), "same"), (3, 1, "valid")]:
        mark = f"{size}-{strides}-{padding}".replace("(", "").replace(")", "").replace(", ", "x").lower()
        sequential(f"average-{mark}", MAPS, layers.AveragePooling2D(size, strides, padding))
        sequential(f"max-{mark}", MAPS, layers.MaxPooling2D(size, strides, padding))
    sequential(
        "pooling1d",
        (9, 3),
        layers.AveragePooling1D(3, 2, "same"),
        layers.MaxPooling1D(2),
        layers.GlobalAveragePooling1D(),
    )
    sequential("global-average", MAPS, layers.GlobalAveragePooling2D(), layers.Dense(2))
    sequential("global-max", MAPS, layers.GlobalMaxPooling2D(keepdims=True), layers.Conv2D(2, 1), layers.Flatten())


def normalisation():
    sequential("norm", MAPS, layers.BatchNormalization(epsilon=0.01), kinds=BOTH)
    sequential("norm-without-scale", MAPS, layers.BatchNormalization(scale=False), kinds=BOTH)
    sequential("norm-without-center", MAPS, layers.BatchNormalization(center=False))
    sequential("norm-bare", MAPS, layers.BatchNormalization(center=False, scale=False))
    sequential("rescaling", MAPS, layers.Rescaling(1 / 127.5, offset=-1), layers.Conv2D(2, 3))


def shapes():
    sequential(
        "reshape", (24,), layers.Reshape((2, -1, 3)), layers.Conv2D(2, 2), layers.Reshape((-1,)), layers.Dense(2)
    )
    sequential(
        "reshape-maps", (4, 3, 2), layers.Reshape((2, 6, 2)), layers.Conv2D(2, 2), layers.Flatten(), layers.Dense(2)
    )
    sequential("permute", (4, 3, 2), layers.Permute((3, 1, 2)), layers.Conv2D(2, 2), layers.Flatten(), layers.Dense(2))
    sequential(
        "padding-cropping",
        MAPS,
        layers.ZeroPadding2D(((1, 0), (2, 3))),
        layers.Conv2D(2, 3),
        layers.Cropping2D(((0, 2), (1, 0))),
    )
    sequential(
        "padding-cropping1d",
        (9, 3),
        layers.ZeroPadding1D((1, 2)),
        layers.Conv1D(2, 3),
        layers.Cropping1D((2, 1)),
        layers.UpSampling1D(3),
    )
    sequential("upsampling", (4, 3, 2), layers.UpSampling2D((2, 3)), layers.Conv2D(2, 3))


def activations():
    sequential(
        "relu-options",
        MAPS,
        layers.Conv2D(3, 1),
        layers.ReLU(max_value=0.5, negative_slope=0.1),
        layers.Conv2D(2, 1),
        layers.ReLU(threshold=0.2),
    )
    slope = {"negative_slope": 0.2} if VERSION == 3 else {"alpha": 0.2}
    sequential(
        "leaky-relu",
        MAPS,
        layers.LeakyReLU(**slope),
        layers.Conv2D(2, 1, activation="relu6" if VERSION == 3 else "relu"),
    )
    sequential(
        "activations",
        (5,),
        layers.Dense(4, activation="softplus"),
        layers.Activation("sigmoid"),
        layers.Dense(3, activation="tanh"),
        layers.Softmax(),
    )
    sequential("softmax-maps", MAPS, layers.Conv2D(4, 3, activation="softmax"))
    if VERSION == 3:
        sequential(
            "activation-object",
            (5,),
            layers.Dense(4, activation=keras.activations.relu),
            layers.Dense(3, activation=layers.LeakyReLU(0.1)),
        )


def training_only():
    noise = [
        layers.Dropout(0.5),
        layers.GaussianNoise(0.1),
        layers.GaussianDropout(0.2),
        layers.AlphaDropout(0.3),
        layers.SpatialDropout2D(0.2),
    ]
    more = [
        layers.ActivityRegularization(0.1),
        layers.RandomFlip(),
        layers.RandomRotation(0.1),
        layers.RandomZoom(0.1),
        layers.RandomContrast(0.1),
    ]
    sequential("training-only", MAPS, *more, layers.Conv2D(2, 3), *noise, layers.Flatten(), layers.Dense(2), kinds=BOTH)


def topologies():
    functional(
        "residual",
        MAPS,
        lambda x: layers.Add()([x, layers.Conv2D(3, 3, padding="same", activation="relu")(x)]),
        kinds=BOTH,
    )
    functional(
        "branches",
        MAPS,
        lambda x: layers.Concatenate()([layers.Conv2D(2, 1)(x), layers.Conv2D(3, 3, padding="same")(x), x]),
        kinds=BOTH,
    )

    def shared(x):
        layer = layers.Dense(5, activation="relu", name="shared")
        return layers.Concatenate()([layer(x), layer(layer(x))])

    functional("shared-layer", (5,), shared, kinds=BOTH)

    def nested(x):
        block = keras.Sequential([layers.Input((5,)), layers.Dense(4), layers.BatchNormalization()], name="block")
        inner = layers.Input((4,))
        head = keras.Model(inner, layers.Dense(3)(layers.ReLU()(inner)), name="head")
        return layers.Dense(2)(head(block(x)))

    functional("nested", (5,), nested, kinds=BOTH)
    deep = keras.Sequential(
        [
            layers.Input((5,)),
            layers.Dense(4, name="a"),
            keras.Sequential([layers.Input((4,)), layers.Dense(3, name="b")], name="inner"),
        ],
        name="outer",
    )
    sequential("nested-twice", (5,), deep, layers.Dense(2, name="c"), kinds=BOTH)
    if VERSION == 2:
        return
    # The names of one layer's weights take more than an HDF5 attribute holds, and are stored in pieces.
    long_names = [layers.Dense(2, name=f"layer_{k}_" + "x" * 1500) for k in range(25)]
    sequential("long-names", (2,), keras.Sequential([layers.Input((2,)), *long_names], name="block"), kinds=("h5",))


def string_attributes():
    """The same file with the attribute kinds that other versions of h5py and HDF5 leave behind."""
    if VERSION == 2:
        return
    import h5py

    kinds = {
        "fixed": lambda text: np.bytes_(text),
        "ascii": lambda text: np.array(text, dtype=h5py.string_dtype("ascii")),
    }
    for kind, encode in kinds.items():
        path = FOLDER / f"keras3-strings-{kind}.h5"
        path.write_bytes((FOLDER / "keras3-dense.h5").read_bytes())
        path.with_suffix(".npz").write_bytes((FOLDER / "keras3-dense.npz").read_bytes())
        with h5py.File(path, "r+") as file:

            def rewrite(_, item):
                for name, value in list(item.attrs.items()):
                    if isinstance(value, str):
                        item.attrs[name] = encode(value)
                    elif len(value):
                        dtype = None if kind == "fixed" else h5py.string_dtype("ascii")
                        item.attrs[name] = np.array([text.encode() for text in value], dtype=dtype)

            rewrite("/", file)
            file.visititems(rewrite)


def architectures():
    """Small networks in the shape of well-known ones."""

    def norm_relu(x):
        return layers.ReLU()(layers.BatchNormalization()(x))

    def resnet(x):
        x = norm_relu(layers.Conv2D(4, 3, padding="same", use_bias=False)(x))
        for filters, strides in [(4, 1), (6, 2)]:
            y = norm_relu(layers.Conv2D(filters, 3, strides, "same", use_bias=False)(x))
            y = layers.BatchNormalization()(layers.Conv2D(filters, 3, padding="same", use_bias=False)(y))
            if strides > 1:
                x = layers.BatchNormalization()(layers.Conv2D(filters, 1, strides, use_bias=False)(x))
            x = layers.ReLU()(layers.Add()([x, y]))
        return layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(x))

    def inception(x):
        branches = [
            layers.Conv2D(2, 1, activation="relu")(x),
            layers.Conv2D(3, 3, padding="same", activation="relu")(layers.Conv2D(2, 1, activation="relu")(x)),
            layers.Conv2D(2, 5, padding="same", activation="relu")(x),
            layers.Conv2D(2, 1, activation="relu")(layers.MaxPooling2D(3, 1, "same")(x)),
        ]
        return layers.Dense(3)(layers.Flatten()(layers.AveragePooling2D(2)(layers.Concatenate()(branches))))

    def mobilenet(x):
        def relu6():
            return layers.ReLU(max_value=6)

        x = relu6()(layers.BatchNormalization()(layers.Conv2D(4, 3, 2, "same", use_bias=False)(x)))
        for filters, strides in [(4, 1), (6, 2)]:
            y = relu6()(layers.BatchNormalization()(layers.Conv2D(8, 1, use_bias=False)(x)))
            y = layers.ZeroPadding2D(((0, 1), (0, 1)))(y) if strides == 2 else y
            y = layers.DepthwiseConv2D(3, strides, "valid" if strides == 2 else "same", use_bias=False)(y)
            y = layers.BatchNormalization()(
                layers.Conv2D(filters, 1, use_bias=False)(relu6()(layers.BatchNormalization()(y)))
            )
            x = layers.Add()([x, y]) if strides == 1 else y
        return layers.Dense(3)(layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(x)))

    def unet(x):
        down = layers.Conv2D(3, 3, padding="same", activation="relu")(x)
        bottom = layers.Conv2D(4, 3, padding="same", activation="relu")(layers.MaxPooling2D()(down))
        up = layers.Conv2DTranspose(3, 2, strides=2, padding="same")(bottom)
        merged = layers.Conv2D(3, 3, padding="same", activation="relu")(layers.Concatenate()([down, up]))
        more = layers.UpSampling2D()(layers.AveragePooling2D(2)(merged))
        return layers.Conv2D(2, 1, activation="softmax")(layers.Concatenate()([merged, more]))

    for build in [resnet, inception, mobilenet, unet]:
        functional(build.__name__, (8, 8, 3), build, kinds=BOTH if build is resnet else ("keras",))


FOLDER.mkdir(exist_ok=True)
if VERSION == 3:
    for part in [
        dense,
        convolutions,
        channels_first,
        pooling,
        normalisation,
        shapes,
        activations,
        training_only,
        topologies,
        string_attributes,
        architectures,
    ]:
        part()
else:
    # What the two versions store differently.
    for part in [dense, training_only, topologies, normalisation, activations]:
        part()
    sequential(
        "conv-valid", MAPS, layers.Conv2D(4, 3, activation="relu"), layers.Flatten(), layers.Dense(3), kinds=BOTH
    )
    sequential("depthwise", MAPS, layers.DepthwiseConv2D(3, strides=2, depth_multiplier=2, padding="same"), kinds=BOTH)
    sequential("separable", MAPS, layers.SeparableConv2D(5, 3, depth_multiplier=2, activation="relu"), kinds=BOTH)
    sequential(
        "transposed-same", (4, 3, 2), layers.Conv2DTranspose(3, (3, 4), strides=2, padding="same", activation="relu")
    )
    sequential("average-same", MAPS, layers.AveragePooling2D(3, 2, "same"))
    sequential("conv1d", (9, 3), layers.Conv1D(4, 3, padding="causal", dilation_rate=2), layers.GlobalMaxPooling1D())
