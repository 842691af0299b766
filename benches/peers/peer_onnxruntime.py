"""onnxruntime: a trained ONNX network as spikes in discrete time, many images at once, one dense step per millisecond.

Behind every ReLU and every average pooling, as in netfiles, there are integrate-and-fire neurons with threshold 1 and
reset by subtraction; convolutions, pooling and dense layers run as they are on the spikes of all images of a batch.
Time does not depend on how many spikes there are, so that weights are taken as they were trained, without
normalisation, and accuracy is not reported. The input is a constant current, the pixels. The counted time is that of
the steps; loading is outside.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper


def step_graph(model, batch):
    """The network of one time step: pixels and potentials in, potentials and outputs out."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    shapes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in [*graph.value_info, *graph.input, *graph.output]
    }
    stored = {tensor.name for tensor in graph.initializer}
    image = next(value for value in graph.input if value.name not in stored)
    one = helper.make_tensor("spiking_threshold", TensorProto.FLOAT, [], [1.0])
    nodes, states = [], []
    for node in graph.node:
        if node.op_type == "Softmax":
            nodes.append(helper.make_node("Identity", node.input, node.output))
        elif node.op_type in ("Relu", "AveragePool"):
            name, shape = node.output[0], [batch, *shapes[node.output[0]][1:]]
            before, summed, fires, driven = f"{name}_before", f"{name}_sum", f"{name}_fires", node.input[0]
            if node.op_type == "AveragePool":
                driven = f"{name}_pooled"
                pooling = onnx.NodeProto()
                pooling.CopyFrom(node)
                pooling.output[0] = driven
                nodes.append(pooling)
            nodes += [
                helper.make_node("Add", [before, driven], [summed]),
                helper.make_node("GreaterOrEqual", [summed, "spiking_threshold"], [fires]),
                helper.make_node("Cast", [fires], [name], to=TensorProto.FLOAT),
                helper.make_node("Sub", [summed, name], [f"{name}_after"]),
            ]
            states.append((before, f"{name}_after", shape))
        else:
            nodes.append(node)
    inputs = [helper.make_tensor_value_info(image.name, TensorProto.FLOAT, [batch, *shapes[image.name][1:]])]
    inputs += [helper.make_tensor_value_info(before, TensorProto.FLOAT, shape) for before, _, shape in states]
    outputs = [helper.make_tensor_value_info(graph.output[0].name, TensorProto.FLOAT, None)]
    outputs += [helper.make_tensor_value_info(after, TensorProto.FLOAT, shape) for _, after, shape in states]
    step = helper.make_graph(nodes, "step", inputs, outputs, [*graph.initializer, one])
    made = helper.make_model(step, opset_imports=model.opset_import, ir_version=model.ir_version)
    return made, image.name, shapes[image.name][1:], states


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path, help="directory with test.npz")
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--batch", type=int, default=20)
    parser.add_argument("--duration", type=int, default=100, help="steps of 1 ms")
    given = parser.parse_args()

    model = onnx.load(given.model)
    made, image, shape, states = step_graph(model, given.batch)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(made.SerializeToString(), options, providers=["CPUExecutionProvider"])

    with np.load(given.data / "test.npz") as data:
        pixels = data["x"][: given.samples].astype(np.float32)
    if pixels.max() > 1:
        pixels /= 255
    if pixels.ndim == 3:
        pixels = pixels[:, None]
    elif list(pixels.shape[1:]) != shape:
        pixels = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
    pixels = pixels.reshape(-1, *shape)

    spent = 0.0
    for first in range(0, given.samples - given.batch + 1, given.batch):
        batch = np.ascontiguousarray(pixels[first : first + given.batch])
        state = {before: np.zeros(size, np.float32) for before, _, size in states}
        started = time.process_time()
        for _ in range(given.duration):
            results = session.run(None, {image: batch, **state})
            state = {before: after for (before, _, _), after in zip(states, results[1:])}
        spent += time.process_time() - started
    images = given.samples // given.batch * given.batch
    print(json.dumps({"peer": "onnxruntime", "images": images, "seconds_per_image": spent / images}))


if __name__ == "__main__":
    main()
