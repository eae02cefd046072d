"""What several tests need: the real data, where this machine has it."""

from __future__ import annotations

from pathlib import Path

import pytest

DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture
def real_data() -> Path:
    """Return the folder of real data sets beside the checkout; skip where there is none."""
    if not (DATA / "INDEX.md").exists():
        pytest.skip("no folder of real data beside this checkout (../shared/data)")
    return DATA
