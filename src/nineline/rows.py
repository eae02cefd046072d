"""Rows: what a training is handed, to learn from or to be judged by.

Their inputs lie in memory in one of several layouts: dense, a NumPy array; sparse, as SciPy's CSR has them; or compact,
as those of a table: a float32 a number, a whole number a category, and what they become beside them. Every layout can
say `shape`, and `dense(inputs, which)` spreads some of its rows out into an array: the reference engine computes with
that, a batch at a time, and the native engine reads each layout as it lies.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, cast

import numpy as np

from nineline import _checks

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from nineline._typing import Array

    Which: TypeAlias = npt.NDArray[np.intp] | slice | None
    Inputs: TypeAlias = "Array | Sparse | Compact"

_SINGLE: Final = np.dtype(np.float32)
ROWS_AT_ONCE: Final = 16_384
"""What goes in pieces of so many rows, and so in bounded memory: spread-out rows, hidden layers in NumPy."""


def evenly_spaced(count: int, most: int) -> npt.NDArray[np.intp]:
    """Return the numbers of so many of some rows, from the first to the last; of all where they are no more.

    Examples
    --------
    >>> from nineline.rows import evenly_spaced
    >>> evenly_spaced(9, 3), evenly_spaced(2, 3)
    (array([0, 4, 8]), array([0, 1]))
    """
    if count <= most:
        return np.arange(count)
    return np.unique(np.linspace(0, count - 1, most).round().astype(np.intp))


def sampled(count: int, most: int) -> npt.NDArray[np.intp]:
    """Return the numbers of so many of some rows, ascending, drawn at random but the same each time; or of all."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).permutation(count)[:most])


class Sparse(NamedTuple):
    """Inputs of which only what is not zero is kept: SciPy's CSR, in canonical form.

    Attributes
    ----------
    data : array, (entries,)
    indices : array of int32, (entries,)
        The column of each entry; ascending in a row, none twice.
    indptr : array of int64, (rows + 1,)
        Row i has the entries ``indptr[i]`` to ``indptr[i + 1]``.
    columns : int
    """

    data: Array
    indices: npt.NDArray[np.int32]
    indptr: npt.NDArray[np.int64]
    columns: int

    @classmethod
    def of(cls, argument: str, matrix: Any, dtype: npt.DTypeLike) -> Sparse:
        """Return the entries of a SciPy sparse matrix; they are copied only where their form has to change."""
        rows = matrix.tocsr()
        if rows.dtype.kind not in "fiub":
            raise TypeError(f"{argument} is a sparse matrix of {rows.dtype}; expected one of numbers")
        if not rows.has_canonical_format:
            rows = rows.copy()
            rows.sum_duplicates()
        data = np.ascontiguousarray(rows.data, dtype)
        if not np.isfinite(data).all():
            raise ValueError(f"{argument} has {data[~np.isfinite(data)][0]}; expected finite numbers")
        indices, indptr = np.ascontiguousarray(rows.indices, np.int32), np.ascontiguousarray(rows.indptr, np.int64)
        return cls(data, indices, indptr, int(rows.shape[1]))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(self.indptr) - 1, self.columns

    def part(self, which: Which) -> Sparse:
        """Return some of the rows, in the given order."""
        numbers = np.arange(len(self.indptr) - 1)[slice(None) if which is None else which]
        begins, counts = self.indptr[numbers], np.diff(self.indptr)[numbers]
        indptr = np.concatenate([[0], np.cumsum(counts)])
        places = np.arange(indptr[-1]) + np.repeat(begins - indptr[:-1], counts)
        return Sparse(self.data[places], self.indices[places], indptr, self.columns)

    def dense(self) -> Array:
        """Return all rows spread out, (rows, columns)."""
        spread = np.zeros(self.shape, self.data.dtype)
        spread[np.repeat(np.arange(len(spread)), np.diff(self.indptr)), self.indices] = self.data
        return spread


class NumberPart(NamedTuple):
    """What a number v of a compact row becomes; NaN says that it is missing.

    The first input is v, or bent towards ±3: ``v / sqrt(1 + (v / 3)**2)``. Where there are edges, one follows for each
    interval between two of them, how much of it is below v: ``clip((v - left) / (right - left), 0, 1)``. Where
    `missing` says so, the last is 1 if v is missing, else 0; of a missing number all others are 0. All that is computed
    in float64 and rounded to float32.

    Attributes
    ----------
    place : int
        The first of the inputs that it becomes.
    edges : tuple of float
        Ascending; none, or at least two.
    bent, missing : bool
    """

    place: int
    edges: tuple[float, ...] = ()
    bent: bool = False
    missing: bool = False

    @property
    def width(self) -> int:
        """How many inputs it becomes."""
        return max(1, len(self.edges)) + self.missing

    def spread(self, numbers: Array, inputs: Array) -> None:
        """Write what the numbers of some rows, (rows,), become into their inputs, (rows, all inputs)."""
        missing = np.isnan(numbers)
        v = np.where(missing, 0, numbers).astype(np.float64)
        inputs[:, self.place] = (v / np.sqrt(1 + (v / 3) ** 2) if self.bent else v).astype(np.float32)
        if self.edges:
            edges = np.array(self.edges)
            filled = np.clip((v[:, np.newaxis] - edges[:-1]) / np.diff(edges), 0, 1)
            filled[missing] = 0
            inputs[:, self.place + 1 : self.place + len(edges)] = filled.astype(np.float32)
        if self.missing:
            inputs[:, self.place + self.width - 1] = missing


class LevelPart(NamedTuple):
    """What the number of a level in a compact row becomes: 1 in the place of that level among zeros, or itself.

    Parts that follow each other may have the same place and as many levels: then they are a set, whose levels ascend in
    each row, with -1 behind the last.

    Attributes
    ----------
    place : int
        The first of the inputs that it becomes.
    levels : int
        How many there are. Among zeros a number that is not below it becomes zeros alone, as -1 does.
    one_hot : bool
        False: the number itself is the input, for an `Embedding` that has so many levels.
    """

    place: int
    levels: int
    one_hot: bool = True

    @property
    def width(self) -> int:
        """How many inputs it becomes."""
        return self.levels if self.one_hot else 1

    def spread(self, levels: npt.NDArray[np.int32], inputs: Array) -> None:
        """Write what the levels of some rows, (rows,), become into their inputs, (rows, all inputs)."""
        if not self.one_hot:
            inputs[:, self.place] = levels
            return
        known = np.flatnonzero((levels >= 0) & (levels < self.levels))
        inputs[known, self.place + levels[known]] = 1


@dataclass(frozen=True, eq=False)
class Encoding:
    """What the numbers and levels of compact rows become.

    Attributes
    ----------
    numbers : tuple of NumberPart
        One for each number of a row.
    levels : tuple of LevelPart
        One for each level of a row.
    width : int
        How many inputs a row becomes in all; the parts lie side by side, but for sets of levels, and those for an
        `Embedding` come first.
    """

    numbers: tuple[NumberPart, ...]
    levels: tuple[LevelPart, ...]
    width: int

    @functools.cached_property
    def number_places(self) -> npt.NDArray[np.intp]:
        """The place of each number among numbers and levels in the order of their inputs."""
        return self._places(NumberPart)

    @functools.cached_property
    def level_places(self) -> npt.NDArray[np.intp]:
        """The place of each level among numbers and levels in the order of their inputs."""
        return self._places(LevelPart)

    def _places(self, kind: type[Any]) -> npt.NDArray[np.intp]:
        parts: list[NumberPart | LevelPart] = [*self.numbers, *self.levels]
        parts.sort(key=lambda part: part.place)
        return np.array([place for place, part in enumerate(parts) if isinstance(part, kind)], np.intp)

    @property
    def embedded(self) -> list[int]:
        """How many levels each column has that an `Embedding` reads."""
        return [part.levels for part in self.levels if not part.one_hot]


@dataclass(frozen=True, eq=False)
class Compact:
    """Inputs as a table has them: a few numbers and levels a row, and what they become beside them.

    Attributes
    ----------
    numbers : array of float32 or float64, (rows, numbers)
        Scaled, up to 1e100; NaN where one is missing.
    levels : array of int32, (rows, levels)
        Counted from 0; -1 for none.
    encoding : Encoding
    dtype : float32 or float64
        Of the inputs that they become.

    Examples
    --------
    >>> import numpy as np
    >>> from nineline.rows import Compact, Encoding, LevelPart, NumberPart
    >>> encoding = Encoding((NumberPart(0, edges=(0.0, 1.0, 3.0)),), (LevelPart(3, levels=2),), width=5)
    >>> rows = Compact(np.array([[2.0], [0.5]], np.float32), np.array([[0], [1]], np.int32), encoding)
    >>> rows.dense()
    array([[2. , 1. , 0.5, 1. , 0. ],
           [0.5, 0.5, 0. , 0. , 1. ]], dtype=float32)
    """

    numbers: Array
    levels: npt.NDArray[np.int32]
    encoding: Encoding
    dtype: np.dtype[np.floating[Any]] = _SINGLE

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows, and how many inputs each becomes."""
        return len(self), self.encoding.width

    def raw_levels(self) -> Array:
        """Return the inputs that are numbers of levels, which come first, (rows, how many)."""
        return self.levels[:, : len(self.encoding.embedded)].astype(self.dtype)

    def part(self, which: Which) -> Compact:
        """Return some of the rows, in the given order."""
        some = slice(None) if which is None else which
        return replace(self, numbers=self.numbers[some], levels=self.levels[some])

    def read_by(self, encoding: Encoding) -> Compact:
        """Return the same rows with another encoding, which may leave out the last of their levels."""
        levels = np.ascontiguousarray(self.levels[:, : len(encoding.levels)])
        return replace(self, levels=levels, encoding=encoding)

    def astype(self, dtype: npt.DTypeLike) -> Compact:
        """Return the same rows; they become inputs of another dtype."""
        return Compact(self.numbers, self.levels, self.encoding, np.dtype(cast("Any", dtype)))

    def dense(self) -> Array:
        """Return all rows spread out, (rows, inputs)."""
        inputs: Array = np.zeros(self.shape, self.dtype)
        for number, part in enumerate(self.encoding.numbers):
            part.spread(self.numbers[:, number], inputs)
        for level, place in enumerate(self.encoding.levels):
            place.spread(self.levels[:, level], inputs)
        return inputs


def dense(inputs: Inputs, which: Which = None) -> Array:
    """Return some rows of inputs, all by default, as an array, (rows, columns)."""
    if isinstance(inputs, Sparse | Compact):
        return (inputs if which is None else inputs.part(which)).dense()
    return inputs if which is None else inputs[which]


def largest(inputs: Inputs) -> float:
    """Return the largest magnitude among inputs; of compact rows among what they are made of."""
    lying = inputs.data if isinstance(inputs, Sparse) else inputs.numbers if isinstance(inputs, Compact) else inputs
    return float(np.nanmax(np.abs(lying), initial=0.0))


def arrays_of(inputs: Inputs) -> tuple[npt.NDArray[Any], ...]:
    """Return the arrays that inputs lie in."""
    if isinstance(inputs, Sparse):
        return inputs.data, inputs.indices, inputs.indptr
    return (inputs.numbers, inputs.levels) if isinstance(inputs, Compact) else (inputs,)


class Batch(NamedTuple):
    """Rows spread out: what the reference engine computes with.

    Attributes
    ----------
    inputs : array, (rows, n_inputs)
    targets : array, (rows, n_outputs)
    sample_weight : array, (rows,), or None
    """

    inputs: Array
    targets: Array
    sample_weight: Array | None

    def astype(self, dtype: npt.DTypeLike) -> Batch:
        """Return the same in another dtype."""
        weight = self.sample_weight
        return Batch(
            self.inputs.astype(dtype, copy=False),
            self.targets.astype(dtype, copy=False),
            None if weight is None else weight.astype(dtype, copy=False),
        )

    def weigh(self) -> float:
        """Return the sum of the rows' weights: as many as they are where all count the same."""
        return len(self.inputs) if self.sample_weight is None else float(self.sample_weight.sum(dtype=np.float64))


@dataclass(frozen=True, eq=False)
class Rows:
    """Checked rows of one training.

    Attributes
    ----------
    inputs : array, (rows, n_inputs), or Sparse, or Compact
    targets : array, (rows, n_outputs)
        Or class numbers, (rows,), of int64: each stands for the row of a 1 in its place and zeros.
    sample_weight : array, (rows,), or None
        What each row counts; None is 1 for all.

    Examples
    --------
    >>> import numpy as np
    >>> from nineline.rows import Rows
    >>> rows = Rows(np.eye(3), np.array([2, 0, 1]))
    >>> rows.part(slice(2)).spread(3).targets
    array([[0., 0., 1.],
           [1., 0., 0.]])
    """

    inputs: Inputs
    targets: Array | npt.NDArray[np.int64]
    sample_weight: Array | None = None

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def are_classes(self) -> bool:
        """Whether the targets are class numbers."""
        return self.targets.ndim == 1

    def part(self, which: Which) -> Rows:
        """Return some of the rows, in the given order and as they lie."""
        inputs, some = self.inputs, slice(None) if which is None else which
        part = inputs.part(which) if isinstance(inputs, Sparse | Compact) else inputs[some]
        return Rows(part, self.targets[some], None if self.sample_weight is None else self.sample_weight[some])

    def weigh(self, which: Which = None) -> float:
        """Return the sum of the weights of some of the rows, all by default: their number where all count the same."""
        some = slice(None) if which is None else which
        weight = self.sample_weight
        return float(len(self.targets[some]) if weight is None else weight[some].sum(dtype=np.float64))

    @property
    def nbytes(self) -> int:
        """How many bytes of memory they take."""
        lying = [*arrays_of(self.inputs), self.targets, self.sample_weight]
        return sum(array.nbytes for array in lying if array is not None)

    @classmethod
    def joined(cls, parts: Sequence[Rows]) -> Rows:
        """Return the rows of several parts of one layout, one behind the other; a part without weights counts by 1."""
        if len(parts) == 1:
            return parts[0]
        weights: Array | None = None
        if any(part.sample_weight is not None for part in parts):
            dtype = next(part.sample_weight.dtype for part in parts if part.sample_weight is not None)
            ones = [np.ones(len(part), dtype) if part.sample_weight is None else part.sample_weight for part in parts]
            weights = np.concatenate(ones)
        targets = np.concatenate([part.targets for part in parts])
        return cls(_joined([part.inputs for part in parts]), targets, weights)

    def spread(self, n_outputs: int, which: Which = None) -> Batch:
        """Return some of the rows, all by default, with dense inputs and a target for every output."""
        some = slice(None) if which is None else which
        inputs, targets, weight = dense(self.inputs, which), self.targets[some], self.sample_weight
        if self.are_classes:
            targets = (targets[..., np.newaxis] == np.arange(n_outputs)).astype(inputs.dtype)
        return Batch(inputs, cast("Array", targets), None if weight is None else weight[some])

    def astype(self, dtype: npt.DTypeLike) -> Rows:
        """Return the same rows in another floating-point dtype; class numbers stay whole numbers."""
        inputs, weight = self.inputs, self.sample_weight
        if isinstance(inputs, Sparse):
            inputs = inputs._replace(data=inputs.data.astype(dtype, copy=False))
        elif isinstance(inputs, Compact):
            inputs = inputs.astype(dtype)
        else:
            inputs = inputs.astype(dtype, copy=False)
        targets = self.targets if self.are_classes else self.targets.astype(dtype, copy=False)
        return Rows(inputs, targets, None if weight is None else weight.astype(dtype, copy=False))


def _joined(parts: Sequence[Inputs]) -> Inputs:
    first = parts[0]
    if isinstance(first, Sparse):
        sparse = cast("Sequence[Sparse]", parts)
        ends = np.cumsum([len(part.data) for part in sparse])
        moved = [part.indptr[1:] + end - len(part.data) for part, end in zip(sparse, ends, strict=True)]
        data, indices = [part.data for part in sparse], [part.indices for part in sparse]
        indptr = np.concatenate([first.indptr[:1], *moved])
        return Sparse(np.concatenate(data), np.concatenate(indices), indptr, first.columns)
    if isinstance(first, Compact):
        compact = cast("Sequence[Compact]", parts)
        numbers, levels = [part.numbers for part in compact], [part.levels for part in compact]
        return replace(first, numbers=np.concatenate(numbers), levels=np.concatenate(levels))
    return np.concatenate(cast("Sequence[Array]", parts))


def check_inputs(argument: str, data: Any, n_inputs: int, dtype: np.dtype[np.floating[Any]]) -> Inputs:
    """Return inputs as finite numbers of `dtype` in the layout that they came in, (rows, n_inputs), or raise."""
    if isinstance(data, Compact):
        _checks.check_shape(argument, data.shape, n_inputs, "the network")
        if np.isinf(data.numbers).any():
            raise ValueError(f"{argument} has infinity among its numbers; expected finite ones, or NaN for missing")
        return data.astype(dtype)
    if not hasattr(data, "tocsr"):
        return _checks.matrix(argument, data, n_inputs, "the network", dtype)
    inputs = Sparse.of(argument, data, dtype)
    _checks.check_shape(argument, inputs.shape, n_inputs, "the network")
    return inputs


def check_rows(
    inputs: Any,
    targets: Any,
    sample_weight: Any = None,
    *,
    n_inputs: int,
    n_outputs: int,
    dtype: np.dtype[np.floating[Any]],
    classes: bool = False,
    of: str = "",
) -> Rows:
    """Return what a user passed as Rows of finite numbers of one dtype, or raise.

    Parameters
    ----------
    inputs, targets, sample_weight
        As `Network.train` takes them; `targets` is called "outputs" in messages, as there.
    classes : bool
        Whether whole numbers, (rows,), are the numbers of classes.
    of : str
        What the names in messages begin with, such as "validation ".
    """
    rows = check_inputs(f"{of}inputs", inputs, n_inputs, dtype)
    wanted = _targets(f"{of}outputs", targets, n_outputs, dtype, classes)
    count = rows.shape[0]
    if count != len(wanted):
        raise ValueError(f"{of}inputs has {count} rows and {of}outputs has {len(wanted)}; expected as many of each")
    return Rows(rows, wanted, _checks.row_weights(f"{of}sample_weight", sample_weight, count, dtype))


def _targets(
    argument: str, data: Any, n_outputs: int, dtype: np.dtype[np.floating[Any]], classes: bool
) -> Array | npt.NDArray[np.int64]:
    hint = ""
    if n_outputs > 1:
        flat = isinstance(data, (list, tuple, range)) and len(data) > 0 and np.ndim(data[0]) == 0
        given = np.asarray(data) if flat else data
        shape: tuple[int, ...] = getattr(given, "shape", ())
        if classes and len(shape) == 1 and np.asarray(given).dtype.kind in "iub" and shape[0] > 0:
            return _classes(argument, np.asarray(given), n_outputs)
        way = f": {argument}.ravel().astype(int)" if classes else " with loss='cross_entropy', behind a softmax output"
        if len(shape) == 1 or shape[1:] == (1,):
            hint = f". The numbers of classes, 0 to {n_outputs - 1}, are taken as whole numbers in one dimension" + way
    return _checks.matrix(argument, data, n_outputs, "the network's last layer", dtype, hint)


def _classes(argument: str, numbers: npt.NDArray[Any], n_outputs: int) -> npt.NDArray[np.int64]:
    strange = (numbers < 0) | (numbers >= n_outputs)
    if strange.any():
        row = int(strange.argmax())
        raise ValueError(
            f"{argument} has the class {int(numbers[row])} (row {row}); the network has {n_outputs} outputs, so "
            f"classes are whole numbers from 0 to {n_outputs - 1}"
        )
    return np.ascontiguousarray(numbers, np.int64)
