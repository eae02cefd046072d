"""Exporting: a model is written for where there is no Python, and what it takes there is said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nineline import writing

if TYPE_CHECKING:
    from pathlib import Path


def load_model(path: Path) -> Any:
    """Return the network or the estimator in a file."""
    from nineline import estimators, files
    from nineline.network import Network

    return estimators.load(path) if files.read_header(path).get("kind") == "tabular" else Network.load(path)


def write_c(
    model: Any, target: Path, *, double: bool, libm: bool, int8: bool, jacobian: bool, judged_by: Path | None
) -> None:
    """Write a network or an estimator as C, and say what it takes on a machine, and what rounding costs."""
    from nineline.interchange import to_c
    from nineline.interchange.rounding import cost

    rows = (None, None) if judged_by is None else _rows_to_judge_by(model, judged_by)  # refused before it is written
    dtype = "float64" if double else "float32"
    program = to_c(model, target.stem, dtype=dtype, libm=libm, int8=int8, jacobian=jacobian)
    written = program.write(target.parent, target.stem)
    print(f"{'written':<12}{' and '.join(map(str, written))}, {len(program.source + program.header):,} bytes")
    print(f"{'flash':<12}{program.flash:,} bytes of tables, and one to three KiB of code")
    print(f"{'RAM':<12}{program.ram:,} bytes of arrays on the stack, nothing else")
    for sentence in cost(model, *rows) if int8 else ():
        print(f"{'int8':<12}{sentence}")
    library = " -lm" if libm else ""
    print(f"{'try it':<12}cc -std=c99 -DNINELINE_SELF_TEST {written[0]}{library} && ./a.out")


def write_data(target: Path, data: bytes) -> None:
    """Write what another library reads."""
    writing.write_bytes(target, data)
    print(f"{'written':<12}{target}, {len(data):,} bytes")


def _rows_to_judge_by(model: Any, path: Path) -> tuple[Any, Any]:
    """Return a table's columns as an estimator takes them, and the truth, in rows that have one."""
    from nineline.network import Network
    from nineline.tables import read_table

    if isinstance(model, Network):
        raise ValueError("--data is for a model of a table, and this one takes numbers as they are")
    frame = read_table(path, model.columns_.text_names)
    if model.target_name_ not in frame.columns:
        raise ValueError(f"{path} has no column {model.target_name_!r}, the target, to judge by")
    frame = frame.filter(frame[model.target_name_].is_not_null())
    return model.select(frame), frame[model.target_name_].to_numpy()
