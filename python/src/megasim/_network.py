"""Converted networks and their studies."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from megasim import _megasim
from megasim._events import Events, Recording, Timing
from megasim._options import ArrayLike, PathLike, ProgressLike, Value, Watched, labels, listed, numbers, warn, words
from megasim._results import Classification, Comparison, Latency, Sweep, Verification


@dataclass(frozen=True)
class NetworkLayer:
    """A layer of a converted network.

    Attributes
    ----------
    name : str
        Its name in the netfiles, as ``05Dense_64``.
    source : str
        The name in the trained network.
    kind : str
        Its kind, as Keras spells it.
    shape : tuple of int
        ``(features,)`` or ``(channels, height, width)``.
    nodes : tuple of str
        The nodes that its modules drive, one for each map or one.
    scale : float
        The activation that one spike per millisecond is.
    """

    name: str
    source: str
    kind: str
    shape: tuple[int, ...]
    nodes: tuple[str, ...]
    scale: float


class Network:
    """A converted network; :meth:`Model.convert` makes one, :func:`open` reads one.

    Attributes
    ----------
    stages : dict of str to float
        Accuracy of the analog network after each step of the conversion; empty where there were no test samples.
    """

    def __init__(
        self, network: _megasim.Network, keep: object = None, stages: Mapping[str, float] | None = None
    ) -> None:
        self._network = network
        self._keep = keep
        self._directory: str | None = None
        self.stages: dict[str, float] = dict(stages or {})

    @property
    def manifest(self) -> dict[str, Any]:
        """What ``megasim.json`` holds: where the network came from, and what its nodes are."""
        manifest: dict[str, Any] = json.loads(self._network.manifest())
        return manifest

    @property
    def layers(self) -> list[NetworkLayer]:
        """The layers in the order of the netlist."""
        return [
            NetworkLayer(
                layer["name"],
                layer["source"],
                layer["kind"],
                tuple(layer["shape"]),
                tuple(layer["nodes"]),
                layer["scale"],
            )
            for layer in self.manifest["layers"]
        ]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of a sample: ``(features,)`` or ``(channels, height, width)``."""
        return tuple(self._network.input_shape)

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return self._network.classes

    @property
    def schematic_path(self) -> str | None:
        """The schematic, where the network was opened or saved; None where it is in memory only."""
        return None if self._directory is None else os.path.join(self._directory, "megasim.sch")

    def save(self, directory: PathLike, *, force: bool = False) -> None:
        """Write a netfile directory, whole or not at all.

        Parameters
        ----------
        directory : path
            A new directory.
        force : bool
            Replace an earlier one, if nothing else is in it.

        Raises
        ------
        OSError, ValueError
            If it cannot be written, or if there is something.

        Examples
        --------
        >>> import megasim, numpy as np, tempfile, os
        >>> x_norm = np.load("examples/digits/train.npz")["x"]
        >>> net = megasim.load("examples/digits/digits_cnn.keras").convert(x_norm, progress=False)
        >>> directory = os.path.join(tempfile.mkdtemp(), "netfiles")
        >>> net.save(directory)
        >>> megasim.open(directory).layers == net.layers
        True
        """
        self._network.save(directory, force)
        self._directory = os.fspath(directory)

    def predict(self, x: ArrayLike) -> npt.NDArray[np.float32]:
        """Outputs of the trained network, as :meth:`Model.predict`; shape (samples, classes).

        Examples
        --------
        >>> import megasim, numpy as np
        >>> test, train = np.load("examples/digits/test.npz"), np.load("examples/digits/train.npz")
        >>> net = megasim.load("examples/digits/digits_cnn.keras").convert(train["x"], progress=False)
        >>> net.predict(test["x"][:3]).argmax(axis=1).tolist()
        [4, 7, 9]
        """
        return self._network.predict(numbers(x, "x"))

    def classify(
        self,
        x: ArrayLike,
        y: ArrayLike | None = None,
        *,
        mode: str = "event",
        duration: int | None = None,
        encode: str | None = None,
        seed: int | None = None,
        threads: int | None = None,
        skip: int = 0,
        samples: int | None = None,
        neurobench: bool = False,
        progress: ProgressLike = None,
        **options: Value,
    ) -> Classification:
        """Show samples, and decide.

        Parameters
        ----------
        x : array_like, shape (samples, ...)
            As :meth:`Model.predict` takes them.
        y : array_like, optional
            Classes, numbers or one-hot rows.
        mode : {"event", "clocked", "both"}
            How the network runs.
        duration : int, optional
            Milliseconds per sample; those of the conversion, or 100.
        encode : str, optional
            How values become spikes, as ``"poisson"`` or ``"pso:k=8"``.
        seed : int, optional
            Seed of random spikes.
        threads : int, optional
            Threads; all processors where it is not given. They change the time, not the results.
        skip, samples : int, optional
            Leave out the first samples, and take at most this many.
        neurobench : bool
            Also count what NeuroBench 2 counts (:attr:`Classification.neurobench`); samples run once more for it.
        progress : bool or callable, optional
            As for :meth:`Model.convert`.
        **options
            All other options of ``megasim classify``: ``readout="first_spike"``, ``confidence=3``, ``dt=10``, ...

        Returns
        -------
        Classification

        Raises
        ------
        ValueError
            If the samples do not fit the network, or if an option has no effect.

        Examples
        --------
        >>> import megasim, numpy as np
        >>> digits = np.load("examples/digits/test.npz")
        >>> x_norm = np.load("examples/digits/train.npz")["x"]
        >>> net = megasim.load("examples/digits/digits_cnn.keras").convert(x_norm, progress=False)
        >>> res = net.classify(digits["x"][:20], digits["y"][:20], progress=False)
        >>> res.predictions.shape, res.counts.shape
        ((20,), (20, 10))
        """
        options = {"mode": mode, **_presentation(duration, encode, seed, threads), **options}
        y = None if y is None else labels(y)
        with Watched(progress) as watch:
            given = (numbers(x, "x"), y, words(options), skip, samples, neurobench)
            found, warnings = self._network.classify(*given, watch)
        warn(warnings)
        return Classification(found, y is not None)

    def run(
        self,
        x: ArrayLike,
        *,
        record: Sequence[str] | None = None,
        potentials: bool | Sequence[str] = False,
        mode: str = "event",
        duration: int | None = None,
        encode: str | None = None,
        seed: int | None = None,
        number: int = 0,
        **options: Value,
    ) -> Recording:
        """Run one sample with events recorded.

        Parameters
        ----------
        x : array_like
            One sample, with or without an axis of samples.
        record : sequence of str, optional
            Layers or nodes; all layers where it is not given.
        potentials : bool or sequence of str
            Layers whose potentials at the end are kept; True: those that are recorded.
        mode, duration, encode, seed, **options
            As for :meth:`classify`.
        number : int
            Number of the sample, for random codes, which draw other spikes for each.

        Returns
        -------
        Recording
            Its arrays of a node are the engine's memory; nothing is copied.

        Examples
        --------
        >>> import megasim, numpy as np
        >>> x = np.load("examples/digits/test.npz")["x"]
        >>> x_norm = np.load("examples/digits/train.npz")["x"]
        >>> net = megasim.load("examples/digits/digits_cnn.keras").convert(x_norm, progress=False)
        >>> rec = net.run(x[0], record=["06Dense_10"])
        >>> rec["06Dense_10"].t.dtype, len(rec["06Dense_10"]) > 0
        (dtype('int64'), True)
        """
        if mode not in ("event", "clocked"):
            raise ValueError(f"mode: expected 'event' or 'clocked', found '{mode}'")
        options = {"mode": mode, **_presentation(duration, encode, seed, None), **options}
        layers = {layer.name: list(layer.nodes) for layer in self.layers}
        names = list(layers) if record is None else _names(record, "record")
        left = (names if potentials else []) if isinstance(potentials, bool) else _names(potentials, "potentials")
        sample = one_sample(x, self.input_shape)
        events, values, summary = self._network.run(sample, number, names, left, words(options))
        timing = Timing(self._ticks_per_ms(options), summary["last_tick"])
        shapes = self._shapes()
        nodes = {name: Events(of, shape=shapes.get(name), timing=timing) for name, of in events.items()}
        return Recording(nodes, layers, summary, values, timing)

    def _shapes(self) -> dict[str, tuple[int, int, int]]:
        """Of each node of a layer or of the input one map, its rows and its columns."""
        manifest = self.manifest
        shapes = {}
        for layer in [manifest["input"], *manifest["layers"]]:
            size, nodes = layer["shape"], layer["nodes"]
            rows, columns = (1, size[0] // len(nodes)) if len(size) == 1 else size[1:]
            shapes.update({node: (1, rows, columns) for node in nodes})
        return shapes

    def _ticks_per_ms(self, options: Mapping[str, Value]) -> int:
        given = options.get("ticks_per_ms")
        if given is not None:
            return int(str(given))
        presentation = self.manifest.get("presentation") or {}
        return int(presentation.get("ticks_per_ms", 10))

    def compare(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        dt: int | str | Sequence[int] | None = None,
        duration: int | None = None,
        encode: str | None = None,
        seed: int | None = None,
        threads: int | None = None,
        skip: int = 0,
        samples: int | None = None,
        progress: ProgressLike = None,
        **options: Value,
    ) -> Comparison:
        """Compare event mode, clocked mode and the trained network, layer by layer.

        Parameters
        ----------
        x, y, duration, encode, seed, threads, skip, samples, progress
            As for :meth:`classify`.
        dt : int, sequence of int, or str, optional
            Ticks per clocked step, 1 where it is not given; several, as ``[1, 10]`` or ``"1..10"``.
        **options
            All other options of ``megasim compare``: ``causes=0``, ``tie_order="split"``, ...

        Examples
        --------
        >>> import megasim, numpy as np
        >>> digits = np.load("examples/digits/test.npz")
        >>> x_norm = np.load("examples/digits/train.npz")["x"]
        >>> net = megasim.load("examples/digits/digits_cnn.keras").convert(x_norm, progress=False)
        >>> cmp = net.compare(digits["x"][:10], digits["y"][:10], causes=0, progress=False)
        >>> cmp.agreement
        1.0
        """
        steps = None if dt is None else listed(dt)
        options = {"dt": steps, **_presentation(duration, encode, seed, threads), **options}
        with Watched(progress) as watch:
            figures, text, warnings = self._network.compare(
                numbers(x, "x"), labels(y), words(options), skip, samples, watch
            )
        warn(warnings)
        return Comparison(figures, text)

    def latency(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        hardware: PathLike = "ideal",
        pace: str | None = None,
        duration: int | None = None,
        encode: str | None = None,
        seed: int | None = None,
        threads: int | None = None,
        skip: int = 0,
        samples: int | None = None,
        progress: ProgressLike = None,
        **options: Value,
    ) -> Latency:
        """Run on a described machine.

        Parameters
        ----------
        x, y, duration, encode, seed, threads, skip, samples, progress
            As for :meth:`classify`.
        hardware : path or str
            ``"ideal"``, ``"serial-aer"``, ``"loihi"``, or a file.
        pace : str, optional
            How fast the input comes: ``"real"``, ``"fastest"``, or ``"x10"``.
        **options
            All other options of ``megasim latency``: ``relief=0``, ``warm_up="20 us"``, ...

        Examples
        --------
        >>> import megasim, numpy as np
        >>> digits = np.load("examples/digits/test.npz")
        >>> x_norm = np.load("examples/digits/train.npz")["x"]
        >>> net = megasim.load("examples/digits/digits_cnn.keras").convert(x_norm, progress=False)
        >>> lat = net.latency(digits["x"][:5], digits["y"][:5], hardware="loihi", pace="fastest", progress=False)
        >>> 0 < lat.decision_seconds < 0.1, lat.energy_joules > 0
        (True, True)
        """
        options = {
            "hardware": os.fspath(hardware),
            "pace": pace,
            **_presentation(duration, encode, seed, threads),
            **options,
        }
        with Watched(progress) as watch:
            figures, warnings = self._network.latency(
                numbers(x, "x"), labels(y), words(options), skip, samples, watch
            )
        warn(warnings)
        return Latency(figures)

    def sweep(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        over: Mapping[str, Value],
        x_norm: ArrayLike | None = None,
        hardware: PathLike | None = None,
        duration: int | None = None,
        encode: str | None = None,
        seed: int | None = None,
        threads: int | None = None,
        skip: int = 0,
        samples: int | None = None,
        progress: ProgressLike = None,
        **options: Value,
    ) -> Sweep:
        """Sweep one or two parameters.

        Parameters
        ----------
        x, y, duration, encode, seed, threads, skip, samples, progress
            As for :meth:`classify`.
        over : mapping of str to values
            One or two parameters with their values: a list, or a range as ``"log:1..100:5"``; names as those of
            ``megasim sweep --over`` (``_`` counts as ``-`` in names without a dot).
        x_norm : array_like, optional
            Samples to normalise with, where a parameter of the conversion is swept.
        hardware : path or str, optional
            A machine to run on, instead of in both modes.
        **options
            All other options of ``megasim sweep``: ``dt=10``, ``pace="fastest"``, ...

        Examples
        --------
        >>> import megasim, numpy as np
        >>> digits = np.load("examples/digits/test.npz")
        >>> x_norm = np.load("examples/digits/train.npz")["x"]
        >>> net = megasim.load("examples/digits/digits_cnn.keras").convert(x_norm, progress=False)
        >>> sw = net.sweep(digits["x"][:10], digits["y"][:10], over={"duration": [5, 40]}, progress=False)
        >>> [point["values"] for point in sw.points]
        [['5'], ['40']]
        """
        named = {name if "." in name else name.replace("_", "-"): _values(name, of) for name, of in over.items()}
        options = {
            "over": named,
            "hardware": None if hardware is None else os.fspath(hardware),
            **_presentation(duration, encode, seed, threads),
            **options,
        }
        norm = None if x_norm is None else numbers(x_norm, "x_norm")
        with Watched(progress) as watch:
            found, warnings = self._network.sweep(
                numbers(x, "x"), labels(y), norm, words(options), skip, samples, watch
            )
        warn(warnings)
        return Sweep(found)

    def verify(
        self,
        x: ArrayLike,
        *,
        orders: int | None = None,
        hardware: Sequence[PathLike] | None = None,
        duration: int | None = None,
        encode: str | None = None,
        seed: int | None = None,
        threads: int | None = None,
        skip: int = 0,
        samples: int | None = None,
        progress: ProgressLike = None,
        **options: Value,
    ) -> Verification:
        """Compare every spike count, in many orders and on machines, with an exact integer pass.

        Parameters
        ----------
        x, duration, encode, seed, threads, skip, samples, progress
            As for :meth:`classify`.
        orders : int, optional
            Random orders of the events of a tick, with random delays; 20 where it is not given.
        hardware : sequence of path or str, optional
            Machines; those that come with the package where it is not given.

        Examples
        --------
        >>> import megasim, numpy as np
        >>> x = np.load("examples/digits/test.npz")["x"]
        >>> x_norm = np.load("examples/digits/train.npz")["x"]
        >>> model = megasim.load("examples/digits/digits_cnn.keras")
        >>> net = model.convert(x_norm, duration=10, progress=False)
        >>> net.verify(x[:2], orders=2, progress=False).is_exact
        True
        """
        machines = None if hardware is None else [os.fspath(one) for one in hardware]
        options = {
            "orders": orders,
            "hardware": machines,
            **_presentation(duration, encode, seed, threads),
            **options,
        }
        with Watched(progress) as watch:
            figures, warnings = self._network.verify(numbers(x, "x"), words(options), skip, samples, watch)
        warn(warnings)
        return Verification(figures)

    def __repr__(self) -> str:
        return repr(self._network)

    def _repr_html_(self) -> str:
        from megasim._results import _table

        rows = [
            [layer.name, layer.source, str(len(layer.nodes)), str(layer.shape), f"{layer.scale:.4f}"]
            for layer in self.layers
        ]
        return _table(["layer", "from", "modules", "shape", "activation of 1 spike/ms"], rows)


def _presentation(
    duration: int | None, encode: str | None, seed: int | None, threads: int | None
) -> dict[str, Value]:
    return {"duration": duration, "encode": encode, "seed": seed, "threads": threads}


def _names(names: Sequence[str], what: str) -> list[str]:
    if isinstance(names, str):
        raise ValueError(f"{what}: expected a list of layers or nodes, found the text '{names}'")
    return list(names)


def _values(name: str, values: Value) -> Value:
    """Values of a parameter; codes have commas in them."""
    if name == "encode" and isinstance(values, (list, tuple)):
        return ";".join(str(value) for value in values)
    return values


def one_sample(x: ArrayLike, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """One sample with an axis of samples before it."""
    sample = numbers(x, "x")
    size = int(np.prod(shape))
    if sample.size == size and not (sample.ndim > 1 and sample.shape[0] == 1 and sample[0].size == size):
        return sample[None]
    if sample.size == size:
        return sample
    found = ", ".join(str(n) for n in sample.shape)
    raise ValueError(f"x: its array: expected one sample of {size} numbers, found shape ({found})")


def open(directory: PathLike) -> Network:
    """Read a netfile directory that was converted before.

    Parameters
    ----------
    directory : path
        What :meth:`Network.save` or ``megasim convert`` wrote.

    Raises
    ------
    OSError, ValueError
        If a file is missing or damaged, or does not belong to the others.

    Examples
    --------
    >>> import megasim
    >>> megasim.open("no-such-directory")
    Traceback (most recent call last):
    FileNotFoundError: no-such-directory/megasim.json: cannot be read: No such file or directory (os error 2); a \
directory that 'megasim convert' wrote has one
    """
    network, warnings = _megasim.Network.open(directory)
    warn(warnings)
    opened = Network(network)
    opened._directory = os.fspath(directory)
    return opened
