"""Examples in Python on pages of the documentation: run page by page, in order, in a scratch directory.

Blocks with ``>>>`` are doctests; a first line ``# needs: PACKAGE`` leaves a block out where that is not installed.
"""

from __future__ import annotations

import doctest
import importlib.util
import os
import pathlib
import re
from typing import Any

import matplotlib
import pytest
from conftest import ROOT

PAGES = [
    "README.md",
    "python/README.md",
    "docs/from-python.md",
    "docs/how-to/python-for-snn-toolbox-and-snntorch.md",
]


def blocks(page: str) -> list[tuple[int, str]]:
    """Number of the first line, and text, of the Python blocks of a page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = re.finditer(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [(text.count("\n", 0, match.start(1)) + 1, match.group(1)) for match in found]


@pytest.mark.parametrize("page", PAGES)
def test_examples_run(page: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("examples", "netfiles", "tests"):
        os.symlink(ROOT / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "page"}
    found = blocks(page)
    assert found, "a page has examples"
    for line, block in found:
        needs = re.match(r"# needs: (\S+)", block)
        if needs is not None and importlib.util.find_spec(needs.group(1)) is None:
            continue
        if ">>>" not in block:
            # Line numbers of faults are those of the page.
            exec(compile("\n" * (line - 1) + block, page, "exec"), names)
            continue
        test = doctest.DocTestParser().get_doctest(block, names, page, page, line - 1)
        said: list[str] = []
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
        runner.run(test, out=said.append, clear_globs=False)
        assert not said, "".join(said)
        names.update(test.globs)
