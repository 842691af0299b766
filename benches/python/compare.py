"""CPU time of `classify` from Python against the command, and memory of a recorded run.

    python benches/python/compare.py NETDIR DATA [--samples 1000] [--rounds 9] [--program megasim]

NETDIR is what `megasim convert` wrote, DATA a directory with `test.npz`. Rounds alternate between the two; medians, and
the median of the ratios of each round, are printed. The call is `net.classify` by itself; the process is all of
Python: its start, numpy, reading of files, the call. Scores, predictions and accuracy have to be equal.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import resource
import subprocess
import sys
import tempfile
from statistics import median

import numpy as np

CALL = """
import json, resource, sys, time
import numpy as np, megasim
net, data = megasim.open(sys.argv[1]), np.load(sys.argv[2])
x, y = data["x"][:int(sys.argv[3])], data["y"][:int(sys.argv[3])]
start = time.process_time()
res = net.classify(x, y, mode="event", threads=1)
call = time.process_time() - start
np.savez(sys.argv[4], event=res.predictions, event_scores=res.scores)
print(json.dumps({"call": call, "accuracy": res.accuracy}))
"""

RUN = """
import json, resource, sys
import numpy as np, megasim
net, x = megasim.open(sys.argv[1]), np.load(sys.argv[2])["x"][0]
net.run(x, duration=10)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rec = net.run(x, duration=10_000, record=None if sys.argv[3] == "all" else [])
more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
arrays = [getattr(rec[name], column) for name in rec for column in
          ("t", "t_request", "t_acknowledge", "x", "y", "polarity")]
print(json.dumps({"arrays": sum(array.nbytes for array in arrays) / 1e6, "peak": more * 1024 / 1e6,
                  "copies": sum(array.flags.owndata for array in arrays)}))
"""


def timed(words: list[str | pathlib.Path]) -> tuple[float, str]:
    """CPU seconds of a process, and what it printed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    said = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("netdir", type=pathlib.Path)
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--program", default="megasim")
    given = parser.parse_args()
    commands, calls, processes = [], [], []
    for turn in range(given.rounds):
        with tempfile.TemporaryDirectory() as place:
            ours, theirs, figures = (pathlib.Path(place, name) for name in ("ours.npz", "theirs.npz", "theirs.json"))
            words = [given.program, "classify", given.netdir, "--data", given.data, "--mode", "event", "--threads", "1"]
            words += ["--samples", str(given.samples), "--json", figures, "--predictions", theirs]
            script = [sys.executable, "-c", CALL, given.netdir, given.data / "test.npz", str(given.samples), ours]
            for is_command in (turn % 2 == 0, turn % 2 == 1):
                if is_command:
                    commands.append(timed(words)[0])
                else:
                    seconds, said = timed(script)
                    found = json.loads(said)
                    calls.append(found["call"])
                    processes.append(seconds)
            left, right = np.load(ours), np.load(theirs)
            assert all(np.array_equal(left[name], right[name]) for name in ("event", "event_scores"))
            assert found["accuracy"] == json.loads(figures.read_text())["accuracy"]["event"]
    print(f"{given.samples} samples, accuracy {found['accuracy']}; scores, predictions and accuracy are equal")
    print(f"CPU seconds: command {median(commands):.3f}, call {median(calls):.3f}, process {median(processes):.3f}")
    ratio = median(call / command for call, command in zip(calls, commands))
    print(f"call / command {ratio:.3f}")
    for record in ("none", "all"):
        said = timed([sys.executable, "-c", RUN, given.netdir, given.data / "test.npz", record])[1]
        found = json.loads(said)
        print(f"run, recorded: {record}: arrays {found['arrays']:.1f} MB, of which copied {found['copies']}; "
              f"peak of memory +{found['peak']:.1f} MB")


if __name__ == "__main__":
    main()
