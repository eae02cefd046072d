"""The tutorial runs from the first cell to the last, says what it shows, and shows its pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "docs" / "tutorial" / "from-nine-lines.ipynb"


def outputs(cell: Any) -> list[Any]:
    return list(cell.get("outputs", []))


def pictures(cell: Any) -> int:
    return sum("image/png" in output.get("data", {}) for output in outputs(cell))


def printed(notebook: Any) -> str:
    return "".join(o.text for cell in notebook.cells for o in outputs(cell) if o.output_type == "stream")


@pytest.fixture(scope="module")
def stored() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)


@pytest.fixture(scope="module")
def executed() -> Any:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    return NotebookClient(notebook, timeout=120, kernel_name="python3").execute()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning", "ignore::UserWarning")
def test_it_runs_without_a_word_of_complaint(executed: Any) -> None:
    for cell in executed.cells:
        for output in outputs(cell):
            assert output.output_type != "error"
            assert output.get("name") != "stderr", output.text


def test_every_cell_that_shows_a_figure_has_one(executed: Any, stored: Any) -> None:
    for notebook in (executed, stored):
        drawn = [cell for cell in notebook.cells if "plt.show()" in cell.source]
        assert len(drawn) > 10
        assert all(pictures(cell) == 1 for cell in drawn)


def test_the_errors_shown_are_those_of_the_nine_lines(executed: Any) -> None:
    text = printed(executed)
    for trial in range(0, 10000, 1000):
        assert f"trial {trial:5}, errors" in text
        assert f"Iteration {trial:,}, errors:" in text


def test_what_is_stored_is_what_it_prints(executed: Any, stored: Any) -> None:
    """The tutorial's own digits, to the four decimals shown, are the same on every machine."""
    lines = [line for line in printed(stored).splitlines() if line.startswith(("trial", "weights", "answers"))]
    assert len(lines) > 10
    assert [line for line in printed(executed).splitlines() if line in lines] == lines
