"""Reports: what a training on a table came to, for a person to read in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from nineline.history import sparkline

if TYPE_CHECKING:
    from rich.console import Console

    from nineline.estimators.session import Session
    from nineline.estimators.tabular import TabularClassifier, TabularRegressor

_CLASSES_SHOWN = 12
_COLUMNS_SHOWN = 20


def print_session(console: Console, session: Session) -> None:
    """Print the whole report: the table, the network, the curve, the scores."""
    model = session.model
    console.print(_line("task", f"{session.task}, {session.reason}"))
    console.print(_line("rows", f"{session.train:,} to train on, {session.test:,} to judge by"))
    for note in session.notes:
        console.print(_line("note", note))
    console.print()
    print_columns(console, model)
    print_network(console, model)
    history = model.history_
    console.print(
        _line("training", f"{history.epochs} epochs in {history.seconds[-1]:.1f} s; stopped: {history.stopped}")
    )
    console.print(_line("loss", f"{history.loss[0]:.4g} {sparkline(history.loss, 48)} {history.loss[-1]:.4g}"))
    if history.validation_loss:
        curve, best = history.validation_loss, history.best_epoch
        console.print(_line("validation", f"{curve[0]:.4g} {sparkline(curve, 48)} {curve[-1]:.4g}, best after {best}"))
    if session.scores:
        console.print()
        _print_scores(console, session)


def print_columns(console: Console, model: TabularClassifier | TabularRegressor) -> None:
    """Print what became of every column."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("column", "kind", "missing", "learned"):
        table.add_column(heading)
    for column in model.columns_.used[:_COLUMNS_SHOWN]:
        table.add_row(Text(column.name), column.kind, "yes" if column.missing else "", Text(column.summary()))
    if len(model.columns_.used) > _COLUMNS_SHOWN:
        table.add_row(f"… and {len(model.columns_.used) - _COLUMNS_SHOWN:,} more", "", "", "")
    for dropped in model.columns_.dropped[:_COLUMNS_SHOWN]:
        table.add_row(Text(dropped.name), Text("dropped", style="yellow"), "", Text(dropped.reason))
    if len(model.columns_.dropped) > _COLUMNS_SHOWN:
        table.add_row(f"… and {len(model.columns_.dropped) - _COLUMNS_SHOWN:,} more", "dropped", "", "")
    console.print(table)
    console.print()


def print_network(console: Console, model: TabularClassifier | TabularRegressor) -> None:
    """Print the network in a line."""
    network = model.network_
    layers = " → ".join(repr(layer) for layer in network.layers)
    console.print(_line("network", f"{layers}, {network.parameters.size:,} parameters"))


def print_file(console: Console, path: str, model: TabularClassifier | TabularRegressor) -> None:
    """Print what is inside a model file."""
    console.print(_line("file", f"{path}, {type(model).__name__}"))
    console.print(_line("target", model.target_name_))
    if hasattr(model, "classes_"):
        console.print(_line("classes", ", ".join(map(str, model.classes_.tolist()))))
    console.print()
    print_columns(console, model)
    print_network(console, model)
    if model.evaluation_:
        scores = ", ".join(f"{name} {value:,.5g}" for name, value in model.evaluation_.items())
        console.print(_line("judged by", scores))


def _print_scores(console: Console, session: Session) -> None:
    measures = list(session.scores["network"])
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(f"on {session.test:,} test rows")
    for measure in measures:
        table.add_column(measure, justify="right")
    for name, scores in session.scores.items():
        style = "bold" if name == "network" else ""
        table.add_row(Text(name, style=style), *[Text(f"{scores[m]:,.5g}", style=style) for m in measures])
    console.print(table)
    console.print()
    if session.confusion is not None:
        _print_confusion(console, session)
    if session.residuals is not None:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading in ("prediction − truth", "5 %", "25 %", "median", "75 %", "95 %"):
            table.add_column(heading, justify="right")
        table.add_row("quantiles", *[f"{value:,.4g}" for value in session.residuals])
        console.print(table)


def _print_confusion(console: Console, session: Session) -> None:
    confusion: Any = session.confusion
    names = [str(name) for name in session.model.classes_.tolist()]
    if len(names) <= _CLASSES_SHOWN:
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("truth ↓  predicted →")
        for name in names:
            table.add_column(Text(name), justify="right")
        for name, row in zip(names, confusion, strict=True):
            table.add_row(Text(name), *[f"{count:,}" for count in row])
        console.print(table)
        return
    mistakes = [(int(confusion[i, j]), i, j) for i in range(len(names)) for j in range(len(names)) if i != j]
    worst = [f"{names[i]} taken for {names[j]} ({count:,})" for count, i, j in sorted(mistakes, reverse=True)[:6]]
    console.print(_line("mistakes", f"most often {', '.join(worst)}"))


def _line(heading: str, text: str) -> Text:
    return Text.assemble((f"{heading:<12}", "bold"), text)
