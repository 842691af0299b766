"""Keyword arguments as words of the command line, warnings and progress."""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Union

import numpy as np
import numpy.typing as npt

#: Where bars are drawn: a function of the part, the units that are done, and all units.
Progress = Callable[[str, int, int], None]
ProgressLike = Union[bool, Progress, None]
PathLike = Union[str, "os.PathLike[str]"]
ArrayLike = npt.ArrayLike
#: What an option takes.
Value = Union[str, int, float, bool, PathLike, Sequence[Any], Mapping[str, Any], None]


class MegasimWarning(UserWarning):
    """Something will not do well; the message says what helps."""


def words(options: Mapping[str, Value]) -> list[str]:
    """Options as words: ``ticks_per_ms=10`` is ``--ticks-per-ms=10``; what is ``None`` or ``False`` is left out."""
    found: list[str] = []
    for key, value in options.items():
        option = "--" + key.replace("_", "-")
        if value is None or value is False:
            continue
        if value is True:
            found.append(option)
        elif isinstance(value, Mapping):
            found.extend(f"{option}={name}={listed(one)}" for name, one in value.items())
        elif isinstance(value, (list, tuple)):
            found.extend(f"{option}={listed(one)}" for one in value)
        else:
            found.append(f"{option}={listed(value)}")
    return found


def listed(value: Any) -> str:
    """A value as text; those of a sequence with commas between them."""
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, (list, tuple, range, np.ndarray)):
        return ",".join(listed(one) for one in value)
    if isinstance(value, np.generic):
        value = value.item()
    return os.fspath(value) if isinstance(value, os.PathLike) else str(value)


def warn(messages: Iterable[str]) -> None:
    """Show warnings at the caller of the package."""
    for message in messages:
        warnings.warn(message, MegasimWarning, stacklevel=4)


def numbers(values: ArrayLike, name: str) -> npt.NDArray[Any]:
    """An array as the library takes it: in C order, ``uint8`` or ``float32``.

    Bytes stay bytes, which count as parts of 255; integers, booleans and 64-bit floats become 32-bit floats.
    """
    array = np.asarray(values)
    known = {"f": (4, 8), "u": (1, 2, 4, 8), "i": (1, 2, 4, 8), "b": (1,)}
    if array.dtype.itemsize not in known.get(array.dtype.kind, ()):
        raise ValueError(f"{name}: its array: expected an array of real numbers, found elements {array.dtype.str!r}")
    if array.dtype.kind == "u" and array.dtype.itemsize == 1:
        return np.ascontiguousarray(array)
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, dtype=np.float32)


def labels(values: ArrayLike, name: str = "y") -> npt.NDArray[Any]:
    """Labels: class numbers or one-hot rows. They are no parts of 255."""
    array = numbers(values, name)
    return array.astype(np.float32) if array.dtype == np.uint8 else array


class _Bar:
    """A bar on a terminal or below the cell of a notebook."""

    def __init__(self) -> None:
        self.part = ""
        self.start = 0.0
        self.width = 0

    def __call__(self, part: str, done: int, units: int) -> None:
        now = time.monotonic()
        if part != self.part:
            self.part, self.start = part, now
        if now - self.start < 0.3:
            return
        filled = 30 * done // max(units, 1)
        text = f"{part:>12} {'#' * filled}{'.' * (30 - filled)} {done}/{units}"
        sys.stderr.write("\r" + text.ljust(self.width))
        sys.stderr.flush()
        self.width = len(text)

    def close(self) -> None:
        if self.width:
            sys.stderr.write("\r" + " " * self.width + "\r")
            sys.stderr.flush()


def _is_notebook() -> bool:
    shell = sys.modules.get("IPython")
    return shell is not None and getattr(shell.get_ipython(), "kernel", None) is not None


class Watched:
    """A bar where there is somebody to see it, a function of the caller, or nothing."""

    def __init__(self, progress: ProgressLike) -> None:
        self._bar: _Bar | None = None
        self.progress: Progress | None = None
        if callable(progress):
            self.progress = progress
        elif progress is not False and (sys.stderr.isatty() or _is_notebook()):
            self._bar = _Bar()
            self.progress = self._bar

    def __enter__(self) -> Progress | None:
        return self.progress

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
