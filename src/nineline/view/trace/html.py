"""A trace as HTML for a notebook: one div with its own style, no script.

A number under the pointer, or in focus, says at the bottom of its step what it was computed from; of a product the row
and the column light up. What it says is an attribute, so that a page that drops styles still shows the matrices.
"""

from __future__ import annotations

from html import escape
from itertools import product as pairs
from typing import TYPE_CHECKING, Final

from nineline.view.trace.shown import (
    HALVES,
    Matrix,
    Told,
    check_decimals,
    first_written,
    introduction,
    matrix,
    more_rows,
)

if TYPE_CHECKING:
    from nineline.view.trace.origins import Product
    from nineline.view.trace.steps import TraceStep

_HOW: Final = "Point at a number, or tap it: below its matrix it says what it was computed from."
_STYLE: Final = """
.nineline-trace {
  --nlt-ink: var(--jp-content-font-color1, var(--pst-color-text-base, var(--vscode-foreground, CanvasText)));
  --nlt-paper: var(--jp-layout-color1, var(--pst-color-background, var(--vscode-editor-background, Canvas)));
  --nlt-faint: color-mix(in srgb, var(--nlt-ink) 65%, var(--nlt-paper));
  --nlt-line: color-mix(in srgb, var(--nlt-ink) 22%, var(--nlt-paper));
  --nlt-row: color-mix(in srgb, #0072B2 45%, var(--nlt-paper));
  --nlt-column: color-mix(in srgb, #D55E00 45%, var(--nlt-paper));
  color: var(--nlt-ink); background: var(--nlt-paper); font-size: 13px; line-height: 1.45;
}
.nineline-trace p { margin: 0 0 .2em; }
.nineline-trace .nlt-half { font-weight: bold; font-size: 1.15em; margin: 1em 0 .3em; }
.nineline-trace .nlt-step {
  position: relative; border-top: 1px solid var(--nlt-line); padding: .5em .2em; break-inside: avoid;
}
.nineline-trace .nlt-shape, .nineline-trace .nlt-note { color: var(--nlt-faint); }
.nineline-trace .nlt-formula { font-family: monospace; margin: 0 .8em; color: inherit; background: none; }
.nineline-trace .nlt-matrices { display: flex; flex-wrap: wrap; align-items: center; gap: .3em .7em; overflow-x: auto; }
.nineline-trace .nlt-matrices > span { font-size: 1.2em; }
.nineline-trace.nineline-trace table {
  border: 1px solid var(--nlt-ink); border-width: 0 1px; border-radius: 4px; border-collapse: separate;
  border-spacing: 0; margin: .35em 0; width: auto; display: table; font: 12px/1.3 monospace; color: inherit;
}
.nineline-trace.nineline-trace caption {
  caption-side: top; color: var(--nlt-faint); padding: 0 0 .15em; text-align: center; font: inherit;
}
.nineline-trace.nineline-trace table :is(tr, tr:nth-child(n), tr:hover) { background: none; border: 0; }
.nineline-trace.nineline-trace td {
  position: static; text-align: right; padding: .1em .5em; border: 0; white-space: nowrap; background: none;
  color: inherit;
}
.nineline-trace .nlt-operand { opacity: .85; }
.nineline-trace.nineline-trace td[data-sum] { cursor: help; }
.nineline-trace.nineline-trace td[data-sum]:is(:hover, :focus) {
  outline: 2px solid var(--nlt-ink); outline-offset: -1px; border-radius: 3px;
}
.nineline-trace .nlt-sum, .nineline-trace td[data-sum]:is(:hover, :focus)::after {
  font: 12px/1.45 monospace; padding: .25em .4em; white-space: normal; overflow-wrap: anywhere; text-align: left;
  box-sizing: border-box; border-radius: 3px;
}
.nineline-trace .nlt-sum { min-height: 3.2em; color: var(--nlt-faint); }
.nineline-trace td[data-sum]:is(:hover, :focus)::after {
  content: attr(data-sum); position: absolute; left: .2em; right: .2em; bottom: .5em; min-height: 3.2em; z-index: 1;
  color: var(--nlt-ink); background: color-mix(in srgb, var(--nlt-ink) 9%, var(--nlt-paper)); pointer-events: none;
}
.nineline-trace td[data-sum]:hover::after { z-index: 2; }
"""


def to_html(trace: Told, decimals: int) -> str:
    """Return a trace as one div."""
    decimals = check_decimals(decimals)
    parts = [f"<p>{escape(line)}</p>" for line in [*introduction(trace), _HOW]]
    half = ""
    for number, step in enumerate(trace.steps, 1):
        if step.half != half:
            half = step.half
            parts.append(f'<p class="nlt-half">{HALVES[half]}</p>')
        parts.append(_step(number, step, decimals))
    style = f"<style>{_STYLE}{_lights(trace)}</style>"
    return f'<div class="nineline-trace">{style}\n' + "\n".join(parts) + "\n</div>"


def _lights(trace: Told) -> str:
    """Return the rules that light the row and the column of a product: one for each row and each column there is."""
    products = [step for step in trace.steps if step.product]
    rows, columns = (max((step.shape[axis] for step in products), default=0) for axis in (0, 1))
    return "".join(
        f".nineline-trace.nineline-trace .nlt-step:has(.nlt-out .{name}:is(:hover,:focus)) .nlt-{side} .{name} "
        f"{{ background: var(--nlt-{colour}); }}\n"
        for letter, count, side, colour in (("r", rows, "left", "row"), ("c", columns, "right", "column"))
        for name in (f"{letter}{index}" for index in range(count))
    )


def _step(number: int, step: TraceStep, decimals: int) -> str:
    formula, written = escape(step.formula or step.symbol), first_written(step, decimals)
    heading = f'<b>{number}. {escape(step.title)}</b><code class="nlt-formula">{formula}</code>'
    parts = [f'<p>{heading}<span class="nlt-shape">{escape(step.extent)}</span></p>']
    if step.note:
        parts.append(f'<p class="nlt-note">{escape(step.note)}</p>')
    parts.append(f'<div class="nlt-matrices">{_operands(step, decimals)}{_numbers(step, decimals)}</div>')
    if written:
        parts.append(f'<div class="nlt-sum">{escape(written)}</div>')
    return f'<div class="nlt-step">{"".join(parts)}</div>'


def _operands(step: TraceStep, decimals: int) -> str:
    """Return the factors of a product in front of it."""
    product = step.product
    if product is None:
        return ""
    over_rows = product.inner is None
    left = matrix(product.left, decimals, cut_rows=step.is_of_rows, cut_columns=over_rows)
    right = matrix(product.right, decimals, cut_rows=over_rows)
    sign = "<span>−</span>" if product.negated else ""
    text = sign + _table(left, product.left_symbol, "nlt-operand nlt-left", "r")
    text += "<span>·</span>" + _table(right, product.right_symbol, "nlt-operand nlt-right", "c")
    return text + _added(product, decimals) + "<span>=</span>"


def _added(product: Product, decimals: int) -> str:
    if product.added is None:
        return ""
    row = matrix(product.added, decimals)
    return "<span>+</span>" + _table(row, product.added_symbol, "nlt-operand nlt-right", "c")


def _table(shown: Matrix, symbol: str, name: str, letter: str) -> str:
    """Return a matrix whose numbers are named by their row ("r") or their column ("c")."""
    rows = "".join(
        "<tr>"
        + "".join(f'<td class="{letter}{i if letter == "r" else j}">{cell}</td>' for j, cell in enumerate(row))
        + "<td>…</td>" * bool(shown.more_columns)
        + "</tr>"
        for i, row in enumerate(shown.cells)
    )
    return f'<table class="{name}"><caption>{escape(symbol)}</caption>{rows}{_more(shown)}</table>'


def _numbers(step: TraceStep, decimals: int) -> str:
    """Return the numbers of a step; each that was computed says from what."""
    shown = matrix(step.values, decimals, cut_rows=step.is_of_rows)
    rows = ["" for _ in shown.cells]
    for i, j in pairs(range(len(shown.cells)), range(len(shown.cells[0]))):
        rows[i] += _number(step, (i, j)[-step.values.ndim :], shown.cells[i][j], f"r{i} c{j}", decimals)
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f'<table class="nlt-out"><caption>{escape(step.symbol)}</caption>{body}{_more(shown)}</table>'


def _number(step: TraceStep, place: tuple[int, ...], cell: str, name: str, decimals: int) -> str:
    said = ""
    if step.expression(*place, decimals=decimals):
        origin = f"{step.named(place)} = {step.origin(*place, decimals=decimals)}"
        said = f' tabindex="-1" data-sum="{escape(origin)}"'
    return f'<td class="{name}"{said}>{cell}</td>'


def _more(shown: Matrix) -> str:
    if not shown.more_rows:
        return ""
    return f'<tr><td colspan="{len(shown.cells[0])}">{more_rows(shown.more_rows)}</td></tr>'
