"""A network that megasim exported, for Brian2.

    pip install brian2
    python network.py --data digits.npz --samples 10 --duration 100 --out counts.npz

A step is 1 ms. Within a step layers act in order, as in megasim's clocked mode with --ticks-per-ms 1: potentials leak
and take their bias, each layer takes the spikes of those before it, is tested, spikes, and is reset.

--data: an .npz archive with `x` (samples, numbers from 0 to 1, or bytes; maps in the order channels, height, width).
--out: an archive with the spike counts of each layer, `LABEL` (samples, neurons), and `LABEL/shape`.
"""
import argparse
import pathlib

import numpy as np
from brian2 import (
    Network,
    NeuronGroup,
    SpikeGeneratorGroup,
    SpikeMonitor,
    Synapses,
    defaultclock,
    device,
    ms,
    mV,
    prefs,
    set_device,
)

# LAYERS

EQUATIONS = """
dv/dt = (bias + leak * (v_rest - v)) / ms : volt
bias : volt (constant)
v_rest : volt (constant)
v_thresh : volt (constant)
v_reset : volt (constant)
v_min : volt (constant)
"""


def regular(values, duration):
    """Steps and neurons of the spikes of megasim's regular code: floor(phase + value * time)."""
    one, golden = np.uint64(1 << 32), np.uint64(0x9E3779B9)
    gain = np.rint(np.minimum(np.abs(values.astype(np.float64)), 1) * (1 << 32)).astype(np.uint64)
    phase = (np.arange(1, len(values) + 1, dtype=np.uint64) * golden) % one
    fired = (phase[None, :] + gain[None, :] * np.arange(1, duration + 1, dtype=np.uint64)[:, None]) // one
    before = np.vstack([np.zeros_like(fired[:1]), fired[:-1]])
    return np.nonzero(fired > before)


def samples_of(path, count, arrays):
    with np.load(path) as archive:
        x = archive["x"][:count]
    x = x.reshape(len(x), -1)
    x = x / np.float32(255) if x.dtype == np.uint8 else x
    if "InputLayer/scale" in arrays:
        x = ((x - arrays["InputLayer/offset"]) / arrays["InputLayer/scale"]).astype(np.float32)
    if "InputLayer/order" in arrays:
        x = x[:, arrays["InputLayer/order"]]
    return x / np.float32(LAYERS[0]["scale"])


def build(arrays):
    groups, n = {}, {layer["label"]: int(np.prod(layer["shape"])) for layer in LAYERS}
    source = SpikeGeneratorGroup(n[LAYERS[0]["label"]], [], [] * ms, when="layer_0_threshold")
    groups[LAYERS[0]["label"]] = source
    for layer in LAYERS[1:]:
        label = layer["label"]
        reset = "v -= v_thresh" if layer["reset"] == "subtract" else "v = v_reset"
        spiking = dict(threshold="v >= v_thresh", reset=reset) if layer["spikes"] else {}
        if layer["tau_refrac"]:
            spiking["refractory"] = layer["tau_refrac"] * ms
        group = NeuronGroup(n[label], EQUATIONS, method="euler", namespace=dict(leak=layer["leak"]), **spiking)
        for name in ("bias", "v_rest", "v_thresh", "v_reset", "v_min"):
            setattr(group, name, arrays[f"{label}/{name}"] * mV)
        group.run_regularly("v = clip(v, v_min, inf * volt)", when="end")
        groups[label] = group
    synapses = []
    place = {layer["label"]: k for k, layer in enumerate(LAYERS)}
    for before, behind in PROJECTIONS:
        between = Synapses(groups[before], groups[behind], "w : volt", on_pre="v_post += w")
        name = f"{before}/{behind}"
        between.connect(i=arrays[f"{name}/from"].astype(int), j=arrays[f"{name}/to"].astype(int))
        between.w = arrays[f"{name}/weight"] * mV
        between.pre.when = f"layer_{place[before]}_synapses"
        synapses.append(between)
    slots = ["start", "groups"]
    for label, group in groups.items():
        if group is not source and group.thresholder:
            group.thresholder["spike"].when = f"layer_{place[label]}_threshold"
            group.resetter["spike"].when = f"layer_{place[label]}_reset"
        slots += [f"layer_{place[label]}_{part}" for part in ("threshold", "reset", "synapses")]
    monitors = {label: SpikeMonitor(group, record=False, when="end") for label, group in groups.items()
                if group is source or group.thresholder}
    network = Network(list(groups.values()), synapses, list(monitors.values()))
    network.schedule = slots + ["thresholds", "synapses", "resets", "end"]
    return network, source, groups, monitors


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--samples", type=int, default=10)
    parser.add_argument("--duration", type=int, default=100, help="milliseconds per sample")
    parser.add_argument("--out", default="counts.npz")
    parser.add_argument("--poisson", type=int, metavar="SEED", help="Poisson input instead of regular")
    parser.add_argument("--standalone", metavar="DIR", help="compile C++ in this directory; one sample")
    given = parser.parse_args()
    defaultclock.dt = 1 * ms
    if given.standalone:
        set_device("cpp_standalone", directory=given.standalone, build_on_run=False)
    else:
        prefs.codegen.target = "numpy"
    arrays = np.load(pathlib.Path(__file__).with_name("connections.npz"))
    network, source, groups, monitors = build(arrays)
    if not given.standalone:
        network.store()
    counts = {label: [] for label in monitors}
    x = samples_of(given.data, 1 if given.standalone else given.samples, arrays)
    for number, values in enumerate(x):
        if given.poisson is None:
            steps, neurons = regular(values, given.duration)
        else:
            draws = np.random.default_rng([given.poisson, number]).random((given.duration, len(values)))
            steps, neurons = np.nonzero(draws < np.abs(values))
        if not given.standalone:
            network.restore()
        source.set_spikes(neurons, steps * ms)
        for layer in LAYERS[1:]:
            label = layer["label"]
            groups[label].v = (arrays[f"{label}/v_rest"] + arrays[f"{label}/v_start"]) * mV
        network.run(given.duration * ms)
        if given.standalone:
            device.build(directory=given.standalone, compile=True, run=True, with_output=False)
        for label, monitor in monitors.items():
            counts[label].append(np.array(monitor.count))
    shapes = {f"{layer['label']}/shape": np.array(layer["shape"]) for layer in LAYERS}
    np.savez_compressed(given.out, **{label: np.array(rows) for label, rows in counts.items()}, **shapes)
    for label, rows in counts.items():
        print(f"{label}: {np.sum(rows) / len(x):.1f} spikes per sample")


if __name__ == "__main__":
    main()
