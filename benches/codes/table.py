#!/usr/bin/env python3
"""Input codes against read-outs: accuracy, time of decision and operations, event by event and clocked.

    python benches/codes/table.py --megasim target/release/megasim --data MNIST mlp cnn

Each NETDIR is what `megasim convert` wrote. Prints one table per network, in Markdown: a row a code, a column a read-
out; in each cell accuracy, mean time of decision and thousand operations per image, event mode / clocked. Needs
nothing but Python.
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

CODES = [
    "regular", "poisson", "cpn:max_f=500", "pso", "ib", "ch", "burst:most=20", "latency", "latency-log", "ttfs", "rank",
    "delta:step=0.05", "current",
]
READ_OUTS = [["spike_count"], ["first_spike"], ["k_spikes", "--k", "5"], ["membrane_potential"]]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("netdirs", nargs="+", metavar="NETDIR")
    parser.add_argument("--megasim", default="megasim")
    parser.add_argument("--data", required=True)
    parser.add_argument("--samples", default="1000")
    parser.add_argument("--duration", default="200")
    parser.add_argument("--ticks-per-ms", default="1")
    parser.add_argument("--codes", help="with ';' between; all where it is not given")
    arguments = parser.parse_args()
    codes = arguments.codes.split(";") if arguments.codes else CODES
    for netdir in arguments.netdirs:
        analog = None
        rows = []
        for code in codes:
            row = f"| `{code}` |"
            for read_out in READ_OUTS:
                with tempfile.TemporaryDirectory() as directory:
                    result = Path(directory) / "result.json"
                    command = [arguments.megasim, "classify", netdir, "--data", arguments.data, "--json", str(result)]
                    command += ["--samples", arguments.samples, "--duration", arguments.duration]
                    command += ["--ticks-per-ms", arguments.ticks_per_ms, "--encode", code, "--readout", *read_out]
                    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
                    figures = json.loads(result.read_text())
                analog = figures["accuracy"]["ann"]
                both = lambda numbers, form: " / ".join(form(numbers[mode]) for mode in ["event", "clocked"])
                accuracy = both(figures["accuracy"], lambda share: f"{100 * share:.1f}")
                ms = both(figures["decision_ms"], lambda ms: f"{ms:.0f}")
                operations = both(figures["per_sample"]["synaptic_operations"], lambda n: f"{n / 1000:,.0f}")
                row += f" {accuracy} %; {ms} ms; {operations} |"
            rows.append(row)
        shown = f"{arguments.samples} samples, at most {arguments.duration} ms"
        print(f"{Path(netdir).name}: {shown}; the trained network is right on {100 * analog:.1f} %\n")
        print("| code | " + " | ".join(f"`{' '.join(read_out)}`" for read_out in READ_OUTS) + " |")
        print("|---" * (1 + len(READ_OUTS)) + "|")
        print("\n".join(rows) + "\n", flush=True)


main()
