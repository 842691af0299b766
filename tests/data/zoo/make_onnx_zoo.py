"""Makes the zoo of tiny PyTorch networks as ONNX files: NAME.onnx and NAME.npz with a batch `x` and what PyTorch makes
of it, `y`.

    pip install torch onnx onnxscript onnxruntime skl2onnx scikit-learn
    python make_onnx_zoo.py

In NAME.npz, `x` and `y` are flattened in the order (channels, height, width). What PyTorch does not write is put
together by hand, and onnxruntime says what it gives; so it does for scikit-learn.
"""

import pathlib

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

FOLDER = pathlib.Path(__file__).parent / "onnx"
FOLDER.mkdir(exist_ok=True)
torch.manual_seed(5)
rng = np.random.default_rng(5)
MAPS = (3, 8, 7)


def note(name, x, y):
    np.savez(FOLDER / f"{name}.npz", x=x.reshape(len(x), -1), y=np.asarray(y).reshape(len(x), -1))


def export(name, model, shape, **options):
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
    model.eval()
    x = torch.rand(3, *shape) * 2 - 1
    with torch.no_grad():
        y = model(x)
    note(name, x.numpy(), y.numpy())
    options = {"dynamo": False, "input_names": ["x"], "dynamic_axes": {"x": {0: "n"}}, "opset_version": 17} | options
    torch.onnx.export(model, (x[:1],), FOLDER / f"{name}.onnx", **options)
    without_traces(FOLDER / f"{name}.onnx")


def by_hand(name, nodes, shape, constants=(), opset=17, order=None):
    """Nodes from `x` to `y`; `order` says how (channels, height, width) become the input's axes."""
    initializers = [numpy_helper.from_array(np.asarray(value), key) for key, value in dict(constants).items()]
    ends = [
        helper.make_tensor_value_info(end, TensorProto.FLOAT, size) for end, size in [("x", ["n", *shape]), ("y", None)]
    ]
    graph = helper.make_graph(nodes, name, ends[:1], ends[1:], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.save(model, FOLDER / f"{name}.onnx")
    session = onnxruntime.InferenceSession(model.SerializeToString())
    x = rng.uniform(-1, 1, (3, *shape)).astype(np.float32)
    (y,) = session.run(None, {"x": x})
    if order:
        x = x.transpose(0, *[axis + 1 for axis in order])
    note(name, np.ascontiguousarray(x), y)


def without_traces(path):
    """Takes out where on whose disk the exporter saw each line."""
    model = onnx.load(path, load_external_data=False)
    for node in model.graph.node:
        del node.metadata_props[:]
        node.ClearField("doc_string")
    del model.graph.metadata_props[:]
    del model.metadata_props[:]
    onnx.save(model, path)


class Residual(nn.Module):
    def __init__(self, channels, out, stride):
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(channels, out, 3, stride, 1, bias=False),
            nn.BatchNorm2d(out),
            nn.ReLU(),
            nn.Conv2d(out, out, 3, 1, 1, bias=False),
            nn.BatchNorm2d(out),
        )
        self.side = (
            nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))
            if stride > 1
            else nn.Identity()
        )

    def forward(self, x):
        return torch.relu(self.main(x) + self.side(x))


class Inception(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 2, 1)
        self.b = nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU(), nn.Conv2d(2, 3, 3, padding=1))
        self.c = nn.Sequential(nn.MaxPool2d(3, 1, 1), nn.Conv2d(3, 2, 1))
        self.head = nn.Linear(7, 3)

    def forward(self, x):
        x = torch.relu(torch.cat([self.a(x), self.b(x), self.c(x)], 1))
        return torch.softmax(self.head(x.mean([2, 3])), 1)


class Mobile(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1, bias=False), nn.BatchNorm2d(4), nn.ReLU6())
        self.block = nn.Sequential(
            nn.Conv2d(4, 8, 1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU6(),
            nn.Conv2d(8, 8, 3, 1, 1, groups=8, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU6(),
            nn.Conv2d(8, 4, 1),
        )
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        x = self.first(x)
        x = x + self.block(x)
        return self.head(torch.flatten(nn.functional.adaptive_avg_pool2d(x, 1), 1))


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Conv2d(3, 4, 3, padding=1)
        self.bottom = nn.Conv2d(4, 5, 3, padding=1)
        self.up = nn.ConvTranspose2d(5, 3, 2, 2)
        self.last = nn.Conv2d(7 + 4, 2, 1)

    def forward(self, x):
        down = torch.relu(self.down(x))
        up = self.up(torch.relu(self.bottom(nn.functional.max_pool2d(down, 2))))
        again = nn.functional.interpolate(nn.functional.avg_pool2d(down, 2), scale_factor=2)
        return torch.softmax(self.last(torch.cat([down, up, again], 1)), 1)


class View(nn.Module):
    """The idioms by which people flatten."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, bias=False)
        self.linear = nn.Linear(120, 12)
        self.after = nn.Conv2d(3, 2, 2)

    def forward(self, x):
        x = self.conv(x)
        x = self.linear(x.view(x.size(0), -1))
        return self.after(x.view(x.shape[0], 3, 2, 2)).flatten(1)


class LastAxis(nn.Module):
    """Channels moved last, a linear layer over them, and back."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 4)
        self.conv = nn.Conv2d(4, 2, 3)

    def forward(self, x):
        return self.conv(torch.relu(self.linear(x.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)) / 0.5 + 0.1


def torch_networks():
    export(
        "mlp",
        nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 3, bias=False), nn.Softmax(1)),
        (5,),
    )
    cnn = lambda: nn.Sequential(
        nn.Conv2d(3, 4, 3, 2, 1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Dropout(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(16, 3),
    )
    export("cnn", cnn(), MAPS)
    for opset in [9, 11, 13, 18]:
        export(f"cnn-opset{opset}", cnn(), MAPS, opset_version=opset)
    export("cnn-unfolded", cnn(), MAPS, training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False)
    export("cnn-dynamo", cnn(), MAPS, dynamo=True, dynamic_axes=None, opset_version=18, external_data=False)
    export("external", cnn(), MAPS, dynamo=True, dynamic_axes=None, opset_version=18, external_data=True)
    export("cnn-fixed-batch", cnn(), MAPS, dynamic_axes=None)
    export(
        "conv-groups",
        nn.Sequential(
            nn.Conv2d(4, 6, 3, groups=2, dilation=(1, 2)), nn.LeakyReLU(0.2), nn.Conv2d(6, 6, (2, 1), groups=6)
        ),
        (4, 8, 7),
    )
    export(
        "conv1d",
        nn.Sequential(
            nn.Conv1d(3, 4, 3, 2, 1),
            nn.ReLU(),
            nn.MaxPool1d(2),
            nn.ConvTranspose1d(4, 2, 3, 2),
            nn.Flatten(),
            nn.Linear(18, 2),
        ),
        (3, 17),
    )
    export(
        "transposed",
        nn.Sequential(
            nn.ConvTranspose2d(4, 6, 3, 2, 1, output_padding=1, groups=2),
            nn.ReLU(),
            nn.ConvTranspose2d(6, 2, (2, 3), bias=False),
        ),
        (4, 3, 4),
    )
    export(
        "pool-ceil", nn.Sequential(nn.MaxPool2d(3, 2, ceil_mode=True), nn.AvgPool2d(2, 2, ceil_mode=True)), (3, 8, 11)
    )
    export("pool-ceil-padded", nn.Sequential(nn.MaxPool2d(3, 2, 1, ceil_mode=True)), (3, 8, 7))
    export("pool-padding", nn.Sequential(nn.AvgPool2d(3, 2, 1), nn.AvgPool2d(2, 1, 1, count_include_pad=False)), MAPS)
    export("global-max", nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Conv2d(3, 2, 1), nn.Flatten()), MAPS)
    export("padding", nn.Sequential(nn.ZeroPad2d((1, 2, 0, 3)), nn.Conv2d(3, 2, 3), nn.ZeroPad2d((-1, 0, 1, -1))), MAPS)
    export("upsample", nn.Sequential(nn.Upsample(scale_factor=(2, 3)), nn.Conv2d(3, 2, 3)), MAPS)
    export(
        "activations",
        nn.Sequential(nn.Linear(5, 4), nn.Softplus(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2), nn.Sigmoid()),
        (5,),
    )
    export("view", View(), MAPS)
    export("last-axis", LastAxis(), MAPS)
    export(
        "resnet",
        nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1),
            Residual(4, 4, 1),
            Residual(4, 6, 2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(6, 3),
        ),
        MAPS,
    )
    export("inception", Inception(), MAPS)
    export("mobilenet", Mobile(), MAPS)
    export("unet", UNet(), (3, 8, 8))


def hand_made():
    def random(*shape):
        return rng.normal(0, 0.5, shape).astype(np.float32)

    node = helper.make_node
    conv = {"w": random(4, 3, 4, 3), "b": random(4)}
    for mode in ["SAME_UPPER", "SAME_LOWER", "VALID"]:
        nodes = [node("Conv", ["x", "w", "b"], ["y"], auto_pad=mode, strides=[2, 2])]
        by_hand(f"auto-pad-{mode.lower().replace('_', '-')}", nodes, (3, 8, 7), conv)
    # As tf2onnx writes a Keras network: channels last, moved to the front and back.
    nodes = [
        node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2]),
        node("Conv", ["t", "w", "b"], ["c"], strides=[2, 2]),
        node("Relu", ["c"], ["r"]),
        node("Transpose", ["r"], ["u"], perm=[0, 2, 3, 1]),
        node("Reshape", ["u", "s"], ["f"]),
        node("MatMul", ["f", "m"], ["p"]),
        node("Add", ["p", "a"], ["q"]),
        node("Softmax", ["q"], ["y"]),
    ]
    by_hand(
        "channels-last",
        nodes,
        (8, 7, 3),
        {**conv, "s": np.int64([-1, 36]), "m": random(36, 3), "a": random(3)},
        order=(2, 0, 1),
    )
    nodes = [
        node("Transpose", ["x"], ["t"], perm=[0, 2, 3, 1]),
        node("Flatten", ["t"], ["f"]),
        node("Gemm", ["f", "m", "a"], ["y"], transB=1, alpha=0.5, beta=2.0),
    ]
    by_hand("gemm", nodes, (3, 2, 2), {"m": random(4, 12), "a": random(1, 4)})
    # Another order than the two usual ones.
    nodes = [
        node("Transpose", ["x"], ["t"], perm=[0, 2, 1, 3]),
        node("Flatten", ["t"], ["f"]),
        node("MatMul", ["f", "m"], ["y"]),
    ]
    by_hand("odd-order", nodes, (3, 2, 4), {"m": random(24, 2)})
    nodes = [
        node("Sub", ["x", "mean"], ["a"]),
        node("Div", ["a", "std"], ["b"]),
        node("Mul", ["two", "b"], ["c"]),
        node("Conv", ["c", "w", "b0"], ["y"]),
    ]
    by_hand(
        "affine",
        nodes,
        (3, 8, 7),
        {
            "mean": random(1, 3, 1, 1),
            "std": np.abs(random(3, 1, 1)) + 0.5,
            "two": np.float32(2),
            "w": conv["w"],
            "b0": conv["b"],
        },
    )
    nodes = [node("Softmax", ["x"], ["y"], axis=1)]
    by_hand("softmax-maps", nodes, (3, 2, 2))
    by_hand("softmax-rows", [node("Softmax", ["x"], ["y"], axis=-1)], (3, 2, 4))
    nodes = [
        node("GlobalAveragePool", ["x"], ["g"]),
        node("Squeeze", ["g", "a"], ["s"]),
        node("Unsqueeze", ["s", "b"], ["u"]),
        node("Squeeze", ["u", "b"], ["v"]),
        node("MatMul", ["v", "m"], ["y"]),
    ]
    by_hand("squeeze", nodes, (3, 2, 2), {"a": np.int64([2, 3]), "b": np.int64([1]), "m": random(3, 2)})
    nodes = [node("Concat", ["x", "x"], ["c"], axis=3), node("Conv", ["c", "w"], ["y"])]
    by_hand("concat-columns", nodes, (3, 8, 7), {"w": conv["w"]})
    half = node("Cast", ["h"], ["w"], to=TensorProto.FLOAT)
    by_hand("half-weights", [half, node("Conv", ["x", "w"], ["y"])], (3, 8, 7), {"h": conv["w"].astype(np.float16)})


def scikit_learn():
    from skl2onnx import to_onnx
    from sklearn.neural_network import MLPClassifier

    x = rng.normal(0, 1, (60, 6)).astype(np.float32)
    model = MLPClassifier((5, 4), max_iter=60, random_state=1).fit(x, np.arange(60) % 3)
    onx = to_onnx(model, x[:1], options={"zipmap": False})
    (FOLDER / "scikit-learn.onnx").write_bytes(onx.SerializeToString())
    note("scikit-learn", x[:3], model.predict_proba(x[:3]).astype(np.float32))


torch_networks()
hand_made()
scikit_learn()
