"""A network that megasim exported, for PyNN 0.10 or later.

    pip install pynn brian2
    python network.py brian2 --data digits.npz --samples 2 --duration 100 --out counts.npz

The first argument is the back end: brian2, nest, neuron, or another module of PyNN. Cells are IF_curr_exp with SNN
toolbox's parameters: an exponential synapse of a tenth of a step, whose charge is the weight. Spikes take a step from
layer to layer, and a spike resets the potential to v_reset; networks that were converted with --reset zero do the same.

--data: an .npz archive with `x` (samples, numbers from 0 to 1, or bytes; maps in the order channels, height, width).
--spikes: an archive with `spikes` (steps, inputs), 0 or 1, in place of --data.
--out: an archive with the spike counts of each layer, `LABEL` (samples, neurons), and `LABEL/shape`.
"""
import argparse
import importlib
import pathlib

import numpy as np

# LAYERS

DT = 1.0  # ms
CELL = dict(
    cm=0.09,  # nF
    tau_syn_E=0.1,  # ms
    tau_syn_I=0.1,  # ms
)


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


def cell_of(sim, layer, arrays):
    """Charge that a bias of 1 mV per ms takes: i_offset = bias * cm / ms."""
    get = lambda name: arrays[f"{layer['label']}/{name}"]
    leak = layer["leak"]
    tau_m = -DT / np.log1p(-leak) if 0 < leak < 1 else 1e7
    never = 1e9
    return sim.IF_curr_exp(
        v_thresh=get("v_thresh") if layer["spikes"] else never,
        v_reset=get("v_reset"),
        v_rest=get("v_rest"),
        i_offset=get("bias") * CELL["cm"],
        tau_m=tau_m,
        tau_refrac=layer["tau_refrac"],
        **CELL,
    )


def run(sim, arrays, steps, neurons, duration):
    sim.setup(timestep=DT, min_delay=DT)
    populations = {}
    n = int(np.prod(LAYERS[0]["shape"]))
    # A spike of step k arrives in step k + 1: the middle of a step keeps it off the edges.
    times = [np.sort(steps[neurons == k]) * DT + DT / 2 for k in range(n)]
    sequence = getattr(sim, "Sequence", list)
    sources = sim.SpikeSourceArray(spike_times=[sequence(t) for t in times])
    populations[LAYERS[0]["label"]] = sim.Population(n, sources, label=LAYERS[0]["label"])
    for layer in LAYERS[1:]:
        label = layer["label"]
        population = sim.Population(int(np.prod(layer["shape"])), cell_of(sim, layer, arrays), label=label)
        population.initialize(v=arrays[f"{label}/v_rest"] + arrays[f"{label}/v_start"])
        populations[label] = population
    for before, behind in PROJECTIONS:
        name = f"{before}/{behind}"
        from_, to, weight = (arrays[f"{name}/{part}"] for part in ("from", "to", "weight"))
        for receptor, sign in (("excitatory", 1), ("inhibitory", -1)):
            keep = sign * weight > 0
            if not keep.any():
                continue
            tau = CELL["tau_syn_E" if sign > 0 else "tau_syn_I"]
            current = weight[keep] * CELL["cm"] / tau
            rows = np.column_stack([from_[keep], to[keep], current, np.full(keep.sum(), DT)])
            connector = sim.FromListConnector([(int(i), int(j), w, d) for i, j, w, d in rows],
                                              column_names=["weight", "delay"])
            sim.Projection(populations[before], populations[behind], connector, sim.StaticSynapse(),
                           receptor_type=receptor)
    for population in populations.values():
        population.record("spikes")
    # The last layer sees the end of the input as many steps later as there are layers.
    sim.run((duration + len(LAYERS)) * DT)
    counts = {}
    for label, population in populations.items():
        found = population.get_spike_counts()
        counts[label] = np.array([found[cell] for cell in population.all_cells])
    sim.end()
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("simulator")
    parser.add_argument("--data")
    parser.add_argument("--spikes")
    parser.add_argument("--samples", type=int, default=1)
    parser.add_argument("--duration", type=int, default=100, help="milliseconds per sample")
    parser.add_argument("--poisson", type=int, metavar="SEED", help="Poisson input instead of regular")
    parser.add_argument("--out", default="counts.npz")
    given = parser.parse_args()
    if (given.data is None) == (given.spikes is None):
        parser.error("one of --data and --spikes is needed")
    if given.simulator == "brian2":
        # Short runs are not worth a compiler.
        importlib.import_module("brian2").prefs.codegen.target = "numpy"
    sim = importlib.import_module(f"pyNN.{given.simulator}")
    arrays = np.load(pathlib.Path(__file__).with_name("connections.npz"))
    if given.spikes:
        spikes = np.load(given.spikes)["spikes"]
        trains = [(len(spikes), *np.nonzero(spikes))]
    else:
        trains = []
        for number, values in enumerate(samples_of(given.data, given.samples, arrays)):
            if given.poisson is None:
                trains.append((given.duration, *regular(values, given.duration)))
            else:
                draws = np.random.default_rng([given.poisson, number]).random((given.duration, len(values)))
                trains.append((given.duration, *np.nonzero(draws < np.abs(values))))
    rows = [run(sim, arrays, steps, neurons, duration) for duration, steps, neurons in trains]
    shapes = {f"{layer['label']}/shape": np.array(layer["shape"]) for layer in LAYERS}
    counts = {label: np.array([row[label] for row in rows]) for label in rows[0]}
    np.savez_compressed(given.out, **counts, **shapes)
    for label, found in counts.items():
        print(f"{label}: {found.sum() / len(rows):.1f} spikes per sample")


if __name__ == "__main__":
    main()
