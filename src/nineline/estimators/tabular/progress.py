"""MemberProgress: what a person sees while the members are trained, a table of epochs or a bar."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Self

from nineline.training.epoch import Epoch
from nineline.training.history import History
from nineline.training.progress import display

if TYPE_CHECKING:
    from collections.abc import Callable

    from nineline.network import Network


class MemberProgress:
    """Takes note of epochs, from several threads.

    Parameters
    ----------
    verbose : bool or None
        True: a table with a line an epoch, on standard output. None: a bar on a terminal or in a notebook.
    epochs : int
        Of all members together, at most.
    rows : int
        Rows an epoch.
    """

    def __init__(self, verbose: bool | None, epochs: int, rows: int) -> None:
        self.table = bool(verbose)
        self.bar = display(None if verbose is None else False, epochs)
        self.rows = rows
        self.done: dict[int, float] = {}
        self.history = History()
        self.began = time.perf_counter()
        self.lock = threading.Lock()

    def __enter__(self) -> Self:
        if self.table:
            print(f"{'member':>6} {'epoch':>6} {'loss':>10} {'held out':>10} {'rate':>9} {'seconds':>8}")
        self.bar.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.__exit__(*error)

    def of(self, member: int) -> Callable[[Epoch], None]:
        """Return what is to be called after every epoch of a member."""

        def note(epoch: Epoch) -> None:
            with self.lock:
                self.history = epoch.history
                if self.table:
                    held_out = "" if epoch.validation_loss is None else f"{epoch.validation_loss:.5g}"
                    rate, seconds = epoch.history.learning_rate[-1], time.perf_counter() - self.began
                    print(
                        f"{member + 1:>6} {epoch.number:>6} {epoch.loss:>10.5g} {held_out:>10} {rate:>9.2g} "
                        f"{seconds:>8.2f}"
                    )

        return note

    def moved(self, member: int, epochs: float) -> None:
        """Take note of how many epochs of a member are done, also in the midst of one."""
        with self.lock:
            self.done[member] = epochs
            done = sum(self.done.values())
            self.bar.update(done, round(done * self.rows), self.history)

    def finished(self, member: int, network: Network, history: History, epochs: int) -> None:
        """Take note of a member that was trained out of sight: of its last epoch, and that it is done."""
        if history.epochs:
            held_out = history.validation_loss[-1] if history.validation_loss else None
            self.of(member)(Epoch(history.epochs, epochs, history.loss[-1], held_out, network, history))
        self.moved(member, epochs)
