"""Session: one playground. Messages come in, messages go out; a thread of its own trains in between."""

from __future__ import annotations

import logging
import queue
import tempfile
import threading
import time
from collections import deque
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nineline import _checks
from nineline.interactive import telling
from nineline.interactive.building import fitted, like_the_tutorial, reconciled
from nineline.interactive.code import to_code
from nineline.interactive.data import Data, Plane, example_data
from nineline.interactive.inspecting import Look
from nineline.interactive.messages import encode, whole, whole_ones
from nineline.interactive.pacing import Pace
from nineline.interactive.run import Run
from nineline.interactive.settings import DataSettings, Settings
from nineline.interactive.starts import COUNT_AT_MOST, EPOCHS_AT_MOST, Starts
from nineline.interactive.table import Table
from nineline.interactive.views import Views, place_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.network import Network

TRAINS_FOR: Final = 0.008
"""Seconds of training between two looks at what has come in."""
FRAMES_A_SECOND: Final = 60
RUNS_KEPT: Final = 10
"""Runs that `undo` can come back to."""
SPEED: Final = 500.0
"""Steps a second to begin with: slow enough to watch a network learn."""
WAITING_AT_MOST: Final = 1000
"""Messages that have come in and are not yet read."""
STEPS_A_SECOND_AT_MOST: Final = 1e6

_LOG: Final = logging.getLogger(__name__)
_STATISTICS_EVERY: Final = 0.1  # seconds between two looks at histograms and traces while a training runs
_HEARD: Final = (ValueError, TypeError, KeyError, IndexError, OSError, OverflowError)


@dataclass(frozen=True)
class Opened:
    """What a playground begins with.

    Attributes
    ----------
    settings : Settings
    table : Table, optional
        For settings whose data are a table.
    data : Data, optional
        For settings whose data were given by a program.
    parameters : array, optional
        For settings whose `start` is None.
    """

    settings: Settings = field(default_factory=Settings)
    table: Table | None = None
    data: Data | None = None
    parameters: Array | None = None


class Session:
    """One playground: its run, what looks at it, and the thread that trains.

    Parameters
    ----------
    say : function
        Called with each message, as bytes, on the session's thread; it must not wait.
    opened : Opened, optional
        What it begins with.
    name : str
        What a page calls it, to find it again after a reload.
    still : function, optional
        Called with the network on the session's thread, whenever a training pauses or its weights are set.
    """

    def __init__(
        self,
        say: Callable[[bytes], None],
        opened: Opened | None = None,
        *,
        name: str = "",
        still: Callable[[Network], None] | None = None,
    ) -> None:
        self.say, self.name, self.still = say, name, still
        self.opened = Opened() if opened is None else opened
        self.table = self.opened.table
        self.running = False
        self.pace = Pace(SPEED)
        self.said = ""
        self._heard: queue.Queue[tuple[dict[str, Any], bytes]] = queue.Queue(WAITING_AT_MOST)
        self._closed = threading.Event()
        self._starts: Starts | None = None
        self._look = Look()
        self._new = True
        self._past: deque[tuple[Run, Data, Views]] = deque(maxlen=RUNS_KEPT)
        self._ready = self._changed = False
        self._framed = self._looked = 0.0
        self._statistics: dict[str, Any] = {}
        self.data: Data
        self.views: Views
        self.run: Run
        self._coming: Table | None = None
        self._begin(self.opened.settings)
        self._thread = threading.Thread(target=self._work, daemon=True, name="nineline-playground")
        self._thread.start()

    def hear(self, message: dict[str, Any], content: bytes = b"") -> bool:
        """Take a message in; return whether there was room for it."""
        try:
            self._heard.put_nowait((message, content))
        except queue.Full:
            return False
        return True

    def close(self) -> None:
        """End all work, and wait until it has ended."""
        self._closed.set()
        if self._starts is not None:
            self._starts.stop()
        self.hear({"type": "wake"})
        if threading.current_thread() is not self._thread:
            self._thread.join()
        if self._starts is not None:
            self._starts.wait()

    # The thread

    def _work(self) -> None:
        with np.errstate(all="ignore"):  # what is not finite is shown as such
            self._work_until_closed()

    def _work_until_closed(self) -> None:
        while not self._closed.is_set():
            try:
                message, content = self._heard.get(timeout=self._rest())
            except queue.Empty:
                message = None
            try:
                if message is None:
                    self._go_on()
                else:
                    self._answer(message, content)
                self._show()
            except Exception:  # an error of ours must not end what a person has before their eyes
                _LOG.exception("an error within the playground")
                self._stop()
                self._tell({"type": "refused", "of": "session", "text": "an error within nineline; see the terminal"})

    def _rest(self) -> float:
        """Return for how many seconds there is nothing to do unless something comes in."""
        now = time.monotonic()
        rests = [60.0]
        if self.running:
            rests.append(self.pace.rest(now))
        if self._ready and self._changed:
            rests.append(self._framed + 1 / FRAMES_A_SECOND - now)
        return max(min(rests), 0.0)

    def _go_on(self) -> None:
        """Train for a while, or take the steps that are due."""
        if not self.running:
            return
        now = time.monotonic()
        most, before = self.pace.due(now), self.run.step
        while most > 0 and time.monotonic() < now + TRAINS_FOR:
            most -= max(self.run.advance(most), 1)
            if self.run.trouble:
                self.running, self.said = False, self.run.trouble
                self._tell_state()
                break
        if self.run.step != before:
            self.pace.took(now, self.run.step - before)
            self._changed = True

    def _answer(self, message: dict[str, Any], content: bytes) -> None:
        kind = message["type"]
        answer = _ANSWERS.get(kind)
        try:
            if answer is None:
                raise ValueError(f"type is {_checks.quoted(kind)}{_checks.nearest(kind, _ANSWERS)}")
            answer(self, message, content)
        except _HEARD as error:
            text = str(error) if isinstance(error, (ValueError, TypeError, OSError)) else f"{kind} lacks {error}"
            self._tell({"type": "refused", "of": kind[:50], "text": _checks.printable(text, 1000)})
            if kind == "change":
                self._tell_state()  # so that a page shows what is, and not what was refused

    # What comes in

    def _on_hello(self, message: Mapping[str, Any], _: bytes) -> None:
        self._ready = False
        linked = message.get("settings")
        before = message.get("before") if self._new else None
        if self.opened.data is None and (linked is not None or before is not None):
            settings = Settings.of(before if linked is None else linked, Settings())
            if settings != self.run.settings:
                self._begin(settings)
            if linked is None:
                self.said = "The training that was here is gone, for its page was away too long; its set-up is kept."
        if self._new:
            self._past.clear()  # what a page begins with is not undone
        self._new = False
        self._tell(telling.welcome(self.name, editable=self.opened.data is None))
        self._tell_state()
        self._tell_data()
        self._changed = True

    def _on_ready(self, *_: object) -> None:
        self._ready = True

    def _on_run(self, *_: object) -> None:
        self.run.cut()
        self.running, self.said = not self.run.trouble, self.run.trouble
        self.pace.begin(time.monotonic())
        self._tell_state()

    def _on_pause(self, *_: object) -> None:
        self._stop()
        self._tell_state()

    def _on_step(self, *_: object) -> None:
        self._stop()
        self._take(1)

    def _on_epoch(self, *_: object) -> None:
        self._stop()
        self._take(self.run.batches.left)

    def _take(self, steps: int) -> None:
        until = self.run.step + steps
        while self.run.step < until and self.run.advance(until - self.run.step):
            pass
        self.said = self.run.trouble
        self._tell_state()

    def _on_undo(self, *_: object) -> None:
        self._stop()
        if not self.run.undo() and self._past:
            last = self.data
            self.run, self.data, self.views = self._past.pop()
            self._look = Look()
            if self.data is not last:
                self._tell_data()
        self._tell_state()

    def _on_rewind(self, message: Mapping[str, Any], _: bytes) -> None:
        self._stop()
        seed = message.get("seed")
        if seed is None:
            if self.run.step:
                self._keep()
            self.run = self.run.again()
        else:
            self._begin(Settings.of({"seed": seed, "start": 0}, self.run.settings), self.data)
        self._tell_state()

    def _on_speed(self, message: Mapping[str, Any], _: bytes) -> None:
        value = message["value"]
        limits: Any = {"low": 0, "high": STEPS_A_SECOND_AT_MOST, "low_open": True}
        self.pace = Pace(None if value is None else _checks.number("speed", value, **limits))
        self.pace.begin(time.monotonic())
        self._tell_state()

    def _on_go_to(self, message: Mapping[str, Any], _: bytes) -> None:
        self._stop()
        self.run.go_to(whole("step", message["step"]))
        self._tell_state()

    def _on_change(self, message: Mapping[str, Any], _: bytes) -> None:
        before = self.run.settings
        settings = Settings.of(message["settings"], before)
        said = ""
        if settings.data == before.data:
            settings, said = reconciled(settings, before, self.data)
        if settings == before:
            self._tell_state()
            return
        if self.opened.data is not None and settings.data != before.data:
            raise ValueError("data were given by the program; open a playground of your own to choose others")
        if settings.data != before.data:
            self._begin(settings, at=before)
            self._tell_data()
        elif settings.shape != before.shape:
            self._begin(settings, self.data)
        else:
            self.run.change(settings)
        self.said = said
        self._tell_state()

    def _on_set(self, message: Mapping[str, Any], _: bytes) -> None:
        place = message["place"]
        if not isinstance(place, list) or len(place) < 2:
            raise ValueError(f"place is {_checks.quoted(place)}; expected a layer, weights or bias, and indices")
        layer, kind, *at = place
        if kind not in ("weights", "bias"):
            raise ValueError(f"place names {_checks.quoted(kind)}; expected weights or bias")
        numbers = tuple(whole("place", each) for each in at)
        where = place_of(self.run.network, whole("place", layer), kind, numbers)
        self.run.edit(where, _checks.number("value", message["value"], low=-1e6, high=1e6))
        self.said = ""
        self._tell_state()

    def _on_axes(self, message: Mapping[str, Any], _: bytes) -> None:
        columns = len(self.data.columns)
        x = whole("x", message["x"])
        y = None if columns == 1 else whole("y", message["y"])
        for name, value in (("x", x), ("y", y)):
            if value is not None and not 0 <= value < columns:
                raise ValueError(f"{name} is {value}; expected a column, 0 to {columns - 1}")
        if x == y:
            raise ValueError("the axes are one column; expected two different ones")
        self._show_plane(replace(self.views.plane, x=x, y=y))

    def _on_hold(self, message: Mapping[str, Any], _: bytes) -> None:
        number = whole("column", message["column"])
        if not 0 <= number < len(self.data.columns):
            raise ValueError(f"column is {number}; expected 0 to {len(self.data.columns) - 1}")
        column, value = self.data.columns[number], message["value"]
        if column.levels and isinstance(value, str):
            if value not in column.levels:
                raise ValueError(f"value is {_checks.quoted(value)}, no level of {column.name}")
            value = column.levels.index(value)
        held = {**self.views.plane.held, number: _checks.number("value", value)}
        self._show_plane(replace(self.views.plane, held=held))

    def _show_plane(self, plane: Plane) -> None:
        self.views = Views(self.data, plane)
        self._tell_data()
        self._changed = True

    def _on_look(self, message: Mapping[str, Any], _: bytes) -> None:
        node, edge, row = message.get("node"), message.get("edge"), message.get("row")
        shown = None if row is None else whole("row", row)
        if shown is not None:
            if not 0 <= shown < len(self.data.shown):
                raise ValueError(f"row is {shown}; expected one of the {len(self.data.shown):,} that are shown")
            shown = int(self.data.shown[shown])
        look = Look(whole_ones("node", node, 2), whole_ones("edge", edge, 3), shown)
        look.check(self.run)
        self._look, self._looked, self._changed = look, 0.0, True

    def _on_starts(self, message: Mapping[str, Any], _: bytes) -> None:
        count, epochs = whole("count", message["count"]), whole("epochs", message["epochs"])
        if not (1 <= count <= COUNT_AT_MOST and 1 <= epochs <= EPOCHS_AT_MOST):
            raise ValueError(f"expected 1 to {COUNT_AT_MOST} starts of 1 to {EPOCHS_AT_MOST:,} epochs")
        self._end_starts()
        settings = replace(self.run.settings, start=self.run.settings.start or 0)

        def say(starts: Starts, header: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
            if starts is self._starts:
                self._tell(header, arrays)

        self._starts = Starts(settings, self.data, self.views.plane, count, epochs, say)
        self._starts.begin()

    def _on_stop_starts(self, *_: object) -> None:
        if self._starts is not None:
            self._starts.stop()

    def _end_starts(self) -> None:
        if self._starts is not None:
            self._starts.stop()
            self._starts = None  # what it still says is not listened to

    def _on_take_start(self, message: Mapping[str, Any], _: bytes) -> None:
        self._stop()
        self._begin(Settings.of({"start": message["number"]}, self.run.settings), self.data)
        self._tell_state()

    def _on_table(self, message: Mapping[str, Any], content: bytes) -> None:
        name = message["name"]
        if not isinstance(name, str) or not name or len(name) > 300:
            raise ValueError(f"name is {_checks.quoted(name)}; expected that of a file")
        if self.opened.data is not None:
            raise ValueError("data were given by the program; nineline playground opens tables")
        self._coming = Table.of_bytes(Path(name).name, content)
        self._tell({**self._coming.describe(), "type": "table"})

    def _on_use_table(self, message: Mapping[str, Any], _: bytes) -> None:
        if self._coming is None:
            raise ValueError("there is no table yet; open one first")
        before = self.run.settings
        data = {**before.describe()["data"], "kind": "table", "name": self._coming.name, "target": message["target"]}
        settings = Settings.of({"data": data, "start": 0}, before)
        kept, self.table = self.table, self._coming
        try:
            self._begin(settings, at=before)
        except ValueError:
            self.table = kept
            raise
        self.said = ""
        self._tell_data()
        self._tell_state()

    def _on_export(self, message: Mapping[str, Any], _: bytes) -> None:
        what = message["what"]
        network, text = self.run.network, None
        if what == "python":
            name, text = "session.py", to_code(self.run)
            content = text.encode()
        elif what == "model":
            name, content = "network.nineline", _saved(network)
        elif what == "c":
            program = network.to_c("network")
            whole = program.source.replace('#include "network.h"', program.header, 1)  # one file to be saved
            name, content = "network.c", whole.encode()
        else:
            raise ValueError(f"what is {_checks.quoted(what)}; expected python, model or c")
        header = {"type": "file", "what": what, "name": name, "text": text}
        self._tell(header, {"bytes": np.frombuffer(content, np.uint8)})

    # What goes out

    def _tell(self, header: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]] | None = None) -> None:
        if not self._closed.is_set():
            self.say(encode(header, arrays))

    def _tell_state(self) -> None:
        run = self.run
        self._changed = True
        self._looked = 0.0
        if self.still is not None and not self.running:
            self.still(run.network)
        about = {"running": self.running, "speed": self.pace.speed, "said": self.said}
        can_undo = bool(run.step or run.made or self._past)
        self._tell({**telling.state(run), **about, "can_undo": can_undo})

    def _tell_data(self) -> None:
        self._tell({**self.views.describe(), "type": "data"}, self.views.points())

    def _show(self) -> None:
        """Send a frame, where one is asked for, there is something new, and the last is some time ago."""
        now = time.monotonic()
        if not (self._ready and self._changed) or now < self._framed + 1 / FRAMES_A_SECOND:
            return
        self._ready = self._changed = False
        self._framed = now
        if now > self._looked + _STATISTICS_EVERY or not self.running:
            self._looked = now
            self._statistics = telling.statistics(self.run, self.views, self._look)
        header, arrays = telling.frame(self.run, self.views, self._look)
        measured = self.pace.measured(now) if self.running else 0.0
        self._tell({**header, **self._statistics, "running": self.running, "steps_per_second": measured}, arrays)

    # Within

    def _stop(self) -> None:
        self.running, self.said = False, ""

    def _begin(self, settings: Settings, data: Data | None = None, at: Settings | None = None) -> None:
        """Begin a run; where the data are new, with settings that fit them."""
        if data is None:
            if at is not None and settings.data.name != at.data.name:
                settings = _as_usual(settings, at)
            new = self._data(settings)
            if at is None or (new.task, new.targets.shape[1]) != (self.data.task, self.data.targets.shape[1]):
                settings = fitted(settings, new)
        else:
            new = data
        fits = self.opened.parameters is not None and settings.start is None
        if settings.start is None and not fits:
            settings = replace(settings, start=0)
        try:
            run = Run(settings, new, self.opened.parameters if fits else None)
        except ValueError:
            if not fits:
                raise
            run = Run(replace(settings, start=0), new)  # the weights that were opened are of another shape
        self._keep()
        if data is None:
            self._end_starts()
            same = hasattr(self, "data") and [each.name for each in self.data.columns] == [e.name for e in new.columns]
            self.data, self.views = new, Views(new, self.views.plane if same else None)
        self.run = run
        self._look, self._looked = Look(), 0.0
        self._changed = True

    def _keep(self) -> None:
        """Keep the run that there is, to come back to by `undo`."""
        if hasattr(self, "run"):
            self._past.append((self.run, self.data, self.views))

    def _data(self, settings: Settings) -> Data:
        kind = settings.data.kind
        if kind == "example":
            return example_data(settings.data)
        if kind == "given" and self.opened.data is not None:
            return self.opened.data
        if kind == "table" and self.table is not None and self.table.name == settings.data.name:
            return self.table.data(settings.data)
        raise ValueError(
            f"the data are of {_checks.quoted(settings.data.name)}, which is not open here; open that table, or choose "
            "an example"
        )


def _as_usual(settings: Settings, before: Settings) -> Settings:
    """Return what the tutorial's data begin with, or what others do after them; else the settings as they are."""
    if settings.data.name == "tutorial":
        return like_the_tutorial(settings)
    if before.data.name == "tutorial":
        return replace(Settings(), data=replace(settings.data, test=DataSettings.test))
    return settings


def _saved(network: Any) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.nineline"
        network.save(path)
        return path.read_bytes()


_ANSWERS: Final[dict[str, Callable[[Session, Mapping[str, Any], bytes], None]]] = {
    "hello": Session._on_hello,
    "ready": Session._on_ready,
    "run": Session._on_run,
    "pause": Session._on_pause,
    "step": Session._on_step,
    "epoch": Session._on_epoch,
    "undo": Session._on_undo,
    "rewind": Session._on_rewind,
    "speed": Session._on_speed,
    "go_to": Session._on_go_to,
    "change": Session._on_change,
    "set": Session._on_set,
    "axes": Session._on_axes,
    "hold": Session._on_hold,
    "look": Session._on_look,
    "starts": Session._on_starts,
    "stop_starts": Session._on_stop_starts,
    "take_start": Session._on_take_start,
    "table": Session._on_table,
    "use_table": Session._on_use_table,
    "export": Session._on_export,
    "wake": lambda *_: None,
}
