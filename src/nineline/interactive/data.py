"""Data: the rows that a playground learns from, and how a plane through them becomes inputs of the network."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nineline import _checks, datasets
from nineline.rows import sampled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.interactive.settings import DataSettings

    Numbers = npt.NDArray[np.float64]

INPUTS_AT_MOST: Final = 128
OUTPUTS_AT_MOST: Final = 32
SHOWN_AT_MOST: Final = 1000
_GROUPS: Final = 12
_MARGIN: Final = 0.1  # of an axis, beyond the rows on either side


def _as_it_is(numbers: Array) -> Array:
    return numbers


@dataclass(frozen=True, eq=False)
class DataColumn:
    """One column of the data, which may be an axis of the surface, or held somewhere.

    Attributes
    ----------
    name : str
    values : array, (rows,)
        Numbers; of a category the number of its level.
    levels : tuple of str
        Of a category; empty for numbers.
    """

    name: str
    values: Numbers
    levels: tuple[str, ...] = ()

    @property
    def range(self) -> tuple[float, float]:
        """From where to where an axis of this column goes."""
        if self.levels:
            return -0.5, len(self.levels) - 0.5
        low, high = float(self.values.min()), float(self.values.max())
        margin = _MARGIN * (high - low) or 1.0
        return low - margin, high + margin

    @property
    def middle(self) -> float:
        """Where the column is held unless something else is asked for: its median, or its most frequent level."""
        if self.levels:
            return float(np.bincount(self.values.astype(np.intp)).argmax())
        return float(np.median(self.values))

    def said(self, row: int) -> str:
        """Return the value of a row in words."""
        value = self.values[row]
        return self.levels[int(value)] if self.levels else f"{value:.4g}"

    def describe(self, held: float) -> dict[str, Any]:
        """Return what a page has to know of it."""
        return {
            "name": self.name,
            "kind": "category" if self.levels else "number",
            "low": float(self.values.min()),
            "high": float(self.values.max()),
            "middle": self.middle,
            "levels": list(self.levels) or None,
            "held": held,
        }


@dataclass(frozen=True, eq=False)
class Data:
    """Rows to learn from, and rows that are held out.

    Attributes
    ----------
    task : {"classes", "number"}
    inputs : array, (rows, n_inputs)
    targets : array, (rows, n_outputs)
    test : array of bool, (rows,)
        Which rows are held out.
    columns : tuple of DataColumn
        As a person knows them.
    input_names, output_names : tuple of str
    encode : function
        From values of the columns, (rows, columns), to inputs, (rows, n_inputs).
    code : tuple of str
        Lines of Python that make X, y, X_test and y_test.
    notes : tuple of str
        What a person has to know.
    """

    task: str
    inputs: Numbers
    targets: Numbers
    test: npt.NDArray[np.bool_]
    columns: tuple[DataColumn, ...]
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    encode: Callable[[Numbers], Numbers]
    code: tuple[str, ...]
    notes: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    unscale: Callable[[Array], Array] = _as_it_is
    """From a target as it is learned to one as a person knows it."""
    train: tuple[Numbers, Numbers] = field(init=False)
    held_out: tuple[Numbers, Numbers] | None = field(init=False)

    def __post_init__(self) -> None:
        def part(which: npt.NDArray[np.bool_]) -> tuple[Numbers, Numbers]:
            return np.ascontiguousarray(self.inputs[which]), np.ascontiguousarray(self.targets[which])

        object.__setattr__(self, "train", part(~self.test))
        object.__setattr__(self, "held_out", part(self.test) if self.test.any() else None)

    @property
    def truth(self) -> Numbers:
        """Of each row the number of its class, or its value."""
        if self.targets.shape[1] == 1:
            return self.targets[:, 0]
        return self.targets.argmax(axis=1).astype(np.float64) if self.task == "classes" else self.targets[:, 0]

    @property
    def known_truth(self) -> Array:
        """The truth as a person knows it."""
        return self.truth if self.task == "classes" else self.unscale(self.truth)

    @property
    def shown(self) -> npt.NDArray[np.intp]:
        """The numbers of the rows that a page draws."""
        return np.asarray(sampled(len(self.inputs), SHOWN_AT_MOST))


@dataclass(frozen=True)
class Plane:
    """A plane through the space of the columns, or a line where there is one axis.

    Attributes
    ----------
    x, y : int, int or None
        The numbers of the columns that are its axes.
    held : mapping of int to float
        Where other columns are held; by default in their middle.
    """

    x: int
    y: int | None
    held: Mapping[int, float] = field(default_factory=dict)

    @classmethod
    def of(cls, data: Data) -> Plane:
        """Return the plane of the two columns that tell most about the target, each by itself."""
        if len(data.columns) == 1:
            return cls(0, None)
        if len(data.columns) == 2:
            return cls(0, 1)
        told = [_told_by(column, data.targets) for column in data.columns]
        first, second = np.argsort(-np.round(told, 6), kind="stable")[:2].tolist()
        return cls(first, second)

    def at(self, data: Data) -> Numbers:
        """Return where each column is held."""
        return np.array([self.held.get(number, column.middle) for number, column in enumerate(data.columns)])

    def values(self, data: Data, points: int, on_a_line: int) -> tuple[list[int], Numbers]:
        """Return the shape of a grid of points on the plane, and the columns' values there, the lowest y first."""
        axis = data.columns[self.x].range
        if self.y is None:
            shape, places = [on_a_line], np.linspace(*axis, on_a_line)
            values = np.tile(self.at(data), (on_a_line, 1))
            values[:, self.x] = places
        else:
            shape = [points, points]
            x = _centres(axis, points)
            y = _centres(data.columns[self.y].range, points)
            values = np.tile(self.at(data), (points * points, 1))
            values[:, self.x], values[:, self.y] = np.tile(x, points), np.repeat(y, points)
        for number, column in enumerate(data.columns):
            if column.levels:
                values[:, number] = np.clip(np.round(values[:, number]), 0, len(column.levels) - 1)
        return shape, values

    def grid(self, data: Data, points: int, on_a_line: int) -> tuple[list[int], Numbers]:
        """Return the shape of a grid of points on the plane, and the network's inputs there, the lowest y first."""
        shape, values = self.values(data, points, on_a_line)
        return shape, data.encode(values)


def _told_by(column: DataColumn, targets: Numbers) -> float:
    """Return which share of the targets' variance lies between the levels of a column, or between twelfths of it."""
    groups = column.values.astype(np.intp)
    if not column.levels:
        edges = np.unique(np.quantile(column.values, np.linspace(0, 1, _GROUPS + 1)[1:-1]))
        groups = np.searchsorted(edges, column.values, side="right")
    counts = np.bincount(groups)
    total = float(targets.var(axis=0).sum())
    between = 0.0
    for output in targets.T:
        means = np.bincount(groups, output) / np.maximum(counts, 1)
        between += float((counts * (means - output.mean()) ** 2).sum() / len(output))
    return between / total if total else 0.0


def _centres(axis: tuple[float, float], points: int) -> Numbers:
    """Return the middles of so many equal parts of an axis."""
    low, high = axis
    return low + (high - low) * (np.arange(points) + 0.5) / points


def example_data(settings: DataSettings) -> Data:
    """Return the rows of an example.

    Raises
    ------
    ValueError
        There is no such example, or its settings are of no use.
    """
    if settings.name not in datasets.DATASETS:
        raise ValueError(
            f"data.name is {_checks.quoted(settings.name)}, no example"
            f"{_checks.nearest(settings.name, datasets.DATASETS)}"
        )
    example = datasets.DATASETS[settings.name]
    given = {"rows": settings.rows, "noise": settings.noise, "rng": settings.seed, "expression": settings.expression}
    options = {name: given[name] for name in example.options if given.get(name, "") != ""}
    X, y = example.make(**options)
    written = ", ".join(f"{name}={value!r}" for name, value in options.items())
    names = ("x", "y") if X.shape[1] == 2 else ("x",) if X.shape[1] == 1 else tuple("abcdefgh"[: X.shape[1]])
    lines = (
        "from nineline import datasets",
        "",
        f'X, y = datasets.DATASETS["{settings.name}"].make({written})',
    )
    return _of_arrays(X, y, example.task, settings, names, lines)


def given_data(X: Any, y: Any, settings: DataSettings, task: str) -> Data:
    """Return arrays that a program has handed over, as `Network` takes them, as rows."""
    inputs, targets = np.asarray(X, np.float64), np.asarray(y, np.float64)
    names = tuple(f"x{number}" for number in range(inputs.shape[1]))
    return _of_arrays(inputs, targets, task, settings, names, ("# X and y are the arrays that were given.",))


def held_out_rows(rows: int, share: float, seed: int) -> npt.NDArray[np.bool_]:
    """Return which rows are held out: drawn at random, one at least where the share is not 0, and never all.

    Examples
    --------
    >>> from nineline.interactive.data import held_out_rows
    >>> held_out_rows(10, 0.3, seed=0).sum()
    np.int64(3)
    """
    held = np.zeros(rows, np.bool_)
    if share and rows > 1:
        count = min(max(round(share * rows), 1), rows - 1)
        held[np.random.default_rng(seed).permutation(rows)[:count]] = True
    return held


def _of_arrays(
    X: Numbers, y: Numbers, task: str, settings: DataSettings, names: tuple[str, ...], code: tuple[str, ...]
) -> Data:
    """Return rows whose columns are the network's inputs as they are."""
    check_size(X.shape[1], y.shape[1])
    if settings.test:
        split = f"held = held_out_rows(len(X), {settings.test!r}, seed={settings.seed})"
        code = (
            "from nineline.interactive.data import held_out_rows",
            *code,
            split,
            "X, y, X_test, y_test = X[~held], y[~held], X[held], y[held]",
        )
    several = y.shape[1] > 1
    classes = tuple(str(number) for number in range(y.shape[1] if several else 2)) if task == "classes" else ()
    return Data(
        task=task,
        inputs=X,
        targets=y,
        test=held_out_rows(len(X), settings.test, settings.seed),
        columns=tuple(DataColumn(name, X[:, number]) for number, name in enumerate(names)),
        input_names=names,
        output_names=tuple(f"class {name}" if task == "classes" else f"y{name}" for name in map(str, range(y.shape[1])))
        if several
        else ("output",),
        encode=lambda values: values,
        code=code,
        classes=classes,
    )


def check_size(inputs: int, outputs: int) -> None:
    """Raise ValueError where there are more inputs or outputs than a page can draw."""
    if inputs > INPUTS_AT_MOST:
        raise ValueError(
            f"the data become {inputs:,} inputs, and the playground draws {INPUTS_AT_MOST} at most; take a file of "
            "fewer columns, or train on the whole table with nineline train"
        )
    if outputs > OUTPUTS_AT_MOST:
        raise ValueError(
            f"there are {outputs:,} classes or outputs, and the playground draws {OUTPUTS_AT_MOST} at most; train on "
            "the table with nineline train"
        )
