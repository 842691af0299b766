"""Faults are exceptions with the words of the program."""

from __future__ import annotations

import pathlib
import zipfile
from typing import Any

import numpy as np
import pytest
from conftest import DIGITS, Array, Program

import megasim


def test_a_wrong_dtype(net: megasim.Network) -> None:
    with pytest.raises(ValueError, match=r"^x: its array: expected an array of real numbers, found elements '<c16'$"):
        net.classify(np.zeros((2, 64), np.complex128), [0, 1])


@pytest.mark.parametrize("shape", [(2, 7), (2, 8, 7), (0, 64), ()])
def test_a_wrong_shape(shape: tuple[int, ...], net: megasim.Network) -> None:
    with pytest.raises(ValueError, match=r"^x: its array: expected "):
        net.classify(np.zeros(shape, np.float32), np.zeros(2, int))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite(value: float, net: megasim.Network) -> None:
    x = np.zeros((2, 64))
    x[1, 3] = value
    with pytest.raises(ValueError, match=r"^x: its array: expected finite numbers, found .* in sample 1$"):
        net.classify(x, [0, 1])


def test_labels_that_do_not_fit(net: megasim.Network) -> None:
    x = np.zeros((2, 64))
    with pytest.raises(ValueError, match=r"^y: its array: expected 2 labels, one per sample, found 3$"):
        net.classify(x, [0, 1, 2])
    with pytest.raises(ValueError, match=r"^y: its array: expected labels from 0 to 9, found 10 for sample 1$"):
        net.classify(x, [0, 10])
    with pytest.raises(ValueError, match=r"^y: its array: expected a single 1 among zeros as the label of sample 0"):
        net.classify(x, np.zeros((2, 10)))


def test_a_missing_file() -> None:
    with pytest.raises(FileNotFoundError, match=r"^no-such.keras: cannot be read"):
        megasim.load("no-such.keras")
    with pytest.raises(FileNotFoundError, match=r"megasim.json: cannot be read"):
        megasim.open("no-such-directory")
    with pytest.raises(FileNotFoundError):
        megasim.read_netfiles("no-such.sch")


def test_a_damaged_file(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes((DIGITS / "digits_cnn.keras").read_bytes()[:100])
    with pytest.raises(megasim.ConversionError, match="model.keras"):
        megasim.load(path)


def test_a_layer_that_is_not_supported(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "recurrent.keras"
    with zipfile.ZipFile(DIGITS / "digits_cnn.keras") as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "config.json":
                content = content.replace(b'"class_name": "AveragePooling2D"', b'"class_name": "ConvLSTM2D"')
            target.writestr(name, content)
    with pytest.raises(megasim.ConversionError, match="recurrent.keras: .*ConvLSTM2D"):
        megasim.load(path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"duration": 0}, r"invalid value '0' for '--duration <MS>': 0 is not in 1..=1000000"),
        ({"mode": "quick"}, r"invalid value 'quick' for '--mode <MODE>'"),
        ({"encode": "morse"}, r"invalid value 'morse' for '--encode <CODE>'"),
        ({"no_such": 1}, r"unexpected argument '--no-such' found"),
        ({"seed": 1}, r"--seed: expected a random code"),
        ({"readout": "first_spike", "confidence": 2}, r"--confidence goes with --readout spike_count"),
        ({"readout": "count_and_rest"}, r"--readout count_and_rest: expected signed neurons"),
    ],
)
def test_options_are_those_of_the_program(
    options: dict[str, Any], message: str, net: megasim.Network, digits: tuple[Array, Array], program: Program,
    tmp_path: pathlib.Path,
) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        net.classify(*digits, samples=2, **options)
    # The program says it, too.
    net.save(tmp_path / "net")
    words = [f"--{key.replace('_', '-')}={value}" for key, value in options.items()]
    status = 1 if "confidence" in options or "count_and_rest" in options.values() else 2
    said = program("classify", "net", "--data", DIGITS, "--samples", "2", *words, status=status).stderr
    assert " ".join(str(raised.value).split("\n")[0].split()) in " ".join(said.split())


def test_conversions_say_what_does_not_go_together(model: megasim.Model, x_norm: Array) -> None:
    with pytest.raises(ValueError, match=r"^--neuron signed goes with --reset subtract$"):
        model.convert(x_norm, neuron="signed", reset="zero")
    with pytest.raises(ValueError, match=r"^x_norm: its array: expected samples of shape \(1, 8, 8\)"):
        model.convert(x_norm[:, :3].reshape(len(x_norm), -1))
    with pytest.raises(ValueError, match=r"^x_norm: expected samples to normalise with, found none$"):
        model.convert()


def test_a_directory_is_not_replaced(net: megasim.Network, tmp_path: pathlib.Path) -> None:
    net.save(tmp_path / "net")
    with pytest.raises((OSError, ValueError)):
        net.save(tmp_path / "net")
    net.save(tmp_path / "net", force=True)


def test_a_layer_that_is_not_there(net: megasim.Network, digits: tuple[Array, Array]) -> None:
    with pytest.raises(ValueError, match=r"^record: expected a layer or node of the network \(00Conv2D_8x8x8, "):
        net.run(digits[0][0], record=["05Dense_64"])
    with pytest.raises(KeyError, match="that was recorded"):
        net.run(digits[0][0], record=["06Dense_10"])["05Dense_32"]


def test_a_machine_that_is_wrong(net: megasim.Network, digits: tuple[Array, Array], tmp_path: pathlib.Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('tick = "1 ns"\n[all]\ndelay_to_proces = "16 ns"\n')
    with pytest.raises(ValueError, match=r"mine.toml:3: unknown key `delay_to_proces`; did you mean"):
        net.latency(*digits, hardware=path, samples=2)


def test_warnings_are_python_warnings(net: megasim.Network) -> None:
    with pytest.warns(megasim.MegasimWarning, match="hold values up to 3"):
        net.classify(np.full((1, 64), 3.0), [0])


IN_MEMORY = {
    "convert": ["out", "export", "save_scales", "save_parsed", "parsed", "normalised", "architecture", "input_shape"],
    "classify": ["json", "report", "predictions", "history", "save_thresholds", "data"],
    "compare": ["json", "report", "history", "labels"],
    "latency": ["json", "report", "trace", "labels"],
    "sweep": ["out", "report", "labels"],
    "verify": ["json"],
    "run": ["json", "readout", "confidence", "k", "threads", "samples", "online_normalization"],
}


@pytest.mark.parametrize(("call", "option"), [(call, option) for call, all in IN_MEMORY.items() for option in all])
def test_options_without_effect_are_refused(
    call: str, option: str, net: megasim.Network, model: megasim.Model, digits: tuple[Array, Array], x_norm: Array
) -> None:
    x, y = digits
    given: dict[str, Any] = {option: "a.json"}
    name = option.replace("_", "-")
    with pytest.raises(ValueError, match=f"^--{name}: has no effect here: "):
        if call == "convert":
            model.convert(x_norm, **given)
        elif call == "run":
            net.run(x[0], **given)
        elif call == "verify":
            net.verify(x, **given)
        elif call == "sweep":
            net.sweep(x, y, over={"duration": [5]}, **given)
        else:
            getattr(net, call)(x, y, **given)


def test_a_sample_becomes_spikes_without_a_run(net: megasim.Network, digits: tuple[Array, Array]) -> None:
    sim = megasim.Simulation(net)
    with pytest.raises(ValueError, match="^--mode: has no effect here: "):
        sim.inject_sample(digits[0][0], mode="clocked")


def test_both_modes_are_not_one_run(net: megasim.Network, digits: tuple[Array, Array]) -> None:
    with pytest.raises(ValueError, match="^mode: expected 'event' or 'clocked', found 'both'$"):
        net.run(digits[0][0], mode="both")


def test_neurons_of_files_are_addresses(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "node_a.evs"
    path.write_text("1 1 1 0 1 1\n")
    with pytest.raises(ValueError, match="^neuron: expected events of a converted network"):
        _ = megasim.read_events(path)["a"].neuron


@pytest.mark.parametrize("option", ["scales", "settings"])
def test_files_of_options_that_are_missing(option: str, model: megasim.Model, x_norm: Array) -> None:
    with pytest.raises(FileNotFoundError, match=r"^no-such.file: cannot be read"):
        model.convert(x_norm, **{option: "no-such.file"})  # type: ignore[arg-type]


def test_a_machine_that_is_missing(net: megasim.Network, digits: tuple[Array, Array]) -> None:
    with pytest.raises(FileNotFoundError, match=r"no-such.toml"):
        net.latency(*digits, hardware="no-such.toml", samples=2)
