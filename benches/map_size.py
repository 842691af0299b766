"""What an operation costs on large maps, over what it costs on maps of 16 x 16.

    python benches/map_size.py --megasim target/release/megasim [--sizes 64 128] [--rounds 4]

Needs the packages onnx and numpy. Makes networks with random weights (He) for random images with three channels: two
3 x 3 convolutions of 16 maps (convolution), the same with an average pooling between them (pooling), with a depthwise
and a 1 x 1 convolution in place of the second one (depthwise), and with a shortcut (shortcut). Each is converted with
the defaults and run with one thread. Every round runs all sizes, one after the other; the table has the least time of
an operation, in ns, for each size, and its ratio to that of 16 x 16.
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

BASE = 16
# A run has about as many operations for each size.
OPERATIONS = 60 * BASE**2
NETWORKS = ("convolution", "pooling", "depthwise", "shortcut")


class Network:
    """An ONNX model, layer by layer; all results but the last one are named after their number."""

    def __init__(self):
        self.random = np.random.default_rng(1)
        self.nodes, self.weights = [], []

    def node(self, operator, inputs, **attributes):
        output = f"{operator}{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def weight(self, *shape):
        name = f"w{len(self.weights)}"
        values = self.random.normal(size=shape) * np.sqrt(2 / np.prod(shape[1:]))
        self.weights.append(numpy_helper.from_array(values.astype("float32"), name))
        return name

    def convolution(self, given, maps, size=3, group=1, inputs=16):
        weight = self.weight(maps, inputs // group, size, size)
        padding = [size // 2] * 4
        return self.node("Conv", [given, weight], kernel_shape=[size, size], pads=padding, group=group)

    def save(self, last, side, path):
        pooled = self.node("GlobalAveragePool", [last])
        logits = self.node("Gemm", [self.node("Flatten", [pooled]), self.weight(10, 16)], transB=1)
        images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 3, side, side])
        output = helper.make_tensor_value_info(logits, TensorProto.FLOAT, ["N", 10])
        graph = helper.make_graph(self.nodes, "network", [images], [output], self.weights)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)


def write_model(kind, side, path):
    network = Network()
    first = network.node("Relu", [network.convolution("images", 16, inputs=3)])
    if kind == "pooling":
        first = network.node("AveragePool", [first], kernel_shape=[2, 2], strides=[2, 2])
    if kind == "depthwise":
        first = network.node("Relu", [network.convolution(first, 16, group=16)])
        last = network.convolution(first, 16, size=1)
    else:
        last = network.convolution(first, 16)
    if kind == "shortcut":
        last = network.convolution(network.node("Relu", [last]), 16)
        last = network.node("Add", [last, first])
    network.save(network.node("Relu", [last]), side, path)


def write_images(side, n, directory):
    directory.mkdir()
    random = np.random.default_rng(2)
    for name in ("train", "test"):
        images = random.random((n, 3, side, side), dtype="float32")
        np.savez(directory / f"{name}.npz", x=images, y=np.arange(n) % 10)


def run(*command):
    subprocess.run([str(word) for word in command], check=True, capture_output=True)


def nanoseconds(program, netfiles, images, mode):
    result = netfiles.with_suffix(".json")
    run(program, "classify", netfiles, "--data", images, "--mode", mode, "--threads", 1, "--json", result, "--force")
    read = json.loads(result.read_text())
    return read["seconds"][mode] / read["per_sample"]["synaptic_operations"][mode] * 1e9


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megasim", type=Path, required=True)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128])
    parser.add_argument("--rounds", type=int, default=4)
    given = parser.parse_args()
    sizes = [BASE, *given.sizes]

    header = " | ".join(f"{side} x {side}, ns | over {BASE} x {BASE}" for side in given.sizes)
    print(f"| network | mode | {BASE} x {BASE}, ns | {header} |")
    print("|---|---|---:|" + "---:|---:|" * len(given.sizes))
    with tempfile.TemporaryDirectory() as directory:
        scratch = Path(directory)
        for side in sizes:
            write_images(side, max(2, OPERATIONS // side**2), scratch / f"images{side}")
        for kind in NETWORKS:
            for side in sizes:
                model = scratch / f"{kind}{side}.onnx"
                write_model(kind, side, model)
                images, netfiles = scratch / f"images{side}", model.with_suffix("")
                run(given.megasim, "convert", model, "--data", images, "--out", netfiles)
            for mode in ("event", "clocked"):
                turn = [(scratch / f"{kind}{side}", scratch / f"images{side}") for side in sizes]
                rounds = [[nanoseconds(given.megasim, *paths, mode) for paths in turn] for _ in range(given.rounds)]
                base, *larger = (min(column) for column in zip(*rounds))
                ratios = " | ".join(f"{time:.2f} | {time / base:.2f}" for time in larger)
                print(f"| {kind} | {mode} | {base:.2f} | {ratios} |", flush=True)


if __name__ == "__main__":
    main()
