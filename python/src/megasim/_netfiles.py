"""Netfile directories, event files and recordings of event cameras."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from megasim import _megasim
from megasim._events import Events
from megasim._options import ArrayLike, PathLike, warn


class Netfiles:
    """A network with its stimuli, as netfiles hold them; :func:`read_netfiles` reads one.

    Examples
    --------
    >>> import megasim
    >>> netfiles = megasim.read_netfiles("netfiles/two-neurons/megasim.sch")
    >>> netfiles.sources
    ['input']
    """

    def __init__(self, netfiles: _megasim.Netfiles) -> None:
        self._netfiles = netfiles

    @property
    def nodes(self) -> list[str]:
        """Names of all nodes."""
        return self._netfiles.nodes

    @property
    def sources(self) -> list[str]:
        """Nodes that stimuli drive."""
        return self._netfiles.sources

    @property
    def modules(self) -> list[dict[str, Any]]:
        """Modules: name, kind, inputs, outputs."""
        names = ("name", "kind", "inputs", "outputs")
        return [dict(zip(names, module)) for module in self._netfiles.modules]

    @property
    def t_max(self) -> int:
        """The last tick of a run."""
        return self._netfiles.t_max

    def stimulus(self, source: str) -> dict[str, npt.NDArray[Any]]:
        """Events of a source: arrays ``t``, ``x``, ``y``, ``polarity``, shape (events,).

        Examples
        --------
        >>> import megasim
        >>> megasim.read_netfiles("netfiles/two-neurons").stimulus("input")["t"][:3].tolist()
        [0, 1, 2]
        """
        return self._netfiles.stimulus(source)

    def with_stimulus(
        self, source: str, t: ArrayLike, x: ArrayLike, y: ArrayLike | None = None, polarity: ArrayLike | None = None
    ) -> Netfiles:
        """These netfiles with other events of a source.

        Parameters
        ----------
        source : str
            A node of :attr:`sources`.
        t, x : array_like of int, shape (events,)
            Times in ticks, and columns.
        y, polarity : array_like of int, optional
            Rows (0), and signs (1).

        Examples
        --------
        >>> import megasim
        >>> netfiles = megasim.read_netfiles("netfiles/two-neurons/megasim.sch")
        >>> netfiles.with_stimulus("input", [3, 1], [0, 0]).stimulus("input")["t"].tolist()
        [1, 3]
        """
        times = np.atleast_1d(np.asarray(t, np.int64))
        rows = np.zeros(len(times), np.int64) if y is None else np.asarray(y, np.int64)
        signs = np.ones(len(times), np.int64) if polarity is None else np.asarray(polarity, np.int64)
        columns = [times, np.atleast_1d(np.asarray(x, np.int64)), rows, signs]
        t_list, x_list, y_list, sign_list = (column.tolist() for column in columns)
        return Netfiles(self._netfiles.with_stimulus(source, t_list, x_list, y_list, sign_list))

    def run(self, *, mode: str = "event", dt: int = 1, t_max: int | None = None) -> dict[str, Events]:
        """Run on the stimuli; the events of all nodes that modules drive.

        Parameters
        ----------
        mode : {"event", "clocked"}
            How the network runs.
        dt : int
            Ticks per clocked step.
        t_max : int, optional
            The last tick, instead of that of the schematic.

        Examples
        --------
        >>> import megasim
        >>> megasim.read_netfiles("netfiles/two-neurons").run(t_max=9)["excitatory"].t_request.tolist()
        [4, 8]
        """
        events, _ = self._netfiles.run(mode, dt, t_max)
        return {name: Events(columns) for name, columns in events.items()}

    def __repr__(self) -> str:
        return repr(self._netfiles)


def read_netfiles(path: PathLike) -> Netfiles:
    """Read a schematic with all its files.

    Parameters
    ----------
    path : path
        The schematic, or a directory with ``megasim.sch``.

    Examples
    --------
    >>> import megasim
    >>> len(megasim.read_netfiles("netfiles/two-neurons").modules)
    2
    """
    schematic = os.path.join(path, "megasim.sch") if os.path.isdir(path) else path
    netfiles = _megasim.read_netfiles(schematic)
    warn(netfiles.warnings)
    return Netfiles(netfiles)


def write_netfiles(directory: PathLike, netfiles: Netfiles, *, force: bool = False) -> None:
    """Write netfiles, whole or not at all.

    Parameters
    ----------
    directory : path
        A new directory.
    netfiles : Netfiles
        What is written.
    force : bool
        Replace an earlier one, if nothing else is in it.

    Examples
    --------
    >>> import megasim, os, tempfile
    >>> netfiles = megasim.read_netfiles("netfiles/two-neurons")
    >>> directory = os.path.join(tempfile.mkdtemp(), "copy")
    >>> megasim.write_netfiles(directory, netfiles)
    >>> megasim.read_netfiles(directory).nodes == netfiles.nodes
    True
    """
    netfiles._netfiles.write(directory, force)


def read_events(path: PathLike) -> dict[str, Events]:
    """Read event files of a run.

    Parameters
    ----------
    path : path
        A directory with ``node_*.evs``, or one such file.

    Returns
    -------
    dict of str to Events
        By node.

    Raises
    ------
    OSError, ValueError
        If a file cannot be read or is damaged, with its line.

    Examples
    --------
    >>> import megasim
    >>> events = megasim.read_events("netfiles/two-neurons/expected/event")
    >>> events["excitatory"].t_request.tolist()
    [4, 8, 10, 14]
    """
    return {name: Events(columns) for name, columns in _megasim.read_event_files(path).items()}


@dataclass(frozen=True)
class Difference:
    """What two recordings of a node have in common and what not: counts of events.

    Attributes
    ----------
    first, second : int
        Events of each.
    equal, shifted : int
        Events that both have, at the same times, and at times within the tolerance.
    missing, extra : int
        Events that only the first, and only the second has.
    reordered : bool
        Whether all events are equal, but not their order.
    is_equal : bool
        Whether they are the same within the tolerance.
    """

    first: int
    second: int
    equal: int
    shifted: int
    missing: int
    extra: int
    reordered: bool
    is_equal: bool


def diff(a: PathLike, b: PathLike, *, tolerance: int = 0) -> Mapping[str, Difference]:
    """Compare the event files of two runs, node by node.

    Parameters
    ----------
    a, b : path
        Directories with ``node_*.evs``, or files.
    tolerance : int
        By how many ticks each time of an event may be off.

    Examples
    --------
    >>> import megasim
    >>> runs = "netfiles/two-neurons/expected"
    >>> found = megasim.diff(f"{runs}/event", f"{runs}/clocked")
    >>> found["excitatory"].first, found["excitatory"].is_equal
    (4, False)
    """
    return {node: Difference(*of) for node, of in _megasim.diff(a, b, tolerance).items()}


@dataclass(frozen=True)
class CameraEvents:
    """What an event camera saw.

    Attributes
    ----------
    width, height : int
        Columns and rows of the sensor.
    t : ndarray of int64, shape (events,)
        Microseconds.
    x, y : ndarray of int32, shape (events,)
        Columns and rows.
    polarity : ndarray of int8, shape (events,)
        1: brighter, -1: darker.
    """

    width: int
    height: int
    t: npt.NDArray[np.int64]
    x: npt.NDArray[np.int32]
    y: npt.NDArray[np.int32]
    polarity: npt.NDArray[np.int8]


def read_recording(path: PathLike) -> CameraEvents:
    """Read a recording of an event camera: AEDAT 2.0, 3.1 or 4.0, ``.bin``, ``.csv``.

    Examples
    --------
    >>> import megasim, pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "recording.csv")
    >>> _ = path.write_text("t,x,y,p\\n10,0,1,1\\n20,2,1,0\\n")
    >>> events = megasim.read_recording(path)
    >>> events.t.tolist(), events.x.tolist(), events.polarity.tolist()
    ([10, 20], [0, 2], [1, -1])
    """
    return CameraEvents(**_megasim.read_recording(path))
