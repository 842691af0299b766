"""ANNarchy: generated C++, one thread.

A spike acts one tick later, so each layer sees its input one tick after it was sent; the layers only feed forward, so
that shifts their spikes and changes nothing else, and each image runs a few ticks longer, without input, until the
last have arrived. Potentials are set back to 0 between images.

The counted time covers handing over the images, making the input spikes and simulating; generating and compiling the
code and reading the files are outside.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from common import arguments, read_digits, read_network, report

# The generated code is built with cmake, which sits next to Python in the virtual environment.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
import ANNarchy as ann  # noqa: E402

# `fired` counts a neuron's spikes; a monitor on the input would cost a third of the whole.
COUNT = dict(fired=ann.Parameter(0.0, locality="local"))
SOURCE = dict(chance=ann.Parameter(0.0, locality="local"), **COUNT)
POISSON = ann.Neuron(SOURCE, equations="draw = Uniform(0.0, 1.0)", spike="draw < chance", reset="fired += 1.0")
REGULAR = ann.Neuron(
    SOURCE, equations="phase += chance", spike="phase >= 1.0", reset=["phase -= 1.0", "fired += 1.0"]
)
INTEGRATE_AND_FIRE = ann.Neuron(
    COUNT, equations="v += g_exc", spike="v >= 1.0", reset=["v -= 1.0", "fired += 1.0"]
)


def main():
    given = arguments(__doc__)
    layers = read_network(given.netfiles)
    images, labels = read_digits(given.data, given.samples)
    chances = images * np.float32(given.input_rate / 1000)

    network = ann.Network(dt=1.0, seed=given.seed)
    network.config(dtype=ann.float32)
    source = network.create(images.shape[1], POISSON if given.encode == "poisson" else REGULAR)
    groups = [source]
    for weights in layers:
        group = network.create(weights.shape[1], INTEGRATE_AND_FIRE)
        projection = network.connect(groups[-1], group, target="exc")
        # The fastest of ANNarchy's formats for this network; its default takes three times as long.
        projection.from_matrix(weights.T.copy(), storage_format="dense", storage_order="pre_to_post")
        groups.append(group)
    monitor = network.monitor(groups[-1], "spike")
    build = tempfile.TemporaryDirectory(prefix="peer-annarchy-")
    network.compile(directory=build.name, silent=True)

    generator = np.random.default_rng(given.seed)
    drain = len(layers)
    period = given.duration + drain
    silence = np.zeros(images.shape[1])
    started = time.process_time()
    for chance in chances:
        source.chance = chance
        if given.encode == "regular":
            source.phase = generator.random(images.shape[1])
        for group in groups[1:]:
            group.v = 0.0
        network.simulate(given.duration)
        source.chance = silence
        network.simulate(drain)
    seconds = time.process_time() - started

    counts = np.zeros((given.samples, layers[-1].shape[1]), dtype=np.int64)
    last_times = np.zeros_like(counts)
    for index, ticks in monitor.get("spike").items():
        ticks = np.asarray(ticks, dtype=np.int64)
        np.add.at(counts[:, index], ticks // period, 1)
        np.maximum.at(last_times[:, index], ticks // period, ticks % period)
    spikes = [int(np.sum(group.fired)) for group in groups[:-1]]

    setup = "generated C++, float32; one tick of delay per layer, run until drained"
    report("ANNarchy", given, labels, counts, last_times, spikes, layers, seconds, setup)


if __name__ == "__main__":
    main()
