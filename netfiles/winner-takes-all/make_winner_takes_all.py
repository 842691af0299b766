"""Writes the netfiles of this folder: five neurons that inhibit each other, each with its own input.

    python make_winner_takes_all.py

Needs nothing beyond Python 3. The seed is fixed: the same bytes every time.
"""

import random
from pathlib import Path

HERE = Path(__file__).resolve().parent
NEURONS = 5
SEED = 1
HALF = 1000  # ticks; after the first half another input is the strongest
# Mean ticks between two input events of each neuron.
INTERVALS = [[14, 8, 13, 12, 15], [14, 13, 12, 8, 15]]
EXCITATION = 10
INHIBITION = -45
THRESHOLD = 50
FLOOR = -60


def write(name, lines):
    (HERE / name).write_text("\n".join(lines) + "\n", newline="\n")


def matrix(row):
    """A port block: one row per presynaptic address, one column per neuron."""
    return [
        f"Nx_array_pre {NEURONS}",
        "Ny_array_pre 1",
        *(" ".join(str(row(i, k)) for k in range(NEURONS)) for i in range(NEURONS)),
    ]


def parameters():
    head = dict(
        n_in_ports=2,
        n_out_ports=1,
        delay_to_process=1,
        delay_to_ack=0,
        fifo_depth=4,
        n_repeat=1,
        delay_to_repeat=0,
    )
    neurons = dict(
        population_size=NEURONS,
        Ny_array=1,
        Xmin=0,
        Ymin=0,
        THplus=THRESHOLD,
        THplusInfo=1,
        THminus=FLOOR,
        THminusInfo=0,
        Reset_to_reminder=0,
        MembReset=0,
        TLplus=0,
        TLminus=0,
        Tmin=0,
        T_Refract=0,
    )
    output = dict(
        crop_xmin=0,
        crop_xmax=NEURONS - 1,
        crop_ymin=0,
        crop_ymax=0,
        xshift_pre=0,
        yshift_pre=0,
        x_subsmp=1,
        y_subsmp=1,
        xshift_pos=0,
        yshift_pos=0,
        rectify=0,
    )
    keys = lambda block: [f"{key} {value}" for key, value in block.items()]
    excitation = matrix(lambda i, k: EXCITATION if i == k else 0)
    inhibition = matrix(lambda i, k: 0 if i == k else INHIBITION)
    return [".integers", *keys(head), *keys(neurons), *excitation, *inhibition, *keys(output), ".floats"]


def stimulus():
    """Intervals drawn evenly from half to one and a half times their mean."""
    generator = random.Random(SEED)
    events = []
    for k in range(NEURONS):
        for half, intervals in enumerate(INTERVALS):
            time = half * HALF + generator.random() * intervals[k]
            while time < (half + 1) * HALF:
                events.append((int(time), k))
                time += intervals[k] * (0.5 + generator.random())
    return [f"{time} -1 -1 {k} 0 1" for time, k in sorted(events)]


write(
    "megasim.sch",
    [
        ".netlist",
        "source {input} input.stim",
        "module_fully_connected {input,rivals}{rivals} rivals.prm rivals.stt",
        "",
        ".options",
        f"Tmax={2 * HALF + 100}",
    ],
)
write("rivals.prm", parameters())
write("rivals.stt", [".integers", "time_busy_initial 0", ".floats"])
write("input.stim", stimulus())
