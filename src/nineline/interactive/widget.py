"""Widget: the playground in a notebook's cell, with the engine in the kernel."""

from __future__ import annotations

import secrets
import weakref
from functools import partial
from importlib import resources
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

_LIVING: Final[weakref.WeakSet[Playground]] = weakref.WeakSet()


def _page() -> dict[str, str]:
    """Return the page's files by their names, as text."""
    folder = resources.files("nineline.interactive").joinpath("page")
    return {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir() if file.is_file()}


_FILES: Final = _page()


class Playground(anywidget.AnyWidget):
    """A playground as a notebook's widget, as `nineline.playground` returns it.

    The training runs on a thread of its own, beside the kernel's messages, so the page's buttons answer while it goes
    on, and so does the notebook. Interrupting the kernel pauses it. A notebook that is kept shows the last picture.

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
        super().__init__(picture=f"nineline-playground-{secrets.token_hex(8)}")
        self.network = network
        self._shown: Any = None
        self._at: tuple[int, int] | None = None
        self.session = Session(self._say, opened, still=self._still)
        self.on_msg(self._heard)
        _LIVING.add(self)
        _pause_when_interrupted()

    def pause(self) -> None:
        """Pause the training, as the page's button does."""
        self.session.hear({"type": "pause"})

    def close(self) -> None:
        """End the training, and take the page away."""
        self.session.close()
        super().close()

    def _say(self, message: bytes) -> None:
        self.send({}, [message])

    def _heard(self, _: object, content: Any, buffers: Sequence[memoryview]) -> None:
        small = isinstance(content, dict) and len(str(content)) <= TEXT_AT_MOST
        if small and isinstance(content.get("type"), str):
            self.session.hear(content, bytes(buffers[0]) if buffers else b"")

    def _still(self, network: Network) -> None:
        """Take the weights over, and draw the picture that a notebook keeps, where they are new."""
        if network.parameters.shape == self.network.parameters.shape:
            self.network.parameters = network.parameters
        at = id(self.session.run), self.session.run.step
        if self._shown is not None and at != self._at:
            self._at = at
            self._shown.update(self._picture(network))

    def _picture(self, network: Network) -> Any:
        """Return what a notebook shows that is opened where there is no kernel."""
        from IPython import display

        run, data = self.session.run, self.session.data
        said = f"The playground, step {run.step:,}, loss {run.loss:.4g}: as it was when it paused last."
        inside = ""
        if network.n_inputs == 2:
            inputs, targets = data.train
            draw = partial(plot_decision, network, inputs, targets)
            inside = picture(lambda axes: draw(axes=axes), 5.0, 3.6, "what the network answers")
        make: Any = display.HTML
        return make(f'<div class="{self.picture}">{shown(said, inside)}</div>')

    def _ipython_display_(self, **_: Any) -> None:
        from IPython import display

        show: Any = display
        bundle: Any = self._repr_mimebundle_()
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        show.display(data, metadata=metadata, raw=True)
        self._shown = show.display(self._picture(self.session.run.network), display_id=True)


def _pause_when_interrupted() -> None:
    """Have the kernel's interrupt pause every playground, whether a cell runs or none does."""
    from IPython import get_ipython

    shell: Any = get_ipython()  # type: ignore[no-untyped-call,unused-ignore]
    kernel = getattr(shell, "kernel", None)
    if kernel is None or getattr(kernel, "_nineline_pauses", False):
        return
    kernel._nineline_pauses = True

    def pause(*_: object) -> None:
        for each in list(_LIVING):
            each.pause()

    def after(result: Any) -> None:
        if isinstance(getattr(result, "error_in_exec", None), KeyboardInterrupt):
            pause()

    kernel.saved_sigint_handler = pause  # what the kernel puts in place when no cell runs; by default nothing
    shell.events.register("post_run_cell", after)
