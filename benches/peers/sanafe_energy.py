"""Spikes, messages, energy and CPU time of SANA-FE's Loihi against `megasim latency --hardware loihi`, sample means.

    python benches/peers/sanafe_energy.py NETDIR DATA [--samples 2] [--program megasim]

CPU time is that of a sample: SANA-FE's of its simulation alone; megasim's of the whole program with all samples, less
that with one, by the samples between. NETDIR is what `megasim convert --preset toolbox` wrote. The Python that runs
this needs sanafe 2.2 and numpy.
"""

from __future__ import annotations

import json
import pathlib
import resource
import subprocess
import sys
import tempfile

import numpy as np
from common import comparison


def main() -> None:
    given = comparison(__doc__, 2).parse_args()
    layers = json.loads((given.netdir / "megasim.json").read_text())["layers"]
    names = [layer["name"] for layer in layers if layer["kind"] != "Flatten"]
    shown = ["--data", given.data, "--samples", str(given.samples), "--ticks-per-ms", "1"]
    with tempfile.TemporaryDirectory() as place:
        script, theirs, ours, latency = (pathlib.Path(place, name) for name in ("s", "t.npz", "o.npz", "l.json"))
        subprocess.run([given.program, "export", given.netdir, "--to", "sanafe", "--out", script], check=True)
        words = ["--data", given.data / "test.npz", "--samples", str(given.samples), "--out", theirs]
        subprocess.run([sys.executable, script / "network.py", *words], check=True, stdout=subprocess.DEVNULL)
        words = ["--mode", "clocked", "--record", ",".join(names), "--npz", ours]
        subprocess.run([given.program, "classify", given.netdir, *shown, *words], check=True, stdout=subprocess.DEVNULL)
        print(subprocess.run([given.program, "diff", ours, theirs], capture_output=True, text=True).stdout)
        words = ["--hardware", "loihi", "--json", latency]
        subprocess.run([given.program, "latency", given.netdir, *shown, *words], check=True, stdout=subprocess.DEVNULL)
        figures = json.loads(latency.read_text())
        energy = figures["energy"]
        found = dict(np.load(theirs))
        timed = ["latency", given.netdir, "--data", given.data, "--ticks-per-ms", "1", "--hardware", "loihi"]
        timed = [given.program, *timed, "--relief", "0", "--threads", "1", "--samples"]
        many = 10 * given.samples + 1
        cpu = (cpu_seconds([*timed, str(many)]) - cpu_seconds([*timed, "1"])) / (many - 1)
    accounts = [energy["input"], *energy["layers"].values()]
    causes = {
        "synapse": ("operations",),
        "soma": ("neurons", "updates", "spikes"),
        "network": ("messages", "hops"),
    }
    print("| energy, uJ per sample | megasim | SANA-FE |\n|---|---|---|")
    for part, keys in causes.items():
        one = sum(account[key] for account in accounts for key in keys)
        print(f"| {part} | {1e6 * one:.3f} | {1e6 * found[f'sample/{part}'].mean():.3f} |")
    print(f"| total | {1e6 * energy['total']:.3f} | {1e6 * found['sample/energy'].mean():.3f} |")
    messages = sum(node["messages"] for node in figures["nodes"].values()) / given.samples
    print("\n| per sample | megasim | SANA-FE |\n|---|---|---|")
    print(f"| messages | {messages:.1f} | {found['sample/messages'].mean():.1f} |")
    theirs = found["sample/cpu"].mean()
    print(f"| CPU time, s | {cpu:.4f} | {theirs:.4f} |")
    print(f"\nCPU time of megasim over that of SANA-FE: {cpu / theirs:.3f}")


def cpu_seconds(command: list) -> float:
    """User and system time of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
