"""Progress: what a person sees while a network trains, in a terminal or a notebook."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Self, final

if TYPE_CHECKING:
    from nineline.training.history import History


class Progress(ABC):
    """What is told how far a training is, while it is in its `with` block."""

    @abstractmethod
    def __enter__(self) -> Self: ...

    @abstractmethod
    def __exit__(self, *_: object) -> None: ...

    @abstractmethod
    def update(self, epochs: float, rows: int, history: History) -> None:
        """Take note that `epochs` epochs and `rows` rows in all are done."""


@final
class NoProgress(Progress):
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def update(self, epochs: float, rows: int, history: History) -> None:
        return None


@final
class Bar(Progress):
    """A bar with the epoch, the losses, the speed and the time left, by rich."""

    def __init__(self, epochs: int) -> None:
        from rich import progress as rich

        self._progress = rich.Progress(
            rich.TextColumn("epoch {task.fields[epoch]}"),
            rich.BarColumn(bar_width=8),
            rich.TextColumn("{task.fields[losses]}"),
            rich.TextColumn("{task.fields[speed]}"),
            rich.TimeRemainingColumn(compact=True),
            rich.TextColumn("left"),
            console=_console(),
        )
        self._epochs = epochs
        self._task = self._progress.add_task("train", total=epochs, epoch=f"0/{epochs:,}", losses="", speed="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def update(self, epochs: float, rows: int, history: History) -> None:
        losses = f"loss {history.loss[-1]:.4g}" if history.loss else ""
        if history.validation_loss:
            losses += f"  validation {history.validation_loss[-1]:.4g}"
        elapsed = self._progress.tasks[0].elapsed or 0.0
        speed = f"{rows / elapsed:,.0f} rows/s" if elapsed > 0 else ""
        self._progress.update(
            self._task, completed=epochs, epoch=f"{int(epochs):,}/{self._epochs:,}", losses=losses, speed=speed
        )


def display(wanted: bool | Progress | None, epochs: int) -> Progress:
    """Return a bar where one is wanted; None means: where a person is looking. A Progress of your own is taken."""
    if isinstance(wanted, Progress):
        return wanted
    if wanted is None:
        wanted = (sys.stderr is not None and sys.stderr.isatty()) or in_notebook()
    return Bar(epochs) if wanted else NoProgress()


def _console() -> Any:
    from rich.console import Console

    return Console() if in_notebook() else Console(stderr=True)


def in_notebook() -> bool:
    """Return whether a notebook shows what is displayed."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and type(shell).__name__ == "ZMQInteractiveShell"
