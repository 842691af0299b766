"""Arrays are the engine's memory; Ctrl-C and bars reach the person."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from conftest import ROOT, Array

import megasim

COLUMNS = ("t", "t_request", "t_acknowledge", "x", "y", "polarity")


def test_recorded_arrays_are_the_memory_of_the_engine(net: megasim.Network, digits: tuple[Array, Array]) -> None:
    events = net.run(digits[0][0], record=["05Dense_32"])["05Dense_32"]
    for name in COLUMNS:
        column = getattr(events, name)
        # The owner of the memory is the engine's vector, which numpy only points to.
        assert type(column.base).__name__ == "PySliceContainer" and not column.flags.owndata
        assert column.flags.c_contiguous and column.flags.writeable
    assert np.shares_memory(events.neuron, events.x)


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory from /proc")
def test_a_recording_is_in_memory_once(signed: megasim.Network, tmp_path: pathlib.Path) -> None:
    signed.save(tmp_path / "net")
    code = """
import sys, numpy as np, megasim
def peak():
    return 1024 * next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
net = megasim.open(sys.argv[1])
x = np.ones(64)
net.run(x, duration=50)
before = peak()
rec = net.run(x, duration=30_000)
kept = 0
for node in list(rec._nodes.values()):
    kept += sum(getattr(node, name).nbytes for name in ("t", "t_request", "t_acknowledge", "x", "y", "polarity"))
print(kept, peak() - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "net"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    kept, more = map(int, done.stdout.split())
    assert kept > 50_000_000
    # A second copy would make it twice as much; vectors that grow hold some more than what is in them.
    assert more < 1.5 * kept


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
@pytest.mark.parametrize(
    "call",
    [
        "net.classify(np.concatenate([x] * 200), duration=1000, progress=say)",
        "say(); net.run(x[0], duration=1_000_000)",
    ],
)
def test_ctrl_c_ends_a_script(call: str, net: megasim.Network, tmp_path: pathlib.Path) -> None:
    net.save(tmp_path / "net")
    code = f"""
import sys, numpy as np, megasim
def say(*_):
    print("runs", flush=True)
net = megasim.open(sys.argv[1])
x = np.load("examples/digits/test.npz")["x"]
{call}
"""
    script = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "net"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert script.stdout is not None and script.stdout.readline() == "runs\n"
    time.sleep(0.2)
    script.send_signal(signal.SIGINT)
    _, said = script.communicate(timeout=120)
    assert script.returncode != 0 and said.rstrip().endswith("KeyboardInterrupt")


BAR = "import megasim._options as options; bar = options.Watched(None).__enter__(); "
BAR += "import time; bar('event', 0, 10); time.sleep(0.4); bar('event', 5, 10)"


@pytest.mark.skipif(sys.platform == "win32", reason="terminals of Unix")
def test_a_bar_on_a_terminal() -> None:
    import pty

    ours, theirs = pty.openpty()
    script = subprocess.Popen([sys.executable, "-c", BAR], stderr=theirs)
    os.close(theirs)
    shown = b""

    def read() -> None:
        nonlocal shown
        try:
            while part := os.read(ours, 1000):
                shown += part
        except OSError:
            # The other end was closed.
            pass

    reader = threading.Thread(target=read)
    reader.start()
    assert script.wait(timeout=60) == 0
    reader.join()
    os.close(ours)
    assert b"event ###############............... 5/10" in shown


def test_no_bar_elsewhere() -> None:
    code = "import megasim._options as options; print(options.Watched(True).__enter__())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "None\n"


def test_a_bar_in_a_notebook() -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(BAR)])
    nbclient.NotebookClient(notebook, timeout=120).execute()
    said = "".join(output.get("text", "") for output in notebook.cells[0].outputs)
    assert "event ###############............... 5/10" in said
