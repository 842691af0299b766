"""Makes networks whose file holds parameters only, with the description next to it: PyTorch state dictionaries,
Lasagne's lists, Caffe.

    pip install torch safetensors h5py
    python make_parameters_zoo.py

PyTorch computes what all of them give; expected/NAME.npz holds a batch `x` and that, `y`, flattened as (channels,
height, width). Lasagne and Caffe no longer install: their files are written here by the rules of their formats.
"""

import pathlib
import struct

import h5py
import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

FOLDER = pathlib.Path(__file__).parent / "parameters"
(FOLDER / "expected").mkdir(exist_ok=True, parents=True)
torch.manual_seed(11)


def randomise(model):
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return model.eval()


def expect(names, model, shape):
    x = torch.rand(3, *shape) * 2 - 1
    with torch.no_grad():
        y = model(x)
    for name in names:
        np.savez(FOLDER / "expected" / f"{name}.npz", x=x.numpy().reshape(3, -1), y=y.numpy().reshape(3, -1))


def describe(names, text):
    for name in names:
        (FOLDER / f"{name}.toml").write_text(text)


def stack(input, *layers):
    return f"input = {input}\n" + "".join("\n[[layer]]\n" + "\n".join(layer.split("; ")) + "\n" for layer in layers)


def pytorch():
    cnn = randomise(
        nn.Sequential(
            nn.Conv2d(2, 4, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(4),
            nn.ReLU6(),
            nn.Conv2d(4, 4, (3, 2), groups=4),
            nn.LeakyReLU(0.1),
            nn.ConvTranspose2d(4, 3, 3, 2, 1, output_padding=1),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            nn.AvgPool2d(2, 1, 1),
            nn.Flatten(),
            nn.Linear(36, 3),
            nn.Softmax(1),
        )
    )
    text = stack(
        "[2, 8, 7]",
        'kind = "conv"; size = 3; stride = 2; padding = "same"',
        'kind = "batch_norm"',
        'kind = "relu"; max = 6.0',
        'kind = "conv"; groups = 4; size = [3, 2]',
        'kind = "relu"; negative_slope = 0.1',
        'kind = "transposed_conv"; stride = 2; padding = 1; output_padding = 1',
        'kind = "max_pool"; size = 3; stride = 2; ceil_mode = true',
        'kind = "average_pool"; size = 2; stride = 1; padding = 1',
        'kind = "flatten"',
        'kind = "dense"; units = 3',
        'kind = "softmax"',
    )
    expect(["cnn", "cnn-safe"], cnn, (2, 8, 7))
    describe(["cnn"], text)
    torch.save(cnn.state_dict(), FOLDER / "cnn.pth")
    # Sorted by name there, not in the order of the layers.
    safe = text
    for key, prefix in [
        ('kind = "conv"\nsize', "0"),
        ('kind = "batch_norm"', "1"),
        ('kind = "conv"\ngroups', "3"),
        ('kind = "transposed_conv"', "5"),
        ('kind = "dense"', "9"),
    ]:
        safe = safe.replace(key, f'parameters = "{prefix}"\n{key}')
    describe(["cnn-safe"], safe)
    save_file(cnn.state_dict(), FOLDER / "cnn-safe.safetensors")

    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.head = nn.Conv2d(2, 3, 1), nn.Conv2d(2, 3, 3, padding=1), nn.Linear(6, 2)

        def forward(self, x):
            a, b = self.a(x), self.b(x)
            return self.head(torch.cat([a, a + b], 1).mean([2, 3]))

    model = Branches().eval()
    expect(["branches"], model, (2, 5, 4))
    describe(
        ["branches"],
        stack(
            "[2, 5, 4]",
            'kind = "conv"; name = "a"; parameters = "a"',
            'kind = "conv"; name = "b"; inputs = ["input"]; parameters = "b"; padding = 1',
            'kind = "add"; name = "sum"; inputs = ["a", "b"]',
            'kind = "concatenate"; inputs = ["a", "sum"]',
            'kind = "global_average_pool"',
            'kind = "dense"',
        ),
    )
    torch.save(model.half().float().state_dict(), FOLDER / "branches.pth")
    expect(["branches"], model, (2, 5, 4))


def lasagne():
    model = randomise(
        nn.Sequential(
            nn.Conv2d(1, 3, 3, stride=2),
            nn.BatchNorm2d(3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(12, 4, bias=False),
            nn.BatchNorm1d(4),
            nn.ReLU(),
            nn.Linear(4, 2),
        )
    )
    arrays = []
    for module in model:
        if isinstance(module, nn.Conv2d):
            # Filters flipped: Theano convolves.
            arrays += [module.weight.detach().numpy()[:, :, ::-1, ::-1], module.bias.detach().numpy()]
        elif isinstance(module, nn.Linear):
            arrays += [module.weight.detach().numpy().T] + (
                [module.bias.detach().numpy()] if module.bias is not None else []
            )
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            inverse = 1 / torch.sqrt(module.running_var + module.eps)
            arrays += [value.detach().numpy() for value in [module.bias, module.weight, module.running_mean, inverse]]
    names = ["list-h5", "list-npz"]
    expect(names, model, (1, 10, 9))
    describe(
        names,
        stack(
            "[1, 10, 9]",
            'kind = "conv"; stride = 2',
            'kind = "batch_norm"',
            'kind = "relu"',
            'kind = "max_pool"; size = 2',
            'kind = "dense"',
            'kind = "batch_norm"',
            'kind = "relu"',
            'kind = "dense"',
        ),
    )
    np.savez(FOLDER / "list-npz.npz", *arrays)
    with h5py.File(FOLDER / "list-h5.h5", "w") as file:
        for number, array in enumerate(arrays):
            file[f"param_{number:02}"] = array


def varint(number):
    out = b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


def field(number, content):
    """A protobuf field of bytes."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def blob(array, old):
    array = np.ascontiguousarray(array, np.float32)
    data = field(5, array.tobytes())
    if old:
        dims = (1,) * (4 - array.ndim) + array.shape
        return b"".join(varint(number << 3) + varint(size) for number, size in enumerate(dims, 1)) + data
    return field(7, field(1, b"".join(varint(size) for size in array.shape))) + data


def caffe():
    model = randomise(
        nn.Sequential(
            nn.Conv2d(2, 4, 3, 2, 1, groups=2),
            nn.BatchNorm2d(4),
            nn.LeakyReLU(0.1),
            nn.MaxPool2d(2, 2, ceil_mode=True),
            nn.ConvTranspose2d(4, 3, 2, 2),
            nn.Flatten(),
            nn.Linear(72, 3),
            nn.Softmax(1),
        )
    )
    conv, norm, deconv, dense = model[0], model[1], model[4], model[6]
    weights = {
        "conv": [conv.weight, conv.bias],
        "bn": [norm.running_mean * 8, norm.running_var * 8, torch.tensor([8.0])],
        "scale": [norm.weight, norm.bias],
        "deconv": [deconv.weight, deconv.bias],
        "fc": [dense.weight, dense.bias],
    }
    expect(["new-form", "old-form"], model, (2, 11, 7))
    layers = [
        (
            "conv",
            "Convolution",
            "CONVOLUTION",
            "data",
            "c",
            "convolution_param { num_output: 4 kernel_size: 3 stride: 2 pad: 1 group: 2 "
            "weight_filler { type: 'xavier' } }",
        ),
        ("bn", "BatchNorm", "BatchNorm", "c", "c", "batch_norm_param { eps: 1e-5 use_global_stats: true }"),
        ("scale", "Scale", "Scale", "c", "c", "scale_param { bias_term: true }"),
        ("relu", "ReLU", "RELU", "c", "c", "relu_param { negative_slope: 0.1 }"),
        ("pool", "Pooling", "POOLING", "c", "p", "pooling_param { pool: MAX kernel_size: 2 stride: 2 }"),
        (
            "deconv",
            "Deconvolution",
            "DECONVOLUTION",
            "p",
            "d",
            "convolution_param { num_output: 3 kernel_h: 2 kernel_w: 2 stride: 2 }",
        ),
        ("drop", "Dropout", "DROPOUT", "d", "d", "dropout_param { dropout_ratio: 0.5 }"),
        ("fc", "InnerProduct", "INNER_PRODUCT", "d", "f", "inner_product_param { num_output: 3 }"),
        ("loss", "SoftmaxWithLoss", "SOFTMAX_LOSS", "f", "l", "include { phase: TRAIN }"),
        ("prob", "Softmax", "SOFTMAX", "f", "prob", ""),
    ]
    for old in [False, True]:
        name = "old-form" if old else "new-form"
        text = (
            'input: "data"  # one picture\ninput_dim: 1 input_dim: 2\ninput_dim: 11\ninput_dim: 7\n'
            if old
            else 'layer { name: "data" type: "Input" top: "data" '
            "input_param { shape: { dim: 1 dim: 2 dim: 11 dim: 7 } } }\n"
        )
        for layer, new_type, old_type, bottom, top, more in layers:
            key, kind = (
                ("layers", old_type if old_type.isupper() else f'"{old_type}"') if old else ("layer", f'"{new_type}"')
            )
            text += f'{key} {{ name: "{layer}" type: {kind} bottom: "{bottom}" top: "{top}" {more} }}\n'
        (FOLDER / f"{name}.prototxt").write_text(text)
        content = b""
        for layer, arrays in weights.items():
            blobs = b"".join(field(6 if old else 7, blob(array.detach().numpy(), old)) for array in arrays)
            content += field(2 if old else 100, field(4 if old else 1, layer.encode()) + blobs)
        (FOLDER / f"{name}.caffemodel").write_bytes(content)


pytorch()
lasagne()
caffe()
