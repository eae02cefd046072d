"""The command line: demo, train, predict, show, export."""

from __future__ import annotations

import contextlib
import glob
import os
import sys
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from nineline import _checks

if TYPE_CHECKING:
    from collections.abc import Sequence

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

_MESSAGE_AT_MOST: Final = 2000  # characters of an error


class Task(StrEnum):
    """What kind of answer the target asks for."""

    classification = "classification"
    regression = "regression"


class Format(StrEnum):
    """What a table is whose name does not say it."""

    csv = "csv"
    tsv = "tsv"
    parquet = "parquet"
    jsonl = "jsonl"


class Form(StrEnum):
    """What a model is exported as."""

    c = "c"
    onnx = "onnx"
    py = "py"


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(version("nineline"))
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="And leave.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")] = False,
) -> None:
    """Small neural networks: train on a table, predict, look inside."""


Tables = Annotated[
    list[str],
    typer.Argument(
        metavar="TABLE",
        show_default=False,
        help="CSV, TSV, Parquet or JSON lines, by its ending; .gz and .zst after it too. Several, or a pattern such as "
        "'data/*.csv', are one table of the same columns. - is standard input.",
    ),
]
FormatOfTables = Annotated[
    Format | None,
    typer.Option("--format", help="What TABLE is, whatever its ending; for standard input it has to be said."),
]


@app.command()
def train(
    tables: Tables,
    target: Annotated[str, typer.Option(help="The column to predict.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Where to write the model; by default TABLE.nineline here, model.nineline if not one file."),
    ] = None,
    format_: FormatOfTables = None,
    task: Annotated[Task | None, typer.Option(help="By default decided by the target, and said.")] = None,
    test: Annotated[
        str | None, typer.Option(help="A table or a pattern to judge by, instead of a part of TABLE.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="A column that says 'test' in the rows to judge by.")] = None,
    test_size: Annotated[float, typer.Option(help="The share of rows to judge by otherwise; 0 for none.")] = 0.2,
    drop: Annotated[list[str] | None, typer.Option(help="A column to leave out; may be given again.")] = None,
    hidden: Annotated[str, typer.Option(help="Widths of the hidden layers, such as 64,32; or auto.")] = "auto",
    members: Annotated[str, typer.Option(help="How many networks answer together; or auto.")] = "auto",
    epochs: Annotated[
        str, typer.Option(help="At most; training stops earlier when nothing improves; or auto.")
    ] = "auto",
    time_limit: Annotated[float | None, typer.Option(help="Seconds of training at most.")] = None,
    compare: Annotated[bool, typer.Option("--compare", help="Judge scikit-learn's boosted trees beside it.")] = False,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    checkpoint: Annotated[Path | None, typer.Option(help="A file to keep the training in while it goes on.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from that file, where it exists.")] = False,
) -> None:
    """Train a network on a table, report how good it is, and write it to one file."""
    from rich.console import Console

    from nineline import writing
    from nineline.estimators.session import train_on_table
    from nineline.report import line, print_session
    from nineline.tables import STANDARD_INPUT, read_tables, text_columns

    console = Console()
    names, to_judge_by = find_tables(tables), [] if test is None else find_tables([test])
    if STANDARD_INPUT in to_judge_by:
        raise ValueError("test is -, standard input, which only TABLE can be; name a file")
    target_file = out if out is not None else _model_of(tables, names)
    writing.check_writable(target_file, [*names, *to_judge_by])
    if checkpoint is not None:
        if checkpoint.resolve() == target_file.resolve():
            raise ValueError(f"checkpoint is {checkpoint}, where the model is to be written; name another file")
        writing.check_writable(checkpoint)
    elif resume:
        raise ValueError("--resume is given and --checkpoint is not; name the file to go on from")
    if seed < 0:
        raise ValueError(f"seed is {seed}; expected a whole number, 0 or more")
    frame = read_tables(names, ending=_ending(format_))
    shown = _called(names[0]) + (f" and {len(names) - 1:,} more" if len(names) > 1 else "")
    for name in drop or []:
        if name not in frame.columns:
            raise ValueError(f"drop is {name!r}, which is no column of {shown}")
        frame = frame.drop(name)
    console.print(line("table", f"{shown}, {frame.height:,} rows, {frame.width} columns"))
    session = train_on_table(
        frame,
        target,
        task=None if task is None else task.value,
        test=read_tables(to_judge_by, text_columns(frame)) if to_judge_by else None,
        split=split,
        test_size=test_size,
        seed=seed,
        compare=compare,
        save=lambda model: model.save(target_file),
        hidden_layer_sizes=_widths(hidden),
        n_members=_number("members", members),
        max_epochs=_number("epochs", epochs),
        time_limit=time_limit,
        verbose=None,
        checkpoint=checkpoint,
        resume=resume,
    )
    print_session(console, session)
    console.print(line("written", f"{target_file}, {target_file.stat().st_size:,} bytes"))


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="A file that train wrote.")],
    tables: Tables,
    out: Annotated[
        Path | None, typer.Option(help="Where to write, .gz after it or not; by default CSV to standard output.")
    ] = None,
    format_: FormatOfTables = None,
    proba: Annotated[bool, typer.Option("--proba", help="Also the probability of each class.")] = False,
) -> None:
    """Write a prediction for every row of a table, in the order of the rows."""
    import polars as pl

    from nineline import writing
    from nineline.estimators import TabularClassifier, load
    from nineline.tables import check_ending, read_tables, write_table

    names = find_tables(tables)
    if out is None and sys.stdout is None:
        raise ValueError("standard output is closed; name a file: --out")
    if out is not None:
        writing.check_writable(out, [*names, model])
        check_ending(out)
    network = load(model)
    if proba and not isinstance(network, TabularClassifier):
        raise ValueError(f"--proba is for classes, and {model} predicts the number {network.target_name_!r}")
    as_text = [column.name for column in network.columns_.used if column.kind != "number"]
    rows = network.select(read_tables(names, as_text, ending=_ending(format_)))
    answers = {network.target_name_: network.predict(rows)}
    if proba and isinstance(network, TabularClassifier):
        shares = network.predict_proba(rows)
        classes = pl.Series(network.classes_.tolist()).cast(pl.String)  # as the answers are written
        answers |= {f"probability of {name}": shares[:, i] for i, name in enumerate(classes)}
    predictions = pl.DataFrame(answers)
    if out is None:
        text = predictions.write_csv()
        if _is_terminal():  # which obeys what it is told, and names of classes come out of a file
            text = "".join(each if each == "\n" or each.isprintable() else repr(each)[1:-1] for each in text)
        sys.stdout.write(text)
    else:
        write_table(predictions, out)


@app.command()
def show(model: Annotated[Path, typer.Argument(help="A model or a checkpoint.")]) -> None:
    """Show what the header of a file says is inside; no weights are loaded."""
    from rich.console import Console

    from nineline.files import read_header
    from nineline.report import print_file

    print_file(Console(), str(model), read_header(model))


@app.command()
def export(
    model: Annotated[Path, typer.Argument(help="A file that train or Network.save wrote.")],
    to: Annotated[Form, typer.Option(help="C99, ONNX, or one file of plain NumPy.")],
    out: Annotated[Path | None, typer.Option(help="By default MODEL.c and .h, MODEL.onnx or MODEL.py here.")] = None,
    double: Annotated[bool, typer.Option("--double", help="C: compute in double instead of float.")] = False,
    no_libm: Annotated[bool, typer.Option("--no-libm", help="C: do without math.h.")] = False,
    int8: Annotated[bool, typer.Option("--int8", help="C: weights in eight bits; says what it costs.")] = False,
    data: Annotated[Path | None, typer.Option(help="With --int8: a table with its target, to judge that by.")] = None,
) -> None:
    """Write a model for where there is no Python, or another library."""
    from nineline import writing
    from nineline.interchange import to_onnx, to_python

    if to is not Form.c and (double or no_libm or int8):
        raise ValueError(f"--double, --no-libm and --int8 are for --to c, and --to is {to.value}")
    if data is not None and not int8:
        raise ValueError("--data judges what rounding costs; give --int8 with it")
    target = out if out is not None else Path(f"{model.stem}.{to.value}")
    if to is Form.c and target.suffix not in ("", ".c"):
        raise ValueError(f"out is {target}; C is written to two files, so name the one that ends in .c")
    targets = [target.with_suffix(".c"), target.with_suffix(".h")] if to is Form.c else [target]
    for each in targets:
        writing.check_writable(each, [model, *([] if data is None else [data])])
    network = _load(model)
    if to is Form.c:
        _export_c(network, target, double=double, libm=not no_libm, int8=int8, data=data)
        return
    text = to_python(network).encode() if to is Form.py else to_onnx(network, target.stem).SerializeToString()
    writing.write_bytes(target, text)
    print(f"{'written':<12}{target}, {len(text):,} bytes")


def _load(path: Path) -> Any:
    """Return the network or the estimator in a file."""
    from nineline import estimators, files
    from nineline.network import Network

    return estimators.load(path) if files.read_header(path).get("kind") == "tabular" else Network.load(path)


def _export_c(network: Any, target: Path, *, double: bool, libm: bool, int8: bool, data: Path | None) -> None:
    from nineline.interchange import to_c
    from nineline.interchange.rounding import cost
    from nineline.tables import read_table

    program = to_c(network, target.stem, dtype="float64" if double else "float32", libm=libm, int8=int8)
    written = program.write(target.parent, target.stem)
    print(f"{'written':<12}{' and '.join(map(str, written))}, {len(program.source + program.header):,} bytes")
    print(f"{'flash':<12}{program.flash:,} bytes of tables, and one to three KiB of code")
    print(f"{'RAM':<12}{program.ram:,} bytes of arrays on the stack, nothing else")
    if int8:
        table = truth = None
        if data is not None:
            if not hasattr(network, "select"):
                raise ValueError("--data is for a model of a table, and this one takes numbers as they are")
            frame = read_table(data, [column.name for column in network.columns_.used if column.kind != "number"])
            if network.target_name_ not in frame.columns:
                raise ValueError(f"{data} has no column {network.target_name_!r}, the target, to judge by")
            frame = frame.filter(frame[network.target_name_].is_not_null())
            table, truth = network.select(frame), frame[network.target_name_].to_numpy()
        for sentence in cost(network, table, truth):
            print(f"{'int8':<12}{sentence}")
    library = " -lm" if libm else ""
    print(f"{'try it':<12}cc -std=c99 -DNINELINE_SELF_TEST {written[0]}{library} && ./a.out")


@app.command()
def demo() -> None:
    """Watch the tutorial's network learn a boolean function, then train on a real table."""
    import numpy as np
    from sklearn.datasets import load_digits

    from nineline.network import Network

    X = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
    y = np.array([[0], [1], [1], [0]])
    print("A boolean function of three inputs, to be learned by the nine lines' network:\n")
    for inputs, output in zip(X, y, strict=True):
        print(f"    {inputs} → {output}")
    print("\nnetwork = Network(3, 6, 1)\nnetwork.train(X, y)\n")
    network = Network(3, 6, 1, rng=1)
    network.train(X, y)
    print(f"\nprint(network)\n{network}\n\nprint(network.run(X))\n{network.run(X)}\n")

    print("A real table (1,797 handwritten digits, 8 × 8 grey values; Alpaydin, Kaynak 1998), by the command line:\n")
    data = load_digits()
    with tempfile.TemporaryDirectory() as folder:
        import polars as pl

        columns = {name: data.data[:, i] for i, name in enumerate(data.feature_names)}
        path = Path(folder) / "digits.csv"
        pl.DataFrame({**columns, "digit": data.target}).write_csv(path)
        print(f"$ nineline train {path.name} --target digit\n")
        here = Path.cwd()
        os.chdir(folder)
        try:
            train([path.name], "digit")
        finally:
            os.chdir(here)
    print("\nNow your own: nineline train TABLE --target COLUMN")


def main() -> None:
    """Run the command line; what is wrong is said in a line: with the input by exit status 2, with nineline by 1."""
    try:
        try:
            app()
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()  # where it is full or closed, that is found here and not at the end
    except BrokenPipeError:  # the reader of our output has seen enough
        _drop_output()
        sys.exit(1)
    except Exception as error:
        if "--debug" in sys.argv:
            raise
        _drop_output()
        print(f"nineline: {_said_of(error)}", file=sys.stderr)
        sys.exit(2 if _is_of_input(error) else 1)


def _is_of_input(error: Exception) -> bool:
    from polars.exceptions import PolarsError

    from nineline.training.errors import DivergenceError

    return isinstance(error, (ValueError, TypeError, OSError, MemoryError, DivergenceError, PolarsError))


def _said_of(error: Exception) -> str:
    """Return an error in words, as a terminal may show them."""
    if isinstance(error, MemoryError):
        return f"there is not enough memory{f': {error}' if str(error) else ''}; take fewer rows or columns"
    text = str(error)
    if not _is_of_input(error):
        text = f"{type(error).__name__}: {text} (a mistake of nineline's own; nineline --debug ... shows where)"
    if len(text) > _MESSAGE_AT_MOST:  # what came is longer than what is said of it
        text = f"{text[: _MESSAGE_AT_MOST // 2]} … {text[-_MESSAGE_AT_MOST // 4 :]}"
    return "\n".join(_checks.printable(line, _MESSAGE_AT_MOST) for line in text.split("\n"))


def _drop_output() -> None:
    """Let what is still to be written to standard output go nowhere, for it cannot be written."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _is_terminal() -> bool:
    return sys.stdout.isatty()


def _number(name: str, given: str) -> str | int:
    if given == "auto":
        return given
    try:
        return int(given)
    except ValueError:
        raise ValueError(f"{name} is {given!r}; expected a whole number, or auto") from None


def _widths(hidden: str) -> str | tuple[int, ...]:
    if hidden == "auto":
        return hidden
    try:
        return tuple(int(width) for width in hidden.split(","))
    except ValueError:
        raise ValueError(f"hidden is {hidden!r}; expected widths such as 64,32, or auto") from None


def find_tables(words: Sequence[str]) -> list[str]:
    """Return the files that words name: a file itself, or a pattern such as ``data/*.csv``, in the order of names.

    As in a shell, ``*``, ``?`` and ``[...]`` leave out hidden files; ``**`` stands for any folders. A word that is a
    file's name is that file, whatever it is spelled with.

    Raises
    ------
    TableError
        A pattern matches no file, or a file is named twice.

    Examples
    --------
    >>> find_tables(["jan.csv", "-"])
    ['jan.csv', '-']
    """
    from nineline.tables import STANDARD_INPUT, TableError

    found: list[str] = []
    for word in words:
        if not set("*?[") & set(word) or Path(word).exists():
            found.append(word)
            continue
        matches = glob.glob(word, recursive=True)  # noqa: PTH207  (Path.glob: hidden files, no absolute patterns)
        names = sorted(match for match in matches if not Path(match).is_dir())
        if not names:
            raise TableError(f"no file matches {word!r}, seen from {Path.cwd()}; name a file, or another pattern")
        found += names
    seen: dict[str | Path, str] = {}
    for name in found:
        place = name if name == STANDARD_INPUT else Path(name).resolve()
        if place in seen:
            raise TableError(f"{_called(seen[place])} is named twice, again as {name}; name each table once")
        seen[place] = name
    return found


def _called(name: str) -> str:
    return "standard input" if name == "-" else name


def _ending(given: Format | None) -> str | None:
    return None if given is None else f".{given.value}"


def _model_of(words: Sequence[str], names: Sequence[str]) -> Path:
    """Return where a model is written by default: what one table is called, and no name out of several."""
    from nineline.tables import PACKINGS, STANDARD_INPUT

    if len(names) > 1 or list(names) != list(words) or names[0] == STANDARD_INPUT:
        return Path("model.nineline")
    table = Path(names[0])
    return Path(f"{Path(table.stem).stem if table.suffix.lower() in PACKINGS else table.stem}.nineline")
