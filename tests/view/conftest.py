"""Pictures are drawn without a screen, and put away after each test."""

from __future__ import annotations

from collections.abc import Iterator

import matplotlib as mpl
import pytest

mpl.use("Agg")


@pytest.fixture(autouse=True)
def put_away() -> Iterator[None]:
    yield
    from matplotlib import pyplot as plt

    plt.close("all")
