"""What can be called, in every form of input."""

from __future__ import annotations

import os
import pathlib
import signal
import sys
import threading
import time
from typing import Any

import numpy as np
import pytest
from conftest import DIGITS, Array, Program
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import megasim


def test_the_main_job(model: megasim.Model, x_norm: Array, digits: tuple[Array, Array], tmp_path: pathlib.Path) -> None:
    x, y = digits
    net = model.convert(x_norm, duration=10, neuron="signed")
    net.save(tmp_path / "netfiles")
    net = megasim.open(tmp_path / "netfiles")
    assert net.schematic_path == str(tmp_path / "netfiles" / "megasim.sch")
    res = net.classify(x, y, mode="event", threads=1)
    assert res.accuracy > 0.97 and res.interval[0] < res.accuracy < res.interval[1]
    assert res.predictions.shape == (450,) and res.counts.shape == (450, 10)
    assert res.event is not None and res.clocked is None
    assert "<table>" in res._repr_html_() and "accuracy" in res._repr_html_()


def test_stages(net: megasim.Network, model: megasim.Model, x_norm: Array) -> None:
    assert list(net.stages) == ["as read", "parsed", "normalised", "as integers"]
    assert model.convert(x_norm).stages == {}


def test_predictions_of_the_trained_network(model: megasim.Model, digits: tuple[Array, Array]) -> None:
    expected = np.load(DIGITS / "expected_logits.npy")
    outputs = model.predict(digits[0][: len(expected)])
    assert outputs.shape == expected.shape
    # The file has logits; a softmax keeps their order.
    assert (outputs.argmax(1) == expected.argmax(1)).all()


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64", "int16", "uint64", ">f4", "bool"])
def test_dtypes(dtype: str, net: megasim.Network, digits: tuple[Array, Array]) -> None:
    x = digits[0][:10]
    whole = (x > 127) if dtype in ("int16", "uint64", "bool") else x / np.float32(255)
    given = x if dtype == "uint8" else whole.astype(dtype)
    expected = net.classify(np.asarray(x if dtype == "uint8" else whole, np.float32) / (255 if dtype == "uint8" else 1))
    assert (net.classify(given).counts == expected.counts).all()


def test_layouts(net: megasim.Network, digits: tuple[Array, Array]) -> None:
    x = digits[0][:10]
    expected = net.classify(x).counts
    flat = x.reshape(10, 64)
    others: list[Any] = [
        flat,
        x.reshape(10, 1, 8, 8),
        x.reshape(10, 8, 8, 1),
        np.asfortranarray(x),
        np.repeat(flat, 2, axis=1)[:, ::2],
        flat[::-1][::-1],
        flat.tolist(),
    ]
    for other in others:
        given = np.asarray(other, np.uint8) if isinstance(other, list) else other
        assert (net.classify(given).counts == expected).all()


def test_one_hot_labels(net: megasim.Network, digits: tuple[Array, Array]) -> None:
    x, y = digits
    assert net.classify(x[:20], np.eye(10)[y[:20]]).accuracy == net.classify(x[:20], y[:20]).accuracy


def test_no_labels(net: megasim.Network, digits: tuple[Array, Array]) -> None:
    res = net.classify(digits[0][:5])
    assert res.labels is None
    with pytest.raises(ValueError, match="^accuracy: expected labels, found none"):
        _ = res.accuracy


def test_threads_change_nothing(net: megasim.Network, digits: tuple[Array, Array]) -> None:
    one = net.classify(digits[0][:30], encode="poisson", seed=3, threads=1)
    two = net.classify(digits[0][:30], encode="poisson", seed=3, threads=2)
    assert (one.counts == two.counts).all() and (one.operations == two.operations).all()


def test_recordings(net: megasim.Network, digits: tuple[Array, Array]) -> None:
    x = digits[0]
    rec = net.run(x[0], record=["00Conv2D_8x8x8", "06Dense_10"], potentials=["06Dense_10"])
    assert set(rec) == {"00Conv2D_8x8x8", "06Dense_10"}
    first, last = rec["00Conv2D_8x8x8"], rec["06Dense_10"]
    assert first.t_request.tolist() == sorted(first.t_request.tolist())
    assert first.map.max() < 8 and first.neuron.max() < 8 * 64
    assert len(last) == rec.counts["06Dense_10"]
    assert rec.potentials["06Dense_10"].shape == (10,)
    # The engine's memory, which the array owns.
    assert last.t.flags.c_contiguous and rec["06Dense_10"].t is last.t
    assert net.run(x[:1], record=["06Dense_10"])["06Dense_10"].t.tolist() == last.t.tolist()


def test_simulations_are_runs(net: megasim.Network, digits: tuple[Array, Array]) -> None:
    x = digits[0]
    whole = net.run(x[0], record=["06Dense_10"], potentials=True)
    sim = megasim.Simulation(net)
    sim.inject_sample(x[0])
    seen = 0
    for t in range(99, 1000, 100):
        sim.run_until(t)
        events = sim.events("06Dense_10")
        assert len(events) >= seen and (len(events) == 0 or events.t_request.max() <= t)
        seen = len(events)
    assert sim.events("06Dense_10").t_request.tolist() == whole["06Dense_10"].t_request.tolist()
    assert sim.potentials("06Dense_10").tolist() == whole.potentials["06Dense_10"].tolist()
    assert sim.operations == whole.operations
    with pytest.raises(ValueError, match="after the present one, 999, found 5"):
        sim.inject(sim.sources[0], 5)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    events=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 0), st.sampled_from([1, -1])), max_size=40),
    number=st.integers(0, 1_000_000),
)
def test_netfiles_round_trip(events: list[tuple[int, int, int]], number: int, tmp_path: pathlib.Path) -> None:
    netfiles = megasim.read_netfiles("netfiles/two-neurons")
    columns = [list(column) for column in zip(*events)] if events else [[], [], []]
    changed = netfiles.with_stimulus("input", columns[0], columns[1], polarity=columns[2])
    directory = tmp_path / f"{number}"
    megasim.write_netfiles(directory, changed, force=True)
    again = megasim.read_netfiles(directory)
    for name in ("t", "x", "y", "polarity"):
        assert again.stimulus("input")[name].tolist() == changed.stimulus("input")[name].tolist()
    first, second = changed.run(), again.run()
    assert first.keys() == second.keys()
    assert all(first[name].t.tolist() == second[name].t.tolist() for name in first)


def test_differences(program: Program, tmp_path: pathlib.Path) -> None:
    schematic = DIGITS.parents[1] / "netfiles" / "two-neurons" / "megasim.sch"
    program("run", schematic, "--out", "a")
    program("run", schematic, "--out", "b", "--tmax", "9")
    same = megasim.diff(tmp_path / "a", tmp_path / "a")
    assert all(node.is_equal for node in same.values())
    other = megasim.diff(tmp_path / "a", tmp_path / "b")
    assert any(node.missing > 0 and not node.is_equal for node in other.values())


def test_progress_is_reported(net: megasim.Network, digits: tuple[Array, Array]) -> None:
    seen: list[tuple[str, int, int]] = []
    net.classify(*digits, mode="both", threads=1, progress=lambda *now: seen.append(now))
    assert seen and seen[-1][0] == "clocked" and all(0 <= done <= units == 450 for _, done, units in seen)


def test_exceptions_of_progress_stop_the_work(net: megasim.Network, digits: tuple[Array, Array]) -> None:
    def refuse(part: str, done: int, units: int) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        net.classify(*digits, progress=refuse)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
def test_ctrl_c(net: megasim.Network, digits: tuple[Array, Array]) -> None:
    x = np.concatenate([digits[0]] * 40)
    timer = threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT))
    start = time.monotonic()
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        net.classify(x, duration=1000, threads=1)
    assert time.monotonic() - start < 60


def test_other_threads_run_meanwhile(net: megasim.Network, digits: tuple[Array, Array]) -> None:
    turns = []
    stop = threading.Event()

    def count() -> None:
        while not stop.is_set():
            turns.append(1)
            time.sleep(0.001)

    thread = threading.Thread(target=count)
    thread.start()
    try:
        net.classify(*digits, threads=1)
    finally:
        stop.set()
        thread.join()
    assert len(turns) > 5


def test_tables(net: megasim.Network, digits: tuple[Array, Array]) -> None:
    pandas = pytest.importorskip("pandas")
    x, y = digits
    table = net.classify(x[:10], y[:10], mode="both").to_pandas()
    assert list(table.columns[:3]) == ["label", "analog", "event"] and len(table) == 10
    sweep = net.sweep(x, y, over={"duration": [5, 20]}, samples=10).to_pandas()
    assert pandas.api.types.is_numeric_dtype(sweep["duration"])
    assert len(net.latency(x, y, samples=3, relief=0).to_pandas()) == 3
    assert len(net.compare(x, y, samples=3, causes=0).to_pandas()) > 3
    assert len(net.run(x[0], record=["06Dense_10"])["06Dense_10"].to_pandas()) > 0


def test_frameworks_are_not_imported() -> None:
    import subprocess

    code = "import megasim, sys; print([name for name in ('keras', 'torch', 'pandas', 'nir') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_single_spike_networks(digits: tuple[Array, Array]) -> None:
    descriptions = sorted((DIGITS.parents[1] / "examples").rglob("*.toml"))
    descriptions += sorted((DIGITS.parents[1] / "tests" / "data" / "single-spike").rglob("*.toml"))
    x, y = digits
    tried = 0
    for path in descriptions:
        try:
            network = megasim.stdp.Network.from_toml(path, seed=1)
        except ValueError:
            continue
        rows, columns = network.input_shape
        images = np.zeros((4, rows, columns), np.uint8)
        images[:, : min(8, rows), : min(8, columns)] = x[:4].reshape(4, 8, 8)[:, :rows, :columns]
        assert network.features(images).shape[0] == 4
        tried += 1
        break
    assert tried == 1
