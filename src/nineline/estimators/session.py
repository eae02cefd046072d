"""From a table and the name of its target to a trained model and an honest account of how good it is."""

from __future__ import annotations

import functools
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np
import polars as pl
from polars.exceptions import PolarsError
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import confusion_matrix

from nineline import _checks
from nineline.estimators.judged import Judged
from nineline.estimators.splitting import part_to_judge_by
from nineline.estimators.tabular import TabularClassifier, TabularRegressor
from nineline.estimators.tabular.scoring import scores_of
from nineline.estimators.tabular.streamed import EXAMPLES
from nineline.estimators.tabular.validation import Validation
from nineline.rows import evenly_spaced
from nineline.tables.series import ISO, moments_of, numbers_of, texts_of

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Collection

    import numpy.typing as npt

CLASSIFICATION = "classification"
REGRESSION = "regression"
KINDS = {CLASSIFICATION: TabularClassifier, REGRESSION: TabularRegressor}
_CODES_AT_MOST = 10  # whole numbers with more values than this are quantities, not codes of classes
_LINEAR_ROWS = 20_000


@dataclass
class Session:
    """A training on a table, and what came of it.

    Attributes
    ----------
    model : TabularClassifier or TabularRegressor
    task : str
        "classification" or "regression".
    reason : str
        Why it is that, as the end of a sentence.
    notes : list of str
        What else happened to the table before training.
    train, test : int
        Rows of each part.
    scores : dict of str to dict of str to float
        On the test part, by model ("network", "linear model", "boosted trees" where asked for, "majority class" or
        "mean") and measure; empty without a test part.
    confusion : array or None
        (classes, classes), rows are the truth.
    residuals : array or None
        Quantiles 0.05, 0.25, 0.5, 0.75, 0.95 of prediction − truth.
    judged : Judged or None
        The test part with the network's answers.
    rows : list of dict
        Some of its rows.
    """

    model: TabularClassifier | TabularRegressor
    task: str
    reason: str
    notes: list[str]
    train: int
    test: int
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    confusion: npt.NDArray[np.int64] | None = None
    residuals: npt.NDArray[np.float64] | None = None
    judged: Judged | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)

    def to_html(self, path: str | os.PathLike[str], *, command: str | None = None) -> None:
        """Write the whole report as a page; see `nineline.estimators.tabular.report.FitReport.to_html`.

        It judges by the test part, beside the other models, where there is one. `command` is what was typed.
        """
        from nineline.estimators.page import Evaluation, write_page

        evaluation = None
        if self.judged is not None and "network" in self.scores:
            where = f"{self.test:,} test rows, which training has not seen"
            evaluation = Evaluation(self.judged, where, self.scores, self.notes, self.rows)
        write_page(path, self.model.report_, evaluation, command)


def decide_task(target: nw.Series[Any], task: str | None = None, rows: int | None = None) -> tuple[str, str]:
    """Return "classification" or "regression", and the reason in words.

    Text, booleans and whole numbers of at most 10 values are classes; other numbers are quantities. `target` may be the
    different values of a table of so many rows.

    Raises
    ------
    ValueError
        The target fits neither, or not the task that was asked for.
    """
    if task not in (None, CLASSIFICATION, REGRESSION):
        raise ValueError(f"task is {task!r}, which is not known{_checks.nearest(task, [CLASSIFICATION, REGRESSION])}")
    name, rows = target.name, len(target) if rows is None else rows
    if target.dtype.is_nested() or target.dtype in (nw.Duration, nw.Binary, nw.Time):
        raise ValueError(f"target {name!r} is of type {target.dtype}; expected numbers, text or booleans")
    values = numbers_of(target)
    texts = texts_of(target)
    distinct = len(texts.values)
    if distinct == 1:
        raise ValueError(
            f"target {name!r} has one value only, {_checks.quoted(texts.values[0])}; there is nothing to tell apart"
        )
    if task == REGRESSION:
        if values is None or target.dtype == nw.Boolean:
            raise ValueError(
                f"target {name!r} holds {_checks.quoted(texts.values[0])}; regression needs numbers: leave task out"
            )
        return REGRESSION, "as asked"
    if values is not None and task is None and target.dtype != nw.Boolean:
        whole = bool((values == np.round(values)).all())
        if not whole:
            return REGRESSION, "because the target holds numbers with fractions"
        if distinct > min(_CODES_AT_MOST, max(2, rows // 3)):
            return REGRESSION, f"because the target holds whole numbers of {distinct:,} different values"
        return CLASSIFICATION, f"because the target holds whole numbers of only {distinct} different values"
    if values is None and moments_of(target, ISO) is not None:
        raise ValueError(f"target {name!r} holds dates; make it a number (days since ...) or a class first")
    if distinct > rows / 2 and distinct > _CODES_AT_MOST:
        raise ValueError(
            f"target {name!r} has {distinct:,} different values in {rows:,} rows; that is no set of classes"
        )
    return CLASSIFICATION, "as asked" if task else f"because the target holds {distinct} classes"


def train_on_table(
    table: pl.DataFrame,
    target: str,
    *,
    task: str | None = None,
    test: pl.DataFrame | None = None,
    split: str | None = None,
    groups: str | None = None,
    time: str | None = None,
    validation: pl.DataFrame | None = None,
    test_size: float = 0.2,
    seed: int = 0,
    compare: bool = False,
    save: Callable[[TabularClassifier | TabularRegressor], None] | None = None,
    **settings: Any,
) -> Session:
    """Train on a table and judge the model on rows that it has not seen.

    Nothing that befalls the judging loses the model: what could not be judged is said in the session's notes.

    Parameters
    ----------
    table : polars.DataFrame
    target : str
        The column to predict; rows where it is missing are left out.
    task : {"classification", "regression"}, optional
        By default decided by `decide_task`.
    test : polars.DataFrame, optional
        The rows to judge on, instead of a part of `table`.
    split : str, optional
        A column that says "test" in the rows to judge on; it is not learned from.
    groups : str, optional
        A column that says which rows belong together; it is not learned from. Whole groups are held out, in training
        and to judge by.
    time : str, optional
        A column that says when each row was. The latest rows are judged by, and the latest of the others held out in
        training.
    validation : polars.DataFrame, optional
        The rows to stop and choose by, instead of some that are held out in training.
    test_size : float
        In [0, 1): the share held out otherwise, stratified by class. 0: none.
    seed : int
    compare : bool
        Whether scikit-learn's HistGradientBoosting is judged beside the network.
    save : function of the model, optional
        Called with the model as soon as it is there, and once more when it has been judged.
    **settings
        For `TabularClassifier` or `TabularRegressor`.

    Raises
    ------
    ValueError
        A column is not there, or nothing can be learned; the message says which and why.
    """
    notes: list[str] = []
    check_roles(table.columns, target, test, split, Validation(validation, groups, time))
    if split is not None:
        table, test = _split_by(table, split, notes)
    table = _with_target(table, target, notes, "")
    learned = [column for column in table.columns if column != groups]
    test = None if test is None else _beside(test, learned, target, notes, "the test part")
    validation = None if validation is None else _beside(validation, learned, target, notes, "the validation part")
    task, reason = decide_task(nw.from_native(table[target], series_only=True), task)
    as_learned = _as_numbers if task == REGRESSION else _whole_codes
    table = as_learned(table, target)
    test, validation = (None if part is None else as_learned(part, target) for part in (test, validation))
    rng = np.random.default_rng(seed)
    if test is None:
        _checks.number("test_size", test_size, low=0, high=1, high_open=True)
        classes = texts_of(nw.from_native(table[target], series_only=True)).ranks if task == CLASSIFICATION else None
        kept, out, said = part_to_judge_by(table, test_size, rng, classes, groups, time)
        notes += [said] if said else []
        table, test = table[kept], table[out].select(learned)
        if not len(out):
            notes.append("no rows are held out: the model is not judged")
    if task == CLASSIFICATION:
        strange = sorted(set(test[target].to_list()) - set(table[target].to_list()))
        if strange:
            raise ValueError(
                f"the test part holds the class {_checks.quoted(strange[0])}, which the training part does not"
            )
    held_out = Validation(
        None if validation is None else (validation.drop(target), validation[target]),
        None if groups is None else table[groups],
        None if time is None else table[time],
    )
    table = table.select(learned)
    model = KINDS[task](random_state=seed, **settings)
    model.fit(table.drop(target), table[target], **held_out.by_argument())
    session = Session(model, task, reason, notes, table.height, test.height)
    finish(session, table, test, target, rng, compare=compare, save=save)
    return session


def finish(
    session: Session,
    table: pl.DataFrame,
    test: pl.DataFrame,
    target: str,
    rng: np.random.Generator,
    *,
    compare: bool,
    save: Callable[[TabularClassifier | TabularRegressor], None] | None,
) -> None:
    """Save a model, judge it and others that learn from `table` on the test part, and save it with what was found."""
    model = session.model
    if save is not None:
        save(model)
    if test.height:
        _judge(session, table, test, target, rng, compare=compare)
        _weigh(session)
        if save is not None and model.evaluation_:
            try:
                save(model)
            except (OSError, KeyboardInterrupt) as error:
                said = error or type(error).__name__
                session.notes.append(f"the file holds the model without its evaluation: {said}")


def _judge(
    session: Session,
    table: pl.DataFrame,
    test: pl.DataFrame,
    target: str,
    rng: np.random.Generator,
    *,
    compare: bool,
) -> None:
    """Fill in the scores of the network and of the baselines on the test part, as far as they can be had."""
    model = session.model
    some = table[np.sort(rng.permutation(table.height)[:_LINEAR_ROWS])]  # a linear model learns no more from more
    unseen = functools.cache(lambda: _encoded(model, test.drop(target)))
    judges: dict[str, Callable[[], Any]] = {
        "network": lambda: _judge_network(session, test, target),
        "linear model": lambda: _linear(model, some, unseen(), target),
    }
    if compare:
        judges["boosted trees"] = lambda: _boosted(model, table, unseen(), target)
    judges["majority class" if session.task == CLASSIFICATION else "mean"] = lambda: _plainest(
        model, table, test, target
    )
    for name, judge in judges.items():
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter(
                    "ignore"
                )  # of a baseline that has not quite converged, of numbers beyond the range
                answers = judge()
                if answers is not None:
                    session.scores[name] = scores_of(model, test[target].to_numpy(), answers)
        except KeyboardInterrupt:
            session.notes.append(f"interrupted while the {name} was judged; the model is whole")
            break
        except (ValueError, TypeError, OverflowError, MemoryError, ArithmeticError, PolarsError) as error:
            session.notes.append(f"the {name} could not be judged: {_checks.printable(str(error), 300)}")
            if name == "network":  # and so there is nothing to compare
                break
    scores = session.scores.get("network", {})
    beyond = [measure for measure, value in scores.items() if not np.isfinite(value)]
    if beyond:
        session.notes.append(f"{', '.join(beyond)} on the test part is beyond the range of numbers")
    if scores:
        kept = {measure: value for measure, value in scores.items() if measure not in beyond}
        model.evaluation_ = {"test rows": float(test.height), **kept}


def _weigh(session: Session) -> None:
    """Find out how much each column decides, as far as rows were held out in training."""
    model = session.model
    if session.judged is None or model._held_out is None or not model._held_out.parts:
        return
    try:
        found = model._importance_soon()
    except (KeyboardInterrupt, MemoryError, ValueError) as error:
        session.notes.append(f"which columns decide was not measured: {error or type(error).__name__}")
        return
    measured = zip(found.names, found.importances_mean.tolist(), strict=True)
    model.importances_ = {name: value for name, value in measured if np.isfinite(value)}


def _judge_network(session: Session, test: pl.DataFrame, target: str) -> Any:
    """Return the network's answers, and note what it confuses or by how much it is off."""
    model, truth = session.model, test[target].to_numpy()
    columns = test.drop(target)
    rows = model.select(columns)
    session.rows = columns[evenly_spaced(test.height, EXAMPLES)].to_dicts()
    if isinstance(model, TabularClassifier):
        shares = model.predict_proba(rows)
        said = model.classes_[shares.argmax(axis=1)]
        session.confusion = confusion_matrix(truth, said, labels=model.classes_)
        session.judged = Judged(truth, shares, None, model.classes_, target)
        return shares
    predicted = model.predict(rows)
    session.judged = Judged(truth, predicted, None, None, target)
    session.residuals = np.quantile(predicted - truth, [0.05, 0.25, 0.5, 0.75, 0.95])
    return predicted


def _linear(model: Any, table: pl.DataFrame, unseen: Any, target: str) -> Any:
    seen, answers = _encoded(model, table.drop(target)), table[target].to_numpy()
    if not isinstance(model, TabularClassifier):
        return Ridge().fit(seen, answers).predict(unseen)
    if set(answers) != set(model.classes_):
        return None
    return LogisticRegression(max_iter=300).fit(seen, answers).predict_proba(unseen)


def _boosted(model: Any, table: pl.DataFrame, unseen: Any, target: str) -> Any:
    seen, answers = _encoded(model, table.drop(target)), table[target].to_numpy()
    if isinstance(model, TabularClassifier):
        return HistGradientBoostingClassifier(random_state=0).fit(seen, answers).predict_proba(unseen)
    return HistGradientBoostingRegressor(random_state=0).fit(seen, answers).predict(unseen)


def _plainest(model: Any, table: pl.DataFrame, test: pl.DataFrame, target: str) -> Any:
    """Answers that look at no column."""
    seen, answers, unseen = np.zeros((table.height, 1)), table[target].to_numpy(), np.zeros((test.height, 1))
    if isinstance(model, TabularClassifier):
        return DummyClassifier().fit(seen, answers).predict_proba(unseen)
    return DummyRegressor().fit(seen, answers).predict(unseen)


def _encoded(model: Any, rows: pl.DataFrame) -> Any:
    return model.columns_.encode(nw.from_native(model.select(rows), eager_only=True))


def check_roles(
    columns: Collection[str],
    target: str,
    test: object,
    split: str | None,
    validation: Validation,
) -> None:
    """Raise ValueError where a table has no such columns, nothing to learn from, or is parted in two ways."""
    _require(columns, target, "target")
    for role, name in (("groups", validation.groups), ("time", validation.time)):
        if name is not None:
            _require(columns, name, role)
            if name in (target, split):
                raise ValueError(f"{role} and {'target' if name == target else 'split'} are both {name!r}")
    if len(columns) == 1 + (validation.groups is not None):
        raise ValueError(f"the table has no column besides the target {target!r}; there is nothing to learn from")
    if test is not None and split is not None:
        raise ValueError("test and split are both given; give one of the two")
    if split is not None:
        _require(columns, split, "split")
        if split == target:
            raise ValueError(f"split and target are both {target!r}; the column to predict cannot say what to test on")


def _require(columns: Collection[str], column: str, role: str) -> None:
    if column not in columns:
        hint = _checks.nearest(column, columns)
        raise ValueError(f"{role} is {column!r}, which is no column of the table{hint}")


def _split_by(table: pl.DataFrame, split: str, notes: list[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    says = table[split].cast(pl.String).str.strip_chars().str.to_lowercase()
    is_test = says.eq_missing("test")
    train, test = table.filter(~is_test).drop(split), table.filter(is_test).drop(split)
    if not train.height or not test.height:
        values = ", ".join(_checks.quoted(value) for value in table[split].unique().sort().to_list()[:5])
        raise ValueError(f"split column {split!r} holds {values}; expected 'test' in some rows and not in others")
    others = says.filter(~is_test).fill_null("nothing").unique().sort().to_list()
    if others != ["train"]:
        notes.append(f"rows whose {split!r} says {', '.join(map(_checks.quoted, others[:5]))} are trained on")
    return train, test


def _beside(part: pl.DataFrame, columns: list[str], target: str, notes: list[str], what: str) -> pl.DataFrame:
    """Return the rows that have a target of a table with at least these columns."""
    for column in columns:
        if column not in part.columns:
            raise ValueError(f"{what} lacks the column {column!r}{_checks.nearest(column, part.columns)}")
    return _with_target(part.select(columns), target, notes, f" of {what}")


def _with_target(table: pl.DataFrame, target: str, notes: list[str], where: str) -> pl.DataFrame:
    known = table.filter(table[target].is_not_null())
    if table[target].dtype.is_float():
        known = known.filter(known[target].is_finite())
    gone = table.height - known.height
    if not known.height:
        what = "judge by" if where else "learn from"
        raise ValueError(f"target {target!r} is missing in every row{where}; there is nothing to {what}")
    if gone:
        notes.append(f"{gone:,} rows{where} without a target were left out")
    return known


def _as_numbers(table: pl.DataFrame, target: str) -> pl.DataFrame:
    return table.with_columns(pl.col(target).cast(pl.Float64))


def _whole_codes(table: pl.DataFrame, target: str) -> pl.DataFrame:
    """Return the table with a target of 1.0, 2.0, ... as 1, 2, ..."""
    if (table[target].dtype.is_float() or table[target].dtype.is_decimal()) and (
        table[target] == table[target].round()
    ).all():
        return table.with_columns(table[target].cast(pl.Int64))
    return table
