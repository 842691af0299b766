"""Runs one converted network on the same digits here and in other simulators, and prints one table.

    python compare.py --model MODEL --data DIR --megasim BINARY

Needs Python 3.11, g++ and make (Brian2 and ANNarchy compile their networks). The peers come from PyPI at the versions
of requirements.txt and requirements-annarchy.txt, into a virtual environment that is made on first use. Everything
runs one after the other, on one core with one thread.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PEERS = ["numpy", "brian2", "nest", "annarchy"]
ONE_THREAD = {
    name: "1"
    for name in (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "BLIS_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
        "RAYON_NUM_THREADS",
    )
}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    network = parser.add_mutually_exclusive_group(required=True)
    network.add_argument("--model", type=Path, help="trained network; converted first with megasim convert")
    network.add_argument("--netfiles", type=Path, help="directory that megasim convert already wrote")
    parser.add_argument("--data", type=Path, required=True, help="directory with test.npz (and train.npz to convert)")
    parser.add_argument("--megasim", type=Path, help="the binary, built with --release")
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--duration", type=int, default=100, help="ms per image, one tick each for the peers")
    parser.add_argument("--encode", choices=["regular", "poisson"], default="poisson")
    parser.add_argument("--input-rate", type=float, default=1000.0, help="Hz of a white pixel")
    parser.add_argument("--ticks-per-ms", type=int, help="of megasim (default: its own; the peers have one)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=PEERS, help="which of them to run")
    parser.add_argument("--core", type=int, help="run on this core (default: the last one allowed)")
    parser.add_argument("--environment", type=Path, default=HERE / "environment", help="the virtual environment")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    given = parser.parse_args()
    if given.model and not given.megasim:
        parser.error("--model needs --megasim to convert it")
    return given


def python_with_peers(environment, peers):
    """The environment's Python; makes the environment if it is not there or the versions have changed."""
    python = environment / "bin" / "python"

    def install(requirements, *options):
        wanted = (HERE / requirements).read_text()
        stamp = environment / f"installed-{requirements}"
        if stamp.exists() and stamp.read_text() == wanted:
            return
        print(f"installing {requirements} into {environment}", file=sys.stderr)
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", environment], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *options, "-r", HERE / requirements], check=True)
        stamp.write_text(wanted)

    try:
        install("requirements.txt", "--only-binary=:all:")
    except subprocess.CalledProcessError:
        sys.exit("the peers could not be installed; pip's message is above")
    if "annarchy" in peers:
        try:
            install("requirements-annarchy.txt")
        except subprocess.CalledProcessError:
            print("ANNarchy could not be installed", file=sys.stderr)
    return python


def run(command, core):
    """Runs a command on one core with one thread; its standard output, and user and system seconds."""

    def pin():
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {core})

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **ONE_THREAD},
        preexec_fn=pin,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        shown = " ".join(str(part) for part in command)
        raise RuntimeError(f"{shown}\nended with {done.returncode}\n{done.stderr[-2000:]}")
    return done.stdout, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def run_peer(name, python, netfiles, given, core):
    command = [python, HERE / f"peer_{name}.py", netfiles, given.data]
    command += ["--samples", given.samples, "--duration", given.duration, "--encode", given.encode]
    command += ["--input-rate", given.input_rate, "--seed", given.seed]
    output, _ = run(command, core)
    return json.loads(output.strip().splitlines()[-1])


def run_megasim(netfiles, given, core, work):
    def classify(samples):
        result = work / f"classify-{samples}.json"
        command = [given.megasim, "classify", netfiles, "--data", given.data, "--mode", "event", "--samples", samples]
        command += ["--duration", given.duration, "--encode", given.encode, "--input-rate", f"{given.input_rate:g}"]
        command += ["--threads", 1, "--json", result]
        if given.encode == "poisson":
            command += ["--seed", given.seed]
        if given.ticks_per_ms:
            command += ["--ticks-per-ms", given.ticks_per_ms]
        _, seconds = run(command, core)
        return json.loads(result.read_text()), seconds

    few = max(1, given.samples // 10)
    _, seconds_few = classify(few)
    result, seconds = classify(given.samples)
    # What each further image costs the whole process: loading the files drops out, all else is in.
    slope = (seconds - seconds_few) / max(1, given.samples - few)
    return dict(
        name="megasim, event mode",
        accuracy=result["accuracy"]["event"],
        cpu_ms_per_image=1000 * slope,
        operations_per_image=result["per_sample"]["synaptic_operations"]["event"],
        setup="event by event; image by image",
        analog_accuracy=result["accuracy"]["ann"],
        # `seconds` of classify are those of the engine alone, without making the input.
        cpu_ms_per_image_of_engine=1000 * result["seconds"]["event"],
    )


def table(rows, given):
    ours = next((row for row in rows if row["name"].startswith("megasim")), None)
    head = ["", "accuracy", "CPU ms/image", "operations/image", "G operations/s", "times megasim"]
    cells = [head]
    for row in rows:
        milliseconds = row["cpu_ms_per_image"]
        cells.append(
            [
                row["name"],
                f"{row['accuracy']:.4f}",
                f"{milliseconds:.3f}",
                f"{row['operations_per_image']:,.0f}",
                f"{row['operations_per_image'] / milliseconds / 1e6:.2f}",
                f"{milliseconds / ours['cpu_ms_per_image']:.2f}" if ours else "-",
            ]
        )
    widths = [max(len(line[column]) for line in cells) for column in range(len(head))]
    print(f"{given.samples} images, {given.duration} ms each, {given.encode} input, {given.input_rate:g} Hz, one core")
    for line in cells:
        print("  ".join(cell.ljust(w) if k == 0 else cell.rjust(w) for k, (cell, w) in enumerate(zip(line, widths))))
    for row in rows:
        print(f"{row['name']}: {row['setup']}")
    if ours:
        print(f"analog accuracy: {ours['analog_accuracy']}")
        engine = ours["cpu_ms_per_image_of_engine"]
        print(f"megasim by its own count, the engine alone without making the input: {engine:.3f} ms/image")


def main():
    given = arguments()
    core = given.core
    if core is None and hasattr(os, "sched_getaffinity"):
        core = max(os.sched_getaffinity(0))
    work = Path(tempfile.mkdtemp(prefix="megasim-peers-"))
    rows, failed = [], False
    try:
        python = python_with_peers(given.environment.absolute(), given.peers) if given.peers else None
        netfiles = given.netfiles
        if given.model:
            netfiles = work / "netfiles"
            run([given.megasim, "convert", given.model, "--data", given.data, "--out", netfiles], core)
        if given.megasim:
            rows.append(run_megasim(netfiles, given, core, work))
        for name in given.peers:
            print(f"running {name}", file=sys.stderr)
            try:
                rows.append(run_peer(name, python, netfiles, given, core))
            except RuntimeError as problem:
                failed = True
                print(f"{name} is left out:\n{problem}", file=sys.stderr)
    except RuntimeError as problem:
        sys.exit(str(problem))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    table(rows, given)
    if given.json:
        given.json.write_text(json.dumps(dict(settings=vars(given), rows=rows), default=str, indent=1) + "\n")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
