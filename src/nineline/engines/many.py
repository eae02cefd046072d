"""What training asks of an engine of many networks of one shape, and the rule by which it is asked.

The networks lie one behind the other in arrays of (count, n). As with one network, data are no part of an engine: rows
come with each call, and so do the numbers of the networks that take part in it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.engines.contract import Rule
    from nineline.network import Network
    from nineline.rows import Rows

    Numbers: TypeAlias = npt.NDArray[np.intp]
    Orders: TypeAlias = Numbers | Sequence[Numbers] | None


class ManyRule(NamedTuple):
    """A rule for many networks, and what each has of its own.

    Attributes
    ----------
    rule : Rule
        Its own learning rate, penalties and seed do not count.
    rates, l1, l2 : array of float64, (count,)
    seeds : array of uint64, (count,)
    """

    rule: Rule
    rates: npt.NDArray[np.float64]
    l1: npt.NDArray[np.float64]
    l2: npt.NDArray[np.float64]
    seeds: npt.NDArray[np.uint64]


class ManyEngine(ABC):
    """Takes steps on many networks of one shape, each of which comes out as if it were alone.

    Parameters
    ----------
    network : Network
        One of that shape.
    parameters : array, (count, n)
        Of the networks; moved in place.
    many : ManyRule

    Attributes
    ----------
    before : array, (count, n)
        The parameters before the last step.
    vectors : dict of array, (count, ...)
        What the optimizer remembers of each network.
    steps_taken : array of uint64, (count,)
    """

    name: str

    def __init__(self, network: Network, parameters: Array, many: ManyRule) -> None:
        self.network, self.parameters, self.many = network, parameters, many
        self.before = parameters.copy()
        of_one = many.rule.optimizer.start(network.parameters).vectors
        self.vectors = {name: np.zeros((len(parameters), *each.shape), each.dtype) for name, each in of_one.items()}
        self.steps_taken = np.zeros(len(parameters), np.uint64)

    @abstractmethod
    def steps(
        self,
        members: Numbers,
        rows: Rows,
        orders: Orders,
        batch_size: int | None,
        factors: npt.NDArray[np.float64],
        losses: npt.NDArray[np.float64],
    ) -> Numbers:
        """Take ``len(factors)`` steps with some of the networks; write their losses before each, and return how many.

        Parameters
        ----------
        members : array of int, (k,)
            The numbers of the networks. All have taken as many steps so far.
        rows : Rows
        orders : array of int, sequence of k of those, or None
            Which rows they take in what order: one order for all, or one for each; None is all rows as they lie. In a
            sequence each has as many batches as the others.
        batch_size : int or None
            Step i takes ``order[i * batch_size : (i + 1) * batch_size]``; where it is None every step takes them all.
        factors : array, (steps,)
            What each network's learning rate is multiplied by.
        losses : array, (k, steps)
            Is written, its rows contiguous; NaN where there is no loss.

        Returns
        -------
        array of int, (k,)
            How many of a network's losses are there. Where the last is not finite its step was not taken, and the
            network is back before the step that led there.
        """

    @abstractmethod
    def evaluate(self, members: Numbers, rows: Rows, orders: Orders) -> npt.NDArray[np.float64]:
        """Return the loss of some of the networks as they run (no dropout, no penalties), (k,)."""

    def converged(self, members: Numbers) -> dict[int, str]:
        """Return of which networks no further step would go anywhere, and why, in words."""
        return {}

    @property
    def numbers(self) -> dict[str, npt.NDArray[np.float64]]:
        """What the optimizer remembers besides vectors, (count,) each."""
        return {}

    def restore(self, arrays: Mapping[str, npt.NDArray[Any]], numbers: Mapping[str, npt.NDArray[np.float64]]) -> None:
        """Go on where another engine of this rule was; `arrays` are its vectors, its `before` and its `steps_taken`."""
        self.before[...] = arrays["before"]
        self.steps_taken[...] = arrays["steps_taken"]
        for name, vector in self.vectors.items():
            vector[...] = arrays[name]

    def memory(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays that `restore` takes."""
        return {"before": self.before, "steps_taken": self.steps_taken, **self.vectors}


def padded(orders: Sequence[Numbers]) -> tuple[Numbers, npt.NDArray[np.bool_]]:
    """Return orders of different lengths as one array, (k, longest), and which of its entries are there.

    Behind the end of an order stands its first row again.

    Examples
    --------
    >>> import numpy as np
    >>> from nineline.engines.many import padded
    >>> padded([np.array([4, 2]), np.array([1])])
    (array([[4, 2],
           [1, 1]]), array([[ True,  True],
           [ True, False]]))
    """
    lengths = np.array([len(each) for each in orders])
    there = np.arange(lengths.max()) < lengths[:, np.newaxis]
    rows = np.repeat([each[0] for each in orders], lengths.max()).reshape(there.shape).astype(np.intp)
    rows[there] = np.concatenate(orders)
    return rows, there
