"""The tables that `benchmarks.accuracy` judges by, and how each is split: the same rows for every peer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import pandas as pd
from sklearn.model_selection import KFold, StratifiedKFold

if TYPE_CHECKING:
    from collections.abc import Iterator

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
DATA: Final = Path(__file__).parents[2] / "shared" / "data"
_FOLDS: Final = 5
_FOLDS_BELOW: Final = 5000  # rows


@dataclass(frozen=True)
class TabularSet:
    """A table in a file, and what is asked of it."""

    name: str
    target: str
    classes: bool
    drop: tuple[str, ...] = ()
    split: str | None = None
    """The column that says "test" in the rows to judge by."""
    first: int | None = None
    """How many rows from the top are trained on, where that is customary."""
    fixed: bool = False
    """Whether a small table has one split, by which others' figures are."""

    def load(self) -> pd.DataFrame:
        """Return the rows whose target is known."""
        frame = pd.read_csv(DATA / "tabular" / f"{self.name}.csv")
        return frame[frame[self.target].notna()].reset_index(drop=True)

    def parts(self, frame: pd.DataFrame) -> Iterator[tuple[Array, Array]]:
        """Yield the rows to train on and to judge by: five folds of a small table, one split of another."""
        rows = len(frame)
        if self.split is not None:
            is_test = frame[self.split].to_numpy() == "test"
            yield np.flatnonzero(~is_test), np.flatnonzero(is_test)
        elif self.first is not None:
            yield np.arange(self.first), np.arange(self.first, rows)
        elif rows < _FOLDS_BELOW and not self.fixed:
            kind = StratifiedKFold if self.classes else KFold
            yield from kind(_FOLDS, shuffle=True, random_state=0).split(frame, frame[self.target])
        else:
            order = np.random.default_rng(0).permutation(rows)
            yield np.sort(order[: round(0.8 * rows)]), np.sort(order[round(0.8 * rows) :])

    def features(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the columns to learn from; text as pandas' categories, which every peer is told of."""
        gone = [self.target, *self.drop, *([] if self.split is None else [self.split])]
        X = frame.drop(columns=gone)
        for name in X.columns:
            if not pd.api.types.is_numeric_dtype(X[name]):
                X[name] = X[name].astype("category")
        return X


SETS: Final = {
    each.name: each
    for each in (
        TabularSet("credit_g", "class", classes=True),
        TabularSet("hypothyroid", "Class", classes=True),
        TabularSet("abalone", "rings", classes=False),
        TabularSet("telco_churn", "churn", classes=True),
        TabularSet("bike_hour", "cnt", classes=False, drop=("dteday",)),
        TabularSet("letter", "lettr", classes=True, first=16_000),
        TabularSet("california_housing", "median_house_value", classes=False),
        TabularSet("adult", "income", classes=True, split="split"),
        TabularSet("diamonds", "price", classes=False),
        TabularSet("ames_housing", "Sale_Price", classes=False, fixed=True),
        TabularSet("keel_magic", "y", classes=True),
    )
}
LEFT_OUT: Final = ("hypothyroid", "ames_housing", "keel_magic")
"""Of geometric means: on the first the best make four errors, so that a ratio is mostly chance; the other two were
added because networks lose there, and are looked at by themselves."""
