"""A network that megasim exported, for SANA-FE.

    pip install sanafe
    python network.py --data digits.npz --samples 10 --duration 100 --out counts.npz --save net.yaml

A step is 1 ms, and a spike arrives in the step after it was made, so a sample runs for one step more per layer; input
comes in the first --duration steps. Layers fill the cores of the machine one after another, 1024 neurons in each.
Energies are those of the architecture file; without --arch it is SANA-FE's Loihi.

--data: an .npz archive with `x` (samples, numbers from 0 to 1, or bytes; maps in the order channels, height, width).
--out: an archive with the spike counts of each layer, `LABEL` (samples, neurons), `LABEL/shape`, and of each sample
`sample/energy` (joules; of it `sample/synapse`, `sample/soma`, `sample/network`), `sample/time` (seconds),
`sample/messages` (packets sent) and `sample/cpu` (seconds of the processor that the simulation took).
--save: the network of the first sample as SANA-FE's YAML, with its mapping.
"""
import argparse
import pathlib
import time

import numpy as np
import sanafe

# LAYERS

# SANA-FE's Loihi cuts potentials to 1/64, so a weight of 1 is this many.
SCALE = 100_000.0
NEURONS_PER_CORE = 1024


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


def build(arrays, arch, trains):
    """Groups of the layers, mapped; `trains` are the spikes of the input, (steps, neurons) of 0 and 1."""
    network, groups, core = sanafe.Network(), {}, 0
    cores = arch.cores()
    for number, layer in enumerate(LAYERS):
        label, n = layer["label"], int(np.prod(layer["shape"]))
        group = network.create_neuron_group(label, n, log_spikes=True)
        for k, neuron in enumerate(group.neurons):
            if k % NEURONS_PER_CORE == 0:
                here, core = cores[core], core + 1
            if number == 0:
                soma = f"loihi_inputs[{k % NEURONS_PER_CORE}]"
                spikes = [bool(spike) for spike in trains[:, k]]
                neuron.set_attributes(soma_hw_name=soma, log_spikes=True, model_attributes={"spikes": spikes})
            else:
                keys = ("v_thresh", "v_reset", "v_min", "bias")
                of = {key: float(arrays[f"{label}/{key}"][k]) * SCALE for key in keys}
                # It spikes above the threshold, neurons of netfiles at it; halves of 1/64 are lost.
                attributes = dict(threshold=of["v_thresh"] - 1 / 128 if layer["spikes"] else 1e300)
                attributes |= dict(reset=of["v_reset"], reset_mode="soft" if layer["reset"] == "subtract" else "hard")
                attributes |= dict(reverse_threshold=of["v_min"], reverse_reset_mode="saturate")
                start = float(arrays[f"{label}/v_rest"][k] + arrays[f"{label}/v_start"][k]) * SCALE
                attributes |= dict(potential=start, bias=of["bias"], leak_decay=1 - layer["leak"], input_decay=0.0)
                neuron.set_attributes(soma_hw_name="loihi_lif", log_spikes=True, model_attributes=attributes)
            neuron.map_to_core(here)
        groups[label] = group
    for before, behind in PROJECTIONS:
        name = f"{before}/{behind}"
        pairs = list(zip(arrays[f"{name}/from"].tolist(), arrays[f"{name}/to"].tolist()))
        weights = (arrays[f"{name}/weight"] * SCALE).tolist()
        groups[before].connect_neurons_sparse(groups[behind], {"weight": weights}, pairs)
    return network


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--samples", type=int, default=10)
    parser.add_argument("--duration", type=int, default=100, help="milliseconds per sample")
    parser.add_argument("--out", default="counts.npz")
    parser.add_argument("--arch", help="architecture file; its somas are named as in SANA-FE's Loihi")
    parser.add_argument("--save", metavar="FILE.yaml", help="write the network of the first sample")
    given = parser.parse_args()
    arrays = np.load(pathlib.Path(__file__).with_name("connections.npz"))
    counts = {layer["label"]: [] for layer in LAYERS}
    energies = {part: [] for part in ("total", "synapse", "soma", "network")}
    times, messages, seconds = [], [], []
    for number, values in enumerate(samples_of(given.data, given.samples, arrays)):
        trains = np.zeros((given.duration + len(LAYERS), len(values)), dtype=np.uint8)
        trains[regular(values, given.duration)] = 1
        arch = sanafe.load_arch(given.arch) if given.arch else sanafe.load_loihi()
        network = build(arrays, arch, trains)
        if given.save and number == 0:
            network.save(given.save)
        chip = sanafe.SpikingChip(arch)
        chip.load(network)
        begun = time.process_time()
        found = chip.sim(len(trains), spike_trace=True)
        seconds.append(time.process_time() - begun)
        messages.append(found["packets_sent"])
        fired = {layer["label"]: np.zeros(int(np.prod(layer["shape"])), dtype=np.int64) for layer in LAYERS}
        for spike in (spike for step in found["spike_trace"] for spike in step):
            fired[spike.group_name][spike.neuron_offset] += 1
        for label, of in fired.items():
            counts[label].append(of)
        for part, joules in energies.items():
            joules.append(found["energy"][part])
        times.append(found["sim_time"])
        parts = ", ".join(f"{part} {joules:.4g}" for part, joules in found["energy"].items())
        print(f"sample {number}: {found['spikes']} spikes, {found['sim_time']:.4g} s, J: {parts}")
    shapes = {f"{layer['label']}/shape": np.array(layer["shape"]) for layer in LAYERS}
    arrays = {label: np.array(rows) for label, rows in counts.items()} | shapes
    named = {"total": "energy"}
    arrays |= {f"sample/{named.get(part, part)}": np.array(joules) for part, joules in energies.items()}
    arrays |= {"sample/time": np.array(times), "sample/messages": np.array(messages)}
    np.savez_compressed(given.out, **arrays, **{"sample/cpu": np.array(seconds)})


if __name__ == "__main__":
    main()
