"""Makes the data set and the trained network of the demo.

    python -m venv digits-venv
    digits-venv/bin/pip install keras==3.15.1 jax==0.10.2 scikit-learn==1.9.1 numpy==2.4.6 h5py==3.16.0
    digits-venv/bin/python make_digits.py

Writes, next to itself:

    train.npz, test.npz     x: uint8 (n, 8, 8), 0..255; y: uint8 (n,), class numbers
    digits_cnn.keras        the trained network (Keras 3 format, without optimizer state)
    expected_logits.npy     float32 (20, 10): inputs of the last softmax for the first 20 test digits

Seeds are fixed. Another processor or another version of the packages may still round differently while
training, so a second run elsewhere gives an equivalent network, not the same bytes.
"""

import os
from pathlib import Path

os.environ["KERAS_BACKEND"] = "jax"
os.environ["JAX_PLATFORMS"] = "cpu"

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

HERE = Path(__file__).resolve().parent
SEED = 1
TEST_SAMPLES = 450
EPOCHS = 120


def make_data():
    """The 1,797 digits with their values 0..16 spread over 0..255, split with equal class shares."""
    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    labels = digits.target.astype(np.uint8)
    x_train, x_test, y_train, y_test = train_test_split(
        images, labels, test_size=TEST_SAMPLES, stratify=labels, random_state=SEED
    )
    np.savez_compressed(HERE / "train.npz", x=x_train, y=y_train)
    np.savez_compressed(HERE / "test.npz", x=x_test, y=y_test)
    return x_train, y_train, x_test, y_test


def make_network():
    return keras.Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Conv2D(8, 3, padding="same", name="conv_1"),
            layers.BatchNormalization(name="norm_1"),
            layers.ReLU(name="relu_1"),
            layers.AveragePooling2D(2, name="pool_1"),
            layers.Conv2D(16, 3, padding="same", name="conv_2"),
            layers.BatchNormalization(name="norm_2"),
            layers.ReLU(name="relu_2"),
            layers.AveragePooling2D(2, name="pool_2"),
            layers.Flatten(name="flatten"),
            layers.Dense(32, activation="relu", name="dense_1"),
            layers.Dropout(0.25, name="dropout"),
            layers.Dense(10, activation="softmax", name="dense_2"),
        ],
        name="digits_cnn",
    )


def as_input(images):
    """The network's input: one channel, 0..1."""
    return images[..., np.newaxis].astype(np.float32) / 255


def main():
    x_train, y_train, x_test, y_test = make_data()

    keras.utils.set_random_seed(SEED)
    training = make_network()
    steps = EPOCHS * -(-len(x_train) // 32)
    training.compile(
        optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(3e-3, steps)),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    training.fit(as_input(x_train), y_train, batch_size=32, epochs=EPOCHS, verbose=0)

    # A network that was never compiled carries no optimizer state into the file.
    network = make_network()
    network.set_weights(training.get_weights())
    network.save(HERE / "digits_cnn.keras")

    # Everything below looks at the files, not at what made them.
    network = keras.saving.load_model(HERE / "digits_cnn.keras")
    with np.load(HERE / "test.npz") as test:
        probabilities = network.predict(as_input(test["x"]), verbose=0)
        correct = int((probabilities.argmax(axis=1) == test["y"]).sum())
        features = keras.Model(network.inputs, network.get_layer("dropout").output)
        last = network.get_layer("dense_2")
        kernel, bias = (weight.astype(np.float64) for weight in last.get_weights())
        logits = features.predict(as_input(test["x"][:20]), verbose=0).astype(np.float64) @ kernel + bias
    softmax = np.exp(logits - logits.max(axis=1, keepdims=True))
    softmax /= softmax.sum(axis=1, keepdims=True)
    assert np.abs(softmax - probabilities[:20]).max() < 1e-5
    np.save(HERE / "expected_logits.npy", logits.astype(np.float32))

    print(f"{network.count_params()} parameters")
    print(f"{len(y_train)} training digits, {len(y_test)} test digits")
    print(f"test accuracy {correct}/{len(y_test)} = {correct / len(y_test):.4f}")


if __name__ == "__main__":
    main()
