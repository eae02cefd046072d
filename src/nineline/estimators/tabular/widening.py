"""Widening: a member that was given some of the inputs of a row becomes one that is given all, with the same answers.

Members of one model may see the numbers of a table in several ways: as they are, in intervals, by their waves. An
ensemble, a file and an export have one encoding of a row, so each member gets the inputs that it lacks, with weights
of 0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np

from nineline.layers import Embedding, Layer
from nineline.tables.kinds import Number

if TYPE_CHECKING:
    import numpy.typing as npt

    from nineline.network import Network
    from nineline.rows import Encoding
    from nineline.tables.columns import Columns
    from nineline.tables.contract import Column

    Places = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Widening:
    """How a network of some inputs becomes one of all.

    Attributes
    ----------
    encoding : Encoding
        What rows become that have all inputs.
    places : array of int
        Which of these each input of the network is.
    """

    encoding: Encoding
    places: Places

    @classmethod
    def of(cls, narrow: Columns, wide: Columns) -> Self:
        """Return that from one way to see columns to all."""
        return cls(wide.encoding, places_in(narrow, wide))


def joined(one: Columns, other: Columns) -> Columns:
    """Return columns that have all that either way to see the same table has.

    Examples
    --------
    >>> import numpy as np
    >>> from nineline.estimators.tabular.widening import joined, places_in
    >>> from nineline.tables.columns import Columns
    >>> from nineline.tables.kinds import Boolean, Number
    >>> number, flag = Number("size", True, 0.0, 1.0), Boolean("new", False)
    >>> divided = Number("size", True, 0.0, 1.0, edges=(0.0, 1.0, 2.0))
    >>> plain = Columns((number, flag), ())
    >>> both = joined(plain, Columns((divided, flag), ()))
    >>> both.used[0].edges, places_in(plain, both)
    ((0.0, 1.0, 2.0), array([0, 3, 4]))
    """
    return replace(one, used=tuple(_joined(*both) for both in zip(one.used, other.used, strict=True)))


def _joined(one: Column, other: Column) -> Column:
    if not isinstance(one, Number) or not isinstance(other, Number):
        return one
    waves = one if one.frequencies else other
    return replace(one, edges=one.edges or other.edges, frequencies=waves.frequencies, phases=waves.phases)


def places_in(narrow: Columns, wide: Columns) -> Places:
    """Return which of the inputs of `wide` each input of `narrow` is, (inputs of narrow,)."""
    starts = np.cumsum([0, *(column.width for column in wide.used)])
    each = [
        start + _own_places(mine, theirs)
        for mine, theirs, start in zip(narrow.used, wide.used, starts[:-1], strict=True)
    ]
    return np.concatenate(each)


def _own_places(narrow: Column, wide: Column) -> Places:
    """Return the same of one column: of a number these are waves, itself, intervals, and whether it is missing."""
    if not isinstance(narrow, Number) or not isinstance(wide, Number):
        return np.arange(narrow.width)
    waves, inner, missing = np.arange(len(wide.frequencies)), max(1, len(narrow.edges)), int(narrow.missing)
    number = len(waves) + np.arange(inner)
    return np.concatenate([waves[: len(narrow.frequencies)], number, np.arange(wide.width)[wide.width - missing :]])


def widened(network: Network, empty: Network, places: Places) -> Network:
    """Return `empty`, which has the same layers and more inputs, with what a network has learned.

    Parameters
    ----------
    network : Network
        Of an embedding or none, dense layers, and layers that have no parameters.
    empty : Network
    places : array
        Which of its inputs each input of the network is; those for an embedding come first in both.
    """
    first = True
    for mine, theirs in zip(network.layers, empty.layers, strict=True):
        if isinstance(mine, Embedding) and isinstance(theirs, Embedding):
            for vectors, into in zip(mine.vectors, theirs.vectors, strict=True):
                into[...] = vectors
            vectors_width = sum(mine.widths)
            behind = vectors_width + places[len(mine.widths) :] - len(mine.widths)
            places = np.concatenate([np.arange(vectors_width), behind])
        elif isinstance(mine, Layer) and isinstance(theirs, Layer):
            weights = np.zeros_like(theirs.weights)
            weights[places if first else slice(None)] = mine.weights
            theirs.weights = weights
            if mine.bias is not None:
                theirs.bias = mine.bias
            first = False
    return empty
