"""Single-spike networks that learn by STDP, and their filters and codes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from megasim import _megasim
from megasim._options import ArrayLike, PathLike, ProgressLike, Watched, numbers

__all__ = ["Network", "difference_of_gaussians", "gabor", "latency_code"]


def _images(x: ArrayLike, shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Images ``(samples, rows, columns)`` of pixels between 0 and 1."""
    array = numbers(x, "x")
    rows, columns = shape
    samples = len(array) if array.ndim else 0
    if array.ndim < 2 or array.size != samples * rows * columns:
        found = ", ".join(str(n) for n in array.shape)
        raise ValueError(f"x: its array: expected images of shape ({rows}, {columns}), found ({found})")
    scaled = array.astype(np.float32) / np.float32(255) if array.dtype == np.uint8 else array
    return np.ascontiguousarray(scaled.reshape(samples, rows, columns), dtype=np.float32)


class Network:
    """A network of single-spike layers; :meth:`from_toml` makes one, :meth:`open` reads one that was trained."""

    def __init__(self, network: _megasim.StdpNetwork) -> None:
        self._network = network

    @classmethod
    def from_toml(cls, path: PathLike, *, seed: int = 0) -> Network:
        """A network with random weights from its description.

        Parameters
        ----------
        path : path
            The description, as ``megasim train`` takes it.
        seed : int
            Seed of the weights and of the learning.

        Examples
        --------
        >>> from megasim import stdp
        >>> stdp.Network.from_toml("examples/single-spike/kheradpisheh-2018.toml").input_shape
        (28, 28)
        """
        return cls(_megasim.StdpNetwork.from_toml(path, seed))

    @classmethod
    def open(cls, path: PathLike) -> Network:
        """A network that ``megasim train`` wrote (``.npz``).

        Examples
        --------
        >>> from megasim import stdp
        >>> stdp.Network.open("no-such.npz")
        Traceback (most recent call last):
        FileNotFoundError: no-such.npz: cannot be read: No such file or directory (os error 2)
        """
        return cls(_megasim.StdpNetwork.open(path))

    @property
    def input_shape(self) -> tuple[int, int]:
        """Rows and columns of its images."""
        return self._network.input_shape

    def train(self, x: ArrayLike, y: ArrayLike, *, progress: ProgressLike = None) -> None:
        """Train all layers, one after the other.

        Parameters
        ----------
        x : array_like, shape (samples, rows, columns)
            Images; ``uint8`` values are divided by 255.
        y : array_like of int, shape (samples,)
            Their classes.

        Examples
        --------
        >>> import numpy as np
        >>> from megasim import stdp
        >>> network = stdp.Network.from_toml("examples/single-spike/mozafari-2018-shallow.toml", seed=1)
        >>> network.train(np.random.default_rng(0).random((2, 64, 64)), [0, 1], progress=False)
        """
        labels = [int(label) for label in np.asarray(y).ravel()]
        with Watched(progress) as watch:
            self._network.train(_images(x, self.input_shape), labels, watch)

    def features(self, x: ArrayLike) -> npt.NDArray[np.bool_]:
        """Which neurons of the last layer spike; shape (samples, neurons).

        Examples
        --------
        >>> import numpy as np
        >>> from megasim import stdp
        >>> network = stdp.Network.from_toml("examples/single-spike/mozafari-2018-shallow.toml", seed=1)
        >>> network.features(np.zeros((2, 64, 64))).any()
        np.False_
        """
        return self._network.features(_images(x, self.input_shape))

    def predict(self, x: ArrayLike) -> npt.NDArray[np.int64]:
        """The class that each image is decided as, -1 where none is; shape (samples,).

        Examples
        --------
        >>> import numpy as np
        >>> from megasim import stdp
        >>> network = stdp.Network.from_toml("examples/single-spike/mozafari-2018-shallow.toml", seed=1)
        >>> network.predict(np.zeros((2, 64, 64))).tolist()
        [-1, -1]
        """
        return np.asarray(self._network.decide(_images(x, self.input_shape)), np.int64)

    def latencies(self, image: ArrayLike) -> npt.NDArray[np.uint32]:
        """Bins of the spikes in front of the first layer; shape (maps, rows, columns).

        Examples
        --------
        >>> import numpy as np
        >>> from megasim import stdp
        >>> network = stdp.Network.from_toml("examples/single-spike/mozafari-2018-shallow.toml", seed=1)
        >>> network.latencies(np.zeros((64, 64))).shape
        (4, 15, 15)
        """
        return self._network.latencies(_images(np.asarray(image)[None], self.input_shape)[0])


def difference_of_gaussians(window: int, sigma1: float, sigma2: float) -> npt.NDArray[np.float64]:
    """A difference of two Gaussians, its mean subtracted, divided by its maximum; shape (rows, columns).

    Examples
    --------
    >>> from megasim import stdp
    >>> kernel = stdp.difference_of_gaussians(7, 1.0, 2.0)
    >>> kernel.shape, float(kernel[3, 3])
    ((7, 7), 1.0)
    """
    return _megasim.difference_of_gaussians(window, sigma1, sigma2)


def gabor(window: int, orientation: float, div: float = 4.0) -> npt.NDArray[np.float64]:
    """A Gabor kernel; the orientation in degrees, `div` the divisor of the wavelength; shape (rows, columns).

    Examples
    --------
    >>> from megasim import stdp
    >>> stdp.gabor(5, 45.0).shape
    (5, 5)
    """
    return _megasim.gabor(window, orientation, div)


def latency_code(intensities: ArrayLike, bins: int) -> npt.NDArray[np.uint32]:
    """Intensities as spike times: equally full bins, the largest first; `bins` where there is no spike.

    Parameters
    ----------
    intensities : array_like, shape (maps, rows, columns)
        Numbers of at least 0; 0 never spikes.
    bins : int
        How many bins there are.

    Examples
    --------
    >>> from megasim import stdp
    >>> stdp.latency_code([[[0.0, 3.0], [1.0, 2.0]]], 3).tolist()
    [[[3, 0], [2, 1]]]
    """
    return _megasim.latency_code(np.asarray(intensities, np.float32), bins)
