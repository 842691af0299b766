"""Size of the pages of a large network, their height, and the time until Chromium first paints them.

    KERAS_BACKEND=torch python benches/pages/measure.py [--layers 50] [--program megasim] [--chromium /usr/bin/chromium]

Needs keras with a backend, numpy and playwright. The network is random: convolutions of 8 maps of 16 x 16 neurons each
(2,048 per layer), and a dense layer of 10. The pages of `classify` (8 samples) and `compare` (4 samples) are measured
as they open, in windows of 1280 and 390 pixels.
"""

from __future__ import annotations

import argparse
import pathlib
import subprocess
import tempfile

import keras
import numpy as np
from playwright.sync_api import sync_playwright

PAINTS = "performance.getEntriesByName('first-contentful-paint')"


def network(layers: int, folder: pathlib.Path) -> None:
    """Writes `m.keras` and data for it."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((16, 16, 1))])
    for _ in range(layers):
        model.add(keras.layers.Conv2D(8, 3, padding="same", activation="relu", kernel_initializer="he_normal"))
    model.add(keras.layers.Flatten())
    model.add(keras.layers.Dense(10, activation="softmax"))
    model.save(folder / "m.keras")
    random = np.random.default_rng(0)
    x, y = random.random((40, 16, 16, 1), dtype=np.float32), random.integers(0, 10, 40)
    for name in ("train", "test"):
        np.savez(folder / f"{name}.npz", x=x, y=y)


def main() -> None:
    """Prints a line for each page and width."""
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--layers", type=int, default=50)
    arguments.add_argument("--program", default="megasim")
    arguments.add_argument("--chromium", default="/usr/bin/chromium")
    chosen = arguments.parse_args()
    program = pathlib.Path(chosen.program)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        network(chosen.layers, folder)

        def run(*words: str) -> None:
            command = [str(program.resolve()) if program.exists() else chosen.program, *words, "--brief"]
            subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)

        run("convert", "m.keras", "--data", ".", "--out", "n", "--preset", "toolbox")
        for command, samples in (("classify", "8"), ("compare", "4")):
            page = f"{command}.html"
            run(command, "n", "--data", ".", "--samples", samples, "--duration", "50", "--report", page)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chosen.chromium, args=["--no-sandbox"])
            for width in (1280, 390):
                page = browser.new_page(viewport={"width": width, "height": 900})
                for command in ("classify", "compare"):
                    path = folder / f"{command}.html"
                    page.goto(path.as_uri())
                    height = page.evaluate("document.documentElement.scrollHeight")
                    size = path.stat().st_size / 1e6
                    page.wait_for_function(f"{PAINTS}.length > 0")
                    paint = page.evaluate(f"{PAINTS}[0].startTime")
                    print(f"{command}, {width} px wide: {size:.2f} MB, {height} px high, first paint {paint:.0f} ms")
            browser.close()


if __name__ == "__main__":
    main()
