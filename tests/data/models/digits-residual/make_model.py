"""Trains a small residual network on the digits of examples/digits and writes model.onnx next to this script.

    python3 tests/data/models/digits-residual/make_model.py

needs numpy and onnx. Mean and standard deviation are taken off in the graph, convolutions have `same` padding and
batch normalisation, and two blocks add what they read, as ResNet-20 for CIFAR-10 does. A seed makes it repeatable up
to the rounding of the machine.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).resolve().parent
DIGITS = HERE.parents[3] / "examples" / "digits"
CHANNELS, BLOCKS, EPOCHS, BATCH, RATE, MOMENTUM, DECAY = 8, 2, 40, 64, 0.05, 0.9, 1e-4
EPSILON = 1e-5
random = np.random.default_rng(1)


def images(name):
    data = np.load(DIGITS / name)
    x = data["x"].astype(np.float32)
    x = x.reshape(len(x), 1, 8, 8)
    return (x / 255 if data["x"].dtype == np.uint8 else x), data["y"].astype(int).reshape(-1)


class Layer:
    """A convolution of 3x3 cells with batch normalisation."""

    def __init__(self, maps):
        self.w = random.normal(0, np.sqrt(2 / (9 * maps)), (CHANNELS, maps * 9)).astype(np.float32)
        self.gamma, self.beta = np.ones(CHANNELS, np.float32), np.zeros(CHANNELS, np.float32)
        self.mean, self.variance = np.zeros(CHANNELS, np.float32), np.ones(CHANNELS, np.float32)
        self.maps = maps

    def forward(self, x, training):
        padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))
        self.columns = windows.transpose(0, 2, 3, 1, 4, 5).reshape(-1, self.maps * 9)
        out = self.columns @ self.w.T
        if training:
            mean, variance = out.mean(0), out.var(0)
            self.mean += 0.1 * (mean - self.mean)
            self.variance += 0.1 * (variance - self.variance)
        else:
            mean, variance = self.mean, self.variance
        self.std = np.sqrt(variance + EPSILON)
        self.normal = (out - mean) / self.std
        return (self.gamma * self.normal + self.beta).reshape(len(x), 8, 8, CHANNELS).transpose(0, 3, 1, 2)

    def backward(self, gradient):
        gradient = gradient.transpose(0, 2, 3, 1).reshape(-1, CHANNELS)
        gamma, beta = (gradient * self.normal).sum(0), gradient.sum(0)
        n = len(gradient)
        out = self.gamma / self.std * (gradient - beta / n - self.normal * gamma / n)
        columns = (out @ self.w).reshape(-1, 8, 8, self.maps, 3, 3)
        back = np.zeros((len(columns), self.maps, 10, 10), np.float32)
        for i in range(3):
            for j in range(3):
                back[:, :, i:i + 8, j:j + 8] += columns[:, :, :, :, i, j].transpose(0, 3, 1, 2)
        self.gradients = [out.T @ self.columns, gamma, beta]
        return back[:, :, 1:9, 1:9]

    def parameters(self):
        return [self.w, self.gamma, self.beta]


class Network:
    """A layer, blocks of two layers that add what they read, an average over the maps, classes."""

    def __init__(self):
        self.layers = [Layer(1)] + [Layer(CHANNELS) for _ in range(2 * BLOCKS)]
        self.w = random.normal(0, 0.1, (4 * CHANNELS, 10)).astype(np.float32)
        self.b = np.zeros(10, np.float32)

    def forward(self, x, training=False):
        self.signs = []

        def relu(values):
            self.signs.append(values > 0)
            return np.maximum(values, 0)

        x = relu(self.layers[0].forward(x, training))
        for block in range(BLOCKS):
            first, second = self.layers[1 + 2 * block:3 + 2 * block]
            x = relu(x + second.forward(relu(first.forward(x, training)), training))
        self.pooled = x.reshape(len(x), CHANNELS, 2, 4, 2, 4).mean((3, 5)).reshape(len(x), -1)
        return self.pooled @ self.w + self.b

    def backward(self, gradient):
        self.gradients = [self.pooled.T @ gradient, gradient.sum(0)]
        back = (gradient @ self.w.T).reshape(-1, CHANNELS, 2, 1, 2, 1) / 16
        back = np.broadcast_to(back, (len(gradient), CHANNELS, 2, 4, 2, 4)).reshape(-1, CHANNELS, 8, 8)
        for block in reversed(range(BLOCKS)):
            first, second = self.layers[1 + 2 * block:3 + 2 * block]
            back = back * self.signs[2 + 2 * block]
            back = back + first.backward(second.backward(back) * self.signs[1 + 2 * block])
        self.layers[0].backward(back * self.signs[0])

    def parameters(self):
        own = [p for layer in self.layers for p in layer.parameters()] + [self.w, self.b]
        gradients = lambda: [g for layer in self.layers for g in layer.gradients] + self.gradients
        return own, gradients


def train(x, y):
    network = Network()
    parameters, gradients = network.parameters()
    speeds = [np.zeros_like(p) for p in parameters]
    for epoch in range(EPOCHS):
        rate = RATE * 0.5 * (1 + np.cos(np.pi * epoch / EPOCHS))
        order = random.permutation(len(x))
        for start in range(0, len(x) - BATCH + 1, BATCH):
            rows = order[start:start + BATCH]
            logits = network.forward(x[rows], training=True)
            shares = np.exp(logits - logits.max(1, keepdims=True))
            shares /= shares.sum(1, keepdims=True)
            shares[np.arange(BATCH), y[rows]] -= 1
            network.backward((shares / BATCH).astype(np.float32))
            for parameter, speed, gradient in zip(parameters, speeds, gradients()):
                speed *= MOMENTUM
                speed -= rate * (gradient + DECAY * parameter)
                parameter += speed
    return network


def export(network, mean, std):
    nodes, constants = [], []

    def constant(name, values):
        constants.append(numpy_helper.from_array(np.asarray(values, np.float32), name))
        return name

    def node(kind, inputs, name, **attributes):
        nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def layer(number, source):
        it = network.layers[number]
        kernels = constant(f"conv{number}.weight", it.w.reshape(CHANNELS, it.maps, 3, 3))
        out = node("Conv", [source, kernels], f"conv{number}", kernel_shape=[3, 3], pads=[1, 1, 1, 1])
        names = ["gamma", "beta", "mean", "variance"]
        norm = [constant(f"norm{number}.{name}", getattr(it, name)) for name in names]
        return node("BatchNormalization", [out, *norm], f"norm{number}", epsilon=EPSILON)

    x = node("Sub", ["input", constant("mean", mean)], "centred")
    x = node("Div", [x, constant("std", std)], "scaled")
    x = node("Relu", [layer(0, x)], "relu0")
    for block in range(BLOCKS):
        first = node("Relu", [layer(1 + 2 * block, x)], f"relu{1 + 2 * block}")
        total = node("Add", [layer(2 + 2 * block, first), x], f"add{block}")
        x = node("Relu", [total], f"relu{2 + 2 * block}")
    x = node("AveragePool", [x], "pool", kernel_shape=[4, 4], strides=[4, 4])
    x = node("Flatten", [x], "flatten")
    node("Gemm", [x, constant("dense.weight", network.w), constant("dense.bias", network.b)], "output")
    value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    graph = helper.make_graph(nodes, "digits-residual", [value("input", ["n", 1, 8, 8])],
                              [value("output", ["n", 10])], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], producer_name="make_model.py")
    model.ir_version = 8
    onnx.checker.check_model(model)
    onnx.save(model, HERE / "model.onnx")


if __name__ == "__main__":
    (x, y), (x_test, y_test) = images("train.npz"), images("test.npz")
    mean, std = x.mean(), x.std()
    network = train((x - mean) / std, y)
    export(network, mean, std)
    right = (network.forward((x_test - mean) / std).argmax(1) == y_test).mean()
    print(f"{100 * right:.2f} % of {len(x_test)} test digits")
