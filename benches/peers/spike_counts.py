"""Spike counts of megasim's clocked mode against those of Brian2 and of PyNN on Brian2, layer by layer.

    python benches/peers/spike_counts.py NETDIR DATA [--samples 10] [--program megasim] [--to brian2|pynn]

NETDIR is what `megasim convert --preset toolbox` wrote (for PyNN with `--reset zero`), DATA a directory with
`test.npz`.
The Python that runs this needs numpy and Brian2 2.9 (and PyNN 0.13 with `--to pynn`): `pip install brian2 pynn`.
It exports the network, runs it there and here at one tick per millisecond, and prints what `megasim diff` says.
"""

from __future__ import annotations

import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from common import comparison


def main() -> None:
    parser = comparison(__doc__, 10)
    parser.add_argument("--to", choices=("brian2", "pynn"), default="brian2")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        script, theirs, ours = (pathlib.Path(place, name) for name in ("script", "theirs.npz", "ours.npz"))
        subprocess.run([given.program, "export", given.netdir, "--to", given.to, "--out", script], check=True)
        words = ["brian2"] if given.to == "pynn" else []
        words += ["--data", given.data / "test.npz", "--samples", str(given.samples), "--out", theirs]
        subprocess.run([sys.executable, script / "network.py", *words], check=True)
        layers = [name for name in np.load(theirs).files if "/" not in name and name != "InputLayer"]
        words = ["--data", given.data, "--samples", str(given.samples), "--mode", "clocked", "--ticks-per-ms", "1"]
        words += ["--record", ",".join(layers), "--npz", ours]
        subprocess.run([given.program, "classify", given.netdir, *words], check=True, stdout=subprocess.DEVNULL)
        sys.exit(subprocess.run([given.program, "diff", ours, theirs]).returncode)


if __name__ == "__main__":
    main()
