"""Reports: what a training on a table came to, for a person to read in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from nineline import _checks, files
from nineline.files import FileError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from nineline.estimators.session import Session
    from nineline.estimators.tabular import TabularClassifier, TabularRegressor
    from nineline.tables.columns import Columns

_CLASSES_SHOWN = 12
_DECIDING = 8
_NAMED = 100
_LISTS_OF_A_TARGET = {"classes": "classes", "names": "targets", "levels": "quantiles"}  # headings of what a file says
_COLUMNS_SHOWN = 20
_CHARACTERS_SHOWN = 4000


def print_session(console: Console, session: Session) -> None:
    """Print the whole report: the table, the network, the curve, the scores."""
    model = session.model
    console.print(line("task", f"{session.task}, {session.reason}"))
    console.print(line("rows", f"{session.train:,} to train on, {session.test:,} to judge by"))
    for note in session.notes:
        console.print(line("note", note))
    console.print()
    print_columns(console, model.columns_)
    print_network(console, model)
    for heading, text in model.report_.lines():
        console.print(line(heading, text))
    if model.importances_:
        console.print(line("decide", f"{most_important(model.importances_)} (how much worse without)"))
    if session.scores:
        console.print()
        _print_scores(console, session)


def print_columns(console: Console, columns: Columns) -> None:
    """Print what became of every column."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("column", "kind", "missing", "learned"):
        table.add_column(heading)
    said, used = columns.in_words(), len(columns.used)
    for part, more, style in (said[:used], "", ""), (said[used:], "dropped", "yellow"):
        for name, kind, missing, what in part[:_COLUMNS_SHOWN]:
            table.add_row(_text(name), Text(kind, style=style), "yes" if missing else "", _text(what))
        if len(part) > _COLUMNS_SHOWN:
            table.add_row(f"… and {len(part) - _COLUMNS_SHOWN:,} more", more, "", "")
    console.print(table)
    console.print()


def print_network(console: Console, model: TabularClassifier | TabularRegressor) -> None:
    """Print the network in a line."""
    network = model.members_[0]
    layers = " → ".join(repr(layer) for layer in network.layers)
    several = f"{len(model.members_)} of " if len(model.members_) > 1 else ""
    console.print(line("network", f"{several}{layers}, {model.network_.parameters.size:,} parameters"))


def print_file(console: Console, path: str, header: dict[str, Any]) -> None:
    """Print what the header of a model file says is inside.

    Raises
    ------
    nineline.files.FileError
        It makes no sense.
    """
    try:
        lines, columns = _inside(header)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise FileError(f"{path} says nothing sensible of what is inside: {error!r}") from error
    console.print(line("file", f"{path}, {lines.pop('what')}, format {header['format_version']}"))
    network = lines.pop("network")
    for heading in ("target", *_LISTS_OF_A_TARGET.values()):
        if heading in lines:
            console.print(line(heading, lines.pop(heading)))
    if columns is not None:
        console.print()
        print_columns(console, columns)
    console.print(line("network", network))
    for heading, text in lines.items():
        console.print(line(heading, text))


def _inside(header: dict[str, Any]) -> tuple[dict[str, str], Columns | None]:
    """Return what a header says, by headings, and its columns."""
    from nineline.estimators.tabular.file import members_of
    from nineline.tables.columns import Columns

    columns, kind = None, header["kind"]
    lines = {"what": str(kind)}
    if header.get("network") is None and kind in ("checkpoint", files.CHECKPOINT_OF_NETWORKS):
        lines["network"] = header["training"]["settings"]["network"] + ", with code of its owner's"
    else:
        networks = list(members_of(header).values()) if kind == "tabular" else [header["network"]]
        said = [files.in_words(network) for network in networks]
        many = {files.NETWORKS: header, files.CHECKPOINT_OF_NETWORKS: header.get("training", {})}
        networks_in = int(many[kind]["count"]) if kind in many else len(said)
        several = f"{networks_in:,} of " if networks_in > 1 else ""
        parameters = sum(count for _, count in said) * (networks_in if kind in many else 1)
        lines["network"] = f"{several}{' → '.join(said[0][0])}, {parameters:,} parameters of {networks[0]['dtype']}"
    if kind == "tabular":
        lines["what"] = str(header["estimator"])
        lines["target"] = str(header["target"]["name"])
        for key, heading in _LISTS_OF_A_TARGET.items():
            if key in header["target"]:
                each = [str(value) for value in header["target"][key]]
                more = [f"and {len(each) - _NAMED:,} more"] if len(each) > _NAMED else []
                lines[heading] = ", ".join([*each[:_NAMED], *more])
        columns = Columns.rebuild(header["columns"])
        importances = {str(name): float(value) for name, value in header.get("importances", {}).items()}
        if importances:
            lines["decide"] = most_important(importances)
        if header["evaluation"]:
            lines["judged by"] = ", ".join(f"{name} {value:,.5g}" for name, value in header["evaluation"].items())
    elif kind == files.CHECKPOINT_OF_NETWORKS:
        training, reasons = header["training"], [str(reason) for reason in header["training"]["stopped"]]
        going = sum(not reason for reason in reasons)
        lines["training"] = f"{going:,} go on, {len(reasons) - going:,} have ended"
        for name in ("optimizer", "loss", "schedule", "batch_size", "epochs"):
            lines[name] = str(training["settings"][name])
    elif kind == "checkpoint":
        training, history = header["training"], header["training"]["history"]
        most = training["settings"]["epochs"]
        lines["training"] = f"{history['steps']:,} steps by the {history['engine']} engine, of at most {most} epochs"
        if training["finished"]:
            lines["stopped"] = str(history["stopped"])
        for name in ("optimizer", "loss", "schedule", "batch_size"):
            lines[name] = str(training["settings"][name])
    elif kind == files.TRAINER:
        lines["training"] = f"{int(header['training']['steps']):,} steps"
        for name in ("loss", "optimizer"):
            lines[name] = ", ".join(f"{key}={value!r}" for key, value in header["rule"][name].items() if key != "name")
            lines[name] = f"{header['rule'][name]['name']}({lines[name]})"
    elif kind not in ("network", files.NETWORKS):
        raise ValueError(f"a kind of model that is not known: {kind!r}")
    return lines, columns


def most_important(importances: Mapping[str, float]) -> str:
    """Return the columns that decide most, and how much worse the answers are without each."""
    ranked = sorted(importances.items(), key=lambda each: -each[1])[:_DECIDING]
    return ", ".join(f"{name} {value:.3g}" for name, value in ranked if value > 0) or "none by itself"


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
            table.add_column(_text(name), justify="right")
        for name, row in zip(names, confusion, strict=True):
            table.add_row(_text(name), *[f"{count:,}" for count in row])
        console.print(table)
        return
    mistakes = [(int(confusion[i, j]), i, j) for i in range(len(names)) for j in range(len(names)) if i != j]
    worst = [f"{names[i]} taken for {names[j]} ({count:,})" for count, i, j in sorted(mistakes, reverse=True)[:6]]
    console.print(line("mistakes", f"most often {', '.join(worst)}"))


def line(heading: str, text: str) -> Text:
    """Return a line of a report."""
    return Text.assemble((f"{heading:<12}", "bold"), _text(text))


def _text(text: str, style: str = "") -> Text:
    """Return a text that may come from a stranger's file, without what a terminal would obey, and no page of it."""
    return Text(_checks.printable(text, _CHARACTERS_SHOWN), style=style)
