"""Runs the ONNX form of each network here in onnxruntime on made-up pictures and notes what it gives, in expected.npz:
`x` (samples, 784), `logits` and `y` (samples, 10).

    pip install numpy onnx onnxruntime
    python make_expected.py

The networks were trained on MNIST and saved by Keras 2.15, Keras 3.15 and tf2onnx; all files of a folder are the same
network.
"""

import pathlib

import numpy as np
import onnx
import onnxruntime

rng = np.random.default_rng(3)
for folder in ["mnist-mlp", "mnist-cnn-bn"]:
    folder = pathlib.Path(__file__).parent / folder
    # Blobs and strokes, dark around: pictures in the range of digits, but none of them a digit.
    rows, columns = np.mgrid[0:28, 0:28]
    x = np.zeros((8, 28, 28))
    for picture in x:
        for _ in range(4):
            row, column, height, width = rng.uniform([6, 6, 2, 2], [22, 22, 8, 8])
            picture += np.exp(-((rows - row) ** 2) / height - ((columns - column) ** 2) / width)
    x = np.clip(x, 0, 1).astype(np.float32).reshape(8, 784)

    model = onnx.load(folder / "model.onnx")
    softmax = model.graph.node[-1]
    assert softmax.op_type == "Softmax"
    model.graph.output.append(onnx.helper.make_tensor_value_info(softmax.input[0], onnx.TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    input = session.get_inputs()[0]
    y, logits = session.run(None, {input.name: x.reshape(8, *input.shape[1:])})
    np.savez_compressed(folder / "expected.npz", x=x, logits=logits, y=y)
