"""NEST: spike generators straight on integrate-and-fire neurons, all connections one tick of delay.

NEST has no connection without delay, so each layer sees its input one tick later. The layers only feed forward: that
shifts their spikes and changes nothing else, and each image runs a few ticks longer until the last have arrived. Of
NEST's neurons, `eprop_iaf` is the one that is reset by subtraction, with a delta-shaped current; its leak is switched
off (`tau_m` 10^12 ms), and nothing of its learning is used. Potentials are set back to 0 between images.

The counted time covers drawing the input spikes (in numpy), handing them to the generators and simulating; building
the network and reading the files are outside.
"""

import os
import time

os.environ.setdefault("PYNEST_QUIET", "1")

import nest
import numpy as np
from nest.lib.hl_api_types import nestkernel

from common import arguments, read_digits, read_network, report

BATCH = 50  # images whose input spikes are handed over at once


def draw(images, given, generator, first_tick, period):
    """Input spike times of some images as one array per pixel, in ticks from the start."""
    chances = images * np.float32(given.input_rate / 1000)
    shape = (len(images), given.duration, images.shape[1])
    if given.encode == "poisson":
        fires = generator.random(shape, dtype=np.float32) < chances[:, None, :]
    else:
        phases = generator.random(images.shape, dtype=np.float32)
        steps = np.arange(given.duration + 1, dtype=np.float32)[None, :, None]
        fires = np.diff(np.floor(phases[:, None, :] + steps * chances[:, None, :]), axis=1) > 0
    # A generator's spike at the end of tick k has the time k + 1.
    pixels, samples, ticks = np.nonzero(fires.transpose(2, 0, 1))
    times = (first_tick + samples * period + ticks + 1).astype(np.float64)
    return np.split(times, np.searchsorted(pixels, np.arange(1, images.shape[1])))


def main():
    given = arguments(__doc__)
    layers = read_network(given.netfiles)
    images, labels = read_digits(given.data, given.samples)

    nest.ResetKernel()
    nest.verbosity = nest.VerbosityLevel.ERROR
    nest.set(resolution=1.0, local_num_threads=1, rng_seed=given.seed)
    neuron = dict(E_L=0.0, V_m=0.0, V_th=1.0, tau_m=1e12, t_ref=0.0)

    generators = nest.Create("spike_generator", images.shape[1])
    groups = [generators]  # parrot neurons in between cost a quarter more
    for weights in layers:
        group = nest.Create("eprop_iaf", weights.shape[1], neuron)
        synapse = dict(synapse_model="static_synapse", weight=weights.T.astype(float), delay=1.0)
        nest.Connect(groups[-1], group, "all_to_all", synapse)
        groups.append(group)
    recorders = nest.Create("spike_recorder", len(layers))
    for group, recorder in zip(groups[1:], recorders):
        nest.Connect(group, recorder)
    neurons = sum(groups[2:], groups[1])

    generator = np.random.Generator(np.random.SFC64(given.seed))
    delays = len(layers)  # generator to first layer, layer to layer
    period = given.duration + delays + 1
    input_spikes = 0
    nest.Prepare()
    nest.Run(1.0)

    started = time.process_time()
    for first in range(0, given.samples, BATCH):
        batch = images[first : first + BATCH]
        times = draw(batch, given, generator, 1 + first * period, period)
        input_spikes += sum(map(len, times))
        generators.set([dict(spike_times=pixel) for pixel in times])
        for _ in batch:
            nest.Run(float(period))
            # What `neurons.V_m = 0.0` ends in, without 2 ms of look-ups in Python.
            nestkernel.llapi_set_nc_status(neurons._datum, [dict(V_m=0.0)])
    seconds = time.process_time() - started
    nest.Cleanup()

    events = recorders[-1].get("events")
    ticks = np.rint(events["times"]).astype(np.int64) - 2  # Run(1.0), and a spike carries the end of its tick
    neuron_index = np.asarray(events["senders"]) - groups[-1][0].global_id
    counts = np.zeros((given.samples, layers[-1].shape[1]), dtype=np.int64)
    last_times = np.zeros_like(counts)
    np.add.at(counts, (ticks // period, neuron_index), 1)
    np.maximum.at(last_times, (ticks // period, neuron_index), ticks % period)
    hidden = [int(recorder.n_events) for recorder in recorders[:-1]]

    setup = "eprop_iaf neurons; one tick of delay per layer, run until drained"
    report("NEST", given, labels, counts, last_times, [input_spikes, *hidden], layers, seconds, setup)


if __name__ == "__main__":
    main()
