"""The tutorial runs, says nothing it should not, and shows every picture it promises."""

from __future__ import annotations

import os
import re
from pathlib import Path

import nbformat
import pytest
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial" / "from-nine-lines.ipynb"
NUMBER = r"-?\d+(?:\.\d*)?"


class OwnKernel(AsyncKernelManager):
    """A kernel of the interpreter that runs the tests, whatever kernels the machine knows."""

    def __init__(self, **options):
        super().__init__(kernel_spec_manager=KernelSpecManager(kernel_dirs=[]), **options)


@pytest.fixture
def stored():
    """The notebook as it lies in the repository, with its outputs."""
    return nbformat.read(TUTORIAL, as_version=4)


def run_anew(notebook):
    """Execute a notebook in place; its own asserts raise here."""
    for cell in code_cells(notebook):
        cell.outputs = []
    environment = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    client = NotebookClient(
        notebook, kernel_name="python3", kernel_manager_class=OwnKernel, timeout=300, record_timing=False
    )
    client.execute(env={**environment, "PYTHONWARNINGS": "default"})
    return notebook


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def text_of(cell):
    """Return all that a cell shows as text."""
    texts = [output.text for output in cell.outputs if output.output_type == "stream"]
    texts += [output.data["text/plain"] for output in cell.outputs if output.output_type == "execute_result"]
    return "\n".join(texts)


def pictures(cell):
    return [output for output in cell.outputs if "image/png" in output.get("data", {})]


def is_quiet(cell):
    """Whether a cell shows neither an error nor a warning."""
    return all(output.output_type != "error" and output.get("name") != "stderr" for output in cell.outputs)


def varies(cell):
    """Whether a cell shows times, rounding errors, or what many mini-batches have made of rounding errors."""
    return any(word in cell.source for word in ("optimizer=", "Tabular", "probabilit", "difference", "gradient_check"))


def check_outputs(notebook):
    showing = [cell for cell in code_cells(notebook) if "plt.show()" in cell.source]
    assert len(showing) >= 16
    for cell in code_cells(notebook):
        assert is_quiet(cell), f"{cell.source}\n{cell.outputs}"
        assert len(pictures(cell)) == (1 if cell in showing else 0), cell.source


def test_it_runs_and_shows_what_is_stored(stored):
    executed = run_anew(nbformat.from_dict(stored))
    check_outputs(executed)
    for old, new in zip(code_cells(stored), code_cells(executed), strict=True):
        if not varies(old):
            before, after = text_of(old), text_of(new)
            assert re.sub(NUMBER, "0", after).split() == re.sub(NUMBER, "0", before).split()
            numbers = [[float(number) for number in re.findall(NUMBER, text)] for text in (after, before)]
            assert numbers[0] == pytest.approx(numbers[1], abs=2e-4), f"{old.source}\n{after}"


def test_the_stored_outputs_are_complete_and_quiet(stored):
    nbformat.validate(stored)
    check_outputs(stored)
    counts = [cell.execution_count for cell in code_cells(stored)]
    assert counts == list(range(1, len(counts) + 1))
    assert stored.metadata.kernelspec.name == "python3"


def test_nine_lines_are_nine(stored):
    (cell,) = (cell for cell in code_cells(stored) if "np.random.random((3, 4))" in cell.source)
    lines = cell.source.split("np.random.seed(1)\n\n")[1].removesuffix("\n\nl2")
    assert len(lines.splitlines()) == 9


def test_no_path_of_a_machine_is_stored():
    text = TUTORIAL.read_text(encoding="utf-8")
    assert not re.search(r"/home/|/root/|/tmp/|/work/|/Users/|\\\\Users|site-packages|ipykernel_", text)
