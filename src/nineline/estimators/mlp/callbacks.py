"""scikit-learn's callbacks: a fit is a task, and each iteration a task in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # before scikit-learn 1.9 there are none

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing to support."""


if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CallbackSupportMixin", "Tasks"]


class Tasks:
    """What the callbacks of an estimator hear of its fit.

    Parameters
    ----------
    estimator : estimator
    X, y, sample_weight
        As the user gave them.
    iterations : int
        At most so many.
    fitted : function
        Returns the attributes of a copy that can predict, as training stands.
    """

    def __init__(
        self, estimator: Any, X: Any, y: Any, sample_weight: Any, iterations: int, fitted: Callable[[], dict[str, Any]]
    ) -> None:
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self._said = {"estimator": estimator, "X": X, "y": y, "metadata": metadata}
        self._fitted = fitted
        self._root: Any = None
        self._iteration: Any = None
        if hasattr(estimator, "_init_callback_context"):
            self._root = estimator._init_callback_context(max_subtasks=iterations)
            self._root.call_on_fit_task_begin(**self._said)
        self.heard = bool(getattr(estimator, "_skl_callbacks", None))

    def iteration_begins(self) -> None:
        """Open the task of the next iteration, unless it is open."""
        if self.heard and self._iteration is None:
            self._iteration = self._root.subcontext(task_name="iteration")
            self._iteration.call_on_fit_task_begin(**self._said, reconstruction_attributes=self._fitted)

    def iteration_ends(self) -> bool:
        """Close it, and return whether a callback wants training to end."""
        if self._iteration is None:
            return False
        task, self._iteration = self._iteration, None
        return bool(task.call_on_fit_task_end(**self._said, reconstruction_attributes=self._fitted))

    def end(self) -> None:
        """Close the task of the fit."""
        self.iteration_ends()
        if self._root is not None:
            self._root.call_on_fit_task_end(**self._said, reconstruction_attributes=self._fitted)
