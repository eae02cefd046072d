"""Histories: what happened in a training of many networks, a column a network."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nineline.training.history import History

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    Column = npt.NDArray[np.float64]


class Histories:
    """A training of many networks as tables: a row an epoch, a column a network.

    Attributes
    ----------
    engine : str
        Which engine ran.
    seconds : array, (epochs,)
        Since training began.
    steps : array of int, (count,)
        Steps that each has taken.
    stopped : list of str, (count,)
        Why each ended.
    best_epoch : array of int, (count,)
        The epoch, from 1, whose watched loss was the last improvement; 0 where nothing was watched.
    restored : array of bool, (count,)
        Whether the network was put back to the parameters that had that loss.
    diverged : array of bool, (count,)
        Whether its loss stopped being finite. It is back at its last finite state.

    Examples
    --------
    >>> from nineline import Networks
    >>> X, y = [[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]], [[0], [1], [1], [0]]
    >>> history = Networks(100, 3, 6, 1, rng=0).train(X, y, 1000, report_every=0)
    >>> history.loss.shape
    (1000, 100)
    >>> history[17].epochs
    1000
    """

    def __init__(self, count: int, rates: npt.NDArray[np.float64], engine: str = "reference", epochs: int = 0) -> None:
        self.engine = engine
        self.rates = rates
        """The optimizer's learning rate of each network, (count,)."""
        self.steps = np.zeros(count, np.int64)
        self.stopped = [""] * count
        self.best_epoch = np.zeros(count, np.int64)
        self.restored = np.zeros(count, bool)
        self.diverged = np.zeros(count, bool)
        self._loss = _Table(count, epochs)
        self._validation_loss = _Table(count)
        self._factors: list[float] = []
        self._seconds: list[float] = []

    @property
    def loss(self) -> Column:
        """Training loss, as `History.loss`, (epochs, count); NaN where a network had ended."""
        return self._loss.whole()

    @property
    def validation_loss(self) -> Column:
        """Validation loss after each epoch, (epochs, count); (0, count) where there was no validation."""
        return self._validation_loss.whole()

    @property
    def learning_rate(self) -> Column:
        """Learning rate at each epoch's first step, (epochs, count)."""
        return np.array(self._factors).reshape(-1, 1) * self.rates

    @property
    def seconds(self) -> Column:
        return np.array(self._seconds)

    @property
    def count(self) -> int:
        """How many networks there are."""
        return len(self.steps)

    @property
    def epochs(self) -> int:
        """How many epochs were finished by the network that had most."""
        return len(self._seconds)

    def room(self, members: npt.NDArray[np.intp], epochs: int) -> Column:
        """Return an array, (members, epochs), for losses to be written into that `add` is to be given next."""
        return self._loss.room(members, epochs)

    def add(
        self,
        members: npt.NDArray[np.intp],
        losses: Column,
        factors: npt.NDArray[np.float64],
        seconds: float,
    ) -> None:
        """Take note of epochs, (members, epochs) losses."""
        self._loss.add(members, losses)
        self._factors += factors.tolist()
        self._seconds += [seconds] * losses.shape[1]

    def add_validation(self, members: npt.NDArray[np.intp], losses: Column) -> None:
        """Take note of validation losses after an epoch, (members,)."""
        self._validation_loss.add(members, losses[:, np.newaxis])

    def tables(self) -> dict[str, Column]:
        """Return what a checkpoint holds."""
        return {
            "loss": self.loss,
            "validation_loss": self.validation_loss,
            "factors": np.array(self._factors),
            "seconds": self.seconds,
            "best_epoch": self.best_epoch,
            "steps": self.steps,
            "diverged": self.diverged,
            "restored": self.restored,
        }

    def restore(self, tables: Mapping[str, npt.NDArray[Any]], stopped: list[str]) -> None:
        """Become what `tables` were taken from."""
        everyone = np.arange(self.count)
        self.add(everyone, tables["loss"].T, tables["factors"], 0.0)
        self._seconds = tables["seconds"].tolist()
        for row in tables["validation_loss"]:
            self.add_validation(everyone, row)
        self.best_epoch[...], self.steps[...] = tables["best_epoch"], tables["steps"]
        self.diverged[...], self.restored[...] = tables["diverged"], tables["restored"]
        self.stopped = list(stopped)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> History:
        """Return one network's History, as if it had been trained alone."""
        mine = self.loss[:, number]
        epochs = int(np.isfinite(mine).sum())
        watched = self.validation_loss[:epochs, number].tolist()
        return History(
            engine=self.engine,
            loss=mine[:epochs].tolist(),
            validation_loss=watched,
            learning_rate=self.learning_rate[:epochs, number].tolist(),
            seconds=self._seconds[:epochs],
            steps=int(self.steps[number]),
            stopped=self.stopped[number],
            best_epoch=int(self.best_epoch[number]) or None,
            restored=bool(self.restored[number]),
        )

    @property
    def watched(self) -> Column:
        """`validation_loss` where there was validation, else `loss`."""
        return self.validation_loss if len(self.validation_loss) else self.loss

    @property
    def kept(self) -> Column:
        """The watched loss of the parameters that each network has, (count,); NaN where there is none.

        It is the last, or that of the epoch that the network was put back to.
        """
        table = self.watched
        if not len(table):
            return np.full(self.count, np.nan)
        found = table[-1].copy()
        back = np.flatnonzero(self.restored)
        found[back] = table[self.best_epoch[back] - 1, back]
        for ended in np.flatnonzero(np.isnan(found)):  # before the others
            there = np.flatnonzero(np.isfinite(table[:, ended]))
            found[ended] = table[there[-1], ended] if len(there) else np.nan
        return found

    def to_frame(self) -> Any:
        """Return the table as a polars DataFrame: an epoch a row, and `loss_0`, `loss_1`, … of the networks.

        Examples
        --------
        >>> from nineline import Networks
        >>> history = Networks(2, 2, 1, rng=0).train([[0, 1], [1, 0]], [[1], [0]], iterations=3, report_every=0)
        >>> history.to_frame().columns
        ['epoch', 'seconds', 'loss_0', 'loss_1']
        """
        import polars as pl

        columns: dict[str, Any] = {"epoch": np.arange(1, self.epochs + 1), "seconds": self.seconds}
        for name, table in (("loss", self.loss), ("validation_loss", self.validation_loss)):
            columns |= {f"{name}_{number}": table[:, number] for number in range(self.count) if len(table)}
        return pl.DataFrame(columns)

    def plot(self, **options: Any) -> Any:
        """Draw all losses over the epochs, their median and the best; see `nineline.view.curves.plot_histories`."""
        from nineline.view.curves import plot_histories

        return plot_histories(self, **options)

    def _repr_html_(self) -> str:
        """Return the trainings as a notebook shows them."""
        from nineline.view.notebook import histories_html

        return histories_html(self)

    def __repr__(self) -> str:
        if not self.epochs:
            return f"Histories of {self.count:,} networks: no epoch finished ({self.engine} engine)"
        seconds, steps = self._seconds[-1], int(self.steps.sum())
        kept = self.kept
        took = f"{self.epochs:,} epochs, {steps:,} steps in {seconds:.3g} s ({self.engine} engine)"
        lines = [f"Histories of {self.count:,} networks: {took}"]
        if np.isfinite(kept).any():
            low, middle, high = np.nanquantile(kept, [0.0, 0.5, 1.0])
            what, best = "validation" if len(self.validation_loss) else "loss", int(np.nanargmin(kept))
            lines.append(f"  {what:<10}  {low:.4g} best (network {best}), {middle:.4g} median, {high:.4g} worst")
        reasons: dict[str, int] = {}
        for reason in self.stopped:
            kind = "diverged" if reason.startswith("diverged") else reason
            reasons[kind] = reasons.get(kind, 0) + 1
        for reason, number in sorted(reasons.items(), key=lambda each: -each[1]):
            lines.append(f"  {number:>10,}  {reason}")
        return "\n".join(lines)


_PAGE: Final = 512
"""Numbers: columns that lie whole pages apart would share one place in a cache."""
_APART: Final = 40


class _Table:
    """A column for each network, to which rows are put on below.

    In memory a network's numbers lie side by side, as engines write them. There is room for as many as are expected,
    which takes no memory before it is written to, up to 256 MB; from there on it doubles as it is needed.
    """

    def __init__(self, count: int, expected: int = 0) -> None:
        self._columns, self._used = np.empty((count, 0)), 0
        self._expected = min(expected, 2**25 // count)

    def room(self, members: npt.NDArray[np.intp], rows: int) -> Column:
        """Return an array, (members, rows), to be filled and given to `add`: where it would lie, if all are members."""
        count, room = self._columns.shape
        end = self._used + rows
        if end > room:
            most = max(end, 2 * self._used, self._expected)
            grown = np.empty((count, most - most % _PAGE + _PAGE + _APART))
            grown[:, : self._used] = self._columns[:, : self._used]
            self._columns = grown
        return self._columns[:, self._used : end] if len(members) == count else np.empty((len(members), rows))

    def add(self, members: npt.NDArray[np.intp], values: Column) -> None:
        """Add rows, given as (members, rows); NaN for those that are no members."""
        rows = values.shape[1]
        there = self.room(members, rows)
        columns = self._columns[:, self._used : self._used + rows]
        if len(members) < len(columns):
            columns[...] = math.nan
            columns[members] = values
        elif values.base is not self._columns:  # else it was written where it lies
            there[...] = values
        self._used += rows

    def whole(self) -> Column:
        """Return all rows, (rows, count)."""
        return self._columns[:, : self._used].T
