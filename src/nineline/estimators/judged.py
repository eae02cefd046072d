"""Rows that a model is judged by: what is true of them, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted

from nineline.rows import sampled
from nineline.tables.several_targets import SeveralAnswers

if TYPE_CHECKING:
    import numpy.typing as npt

    Numbers = npt.NDArray[np.float64]

POINTS: Final = 1000  # drawn of a cloud, and of a curve half as many
NO_ROWS: Final = "no held-out rows are there (too few rows, or a model from a file or a copy); give X and y"


@dataclass(frozen=True)
class Judged:
    """Truth and answers, row by row.

    Attributes
    ----------
    truth : array, (rows,)
        Classes or numbers.
    answers : array, (rows, classes) or (rows,)
        Probabilities or numbers.
    weights : array, (rows,), or None
    classes : array, (classes,), or None
    target : str
        What is predicted.
    """

    truth: npt.NDArray[Any]
    answers: Numbers
    weights: Numbers | None
    classes: npt.NDArray[Any] | None
    target: str

    @property
    def codes(self) -> npt.NDArray[np.intp]:
        """The number of each row's class, (rows,)."""
        assert self.classes is not None
        return np.searchsorted(self.classes, self.truth)

    @property
    def names(self) -> list[str]:
        """The classes as text."""
        assert self.classes is not None
        return [str(value) for value in self.classes.tolist()]

    @property
    def counts(self) -> Numbers:
        """What each row counts, (rows,)."""
        return np.ones(len(self.truth)) if self.weights is None else self.weights.astype(np.float64)

    def some(self, rows: int = POINTS) -> Judged:
        """Return these rows, or of too many so many, drawn at random but the same each time."""
        return self if len(self.truth) <= rows else self.part(sampled(len(self.truth), rows))

    def part(self, kept: npt.NDArray[Any]) -> Judged:
        """Return the rows with these numbers, or of which a mask is True."""
        weights = None if self.weights is None else self.weights[kept]
        return Judged(self.truth[kept], self.answers[kept], weights, self.classes, self.target)


def judged_of(model: Any, X: Any, y: Any, *, classes: bool) -> Judged:
    """Return what a model answers for rows, or for those that its members held out where none are given.

    Parameters
    ----------
    model : Judged, TabularClassifier or TabularRegressor
        What was judged before is returned as it is.
    X, y
        Rows and their target, or None.
    classes : bool
        Whether the picture is one of classes.

    Raises
    ------
    ValueError
        One of X and y is missing, there are no held-out rows, or no rows at all.
    TypeError
        The picture is one of classes and the model predicts a number, or the other way round.
    """
    if isinstance(model, Judged):
        judged = model
    else:
        check_is_fitted(model, "network_")
        if isinstance(model.target_, SeveralAnswers):
            raise TypeError(
                f"this is a picture of one target, and the model predicts {model.target_.in_words()}; fit a model of "
                "one of them for it"
            )
        judged = _answered(model, X, y)
    if (judged.classes is not None) != classes:
        what, other = ("classes", "a number") if classes else ("a number", "classes")
        raise TypeError(f"this is a picture of {what}, and the model predicts {other}, {judged.target!r}")
    finite: Any = np.isfinite(judged.answers).reshape(len(judged.answers), -1).all(axis=1)
    if not finite.any():
        raise ValueError("there is no row with a finite answer; nothing to draw")
    return judged if finite.all() else judged.part(finite)


def _answered(model: Any, X: Any, y: Any) -> Judged:
    if (X is None) != (y is None):
        raise ValueError("one of X and y is given; give both, or neither for the rows held out in training")
    weights: Any = None
    if X is None:
        if model._held_out is None or not model._held_out.parts:
            raise ValueError(NO_ROWS)
        truth, answers, weights = model._held_out.judged()
    else:
        truth = model._truth(y)
        answers = model._answers(model._run(X))
        if len(truth) != len(answers):
            raise ValueError(f"X has {len(answers)} rows and y has {len(truth)}; expected as many of each")
        if is_classifier(model) and not np.isin(truth, model.classes_).all():
            strange = sorted(set(truth.tolist()) - set(model.classes_.tolist()), key=str)[0]
            raise ValueError(f"y holds the class {strange!r}, which the model has not learned")
    classes = model.classes_ if is_classifier(model) else None
    return Judged(truth, answers, weights, classes, model.target_name_)
