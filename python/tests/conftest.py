"""What tests share: the demo's digits, converted once."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import megasim

ROOT = pathlib.Path(__file__).resolve().parents[2]
DIGITS = ROOT / "examples" / "digits"

Array = npt.NDArray[Any]


@pytest.fixture(scope="session")
def digits() -> tuple[Array, Array]:
    data = np.load(DIGITS / "test.npz")
    return data["x"], data["y"]


@pytest.fixture(scope="session")
def x_norm() -> Array:
    x: Array = np.load(DIGITS / "train.npz")["x"]
    return x


@pytest.fixture(scope="session")
def model() -> megasim.Model:
    return megasim.load(DIGITS / "digits_cnn.keras")


@pytest.fixture(scope="session")
def net(model: megasim.Model, x_norm: Array, digits: tuple[Array, Array]) -> megasim.Network:
    x, y = digits
    return model.convert(x_norm, x_test=x, y_test=y, preset="toolbox")


@pytest.fixture(scope="session")
def signed(model: megasim.Model, x_norm: Array, digits: tuple[Array, Array]) -> megasim.Network:
    x, y = digits
    return model.convert(x_norm, x_test=x, y_test=y, duration=10, neuron="signed")


class Program:
    """The program of the package."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory

    def __call__(self, *words: str | os.PathLike[str], status: int = 0) -> subprocess.CompletedProcess[str]:
        installed = pathlib.Path(sys.executable).with_name("megasim")
        program = str(installed) if installed.exists() else shutil.which("megasim")
        assert program is not None, "the wheel has a script"
        done = subprocess.run([program, *words], cwd=self.directory, capture_output=True, text=True, timeout=300)
        assert done.returncode == status, done.stderr
        return done


@pytest.fixture
def program(tmp_path: pathlib.Path) -> Program:
    return Program(tmp_path)
