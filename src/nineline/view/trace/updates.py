"""The steps of the update: what the optimizer remembers, and the new parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nineline import _checks
from nineline.layers import Layer
from nineline.optimizers import GradientDescent
from nineline.view.trace import formulas
from nineline.view.trace.numbers import latex_operator
from nineline.view.trace.origins import Computed, Elementwise, Origin
from nineline.view.trace.passes import Symbol, axes_of, inputs_of, name_in_layer, of_block, of_layer
from nineline.view.trace.steps import TraceStep

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nineline._typing import Array
    from nineline.network import Block
    from nineline.view.trace.passes import Pass


def steps(passed: Pass) -> list[TraceStep]:
    """Return the steps from the gradients to the new parameters."""
    return [step for block, rate in passed.learning() for step in _of_block(passed, block, rate)]


def _of_block(passed: Pass, block: Block, rate: float) -> list[TraceStep]:
    network, optimizer = passed.network, passed.rule.optimizer
    p = of_block(network, block)
    g = Symbol(f"∇{p.text}", rf"\nabla {p.latex}")
    arrays = {"p": _view(passed, network.parameters, block).copy(), "g": _view(passed, passed.gradient, block)}
    read = _read_by_the_rows(passed, block)
    found, symbols = [], {}
    for memory in formulas.memories(optimizer, rate, *g):
        symbols[memory.vector] = Symbol(f"{memory.letter}({p.text})", f"{memory.letter}_{{{p.latex}}}")
        step = _memory(passed, block, memory, symbols[memory.vector], arrays, read)
        arrays[memory.vector] = step.values
        found.append(step)
    if not formulas.is_known_optimizer(optimizer):
        return [*_own_memories(passed, block, p), _new(passed, block, p, None, arrays, read)]
    written = formulas.update(optimizer, rate, p, g, symbols)
    return [*found, _new(passed, block, p, written, arrays, read)]


def _memory(
    passed: Pass,
    block: Block,
    memory: formulas.Memory,
    symbol: Symbol,
    arrays: Mapping[str, Array],
    read: Array | None,
) -> TraceStep:
    values, written = _remembered(passed, memory.vector, block), memory.written
    return TraceStep(
        memory.kind,
        block.layer,
        symbol.text,
        f"{symbol.text} = {written.text}",
        f"{symbol.latex} = {written.latex}",
        values,
        "update",
        Elementwise(*_where_read({"g": arrays["g"]}, written.number, read, "0")),
        str(values.shape),
        note="It begins at 0.",
        axes=axes_of(passed.network, block),
    )


def _own_memories(passed: Pass, block: Block, p: Symbol) -> list[TraceStep]:
    """Return what an optimizer that is not the library's remembers, where it is as long as the parameters."""
    state, optimizer = passed.state, passed.rule.optimizer
    found = []
    for vector, values in ({} if state is None else state.vectors).items():
        if values.shape == passed.network.parameters.shape:
            name = _checks.printable(vector)
            found.append(
                TraceStep(
                    name,
                    block.layer,
                    f"{name}({p.text})",
                    "",
                    rf"{latex_operator(name)}_{{{p.latex}}}",
                    _remembered(passed, vector, block),
                    "update",
                    Computed(formulas.name_of(optimizer)),
                    str(block.shape),
                    note=f"Remembered by {formulas.name_of(optimizer)}.",
                    axes=axes_of(passed.network, block),
                )
            )
    return found


def _new(
    passed: Pass,
    block: Block,
    p: Symbol,
    written: formulas.Written | None,
    arrays: Mapping[str, Array],
    read: Array | None,
) -> TraceStep:
    network, number, optimizer = passed.network, block.layer, passed.rule.optimizer
    name = formulas.name_of(optimizer)
    origin: Origin = Computed(name)
    text, latex = f"{name}({p.text})", rf"{latex_operator(name)}({p.latex})"
    if written is not None:
        text, latex = written.text, written.latex
        origin = Elementwise(*_where_read(arrays, written.number, read, "{p}"))
    return TraceStep(
        f"new {block.kind if isinstance(network.layers[number], Layer) else 'parameters'}",
        number,
        f"{p.text}′",
        f"{p.text}′ = {text}",
        f"{p.latex}' = {latex}",
        _view(passed, passed.after.parameters, block).copy(),
        "update",
        origin,
        str(block.shape),
        note=_note(passed, block, p) if read is None else "Only the vectors move that these rows have read.",
        axes=axes_of(network, block),
    )


def _note(passed: Pass, block: Block, p: Symbol) -> str:
    """Return how the tutorial writes the same line, where the rule is the tutorial's."""
    optimizer, number = passed.rule.optimizer, block.layer
    if optimizer != GradientDescent(1.0) or not isinstance(passed.network.layers[number], Layer):
        return ""
    if block.kind != "weights":
        return ""
    return f"The same as {p.text} += {inputs_of(number).text}ᵀ · {of_layer('D', number).text}, with learning rate 1."


def _view(passed: Pass, vector: Array, block: Block) -> Array:
    return vector[block.place].reshape(block.shape)


def _remembered(passed: Pass, vector: str, block: Block) -> Array:
    assert passed.state is not None
    return _view(passed, passed.state.vectors[vector], block)


def _read_by_the_rows(passed: Pass, block: Block) -> Array | None:
    """Return of each number of a lazy block whether it moves, as 1 or 0; None of the others, which all move."""
    if not block.lazy:
        return None
    touched = passed.network.layers[block.layer].touched(passed.batch.inputs)
    moves = np.zeros(block.shape)
    moves[touched[name_in_layer(block)]] = 1
    return moves


def _where_read(
    arrays: Mapping[str, Array], number: str, read: Array | None, else_: str
) -> tuple[Mapping[str, Array], Callable[[Mapping[str, float]], str]]:
    if read is None:
        return arrays, lambda n: number
    return {**arrays, "read": read}, lambda n: number if n["read"] else else_
