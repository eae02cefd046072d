"""The pictures of README and guides are there, and are what the script draws."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [DOCS.parent / "README.md", *sorted(DOCS.glob("**/*.md"))]

mpl.use("Agg")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Draw all pictures anew."""
    spec = importlib.util.spec_from_file_location("draw", DOCS / "images" / "draw.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    folder = tmp_path_factory.mktemp("images")
    script.main(folder)
    return folder


def test_what_is_stored_is_what_the_script_draws(drawn):
    """But for what another version of matplotlib or another processor does to some pixels."""
    names = sorted(path.name for path in drawn.glob("*.png"))
    assert len(names) == 5
    for name in names:
        new, old = (mpl.image.imread(folder / name)[..., :3] for folder in (drawn, DOCS / "images"))
        assert new.shape == old.shape, name
        assert np.mean(np.abs(new - old)) < 0.05, name
        assert new.std() > 0.05, name  # it is no empty page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_pictures_that_a_page_shows_are_there(page):
    shown = re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", page.read_text(encoding="utf-8"))
    for words, path in shown:
        assert (page.parent / path).is_file(), path
        assert len(words) > 20  # for whoever does not see it


def test_the_readme_shows_three():
    assert len(re.findall(r"^!\[", PAGES[0].read_text(encoding="utf-8"), flags=re.MULTILINE)) == 3
