"""An embedding: a learned vector for each level of a category."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self, final

import numpy as np

from nineline import _checks
from nineline.initializers import (
    INITIALIZERS,
    Initializer,
    Uniform,
    describe_initializer,
    rebuild_initializer,
)
from nineline.layers.contract import AbstractLayer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from nineline._typing import Array, RandomSource
    from nineline.draws import Draw

_MOST_LEVELS: Final = 2**24
"""Beyond it float32 leaves whole numbers out."""


@final
class Embedding(AbstractLayer):
    """A whole number a row becomes a learned vector: ``outputs = vectors[inputs]``, for several columns side by side.

    It reads the data, so it is a network's first layer. Its first columns are whole numbers, the levels of one category
    each, counted from 0; columns of plain numbers may follow, and pass on as they are.

    Parameters
    ----------
    levels : int or sequence of int
        How many levels each column of whole numbers has, up to 2**24; a number alone is one column.
    width : int or sequence of int
        How long the vectors of each column are; a number alone counts for all.
    numbers : int
        How many columns of plain numbers follow.
    initializer : str or Initializer, optional
        One of `nineline.initializers.INITIALIZERS` or an object; by default uniform between ``-1 / sqrt(width)`` and
        ``1 / sqrt(width)``.
    rng : int, numpy.random.Generator or None
        Where the vectors are drawn from; None is NumPy's global state.
    dtype : float32 or float64
    learning_rate : float
        How far `backward` moves the vectors.
    trainable : bool

    Attributes
    ----------
    vectors : tuple of array, (levels, width) each
        One matrix for each column; in a network its blocks are called "0.0.vectors", "0.1.vectors" and so on.

    Notes
    -----
    Training reads and moves only what a step touches: in a step among whose rows a level is not, or only in rows of
    weight 0, its vector stays as it is, and so does what the optimizer remembers of it. These are *lazy moments*: the
    averages of Adam and RMSprop and the velocity of momentum are averages over the steps in which the level came up;
    in between they neither decay nor move the vector, while Adam's correction for its start counts all steps. So a
    level that comes up once in a thousand steps learns as much, each time that it does, as one that always comes up.
    The reference engine goes through all vectors at every step, so it is for few of them.
    The weight decay of AdamW acts on a vector in those steps alone; `l1` and `l2` do not count vectors. A gradient that
    is handed to `Trainer.move` moves the vectors for which it is not zero.

    Examples
    --------
    A category of 3 levels and one of 1,000, and two numbers:

    >>> from nineline import Embedding, Layer, Network
    >>> network = Network(Embedding([3, 1000], [2, 8], numbers=2), Layer(12, 1, "sigmoid", bias=True), rng=0)
    >>> network.run([[2, 417, 0.5, -1.0], [0, 0, 0.25, 3.0]]).shape
    (2, 1)
    >>> [vectors.shape for vectors in network.layers[0].vectors]
    [(3, 2), (1000, 8)]

    References
    ----------
    Guo, Berkhahn (2016), Entity embeddings of categorical variables, arXiv 1604.06737, section 3.
    Gorishniy et al. (2021), Revisiting deep learning models for tabular data, arXiv 2106.11959, for how they begin.
    """

    kind = "embedding"
    penalised = frozenset[str]()
    lazy = frozenset({"vectors"})
    reads_data = True
    n_inputs: int
    n_outputs: int

    def __init__(
        self,
        levels: int | Sequence[int],
        width: int | Sequence[int],
        numbers: int = 0,
        *,
        initializer: str | Initializer | None = None,
        rng: RandomSource = None,
        dtype: npt.DTypeLike = np.float64,
        learning_rate: float = 1.0,
        trainable: bool = True,
    ) -> None:
        counts = [_checks.positive_integer(f"levels{at}", each) for at, each in _listed(levels)]
        widths = [_checks.positive_integer(f"width{at}", each) for at, each in _listed(width)]
        if np.ndim(width) == 0:
            widths *= len(counts)
        if not counts or len(widths) != len(counts):
            raise ValueError(
                f"width has {len(widths)} numbers for {len(counts)} columns of levels; expected one for each"
            )
        if max(counts) > _MOST_LEVELS:
            raise ValueError(f"levels has {max(counts):,}; expected {_MOST_LEVELS:,} at most")
        numbers = _checks.positive_integer("numbers", numbers, minimum=0)
        kind = _checks.floating_dtype("dtype", dtype)
        vectors = tuple(np.empty(shape, kind) for shape in zip(counts, widths, strict=True))
        self._begin(vectors, numbers, initializer, learning_rate, trainable)
        self.initialize(_checks.generator("rng", rng))

    def _begin(
        self,
        vectors: tuple[Array, ...],
        numbers: int,
        initializer: str | Initializer | None,
        learning_rate: float,
        trainable: bool,
    ) -> None:
        """Live in these arrays."""
        self.initializer = None
        if initializer is not None:
            self.initializer = _checks.resolve("initializer", initializer, Initializer, INITIALIZERS)
        self.learning_rate = _checks.number("learning_rate", learning_rate, low=0)
        self.trainable = _checks.boolean("trainable", trainable)
        self.numbers, self._vectors = numbers, vectors
        self.dtype = vectors[0].dtype
        self.n_inputs = len(vectors) + numbers
        self.n_outputs = sum(self.widths) + numbers

    @classmethod
    def of(
        cls,
        vectors: Sequence[npt.ArrayLike],
        numbers: int = 0,
        *,
        learning_rate: float = 1.0,
        trainable: bool = True,
    ) -> Self:
        """Return a layer with these vectors, (levels, width) for each column, which are copied; nothing is drawn.

        Raises
        ------
        ValueError, TypeError
            An array has another shape, or holds what is no finite number.

        Examples
        --------
        >>> from nineline import Embedding
        >>> Embedding.of([[[0.0, 1.0], [1.0, 0.0]]]).forward([[1], [0]])
        array([[1., 0.],
               [0., 1.]])
        """
        given = [np.asarray(each) for each in vectors]
        single = given and all(each.dtype == np.float32 for each in given)
        dtype = _checks.floating_dtype("dtype", np.float32 if single else np.float64)
        arrays = tuple(_checks.as_float(f"vectors[{c}]", each, dtype).copy() for c, each in enumerate(given))
        for column, array in enumerate(arrays):
            if array.ndim != 2 or not 0 < len(array) <= _MOST_LEVELS or not array.size:
                raise ValueError(
                    f"vectors[{column}] has shape {array.shape}; expected (levels, width), both at least 1"
                )
        if not arrays:
            raise ValueError("vectors is empty; expected an array of (levels, width) for each column")
        layer = cls.__new__(cls)
        numbers = _checks.positive_integer("numbers", numbers, minimum=0)
        layer._begin(arrays, numbers, None, learning_rate, trainable)
        return layer

    @property
    def vectors(self) -> tuple[Array, ...]:
        """The vectors of each column, (levels, width). To change some, write into them: ``vectors[0][...] = new``."""
        return self._vectors

    @property
    def levels(self) -> tuple[int, ...]:
        """How many levels each column has."""
        return tuple(len(vectors) for vectors in self._vectors)

    @property
    def widths(self) -> tuple[int, ...]:
        """How long the vectors of each column are."""
        return tuple(vectors.shape[1] for vectors in self._vectors)

    def compute(self, inputs: Array, draw: Draw | None = None) -> tuple[Array, npt.NDArray[np.intp]]:
        """Return the vectors of each row side by side and its numbers behind them, and which vectors they are."""
        columns = len(self._vectors)
        places = self._levels_of(inputs)
        found = [vectors[places[:, column]] for column, vectors in enumerate(self._vectors)]
        return np.hstack([*found, inputs[:, columns:]]), places

    def backprop(self, seen: npt.NDArray[np.intp], output_errors: Array) -> tuple[Array, dict[str, Array]]:
        """Add up, for each vector, the errors of the rows that had it.

        A level has no derivative, so its error is 0; a number's passes through.
        """
        input_errors = np.zeros((len(output_errors), self.n_inputs), output_errors.dtype)
        updates, start = {}, 0
        for column, vectors in enumerate(self._vectors):
            end = start + vectors.shape[1]
            update = np.zeros_like(vectors)
            np.add.at(update, seen[:, column], output_errors[:, start:end])
            updates[f"{column}.vectors"] = update
            start = end
        input_errors[:, len(self._vectors) :] = output_errors[:, start:]
        return input_errors, updates

    def row_updates(self, seen: npt.NDArray[np.intp], output_errors: Array) -> dict[str, Array]:
        rows, start = np.arange(len(output_errors)), 0
        updates = {}
        for column, vectors in enumerate(self._vectors):
            end = start + vectors.shape[1]
            update = np.zeros((len(rows), *vectors.shape), vectors.dtype)
            update[rows, seen[:, column]] = output_errors[:, start:end]
            updates[f"{column}.vectors"] = update
            start = end
        return updates

    def push_forward(self, seen: npt.NDArray[np.intp], tangents: Array) -> Array:
        columns, numbers = len(self._vectors), self.n_outputs - self.numbers
        outputs = np.zeros((*tangents.shape[:2], self.n_outputs), tangents.dtype)
        outputs[:, :, numbers:] = tangents[:, :, columns:]
        return outputs

    def curvature(self, seen: npt.NDArray[np.intp], tangents: Array, output_errors: Array) -> Array:
        return self.straight(tangents)

    def _levels_of(self, inputs: Array) -> npt.NDArray[np.intp]:
        return inputs[:, : len(self._vectors)].astype(np.intp)

    def touched(self, inputs: Array) -> dict[str, npt.NDArray[np.intp]]:
        return {f"{column}.vectors": np.unique(places) for column, places in enumerate(self._levels_of(inputs).T)}

    def check_values(self, argument: str, inputs: Array) -> None:
        if inputs.shape[1] < len(self._vectors):  # compact rows have but levels
            raise ValueError(f"{argument} has {inputs.shape[1]} columns of levels for {self!r}")
        for column, levels in enumerate(self.levels):
            given = inputs[:, column]
            strange = (given < 0) | (given >= levels) | (given != np.floor(given))
            if strange.any():
                row = int(strange.argmax())
                raise ValueError(
                    f"{argument} has {given[row]:g} in column {column} (row {row}); the embedding has {levels:,} "
                    f"levels there; expected whole numbers from 0 to {levels - 1:,}: keep one for what was not seen"
                )

    def blocks(self) -> dict[str, Array]:
        return {f"{column}.vectors": vectors for column, vectors in enumerate(self._vectors)}

    def owner(self, block: str) -> tuple[AbstractLayer, str]:
        return self, block.partition(".")[2]

    def adopt(self, views: dict[str, Array]) -> None:
        for name, block in self.blocks().items():
            views[name][...] = block
        self._vectors = tuple(views[name] for name in self.blocks())
        self.dtype = self._vectors[0].dtype

    def initialize(self, rng: np.random.Generator) -> None:
        for vectors in self._vectors:
            end = 1 / np.sqrt(vectors.shape[1])
            vectors[...] = (self.initializer or Uniform(-end, end)).draw(len(vectors), vectors.shape[1], rng)

    def describe(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "levels": list(self.levels),
            "widths": list(self.widths),
            "numbers": self.numbers,
            "learning_rate": self.learning_rate,
            "initializer": describe_initializer(self.initializer) if self.initializer else {},
            **({} if self.trainable else {"trainable": False}),
        }

    @classmethod
    def rebuild(cls, described: Mapping[str, Any], blocks: Callable[[str, tuple[int, ...]], Array]) -> Self:
        shapes = list(zip(described["levels"], described["widths"], strict=True))
        if not shapes:
            raise ValueError("an embedding has no columns")
        layer = cls.__new__(cls)
        layer._begin(
            tuple(blocks(f"{column}.vectors", shape) for column, shape in enumerate(shapes)),
            _checks.positive_integer("numbers", described["numbers"], minimum=0),
            rebuild_initializer(described["initializer"]),
            described["learning_rate"],
            described.get("trainable", True),
        )
        return layer

    @classmethod
    def in_words(cls, described: Mapping[str, Any]) -> tuple[str, int]:
        shapes = list(zip(described["levels"], described["widths"], strict=True))
        sizes = [described["numbers"], *[each for shape in shapes for each in shape]]
        if not shapes or any(type(each) is not int for each in sizes):
            raise TypeError("a size is no whole number")
        trainable = described.get("trainable", True) is not False
        words = _summary(described["levels"], described["widths"], described["numbers"], trainable)
        return words, sum(levels * width for levels, width in shapes)

    def __str__(self) -> str:
        return "\n".join(map(str, self._vectors))

    def __repr__(self) -> str:
        return _summary(self.levels, self.widths, self.numbers, self.trainable)


def _listed(given: int | Sequence[int]) -> list[tuple[str, int]]:
    """Return each number with the place it has in messages."""
    if isinstance(given, (list, tuple, np.ndarray)):
        return [(f"[{place}]", each) for place, each in enumerate(given)]
    return [("", given)]  # type: ignore[list-item]


def _summary(levels: Sequence[int], widths: Sequence[int], numbers: int, trainable: bool) -> str:
    shown = [str(levels[0]), str(widths[0])] if len(levels) == 1 else [str([*levels]), str([*widths])]
    return (
        f"Embedding({', '.join(shown)}{f', numbers={numbers}' * (numbers > 0)}{', trainable=False' * (not trainable)})"
    )
