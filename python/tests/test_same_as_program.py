"""The package gives the bytes and figures of the program."""

from __future__ import annotations

import csv
import json
import pathlib
from typing import Any

import numpy as np
import pytest
from conftest import DIGITS, Array, Program

import megasim


def _files(directory: pathlib.Path) -> dict[str, bytes]:
    files = {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}
    # The record of the command line, which the package has none of.
    files.pop("run.json")
    return files


OPTIONS = [{}, {"duration": 10}, {"preset": "toolbox"}, {"preset": "toolbox", "percentile": 99.0, "reset": "zero"}]


@pytest.mark.parametrize("options", OPTIONS)
def test_netfiles_are_those_of_the_program(
    options: dict[str, Any],
    model: megasim.Model,
    x_norm: Array,
    digits: tuple[Array, Array],
    program: Program,
    tmp_path: pathlib.Path,
) -> None:
    words = [f"--{key}={value}" for key, value in options.items()]
    program("convert", DIGITS / "digits_cnn.keras", "--data", DIGITS, "--out", "theirs", *words)
    x, y = digits
    model.convert(x_norm, x_test=x, y_test=y, **options).save(tmp_path / "ours")
    ours, theirs = _files(tmp_path / "ours"), _files(tmp_path / "theirs")
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if ours[name] != theirs[name]] == []


def _without_time(figures: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in figures.items() if key != "seconds"}


@pytest.mark.parametrize(
    "options",
    [
        {"mode": "both"},
        {"mode": "event", "encode": "poisson", "seed": 5},
        {"mode": "clocked", "dt": 10, "confidence": 3},
        {"mode": "event", "readout": "first_spike"},
    ],
)
def test_classify(
    options: dict[str, Any], net: megasim.Network, digits: tuple[Array, Array], program: Program, tmp_path: pathlib.Path
) -> None:
    net.save(tmp_path / "net")
    words = [f"--{key}={value}" for key, value in options.items()]
    program("classify", "net", "--data", DIGITS, "--samples", "100", "--json", "theirs.json", *words)
    theirs = json.loads((tmp_path / "theirs.json").read_text())
    x, y = digits
    ours = net.classify(x, y, samples=100, **options)
    assert _without_time(ours.figures) == _without_time(theirs)
    assert ours.accuracy == theirs["accuracy"]["clocked" if options["mode"] == "clocked" else "event"]


def test_thresholds_follow_rates(
    net: megasim.Network, digits: tuple[Array, Array], program: Program, tmp_path: pathlib.Path
) -> None:
    net.save(tmp_path / "net")
    words = ["--samples", "20", "--duration", "30", "--mode", "both", "--timestep-fraction", "7"]
    program("classify", "net", "--data", DIGITS, "--online-normalization", "--json", "theirs.json", *words)
    theirs = json.loads((tmp_path / "theirs.json").read_text())
    x, y = digits
    ours = net.classify(x, y, samples=20, duration=30, mode="both", online_normalization=True, timestep_fraction=7)
    assert _without_time(ours.figures) == _without_time(theirs)
    assert ours.figures["thresholds"]


def test_neurobench(
    net: megasim.Network, digits: tuple[Array, Array], program: Program, tmp_path: pathlib.Path
) -> None:
    net.save(tmp_path / "net")
    words = ["--samples", "5", "--duration", "30", "--mode", "both", "--neurobench", "--json", "theirs.json"]
    program("classify", "net", "--data", DIGITS, *words)
    theirs = json.loads((tmp_path / "theirs.json").read_text())
    x, y = digits
    ours = net.classify(x, y, samples=5, duration=30, mode="both", neurobench=True)
    assert theirs["neurobench"]["parameter_count"] > 0 and ours.neurobench == theirs["neurobench"]
    assert _without_time(ours.figures) == _without_time(theirs)
    assert net.classify(x, y, samples=1, duration=5).neurobench is None


def test_single_samples(
    net: megasim.Network, digits: tuple[Array, Array], program: Program, tmp_path: pathlib.Path
) -> None:
    net.save(tmp_path / "net")
    x, y = digits
    ours = net.classify(x, y)
    wrong = np.flatnonzero(ours.predictions != y)
    for sample in [0, 1, int(wrong[0])]:
        out = f"{sample}.json"
        words = ["--mode", "event", "--skip", str(sample), "--samples", "1", "--json", out]
        program("classify", "net", "--data", DIGITS, *words)
        theirs = json.loads((tmp_path / out).read_text())
        assert theirs["accuracy"]["event"] == float(ours.predictions[sample] == y[sample])
        assert theirs["per_sample"]["spikes"]["event"] == ours.event.spikes[sample]  # type: ignore[union-attr]
        assert theirs["per_sample"]["synaptic_operations"]["event"] == ours.operations[sample]
        events = net.run(x[sample], record=["06Dense_10"])["06Dense_10"]
        assert np.bincount(events.neuron, events.polarity, minlength=10).tolist() == ours.counts[sample].tolist()


def test_runs_are_those_of_the_program(program: Program, tmp_path: pathlib.Path) -> None:
    schematic = DIGITS.parents[1] / "netfiles" / "two-neurons" / "megasim.sch"
    program("run", schematic, "--out", "theirs")
    theirs = megasim.read_events(tmp_path / "theirs")
    ours = megasim.read_netfiles(schematic).run()
    for name, events in ours.items():
        for column in ("t", "t_request", "t_acknowledge", "x", "y", "polarity"):
            assert getattr(events, column).tolist() == getattr(theirs[name], column).tolist()


def test_compare(net: megasim.Network, digits: tuple[Array, Array], program: Program, tmp_path: pathlib.Path) -> None:
    net.save(tmp_path / "net")
    program("compare", "net", "--data", DIGITS, "--samples", "20", "--dt", "1,10", "--json", "theirs.json")
    x, y = digits
    assert net.compare(x, y, samples=20, dt="1,10").figures == json.loads((tmp_path / "theirs.json").read_text())


def test_latency(net: megasim.Network, digits: tuple[Array, Array], program: Program, tmp_path: pathlib.Path) -> None:
    net.save(tmp_path / "net")
    words = ["--hardware", "loihi", "--pace", "fastest", "--samples", "10", "--json", "theirs.json"]
    program("latency", "net", "--data", DIGITS, *words)
    x, y = digits
    ours = net.latency(x, y, hardware="loihi", pace="fastest", samples=10)
    assert ours.figures == json.loads((tmp_path / "theirs.json").read_text())


@pytest.mark.parametrize(
    ("over", "hardware"),
    [
        ({"duration": [5, 20], "percentile": [99, 99.9]}, None),
        ({"all.delay_to_process": "log:1 ns..1 us:3"}, "loihi"),
    ],
)
def test_sweep(
    over: dict[str, Any],
    hardware: str | None,
    net: megasim.Network,
    x_norm: Array,
    digits: tuple[Array, Array],
    program: Program,
    tmp_path: pathlib.Path,
) -> None:
    net.save(tmp_path / "net")
    words = [f"--over={name}={values}".replace("[", "").replace("]", "") for name, values in over.items()]
    words += [] if hardware is None else ["--hardware", hardware]
    program("sweep", "net", "--data", DIGITS, "--samples", "10", "--out", "theirs", *words)
    with open(tmp_path / "theirs" / "sweep.csv", newline="") as file:
        columns, *rows = csv.reader(file)
    x, y = digits
    ours = net.sweep(x, y, over=over, x_norm=x_norm, hardware=hardware, samples=10)
    assert (ours.columns, ours.rows) == (columns, rows)


def test_verify(
    signed: megasim.Network, digits: tuple[Array, Array], program: Program, tmp_path: pathlib.Path
) -> None:
    signed.save(tmp_path / "net")
    program("verify", "net", "--data", DIGITS, "--samples", "3", "--orders", "2", "--json", "theirs.json")
    ours = signed.verify(digits[0], samples=3, orders=2)
    assert ours.figures == json.loads((tmp_path / "theirs.json").read_text())
    assert ours.is_exact and ours.compared > 0
