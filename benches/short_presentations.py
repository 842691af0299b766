"""Measures conversions for short presentations: duration x way x mode, as a table in Markdown.

    python3 benches/short_presentations.py MODEL DATA [OPTIONS of classify, as --skip 1000 --samples 1000]

needs `megasim` on the PATH (or the environment variable MEGASIM) and the standard library only.
"""

import json
import os
import subprocess
import sys
import tempfile

MEGASIM = os.environ.get("MEGASIM", "megasim")
DURATIONS = ["5", "10", "20", "50", "100"]
WAYS = {
    "toolbox": lambda duration: ["--preset", "toolbox"],
    "calibrated": lambda duration: ["--duration", duration, "--neuron", "plain"],
    "signed": lambda duration: ["--preset", "toolbox", "--neuron", "signed"],
    "both": lambda duration: ["--duration", duration],
}


def megasim(*words):
    subprocess.run([MEGASIM, *words], check=True, stdout=subprocess.DEVNULL)


def figures(place, command, *words):
    file = os.path.join(place, "figures.json")
    megasim(command, *words, "--threads", "1", "--json", file, "--force")
    with open(file) as text:
        return json.load(text)


def main(model, data, *selection):
    print("| ms | way | event % | clocked % | event = analog % | event = clocked % | operations "
          "| spikes over the least | CPU ms event | CPU ms clocked |")
    print("|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for duration in DURATIONS:
        for way, options in WAYS.items():
            with tempfile.TemporaryDirectory() as place:
                net = os.path.join(place, "net")
                megasim("convert", model, "--data", data, "--out", net, *options(duration))
                shown = [net, "--data", data, "--duration", duration]
                found = figures(place, "classify", *shown, *selection)
                verify = figures(place, "verify", *shown, "--samples", "20", "--orders", "0", "--hardware", "ideal")
            event = next(it for it in verify["ways"] if it["name"] == "event")
            shares = [found["accuracy"]["event"], found["accuracy"]["clocked"],
                      found["agreement"]["event_ann"], found["agreement"]["event_clocked"]]
            print("|", duration, "|", way, "|", " | ".join(f"{100 * share:.1f}" for share in shares), "|",
                  f"{found['per_sample']['synaptic_operations']['event']:,.0f}", "|",
                  f"{event['spikes'] / max(verify['least_spikes'], 1):.2f}", "|",
                  " | ".join(f"{1000 * found['seconds'][mode]:.2f}" for mode in ["event", "clocked"]), "|", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
