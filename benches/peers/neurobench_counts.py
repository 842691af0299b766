"""The block `neurobench` of `megasim classify` against NeuroBench's own metrics on the same network and spikes.

    python benches/peers/neurobench_counts.py NETDIR DATA [--samples 20] [--program megasim]

NETDIR is what `megasim convert --preset toolbox` wrote. The Python that runs this needs neurobench 2.3, snntorch 1.0,
torch, nir 1.0 and numpy: `pip install neurobench snntorch nir`.
The network is read from `megasim export --to nir`, its weights cut to the integers of the netfiles, and run by
snnTorch inside `neurobench.benchmarks.Benchmark`; the input spikes are those that megasim records.
"""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import tempfile

import nir
import numpy as np
import snntorch as snn
import torch
from common import comparison
from neurobench.benchmarks import Benchmark
from neurobench.metrics.static import ConnectionSparsity, Footprint, ParameterCount
from neurobench.metrics.workload import ActivationSparsity, MembraneUpdates, SynapticOperations
from neurobench.models import SNNTorchModel
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Neurons(snn.Leaky):
    """Neurons of netfiles: no leak, a spike at the threshold (snnTorch: above it), which is subtracted at once."""

    def __init__(self, threshold: torch.Tensor, rest: float) -> None:
        super().__init__(beta=1.0, threshold=threshold, init_hidden=True)
        self.rest = rest

    def forward(self, input_: torch.Tensor) -> torch.Tensor:
        if self.mem.shape != input_.shape:
            self.mem = torch.full_like(input_, self.rest)
        self.mem = self.mem + input_
        spikes = (self.mem >= self.threshold).to(input_.dtype)
        self.mem = self.mem - spikes * self.threshold
        return spikes


class Network(nn.Module):
    """The nodes of a NIR graph, one after the other."""

    def __init__(self, graph: nir.NIRGraph, factor: float, start: float) -> None:
        super().__init__()
        follows = dict(graph.edges)
        layers, name = [], follows["input"]

        def integers(values: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(np.trunc(values.astype(np.float64) * factor))

        while name != "output":
            node, area = graph.nodes[name], 1.0
            if isinstance(node, (nir.Affine, nir.Conv2d)):
                bias = integers(node.bias)
                has_bias = bool(bias.any())
                if isinstance(node, nir.Affine):
                    layer = nn.Linear(*node.weight.shape[::-1], bias=has_bias, dtype=torch.float64)
                else:
                    out, of_group, *size = node.weight.shape
                    shape = dict(stride=node.stride, padding=node.padding, dilation=node.dilation)
                    shape = {key: tuple(int(n) for n in np.atleast_1d(value)) for key, value in shape.items()}
                    shape |= dict(groups=int(node.groups), bias=has_bias, dtype=torch.float64)
                    layer = nn.Conv2d(of_group * int(node.groups), out, tuple(size), **shape)
                layer.weight.data = integers(node.weight)
                if has_bias:
                    layer.bias.data = bias
                layers.append(layer)
            elif isinstance(node, nir.SumPool2d):
                size = tuple(int(n) for n in node.kernel_size)
                layers.append(nn.AvgPool2d(size, tuple(int(n) for n in node.stride), divisor_override=1))
                area = float(np.prod(size))
            elif isinstance(node, nir.IF):
                is_pool = isinstance(layers[-1], nn.AvgPool2d)
                # One less than it was, in single precision, as neurons of NIR spike above it.
                threshold = np.round(node.v_threshold.astype(np.float64) * (1.0 if is_pool else factor))
                threshold = torch.from_numpy(threshold)
                layers.append(Neurons(threshold, float(threshold.flatten()[0]) * start))
            elif isinstance(node, nir.Flatten):
                layers.append(nn.Flatten())
            else:
                sys.exit(f"{name}: {type(node).__name__} is not supported here")
            name = follows[name]
        self.layers = nn.Sequential(*layers)

    def reset(self) -> None:
        for layer in self.layers:
            if isinstance(layer, Neurons):
                layer.mem = torch.zeros(0, dtype=torch.float64)

    def forward(self, spikes: torch.Tensor) -> tuple[torch.Tensor, None]:
        return self.layers(spikes), None


def main() -> None:
    given = comparison(__doc__, 20).parse_args()
    manifest = json.loads((given.netdir / "megasim.json").read_text())
    conversion = manifest["conversion"]
    with tempfile.TemporaryDirectory() as place:
        graph, spikes, figures = (pathlib.Path(place, name) for name in ("net.nir", "input.npz", "figures.json"))
        subprocess.run([given.program, "export", given.netdir, "--to", "nir", "--out", graph], check=True)
        words = ["--data", given.data, "--samples", str(given.samples), "--mode", "clocked", "--ticks-per-ms", "1"]
        words += ["--record", "input", "--npz", spikes, "--neurobench", "--json", figures]
        subprocess.run([given.program, "classify", given.netdir, *words], check=True, stdout=subprocess.DEVNULL)
        ours = json.loads(figures.read_text())["neurobench"]
        recorded = dict(np.load(spikes))
        net = Network(nir.read(graph), conversion["scaling_factor"], conversion.get("initial_potential") or 0.0)
    steps = int(ours["clocked"]["steps"])
    shape = manifest["input"]["shape"]
    data = torch.zeros((given.samples, steps, *(shape if len(shape) == 3 else [1, 1, *shape])), dtype=torch.float64)
    column = {key.split("/")[-1]: torch.from_numpy(value).long() for key, value in recorded.items() if "/" in key}
    is_row = "neuron" in column
    place = (0, 0, column["neuron"]) if is_row else (column["map"], column["y"], column["x"])
    data[column["sample"], column["t"], *place] = column["polarity"].double()
    data = data if len(shape) == 3 else data[:, :, 0, 0]
    metrics = [[], [ActivationSparsity, SynapticOperations, MembraneUpdates]]
    loader = DataLoader(TensorDataset(data, torch.zeros(given.samples)), batch_size=given.samples)
    theirs = Benchmark(SNNTorchModel(net), loader, [], [], metrics).run(quiet=True)
    # Netfiles hold 32 bits; buffers of snnTorch's neurons (beta, threshold, ...) are none of the netfiles.
    single = net.float()
    static = Benchmark(SNNTorchModel(single), loader, [], [], [[Footprint, ParameterCount, ConnectionSparsity], []])
    theirs |= static.static_metric_manager.run_metrics(static.model)
    buffers = sum(buffer.numel() * buffer.element_size() for buffer in single.buffers())
    clocked, operations = ours["clocked"], ours["clocked"]["synaptic_operations"]
    rows = [
        ("footprint", ours["footprint"], theirs["Footprint"] - buffers),
        ("parameter count", ours["parameter_count"], theirs["ParameterCount"]),
        ("connection sparsity", round(ours["connection_sparsity"], 4), theirs["ConnectionSparsity"]),
        ("activation sparsity", clocked["activation_sparsity"], theirs["ActivationSparsity"]),
        ("synaptic operations, dense", operations["dense"], theirs["SynapticOperations"]["Dense"]),
        ("effective MACs", operations["effective_macs"], theirs["SynapticOperations"]["Effective_MACs"]),
        ("effective ACs", operations["effective_acs"], theirs["SynapticOperations"]["Effective_ACs"]),
        ("membrane updates", clocked["membrane_updates"], theirs["MembraneUpdates"]),
    ]
    print(f"| metric, {given.samples} samples | megasim | NeuroBench |\n|---|---|---|")
    for name, one, other in rows:
        print(f"| {name} | {one:.10g} | {other:.10g} |")
    print(f"Of NeuroBench's footprint {buffers} bytes of buffers of snnTorch's neurons are subtracted.")
    sys.exit(0 if all(np.isclose(one, other, rtol=1e-9, atol=1e-12) for _, one, other in rows) else 1)


if __name__ == "__main__":
    main()
