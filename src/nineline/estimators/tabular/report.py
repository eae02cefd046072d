"""FitReport: what `fit` did with a table, and how well it went."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nineline.training.history import sparkline

if TYPE_CHECKING:
    import os

    from nineline.estimators.tabular.recipe import Recipe
    from nineline.estimators.tabular.trials import Trial
    from nineline.tables.columns import Columns
    from nineline.tables.profile import ColumnProfile
    from nineline.training.history import History


@dataclass(frozen=True, repr=False)
class FitReport:
    """An account of a fit; it prints as a page.

    Attributes
    ----------
    rows, different : int
        Rows of the table with a weight above 0, and how many of them differ; without those that all members held out.
    columns : Columns
        What became of every column.
    target : str
        What is predicted, and how it was learned.
    trials : list of Trial
        What was tried in short trainings; of those `about` the same, the one with the smallest error was taken.
    recipe : Recipe
        How the networks were made and trained.
    histories : list of History
        The curves of each member.
    held_out : dict of str to float
        Measures over the rows that were held out, each judged by the member that did not learn from it, and by all
        members together where all held out the same; empty where none could be spared. All members together do better
        than each of them.
    held_out_rows : str
        Which rows were held out, where `fit` was told; nothing where they were drawn.
    judged_by : str
        Which networks answered for them.
    seconds : float
        Of the whole fit.
    interrupted : bool
        Whether Ctrl-C ended it.
    rates : list of Trial
        Learning rates that were tried side by side, with ``learning_rate="sweep"``, and the loss on held-out rows of
        each; NaN where it diverged.
    profiles : list of ColumnProfile
        How often each column has which values, in the order of the table.
    examples : list of dict
        Some rows of the table, by the names of the columns; they are not in a pickle.
    later : int
        Rows that `partial_fit` has taken since; all of the above is of the model before them.
    model : TabularClassifier or TabularRegressor
        What it is an account of; None where the report was pickled by itself.
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
    held_out_rows: str = ""
    judged_by: str = "the network that did not learn from it"
    rates: list[Trial] = field(default_factory=list)
    profiles: list[ColumnProfile] = field(default_factory=list)
    examples: list[dict[str, Any]] = field(default_factory=list)
    later: int = 0
    model: Any = field(default=None, compare=False)

    def to_frame(self) -> Any:
        """Return a line for each column, as a polars DataFrame: name, kind, missing, and what was done to it."""
        import polars as pl

        names = ["column", "kind", "missing", "what"]
        return pl.DataFrame(
            [dict(zip(names, each, strict=True)) for each in self.columns.in_words()], schema_overrides=None
        )

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write the report as a page: one file of HTML that opens without a network and runs nothing.

        The scores beside the plainest baseline, which columns decide and how, each column's histogram and what was done
        with it, the learning curves, the settings to repeat it. It stays below 2 MB, however large the table is. Needs
        the extra ``plot``.

        Parameters
        ----------
        path : path
            Such as "report.html".

        Raises
        ------
        ImportError
            Matplotlib or Jinja2 is not installed.
        ValueError
            The report was pickled by itself, without its model.
        OSError
            The file cannot be written; what lay there before is untouched.

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> from sklearn.datasets import load_wine
        >>> from nineline.estimators import TabularClassifier
        >>> model = TabularClassifier(random_state=0, n_members=2, max_epochs=5).fit(*load_wine(return_X_y=True))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "report.html"
        ...     model.report_.to_html(path)
        ...     "<svg" in path.read_text(encoding="utf-8")
        True
        """
        from nineline.estimators.page import write_page

        write_page(path, self)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "examples": [], "model": None}  # rows of the table stay here

    def kept_in_words(self) -> str:
        """Return what an interrupted fit kept."""
        epochs = ", ".join(f"{history.epochs:,}" for history in self.histories)
        return f"{len(self.histories)} of {self.recipe.members} networks kept, after {epochs} epochs"

    def lines(self) -> list[tuple[str, str]]:
        """Return what the page says after the columns, as headings and texts; a terminal shows the same."""
        lines = [("predicts", self.target)]
        for _, some in itertools.groupby(self.trials, lambda trial: trial.about):
            lines.append(("tried", ", ".join(f"{trial.name}: {trial.error:.5g} off" for trial in some)))
        if self.rates:
            tried = ", ".join(f"{one.name}: {one.error:.4g}" for one in self.rates)
            lines.append(("swept", f"learning rates, and the loss on held-out rows: {tried}"))
        lines.append(("recipe", f"{self.columns.width} numbers a row; {self.recipe.in_words()}"))
        if self.interrupted:
            lines.append(("interrupted", self.kept_in_words()))
        epochs = sum(history.epochs for history in self.histories)
        reasons = ", ".join(dict.fromkeys(history.stopped for history in self.histories))
        lines.append(("training", f"{epochs:,} epochs in {self.seconds:.3g} s; stopped: {reasons}"))
        lines += [(f"member {number}", _curve(history)) for number, history in enumerate(self.histories, 1)]
        if self.held_out:
            scores = ", ".join(f"{name} {value:,.5g}" for name, value in self.held_out.items())
            which = f"{self.held_out_rows}: " if self.held_out_rows else ""
            lines.append(("held out", f"{which}{scores} (each row judged by {self.judged_by})"))
        if self.later:
            lines.append(("later", f"a pass through {self.later:,} rows more; the above is of the model before them"))
        return lines

    def __repr__(self) -> str:
        twins = f", {self.different:,} of them different" if self.different < self.rows else ""
        page = [f"{self.rows:,} rows{twins}"]
        columns = self.columns.in_words()
        width = max(len(name) for name, *_ in columns)
        for name, kind, missing, what in columns:
            page.append(f"  {name:<{width}}  {kind}{', missing in some' if missing else ''}: {what}")
        page += [f"{heading:<11} {text}" for heading, text in self.lines()]
        return "\n".join(page)


def _curve(history: History) -> str:
    """Return how a member's training went, in a line."""
    curve = history.validation_loss or history.loss
    if not any(map(math.isfinite, curve)):
        return history.stopped
    lowest = min(filter(math.isfinite, curve))
    best = "" if history.best_epoch is None else f"best after {history.best_epoch} of "
    return f"{curve[0]:.4g} {sparkline(curve)} {lowest:.4g}, {best}{history.epochs} epochs"
