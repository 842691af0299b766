"""Trained neural networks as spikes: convert, run event by event or clocked, compare, study hardware timing.

Start with :func:`load` and :meth:`Model.convert`, or with :func:`open` for a netfile directory that was converted
before. The engine is the one of the program ``megasim``: the same input gives the same bytes.

Examples
--------
>>> import megasim, numpy as np
>>> digits, train = np.load("examples/digits/test.npz"), np.load("examples/digits/train.npz")
>>> model = megasim.load("examples/digits/digits_cnn.keras")
>>> net = model.convert(train["x"], progress=False)
>>> res = net.classify(digits["x"][:50], digits["y"][:50], mode="event", progress=False)
>>> bool(res.accuracy > 0.9)
True
"""

from __future__ import annotations

from megasim import stdp
from megasim._events import Events, Recording
from megasim._megasim import ConversionError, __version__
from megasim._model import Model, ModelLayer, load
from megasim._netfiles import (
    CameraEvents,
    Difference,
    Netfiles,
    diff,
    read_events,
    read_netfiles,
    read_recording,
    write_netfiles,
)
from megasim._network import Network, NetworkLayer, open
from megasim._options import MegasimWarning
from megasim._results import Classification, Comparison, Latency, ModeResult, Sweep, Verification
from megasim._simulation import Simulation

__all__ = [
    "CameraEvents",
    "Classification",
    "Comparison",
    "ConversionError",
    "Difference",
    "Events",
    "Latency",
    "MegasimWarning",
    "ModeResult",
    "Model",
    "ModelLayer",
    "Netfiles",
    "Network",
    "NetworkLayer",
    "Recording",
    "Simulation",
    "Sweep",
    "Verification",
    "__version__",
    "diff",
    "load",
    "open",
    "read_events",
    "read_netfiles",
    "read_recording",
    "stdp",
    "write_netfiles",
]
