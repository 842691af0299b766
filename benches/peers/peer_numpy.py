"""numpy: layers in order within a tick, 100 images at a time, one float32 GEMM per layer and tick.

The counted time covers making the input spikes and the read-out; loading the files is outside.
"""

import time

import numpy as np

from common import arguments, read_digits, read_network, report

BATCH = 100


def regular(images, generator):
    """Each pixel integrates its value and fires evenly; initial phases are spread."""
    phase = generator.random(images.shape, dtype=np.float32)
    fires = np.empty(images.shape, dtype=bool)
    while True:
        np.add(phase, images, out=phase)
        np.greater_equal(phase, 1, out=fires)
        np.subtract(phase, fires, out=phase)
        yield fires


def poisson(images, generator):
    """Each pixel fires with the probability of its value, drawn with 16 bits."""
    thresholds = np.rint(images * 65535).astype(np.uint16)
    fires = np.empty(images.shape, dtype=bool)
    while True:
        draws = np.frombuffer(generator.bytes(2 * images.size), dtype=np.uint16).reshape(images.shape)
        np.less(draws, thresholds, out=fires)
        yield fires


def main():
    given = arguments(__doc__)
    layers = read_network(given.netfiles)
    images, labels = read_digits(given.data, given.samples)
    encoder = {"regular": regular, "poisson": poisson}[given.encode]
    generator = np.random.Generator(np.random.SFC64(given.seed))
    outputs = layers[-1].shape[1]
    counts = np.zeros((given.samples, outputs), dtype=np.int64)
    last_times = np.zeros((given.samples, outputs), dtype=np.int64)
    spikes = [0] * len(layers)

    started = time.process_time()
    for first in range(0, given.samples, BATCH):
        batch = slice(first, min(first + BATCH, given.samples))
        size = batch.stop - batch.start
        fires_input = encoder(images[batch] * np.float32(given.input_rate / 1000), generator)
        potentials = [np.zeros((size, weights.shape[1]), dtype=np.float32) for weights in layers]
        currents = [np.empty_like(potential) for potential in potentials]
        operands = [np.empty((size, weights.shape[0]), dtype=np.float32) for weights in layers]
        for tick in range(given.duration):
            fires = next(fires_input)
            for index, weights in enumerate(layers):
                spikes[index] += np.count_nonzero(fires)
                operands[index][...] = fires
                np.matmul(operands[index], weights, out=currents[index])
                potential = potentials[index]
                np.add(potential, currents[index], out=potential)
                fires = potential >= 1
                np.subtract(potential, fires, out=potential)
            counts[batch] += fires
            last_times[batch][fires] = tick
    seconds = time.process_time() - started

    setup = f"{BATCH} images per GEMM; layers in order within a tick"
    report("numpy GEMM", given, labels, counts, last_times, spikes, layers, seconds, setup)


if __name__ == "__main__":
    main()
