"""Spike counts of megasim's clocked mode against those of a library that reads its NIR file, layer by layer.

    python benches/peers/importers.py snntorch|norse|sinabs NETDIR DATA [--samples 10] [--program megasim]

NETDIR is what `megasim convert --preset toolbox` wrote (for snnTorch and Norse with `--reset zero`).
The Python that runs this needs nir 1.0.8, nirtorch 2.6 (2.0.2 fails on these graphs) and the library: snntorch 1.0,
norse 1.1 or sinabs 3.1. Each gets the input spikes that megasim records; `megasim diff` compares the counts.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Callable

import nir
import numpy as np
import torch


def snntorch(graph: nir.NIRGraph) -> tuple[torch.nn.Module, Callable]:
    from snntorch import utils
    from snntorch.import_nir import import_from_nir

    net = import_from_nir(graph)

    def show(steps: torch.Tensor) -> None:
        utils.reset(net)
        state = None
        for step in steps:
            _, state = net(step, state)

    return net, show


def norse(graph: nir.NIRGraph) -> tuple[torch.nn.Module, Callable]:
    import norse.torch

    net = norse.torch.from_nir(graph)

    def show(steps: torch.Tensor) -> None:
        state = None
        for step in steps:
            _, state = net(step, state)

    return net, show


def sinabs(graph: nir.NIRGraph) -> tuple[torch.nn.Module, Callable]:
    from sinabs.activation import SingleSpike
    from sinabs.layers import StatefulLayer
    from sinabs.nir import from_nir

    net = from_nir(graph, batch_size=1)
    layers = [module for module in net.modules() if isinstance(module, StatefulLayer)]

    def show(steps: torch.Tensor) -> None:
        for layer in layers:
            layer.reset_states()
            layer.spike_fn = SingleSpike
        net(steps)

    return net, show


def main() -> None:
    libraries = {reader.__name__: reader for reader in (snntorch, norse, sinabs)}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library", choices=libraries)
    parser.add_argument("netdir", type=pathlib.Path)
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("--samples", type=int, default=10)
    parser.add_argument("--duration", type=int, default=100)
    parser.add_argument("--program", default="megasim")
    given = parser.parse_args()
    manifest = json.loads((given.netdir / "megasim.json").read_text())
    layers = [layer["name"] for layer in manifest["layers"] if layer["kind"] != "Flatten"]
    shape = manifest["input"]["shape"]
    with tempfile.TemporaryDirectory() as place:
        graph, ours, theirs = (pathlib.Path(place, name) for name in ("net.nir", "ours.npz", "theirs.npz"))
        words = ["--to", "nir", "--nir-for", given.library, "--out", graph]
        subprocess.run([given.program, "export", given.netdir, *words], check=True)
        words = ["--data", given.data, "--samples", str(given.samples), "--mode", "clocked", "--ticks-per-ms", "1"]
        words += ["--duration", str(given.duration), "--record", ",".join(["input", *layers]), "--npz", ours]
        subprocess.run([given.program, "classify", given.netdir, *words], check=True, stdout=subprocess.DEVNULL)
        recorded = {key.split("/")[-1]: value for key, value in np.load(ours).items() if "input/" in key}
        spikes = torch.zeros((given.samples, given.duration, *(shape if len(shape) == 3 else [1, 1, *shape])))
        column = {key: torch.from_numpy(np.asarray(value)).long() for key, value in recorded.items() if key != "count"}
        is_row = "neuron" in column
        at = (0, 0, column["neuron"]) if is_row else (column["map"], column["y"], column["x"])
        spikes[column["sample"], column["t"], *at] = column["polarity"].float()
        spikes = spikes.reshape(given.samples, given.duration, *shape)

        net, show = libraries[given.library](nir.read(graph))
        counts: dict[str, np.ndarray] = {}

        def count(name: str) -> Callable:
            def hook(_module: torch.nn.Module, _given: object, out: torch.Tensor | tuple) -> None:
                fired = out[0] if isinstance(out, tuple) else out
                # sinabs has all steps of a sample at once.
                fired = fired.sum(0) if given.library == "sinabs" else fired
                counts[name] = counts.get(name, 0) + fired.detach().numpy().astype(np.int64).ravel()

            return hook

        for name, module in net.named_modules():
            layer = next((layer for layer in layers if name.split(".")[-1] == layer), None)
            if layer is not None:
                module.register_forward_hook(count(layer))
        rows: dict[str, list] = {layer: [] for layer in layers}
        with torch.no_grad():
            for sample in spikes:
                counts.clear()
                show(sample)
                for layer in layers:
                    rows[layer].append(counts[layer])
        np.savez(theirs, **{layer: np.stack(of) for layer, of in rows.items()})
        print(subprocess.run([given.program, "diff", ours, theirs], capture_output=True, text=True).stdout)


if __name__ == "__main__":
    main()
