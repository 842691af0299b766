"""Runs the networks of this folder in steps, in double precision, and writes what their neurons do.

    pip install numpy h5py
    python make_expected.py

`expected.npz`: of each file `NAME`, `NAME/input` (steps, inputs), 0 or 1, and of each of its nodes that spikes
`NAME/NODE` (counts over all steps); of an output without spikes `NAME/output` (potentials at the end). A spike is made
above the threshold; an edge that leads back carries the spikes of the step before. Nothing here comes from this
program.
"""
import h5py
import numpy as np

STEPS = 100
# Step, decay of membranes, reset, input probability.
FILES = {
    "add_join": (1e-3, "euler", "zero", 0.3),
    "cnn": (1e-3, "euler", "zero", 0.3),
    "conv1d_small": (1e-3, "euler", "zero", 0.05),
    "scalar_if_unchecked": (1e-3, "euler", "zero", 0.3),
    "snntorch_recurrent": (1e-4, "euler", "zero", 0.4),
    "sinabs_groups": (1.0, "exponential", "subtract", 0.2),
    "loops": (1e-3, "euler", "subtract", 0.2),
}


def text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


def read(group, prefix=""):
    """Nodes and edges without subgraphs."""
    nodes, edges, inputs, outputs = {}, [], {}, {}
    for name, node in group["nodes"].items():
        full = prefix + name
        if text(node["type"][()]) == "NIRGraph":
            inner, inner_edges, own_in, own_out = read(node, full + ".")
            nodes |= inner
            edges += inner_edges
            inputs[name], outputs[name] = own_in, own_out
            continue
        fields = {key: node[key][()] for key in node}
        nodes[full] = {key: text(value) if isinstance(value, bytes) else value for key, value in fields.items()}
        inputs[name] = outputs[name] = full
    own = [None, None]
    for from_, to in group["edges"][()].reshape(-1, 2):
        edges.append((outputs[text(from_)], inputs[text(to)]))
    for name, fields in nodes.items():
        if name.count(".") == prefix.count("."):
            if fields["type"] == "Input":
                own[0] = name
            if fields["type"] == "Output":
                own[1] = name
    return nodes, edges, own[0], own[1]


def order_of(nodes, edges):
    """Reverse post-order from the input and from delays, whose output is known before a step; an edge is a loop's where
    it does not go forward in it."""
    delays = [name for name in nodes if nodes[name]["type"] == "Delay"]
    after = {name: [to for from_, to in edges if from_ == name and to not in delays] for name in nodes}
    seen, order = set(), []

    def visit(name):
        seen.add(name)
        for to in after[name]:
            if to not in seen:
                visit(to)
        order.append(name)

    for root in ["input", *delays]:
        if root not in seen:
            visit(root)
    return order[::-1]


def pair(value):
    value = np.atleast_1d(value)
    return (int(value[0]), int(value[-1]))


def convolve(x, node):
    weight = np.asarray(node["weight"], float)
    if weight.ndim == 3:
        weight, x = weight[:, :, None, :], x[:, None, :]
    one_axis = np.asarray(node["weight"]).ndim == 3
    across = lambda key, first: (first, int(node[key])) if one_axis else pair(node[key])
    stride, dilation = across("stride", 1), across("dilation", 1)
    out, per_group, kh, kw = weight.shape
    extent = ((kh - 1) * dilation[0] + 1, (kw - 1) * dilation[1] + 1)
    if isinstance(node["padding"], str):
        padding = ((extent[0] - 1) // 2, (extent[1] - 1) // 2) if node["padding"] == "same" else (0, 0)
    else:
        padding = across("padding", 0)
    x = np.pad(x, ((0, 0), (padding[0],) * 2, (padding[1],) * 2))
    height, width = (x.shape[1] - extent[0]) // stride[0] + 1, (x.shape[2] - extent[1]) // stride[1] + 1
    result = np.zeros((out, height, width))
    outputs = out // int(node["groups"])
    for o in range(out):
        first = o // outputs * per_group
        for y in range(height):
            for c in range(width):
                window = x[first:first + per_group, y * stride[0]:, c * stride[1]:]
                window = window[:, :extent[0]:dilation[0], :extent[1]:dilation[1]]
                result[o, y, c] = (window * weight[o]).sum()
    result += np.asarray(node["bias"], float)[:, None, None]
    return result[:, 0] if one_axis else result


def pool(x, node):
    size, stride, padding = pair(node["kernel_size"]), pair(node["stride"]), pair(node["padding"])
    x = np.pad(x, ((0, 0), (padding[0],) * 2, (padding[1],) * 2))
    height, width = (x.shape[1] - size[0]) // stride[0] + 1, (x.shape[2] - size[1]) // stride[1] + 1
    result = np.zeros((x.shape[0], height, width))
    for y in range(height):
        for c in range(width):
            window = x[:, y * stride[0]:y * stride[0] + size[0], c * stride[1]:c * stride[1] + size[1]]
            result[:, y, c] = window.sum((1, 2))
    return result / (size[0] * size[1] if node["type"] == "AvgPool2d" else 1)


class Run:
    def __init__(self, nodes, edges, dt, decay, reset):
        self.nodes, self.dt, self.decay, self.reset = nodes, dt, decay, reset
        self.order = order_of(nodes, edges)
        self.before = {name: [from_ for from_, to in edges if to == name] for name in nodes}
        self.now, self.last, self.state, self.counts = {}, {}, {}, {}

    def value(self, name, of):
        at = self.order.index
        if at(of) < at(name):
            return self.now[of]
        return self.last.get(of, 0.0)

    def spike(self, name, z):
        self.counts[name] = self.counts.get(name, 0) + z
        return z

    def step(self, x):
        self.now = {}
        for name in self.order:
            node = self.nodes[name]
            kind = node["type"]
            get = lambda key: np.asarray(node[key], float)
            if not self.before[name]:
                self.now[name] = x
                continue
            if kind == "Delay":
                steps = round(float(get("delay").flat[0]) / self.dt)
                queue = self.state.setdefault(name, [0.0] * steps)
                self.now[name] = queue.pop(0)
                continue
            i = sum(self.value(name, of) for of in self.before[name])
            state = self.state.setdefault(name, {"v": get("v_leak") if "v_leak" in node else 0.0, "i": 0.0})
            if kind in ("Input", "Output"):
                result = i
            elif kind in ("Affine", "Linear"):
                zero = np.zeros(get("weight").shape[1])
                result = get("weight") @ (i + zero) + (get("bias") if kind == "Affine" else 0.0)
            elif kind in ("Conv1d", "Conv2d"):
                result = convolve(i, node)
            elif kind in ("SumPool2d", "AvgPool2d"):
                result = pool(i, node)
            elif kind == "Flatten":
                result = i.reshape(-1)
            elif kind == "Scale":
                result = i * get("scale")
            elif kind == "Threshold":
                result = self.spike(name, (i > get("threshold")).astype(float))
            else:
                result = self.neurons(name, node, get, state, i)
            self.now[name] = result
        for name in self.order:
            if self.nodes[name]["type"] == "Delay":
                self.state[name].append(sum(self.now[of] for of in self.before[name]))
        self.last = self.now
        return self.now["output"]

    def neurons(self, name, node, get, state, i):
        gain = get("r")
        tau = next((get(key) for key in ("tau", "tau_mem") if key in node), None)
        if "tau_syn" in node:
            part = self.dt / get("tau_syn")
            state["i"] = state["i"] + part * (get("w_in") * i - state["i"])
            i = state["i"]
        if tau is not None:
            part = self.dt / tau
            loss = 1 - np.exp(-part) if self.decay == "exponential" else part
            gain = gain if self.decay == "exponential" else gain * part
            state["v"] = state["v"] + loss * (get("v_leak") - state["v"])
        state["v"] = state["v"] + gain * i
        if "v_threshold" not in node:
            return state["v"]
        z = (state["v"] > get("v_threshold")).astype(float)
        v_reset = get("v_reset") if "v_reset" in node else 0.0
        state["v"] = state["v"] - z * get("v_threshold") if self.reset == "subtract" else \
            np.where(z > 0, v_reset, state["v"])
        return self.spike(name, z)


if __name__ == "__main__":
    arrays = {}
    for number, (name, (dt, decay, reset, probability)) in enumerate(FILES.items()):
        with h5py.File(f"{name}.nir") as file:
            nodes, edges, _, _ = read(file["node"])
        rng = np.random.default_rng(number)
        shape = tuple(int(n) for n in nodes["input"]["shape"])
        spikes = (rng.random((STEPS, *shape)) < probability).astype("int8")
        run = Run(nodes, edges, dt, decay, reset)
        for x in spikes:
            output = run.step(x.astype(float))
        arrays[f"{name}/input"] = spikes.reshape(STEPS, -1)
        for node, counts in run.counts.items():
            arrays[f"{name}/{node}"] = np.asarray(counts, "int64").reshape(-1)
            print(name, node, np.asarray(counts, int).reshape(-1)[:20])
        if nodes[run.before["output"][0]]["type"] in ("LI", "I"):
            arrays[f"{name}/output"] = np.asarray(output, float).reshape(-1)
            print(name, "output", output)
    np.savez_compressed("expected.npz", **arrays)
