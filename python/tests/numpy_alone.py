"""The package with numpy and nothing else: run by itself, in the folder of the repository."""

from __future__ import annotations

import importlib.util
import json
import pathlib
import subprocess
import sys
import tempfile
from typing import Any

import numpy as np

import megasim


def main() -> None:
    others = [name for name in ("pandas", "matplotlib", "pytest", "torch", "keras") if importlib.util.find_spec(name)]
    assert not others, f"expected an environment with numpy alone, found {others}"
    test, train = np.load("examples/digits/test.npz"), np.load("examples/digits/train.npz")
    x, y = test["x"], test["y"]
    model = megasim.load("examples/digits/digits_cnn.keras")
    with tempfile.TemporaryDirectory() as directory:
        networks: dict[str, dict[str, Any]] = {"short": {}, "toolbox": {"preset": "toolbox"}}
        for name, options in networks.items():
            path = pathlib.Path(directory, name)
            model.convert(train["x"], **options).save(path)
            net = megasim.open(path)
            res = net.classify(x, y, mode="event")
            program = pathlib.Path(sys.executable).with_name("megasim")
            words = ["classify", str(path), "--data", "examples/digits", "--mode", "event"]
            words += ["--json", f"{path}.json", "--predictions", f"{path}.npz"]
            subprocess.run([str(program), *words], check=True, stdout=subprocess.DEVNULL)
            theirs = json.loads(pathlib.Path(f"{path}.json").read_text())
            assert res.accuracy == theirs["accuracy"]["event"]
            table = np.load(f"{path}.npz")
            assert (res.predictions == table["event"]).all()
            assert (res.operations == table["event_operations"]).all()
            assert np.array_equal(res.scores, table["event_scores"])
            print(f"{name}: {res.accuracy:.4f}, as the program")


if __name__ == "__main__":
    main()
