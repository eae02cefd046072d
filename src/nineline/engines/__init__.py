"""Engines: what computes. This is the one place that chooses.

`reference` is NumPy and the definition; `native` is the same mathematics at speed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nineline import _checks
from nineline.engines.contract import Rule
from nineline.engines.native import Native, NotNativeError, answer_rows, answerer
from nineline.engines.reference import Reference
from nineline.rows import ROWS_AT_ONCE, dense

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nineline._typing import Array
    from nineline.engines.contract import Engine
    from nineline.engines.many import ManyEngine, ManyRule
    from nineline.network import Network
    from nineline.networks import Networks
    from nineline.rows import Compact, Inputs, Rows

__all__ = [
    "Rule",
    "answer_rows",
    "answer_together",
    "check_name",
    "choose",
    "choose_answerer",
    "choose_many",
    "hessian",
    "jacobian",
    "run_many",
]

_NAMES: Final = ("auto", "native", "reference")


def check_name(engine: str) -> str:
    """Return the name of an engine, or raise ValueError."""
    if engine not in _NAMES:
        raise ValueError(f"engine is {engine!r}, which is not known{_checks.nearest(str(engine), _NAMES)}")
    return engine


def choose(engine: str, network: Network, rule: Rule, threads: int = 1) -> Engine:
    """Return an engine to train `network` by `rule`; "auto" is native for all that it knows.

    Raises
    ------
    ValueError
        There is no such engine, or it does not know something of the network or the rule.
    """
    if check_name(engine) == "reference":
        return Reference(network, rule)
    try:
        return Native(network, rule, threads)
    except NotNativeError as error:
        if engine == "native":
            raise ValueError(f"engine is 'native', but {error}; engine='auto' leaves that to the reference") from None
    return Reference(network, rule)


def choose_many(engine: str, networks: Networks, many: ManyRule, rows: Rows, threads: int = 1) -> ManyEngine:
    """Return an engine to train many networks by their rule on such rows; "auto" is native for all that it knows.

    Raises
    ------
    ValueError
        There is no such engine, or it does not know something of the networks or the rule.
    """
    from nineline.engines.native_many import NativeMany  # loaded where it is used
    from nineline.engines.one_by_one import OneByOne
    from nineline.engines.stacked import Stacked, stacks

    if check_name(engine) != "reference":
        try:
            return NativeMany(networks.one, networks.parameters, many, threads)
        except NotNativeError as error:
            if engine == "native":
                raise ValueError(
                    f"engine is 'native', but {error}; engine='auto' leaves that to the reference"
                ) from None
    if stacks(networks.one, many.rule) and isinstance(rows.inputs, np.ndarray):
        return Stacked(networks.one, networks.parameters, many)
    return OneByOne(list(networks), networks.parameters, many, Reference)


def run_many(networks: Networks, inputs: Array) -> Array | None:
    """Return what many networks answer for checked rows, (count, rows, n_outputs); None where each is to be asked.

    `inputs` are (rows, n_inputs), or (count, rows, n_inputs).
    """
    from nineline.engines import native_many

    try:
        return native_many.run(networks.one, networks.parameters, inputs, _checks.threads("threads", None))
    except NotNativeError:
        return None


def answer_together(networks: Sequence[Network], inputs: Compact) -> Array:
    """Return the sum of what networks of one shape answer for checked rows, (rows, n_outputs)."""
    total = np.zeros((len(inputs), networks[0].n_outputs), networks[0].dtype)
    answers = np.empty_like(total)
    for network in networks:
        if answer_rows(network.quick_answer(), inputs, answers) is None:
            network.answer(inputs, answers)
        total += answers
    return total


def jacobian(network: Network, inputs: Any) -> Array:
    """Return d outputs / d inputs; see `Network.jacobian`."""
    from nineline.engines import derivatives

    quick = getattr(network.quick_answer(), "jacobian", _unknown)
    found = quick(inputs)
    if found is None:  # not an array such as the engine reads
        given, one_row = network.check_rows_or_one(inputs)
        found = _in_pieces(network, given, quick, (network.n_outputs, network.n_inputs), derivatives.jacobian)
        found = found[0] if one_row else found
    return found


def hessian(network: Network, inputs: Any, output: int) -> Array:
    """Return the second derivatives of one output by the inputs; see `Network.hessian`."""
    from nineline.engines import derivatives

    output = _checks.positive_integer("output", output, minimum=0)
    if output >= network.n_outputs:
        raise ValueError(f"output is {output}; the network has {network.n_outputs} outputs, numbered from 0")
    known = getattr(network.quick_answer(), "hessian", _unknown)
    found = known(inputs, output)
    if found is None:
        given, one_row = network.check_rows_or_one(inputs)

        def by_hand(network: Network, some: Array, into: Array) -> None:
            derivatives.hessian(network, some, output, into)

        shape = network.n_inputs, network.n_inputs
        found = _in_pieces(network, given, lambda some: known(some, output), shape, by_hand)
        found = found[0] if one_row else found
    return found


def _in_pieces(
    network: Network,
    given: Inputs,
    quick: Callable[[Array], Array | None],
    shape: tuple[int, int],
    by_hand: Callable[[Network, Array, Array], None],
) -> Array:
    """Return a matrix for each of some checked rows, by the native engine where it can, else by the reference."""
    found = np.empty((given.shape[0], *shape), network.dtype)
    for start in range(0, given.shape[0], ROWS_AT_ONCE):
        piece = slice(start, start + ROWS_AT_ONCE)
        some = np.ascontiguousarray(dense(given, piece))
        answer = quick(some)
        if answer is None:
            by_hand(network, some, found[piece])
        else:
            found[piece] = answer
    return found


def _unknown(*_: object) -> None:
    """Answer as an engine that does not know."""


def choose_answerer(network: Network) -> Callable[..., Array | None]:
    """Return the fast way from inputs to outputs, see `native.answerer`; it answers None where it cannot."""
    try:
        return answerer(network)
    except NotNativeError:
        return lambda _inputs, _out=None: None
