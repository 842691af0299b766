"""Networks in memory of other libraries. Each test is left out where its library is not installed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import Array

import megasim


def test_a_keras_model_in_memory(digits: tuple[Array, Array], x_norm: Array) -> None:
    keras: Any = pytest.importorskip("keras", exc_type=ImportError)
    layers = keras.layers
    network = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.AveragePooling2D(2),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )
    x = digits[0][:20]
    model = megasim.load(network)
    expected = network.predict(x.reshape(20, 8, 8, 1).astype(np.float32) / 255, verbose=0)
    assert np.abs(model.predict(x) - expected).max() < 1e-5
    net = model.convert(x_norm, progress=False)
    assert net.classify(x).counts.shape == (20, 10)
    with pytest.raises(ValueError, match="^example: goes with a torch module, found a Keras model$"):
        megasim.load(network, example=x)


def test_a_torch_module_in_memory(digits: tuple[Array, Array], x_norm: Array) -> None:
    torch: Any = pytest.importorskip("torch", exc_type=ImportError)
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    torch.manual_seed(1)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3),
        torch.nn.BatchNorm2d(4),
        torch.nn.ReLU(),
        torch.nn.Dropout(0.5),
        torch.nn.AvgPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(36, 10),
    )
    x = digits[0][:20]
    with pytest.raises(ValueError, match="^example: expected an input of one sample"):
        megasim.load(network)
    network.train()
    model = megasim.load(network, example=torch.zeros(1, 1, 8, 8))
    assert network.training, "the module is left as it was"
    network.eval()
    with torch.no_grad():
        expected = network(torch.from_numpy(x.reshape(20, 1, 8, 8).astype(np.float32) / 255)).numpy()
    assert np.abs(model.predict(x) - expected).max() < 1e-5
    assert model.convert(x_norm, progress=False).classify(x).counts.shape == (20, 10)


@pytest.mark.parametrize("fixture", ["net", "signed"])
def test_nir_data(fixture: str, request: pytest.FixtureRequest, digits: tuple[Array, Array]) -> None:
    data_ir: Any = pytest.importorskip("nir.data_ir")
    net = request.getfixturevalue(fixture)
    rec = net.run(digits[0][0], record=["00Conv2D_8x8x8", "05Dense_32"])
    graph = rec.to_nir_data()
    assert isinstance(graph, data_ir.NIRGraphData)
    spikes = graph.nodes["00Conv2D_8x8x8"].observables["spikes"]
    events = rec["00Conv2D_8x8x8"]
    kept = np.abs(events.polarity) == 1
    assert spikes.n_neurons == 512 and spikes.idx[0].tolist() == events.neuron[kept].tolist()
    assert np.allclose(spikes.time[0] * 1e4, events.t_request[kept]) and spikes.time.max() < spikes.t_max
    assert isinstance(spikes, data_ir.ValuedEventData) == (fixture == "signed")
    # What other libraries make of it has all spikes: one bin is one tick.
    dense = graph.nodes["05Dense_32"].observables["spikes"].to_time_gridded(1e-4)
    assert dense.n_neurons == 32 and np.count_nonzero(dense.data) > 0
