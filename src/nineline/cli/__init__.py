"""The command line: demo, train, predict, show, export, playground."""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from nineline.cli.errors import drop_output, is_first, is_of_input, said_of
from nineline.cli.parsing import (
    Effort,
    Form,
    Format,
    Task,
    called,
    ending_of,
    files_of,
    find_tables,
    model_path,
    number_or_auto,
    widths,
)

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


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
    groups: Annotated[
        str | None, typer.Option(help="A column that says which rows belong together: whole groups are held out.")
    ] = None,
    time: Annotated[
        str | None, typer.Option(help="A column that says when each row was: the latest rows are held out.")
    ] = None,
    validation: Annotated[
        str | None, typer.Option(help="A table or a pattern to stop and choose by, instead of a part of TABLE.")
    ] = None,
    test_size: Annotated[float, typer.Option(help="The share of rows to judge by otherwise; 0 for none.")] = 0.2,
    drop: Annotated[list[str] | None, typer.Option(help="A column to leave out; may be given again.")] = None,
    hidden: Annotated[str, typer.Option(help="Widths of the hidden layers, such as 64,32; or auto.")] = "auto",
    members: Annotated[str, typer.Option(help="How many networks answer together; or auto.")] = "auto",
    epochs: Annotated[
        str, typer.Option(help="At most; training stops earlier when nothing improves; or auto.")
    ] = "auto",
    effort: Annotated[Effort, typer.Option(help="high: twice the networks and passes, four times the time.")] = (
        Effort.NORMAL
    ),
    sweep: Annotated[
        bool, typer.Option("--sweep", help="Try learning rates side by side first, and take the best on held-out rows.")
    ] = False,
    memory: Annotated[
        str | None,
        typer.Option(
            help="Read TABLE piece by piece, in about so much memory: 500MB, 2GB; it may be larger than that."
        ),
    ] = None,
    time_limit: Annotated[float | None, typer.Option(help="Seconds of training at most.")] = None,
    compare: Annotated[bool, typer.Option("--compare", help="Judge scikit-learn's boosted trees beside it.")] = False,
    report: Annotated[
        Path | None,
        typer.Option(
            help="Also write the report as a page, report.html: one file with pictures, for whoever is sent it."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    checkpoint: Annotated[Path | None, typer.Option(help="A file to keep the training in while it goes on.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from that file, where it exists.")] = False,
) -> None:
    """Train a network on a table, report how good it is, and write it to one file.

    Under mpiexec several processes train it together: mpiexec -n 4 nineline train 'data/*.parquet' --target y
    """
    import polars as pl
    from rich.console import Console

    from nineline import writing
    from nineline.cli.report import line, print_session
    from nineline.estimators.session import train_on_table
    from nineline.estimators.streamed_session import train_on_source
    from nineline.parallel import launched
    from nineline.tables import STANDARD_INPUT, read_tables
    from nineline.tables.sources import TableSource
    from nineline.training.shared.together import together_of

    together = together_of(launched())
    console = Console(quiet=not together.is_first)
    with together.listening(), together.guard():
        with together.alike():
            names = find_tables(tables)
            others = {"test": test, "validation": validation}
            beside = {role: [] if given is None else find_tables([given]) for role, given in others.items()}
            read = [*names, *beside["test"], *beside["validation"]]
            for role, found in beside.items():
                if STANDARD_INPUT in found:
                    raise ValueError(f"{role} is -, standard input, which only TABLE can be; name a file")
            if STANDARD_INPUT in names and together.size > 1:
                raise ValueError(
                    f"TABLE is -, standard input, which {together.size} processes cannot share; name files"
                )
            target_file = out if out is not None else model_path(tables, names)
            writing.check_writable(target_file, read)
            if checkpoint is not None:
                if checkpoint.resolve() == target_file.resolve():
                    raise ValueError(f"checkpoint is {checkpoint}, where the model is to be written; name another file")
                writing.check_writable(checkpoint)
            elif resume:
                raise ValueError("--resume is given and --checkpoint is not; name the file to go on from")
            if report is not None:
                if report.resolve() in (target_file.resolve(), None if checkpoint is None else checkpoint.resolve()):
                    raise ValueError(f"report is {report}, where another file is to be written; name another one")
                from nineline.estimators.page import check_page

                check_page()
                writing.check_writable(report, read)
            if seed < 0:
                raise ValueError(f"seed is {seed}; expected a whole number, 0 or more")
            piece_by_piece = memory is not None or together.size > 1
            whole = not piece_by_piece or STANDARD_INPUT in names
            shown = called(names[0]) + (f" and {len(names) - 1:,} more" if len(names) > 1 else "")
            table: Any = read_tables(names, ending=ending_of(format_)) if whole else names
            learn: Any = train_on_table
            if piece_by_piece:
                table = TableSource.of(table, ending=None if whole else ending_of(format_))
                learn = partial(train_on_source, memory=memory, parallel=together)
            columns = list(table.schema)
            for name in drop or []:
                if name not in columns:
                    raise ValueError(f"drop is {name!r}, which is no column of {shown}")
                columns.remove(name)
            table = table.select(columns)
            rows = table.rows if piece_by_piece else table.height
            counted = "" if rows is None else f"{rows:,} rows, "
            console.print(line("table", f"{shown}, {counted}{len(columns)} columns"))
            texts = [name for name, dtype in table.schema.items() if dtype == pl.String]
            parts = {role: read_tables(found, texts) if found else None for role, found in beside.items()}
            options = {
                "hidden_layer_sizes": widths(hidden),
                "n_members": number_or_auto("members", members),
                "max_epochs": number_or_auto("epochs", epochs),
                "effort": effort.value,
            }
        session = learn(
            table,
            target,
            task=None if task is None else task.value,
            **parts,
            split=split,
            groups=groups,
            time=time,
            test_size=test_size,
            seed=seed,
            compare=compare,
            save=lambda model: model.save(target_file),
            learning_rate="sweep" if sweep else "auto",
            time_limit=time_limit,
            verbose=None,
            checkpoint=checkpoint,
            resume=resume,
            **options,
        )
        if together.is_first:
            print_session(console, session)
            console.print(line("written", f"{target_file}, {target_file.stat().st_size:,} bytes"))
            if report is not None:
                session.to_html(report, command=shlex.join(["nineline", *sys.argv[1:]]))
                console.print(line("report", f"{report}, {report.stat().st_size:,} bytes"))


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="A file that train wrote.")],
    tables: Tables,
    out: Annotated[
        Path | None, typer.Option(help="Where to write, .gz after it or not; by default CSV to standard output.")
    ] = None,
    format_: FormatOfTables = None,
    proba: Annotated[bool, typer.Option("--proba", help="Also the probability of each class.")] = False,
    fast: Annotated[
        bool, typer.Option("--float32", help="Compute in float32: two to three times as fast, right to some 1e-6.")
    ] = False,
) -> None:
    """Write a prediction for every row of a table, in the order of the rows."""
    from nineline import writing
    from nineline.estimators import TabularClassifier, load
    from nineline.estimators.tabular.predicting import predict_to, predictions
    from nineline.tables import STANDARD_INPUT, check_ending, read_tables

    names = find_tables(tables)
    if out is None and sys.stdout is None:
        raise ValueError("standard output is closed; name a file: --out")
    if out is not None:
        writing.check_writable(out, [*files_of(names), model])
        check_ending(out)
    estimator = load(model)
    if proba and not isinstance(estimator, TabularClassifier):
        raise ValueError(f"--proba is for classes, and {model} predicts the number {estimator.target_name_!r}")
    table: Any = names
    if STANDARD_INPUT in names:  # it cannot be read twice
        table = read_tables(names, estimator.columns_.text_names, ending=ending_of(format_))
    how: Any = {"ending": ending_of(format_) if table is names else None, "dtype": "float32" if fast else "float64"}
    if out is not None:
        predict_to(estimator, table, out, proba=proba, **how)
        return
    for number, piece in enumerate(predictions(estimator, table, proba=proba, **how)):
        text = piece.write_csv(include_header=number == 0)
        if _is_terminal():  # which obeys what it is told, and names of classes come out of a file
            text = "".join(each if each == "\n" or each.isprintable() else repr(each)[1:-1] for each in text)
        sys.stdout.write(text)


@app.command()
def show(
    model: Annotated[Path, typer.Argument(help="A model or a checkpoint.")],
    plot: Annotated[
        Path | None,
        typer.Option(help="Also draw the network, and which columns decide: a name that ends in .svg, .png or .pdf."),
    ] = None,
) -> None:
    """Show what the header of a file says is inside; no weights are loaded, unless they are to be drawn."""
    from rich.console import Console

    from nineline.cli.plotting import check_picture, write_picture
    from nineline.cli.report import line, print_file
    from nineline.files import read_header

    if plot is not None:
        check_picture(plot, model)
    console = Console()
    print_file(console, str(model), read_header(model))
    if plot is not None:
        write_picture(plot, model)
        console.print(line("written", f"{plot}, {plot.stat().st_size:,} bytes"))


@app.command()
def export(
    model: Annotated[Path, typer.Argument(help="A file that train or Network.save wrote.")],
    to: Annotated[Form, typer.Option(help="C99, ONNX, or one file of plain NumPy.")],
    out: Annotated[Path | None, typer.Option(help="By default MODEL.c and .h, MODEL.onnx or MODEL.py here.")] = None,
    double: Annotated[bool, typer.Option("--double", help="C: compute in double instead of float.")] = False,
    no_libm: Annotated[bool, typer.Option("--no-libm", help="C: do without math.h.")] = False,
    int8: Annotated[bool, typer.Option("--int8", help="C: weights in eight bits; says what it costs.")] = False,
    jacobian: Annotated[
        bool, typer.Option("--jacobian", help="C: a network's derivatives by its inputs, too.")
    ] = False,
    data: Annotated[Path | None, typer.Option(help="With --int8: a table with its target, to judge that by.")] = None,
) -> None:
    """Write a model for where there is no Python, or another library."""
    from nineline import writing
    from nineline.cli.exporting import load_model, write_c, write_data
    from nineline.interchange import to_onnx, to_python

    if to is not Form.c and (double or no_libm or int8 or jacobian):
        raise ValueError(f"--double, --no-libm, --int8 and --jacobian are for --to c, and --to is {to.value}")
    if data is not None and not int8:
        raise ValueError("--data judges what rounding costs; give --int8 with it")
    target = out if out is not None else Path(f"{model.stem}.{to.value}")
    if to is Form.c and target.suffix not in ("", ".c"):
        raise ValueError(f"out is {target}; C is written to two files, so name the one that ends in .c")
    targets = [target.with_suffix(".c"), target.with_suffix(".h")] if to is Form.c else [target]
    for each in targets:
        writing.check_writable(each, [model, *([] if data is None else [data])])
    trained = load_model(model)
    if to is Form.c:
        options = {"double": double, "libm": not no_libm, "int8": int8, "jacobian": jacobian}
        write_c(trained, target, **options, judged_by=data)
    elif to is Form.py:
        write_data(target, to_python(trained).encode())
    else:
        write_data(target, to_onnx(trained, target.stem).SerializeToString())


@app.command()
def demo(
    trace: Annotated[
        bool, typer.Option("--trace", help="Show every step of one iteration with its numbers, and leave.")
    ] = False,
) -> None:
    """Watch the tutorial's network learn a boolean function, then train on a real table."""
    import numpy as np

    from nineline.network import Network

    X = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
    y = np.array([[0], [1], [1], [0]])
    print("A boolean function of three inputs, to be learned by the nine lines' network:\n")
    for inputs, output in zip(X, y, strict=True):
        print(f"    {inputs} → {output}")
    if trace:
        print(f"\nnetwork = Network(3, 6, 1)\nprint(network.trace(X, y))\n\n{Network(3, 6, 1, rng=1).trace(X, y)}\n")
        print("How it comes about: docs/tutorial/from-nine-lines.ipynb. All 10,000 iterations: nineline demo")
        return
    print("\nnetwork = Network(3, 6, 1)\nnetwork.train(X, y)\n")
    network = Network(3, 6, 1, rng=1)
    network.train(X, y)
    print(f"\nprint(network)\n{network}\n\nprint(network.run(X))\n{network.run(X)}\n")

    from sklearn.datasets import load_digits

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
    print("To watch and steer a network while it learns: make playground, or nineline playground")


@app.command()
def playground(
    opened: Annotated[
        str | None,
        typer.Argument(metavar="[TABLE | MODEL]", show_default=False, help="A table, with --target; or a model."),
    ] = None,
    target: Annotated[str | None, typer.Option(help="The column of TABLE to predict.")] = None,
    example: Annotated[
        str | None, typer.Option(help="A data set to begin with: tutorial, xor, circles, moons, spirals, wave, ...")
    ] = None,
    link: Annotated[
        str | None, typer.Option(help="A link that a playground's page has copied: its whole set-up.")
    ] = None,
    port: Annotated[int, typer.Option(help="Of this machine; 0 for one that is free.")] = 0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Whether to open it in the browser.")] = True,
) -> None:
    """Watch and steer a training in the browser, on a toy data set or on your own table."""
    from nineline import _checks
    from nineline._extras import need

    for module in ("starlette", "uvicorn", "websockets"):
        need(module, "playground", "the playground")
    from nineline.interactive.opening import open_example, open_path
    from nineline.interactive.server import serve

    if opened is not None and example is not None:
        raise ValueError(f"example is {example!r}, and {opened} is to be opened as well; leave one of them out")
    if opened is None and target is not None:
        raise ValueError(f"target is {target!r}, and no table is given")
    _, is_link, fragment = (link or "#").partition("#")
    if not is_link:
        raise ValueError(f"link is {_checks.quoted(link)}; expected the address of a playground, with a # in it")
    what = open_example(example or "xor") if opened is None else open_path(opened, target)
    serve(what, port=port, browser=browser, fragment=fragment)


def main() -> None:
    """Run the command line; what is wrong is said in a line: with the input by exit status 2, with nineline by 1."""
    try:
        try:
            app()
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()  # where it is full or closed, that is found here and not at the end
    except BrokenPipeError:  # the reader of our output has seen enough
        drop_output()
        sys.exit(1)
    except Exception as error:
        if "--debug" in sys.argv:
            raise
        drop_output()
        if is_first():
            print(f"nineline: {said_of(error)}", file=sys.stderr)
        sys.exit(2 if is_of_input(error) else 1)


def _is_terminal() -> bool:
    return sys.stdout.isatty()
