"""The steps of the forward pass: inputs, and of each layer its parameters, weighted sums and outputs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nineline import _checks
from nineline.activations import Softmax
from nineline.layers import Dropout, Layer
from nineline.view.trace import formulas
from nineline.view.trace.origins import Computed, Elementwise, Origin, Product, Rowwise, sum_of
from nineline.view.trace.passes import axes_of, inputs_of, name_in_layer, of_block, of_layer, shape_text
from nineline.view.trace.steps import ROWS, TraceStep

if TYPE_CHECKING:
    from nineline._typing import Array
    from nineline.activations import Activation
    from nineline.view.trace.numbers import Number
    from nineline.view.trace.passes import Pass


def steps(passed: Pass) -> list[TraceStep]:
    """Return the steps from the inputs to the outputs."""
    found = [_given("inputs", "X", passed.batch.inputs, (ROWS, 0))]
    for number, layer in enumerate(passed.network.layers):
        found += _parameters(passed, number)
        if isinstance(layer, Layer):
            found += [_weighted_sums(passed, number, layer), _outputs(passed, number, layer)]
        elif isinstance(layer, Dropout):
            found += _dropped(passed, number)
        else:
            found.append(_computed(passed, number))
    return found


def _given(kind: str, symbol: str, values: Array, axes: tuple[int | None, ...]) -> TraceStep:
    return TraceStep(kind, None, symbol, "", symbol, values, "forward", shapes=str(values.shape), axes=axes)


def _parameters(passed: Pass, number: int) -> list[TraceStep]:
    network = passed.network
    views = network.views(network.parameters, number)
    found = []
    for block in network.blocks:
        if block.layer == number:
            symbol, values = of_block(network, block), views[name_in_layer(block)].copy()
            kind = block.kind if isinstance(network.layers[number], Layer) else "parameters"
            found.append(
                TraceStep(
                    kind,
                    number,
                    symbol.text,
                    "",
                    symbol.latex,
                    values,
                    "forward",
                    shapes=str(values.shape),
                    axes=axes_of(network, block),
                )
            )
    return found


def _weighted_sums(passed: Pass, number: int, layer: Layer) -> TraceStep:
    seen = passed.layers[number].seen
    x, w, b, z = inputs_of(number), of_layer("W", number), of_layer("b", number), of_layer("Z", number)
    weights, bias = layer.weights.copy(), None if layer.bias is None else layer.bias.copy()
    origin = Product(seen.inputs, weights, x.text, w.text, bias, b.text, inner=number)
    return TraceStep(
        "weighted sums",
        number,
        z.text,
        f"{z.text} = {x.text} · {w.text}" + ("" if bias is None else f" + {b.text}"),
        rf"{z.latex} = {x.latex} \, {w.latex}" + ("" if bias is None else f" + {b.latex}"),
        seen.weighted_sums,
        "forward",
        origin,
        shape_text(seen.inputs.shape, weights.shape, result=seen.weighted_sums.shape),
        note="" if bias is None else f"{b.text} is added to every row.",
        axes=(ROWS, number + 1),
    )


def _outputs(passed: Pass, number: int, layer: Layer) -> TraceStep:
    seen, activation = passed.layers[number].seen, layer.activation
    z, a = of_layer("Z", number), of_layer("A", number)
    return TraceStep(
        "outputs",
        number,
        a.text,
        f"{a.text} = {formulas.name_of(activation)}({z.text})",
        f"{a.latex} = {formulas.function_latex(activation)}({z.latex})",
        seen.outputs,
        "forward",
        _origin_of_outputs(activation, seen.weighted_sums),
        str(seen.outputs.shape),
        note=formulas.in_words(activation),
        axes=(ROWS, number + 1),
    )


def _origin_of_outputs(activation: Activation, z: Array) -> Origin:
    if isinstance(activation, Softmax):
        return Rowwise((z,), _softmax)
    return Elementwise({"z": z}, formulas.value_writer(activation))


def _softmax(rows: list[list[float]], column: int, number: Number) -> str:
    (z,) = rows
    powers = [f"exp({number(each)})" for each in z]
    with_largest = max(z)
    if with_largest > 700:  # exp of it is beyond the numbers; written as it is computed
        return _softmax([[each - with_largest for each in z]], column, number)
    return f"{powers[column]} / ({sum_of(powers, [math.exp(each) for each in z], number)})"


def _dropped(passed: Pass, number: int) -> list[TraceStep]:
    kept = passed.layers[number]
    x, m, a = inputs_of(number), of_layer("M", number), of_layer("A", number)
    layer = _checks.printable(repr(passed.network.layers[number]))
    mask = TraceStep(
        "mask",
        number,
        m.text,
        "",
        m.latex,
        kept.seen,
        "forward",
        shapes=str(kept.seen.shape),
        note=f"{layer} in training: 0, or 1 / (1 - rate), drawn as the first step of a Trainer draws (seed "
        f"{passed.seed}). When the network runs, all pass.",
        axes=(ROWS, number + 1),
    )
    outputs = TraceStep(
        "outputs",
        number,
        a.text,
        f"{a.text} = {x.text} ⊙ {m.text}",
        rf"{a.latex} = {x.latex} \odot {m.latex}",
        kept.outputs,
        "forward",
        Elementwise({"x": kept.inputs, "m": kept.seen}, lambda n: "{x} * {m}"),
        str(kept.outputs.shape),
        axes=(ROWS, number + 1),
    )
    return [mask, outputs]


def _computed(passed: Pass, number: int) -> TraceStep:
    x, a, outputs = inputs_of(number), of_layer("A", number), passed.layers[number].outputs
    layer = passed.network.layers[number]
    return TraceStep(
        "outputs",
        number,
        a.text,
        f"{a.text} = {formulas.name_of_class(layer)}({x.text})",
        rf"{a.latex} = {formulas.class_latex(layer)}({x.latex})",
        outputs,
        "forward",
        Computed(_checks.printable(repr(layer))),
        str(outputs.shape),
        note=f"Computed by {_checks.printable(repr(layer))}.",
        axes=(ROWS, number + 1),
    )
