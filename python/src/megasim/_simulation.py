"""A network step by step."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from megasim import _megasim
from megasim._events import Events
from megasim._netfiles import Netfiles
from megasim._network import Network, one_sample
from megasim._options import ArrayLike, Value, words


class Simulation:
    """A network that runs up to one time after the other, for loops of the caller.

    What comes out is what one run with the same events gives: :meth:`run_until` runs from the start with all events
    that were injected. A loop of n steps takes the time of n runs, of growing length.

    Parameters
    ----------
    network : Network or Netfiles
        What runs. Events of netfiles' own stimuli are not injected.
    mode : {"event", "clocked"}
        How it runs.
    dt : int
        Ticks per clocked step.

    Examples
    --------
    >>> import megasim
    >>> sim = megasim.Simulation(megasim.read_netfiles("netfiles/two-neurons"))
    >>> for t in (1, 3, 5, 7):
    ...     sim.inject("input", t, x=0)
    >>> sim.run_until(10)
    >>> sim.time, len(sim.events("excitatory")) > 0
    (10, True)
    """

    def __init__(self, network: Network | Netfiles, *, mode: str = "event", dt: int = 1) -> None:
        self._input_shape: tuple[int, ...] = ()
        if isinstance(network, Netfiles):
            self._simulation = _megasim.Simulation.of_netfiles(network._netfiles, mode, dt)
        elif isinstance(network, Network):
            self._simulation = _megasim.Simulation.of_network(network._network, mode, dt)
            self._input_shape = network.input_shape
        else:
            raise ValueError(f"Simulation: expected a Network or Netfiles, found {type(network).__name__}")

    @property
    def time(self) -> int:
        """The tick up to which it ran; -1 before the first run."""
        return self._simulation.time

    @property
    def operations(self) -> int:
        """Synaptic operations so far: weights added to potentials."""
        return self._simulation.operations

    @property
    def sources(self) -> list[str]:
        """Nodes that events can be injected at."""
        return self._simulation.sources

    def inject(self, node: str, t: int, x: int = 0, y: int = 0, polarity: int = 1) -> None:
        """Put an event on a source.

        Parameters
        ----------
        node : str
            A node of :attr:`sources`.
        t : int
            Its time in ticks, after :attr:`time`.
        x, y : int
            Column and row.
        polarity : int
            1 or -1; -2 resets what reads the node.

        Examples
        --------
        >>> import megasim
        >>> sim = megasim.Simulation(megasim.read_netfiles("netfiles/two-neurons"))
        >>> sim.inject("input", 1)
        >>> sim.inject("input", 3, polarity=-1)
        """
        self._simulation.inject(node, t, x, y, polarity)

    def inject_sample(
        self, x: ArrayLike, *, start: int | None = None, number: int = 0, **options: Value
    ) -> None:
        """Put the spikes of a sample on the sources of a converted network.

        Parameters
        ----------
        x : array_like
            One sample.
        start : int, optional
            The tick at which it starts; the one after :attr:`time` where it is not given.
        number : int
            Number of the sample, for random codes.
        **options
            How it is presented: ``duration``, ``encode``, ``seed``, ... as for :meth:`Network.classify`.

        Examples
        --------
        >>> import megasim, numpy as np
        >>> test, train = np.load("examples/digits/test.npz"), np.load("examples/digits/train.npz")
        >>> net = megasim.load("examples/digits/digits_cnn.keras").convert(train["x"], progress=False)
        >>> sim = megasim.Simulation(net)
        >>> sim.inject_sample(test["x"][0])
        >>> sim.run_until(1000)
        >>> len(sim.events("06Dense_10")) > 0
        True
        """
        begin = self.time + 1 if start is None else start
        sample = one_sample(x, self._input_shape) if self._input_shape else np.asarray(x, np.float32)
        self._simulation.inject_sample(sample, number, begin, words(options))

    def run_until(self, t: int) -> None:
        """Run up to a tick, that one included.

        Examples
        --------
        >>> import megasim
        >>> sim = megasim.Simulation(megasim.read_netfiles("netfiles/two-neurons"))
        >>> sim.run_until(5)
        >>> sim.time
        5
        """
        self._simulation.run_until(t)

    def events(self, name: str) -> Events:
        """Events of a layer or node so far.

        Examples
        --------
        >>> import megasim
        >>> sim = megasim.Simulation(megasim.read_netfiles("netfiles/two-neurons"))
        >>> for t in (1, 3, 5, 7):
        ...     sim.inject("input", t)
        >>> sim.run_until(10)
        >>> sim.events("excitatory").t_request.tolist()
        [5, 9]
        """
        return Events._of_nodes([Events(columns) for columns in self._simulation.events(name).values()])

    def potentials(self, name: str) -> npt.NDArray[np.int32]:
        """Potentials of a layer or node now: scaled integers, map after map, row by row; shape (neurons,).

        Examples
        --------
        >>> import megasim
        >>> sim = megasim.Simulation(megasim.read_netfiles("netfiles/two-neurons"))
        >>> for t in (1, 3, 5, 7):
        ...     sim.inject("input", t)
        >>> sim.run_until(10)
        >>> sim.potentials("excitatory").tolist()
        [4]
        """
        return self._simulation.potentials(name)
