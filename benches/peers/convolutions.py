"""Convolutional networks in event and clocked mode against onnxruntime, which runs the same layers densely.

    python benches/peers/convolutions.py --megasim target/release/megasim --data DIR MODEL.onnx [MODEL.onnx ...]

Needs the packages onnx, onnxruntime and numpy. Each model is converted twice: with the defaults, and with
--preset toolbox. Every round runs each of the programs once, one after the other, so that other work on the machine
meets all of them; the table has the medians of CPU time per image, and our time divided by that of onnxruntime, which
takes as many steps as a presentation has milliseconds. Clocked mode has a step per tick, ten in a millisecond; with
--dt 10 it has those of onnxruntime.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

PEER = Path(__file__).with_name("peer_onnxruntime.py")
WAYS = {"defaults": [], "toolbox": ["--preset", "toolbox"]}


def output(command):
    return subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True).stdout


def seconds_of_peer(given, model, duration):
    command = [sys.executable, PEER, model, given.data, "--duration", duration]
    return json.loads(output([*command, "--samples", given.samples, "--batch", given.samples]))["seconds_per_image"]


def seconds(given, netfiles, mode, scratch):
    result = scratch / "result.json"
    command = [given.megasim, "classify", netfiles, "--data", given.data, "--samples", given.samples, "--mode", mode]
    steps = ["--dt", given.dt] if mode == "clocked" else []
    output([*command, *steps, "--threads", 1, "--json", result, "--force"])
    return json.loads(result.read_text())["seconds"][mode]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--megasim", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dt", type=int, default=1, help="ticks of a step of clocked mode")
    given = parser.parse_args()

    print("| network | conversion | ms | event, ms | clocked, ms | onnxruntime, ms | event | clocked |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as directory:
        scratch = Path(directory)
        for model in given.models:
            for way, options in WAYS.items():
                netfiles = scratch / f"{model.stem}-{way}"
                output([given.megasim, "convert", model, "--data", given.data, "--out", netfiles, *options])
                manifest = json.loads((netfiles / "megasim.json").read_text())
                duration = int((manifest.get("presentation") or {}).get("duration", 100))
                rounds = []
                for _ in range(given.rounds):
                    ours = [seconds(given, netfiles, mode, scratch) for mode in ("event", "clocked")]
                    rounds.append([*ours, seconds_of_peer(given, model, duration)])
                event, clocked, peer = (statistics.median(column) * 1000 for column in zip(*rounds))
                ratios = f"{event / peer:.2f} | {clocked / peer:.2f}"
                print(f"| {model.stem} | {way} | {duration} | {event:.2f} | {clocked:.2f} | {peer:.2f} | {ratios} |")


if __name__ == "__main__":
    main()
