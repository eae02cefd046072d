"""Run: one training from its start, with all that was changed on the way, and a way back to each of its moments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from nineline.interactive.building import Batches, make_network, make_trainer

if TYPE_CHECKING:
    from nineline._typing import Array, RandomSource
    from nineline.interactive.data import Data
    from nineline.interactive.settings import Settings
    from nineline.network import Network
    from nineline.training.snapshot import Snapshot

MARKS_AT_MOST: Final = 400
BYTES_OF_MARKS: Final = 64_000_000


class Edit(NamedTuple):
    """A number of the parameters that was set by hand."""

    place: int
    value: float


class Change(NamedTuple):
    """What was changed before a step."""

    step: int
    what: Settings | Edit


@dataclass(frozen=True)
class Mark:
    """A moment of a run that can be gone back to at once.

    Attributes
    ----------
    step : int
        How many were taken by then.
    passed : float
        How many epochs had ended by then.
    changes : int
        How many of the run's changes had been made by then.
    loss, test_loss : float
        Of the rows to learn from and of those held out, as the network runs; NaN where there are none.
    """

    step: int
    passed: float
    changes: int
    settings: Settings
    snapshot: Snapshot
    batches: tuple[Any, int]
    loss: float
    test_loss: float


class Run:
    """A training that goes on, goes back, and is changed on the way.

    All is determined by the settings it began with and by its changes, so any moment is found again by going on from a
    mark before it. There are at most 400 marks: when there are more, every second one goes, and from then on they are
    made half as often.

    Parameters
    ----------
    settings : Settings
    data : Data
    given : array, optional
        The parameters to begin with, where `settings.start` is None.

    Attributes
    ----------
    network : Network
    trainer : Trainer
    step : int
        Where the run stands.
    last : int
        How far it has been; beyond `step` where it has gone back.
    changes : list of Change
        All that were made, those beyond `step` too.

    Raises
    ------
    ValueError
        The loss does not fit the output.
    """

    def __init__(self, settings: Settings, data: Data, given: Array | None = None) -> None:
        self.data, self.given, self.first = data, given, settings
        self.changes: list[Change] = []
        self.made = 0
        """How many of the changes are made where the run stands."""
        self.step = self.last = 0
        self._passed = 0.0  # epochs, but for the one that goes on
        self.settings = settings
        self._rng = np.random.default_rng(settings.seed)
        self._build(given if settings.start is None else None, self._rng)
        self.batches = Batches(len(data.train[0]), settings.rows_a_step, self._rng)
        self.stride = 1
        self.marks: list[Mark] = []
        self._mark()

    # Going on

    def advance(self, most: int) -> int:
        """Take at most so many steps, no further than the next mark or the end of the epoch; return how many.

        What lay ahead, where the run had gone back, is gone. Fewer are taken where the loss stops being finite, or
        where the optimizer has nowhere to go; then `trouble` says so.
        """
        self.cut()
        return self._advance(most)

    def change(self, settings: Settings) -> None:
        """Go on with other settings, of the same `Settings.shape`.

        Raises
        ------
        ValueError
            The loss does not fit the output; nothing has changed.
        """
        before, change = self.settings, Change(self.step, settings)
        try:
            self._apply(change)
        except ValueError:
            self.settings = before
            raise
        self._note(change)

    def edit(self, place: int, value: float) -> None:
        """Set one of the parameters by hand."""
        change = Change(self.step, Edit(place, value))
        self._apply(change)
        self._note(change)

    def _note(self, change: Change) -> None:
        self.cut()
        self.changes.append(change)
        self.made += 1

    def cut(self) -> None:
        """Let go of what lies ahead, where the run has gone back."""
        if self.last == self.step and self.made == len(self.changes):
            return
        del self.changes[self.made :]
        self.marks = [mark for mark in self.marks if mark.step <= self.step and mark.changes <= self.made]
        self.last = self.step

    # Going back

    def go_to(self, step: int, changes: int | None = None) -> None:
        """Go to a moment that the run has been at: after so many steps, with all changes made before the next one.

        `changes` says how many of the run's changes are to be made, where it is fewer.
        """
        step = max(0, min(step, self.last))
        wanted = sum(change.step <= step for change in self.changes) if changes is None else changes
        at = self._mark_before(step, wanted)
        if self.step > step or self.made > wanted or (at.step, at.changes) > (self.step, self.made):
            self._restore(at)
        while True:
            ahead = self.changes[self.made] if self.made < wanted else None
            until = step if ahead is None else ahead.step
            while self.step < until:
                if not self._advance(until - self.step):
                    return  # it diverges here again
            if ahead is None:
                return
            self._apply(ahead)
            self.made += 1

    def undo(self) -> bool:
        """Take the last change back that was made where the run stands, or the last step; return whether there was one.

        What lay ahead is gone.
        """
        self.cut()
        if self.made and self.changes[-1].step == self.step:
            self.go_to(self.step, self.made - 1)
        elif self.step:
            self.go_to(self.step - 1)
        else:
            return False
        self.cut()
        return True

    def again(self) -> Run:
        """Return a run that begins with the same weights, set by hand where they were, and the settings of now."""
        run = Run(self.settings, self.data, self.given)
        for change in self.changes[: self.made]:
            if change.step == 0 and isinstance(change.what, Edit):
                run.edit(*change.what)
        return run

    # Looking

    @property
    def epochs(self) -> float:
        """How often the rows have been gone through."""
        return self._passed + self.batches.taken / self.batches.an_epoch

    @property
    def loss(self) -> float:
        """Of the rows that are learned from, as the network runs; no penalties."""
        return self.trainer.measure(self._rows)

    @property
    def test_loss(self) -> float:
        """Of the rows that are held out; NaN where there are none."""
        return float("nan") if self._held_out is None else self.trainer.measure(self._held_out)

    @property
    def trouble(self) -> str:
        """Why the next step would lead nowhere, in words; empty where it may go on."""
        return self._trouble or ("" if self._touched else self.trainer.converged)

    # Within

    def _build(self, parameters: Array | None, rng: RandomSource = None) -> None:
        """Make the network and its trainer, or raise and leave those that there are."""
        self._train(make_network(self.settings, self.data, parameters), rng)

    def _train(self, network: Network, rng: RandomSource = None) -> None:
        """Make a trainer of a network, or raise and leave all as it is."""
        trainer = make_trainer(self.settings, network, rng)
        rows = trainer.check(*self.data.train)
        held_out = None if self.data.held_out is None else trainer.check(*self.data.held_out)
        self.network, self.trainer, self._rows, self._held_out = network, trainer, rows, held_out
        self._trouble, self._touched = "", True

    def _advance(self, most: int) -> int:
        batches, all_rows = self.batches, self.batches.an_epoch == 1
        to_mark = self.stride - self.step % self.stride
        count = min(most, to_mark, to_mark if all_rows else batches.left)
        rates = np.full(count, self.settings.learning_rate)
        order = batches.order()
        here = None if order is None else order[batches.taken * batches.size :]
        taken = 0
        for losses in self.trainer.walk(self._rows, here, batches.size, rates):
            finite = bool(np.isfinite(losses[-1]))
            taken += len(losses) - (not finite)
            if not finite:
                return self._diverged(taken)
        self._took(taken)
        return taken

    def _took(self, taken: int) -> None:
        if self.batches.an_epoch == 1:
            self._passed += taken
        else:
            self.batches.take(taken)
            self._passed += self.batches.taken == 0 and taken > 0
        self.step += taken
        self.last = max(self.last, self.step)
        self._touched = self._touched and not taken
        if taken and self.step % self.stride == 0 and self.step > self.marks[-1].step:
            self._mark()

    def _diverged(self, taken: int) -> int:
        """Go back to where the loss was finite last; return how many steps were taken to get there."""
        here, made = self.step, self.made
        changed = self.changes[made - 1].step if made else 0
        wanted, back = here + taken, 1
        self.last = max(self.last, wanted)
        while True:
            wanted = max(wanted - back, changed)
            self._restore(self._mark_before(wanted, made))
            self.go_to(wanted, made)
            if wanted == changed or np.isfinite(self.loss):
                break
            back *= 2
        self.last = self.step
        self._trouble = (
            f"The loss stops being finite after step {self.step:,}: the steps are too long. Try a smaller learning "
            f"rate (it is {self.settings.learning_rate:g}), or go back to the start."
        )
        return max(self.step - here, 0)

    def _mark_before(self, step: int, changes: int) -> Mark:
        """Return the last mark before a step, and before any change but the first so many."""
        before = (mark for mark in self.marks if mark.step <= step and mark.changes <= changes)
        return max(before, key=lambda mark: (mark.step, mark.changes))

    def _apply(self, change: Change) -> None:
        if isinstance(change.what, Edit):
            self.network.parameters[change.what.place] = change.what.value
            self._trouble, self._touched = "", True
            return
        before, self.settings = self.settings, change.what
        if before.functions != self.settings.functions:
            self._build(self.network.parameters)
        elif before.rule != self.settings.rule:
            self._train(self.network)
        if before.rows_a_step != self.settings.rows_a_step:
            self._passed = self.epochs
            self.batches = Batches(len(self.data.train[0]), self.settings.rows_a_step, self._rng)
        self._trouble = ""

    def _restore(self, mark: Mark) -> None:
        before, self.settings = self.settings, mark.settings
        if before.functions != self.settings.functions:
            self._build(mark.snapshot.parameters)
        elif before.rule != self.settings.rule:
            self._train(self.network)
        self.trainer.restore(mark.snapshot)
        self.batches = Batches(len(self.data.train[0]), self.settings.rows_a_step, self._rng)
        self.batches.restore(mark.batches)
        self.step, self._passed, self.made = mark.step, mark.passed, mark.changes
        self._trouble, self._touched = "", True

    def _mark(self) -> None:
        self.marks.append(
            Mark(
                self.step,
                self._passed,
                self.made,
                self.settings,
                self.trainer.snapshot(),
                self.batches.state,
                self.loss,
                self.test_loss,
            )
        )
        remembered = self.marks[-1].snapshot.state.vectors.values()
        size = 2 * self.network.parameters.nbytes + sum(vector.nbytes for vector in remembered) + 1000
        if len(self.marks) > max(min(MARKS_AT_MOST, BYTES_OF_MARKS // size), 8):
            self.stride *= 2
            self.marks = [mark for mark in self.marks if mark.step % self.stride == 0]
