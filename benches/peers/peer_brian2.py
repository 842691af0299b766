"""Brian2, C++ standalone: one binary runs all images one after the other.

The counted time is the CPU time of the network's run inside that binary, input spikes included; generating and
compiling the code, building the synapses and reading the files are outside. Slots of the schedule, one set per layer,
make the layers act in order within a tick. Potentials are set back to 0 at the start of each image.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from brian2 import (
    NeuronGroup,
    Network,
    SpikeMonitor,
    Synapses,
    TimedArray,
    defaultclock,
    device,
    ms,
    prefs,
    seed,
    set_device,
)

from common import arguments, read_digits, read_network, report


def place(group, layer):
    """Thresholds, then reset, of a layer are in separate slots."""
    group.thresholder["spike"].when = f"layer_{layer}_threshold"
    group.resetter["spike"].when = f"layer_{layer}_reset"


def main():
    given = arguments(__doc__)
    layers = read_network(given.netfiles)
    images, labels = read_digits(given.data, given.samples)

    build = tempfile.TemporaryDirectory(prefix="peer-brian2-")
    set_device("cpp_standalone", directory=build.name, build_on_run=False)
    prefs.core.default_float_dtype = np.float32
    prefs.devices.cpp_standalone.openmp_threads = 0
    prefs.codegen.cpp.extra_compile_args_gcc = ["-w", "-O3", "-ffast-math", "-fno-finite-math-only", "-march=native"]
    defaultclock.dt = 1 * ms
    seed(given.seed)

    sample = given.duration * ms
    chance = TimedArray(images * np.float32(given.input_rate / 1000), dt=sample)
    if given.encode == "poisson":
        source = NeuronGroup(
            images.shape[1],
            "chance_now : 1 (constant)",
            threshold="rand() < chance_now",
            reset="",
            namespace=dict(chance=chance),
        )
    else:
        source = NeuronGroup(
            images.shape[1],
            "chance_now : 1 (constant)\nphase : 1",
            threshold="phase >= 1",
            reset="phase -= 1",
            namespace=dict(chance=chance),
        )
        source.run_regularly("phase += chance_now", dt=defaultclock.dt, when="groups")
    # `start` comes before `groups`, so the first tick of an image already sees its own pixels.
    operation = "chance_now = chance(t, i)"
    if given.encode != "poisson":
        operation += "\nphase = rand()"
    source.run_regularly(operation, dt=sample, when="start")

    groups, synapses = [source], []
    for weights in layers:
        group = NeuronGroup(weights.shape[1], "v : 1", threshold="v >= 1", reset="v -= 1")
        group.run_regularly("v = 0", dt=sample, when="start")
        groups.append(group)
    for layer, weights in enumerate(layers):
        # The presynaptic neuron comes first: an all-to-all connection numbers its synapses row by row.
        connection = Synapses(groups[layer], groups[layer + 1], "w : 1", on_pre="v_post += w")
        connection.connect()
        connection.w = weights.ravel()
        connection.pre.when = f"layer_{layer}_synapses"
        synapses.append(connection)
    for layer, group in enumerate(groups):
        if group.resetter:
            place(group, layer)
        else:
            group.thresholder["spike"].when = f"layer_{layer}_threshold"

    counters = [SpikeMonitor(group, record=False, when="end") for group in groups[:-1]]
    output = SpikeMonitor(groups[-1], when="end")
    network = Network(groups, synapses, counters, output)
    slots = ["start", "groups", "thresholds"]
    for layer in range(len(groups)):
        slots += [f"layer_{layer}_threshold", f"layer_{layer}_reset", f"layer_{layer}_synapses"]
    network.schedule = slots + ["synapses", "resets", "end"]

    seconds_file = Path(build.name) / "cpu_seconds.txt"
    device.insert_code("before_network_run", "const std::clock_t cpu_start = std::clock();")
    device.insert_code(
        "after_network_run",
        f'std::ofstream("{seconds_file}") << double(std::clock() - cpu_start) / CLOCKS_PER_SEC;',
    )
    network.run(given.samples * sample)
    device.build(directory=build.name, compile=True, run=True, with_output=False)

    seconds = float(seconds_file.read_text())
    ticks = np.rint(output.t / ms).astype(np.int64)
    neurons = np.asarray(output.i)
    counts = np.zeros((given.samples, layers[-1].shape[1]), dtype=np.int64)
    last_times = np.zeros_like(counts)
    np.add.at(counts, (ticks // given.duration, neurons), 1)
    np.maximum.at(last_times, (ticks // given.duration, neurons), ticks % given.duration)
    spikes = [int(np.sum(counter.num_spikes)) for counter in counters]

    setup = "C++ standalone, float32; layers in order within a tick"
    report("Brian2 C++ standalone", given, labels, counts, last_times, spikes, layers, seconds, setup)


if __name__ == "__main__":
    sys.exit(main())
