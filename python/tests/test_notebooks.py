"""The notebooks are executed; what they print is what they show.

``MEGASIM_NOTEBOOKS_UPDATE=1`` writes the executed notebooks. Pictures and tables depend on versions of other packages
and are not compared.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
from conftest import ROOT

NOTEBOOKS = ROOT / "notebooks"

#: What all notebooks may take, so that the repository stays small.
MOST_BYTES = 300_000


def printed(notebook: Any) -> list[str]:
    """What each cell of code printed."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    streams = [[output for output in cell.outputs if output.output_type == "stream"] for cell in cells]
    return ["".join(output.text for output in outputs) for outputs in streams]


def without_what_changes(notebook: Any) -> None:
    """Times of execution and versions would change a notebook each time that it is written."""
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"], "language_info": {"name": "python"}}
    for cell in notebook.cells:
        cell.metadata = {}


@pytest.mark.parametrize("name", ["first_network", "hardware_study"])
def test_notebooks_show_what_they_print(name: str) -> None:
    nbformat: Any = pytest.importorskip("nbformat")
    nbclient: Any = pytest.importorskip("nbclient")
    for package in ("ipykernel", "matplotlib", "pandas", "sklearn"):
        pytest.importorskip(package)
    path = NOTEBOOKS / f"{name}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    expected = printed(notebook)
    nbclient.NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(NOTEBOOKS)}}).execute()
    if os.environ.get("MEGASIM_NOTEBOOKS_UPDATE") == "1":
        without_what_changes(notebook)
        nbformat.write(notebook, path)
        return
    assert printed(notebook) == expected


def test_notebooks_are_small() -> None:
    assert sum(path.stat().st_size for path in NOTEBOOKS.glob("*.ipynb")) < MOST_BYTES
