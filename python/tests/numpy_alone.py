"""The package with numpy and nothing else: run by itself, in the folder of the repository."""

from __future__ import annotations

import importlib.util
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

import megasim


def main() -> None:
    others = [name for name in ("pandas", "matplotlib", "pytest", "torch", "keras") if importlib.util.find_spec(name)]
    assert not others, f"expected an environment with numpy alone, found {others}"
    test, train = np.load("examples/digits/test.npz"), np.load("examples/digits/train.npz")
    x, y = test["x"], test["y"]
    model = megasim.load("examples/digits/digits_cnn.keras")
    with tempfile.TemporaryDirectory() as directory:
        for name, options in {"common": {}, "signed": {"duration": 10, "neuron": "signed"}}.items():
            path = pathlib.Path(directory, name)
            model.convert(train["x"], **options).save(path)
            net = megasim.open(path)
            res = net.classify(x, y, mode="event")
            program = pathlib.Path(sys.executable).with_name("megasim")
            words = ["--data", "examples/digits", "--mode", "event"]
            files = ["--json", path.with_suffix(".json"), "--predictions", path.with_suffix(".npz")]
            subprocess.run([program, "classify", path, *words, *files], check=True, stdout=subprocess.DEVNULL)
            theirs = json.loads(path.with_suffix(".json").read_text())
            assert res.accuracy == theirs["accuracy"]["event"]
            table = np.load(path.with_suffix(".npz"))
            assert (res.predictions == table["event"]).all(), sorted(table.files)
            assert np.array_equal(res.counts, table["event_scores"]), sorted(table.files)
            print(f"{name}: {res.accuracy:.4f}, the predictions and counts of the program")


if __name__ == "__main__":
    main()
