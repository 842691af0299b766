"""Events of nodes and layers, and what a run recorded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Timing:
    """Times of a run: ticks of a millisecond, and the last tick."""

    ticks_per_ms: int
    last_tick: int


class Events:
    """Events of a node, or of all nodes of a layer, in the order in which they were requested.

    Attributes
    ----------
    t : ndarray of int64, shape (events,)
        When each event was made, in ticks.
    t_request, t_acknowledge : ndarray of int64, shape (events,)
        When it was requested on the bus, and when its last receiver acknowledged, in ticks.
    x, y : ndarray of int32, shape (events,)
        Column and row of the address; of a layer of one row `x` is the neuron.
    polarity : ndarray of int8, shape (events,)
        1 or -1: sign of the spike; -2: reset; -3: end of the hysteresis of signed neurons.
    map : ndarray of int32, shape (events,)
        Of a layer of several nodes the number of the node; else 0.
    shape : tuple of int, or None
        ``(maps, rows, columns)`` of what can spike, where it is known: for layers of converted networks.

    Examples
    --------
    >>> import megasim
    >>> events = megasim.read_netfiles("netfiles/two-neurons/megasim.sch").run()["excitatory"]
    >>> events.t_request.tolist()
    [4, 8, 10, 14]
    """

    def __init__(
        self,
        columns: tuple[Any, ...],
        maps: npt.NDArray[np.int32] | None = None,
        *,
        shape: tuple[int, int, int] | None = None,
        timing: Timing | None = None,
    ) -> None:
        self.t: IntArray
        self.t_request: IntArray
        self.t_acknowledge: IntArray
        self.x: npt.NDArray[np.int32]
        self.y: npt.NDArray[np.int32]
        self.polarity: npt.NDArray[np.int8]
        self.t, self.t_request, self.t_acknowledge, self.x, self.y, self.polarity = columns
        self.shape = shape
        self._timing = timing
        self._maps = maps

    @property
    def map(self) -> npt.NDArray[np.int32]:
        """Of a layer of several nodes the number of the node; else 0."""
        return np.zeros(len(self), np.int32) if self._maps is None else self._maps

    @property
    def neuron(self) -> npt.NDArray[np.int32]:
        """Number of the neuron in its layer: map after map, row by row; shape (events,).

        Raises
        ------
        ValueError
            If there are several rows, and how long they are is not known: of files and netfiles.
        """
        if self._maps is None and not np.any(self.y):
            return self.x
        if self.shape is None:
            raise ValueError("neuron: expected events of a converted network, whose rows are known; x and y are here")
        _, rows, columns = self.shape
        return ((self.map * rows + self.y) * columns + self.x).astype(np.int32, copy=False)

    @classmethod
    def _of_nodes(cls, nodes: list[Events]) -> Events:
        if len(nodes) == 1:
            return nodes[0]
        maps = np.concatenate([np.full(len(node), k, np.int32) for k, node in enumerate(nodes)])
        names = ("t", "t_request", "t_acknowledge", "x", "y", "polarity")
        columns = [np.concatenate([getattr(node, name) for node in nodes]) for name in names]
        order = np.argsort(columns[1], kind="stable")
        shapes = {node.shape for node in nodes}
        shape = shapes.pop() if len(shapes) == 1 else None
        whole = None if shape is None else (len(nodes), *shape[1:])
        return cls(tuple(column[order] for column in columns), maps[order], shape=whole, timing=nodes[0]._timing)

    def __len__(self) -> int:
        return len(self.t)

    def __repr__(self) -> str:
        return f"<megasim.Events: {len(self)}>"

    def to_pandas(self) -> pandas.DataFrame:
        """A table of the events, a row each.

        Examples
        --------
        >>> import megasim
        >>> events = megasim.read_netfiles("netfiles/two-neurons").run()["inhibitory"]
        >>> events.to_pandas()[["t_request", "x", "polarity"]].values.tolist()
        [[11, 0, 1], [17, 0, 1]]
        """
        import pandas

        names = ("t", "t_request", "t_acknowledge", "map", "x", "y", "polarity")
        return pandas.DataFrame({name: getattr(self, name) for name in names})

    def to_nir_data(self) -> Any:
        """The spikes as ``nir.data_ir.EventData``, times of requests in seconds; resets are left out.

        Where spikes have signs it is ``ValuedEventData``, whose values are the signs. Needs the package ``nir`` from
        version 1.0.5 on, and events of a converted network, of which the duration and the neurons are known.

        Examples
        --------
        >>> import megasim, numpy as np
        >>> x = np.load("examples/digits/test.npz")["x"]
        >>> x_norm = np.load("examples/digits/train.npz")["x"]
        >>> net = megasim.load("examples/digits/digits_cnn.keras").convert(x_norm, progress=False)
        >>> data = net.run(x[0], record=["05Dense_32"])["05Dense_32"].to_nir_data()
        >>> data.n_neurons, data.n_samples, round(data.t_max, 4)
        (32, 1, 0.05)
        """
        nir = _nir_data()
        if self.shape is None or self._timing is None:
            raise ValueError("to_nir_data: expected events of a converted network, of known neurons and duration")
        spikes = np.abs(self.polarity) == 1
        seconds = 1e-3 / self._timing.ticks_per_ms
        idx = self.neuron[spikes][None, :].astype(np.int64)
        time = (self.t_request[spikes] * seconds)[None, :]
        # The end is after the last tick.
        neurons, t_max = int(np.prod(self.shape)), (self._timing.last_tick + 1) * seconds
        signs = self.polarity[spikes][None, :].astype(np.float64)
        if np.any(signs < 0):
            return nir.ValuedEventData(idx=idx, time=time, value=signs, n_neurons=neurons, t_max=t_max)
        return nir.EventData(idx=idx, time=time, n_neurons=neurons, t_max=t_max)


def _nir_data() -> Any:
    try:
        from nir import data_ir
    except ImportError as error:
        raise ImportError("to_nir_data: expected the package nir with nir.data_ir (pip install nir)") from error
    return data_ir


class Recording(Mapping[str, Events]):
    """What a run recorded: a mapping from names of layers and nodes to :class:`Events`.

    Arrays of a node are the memory in which the engine recorded; nothing is copied. Those of a layer of several nodes
    are made when they are asked for.

    Attributes
    ----------
    operations : int
        Synaptic operations: weights added to potentials.
    counts : dict of str to int
        Events of every node, recorded or not.
    potentials : dict of str to ndarray of int32
        Potentials at the end, in scaled integers and raster order, by node; empty where they were not asked for.
    ticks_per_ms, last_tick : int
        Ticks per millisecond, and the last one of the run.
    """

    def __init__(
        self,
        nodes: dict[str, Events],
        layers: dict[str, list[str]],
        summary: dict[str, Any],
        potentials: dict[str, npt.NDArray[np.int32]],
        timing: Timing,
    ) -> None:
        self._nodes = nodes
        self._layers = {layer: names for layer, names in layers.items() if all(name in nodes for name in names)}
        self.operations: int = summary["operations"]
        self.counts: dict[str, int] = summary["events"]
        self.potentials = potentials
        self.ticks_per_ms = timing.ticks_per_ms
        self.last_tick = timing.last_tick

    def __getitem__(self, name: str) -> Events:
        if name in self._nodes:
            return self._nodes[name]
        if name in self._layers:
            return Events._of_nodes([self._nodes[node] for node in self._layers[name]])
        recorded = ", ".join(self)
        raise KeyError(f"expected a layer or node that was recorded ({recorded}), found '{name}'")

    def __iter__(self) -> Iterator[str]:
        inner = {name for names in self._layers.values() for name in names}
        yield from self._layers
        yield from (name for name in self._nodes if name not in inner and name not in self._layers)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"<megasim.Recording: {', '.join(f'{name} {len(self[name])}' for name in self)}>"

    def to_nir_data(self) -> Any:
        """The spikes as ``nir.data_ir.NIRGraphData``: observable ``spikes`` of each layer or node.

        Needs the package ``nir`` from version 1.0.5 on; :meth:`Events.to_nir_data` says what is in it.

        Examples
        --------
        >>> import megasim, numpy as np
        >>> x = np.load("examples/digits/test.npz")["x"]
        >>> x_norm = np.load("examples/digits/train.npz")["x"]
        >>> net = megasim.load("examples/digits/digits_cnn.keras").convert(x_norm, progress=False)
        >>> data = net.run(x[0], record=["05Dense_32", "06Dense_10"]).to_nir_data()
        >>> sorted(data.nodes)
        ['05Dense_32', '06Dense_10']
        """
        nir = _nir_data()
        observed = {name: nir.NIRNodeData(observables={"spikes": self[name].to_nir_data()}) for name in self}
        return nir.NIRGraphData(nodes=observed)
