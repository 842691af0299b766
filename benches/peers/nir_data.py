"""Spike trains between megasim and package nir, both ways: what one writes, the other reads, with equal counts.

    python benches/peers/nir_data.py NETDIR DATA [--samples 10] [--program megasim]

The Python that runs this needs nir 1.0.5 or later (nir.read_data, nir.write_data) and numpy. The spikes that megasim
records with `--nir-data` are compared with those of `--npz`; then nir writes the input's spikes again, as events, as
events with values and on a grid, and megasim shows each of them: all layers have to spike as before.
"""

from __future__ import annotations

import importlib.metadata
import json
import pathlib
import subprocess
import tempfile

import nir
import numpy as np
from common import comparison

DURATION = 100


def counts(spikes: nir.EventData, shape: tuple[int, ...]) -> np.ndarray:
    """Spikes of each neuron with their signs, in the shape of megasim's own counts."""
    found = np.zeros((spikes.n_samples, spikes.n_neurons), dtype=np.int64)
    values = spikes.value if isinstance(spikes, nir.ValuedEventData) else np.ones(spikes.idx.shape)
    sample, event = np.nonzero(spikes.idx >= 0)
    np.add.at(found, (sample, spikes.idx[sample, event]), values[sample, event].astype(np.int64))
    return found.reshape(shape)


def main() -> None:
    given = comparison(__doc__, 10).parse_args()
    with tempfile.TemporaryDirectory() as place:
        ours, trains, back = (pathlib.Path(place, name) for name in ("ours.npz", "trains.nir", "back.nir"))
        # One tick per ms, so that a step of the grid is a tick.
        how = ["--mode", "clocked", "--ticks-per-ms", "1", "--duration", str(DURATION), "--samples", str(given.samples)]

        def record(data: pathlib.Path, layers: str, *where: str | pathlib.Path) -> None:
            words = [given.program, "classify", given.netdir, "--data", data, *how, "--record", layers, *where]
            subprocess.run(words, check=True, stdout=subprocess.DEVNULL)

        layers = ",".join(["input", *names(given.netdir)])
        record(given.data, layers, "--npz", ours)
        record(given.data, layers, "--nir-data", trains)
        print(f"nir {importlib.metadata.version('nir')}, {given.samples} samples of {DURATION} ms")
        graph = nir.read_data(str(trains))
        arrays = np.load(ours)
        total = 0
        for layer in layers.split(","):
            expected = arrays[f"clocked/{layer}/count"]
            found = counts(graph.nodes[layer].observables["spikes"], expected.shape)
            assert np.array_equal(found, expected), layer
            total += int(np.abs(expected).sum())
        print(f"read by nir: {len(graph.nodes)} layers, {total} spikes, all counts equal")

        spikes = graph.nodes["input"].observables["spikes"]
        values = np.where(spikes.idx >= 0, 1.0, 0.0)
        forms = {
            "EventData": nir.EventData(spikes.idx, spikes.time, spikes.n_neurons, spikes.t_max),
            "ValuedEventData": nir.ValuedEventData(spikes.idx, spikes.time, spikes.n_neurons, spikes.t_max, values),
            "TimeGriddedData": on_grid(spikes),
        }
        for name, form in forms.items():
            nir.write_data(str(back), nir.NIRGraphData({"input": nir.NIRNodeData({"spikes": form})}))
            again = pathlib.Path(place, f"{name}.npz")
            record(back, layers, "--npz", again)
            there = np.load(again)
            keys = [key for key in arrays if key.endswith("/count")]
            assert all(np.array_equal(arrays[key], there[key]) for key in keys), name
            print(f"written by nir as {name}: {len(keys)} layers spike as before")


def on_grid(spikes: nir.EventData) -> nir.TimeGriddedData:
    """Steps of a ms, as booleans."""
    data = np.zeros((spikes.n_samples, DURATION, spikes.n_neurons), dtype=bool)
    sample, event = np.nonzero(spikes.idx >= 0)
    data[sample, np.rint(spikes.time[sample, event] * 1000).astype(int), spikes.idx[sample, event]] = True
    return nir.TimeGriddedData(data, 1e-3)


def names(netdir: pathlib.Path) -> list[str]:
    """Layers that spike."""
    layers = json.loads((netdir / "megasim.json").read_text())["layers"]
    return [layer["name"] for layer in layers if layer["kind"] != "Flatten"]


if __name__ == "__main__":
    main()
