"""What the guides say works when it is typed, each page from top to bottom."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGES = sorted((Path(__file__).parents[2] / "docs" / "guide").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_page(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    examples = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert examples
    names: dict[str, object] = {}
    for number, example in enumerate(examples):
        exec(compile(example, f"{page.name}, example {number}", "exec"), names)


def test_every_parameter_that_is_more_is_in_the_guide() -> None:
    import inspect

    import sklearn.neural_network

    import nineline.estimators

    page = next(page for page in PAGES if page.stem == "coming-from-scikit-learn").read_text(encoding="utf-8")
    for kind in ("MLPClassifier", "MLPRegressor"):
        theirs = inspect.signature(getattr(sklearn.neural_network, kind)).parameters
        ours = inspect.signature(getattr(nineline.estimators, kind)).parameters
        assert [name for name in ours if name not in theirs and name not in page] == []
