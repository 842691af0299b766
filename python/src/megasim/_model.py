"""Trained networks."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from megasim import _megasim
from megasim._options import ArrayLike, PathLike, ProgressLike, Value, Watched, labels, numbers, warn, words

if TYPE_CHECKING:
    from megasim._network import Network


@dataclass(frozen=True)
class ModelLayer:
    """A layer of a trained network.

    Attributes
    ----------
    name, kind : str
        The source's name of it, and the kind as Keras spells it.
    inputs : tuple of str
        Names of the layers that it reads.
    shape : tuple of int
        What it puts out: ``(features,)`` or ``(channels, height, width)``.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    shape: tuple[int, ...]


class Model:
    """A trained network; :func:`load` reads one.

    Examples
    --------
    >>> import megasim
    >>> model = megasim.load("examples/digits/digits_cnn.keras")
    >>> model.input_shape, model.classes
    ((1, 8, 8), 10)
    """

    def __init__(self, model: _megasim.Model, keep: object = None) -> None:
        self._model = model
        # A temporary directory with the file, which is copied by `Network.save`.
        self._keep = keep

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of a sample: ``(features,)`` or ``(channels, height, width)``."""
        return tuple(self._model.input_shape)

    @property
    def classes(self) -> int:
        """How many classes the output tells apart."""
        return self._model.classes

    @property
    def layers(self) -> list[ModelLayer]:
        """The layers, the input first."""
        return [
            ModelLayer(name, kind, tuple(inputs), tuple(shape)) for name, kind, inputs, shape in self._model.layers
        ]

    def summary(self) -> str:
        """A table of the layers as text.

        Examples
        --------
        >>> import megasim
        >>> print(megasim.load("examples/digits/digits_cnn.keras").summary().splitlines()[1])
        input_layer_1      InputLayer         (1, 8, 8)
        """
        rows = [("layer", "kind", "output")]
        rows += [(layer.name, layer.kind, str(layer.shape)) for layer in self.layers]
        widths = [max(len(row[column]) for row in rows) for column in range(2)]
        return "\n".join(f"{a:<{max(widths[0], 16)}} {b:<{max(widths[1], 17)}} {c}" for a, b, c in rows)

    def predict(self, x: ArrayLike) -> npt.NDArray[np.float32]:
        """Outputs of the trained network.

        Parameters
        ----------
        x : array_like, shape (samples, ...)
            Samples in the shape of the input, channels first or last, or flat for one channel. ``uint8`` values are
            divided by 255.

        Returns
        -------
        ndarray of float32, shape (samples, classes)

        Raises
        ------
        ValueError
            If the samples do not fit the input, or a number is not finite.

        Examples
        --------
        >>> import megasim, numpy as np
        >>> x = np.load("examples/digits/test.npz")["x"][:3]
        >>> megasim.load("examples/digits/digits_cnn.keras").predict(x).shape
        (3, 10)
        """
        return self._model.predict(numbers(x, "x"))

    def convert(
        self,
        x_norm: ArrayLike | None = None,
        *,
        x_test: ArrayLike | None = None,
        y_test: ArrayLike | None = None,
        duration: int | None = None,
        neuron: str | None = None,
        progress: ProgressLike = None,
        **options: Value,
    ) -> Network:
        """A spiking network.

        Parameters
        ----------
        x_norm : array_like, shape (samples, ...)
            Samples to normalise with, as :meth:`predict` takes them; the first 2,000 of a training set will do.
        x_test, y_test : array_like, optional
            Test samples, and their classes as numbers or one-hot rows: the accuracy of each step of the conversion is
            measured on them.
        duration : int, optional
            Milliseconds of a presentation that the conversion is made and calibrated for; 50 where neither it nor a
            `preset` is given.
        neuron : str, optional
            ``"signed"``: counts that no order of events can change (the default); ``"plain"``; or a file of equations.
        progress : bool or callable, optional
            A bar on a terminal or in a notebook unless it is False; or a function of the part, the units that are
            done, and all units.
        **options
            All other options of ``megasim convert``, with ``_`` for ``-``: ``preset="toolbox"``, ``percentile=99.9``,
            ``encode="poisson"``, ``weight_bits=8``, ``set=["05Dense*.T_Refract=10"]``, ...

        Returns
        -------
        Network

        Raises
        ------
        ConversionError
            If a layer has no spiking form, or a number does not fit the netfiles.
        ValueError
            If an option is not one of ``megasim convert``, or has no effect.

        Examples
        --------
        >>> import megasim, numpy as np
        >>> x_norm = np.load("examples/digits/train.npz")["x"]
        >>> model = megasim.load("examples/digits/digits_cnn.keras")
        >>> net = model.convert(x_norm, duration=10, progress=False)
        >>> net.layers[-1].name
        '06Dense_10'
        """
        from megasim._network import Network

        if (x_test is None) != (y_test is None):
            raise ValueError("x_test, y_test: expected both or none of them, found one")
        if x_norm is None and x_test is None:
            raise ValueError("x_norm: expected samples to normalise with, found none")
        options = {"duration": duration, "neuron": neuron, **options}
        test = None
        if x_test is not None and y_test is not None:
            test = (numbers(x_test, "x"), labels(y_test))
        norm = None if x_norm is None else numbers(x_norm, "x_norm")
        with Watched(progress) as watch:
            network, warnings, samples, steps = self._model.convert(norm, test, words(options), watch)
        warn(warnings)
        return Network(network, self._keep, {name: accuracy for name, accuracy in steps} if samples else {})

    def __repr__(self) -> str:
        return repr(self._model)

    def _repr_html_(self) -> str:
        from megasim._results import _table

        rows = [[layer.name, layer.kind, str(layer.shape)] for layer in self.layers]
        return _table(["layer", "kind", "output"], rows)


def load(
    model: PathLike | Any,
    architecture: PathLike | None = None,
    *,
    input_shape: Sequence[int] | None = None,
    example: Any = None,
) -> Model:
    """Read a trained network.

    Parameters
    ----------
    model : path, keras.Model or torch.nn.Module
        A file of Keras (``.keras``, ``.h5``), ONNX, Caffe, PyTorch parameters (``.pt``) or Lasagne (``.npz``); or a
        network in memory, which is exported to a temporary file by its own framework.
    architecture : path, optional
        The description of the layers, where the file holds parameters only: ``.prototxt``, or TOML.
    input_shape : sequence of int, optional
        Sizes of one sample in the order of the file, where the file leaves some open: ``(1, 28, 28)``.
    example : tensor, optional
        Of a torch module: an input of one sample, ``(1, ...)``, with which it is exported to ONNX.

    Returns
    -------
    Model

    Raises
    ------
    FileNotFoundError, OSError
        If the file cannot be read.
    ConversionError
        If it is damaged, or a layer is not known.

    Examples
    --------
    >>> import megasim
    >>> megasim.load("examples/digits/digits_cnn.keras").layers[1].kind
    'Conv2D'
    >>> megasim.load("no-such.keras")
    Traceback (most recent call last):
    FileNotFoundError: no-such.keras: cannot be read: No such file or directory (os error 2)
    """
    if isinstance(model, (str, os.PathLike)):
        if example is not None:
            raise ValueError("example: goes with a torch module, found a file")
        sizes = None if input_shape is None else [int(size) for size in input_shape]
        return Model(_megasim.Model.open(model, architecture, sizes))
    for name, value in (("architecture", architecture), ("input_shape", input_shape)):
        if value is not None:
            raise ValueError(f"{name}: goes with a file, found a network in memory")
    directory = tempfile.TemporaryDirectory(prefix="megasim-")
    torch, keras = sys.modules.get("torch"), sys.modules.get("keras")
    # With torch as its back end, a Keras model is a torch module too.
    if keras is not None and isinstance(model, keras.Model):
        if example is not None:
            raise ValueError("example: goes with a torch module, found a Keras model")
        path = os.path.join(directory.name, "model.keras")
        model.save(path)
    elif torch is not None and isinstance(model, torch.nn.Module):
        if example is None:
            raise ValueError("example: expected an input of one sample, (1, ...), to export the torch module with")
        path = os.path.join(directory.name, "model.onnx")
        training = model.training
        model.eval()
        try:
            torch.onnx.export(model, (example,), path)
        finally:
            model.train(training)
    else:
        directory.cleanup()
        kind = f"{type(model).__module__}.{type(model).__qualname__}"
        raise ValueError(f"load: expected a file, a keras.Model or a torch.nn.Module, found {kind}")
    return Model(_megasim.Model.open(path), directory)
