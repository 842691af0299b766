"""Writes the small networks of this folder that the specification did not come with.

    pip install numpy h5py
    python make_nir.py

Layout as package `nir` 1.0.8 writes it; parameters as the exporters of the libraries named below write them.
"""
import h5py
import numpy as np

TEXT = h5py.string_dtype()


def write_node(group, fields):
    for key, value in fields.items():
        if isinstance(value, str):
            group.create_dataset(key, data=value, dtype=TEXT)
        elif isinstance(value, dict):
            write_graph(group, value["nodes"], value["edges"])
        else:
            value = np.asarray(value)
            options = {"compression": "gzip"} if value.ndim else {}
            group.create_dataset(key, data=value, **options)


def write_graph(group, nodes, edges):
    group.create_dataset("type", data="NIRGraph", dtype=TEXT)
    group.create_dataset("edges", data=np.array(edges, dtype=object).reshape(-1, 2), dtype=TEXT)
    inner = group.create_group("nodes")
    for name, fields in nodes.items():
        write_node(inner.create_group(name), fields)


def write(name, nodes, edges, metadata=None):
    with h5py.File(name, "w") as file:
        file.create_dataset("version", data="1.0.8", dtype=TEXT)
        group = file.create_group("node")
        write_graph(group, nodes, edges)
        if metadata:
            write_node(group.create_group("metadata"), metadata)


def ends(n_in, n_out):
    shape = lambda n: np.atleast_1d(n)
    return {"input": {"type": "Input", "shape": shape(n_in)}, "output": {"type": "Output", "shape": shape(n_out)}}


def chain(*names):
    return list(zip(names, names[1:]))


rng = np.random.default_rng(5)
w = lambda *shape: rng.normal(size=shape).astype("float32") * np.float32(1.5 / np.sqrt(np.prod(shape[1:])))

# snnTorch 1.0: Linear, Leaky(beta=0.9), RLeaky(beta=0.8) as a subgraph; dt 1e-4, parameters of one number.
dt = 1e-4
tau = lambda beta: np.array([dt / (1 - beta)], "float32")
n = np.zeros(6, "float32")
recurrent = {
    "nodes": {
        "input": {"type": "Input", "shape": [6]},
        "lif": {"type": "LIF", "tau": n + tau(0.8), "r": n + tau(0.8) / dt, "v_leak": n, "v_threshold": n + 1,
                "v_reset": n},
        "w_rec": {"type": "Affine", "weight": w(6, 6), "bias": w(6, 1)[:, 0] / 10},
        "output": {"type": "Output", "shape": [6]},
    },
    "edges": [("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")],
}
nodes = ends(4, 3)
nodes |= {
    "0": {"type": "Affine", "weight": w(8, 4), "bias": abs(w(8, 1)[:, 0]) / 8},
    "1": {"type": "LIF", "tau": tau(0.9), "r": tau(0.9) / dt, "v_leak": [0.0], "v_threshold": [1.0], "v_reset": [0.0]},
    "2": {"type": "Linear", "weight": w(6, 8) * 2 + np.float32(0.2)},
    "3": {"graph": recurrent},
    "4": {"type": "Linear", "weight": w(3, 6) * 2 + np.float32(0.3)},
    "5": {"type": "LIF", "tau": tau(0.9), "r": tau(0.9) / dt, "v_leak": [0.0], "v_threshold": [1.0], "v_reset": [0.0]},
}
write("snntorch_recurrent.nir", nodes, chain("input", "0", "1", "2", "3", "4", "5", "output"))

# sinabs 3.1: convolutions of groups and of rectangles, IF, SumPool2d, LIF with tau in steps; no input_shape.
nodes = ends([4, 9, 8], 5)
nodes |= {
    "0": {"type": "Conv2d", "weight": w(6, 2, 3, 2), "bias": w(6, 1)[:, 0] / 8, "stride": [2, 1], "padding": [1, 0],
          "dilation": [1, 2], "groups": 2},
    "1": {"type": "IF", "r": np.ones((6, 5, 6), "float32"), "v_threshold": np.full((6, 5, 6), 0.5, "float32")},
    "2": {"type": "SumPool2d", "kernel_size": [2, 2], "stride": [2, 2], "padding": [0, 0]},
    "3": {"type": "Flatten", "start_dim": 0, "end_dim": -1, "input_type": [6, 2, 3]},
    "4": {"type": "Affine", "weight": w(5, 36), "bias": np.zeros(5, "float32")},
    "5": {"type": "LIF", "tau": np.full(5, 12.5, "float32"), "r": np.ones(5, "float32"),
          "v_leak": np.zeros(5, "float32"), "v_threshold": np.linspace(0.5, 1.5, 5).astype("float32")},
}
write("sinabs_groups.nir", nodes, chain("input", "0", "1", "2", "3", "4", "5", "output"))

# NIR itself: two paths into one population, a pooling of currents, a loop through a delay, another through a second
# population, a leak towards a potential, and potentials at the output.
nodes = ends([1, 6, 6], 4)
nodes |= {
    "conv": {"type": "Conv2d", "weight": w(2, 1, 3, 3), "bias": w(2, 1)[:, 0] / 8, "stride": 1, "padding": "valid",
             "dilation": 1, "groups": 1, "input_shape": [6, 6]},
    "pool": {"type": "AvgPool2d", "kernel_size": 2, "stride": 2, "padding": 0},
    "lif": {"type": "LIF", "tau": 0.01, "r": 8.0, "v_leak": 0.1, "v_threshold": 0.4, "v_reset": -0.1},
    "flat": {"type": "Flatten", "start_dim": 0, "end_dim": 2, "input_type": [2, 2, 2]},
    "dense": {"type": "Linear", "weight": w(7, 8)},
    "skip": {"type": "Flatten", "start_dim": 0, "end_dim": -1, "input_type": [1, 6, 6]},
    "short": {"type": "Linear", "weight": w(7, 36)},
    "a": {"type": "IF", "r": 1.0, "v_threshold": 0.8, "v_reset": 0.0},
    "delay": {"type": "Delay", "delay": 0.003},
    "back": {"type": "Linear", "weight": w(7, 7) / 2},
    "to_b": {"type": "Linear", "weight": w(3, 7)},
    "b": {"type": "IF", "r": 1.0, "v_threshold": 1.0, "v_reset": 0.0},
    "from_b": {"type": "Linear", "weight": w(7, 3)},
    "read": {"type": "Linear", "weight": w(4, 7)},
    "li": {"type": "LI", "tau": 0.02, "r": 1.0, "v_leak": 0.0},
}
edges = chain("input", "conv", "pool", "lif", "flat", "dense", "a", "read", "li", "output")
edges += chain("input", "skip", "short", "a") + chain("a", "delay", "back", "a")
edges += chain("a", "to_b", "b", "from_b", "a")
write("loops.nir", nodes, edges, {"dt": 0.001, "reset": "subtract"})
