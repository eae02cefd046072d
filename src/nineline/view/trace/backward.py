"""The steps of the backward pass: loss, errors and deltas from the last layer to the first, then the gradients.

Errors and deltas point downhill, target − output, as in the tutorial: minus what the reference has, to the same bits.
A gradient is that of the loss: uphill.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from nineline import _checks
from nineline.activations import Activation, Softmax
from nineline.layers import Dropout, Layer
from nineline.losses import CrossEntropy
from nineline.view.trace import formulas
from nineline.view.trace.origins import TERMS_AT_MOST, Computed, Elementwise, Origin, Product, RowSum, Rowwise, sum_of
from nineline.view.trace.passes import axes_of, inputs_of, name_in_layer, of_block, of_layer, shape_text
from nineline.view.trace.steps import ROWS, TraceStep

if TYPE_CHECKING:
    from nineline._typing import Array
    from nineline.losses import Loss
    from nineline.network import Block
    from nineline.view.trace.numbers import Number
    from nineline.view.trace.passes import Pass


def steps(passed: Pass) -> list[TraceStep]:
    """Return the steps from the targets to the gradients."""
    last = passed.last
    found = [_targets(passed), _loss(passed)]
    errors = {last: _output_errors(passed)}
    deltas: dict[int, TraceStep] = {}
    if not _is_joined(passed):
        found.append(errors[last])
    for number in reversed(range(passed.first, last + 1)):
        layer = passed.network.layers[number]
        if number < last:
            errors[number] = _errors(passed, number, deltas.get(number + 1), errors[number + 1])
            found.append(errors[number])
        if isinstance(layer, Layer):
            deltas[number] = _delta(passed, number, layer, errors[number])
            found.append(deltas[number])
    return found + [_gradient(passed, block, deltas.get(block.layer)) for block, _ in passed.learning()]


def _is_joined(passed: Pass) -> bool:
    return formulas.is_joined(passed.rule.loss, passed.network.output_layer.activation)


def _targets(passed: Pass) -> TraceStep:
    targets = passed.batch.targets
    axes = ROWS, passed.last + 1
    return TraceStep("targets", None, "Y", "", "Y", targets, "backward", shapes=str(targets.shape), axes=axes)


def _loss(passed: Pass) -> TraceStep:
    loss, layer, kept = passed.rule.loss, passed.network.output_layer, passed.layers[-1]
    a, y = kept.outputs, passed.batch.targets
    values = loss.value_at(layer.activation, kept.seen.weighted_sums, a, y)[:, None]
    symbol = of_layer("A", passed.last)
    formula = formulas.loss_formula(loss, *symbol)
    write = formulas.loss_writer(loss)
    origin: Origin = Computed(_checks.printable(repr(loss)))
    if write is not None and a.shape[1] <= TERMS_AT_MOST:
        arrays = {"a": a, "y": y, **formulas.settings_of(loss, a.shape)}
        origin = Rowwise(
            tuple(arrays.values()), lambda rows, _, number: _sum_of_losses(loss, write, list(arrays), rows, number)
        )
    return TraceStep(
        "loss",
        None,
        "L",
        f"L = {formula.value}",
        f"L = {formula.value_latex}",
        values,
        "backward",
        origin,
        str(values.shape),
        note=f"{formulas.name_of(loss)} of each row; together, as their {loss.reduction}: {passed.value:.6g}.",
        axes=(ROWS, None),
    )


def _sum_of_losses(
    loss: Loss, write: formulas.Writer, names: list[str], rows: list[list[float]], number: Number
) -> str:
    outputs = [dict(zip(names, values, strict=True)) for values in zip(*rows, strict=True)]
    total = " + ".join(write(n).format(a=number(n["a"]), y=number(n["y"])) for n in outputs)
    return f"-({total})" if isinstance(loss, CrossEntropy) else total


def _output_errors(passed: Pass) -> TraceStep:
    """Return the errors of the network's outputs, minus the gradient of each row's loss."""
    loss, outputs, targets = passed.rule.loss, passed.layers[-1].outputs, passed.batch.targets
    values = -loss.gradient(outputs, targets)
    e, a = of_layer("E", passed.last), of_layer("A", passed.last)
    formula, write = formulas.loss_formula(loss, *a), formulas.errors_writer(loss)
    known, arrays = write is not None, {"y": targets, "a": outputs, **formulas.settings_of(loss, outputs.shape)}
    return TraceStep(
        "errors",
        passed.last,
        e.text,
        f"{e.text} = {formula.errors}",
        f"{e.latex} = {formula.errors_latex}",
        values,
        "backward",
        Elementwise(arrays, write) if write else Computed(_checks.printable(repr(loss))),
        str(values.shape),
        note=f"Minus the gradient of {formulas.name_of(loss)}" + (": they point downhill." if known else "."),
        axes=(ROWS, passed.last + 1),
    )


def _errors(passed: Pass, number: int, delta: TraceStep | None, after: TraceStep) -> TraceStep:
    """Return the errors of a layer's outputs, as the layer behind it hands them back."""
    behind = passed.network.layers[number + 1]
    values = -cast("Array", passed.layers[number].output_errors)
    e = of_layer("E", number)
    if isinstance(behind, Layer):
        step = cast("TraceStep", delta)
        w, transposed = of_layer("W", number + 1), behind.weights.T.copy()
        text, latex = f"{step.symbol} · {w.text}ᵀ", rf"{step.symbol_latex} \, {w.latex}^{{\mathsf T}}"
        origin: Origin = Product(step.values, transposed, step.symbol, f"{w.text}ᵀ", inner=number + 2)
        shapes = shape_text(step.shape, transposed.shape, result=values.shape)
    elif isinstance(behind, Dropout):
        m = of_layer("M", number + 1)
        text, latex = f"{after.symbol} ⊙ {m.text}", rf"{after.symbol_latex} \odot {m.latex}"
        arrays = {"e": after.values, "m": passed.layers[number + 1].seen}
        origin, shapes = Elementwise(arrays, lambda n: "{e} * {m}"), str(values.shape)
    else:
        text = f"{formulas.name_of_class(behind)}.backprop({after.symbol})"
        latex = rf"{formulas.class_latex(behind)}^{{\mathsf T}}({after.symbol_latex})"
        origin, shapes = Computed(_checks.printable(repr(behind))), str(values.shape)
    return TraceStep(
        "errors",
        number,
        e.text,
        f"{e.text} = {text}",
        f"{e.latex} = {latex}",
        values,
        "backward",
        origin,
        shapes,
        note="" if isinstance(behind, (Layer, Dropout)) else f"Computed by {_checks.printable(repr(behind))}.",
        axes=(ROWS, number + 1),
    )


def _delta(passed: Pass, number: int, layer: Layer, errors: TraceStep) -> TraceStep:
    """Return the errors of a layer's weighted sums."""
    kept, d, is_last = passed.layers[number], of_layer("D", number), number == passed.last
    divided = _divided(passed) if is_last else ""
    if is_last:
        values = -cast("Array", kept.delta)
    else:
        uphill = cast("Array", kept.output_errors)
        values = -layer.activation.backward(uphill, kept.seen.weighted_sums, kept.seen.outputs)
    joined = is_last and _is_joined(passed)
    said = _joined_delta(passed, divided) if joined else _chained_delta(passed, number, layer, errors, divided)
    why = " Divided by the rows, since the loss is their mean." if divided else ""
    return TraceStep(
        "deltas",
        number,
        d.text,
        f"{d.text} = {said.text}{divided}",
        f"{d.latex} = {said.latex}{divided}",
        values,
        "backward",
        said.origin,
        str(values.shape),
        note=f"{said.note}{why}".strip(),
        axes=(ROWS, number + 1),
    )


class _Delta(NamedTuple):
    """How a delta is written: as text, for LaTeX, for one number; and what there is to say."""

    text: str
    latex: str
    origin: Origin
    note: str = ""


def _joined_delta(passed: Pass, divided: str) -> _Delta:
    """Return how the last delta is written where loss and activation have one derivative."""
    a = of_layer("A", passed.last)
    written = [f"Y − {a.text}", f"Y - {a.latex}", "{y} - {a}"]
    text, latex, one = [f"({each})" for each in written] if divided else written
    arrays = {"y": passed.batch.targets, "a": passed.layers[-1].outputs}
    loss, activation = formulas.name_of(passed.rule.loss), formulas.name_of(passed.network.output_layer.activation)
    note = (
        f"{loss} behind {activation}: the two derivatives multiplied are "
        "target − output in closed form, so there is no step of errors before this one."
    )
    return _Delta(text, latex, Elementwise(arrays, lambda n: one + divided), note)


def _chained_delta(passed: Pass, number: int, layer: Layer, errors: TraceStep, divided: str) -> _Delta:
    """Return how a delta is written that is errors times the derivative of the activation."""
    kept, activation = passed.layers[number], layer.activation
    z, a, e = of_layer("Z", number), of_layer("A", number), of_layer("E", number)
    origin = _origin_of_delta(activation, errors.values, kept.seen.weighted_sums, kept.outputs, divided)
    if isinstance(activation, Softmax):
        return _Delta(
            f"{a.text} ⊙ ({e.text} − Σ {e.text} ⊙ {a.text})",
            rf"{a.latex} \odot \left({e.latex} - \textstyle\sum {e.latex} \odot {a.latex}\right)",
            origin,
            "The outputs of a softmax depend on each other: Σ is the sum over each row.",
        )
    slope = formulas.slope_formula(activation, z.text, a.text)
    slope_latex = formulas.slope_latex(activation, z.latex, a.latex)
    text = f"{e.text} ⊙ {slope}" if slope else e.text
    return _Delta(text, rf"{e.latex} \odot {slope_latex}" if slope_latex else e.latex, origin)


def _divided(passed: Pass) -> str:
    """Return how a mean over the rows divides."""
    rows = len(passed.batch.targets)
    if passed.rule.loss.reduction == "sum" or rows == 1:
        return ""
    return f" / {rows}"


def _origin_of_delta(activation: Activation, e: Array, z: Array, a: Array, divided: str) -> Origin:
    if isinstance(activation, Softmax):
        return Rowwise((e, a), lambda rows, column, number: _through_softmax(rows, column, number) + divided)
    slope = formulas.slope_writer(activation)
    if slope is not None:
        return Elementwise({"e": e, "z": z, "a": a}, lambda n: f"{{e}} * {slope(n)}{divided}")
    if type(activation).backward is not Activation.backward:
        return Computed(f"{formulas.name_of(activation)}.backward")
    return Elementwise({"e": e, "s": activation.derivative(z, a)}, lambda n: f"{{e}} * {{s}}{divided}")


def _through_softmax(rows: list[list[float]], column: int, number: Number) -> str:
    e, a = rows
    products = [f"{number(each)}*{number(share)}" for each, share in zip(e, a, strict=True)]
    total = sum_of(products, [each * share for each, share in zip(e, a, strict=True)], number)
    return f"{number(a[column])} * ({number(e[column])} - ({total}))"


def _gradient(passed: Pass, block: Block, delta: TraceStep | None) -> TraceStep:
    """Return the gradient of the loss by a block."""
    network, number = passed.network, block.layer
    symbol, values = of_block(network, block), network.views(passed.gradient, number)[name_in_layer(block)]
    layer, note = network.layers[number], ""
    if delta is None:
        text, latex = f"{formulas.name_of_class(layer)}.updates", formulas.class_latex(layer)
        origin: Origin = Computed(_checks.printable(repr(layer)))
        shapes, note = str(values.shape), f"Computed by {_checks.printable(repr(layer))}."
    elif block.kind == "weights":
        x, transposed = inputs_of(number), passed.layers[number].inputs.T
        text, latex = f"−{x.text}ᵀ · {delta.symbol}", rf"-{x.latex}^{{\mathsf T}} {delta.symbol_latex}"
        origin = Product(transposed, delta.values, f"{x.text}ᵀ", delta.symbol, negated=True)
        shapes = shape_text(transposed.shape, delta.shape, result=values.shape)
    else:
        text, latex = f"−Σ {delta.symbol}", rf"-\sum_{{\text{{rows}}}} {delta.symbol_latex}"
        origin, shapes, note = RowSum(delta.values), str(values.shape), "The sum over the rows."
    return TraceStep(
        "gradients",
        number,
        f"∇{symbol.text}",
        f"∇{symbol.text} = {text}",
        rf"\nabla {symbol.latex} = {latex}",
        values,
        "backward",
        origin,
        shapes,
        note=note,
        axes=axes_of(network, block),
    )
