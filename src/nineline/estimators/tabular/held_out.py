"""Held-out rows: how good the members are on what they did not learn from, and what follows from that."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
from sklearn.utils import Bunch

from nineline.ensemble import Ensemble
from nineline.estimators.tabular.folds import stretch
from nineline.estimators.tabular.scoring import error_of, scores_of
from nineline.rows import evenly_spaced

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.estimators.tabular.member import Member
    from nineline.network import Network
    from nineline.rows import Compact, Rows
    from nineline.tables.targets import Target

    Answers = npt.NDArray[np.float64]

_KEPT: Final = 2000  # rows of each member, for importances
_ANSWERS: Final = 100_000  # to be had soon
_REPEATS: Final = 3
_ROWS_AT_LEAST: Final = 100
QUANTILES: Final = 1000  # of residuals, where there are more


@dataclass(frozen=True)
class HeldOutPart:
    """Rows, and who answers for them.

    Attributes
    ----------
    network : Network or Ensemble
    inputs : Compact
        Of the first rows; the others were judged and let go.
    truth : array, (all rows,) or (all rows, outputs)
        Labels or numbers.
    answers : array, (all rows, classes), (all rows,) or (all rows, outputs)
    weights : array, (all rows,), or None
    target : Target or None
        What makes answers of outputs, where the network has learned since and `answers` is None.
    """

    network: Network | Ensemble
    inputs: Compact
    truth: npt.NDArray[Any]
    answers: Answers | None
    weights: Array | None
    target: Target | None = None

    def said(self) -> Answers:
        """Return the answers, which are found where they are not there."""
        if self.answers is not None:
            return self.answers
        assert self.target is not None
        return self.target.answers(self.network.run(self.inputs))

    def part(self, kept: npt.NDArray[np.intp]) -> HeldOutPart:
        """Return some of the rows whose inputs are kept."""
        weights = None if self.weights is None else self.weights[kept]
        answers = None if self.answers is None else self.answers[kept]
        return replace(self, inputs=self.inputs.part(kept), truth=self.truth[kept], answers=answers, weights=weights)


@dataclass(frozen=True)
class HeldOut:
    """What each member held out."""

    parts: tuple[HeldOutPart, ...]

    @classmethod
    def of(
        cls, members: Sequence[Member], rows: Rows, labels: npt.NDArray[Any], answers: Callable[[Array], Answers]
    ) -> HeldOut:
        """Let every member answer for the rows that it held out, and all together where these are the same."""
        parts = []
        for network, out in _by_whom(members):
            if len(out):
                held = rows.part(stretch(out))
                weights = None if held.sample_weight is None else held.sample_weight.copy()
                said = answers(network.run(held.inputs))
                kept = cast("Compact", held.part(np.arange(min(_KEPT, len(out)))).inputs)  # a copy: no more is held
                parts.append(HeldOutPart(network, kept, labels[out], said, weights))
        return cls(tuple(parts))

    @classmethod
    def on(cls, network: Network | Ensemble, inputs: Compact, labels: npt.NDArray[Any]) -> HeldOut:
        """Return other rows, for which all members answer."""
        return cls((HeldOutPart(network, inputs, labels, None, None),))

    def by(self, networks: Mapping[Network | Ensemble, Network], target: Target) -> HeldOut | None:
        """Return the rows that are kept, each with the network that its own has become; None where one is not there."""
        if not all(part.network in networks for part in self.parts):
            return None
        parts = []
        for part in self.parts:
            kept = part.part(np.arange(len(part.inputs)))
            parts.append(replace(kept, network=networks[part.network], answers=None, target=target))
        return HeldOut(tuple(parts))

    @property
    def judges(self) -> str:
        """Which networks answer for the rows, in words."""
        if any(isinstance(part.network, Ensemble) for part in self.parts):
            return "all networks together, none of which learned from it"
        return "the network that did not learn from it"

    def judged(self) -> tuple[npt.NDArray[Any], Answers, Array | None]:
        """Return truth, answers and weights of all rows, each answered by the member that did not learn from it."""
        truth = np.concatenate([part.truth for part in self.parts])
        answers = np.concatenate([part.said() for part in self.parts])
        given = [part.weights for part in self.parts if part.weights is not None]
        return truth, answers, np.concatenate(given) if given else None

    def scores(self, model: Any) -> dict[str, float]:
        """Return the measures over all held-out rows."""
        if not self.parts:
            return {}
        return scores_of(model, *self.judged())

    def error(self, model: Any) -> float:
        """Return what trials are judged by; see `error_of`."""
        return error_of(model, *self.judged())

    def residuals(self) -> Answers:
        """Return truth − answer of a regressor's held-out rows, ascending; many of them by their quantiles.

        A row of weight 2 is there once: what is asked for is how far off an answer may be.
        """
        if not self.parts:
            return np.empty(0)
        gaps = [part.truth - part.answers for part in self.parts if part.answers is not None]
        all_gaps: Answers = np.sort(np.concatenate(gaps).astype(np.float64))
        if len(all_gaps) > QUANTILES:
            return np.quantile(all_gaps, np.linspace(0, 1, QUANTILES))
        return all_gaps

    def importance(self, model: Any, repeats: int, rng: np.random.Generator) -> Bunch:
        """Return what `Tabular.feature_importance` returns."""
        names = [column.name for column in model.columns_.used]
        before = self._error(model, [part.inputs for part in self.parts])
        rises = np.empty((len(names), repeats))
        for place in range(len(names)):
            for repeat in range(repeats):
                shuffled = []
                for part in self.parts:
                    order = rng.permutation(part.inputs.shape[0])
                    shuffled.append(model.columns_.shuffled(part.inputs, place, order))
                rises[place, repeat] = self._error(model, shuffled) - before
        return Bunch(
            names=names, importances_mean=rises.mean(axis=1), importances_std=rises.std(axis=1), importances=rises
        )

    def importance_soon(self, model: Any) -> Bunch:
        """Return the same of some of the rows, so few that it takes about a second, the same each time."""
        columns = len(model.columns_.used)
        rows = max(_ANSWERS // (columns * _REPEATS), _ROWS_AT_LEAST)
        return self.thinned(rows).importance(model, _REPEATS, np.random.default_rng(0))

    def kept_weights(self) -> Answers | None:
        """Return what each row that is kept counts; None where all count alike."""
        if all(part.weights is None for part in self.parts):
            return None
        kept = []
        for part in self.parts:
            rows = part.inputs.shape[0]
            kept.append(np.ones(rows) if part.weights is None else part.weights[:rows])
        return np.concatenate(kept).astype(np.float64)

    def dependence(self, model: Any, place: int, values: Sequence[object]) -> list[Answers]:
        """Return the mean answer to the rows that are kept if a column had a value in all, for each of some values.

        `place` is the column's among those in use. A mean is (classes,), (outputs,), or a number.
        """
        weights = self.kept_weights()
        found = []
        for value in values:
            said = [part.network.run(model.columns_.with_value(part.inputs, place, value)) for part in self.parts]
            answers = model.target_.answers(np.concatenate(said))
            found.append(np.average(answers, axis=0, weights=weights))
        return found

    def thinned(self, rows: int) -> HeldOut:
        """Return the same with at most so many rows in all, evenly spaced among those that are kept of each part."""
        there = sum(part.inputs.shape[0] for part in self.parts)
        if there <= rows:
            return self
        parts = []
        for part in self.parts:
            have = part.inputs.shape[0]
            parts.append(part.part(evenly_spaced(have, max(1, have * rows // there))))
        return HeldOut(tuple(parts))

    def _error(self, model: Any, inputs: Sequence[Compact]) -> float:
        truth = np.concatenate([part.truth[: x.shape[0]] for part, x in zip(self.parts, inputs, strict=True)])
        said = [model.target_.answers(part.network.run(x)) for part, x in zip(self.parts, inputs, strict=True)]
        return error_of(model, truth, np.concatenate(said), self.kept_weights())


def _by_whom(members: Sequence[Member]) -> list[tuple[Network | Ensemble, npt.NDArray[np.intp]]]:
    """Return who answers for which rows."""
    first = members[0].held_out if members else np.empty(0, np.intp)
    if len(members) > 1 and all(np.array_equal(member.held_out, first) for member in members):
        return [(Ensemble([member.network for member in members]), first)]
    return [(member.network, member.held_out) for member in members]
