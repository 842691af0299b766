"""Fixtures of tests/recordings.rs: the same 60 events in each format.

    pip install dv-processing tonic aedat numpy; python make_recordings.py

AEDAT 4 is written by iniVation's dv-processing, uncompressed, with LZ4 and with Zstandard, and read back by `aedat`.
CSV is written by numpy. No library on PyPI writes AEDAT 2.0 and 3.1 or N-MNIST's files: they are packed here by the
formats' descriptions and read back by tonic, which has to find the same events (for N-MNIST), addresses and times (for
AEDAT).
"""

import struct
from datetime import timedelta
from pathlib import Path

import dv_processing as dv
import numpy as np
import tonic.io

HERE = Path(__file__).parent
N = 60
random = np.random.default_rng(4)
t = np.cumsum(random.integers(0, 400, N)) + 5000
x, y = random.integers(0, 32, N), random.integers(0, 30, N)
p = random.integers(0, 2, N)


def csv():
    table = np.stack([t, x, y, p], axis=1)
    np.savetxt(HERE / "events.csv", table, fmt="%d", delimiter=",", header="t,x,y,p", comments="")
    np.savetxt(HERE / "columns.txt", table[:, [1, 2, 3, 0]], fmt="%d", header="no names\n", comments="# ")
    (HERE / "columns.csv").write_text("x y polarity timestamp\n" + (HERE / "columns.txt").read_text())
    (HERE / "columns.txt").unlink()


def aedat4():
    store = dv.EventStore()
    for event in zip(t, x, y, p):
        store.push_back(*(int(value) for value in event[:3]), bool(event[3]))
    for name, compression in [
        ("none", dv.CompressionType.NONE),
        ("lz4", dv.CompressionType.LZ4),
        ("zstd", dv.CompressionType.ZSTD),
    ]:
        config = dv.io.MonoCameraWriter.Config("camera", compression)
        config.addEventStream((32, 30))
        path = HERE / f"{name}.aedat4"
        writer = dv.io.MonoCameraWriter(str(path), config)
        writer.writeEvents(store)
        del writer
        found = tonic.io.read_aedat4(str(path))
        assert [found[key].astype(int).tolist() for key in found.dtype.names[:3]] == [
            t.tolist(),
            x.tolist(),
            y.tolist(),
        ], found.dtype


def aedat3():
    data = (x << 17) | (y << 2) | (p << 1) | 1
    path = HERE / "polarity.aedat"
    with open(path, "wb") as file:
        file.write(b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n#!END-HEADER\r\n")
        for part in [slice(0, 40), slice(40, N)]:
            n = len(t[part])
            file.write(struct.pack("<HHIIIIII", 1, 1, 8, 4, 0, n, n, n))
            file.write(np.stack([data[part], t[part]], axis=1).astype("<u4").tobytes())
    version, start, _ = tonic.io.read_aedat_header_from_file(str(path))
    events = tonic.io.get_aer_events_from_file(str(path), version, start)
    assert events["address"].tolist() == data.tolist() and events["timeStamp"].tolist() == t.tolist()


def aedat2():
    dvs128 = (y << 8) | (x << 1) | p
    davis = (y << 22) | (x << 12) | (p << 11)
    for name, chip, address in [
        ("dvs128", None, dvs128),
        ("davis240", "eu.seebetter.ini.chips.davis.DAVIS240C", davis),
    ]:
        path = HERE / f"{name}.aedat"
        with open(path, "wb") as file:
            file.write(b"#!AER-DAT2.0\r\n# This is a raw AE data file\r\n")
            if chip:
                file.write(f"# AEChip: {chip}\r\n".encode())
            file.write(np.stack([address, t], axis=1).astype(">u4").tobytes())
        version, start, _ = tonic.io.read_aedat_header_from_file(str(path))
        events = tonic.io.get_aer_events_from_file(str(path), version, start)
        assert events["address"].tolist() == address.tolist() and events["timeStamp"].tolist() == t.tolist()


def n_mnist():
    # Times start again after an overflow of 2^13 us, which row 240 tells.
    out, passed = [], 0
    for time, column, row, sign in zip(t, x, y, p):
        while time - passed >= 2 * 2**13:
            out += [0, 240, 0, 0, 0]
            passed += 2**13
        rest = int(time) - passed
        out += [column, row, int(sign) << 7 | rest >> 16, rest >> 8 & 255, rest & 255]
    path = HERE / "digit.bin"
    path.write_bytes(bytes(int(byte) for byte in out))
    found = tonic.io.read_mnist_file(str(path), tonic.io.events_struct)
    assert [found[key].astype(int).tolist() for key in "txyp"] == [column.tolist() for column in (t, x, y, p)]


csv()
aedat4()
aedat3()
aedat2()
n_mnist()
