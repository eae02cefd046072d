"""Widget: the playground in a notebook's cell, with the engine in the kernel."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
import time
import weakref
from functools import partial
from importlib import resources
from signal import SIGINT, default_int_handler, signal
from typing import TYPE_CHECKING, Any, Final

import anywidget
import traitlets

from nineline.interactive.messages import TEXT_AT_MOST
from nineline.interactive.session import Opened, Session
from nineline.view import plot_decision
from nineline.view.notebook import picture, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nineline.network import Network

_SOON: Final = 0.2  # seconds from a pause to its picture, so that a slider's many pauses make one
_REST: Final = 2.0  # seconds between two pictures at least: one takes a tenth of a second
_WHILE_IT_RUNS: Final = 10.0  # seconds between two pictures while a training runs

_LIVING: Final[weakref.WeakSet[Playground]] = weakref.WeakSet()
_LOCK: Final = threading.Lock()  # of _LIVING; never taken by what a signal calls


def _page() -> dict[str, str]:
    """Return the page's files by their names, as text."""
    folder = resources.files("nineline.interactive").joinpath("page")
    return {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir() if file.is_file()}


_FILES: Final = _page()


class Playground(anywidget.AnyWidget):
    """A playground as a notebook's widget, as `nineline.playground` returns it.

    The training runs on a thread of its own, beside the kernel's messages, so the page's buttons answer while it goes
    on, and so does the notebook. Interrupting the kernel pauses it. A notebook that is kept shows the last picture: of
    when the training paused, or while it goes on of ten seconds ago at most.

    Attributes
    ----------
    network : Network
        The one that was given. Whenever the training pauses it has the weights that the page shows, as long as the
        page has changed neither the number of its nodes nor its layers.
    session : Session
        What trains.
    """

    _esm = _FILES["loader.js"]
    _css = _FILES["style.css"]
    modules: Any = traitlets.Dict({name: text for name, text in _FILES.items() if name.endswith(".js")}).tag(sync=True)
    picture: Any = traitlets.Unicode().tag(sync=True)

    def __init__(self, opened: Opened, network: Network) -> None:
        super().__init__(picture=f"nineline-playground-{secrets.token_hex(8)}")  # a class, and the display's name
        self.network = network
        self._shown: Any = None  # the handle of the picture, once a cell has shown it
        self._loop: asyncio.AbstractEventLoop | None = None  # the kernel's, which draws the pictures
        self._drawn: Any = None  # the run and the step of the picture
        self._drawn_at = -_WHILE_IT_RUNS
        self._owed: tuple[Network, str] | None = None  # what is to be drawn next
        self._lock = threading.Lock()  # of what is owed
        with _LOCK:
            others = list(_LIVING)
        for other in others:
            if other.network is network:
                other.close()  # two trainings would move the same weights
        self.session = Session(self._say, opened, still=self._still)
        self.on_msg(self._heard)
        with _LOCK:
            _LIVING.add(self)
        _pause_when_interrupted()

    def pause(self) -> None:
        """Pause the training, as the page's button does."""
        self.session.hear({"type": "pause"})

    def close(self) -> None:
        """End the training, and take the page away; the network has the last weights, and the last picture stays."""
        living = self.comm is not None
        self.session.close()
        if living:
            self._take_over(self.session.run.network)
            self._owe(self.session.run.network)
            self._draw()
        super().close()

    def _say(self, message: bytes) -> None:
        self.send({}, [message])
        if self.session.running and time.monotonic() > self._drawn_at + _WHILE_IT_RUNS:
            self._draw_soon(self.session.run.network)

    def _heard(self, _: object, content: Any, buffers: Sequence[memoryview]) -> None:
        small = isinstance(content, dict) and len(str(content)) <= TEXT_AT_MOST
        if small and isinstance(content.get("type"), str):
            self.session.hear(content, bytes(buffers[0]) if buffers else b"")

    def _still(self, network: Network) -> None:
        """Take the weights over, and have the picture drawn that a notebook keeps."""
        self._take_over(network)
        self._draw_soon(network)

    def _take_over(self, network: Network) -> None:
        if _blocks(network) == _blocks(self.network):
            self.network.parameters = network.parameters

    # The picture. Matplotlib's settings are those of the whole process, so it is drawn between the cells, on their
    # thread, and not on the one that trains.

    def _owe(self, network: Network) -> bool:
        """Keep what is to be drawn, where it is new; return whether nothing was kept yet."""
        at = self.session.run, self.session.run.step, self.session.run.made
        if self._shown is None or at == self._drawn:
            return False
        self._drawn = at
        owed = network.copy(), self._title()
        with self._lock:
            first, self._owed = self._owed is None, owed
        return first

    def _draw_soon(self, network: Network) -> None:
        if self._owe(network) and self._loop is not None:
            wait = max(_SOON, self._drawn_at + _REST - time.monotonic())
            with contextlib.suppress(RuntimeError):  # the loop has ended, and the kernel with it
                self._loop.call_soon_threadsafe(self._loop.call_later, wait, self._draw)

    def _draw(self) -> None:
        with self._lock:
            owed, self._owed = self._owed, None
        if owed is not None:
            self._drawn_at = time.monotonic()
            self._shown.update(self._picture(*owed))

    def _title(self) -> str:
        run = self.session.run
        return f"The playground after {run.step:,} step{'' if run.step == 1 else 's'}, loss {run.loss:.4g}."

    def _picture(self, network: Network, title: str) -> Any:
        """Return what a notebook shows that is opened where there is no kernel."""
        from IPython import display

        inside = ""
        if network.n_inputs == 2:
            inputs, targets = self.session.data.train
            draw = partial(plot_decision, network, inputs, targets)
            inside = picture(lambda axes: draw(axes=axes), 5.0, 3.6, "what the network answers")
        make: Any = display.HTML
        return make(f'<div class="{self.picture}">{shown(title, inside)}</div>')

    def _ipython_display_(self, **_: Any) -> None:
        from IPython import display

        show: Any = display
        if self.comm is not None:  # it is not closed
            bundle: Any = self._repr_mimebundle_()
            data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
            show.display(data, metadata=metadata, raw=True)
        with contextlib.suppress(RuntimeError):  # no loop runs here
            self._loop = asyncio.get_running_loop()
        self._drawn_at = time.monotonic()
        self._shown = show.display(self._picture(self.session.run.network, self._title()), display_id=self.picture)


def _blocks(network: Network) -> list[tuple[tuple[int, ...], ...]]:
    """Return the shapes of what each layer learns."""
    shapes = [tuple(block.shape for block in layer.blocks().values()) for layer in network.layers]
    return [each for each in shapes if each]


def _pause_when_interrupted() -> None:
    """Have the kernel's interrupt pause every playground, whether a cell runs, a message is read, or nothing is done.

    A kernel puts `default_int_handler` in place while it answers a message, and what was there before, by default
    nothing, while it waits for one. A page asks for a frame up to sixty times a second, so both have to be ours.
    """
    from IPython import get_ipython

    shell: Any = get_ipython()  # type: ignore[no-untyped-call,unused-ignore]
    kernel = getattr(shell, "kernel", None)
    if kernel is None or getattr(kernel, "_nineline_pauses", False):
        return
    kernel._nineline_pauses = True

    def pause(*_: object) -> None:
        # Not at once: a signal comes in the middle of anything, such as this thread's own message to the session.
        threading.Thread(target=_pause_all, daemon=True).start()

    def pause_and_raise(number: int, frame: Any) -> None:
        pause()
        default_int_handler(number, frame)

    def before() -> None:
        kernel.saved_sigint_handler = signal(SIGINT, pause_and_raise)

    def after(result: Any) -> None:
        # A cell that awaits has a handler of its own, which cancels it; and the cell that is run now began before us.
        if isinstance(getattr(result, "error_in_exec", None), (KeyboardInterrupt, asyncio.CancelledError)):
            pause()

    kernel.saved_sigint_handler = pause  # what the kernel puts in place once this cell has ended
    kernel.pre_handler_hook = before
    shell.events.register("post_run_cell", after)


def _pause_all() -> None:
    with _LOCK:
        living = list(_LIVING)
    for each in living:
        each.pause()
