"""What the peers share: the network as `megasim convert` wrote it, the digits, the command line, the result.

Every peer runs the same weights (integers of the netfiles divided by the threshold), the same digits and the same
number of ticks, and prints one line of JSON.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np


def arguments(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("netfiles", type=Path, help="directory that megasim convert wrote")
    parser.add_argument("data", type=Path, help="directory with test.npz")
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--duration", type=int, default=100, help="ticks of 1 ms per sample")
    parser.add_argument("--encode", choices=["regular", "poisson"], default="poisson")
    parser.add_argument("--input-rate", type=float, default=1000.0, help="Hz of a white pixel")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    if not 0 < given.input_rate <= 1000:
        sys.exit("--input-rate: expected 0 < rate <= 1000 Hz, at most one event per pixel and ms")
    return given


def comparison(description, samples):
    """The command line of a comparison by the program itself; more arguments may be added before it is parsed."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("netdir", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--samples", type=int, default=samples)
    parser.add_argument("--program", default="megasim")
    return parser


def read_parameters(path):
    """Scalars of head, neurons and output in one dictionary, and the weight block of each port."""
    words = iter(path.read_text().split())
    scalars, ports = {}, []
    for word in words:
        if word.startswith("."):
            continue
        value = int(next(words))
        if word == "Nx_array_pre":
            next(words)
            rows = value * int(next(words))
            columns = scalars["population_size"]
            block = [int(next(words)) for _ in range(rows * columns)]
            ports.append(np.array(block, dtype=np.int64).reshape(rows, columns))
        else:
            scalars[word] = value
    return scalars, ports


def read_network(directory):
    """The weights of each layer, float32 (inputs, outputs), in units of the layer's threshold.

    Only what all peers can run is taken: fully connected layers one after the other, without bias, leak or
    refractory time, reset by subtraction.
    """
    schematics = sorted(directory.glob("*.sch"))
    if len(schematics) != 1:
        sys.exit(f"{directory}: expected one schematic, found {len(schematics)}")
    layers, last_output = [], None
    for line in schematics[0].read_text().splitlines():
        if not line.startswith("module"):
            continue
        kind, rest = line.split(None, 1)
        if not kind.startswith("module_fully_connected"):
            sys.exit(f"{schematics[0]}: {kind}: the peers only take fully connected layers")
        inputs, outputs, files = rest.replace("{", "").split("}")
        inputs = inputs.split(",")
        path = directory / files.split()[0]
        scalars, ports = read_parameters(path)
        if last_output is not None and inputs[0] != last_output:
            sys.exit(f"{path}: expected {last_output} on port 0, found {inputs[0]}")
        if any(port.any() for port in ports[1:]):
            sys.exit(f"{path}: only port 0 may have weights; the peers take no bias")
        expected = dict(THplusInfo=1, Reset_to_reminder=1, MembReset=0, TLplus=0, TLminus=0, T_Refract=0, THminusInfo=0)
        for key, value in expected.items():
            if scalars[key] != value:
                sys.exit(f"{path}: {key}: expected {value}, found {scalars[key]}")
        layers.append((ports[0] / scalars["THplus"]).astype(np.float32))
        last_output = outputs.strip()
    if not layers:
        sys.exit(f"{schematics[0]}: no module")
    return layers


def read_digits(directory, samples):
    """Images as float32 (samples, pixels) in 0..1, and their class numbers."""
    with np.load(directory / "test.npz") as test:
        images, labels = test["x"][:samples], test["y"][:samples]
    if len(images) < samples:
        sys.exit(f"{directory}: expected {samples} samples, found {len(images)}")
    return (images.reshape(samples, -1) / np.float32(255)).astype(np.float32), labels


def decide(counts, last_times):
    """Most output spikes; on ties the neuron that reached its count first; then the lowest index."""
    best = counts.max(axis=1, keepdims=True)
    return np.where(counts == best, last_times, np.inf).argmin(axis=1)


def report(name, given, labels, counts, last_times, spikes, layers, seconds, setup):
    """`spikes`: input and hidden spikes of all samples, one number per layer of weights."""
    accuracy = float((decide(counts, last_times) == labels).mean())
    operations = sum(int(n) * weights.shape[1] for n, weights in zip(spikes, layers)) / given.samples
    result = dict(
        name=name,
        accuracy=accuracy,
        cpu_ms_per_image=1000 * seconds / given.samples,
        operations_per_image=operations,
        input_spikes_per_image=int(spikes[0]) / given.samples,
        setup=setup,
    )
    print(json.dumps(result))
