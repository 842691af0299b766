"""Makes small networks of well-known shapes whose activations are of ordinary size, to compare rates with:
for each a model file, and NAME.npz with `x`, samples between 0 and 1 flattened in the order (channels, height, width),
and `y`, what the framework makes of them.

    KERAS_BACKEND=jax python make_rates_zoo.py keras
    python make_rates_zoo.py torch
"""

import pathlib
import sys

import numpy as np

FOLDER = pathlib.Path(__file__).parent / "rates"
FOLDER.mkdir(exist_ok=True)
rng = np.random.default_rng(11)
SHAPE = (8, 8, 3)


def images(n):
    """Smooth random images, (n, height, width, channels)."""
    coarse = rng.uniform(0, 1, (n, 4, 4, 3))
    fine = rng.uniform(-0.2, 0.2, (n, *SHAPE))
    return np.clip(coarse.repeat(2, 1).repeat(2, 2) + fine, 0, 1).astype(np.float32)


def with_keras():
    import keras
    from keras import layers

    def relu(x):
        return layers.ReLU()(x)

    def norm(x):
        return layers.BatchNormalization()(x)

    def conv(x, n, size=3, strides=1, **options):
        return layers.Conv2D(n, size, strides, "same", kernel_initializer="he_normal", **options)(x)

    def classes(x):
        return layers.Dense(4, activation="softmax")(x)

    def resnet(x):
        x = relu(norm(conv(x, 6, use_bias=False)))
        for filters, strides in [(6, 1), (8, 2)]:
            y = relu(norm(conv(x, filters, 3, strides, use_bias=False)))
            y = norm(conv(y, filters, use_bias=False))
            if strides > 1:
                x = norm(conv(x, filters, 1, strides, use_bias=False))
            x = relu(layers.Add()([x, y]))
        return classes(layers.GlobalAveragePooling2D()(x))

    def preactivation(x):
        x = conv(x, 6)
        y = conv(relu(norm(x)), 6)
        x = layers.Add()([x, y])
        return classes(layers.GlobalAveragePooling2D()(relu(norm(x))))

    def inception(x):
        branches = [
            relu(conv(x, 4, 1)),
            relu(conv(relu(conv(x, 3, 1)), 4, 3)),
            relu(conv(x, 3, 5)),
            relu(conv(layers.MaxPooling2D(3, 1, "same")(x), 3, 1)),
        ]
        x = layers.AveragePooling2D(2)(layers.Concatenate()(branches))
        # Flattened afterwards: the branches have their own scales.
        return classes(layers.Dense(12, activation="relu", kernel_initializer="he_normal")(layers.Flatten()(x)))

    def densenet(x):
        x = relu(conv(x, 4))
        for _ in range(2):
            x = layers.Concatenate()([x, conv(relu(norm(x)), 3)])
        return classes(layers.GlobalAveragePooling2D()(relu(norm(x))))

    def mobilenet(x):
        def relu6(x):
            return layers.ReLU(max_value=6)(x)

        x = relu6(norm(conv(x, 6, 3, 2, use_bias=False)))
        for filters, strides in [(6, 1), (8, 2)]:
            y = relu6(norm(conv(x, 12, 1, use_bias=False)))
            y = layers.ZeroPadding2D(((0, 1), (0, 1)))(y) if strides == 2 else y
            y = layers.DepthwiseConv2D(
                3, strides, "valid" if strides == 2 else "same", use_bias=False, depthwise_initializer="he_normal"
            )(y)
            y = norm(conv(relu6(norm(y)), filters, 1, use_bias=False))
            x = layers.Add()([x, y]) if strides == 1 else y
        return classes(layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(relu6(x))))

    def unet(x):
        down = relu(conv(x, 4))
        bottom = relu(conv(layers.MaxPooling2D()(down), 6))
        up = relu(layers.Conv2DTranspose(4, 2, strides=2, padding="same", kernel_initializer="he_normal")(bottom))
        merged = relu(conv(layers.Concatenate()([down, up]), 4))
        more = layers.UpSampling2D()(layers.AveragePooling2D(2)(merged))
        more = layers.Cropping2D(1)(layers.Concatenate()([merged, more]))
        return layers.Conv2D(2, 1, activation="softmax", kernel_initializer="he_normal")(relu(conv(more, 4)))

    def leaky(x):
        x = layers.LeakyReLU(0.1)(norm(conv(x, 6)))
        x = layers.AveragePooling2D(3, 2, "same")(x)
        x = layers.LeakyReLU(0.3)(
            layers.SeparableConv2D(
                6, 3, depth_multiplier=2, depthwise_initializer="he_normal", pointwise_initializer="he_normal"
            )(x)
        )
        return classes(layers.Flatten()(x))

    def clamped(x):
        x = layers.ReLU(max_value=0.4)(conv(x, 6, 3, 2))
        x = layers.Permute((2, 1, 3))(layers.MaxPooling2D(3, 2, "same")(x))
        x = relu(conv(x, 5, 2))
        return classes(
            layers.ReLU(max_value=0.5)(layers.Dense(10, kernel_initializer="he_normal")(layers.Flatten()(x)))
        )

    for build in [resnet, preactivation, inception, densenet, mobilenet, unet, leaky, clamped]:
        x = layers.Input(SHAPE)
        model = keras.Model(x, build(x))
        for weight in model.weights:
            if "variance" in weight.name:
                weight.assign(rng.uniform(0.5, 1.5, weight.shape))
            elif "gamma" in weight.name:
                weight.assign(rng.uniform(0.6, 1.2, weight.shape))
            elif any(word in weight.name for word in ["beta", "bias", "mean"]):
                weight.assign(rng.normal(0, 0.1, weight.shape))
            else:
                weight.assign(rng.normal(0, np.std(np.asarray(weight)), weight.shape))
        data = images(40)
        outputs = np.asarray(model(data[:4], training=False))
        if outputs.ndim > 2:
            outputs = np.moveaxis(outputs, -1, 1)
        np.savez_compressed(
            FOLDER / f"{build.__name__}.npz", x=np.moveaxis(data, -1, 1).reshape(40, -1), y=outputs.reshape(4, -1)
        )
        model.save(FOLDER / f"{build.__name__}.keras")


def with_torch():
    import torch
    from torch import nn

    torch.manual_seed(5)

    class Residual(nn.Module):
        def __init__(self, inputs, outputs, stride):
            super().__init__()
            self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
            self.norm = nn.BatchNorm2d(outputs)
            self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, groups=2)
            self.short = nn.Identity() if stride == 1 else nn.Conv2d(inputs, outputs, 1, stride)

        def forward(self, x):
            return torch.relu(self.second(torch.relu(self.norm(self.first(x)))) + self.short(x))

    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Conv2d(3, 3, 3, padding=2, dilation=2), nn.Conv2d(3, 4, 1)
            self.last = nn.Linear(7 * 16, 5)

        def forward(self, x):
            one, two = torch.relu(self.one(x)), nn.functional.relu6(4 * self.two(x))
            x = nn.functional.max_pool2d(torch.cat([one, two], 1), 3, 2, ceil_mode=True)
            return self.last(torch.flatten(x, 1))

    class Net(nn.Module):
        def __init__(self, *stack):
            super().__init__()
            self.stack = nn.Sequential(*stack)

        def forward(self, x):
            return self.stack(x)

    down = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU())
    up = nn.Sequential(nn.ConvTranspose2d(4, 4, 3, 2, 1, output_padding=1), nn.ReLU(), nn.Upsample(scale_factor=2))
    nets = {
        "torch-resnet": Net(
            nn.Conv2d(3, 6, 3, padding=1),
            nn.ReLU(),
            Residual(6, 6, 1),
            Residual(6, 8, 2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8, 4),
        ),
        "torch-branches": Branches(),
        "torch-unet": Net(
            down,
            up,
            nn.Conv2d(4, 4, 3),
            nn.ReLU(),
            nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False),
            nn.Flatten(),
            nn.Linear(4 * 8 * 8, 4),
        ),
    }
    for name, net in nets.items():
        for module in net.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                nn.init.kaiming_normal_(module.weight)
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.uniform_(-0.2, 0.2)
                module.running_var.uniform_(0.5, 1.5)
        net.eval()
        data = images(40)
        x = torch.from_numpy(np.moveaxis(data, -1, 1).copy())
        with torch.no_grad():
            y = net(x[:4]).numpy()
        np.savez_compressed(FOLDER / f"{name}.npz", x=x.numpy().reshape(40, -1), y=y.reshape(4, -1))
        torch.onnx.export(
            net, (x[:1],), FOLDER / f"{name}.onnx", dynamo=False, input_names=["x"], dynamic_axes={"x": {0: "n"}}
        )


{"keras": with_keras, "torch": with_torch}[sys.argv[1]]()
