"""Fixtures of tests/presets.rs: ANNarchy's converter and SNN toolbox's INI simulator, re-implemented in numpy from
their rules.

    python make_presets.py [GOLDEN]

writes `pso.npz`, `ib.npz`, `annarchy-cnn.npz` and `ini-cnn.npz` next to itself, on digits of examples/digits and random
weights. With GOLDEN, a directory with `annarchy/pso.npz` (recorded from ANNarchy 5.0.4) and `ini/{mlp,cnn}.npz`
(recorded from SNN toolbox 0.6), it first checks that the re-implementations give every recorded spike (ANNarchy) or
spike count (INI).

ANNarchy: float64, steps of a millisecond. In step t every layer reads what the layer before did in step t - 1: dense
layers its spikes, convolution and pooling its mask, which falls by 1/20 of itself a step and gains 1/20 a spike. `v <-
max(v + g, -2)`; above the threshold a neuron spikes and goes to 0. Thresholds are 1 - 0.05 * (number of the layer),
that of the output is 1. INI: float32, layers one after another in a step, constant input; `mem += W x + b`, spike at 1
or more, minus 1.
"""

import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
TAU = 20.0


def pso(rates, steps):
    for t in range(steps):
        m = -1 if t == 0 else (t - 1) % 8
        yield rates > 2.0 ** (m - 1)


def ib(rates, steps):
    v, u = np.full(rates.shape, -55.0), np.full(rates.shape, -13.0)
    for _ in range(steps):
        dv = 0.04 * v * v + 5.0 * v + 140.0 - u + rates
        du = 0.02 * (0.2 * v - u)
        v, u = v + dv, u + du
        spikes = v > 30.0
        v[spikes] = -55.0
        u[spikes] += 4.0
        yield spikes


def patches(maps, height, width, stride):
    """(channels, rows, columns) to (out rows, out columns, channels, height, width)."""
    windows = np.lib.stride_tricks.sliding_window_view(maps, (height, width), axis=(1, 2))
    return windows[:, ::stride, ::stride].transpose(1, 2, 0, 3, 4)


def gain(layer, mask, spikes):
    """What each neuron of a layer gains from masks and spikes of the layer before."""
    kind, weights = layer
    if kind == "dense":
        return weights @ spikes.reshape(-1).astype(float)
    if kind == "conv":
        return np.einsum("yxcij,ocij->oyx", patches(mask, *weights.shape[2:], 1), weights)
    windows = patches(mask, 2, 2, 2)
    pooled = windows.mean(axis=(3, 4)) if kind == "average" else windows.max(axis=(3, 4))
    return pooled.transpose(2, 0, 1)


def annarchy(layers, thresholds, code, sample, steps, max_f=100.0):
    """Spikes of the input and of each layer as (step, neuron), and the output's potentials."""
    rates = (sample * np.float32(max_f)).astype(np.float64)
    spikes = [np.zeros(sample.shape, bool)]
    masks = [np.zeros(sample.shape)]
    v = []
    for layer in layers:
        shape = gain(layer, masks[-1], spikes[-1]).shape
        spikes.append(np.zeros(shape, bool))
        masks.append(np.zeros(shape))
        v.append(np.zeros(shape))
    trains = [[] for _ in spikes]
    outputs = []
    for t, now in enumerate(code(rates, steps)):
        gains = [gain(layer, masks[k], spikes[k]) for k, layer in enumerate(layers)]
        for k, g in enumerate([None, *gains]):
            masks[k] -= masks[k] / TAU
            if k > 0:
                v[k - 1] = np.maximum(v[k - 1] + g, -2.0)
                now = v[k - 1] > thresholds[k - 1]
                v[k - 1][now] = 0.0
            spikes[k] = now
            masks[k] += now / TAU
            trains[k] += [(t, n) for n in np.flatnonzero(now)]
        outputs.append(v[-1].copy())
    return [np.array(train, np.int32).reshape(-1, 2) for train in trains], np.array(outputs)


def normalised(layers):
    result = []
    for index, (kind, weights) in enumerate(layers):
        if weights is not None:
            positive = np.maximum(weights, 0).reshape(len(weights), -1).sum(axis=1).max()
            weights = weights * ((index + 2) / positive)
        result.append((kind, weights))
    return result


def ini(layers, image, steps):
    """Spikes of each layer, (..., step), of constant input; `layers` as (kind, weights, bias), maps as (channels, rows,
    columns)."""
    trains = [[] for _ in layers]
    mem = [None] * len(layers)
    for _ in range(steps):
        x = image
        for k, (kind, weights, bias) in enumerate(layers):
            if kind == "dense":
                z = weights @ x.reshape(-1) + bias
            elif kind == "conv":
                z = np.einsum("yxcij,ocij->oyx", patches(x, *weights.shape[2:], 1), weights) + bias[:, None, None]
            else:
                z = patches(x, 2, 2, 2).mean(axis=(3, 4)).transpose(2, 0, 1)
            mem[k] = z.astype(np.float32) if mem[k] is None else (mem[k] + z).astype(np.float32)
            x = (mem[k] >= 1).astype(np.float32)
            mem[k] = (mem[k] - x).astype(np.float32)
            trains[k].append(x.astype(bool))
    return [np.stack(train, axis=-1) for train in trains]


def check(golden):
    z = np.load(golden / "annarchy/pso.npz")
    for variant in ["shipped", "normalised"]:
        layers = [("dense", z[f"{variant}_W{k}"]) for k in (1, 2, 3)]
        for i in range(3):
            trains, v = annarchy(layers, z["vt"], pso, z["samples"][i], 200)
            for k, train in enumerate(trains):
                recorded = z[f"{variant}_s{i}_spk{k}"]
                assert sorted(map(tuple, recorded)) == sorted(map(tuple, train)), (variant, i, k)
            assert np.abs(v - z[f"{variant}_s{i}_vout"]).max() < 1e-9
    print("ANNarchy: every spike of both variants, three digits, four layers")
    import h5py

    for name in ["mlp", "cnn"]:
        z = np.load(golden / f"ini/{name}.npz")
        weights = {}
        h5py.File(golden / f"ini/{name}.h5")["model_weights"].visititems(
            lambda path, item: weights.update({path: item[()]}) if hasattr(item, "shape") else None
        )
        layers = []
        for number, layer in enumerate(map(str, z["layer_names"])):
            if "Pooling" in layer:
                layers.append(("average", None, None))
                continue
            kernel = next(v for p, v in weights.items() if layer in p and "kernel" in p)
            bias = next(v for p, v in weights.items() if layer in p and "bias" in p)
            if kernel.ndim == 4:
                layers.append(("conv", kernel.transpose(3, 2, 0, 1), bias))
            else:
                before = z[f"spikes_{number - 1}"].shape[:-1] if number else ()
                if len(before) == 3:
                    height, width, channels = before
                    kernel = kernel.reshape(height, width, channels, -1).transpose(2, 0, 1, 3).reshape(len(kernel), -1)
                layers.append(("dense", kernel.T, bias))
        image = z["x"][0]
        image = image.transpose(2, 0, 1) if image.ndim == 3 else image
        differing = total = 0
        for k, train in enumerate(ini(layers, image, 100)):
            recorded = z[f"spikes_{k}"]
            train = train.transpose(1, 2, 0, 3) if train.ndim == 4 else train
            differing += (train != recorded).sum()
            total += recorded.sum()
        print(f"INI {name}: {differing} of {total} spikes differ (float32 sums in another order)")


def main():
    if len(sys.argv) > 1:
        check(Path(sys.argv[1]))
    digits = np.load(HERE.parents[2] / "examples/digits/test.npz")
    x = digits["x"][:3].reshape(3, 8, 8)
    x = (x / (255 if x.dtype == np.uint8 else 1)).astype(np.float32)
    random = np.random.default_rng(6)

    sizes = [64, 40, 24, 10]
    raw = [
        ("dense", random.normal(0.05, 0.6, (n, m)).astype(np.float32).astype(float)) for m, n in zip(sizes, sizes[1:])
    ]
    for name, code in [("pso", pso), ("ib", ib)]:
        arrays = {"samples": x.reshape(3, 64), "vt": np.array([0.95, 0.90, 1.0])}
        for variant, layers in [("shipped", raw), ("normalised", normalised(raw))]:
            for k, (_, weights) in enumerate(layers):
                arrays[f"{variant}_W{k + 1}"] = weights
            for i in range(3):
                trains, v = annarchy(layers, arrays["vt"], code, arrays["samples"][i], 120)
                for k, train in enumerate(trains):
                    arrays[f"{variant}_s{i}_spk{k}"] = train
                arrays[f"{variant}_s{i}_vout"] = v
        np.savez_compressed(HERE / f"{name}.npz", **arrays)

    def kernels(out, channels, size):
        return random.normal(0.15, 0.4, (out, channels, size, size)).astype(np.float32)

    first, second, last = kernels(4, 1, 3), kernels(6, 4, 2), random.normal(0.1, 0.6, (10, 6)).astype(np.float32)
    layers = [
        ("conv", first.astype(float)),
        ("average", None),
        ("conv", second.astype(float)),
        ("max", None),
        ("dense", last.astype(float)),
    ]
    arrays = {"samples": x, "conv1": first, "conv2": second, "dense": last}
    for preset, threshold in [("annarchy", 1.0), ("manual", 0.7)]:
        for i in range(3):
            # The flatten layer before the dense one counts: its number is 6.
            thresholds = [0.95, 0.90, 0.85, 0.80, threshold]
            trains, _ = annarchy(normalised(layers), thresholds, pso, x[i][None], 120)
            for k, train in enumerate(trains):
                arrays[f"{preset}_s{i}_spk{k}"] = train
    np.savez_compressed(HERE / "annarchy-cnn.npz", **arrays)

    bias = [random.normal(0, 0.05, n).astype(np.float32) for n in (4, 6, 10)]
    layers = [
        ("conv", (first / 3).astype(np.float32), bias[0]),
        ("average", None, None),
        ("conv", (second / 2).astype(np.float32), bias[1]),
        ("average", None, None),
        ("dense", last, bias[2]),
    ]
    arrays = {"x": x[:, :, :, None], "conv1": layers[0][1], "conv2": layers[2][1], "dense": last}
    arrays |= {f"bias{k + 1}": b for k, b in enumerate(bias)}
    counts = [ini(layers, image[None], 100) for image in x]
    for k in range(5):
        train = counts[0][k]
        arrays[f"spikes_{k}"] = train.transpose(1, 2, 0, 3) if train.ndim == 4 else train
        sums = np.stack([trains[k].sum(axis=-1) for trains in counts])
        arrays[f"spikecounts_{k}"] = (sums.transpose(0, 2, 3, 1) if sums.ndim == 4 else sums).astype(np.int64)
    np.savez_compressed(HERE / "ini-cnn.npz", **arrays)


main()
