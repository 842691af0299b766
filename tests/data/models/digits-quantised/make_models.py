"""Trains a small network with quantised activations on the digits of examples/digits, and writes it next to this
script in the three ways in which such networks are stored.

    pip install numpy onnx h5py
    python3 tests/data/models/digits-quantised/make_models.py

    clip_floor.onnx   x / theta, clip, times L, plus 1/2, floor, over L, times theta (QCFS, as PyTorch exports it)
    relu_q.keras      Keras with the activation relu_Q2.1 of SNN toolbox
    qdq.onnx          QuantizeLinear and DequantizeLinear around activations, weights and biases as integers
    expected.npz      outputs of each for the first 20 test digits

Activations have the levels 0, 0.5, ..., 3.5 in training, too; gradients pass between them. A seed makes it repeatable
up to the rounding of the machine.
"""

import io
import json
import zipfile
from pathlib import Path

import h5py
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).resolve().parent
DIGITS = HERE.parents[3] / "examples" / "digits"
STEP, HIGHEST = np.float32(0.5), 7
MAPS = (1, 8, 16)
EPOCHS, BATCH, RATE, DECAY = 60, 64, 2e-3, 1e-4
random = np.random.default_rng(1)


def images(name):
    data = np.load(DIGITS / name)
    return data["x"].astype(np.float32).reshape(-1, 1, 8, 8) / np.float32(255), data["y"].astype(int).reshape(-1)


def levels(x):
    return STEP * np.clip(np.floor(x / STEP + np.float32(0.5)), 0, HIGHEST).astype(np.float32)


def windows(x):
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    return np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3)).transpose(0, 2, 3, 1, 4, 5)


class Convolution:
    def __init__(self, maps, outputs):
        self.w = random.normal(0, np.sqrt(2 / (9 * maps)), (outputs, maps, 3, 3)).astype(np.float32)
        self.b = np.zeros(outputs, np.float32)

    def forward(self, x):
        self.columns = windows(x)
        self.x_shape = x.shape
        n, h, w = self.columns.shape[:3]
        flat = self.columns.reshape(n * h * w, -1) @ self.w.reshape(len(self.w), -1).T + self.b
        return flat.reshape(n, h, w, -1).transpose(0, 3, 1, 2)

    def backward(self, gradient):
        n, _, h, w = gradient.shape
        flat = gradient.transpose(0, 2, 3, 1).reshape(n * h * w, -1)
        self.gradients = [(flat.T @ self.columns.reshape(n * h * w, -1)).reshape(self.w.shape), flat.sum(0)]
        columns = (flat @ self.w.reshape(len(self.w), -1)).reshape(n, h, w, -1, 3, 3)
        back = np.zeros((n, self.x_shape[1], h + 2, w + 2), np.float32)
        for i in range(3):
            for j in range(3):
                back[:, :, i : i + h, j : j + w] += columns[:, :, :, :, i, j].transpose(0, 3, 1, 2)
        return back[:, :, 1:-1, 1:-1]


def pieces(x):
    """2x2 windows, last axis."""
    n, c, h, w = x.shape
    return x.reshape(n, c, h // 2, 2, w // 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(n, c, h // 2, w // 2, 4)


def joined(x):
    n, c, h, w, _ = x.shape
    return x.reshape(n, c, h, w, 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(n, c, 2 * h, 2 * w)


class Network:
    """Convolution, levels, maximum pooling, convolution, levels, average pooling, dense, levels, dense."""

    def __init__(self):
        self.first, self.second = Convolution(*MAPS[:2]), Convolution(*MAPS[1:])
        self.w1 = random.normal(0, np.sqrt(2 / 64), (64, 32)).astype(np.float32)
        self.w2 = random.normal(0, np.sqrt(1 / 32), (32, 10)).astype(np.float32)
        self.b1, self.b2 = np.zeros(32, np.float32), np.zeros(10, np.float32)

    def forward(self, x):
        self.sums = [self.first.forward(x)]
        cells = pieces(levels(self.sums[0]))
        self.best = cells.argmax(-1)
        self.sums.append(self.second.forward(cells.max(-1)))
        self.flat = pieces(levels(self.sums[1])).mean(-1).reshape(len(x), -1)
        self.sums.append(self.flat @ self.w1 + self.b1)
        self.hidden = levels(self.sums[2])
        return self.hidden @ self.w2 + self.b2

    def backward(self, gradient):
        passes = lambda sums: (sums > 0) & (sums < STEP * (HIGHEST + 0.5))
        outer = [self.hidden.T @ gradient, gradient.sum(0)]
        back = gradient @ self.w2.T * passes(self.sums[2])
        inner = [self.flat.T @ back, back.sum(0)]
        back = (back @ self.w1.T).reshape(-1, MAPS[2], 2, 2, 1) / 4
        back = joined(np.broadcast_to(back, back.shape[:4] + (4,)))
        back = self.second.backward(back * passes(self.sums[1]))
        spread = np.zeros(self.best.shape + (4,), np.float32)
        np.put_along_axis(spread, self.best[..., None], back[..., None], -1)
        self.first.backward(joined(spread) * passes(self.sums[0]))
        return self.first.gradients + self.second.gradients + inner + outer

    def parameters(self):
        return [self.first.w, self.first.b, self.second.w, self.second.b, self.w1, self.b1, self.w2, self.b2]


def train(x, y):
    network = Network()
    parameters = network.parameters()
    means, squares = [np.zeros_like(p) for p in parameters], [np.zeros_like(p) for p in parameters]
    step = 0
    for epoch in range(EPOCHS):
        rate = RATE * 0.5 * (1 + np.cos(np.pi * epoch / EPOCHS))
        order = random.permutation(len(x))
        for start in range(0, len(x) - BATCH + 1, BATCH):
            rows = order[start : start + BATCH]
            logits = network.forward(x[rows])
            shares = np.exp(logits - logits.max(1, keepdims=True))
            shares /= shares.sum(1, keepdims=True)
            shares[np.arange(BATCH), y[rows]] -= 1
            step += 1
            for p, m, v, g in zip(parameters, means, squares, network.backward((shares / BATCH).astype(np.float32))):
                g = g + DECAY * p
                m += 0.1 * (g - m)
                v += 0.001 * (g * g - v)
                p -= (rate * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)).astype(np.float32)
    return network


class Graph:
    """Nodes and constants of an ONNX model."""

    def __init__(self):
        self.nodes, self.constants = [], []

    def constant(self, name, values, kind=np.float32):
        self.constants.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def node(self, kind, inputs, name, **attributes):
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def save(self, name):
        value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        graph = helper.make_graph(
            self.nodes,
            "digits-quantised",
            [value("input", ["n", 1, 8, 8])],
            [value("output", ["n", 10])],
            self.constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], producer_name="make_models.py")
        model.ir_version = 8
        onnx.checker.check_model(model)
        onnx.save(model, HERE / name)


def body(graph, source, weight, activation):
    """The network; `weight` makes weights and biases of arrays, `activation` what follows a layer."""
    parameters = lambda name, w, b, axis: [
        weight(graph, f"{name}.weight", w, axis),
        weight(graph, f"{name}.bias", b, 0),
    ]
    x = graph.node(
        "Conv",
        [source, *parameters("conv1", network.first.w, network.first.b, 0)],
        "conv1",
        kernel_shape=[3, 3],
        pads=[1, 1, 1, 1],
    )
    x = graph.node("MaxPool", [activation(graph, x, 1)], "pool1", kernel_shape=[2, 2], strides=[2, 2])
    x = graph.node(
        "Conv",
        [x, *parameters("conv2", network.second.w, network.second.b, 0)],
        "conv2",
        kernel_shape=[3, 3],
        pads=[1, 1, 1, 1],
    )
    x = graph.node("AveragePool", [activation(graph, x, 2)], "pool2", kernel_shape=[2, 2], strides=[2, 2])
    x = graph.node("Flatten", [x], "flatten")
    x = graph.node("Gemm", [x, *parameters("dense1", network.w1, network.b1, 1)], "dense1")
    graph.node("Gemm", [activation(graph, x, 3), *parameters("dense2", network.w2, network.b2, 1)], "output")


def clip_floor():
    theta = STEP * HIGHEST

    def activation(graph, x, number):
        names = {"theta": theta, "zero": 0, "one": 1, "levels": HIGHEST, "half": 0.5}
        if number == 1:
            for name, value in names.items():
                graph.constant(name, np.float32(value))
        steps = [
            ("Div", "theta"),
            ("Clip", "zero"),
            ("Mul", "levels"),
            ("Add", "half"),
            ("Floor", None),
            ("Div", "levels"),
            ("Mul", "theta"),
        ]
        for k, (kind, name) in enumerate(steps):
            inputs = [x, "zero", "one"] if kind == "Clip" else [x, name] if name else [x]
            x = graph.node(kind, inputs, f"act{number}.{k}")
        return x

    graph = Graph()
    body(graph, "input", lambda graph, name, values, axis: graph.constant(name, values), activation)
    graph.save("clip_floor.onnx")


def qdq():
    """Post-training quantisation as its users have it: weights of 8 bits for each map, biases of 32 bits."""
    scales = {"input": np.float32(1 / 255), **{f"act{k}": STEP for k in (1, 2, 3)}}
    reads = {"conv1": "input", "conv2": "act1", "dense1": "act2", "dense2": "act3"}
    of_weights = {}

    def quantised(graph, x, name, scale, zero, kind):
        grid = [graph.constant(f"{name}.scale", scale), graph.constant(f"{name}.zero", zero, kind)]
        x = graph.node("QuantizeLinear", [x, *grid], f"{name}.quantised")
        return graph.node("DequantizeLinear", [x, *grid], f"{name}.real")

    def weight(graph, name, values, axis):
        layer, what = name.split(".")
        if what == "weight":
            others = tuple(k for k in range(values.ndim) if k != axis)
            scale = (np.abs(values).max(others) / 127).astype(np.float32)
            of_weights[layer] = scale
            shape = [1] * values.ndim
            shape[axis] = -1
            whole, kind = np.rint(values / scale.reshape(shape)), np.int8
        else:
            scale = of_weights[layer] * scales[reads[layer]]
            whole, kind = np.rint(values / scale), np.int32
        inputs = [
            graph.constant(f"{name}.whole", whole, kind),
            graph.constant(f"{name}.scale", scale),
            graph.constant(f"{name}.zero", np.zeros(len(scale)), kind),
        ]
        stored[name] = (whole * scale.reshape([-1 if k == axis else 1 for k in range(whole.ndim)])).astype(np.float32)
        return graph.node("DequantizeLinear", inputs, name, axis=axis)

    def activation(graph, x, number):
        if number == 1:
            graph.constant("zero", np.float32(0))
            graph.constant("most", STEP * HIGHEST)
        x = graph.node("Clip", [x, "zero", "most"], f"clip{number}")
        zero, kind = ((0, np.uint8), (-128, np.int8), (0, np.uint8))[number - 1]
        return quantised(graph, x, f"act{number}", STEP, zero, kind)

    stored = {}
    graph = Graph()
    body(graph, quantised(graph, "input", "input", scales["input"], 0, np.uint8), weight, activation)
    graph.save("qdq.onnx")
    return stored


def keras():
    layer = lambda kind, **config: {"module": "keras.layers", "class_name": kind, "config": config}
    conv = lambda name, maps: layer(
        "Conv2D",
        name=name,
        filters=maps,
        kernel_size=[3, 3],
        strides=[1, 1],
        padding="same",
        data_format="channels_last",
        dilation_rate=[1, 1],
        groups=1,
        activation="relu_Q2.1",
        use_bias=True,
    )
    pool = lambda kind, name: layer(
        kind, name=name, pool_size=[2, 2], strides=[2, 2], padding="valid", data_format="channels_last"
    )
    dense = lambda name, units, activation: layer("Dense", name=name, units=units, activation=activation, use_bias=True)
    layers = [
        layer("InputLayer", name="input", batch_shape=[None, 8, 8, 1], dtype="float32", sparse=False),
        conv("conv1", MAPS[1]),
        pool("MaxPooling2D", "pool1"),
        conv("conv2", MAPS[2]),
        pool("AveragePooling2D", "pool2"),
        layer("Flatten", name="flatten", data_format="channels_last"),
        dense("dense1", 32, "relu_Q2.1"),
        dense("dense2", 10, "linear"),
    ]
    config = {"module": "keras", "class_name": "Sequential", "config": {"name": "relu_q", "layers": layers}}
    # Flattened with the channels last.
    w1 = network.w1.reshape(MAPS[2], 2, 2, 32).transpose(1, 2, 0, 3).reshape(64, 32)
    weights = [
        ("conv2d", network.first.w.transpose(2, 3, 1, 0), network.first.b),
        ("conv2d_1", network.second.w.transpose(2, 3, 1, 0), network.second.b),
        ("dense", w1, network.b1),
        ("dense_1", network.w2, network.b2),
    ]
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for group, *arrays in weights:
            for k, array in enumerate(arrays):
                file.create_dataset(f"layers/{group}/vars/{k}", data=np.ascontiguousarray(array))
    with zipfile.ZipFile(HERE / "relu_q.keras", "w") as archive:
        for name, content in [
            ("metadata.json", json.dumps({"keras_version": "3.0.0"})),
            ("config.json", json.dumps(config)),
            ("model.weights.h5", buffer.getvalue()),
        ]:
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)


if __name__ == "__main__":
    (x, y), (x_test, y_test) = images("train.npz"), images("test.npz")
    network = train(x, y)
    right = (network.forward(x_test).argmax(1) == y_test).mean()
    print(f"{100 * right:.2f} % of {len(x_test)} test digits")
    expected = {"clip_floor": network.forward(x_test[:20]), "relu_q": network.forward(x_test[:20])}
    clip_floor()
    keras()
    stored = qdq()
    network.first.w, network.first.b = stored["conv1.weight"], stored["conv1.bias"]
    network.second.w, network.second.b = stored["conv2.weight"], stored["conv2.bias"]
    network.w1, network.b1 = stored["dense1.weight"], stored["dense1.bias"]
    network.w2, network.b2 = stored["dense2.weight"], stored["dense2.bias"]
    right = (network.forward(x_test).argmax(1) == y_test).mean()
    print(f"{100 * right:.2f} % with weights of 8 bits")
    expected["qdq"] = network.forward(x_test[:20])
    np.savez_compressed(HERE / "expected.npz", **expected)
