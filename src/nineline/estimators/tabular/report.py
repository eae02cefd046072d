"""FitReport: what `fit` did with a table, and how well it went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nineline.training.history import sparkline

if TYPE_CHECKING:
    from nineline.columns import Columns
    from nineline.estimators.tabular.recipe import Recipe
    from nineline.estimators.tabular.trials import Trial
    from nineline.training.history import History


@dataclass(frozen=True, repr=False)
class FitReport:
    """An account of a fit; it prints as a page.

    Attributes
    ----------
    rows, different : int
        Rows of the table with a weight above 0, and how many of them differ.
    columns : Columns
        What became of every column.
    target : str
        What is predicted, and how it was learned.
    trials : list of Trial
        What was tried in short trainings, in pairs; the one with the smaller error was taken.
    recipe : Recipe
        How the networks were made and trained.
    histories : list of History
        The curves of each member.
    held_out : dict of str to float
        Measures over the rows that were held out, each judged by the member that did not learn from it; empty where
        none could be spared. All members together do better.
    seconds : float
        Of the whole fit.
    interrupted : bool
        Whether Ctrl-C ended it.
    """

    rows: int
    different: int
    columns: Columns
    target: str
    trials: list[Trial]
    recipe: Recipe
    histories: list[History]
    held_out: dict[str, float]
    seconds: float
    interrupted: bool = False

    def to_frame(self) -> Any:
        """Return a line for each column, as a polars DataFrame: name, kind, missing, and what was done to it."""
        import polars as pl

        used = [(c.name, c.kind, c.missing, c.summary()) for c in self.columns.used]
        dropped = [(c.name, "dropped", None, c.reason) for c in self.columns.dropped]
        names = ["column", "kind", "missing", "what"]
        return pl.DataFrame([dict(zip(names, line, strict=True)) for line in used + dropped], schema_overrides=None)

    def kept_in_words(self) -> str:
        """Return what an interrupted fit kept."""
        epochs = ", ".join(f"{history.epochs:,}" for history in self.histories)
        return f"{len(self.histories)} of {self.recipe.members} networks kept, after {epochs} epochs"

    def __repr__(self) -> str:
        twins = f", {self.different:,} of them different" if self.different < self.rows else ""
        lines = [f"{self.rows:,} rows{twins}; fitted in {self.seconds:.3g} s"]
        names = [c.name for c in self.columns.used] + [c.name for c in self.columns.dropped]
        width = max(map(len, names))
        for column in self.columns.used:
            missing = ", missing in some" if column.missing else ""
            lines.append(f"  {column.name:<{width}}  {column.kind}{missing}: {column.summary()}")
        lines += [f"  {column.name:<{width}}  dropped: {column.reason}" for column in self.columns.dropped]
        lines.append(f"predicts {self.target}")
        for one, other in zip(self.trials[::2], self.trials[1::2], strict=True):
            lines.append(f"tried {one.name}: {one.error:.5g} off, {other.name}: {other.error:.5g}")
        lines.append(f"{self.columns.width} numbers a row; {self.recipe.in_words()}")
        if self.interrupted:
            lines.append(f"interrupted: {self.kept_in_words()}")
        for number, history in enumerate(self.histories, 1):
            curve = history.validation_loss or history.loss
            if not curve:
                lines.append(f"  member {number}  {history.stopped}")
                continue
            best = f", best after {history.best_epoch}" if history.best_epoch is not None else ""
            lines.append(
                f"  member {number}  {curve[0]:.4g} {sparkline(curve)} {min(curve):.4g}  {history.epochs} epochs{best}"
            )
        if self.held_out:
            scores = ", ".join(f"{name} {value:.5g}" for name, value in self.held_out.items())
            lines.append(f"on held-out rows, one member each: {scores}")
        return "\n".join(lines)
