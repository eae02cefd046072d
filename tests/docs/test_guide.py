"""What the guides say works: each page from top to bottom, its Python run, its C compiled, its commands typed."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PAGES = sorted((Path(__file__).parents[2] / "docs" / "guide").glob("*.md"))


def blocks(page: Path) -> list[tuple[str, str]]:
    """Return each fenced block with what is said about it: "python", "python torch", "c", "sh"."""
    return re.findall(r"^```([a-z ]+)\n(.*?)^```$", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_page(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    examples = blocks(page)
    assert any(kind == "python" for kind, _ in examples)
    for module in ("onnx", "onnxruntime"):
        if any(f"import {module}\n" in text for _, text in examples):
            pytest.importorskip(module, reason=f"{module} is not installed")
    if any(kind == "c" for kind, _ in examples) and shutil.which("cc") is None:
        pytest.skip("no C compiler on this machine")
    names: dict[str, object] = {}
    for number, (kind, text) in enumerate(examples):
        language, *modules = kind.split()
        if any(importlib.util.find_spec(module) is None for module in modules):
            continue  # what is not there is not shown
        if language == "python":
            exec(compile(text, f"{page.name}, example {number}", "exec"), names)
        elif language == "c":
            name = re.match(r"/\* (\S+\.c) \*/", text)
            assert name is not None
            Path(name[1]).write_text(text)
        elif language == "sh":
            done = subprocess.run(["sh", "-e", "-c", text], capture_output=True, text=True, check=False)
            assert done.returncode == 0, text + done.stdout + done.stderr


def test_every_parameter_that_is_more_is_in_the_guide() -> None:
    import inspect

    import sklearn.neural_network

    import nineline.estimators

    page = next(page for page in PAGES if page.stem == "coming-from-scikit-learn").read_text(encoding="utf-8")
    for kind in ("MLPClassifier", "MLPRegressor"):
        theirs = inspect.signature(getattr(sklearn.neural_network, kind)).parameters
        ours = inspect.signature(getattr(nineline.estimators, kind)).parameters
        assert [name for name in ours if name not in theirs and name not in page] == []
