"""One path through a network, from one input to one output: which nodes it leads through, and its numbers."""

from __future__ import annotations

import operator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from nineline import _checks
from nineline.layers import Embedding, Layer
from nineline.view.trace.origins import Product
from nineline.view.trace.steps import ROWS, TraceStep

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nineline._typing import Array
    from nineline.layers import AbstractLayer
    from nineline.network import Network


def nodes_of(network: Network, path: Sequence[int], rows: int) -> list[int]:
    """Return the node of a path that each layer takes, and at the end the output's.

    Parameters
    ----------
    network : Network
    path : sequence of int
        The input and the output, or with a node of each hidden layer between them.
    rows : int
        How many rows there are; a path is of one.

    Raises
    ------
    ValueError, TypeError
        There is no such path.
    """
    named = _numbers(path)
    if rows != 1:
        raise ValueError(
            f"inputs has {rows} rows and path is of one row; give one: network.trace(x[0], y[0], path=...)"
        )
    widths = _widths(network)
    makers = [
        number for number, layer in enumerate(network.layers) if _makes_nodes(layer, *widths[number : number + 2])
    ]
    if len(named) not in (2, len(makers) + 1):
        raise ValueError(
            f"path has {len(named)} numbers; expected 2, (input, output), or {len(makers) + 1}: the input, a node of "
            f"each layer in between, and the output"
        )
    fixed = {0: named[0], len(network.layers): named[-1]}
    if len(named) > 2:
        fixed |= {number + 1: node for number, node in zip(makers, named[1:], strict=True)}
    for boundary, node in fixed.items():
        if not 0 <= node < widths[boundary]:
            what = "inputs" if boundary == 0 else "outputs" if boundary == len(widths) - 1 else "nodes there"
            raise ValueError(f"path is {tuple(named)}; there is no {node} among {widths[boundary]} {what}, from 0")
    return _strongest(network, widths, fixed)


def _numbers(path: Sequence[int]) -> list[int]:
    try:
        return [operator.index(node) for node in path]
    except TypeError:
        raise TypeError(
            f"path is {_checks.quoted(path)}; expected whole numbers, (input, output) or (input, node, ..., output)"
        ) from None


def _widths(network: Network) -> list[int]:
    widths = [network.n_inputs]
    for layer in network.layers:
        widths.append(layer.connect(widths[-1]))
    return widths


def _makes_nodes(layer: AbstractLayer, before: int, after: int) -> bool:
    """Return whether a layer's nodes are others than those before it; through the rest a path leads straight."""
    return isinstance(layer, (Layer, Embedding)) or before != after


def _strongest(network: Network, widths: list[int], fixed: dict[int, int]) -> list[int]:
    """Return the path, through what is fixed, whose weights have the largest product of magnitudes."""
    best, came_from = _only(np.ones(widths[0]), fixed.get(0)), []
    for number, layer in enumerate(network.layers):
        strengths = best[:, np.newaxis] * _strength(layer, widths[number], widths[number + 1])
        came_from.append(strengths.argmax(axis=0))
        best = _only(strengths.max(axis=0), fixed.get(number + 1))
        best /= best.max() or 1.0  # so that many layers do not underflow
    nodes = [fixed[len(network.layers)]]
    for boundary in reversed(range(len(network.layers))):
        node = fixed.get(boundary, int(came_from[boundary][nodes[0]]))
        nodes.insert(0, node)
    return nodes


def _only(strengths: Array, node: int | None) -> Array:
    if node is None:
        return strengths
    only = np.full_like(strengths, -1.0)
    only[node] = max(strengths[node], np.finfo(np.float64).tiny)
    return only


def _strength(layer: AbstractLayer, before: int, after: int) -> Array:
    """Return how strongly each node after a layer hangs on each before it, (before, after)."""
    if isinstance(layer, Layer):
        return np.abs(layer.weights.astype(np.float64))
    if isinstance(layer, Embedding):
        column_of = np.repeat(np.arange(len(layer.widths)), layer.widths)
        columns = np.concatenate([column_of, len(layer.widths) + np.arange(layer.numbers)])
        return (np.arange(before)[:, np.newaxis] == columns).astype(np.float64)
    return np.eye(before) if before == after else np.ones((before, after))


def follow(steps: list[TraceStep], nodes: list[int]) -> list[TraceStep]:
    """Return what the steps say of the nodes on a path, of the first row."""
    return [_narrowed(step, step.axes, nodes) for step in steps if step.axes is not None]


def _narrowed(step: TraceStep, axes: tuple[int | None, ...], nodes: list[int]) -> TraceStep:
    corner = tuple(0 if axis is None or axis == ROWS else nodes[axis] for axis in axes)
    part = tuple(
        slice(None) if axis is None else slice(start, start + 1) for axis, start in zip(axes, corner, strict=True)
    )
    origin = step.origin_of
    if isinstance(origin, Product) and origin.inner is not None:
        origin = replace(origin, kept=nodes[origin.inner])
    return replace(
        step,
        values=step.values[part],
        origin_of=origin,
        nodes=tuple(nodes[axis] for axis in axes if axis is not None and axis != ROWS),
        whole=step.shape,
        corner=corner,
    )
