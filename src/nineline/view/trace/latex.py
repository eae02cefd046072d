"""A trace for a sheet in LaTeX; amsmath is all it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nineline.view.trace.numbers import factor, latex_escaped, latex_number, plain
from nineline.view.trace.origins import Product, RowSum
from nineline.view.trace.shown import HALVES, Matrix, Told, check_decimals, introduction, matrix, more_rows

if TYPE_CHECKING:
    from nineline.view.trace.steps import TraceStep

_TERMS_A_LINE: Final = 3
_COLUMNS_IN_FULL: Final = 7
_COLUMNS_IN_SMALL: Final = 12
_UNICODE: Final = {
    "→": r"$\to$",
    "−": "$-$",
    "Σ": r"$\sum$",
    "·": r"$\cdot$",
    "ᵀ": r"$^{\mathsf T}$",
    "…": r"\dots{}",
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
}


def to_latex(trace: Told, decimals: int) -> str:
    """Return a trace as paragraphs and displayed formulas."""
    decimals = check_decimals(decimals)
    steps = [_step(number, step, decimals) for number, step in enumerate(trace.steps, 1)]
    halves = [step.half for step in trace.steps]
    lines = ["% needs \\usepackage{amsmath}; indices count from 0, as in Python", *_columns(trace)]
    lines += [rf"\noindent {_words(line)}\par" for line in introduction(trace)]
    for number, (half, step) in enumerate(zip(halves, steps, strict=True)):
        if half not in halves[:number]:
            lines += ["", rf"\subsection*{{{HALVES[half]}}}"]
        lines += ["", step]
    return "\n".join(lines) + "\n"


def _columns(trace: Told) -> list[str]:
    """Return the setting without which amsmath takes matrices of ten columns at most."""
    most = max(step.values.shape[-1] for step in trace.steps)
    return [rf"\setcounter{{MaxMatrixCols}}{{{most}}}"] if most > 10 else []


def _step(number: int, step: TraceStep, decimals: int) -> str:
    shown = matrix(step.values, decimals, cut_rows=step.is_of_rows)
    note = f" {_words(step.note)}" if step.note else ""
    symbol, equals, formula = latex_number(step.latex).partition(" = ")
    lines = [rf"{symbol} &= {formula} \\", f"&= {_matrix(shown)}"] if equals else [f"{symbol} &= {_matrix(shown)}"]
    written = _written(step, decimals)
    if written:
        lines[-1] += r" \\"
        lines.append(written)
    body = "\n".join(lines)
    title = _words(step.title)
    left_out = f" ({_words(more_rows(shown.more_rows))})" if shown.more_rows else ""
    heading = rf"\noindent\textbf{{{number}. {title}}} \quad ${_shapes(step)}${left_out}{note}"
    displayed = f"\\begin{{align*}}\n{body}\n\\end{{align*}}"
    return f"{heading}\n{_sized(len(shown.cells[0]), displayed)}"


def _sized(columns: int, formula: str) -> str:
    """Return a displayed formula in smaller letters where a matrix has many columns."""
    if columns <= _COLUMNS_IN_FULL:
        return formula
    size = r"\scriptsize" if columns <= _COLUMNS_IN_SMALL else r"\tiny"
    return rf"{{{size}\setlength{{\arraycolsep}}{{2pt}}" + f"\n{formula}\n}}"


def _shapes(step: TraceStep) -> str:
    text = step.extent.replace("·", r"\cdot")
    return rf"\text{{one number of }} {step.whole}" if step.extent.startswith("one number") else text


def _matrix(shown: Matrix) -> str:
    rows = [" & ".join(latex_number(cell) for cell in row) for row in shown.cells]
    if shown.more_rows:
        rows.append(" & ".join([r"\vdots"] * len(shown.cells[0])))
    body = " \\\\\n".join(rows)
    return f"\\begin{{bmatrix}}\n{body}\n\\end{{bmatrix}}"


def _written(step: TraceStep, decimals: int) -> str:
    """Return the first number of a sum written out."""
    origin = step.origin_of
    if not isinstance(origin, (Product, RowSum)):
        return ""
    place = (0,) * step.values.ndim
    whole = step.corner or place
    sum_ = origin.expression(whole, lambda value: latex_number(factor(decimals)(value))).replace("*", r" \cdot ")
    terms = sum_.split(" + ")
    parts = [" + ".join(terms[start : start + _TERMS_A_LINE]) for start in range(0, len(terms), _TERMS_A_LINE)]
    text = " \\\\\n&\\qquad {} + ".join(parts)
    index = ", ".join(map(str, whole))
    return rf"{step.symbol_latex}[{index}] &= {text} = {latex_number(plain(float(step.values[place]), decimals))}"


def _words(text: str) -> str:
    """Return words for LaTeX, whatever their alphabet: what has no command there is left as it is."""
    return "".join(_UNICODE.get(character, latex_escaped(character)) for character in text)
