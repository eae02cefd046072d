"""Plan: how often rows are gone through, in what batches, how fast, and who is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nineline import _checks
from nineline._value import Value
from nineline.schedules import Schedule, as_schedule
from nineline.training.progress import Progress
from nineline.training.watch import EarlyStopping

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence


class Plan(Value):
    """How rows are to be gone through, as `Network.train` takes it: checked when made.

    Parameters
    ----------
    iterations, epochs, batch_size, shuffle, schedule, stop, report_every, progress, on_epoch
        See `Network.train`.
    """

    def __init__(
        self,
        iterations: int | None = None,
        *,
        epochs: int | None = None,
        batch_size: int | None = None,
        shuffle: bool = True,
        schedule: str | Schedule | Callable[[float], float] | None = None,
        stop: int | EarlyStopping | None = None,
        report_every: int | None = None,
        progress: bool | Progress | None = None,
        on_epoch: Callable[[Any], object] | Sequence[Callable[[Any], object]] = (),
    ) -> None:
        if iterations is not None and epochs is not None:
            raise ValueError(
                f"iterations is {iterations} and epochs is {epochs}; give one of the two: iterations are steps on the "
                "whole batch, epochs are passes over the rows"
            )
        if epochs is None and batch_size is not None:
            raise ValueError(
                f"batch_size is {batch_size} and epochs is not given; iterations count steps on the whole batch, so "
                "say how often to go through the data: train(..., epochs=10, batch_size=...)"
            )
        self.in_epochs = epochs is not None
        if epochs is not None:
            self.epochs = _checks.positive_integer("epochs", epochs)
        else:
            self.epochs = 10_000 if iterations is None else _checks.positive_integer("iterations", iterations)
        self.batch_size = None if batch_size is None else _checks.positive_integer("batch_size", batch_size)
        self.shuffle = _checks.boolean("shuffle", shuffle)
        self.schedule = as_schedule(schedule)
        if stop is not None and not isinstance(stop, EarlyStopping):
            stop = EarlyStopping(_checks.positive_integer("stop", stop))
        self.stop = stop
        if report_every is None:
            report_every = 0 if self.in_epochs else 1000
        self.report_every = _checks.positive_integer("report_every", report_every, minimum=0)
        given = progress is None or isinstance(progress, Progress)
        self.progress = progress if given else _checks.boolean("progress", progress)
        self.on_epoch = _as_functions(on_epoch)


def _as_functions(given: object) -> Sequence[Callable[[Any], object]]:
    functions: list[Any] = list(given) if isinstance(given, (list, tuple)) else [given]
    for function in functions:
        if not callable(function):
            raise TypeError(f"on_epoch is {function!r}; expected a function of an Epoch, or a list of them")
    return functions


def is_kept(checkpoint: str | os.PathLike[str] | None, resume: bool) -> bool:
    """Return whether a training is kept in a file, or raise where it is to go on from none."""
    if checkpoint is None and _checks.boolean("resume", resume):
        raise ValueError("resume is True and checkpoint is not given; name the file to go on from: checkpoint=...")
    return checkpoint is not None
