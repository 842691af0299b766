"""Copies recorded inputs and outputs of SpykeTorch's functions here: python select.py RECORDED_DIRECTORY

The recordings were made with SpykeTorch aa302c7 and torch 2.15 on the CPU, torch.sort made stable. Left out are the
MNIST digits themselves (`image` in e2e_*), which are not ours to pass on, and index entries of files that are not
there.
"""

import io
import json
import pathlib
import sys
import zipfile

import numpy

source, here = pathlib.Path(sys.argv[1]), pathlib.Path(__file__).parent
index = json.loads((source / "index.json").read_text())
cases = []
for case in index["cases"]:
    name = case["file"]
    if not (source / name).exists():
        continue
    arrays = dict(numpy.load(source / name))
    if name.startswith("e2e_"):
        arrays.pop("image", None)
    with zipfile.ZipFile(here / name, "w", zipfile.ZIP_DEFLATED) as archive:
        for key, array in arrays.items():
            bytes_ = io.BytesIO()
            numpy.save(bytes_, array)
            archive.writestr(zipfile.ZipInfo(key + ".npy"), bytes_.getvalue(), zipfile.ZIP_DEFLATED)
    cases.append({key: case[key] for key in ("file", "function", "description", "compare", "notes")})
(here / "index.json").write_text(json.dumps({"conventions": index["conventions"], "cases": cases}, indent=1) + "\n")
