"""What studies give."""

from __future__ import annotations

import html
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from megasim._events import IntArray

if TYPE_CHECKING:
    import pandas


def interval(hits: int, n: int) -> tuple[float, float]:
    """Wilson's interval for a share of `hits` in `n`, at 95 %.

    Examples
    --------
    >>> low, high = interval(958, 1000)
    >>> round(low, 4), round(high, 4)
    (0.9437, 0.9688)
    """
    if n == 0:
        return (0.0, 1.0)
    z = 1.959963984540054
    share = hits / n
    middle = share + z * z / (2.0 * n)
    half = z * np.sqrt(share * (1.0 - share) / n + z * z / (4.0 * n * n))
    whole = 1.0 + z * z / n
    return (float((middle - half) / whole), float((middle + half) / whole))


def _table(header: list[str], rows: list[list[str]]) -> str:
    """An HTML table."""
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


@dataclass(frozen=True)
class ModeResult:
    """Decisions of one mode.

    Attributes
    ----------
    predictions : ndarray of int64, shape (samples,)
        The class that was decided; -1 where none was.
    counts : ndarray of int64, shape (samples, classes)
        Spikes of each class at the output, those of negative sign subtracted.
    scores : ndarray of int64, shape (samples, classes)
        What the decision was made by: ``counts``, or what the read-out takes in their place, as membrane potentials in
        units of the netfiles.
    operations : ndarray of uint64, shape (samples,)
        Synaptic operations: weights added to potentials.
    spikes, input_spikes : ndarray of uint64, shape (samples,)
        Spikes of all neurons, and of the inputs.
    stopped : ndarray of int64, shape (samples,)
        The tick of an early decision; -1 where the run went to its end.
    cpu_seconds : ndarray of float64, shape (samples,)
        Processor time.
    """

    predictions: IntArray
    counts: IntArray
    scores: IntArray
    operations: npt.NDArray[np.uint64]
    spikes: npt.NDArray[np.uint64]
    input_spikes: npt.NDArray[np.uint64]
    stopped: IntArray
    cpu_seconds: npt.NDArray[np.float64]


class Classification:
    """Samples that were classified. Attributes of :class:`ModeResult` are those of event mode, where that ran, else of
    clocked mode.

    Attributes
    ----------
    labels : ndarray of int64, shape (samples,), or None
        The right classes, where they were given.
    analog : ndarray of int64, shape (samples,), or None
        The classes that the trained network gives, where there is one.
    event, clocked : ModeResult or None
        What each mode decided, where it ran.
    figures : dict
        The figures of ``megasim classify --json``; those about right classes mean nothing without labels.
    """

    def __init__(self, found: dict[str, Any], labelled: bool) -> None:
        self.labels: IntArray | None = found["labels"] if labelled else None
        self.analog: IntArray | None = found["analog"]
        self.event = ModeResult(**found["event"]) if "event" in found else None
        self.clocked = ModeResult(**found["clocked"]) if "clocked" in found else None
        self.duration_ms: int = found["duration_ms"]
        self.ticks_per_ms: int = found["ticks_per_ms"]
        self.figures: dict[str, Any] = json.loads(found["figures"])

    @property
    def _first(self) -> ModeResult:
        first = self.event if self.event is not None else self.clocked
        assert first is not None, "a classification has a mode"
        return first

    @property
    def predictions(self) -> IntArray:
        """The class that was decided for each sample, -1 where none was; shape (samples,)."""
        return self._first.predictions

    @property
    def counts(self) -> IntArray:
        """Spikes of each class at the output; shape (samples, classes)."""
        return self._first.counts

    @property
    def scores(self) -> IntArray:
        """What the decision was made by, as ``event_scores`` of ``megasim classify --predictions``; shape (samples,
        classes)."""
        return self._first.scores

    @property
    def operations(self) -> npt.NDArray[np.uint64]:
        """Synaptic operations of each sample; shape (samples,)."""
        return self._first.operations

    @property
    def neurobench(self) -> dict[str, Any] | None:
        """Complexity as NeuroBench 2 counts it, where ``classify(..., neurobench=True)`` asked for it: the block
        ``neurobench`` of ``megasim classify --neurobench --json``.

        ``footprint`` (bytes), ``parameter_count``, ``connection_sparsity``, and per mode that ran ``steps``,
        ``activation_sparsity``, ``synaptic_operations`` (``dense``, ``effective_macs``, ``effective_acs``) and
        ``membrane_updates``, means per sample.

        Examples
        --------
        >>> import megasim, numpy as np
        >>> test, train = np.load("examples/digits/test.npz"), np.load("examples/digits/train.npz")
        >>> net = megasim.load("examples/digits/digits_cnn.keras").convert(train["x"], progress=False)
        >>> res = net.classify(test["x"][:2], mode="clocked", duration=20, neurobench=True, progress=False)
        >>> res.neurobench["footprint"] == 4 * res.neurobench["parameter_count"]
        True
        >>> operations = res.neurobench["clocked"]["synaptic_operations"]
        >>> operations["effective_acs"] < operations["dense"]
        True
        """
        found: dict[str, Any] | None = self.figures.get("neurobench")
        return found

    def _hits(self, predictions: IntArray) -> int:
        if self.labels is None:
            raise ValueError("accuracy: expected labels, found none; classify(x, y) takes them")
        return int(np.count_nonzero(predictions == self.labels))

    @property
    def accuracy(self) -> float:
        """Share of right decisions, 0 to 1."""
        return self._hits(self.predictions) / len(self)

    @property
    def analog_accuracy(self) -> float:
        """Share of right classes of the trained network, 0 to 1."""
        return self._hits(self._trained("analog_accuracy")) / len(self)

    def _trained(self, what: str) -> IntArray:
        if self.analog is None:
            raise ValueError(f"{what}: expected a trained network, found one that was read as a spiking network")
        return self.analog

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the accuracy."""
        return interval(self._hits(self.predictions), len(self))

    @property
    def agreement(self) -> float:
        """Share of samples that are decided as the trained network does, 0 to 1."""
        return float(np.mean(self.predictions == self._trained("agreement")))

    def __len__(self) -> int:
        return len(self.predictions)

    def __repr__(self) -> str:
        accuracy = "" if self.labels is None else f", accuracy {self.accuracy:.4f}"
        return f"<megasim.Classification of {len(self)} samples{accuracy}>"

    def _repr_html_(self) -> str:
        rows = []
        sides = [("analog", self.analog, None), ("event", None, self.event), ("clocked", None, self.clocked)]
        for name, predictions, mode in sides:
            if mode is not None:
                predictions = mode.predictions
            if predictions is None:
                continue
            row = [name]
            if self.labels is not None:
                hits = self._hits(predictions)
                low, high = interval(hits, len(self))
                row += [f"{100 * hits / len(self):.2f} %", f"{100 * low:.2f} to {100 * high:.2f} %"]
            row.append("-" if self.analog is None else f"{100 * float(np.mean(predictions == self.analog)):.2f} %")
            row += ["-", "-"] if mode is None else [f"{mode.spikes.mean():.0f}", f"{mode.operations.mean():.0f}"]
            rows.append(row)
        accuracy = [] if self.labels is None else ["accuracy", "95 % interval"]
        return _table([f"{len(self)} samples", *accuracy, "as analog", "spikes", "operations"], rows)

    def to_pandas(self) -> pandas.DataFrame:
        """A table with a row for each sample, and columns for each mode.

        Examples
        --------
        >>> import megasim, numpy as np
        >>> test, train = np.load("examples/digits/test.npz"), np.load("examples/digits/train.npz")
        >>> net = megasim.load("examples/digits/digits_cnn.keras").convert(train["x"], progress=False)
        >>> res = net.classify(test["x"][:3], test["y"][:3], progress=False)
        >>> list(res.to_pandas().columns)
        ['label', 'analog', 'event', 'event_spikes', 'event_operations']
        """
        import pandas

        columns: dict[str, Any] = {} if self.labels is None else {"label": self.labels}
        columns["analog"] = self.analog
        for name, mode in (("event", self.event), ("clocked", self.clocked)):
            if mode is not None:
                columns[name] = mode.predictions
                columns[f"{name}_spikes"] = mode.spikes
                columns[f"{name}_operations"] = mode.operations
        return pandas.DataFrame(columns)


class Comparison:
    """Event mode and clocked mode, layer by layer, next to the trained network.

    Attributes
    ----------
    figures : dict
        The figures of ``megasim compare --json``.
    text : str
        What ``megasim compare`` prints.
    """

    def __init__(self, figures: str, text: str) -> None:
        self.figures: dict[str, Any] = json.loads(figures)
        self.text = text

    @property
    def agreement(self) -> float | None:
        """Share of samples on which both modes decide alike, where the output decides by spikes."""
        decisions = self.figures.get("decisions")
        return None if decisions is None else float(decisions["agreement"])

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<megasim.Comparison of {self.figures['samples']} samples>"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.text)}</pre>"

    def to_pandas(self) -> pandas.DataFrame:
        """A table with a row for each layer.

        Examples
        --------
        >>> import megasim, numpy as np
        >>> test, train = np.load("examples/digits/test.npz"), np.load("examples/digits/train.npz")
        >>> net = megasim.load("examples/digits/digits_cnn.keras").convert(train["x"], progress=False)
        >>> cmp = net.compare(test["x"][:3], test["y"][:3], causes=0, progress=False)
        >>> cmp.to_pandas()["name"].tolist()[-1]
        '06Dense_10'
        """
        import pandas

        return pandas.json_normalize(self.figures["layers"])


class Latency:
    """A network on a machine.

    Attributes
    ----------
    figures : dict
        The figures of ``megasim latency --json``: times in ticks, energies in joules per sample.
    """

    def __init__(self, figures: str) -> None:
        self.figures: dict[str, Any] = json.loads(figures)

    def _seconds(self, key: str) -> float | None:
        spread = self.figures["latency"][key]
        tick = self.figures["tick_seconds"]
        return None if spread is None or tick is None else float(spread["mean"] * tick)

    @property
    def decision_seconds(self) -> float | None:
        """Mean time from the first input to the decision that stays, in seconds; None where none is made."""
        return self._seconds("settled")

    @property
    def first_spike_seconds(self) -> float | None:
        """Mean time from the first input to the first output spike, in seconds; None where there is none."""
        return self._seconds("first_spike")

    @property
    def energy_joules(self) -> float:
        """Energy of a sample, static power included, in joules."""
        return float(self.figures["energy"]["total"])

    @property
    def accuracy(self) -> float | None:
        """Share of right decisions on the machine, 0 to 1."""
        machine = self.figures["accuracy"]["machine"]
        return None if machine is None else float(machine["share"])

    @property
    def busiest(self) -> str | None:
        """The module or link that is busy most; None where nothing takes time."""
        busiest = self.figures["busiest"]
        if busiest is None:
            return None
        resource = busiest["resource"]
        return str(resource.get("module", resource.get("link")))

    def __repr__(self) -> str:
        figures = self.figures
        return f"<megasim.Latency of {figures['samples']} samples on {figures['hardware']}>"

    def _repr_html_(self) -> str:
        def ms(seconds: float | None) -> str:
            return "-" if seconds is None else f"{1e3 * seconds:.4g} ms"

        rows = [
            ["first output", ms(self.first_spike_seconds)],
            ["decision that stays", ms(self.decision_seconds)],
            ["energy per sample", f"{self.energy_joules:.4g} J"],
            ["busiest", self.busiest or "-"],
        ]
        if self.accuracy is not None:
            rows.append(["accuracy on the machine", f"{100 * self.accuracy:.2f} %"])
        return _table([f"{self.figures['samples']} samples on {self.figures['hardware']}", ""], rows)

    def to_pandas(self) -> pandas.DataFrame:
        """A table with a row for each sample, times in ticks.

        Examples
        --------
        >>> import megasim, numpy as np
        >>> test, train = np.load("examples/digits/test.npz"), np.load("examples/digits/train.npz")
        >>> net = megasim.load("examples/digits/digits_cnn.keras").convert(train["x"], progress=False)
        >>> lat = net.latency(test["x"][:3], test["y"][:3], hardware="loihi", relief=0, progress=False)
        >>> lat.to_pandas()[["label", "ideal", "decision"]].values.tolist()
        [[4, 4, 4], [7, 7, 7], [9, 9, 9]]
        """
        import pandas

        return pandas.DataFrame(self.figures["per_sample"])


class Sweep:
    """One or two parameters over their values.

    Attributes
    ----------
    columns : list of str
        Names of parameters and figures, as those of ``sweep.csv``.
    rows : list of list of str
        The table of ``sweep.csv``.
    points : list of dict
        The points of ``sweep.json``: values of the parameters, and figures.
    """

    def __init__(self, found: str) -> None:
        parsed = json.loads(found)
        self.columns: list[str] = parsed["columns"]
        self.rows: list[list[str]] = parsed["rows"]
        self.parameters: list[str] = [axis["name"] for axis in parsed["sweep"]["parameters"]]
        self.points: list[dict[str, Any]] = parsed["sweep"]["points"]

    def __len__(self) -> int:
        return len(self.points)

    def __repr__(self) -> str:
        return f"<megasim.Sweep over {', '.join(self.parameters)}: {len(self)} points>"

    def _repr_html_(self) -> str:
        return _table(self.columns, self.rows)

    def to_pandas(self) -> pandas.DataFrame:
        """A table with a row for each point; numbers where all values of a column are numbers.

        Examples
        --------
        >>> import megasim, numpy as np
        >>> test, train = np.load("examples/digits/test.npz"), np.load("examples/digits/train.npz")
        >>> net = megasim.load("examples/digits/digits_cnn.keras").convert(train["x"], progress=False)
        >>> sw = net.sweep(test["x"][:3], test["y"][:3], over={"duration": [20, 80]}, progress=False)
        >>> sw.to_pandas()[["duration", "event_accuracy"]].values.tolist()
        [[20.0, 1.0], [80.0, 1.0]]
        """
        import pandas

        frame = pandas.DataFrame(self.rows, columns=self.columns)
        for column in frame.columns:
            numbers = pandas.to_numeric(frame[column], errors="coerce")
            if numbers.notna().all():
                frame[column] = numbers
        return frame


class Verification:
    """Whether spike counts depend on the order and the delays of events.

    Attributes
    ----------
    figures : dict
        The figures of ``megasim verify --json``.
    """

    def __init__(self, figures: str) -> None:
        self.figures: dict[str, Any] = json.loads(figures)

    @property
    def compared(self) -> int:
        """Counts that were compared with an exact integer pass."""
        return sum(way["compared"] for way in self.figures["ways"])

    @property
    def different(self) -> int:
        """Counts that differ from it."""
        return sum(way["different"] for way in self.figures["ways"])

    @property
    def is_exact(self) -> bool:
        """Whether no count differs."""
        return self.different == 0

    def __repr__(self) -> str:
        return f"<megasim.Verification: of {self.compared} counts, {self.different} differ>"

    def to_pandas(self) -> pandas.DataFrame:
        """A table with a row for each way of running.

        Examples
        --------
        >>> import megasim, numpy as np
        >>> test, train = np.load("examples/digits/test.npz"), np.load("examples/digits/train.npz")
        >>> model = megasim.load("examples/digits/digits_cnn.keras")
        >>> net = model.convert(train["x"], duration=10, progress=False)
        >>> net.verify(test["x"][:1], orders=2, progress=False).to_pandas()["different"].tolist()[:3]
        [0, 0, 0]
        """
        import pandas

        return pandas.DataFrame(self.figures["ways"])
