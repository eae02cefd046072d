"""Starts: many random starts of one network side by side: which of them learn, and why the others do not."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nineline import Networks
from nineline.interactive.building import make_layers
from nineline.interactive.views import share_right
from nineline.rows import evenly_spaced
from nineline.training.layer_statistics import dead_and_saturated

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from nineline._typing import Array
    from nineline.interactive.data import Data, Plane
    from nineline.interactive.settings import Settings
    from nineline.network import Network
    from nineline.training.many_loop import ManyEpoch

    Say = Callable[["Starts", dict[str, Any], dict[str, npt.NDArray[Any]]], None]

COUNT_AT_MOST: Final = 400
EPOCHS_AT_MOST: Final = 5000
POINTS: Final = 28
_POINTS_ON_A_LINE: Final = 80
_CURVE_AT_MOST: Final = 100
_EVERY: Final = 0.25  # seconds between two messages
_CLOSE: Final = 0.05  # of the accuracy of the best
_OF_THE_WAY: Final = 0.25  # from a guess to all right, that a network has to go to have learned something
WORK_AT_MOST: Final = 1e9
"""Starts × rows × parameters of an epoch, within which a training is not stopped."""


class Starts:
    """A hundred networks, or another number, on a thread of their own.

    Parameters
    ----------
    settings : Settings
    data : Data
    plane : Plane
        Over which their answers are drawn.
    count, epochs : int
    say : function
        Called on that thread with this, and the header and the arrays of a message.
    """

    def __init__(self, settings: Settings, data: Data, plane: Plane, count: int, epochs: int, say: Say) -> None:
        self.settings, self.data, self.plane = settings, data, plane
        self.count, self.epochs, self.say = count, epochs, say
        layers = make_layers(settings, data.inputs.shape[1], data.targets.shape[1])
        self.networks = Networks(count, *layers, rng=settings.seed)
        parameters, rows = self.networks.one.parameters.size, len(data.train[0])
        few = int(WORK_AT_MOST / (rows * parameters))
        if count > few:
            raise ValueError(
                f"{count} networks of {parameters:,} parameters on {rows:,} rows are too much for this page; take "
                f"{few} or fewer, or fewer nodes or rows"
            )
        self._curves: list[npt.NDArray[np.float32]] = []
        self._asked, self._said = False, 0.0
        self._thread = threading.Thread(target=self._train, daemon=True, name="nineline-starts")

    def begin(self) -> None:
        """Begin training."""
        self._thread.start()

    def stop(self) -> None:
        """End training soon; what came out is said."""
        self._asked = True

    def wait(self) -> None:
        """Wait until it has ended."""
        if self._thread.ident is not None:
            self._thread.join()

    def _train(self) -> None:
        settings = self.settings
        try:
            self.networks.train(
                *self.data.train,
                epochs=self.epochs,
                batch_size=settings.rows_a_step,
                loss=settings.make_loss(),
                optimizer=settings.make_optimizer(),
                l1=settings.l1,
                l2=settings.l2,
                report_every=0,
                on_epoch=self._look,
                rng=[settings.seed] * self.count,  # each draws what the training of it alone would
                threads=1,
            )
        except (ValueError, TypeError) as error:
            self.say(self, {"type": "refused", "of": "starts", "text": str(error)}, {})
            return
        self._tell(done=True)

    def _look(self, epoch: ManyEpoch) -> bool:
        self._curves.append(np.asarray(epoch.losses, np.float32))
        now = time.monotonic()
        if now > self._said + _EVERY:
            self._said = now
            self._tell(done=False)
        return self._asked

    def _tell(self, *, done: bool) -> None:
        losses = np.array(self._curves, np.float32).reshape(-1, self.count)
        kept = evenly_spaced(len(losses), _CURVE_AT_MOST)
        header = {
            "type": "starts",
            "count": self.count,
            "epochs": self.epochs,
            "epoch": len(losses),
            "done": done,
            "losses": losses[-1].tolist() if len(losses) else [],
        }
        arrays: dict[str, npt.NDArray[Any]] = {"curves": np.ascontiguousarray(losses[kept].T, np.float32)}
        if done:
            reasons, scores = why_they_fail(self.networks, self.data, losses)
            final = np.nan_to_num(losses[-1], nan=np.inf) if len(losses) else np.zeros(self.count)
            shape, images = self._images()
            header |= {
                "reasons": reasons,
                "scores": scores,
                "failed": [bool(reason) for reason in reasons],
                "order": np.argsort(final, kind="stable").tolist(),
                "grid": shape,
            }
            arrays["images"] = images
        self.say(self, header, arrays)

    def _images(self) -> tuple[list[int], npt.NDArray[np.uint8]]:
        """Return what each network answers over the plane, as bytes: 255 is 1, or the largest target."""
        shape, grid = self.plane.grid(self.data, POINTS, _POINTS_ON_A_LINE)
        with np.errstate(over="ignore", invalid="ignore"):
            answers = self.networks.run(grid)
        if self.data.task == "classes":
            one = answers.shape[2] == 1
            picture = answers[:, :, 0] * 255 if one else answers.argmax(axis=2) * (255 / (answers.shape[2] - 1))
        else:
            low, high = float(self.data.truth.min()), float(self.data.truth.max())
            picture = (answers[:, :, 0] - low) * (255 / max(high - low, 1e-12))
        return shape, np.nan_to_num(np.clip(picture, 0, 255)).astype(np.uint8)


def why_they_fail(networks: Networks, data: Data, losses: npt.NDArray[Any]) -> tuple[list[str], list[float] | None]:
    """Return of each network why it has not learned what the best has, "" where it has; and which share is right.

    What was learned is judged by which share of the rows is answered rightly, or by the squared errors of numbers.

    Parameters
    ----------
    networks : Networks
        After their training.
    data : Data
    losses : array, (epochs, count)
        NaN where a network had ended.
    """
    inputs, targets = data.train[0][:1000], data.train[1][:1000]
    answers = networks.run(inputs)
    shares: list[float] | None = None
    if data.task == "classes":
        scores = np.array([share_right(each, targets) for each in answers])
        guess = float(np.bincount(data.truth[~data.test].astype(np.intp)).max() / len(data.train[0]))
        something = scores >= guess + max(_CLOSE, _OF_THE_WAY * (1 - guess))
        learned = something & (scores >= np.nanmax(scores) - _CLOSE)
        shares = scores.tolist()
    else:
        mean = float(((targets - targets.mean(axis=0)) ** 2).mean())
        errors = ((answers - targets) ** 2).mean(axis=(1, 2))
        something = errors <= 0.5 * mean
        learned = something & (errors <= 2 * np.nanmin(errors) + 0.05 * mean)
    diverged = ~np.isfinite(losses[-1]) if len(losses) else np.zeros(len(networks), bool)
    reasons = [
        "diverged: the steps were too long"
        if diverged[number]
        else ""
        if learned[number]
        else _reason(network, inputs, answers[number], losses[:, number], something=bool(something[number]))
        for number, network in enumerate(networks)
    ]
    return reasons, shares


def _reason(network: Network, inputs: Array, answers: Array, losses: npt.NDArray[Any], *, something: bool) -> str:
    stuck = dead_and_saturated(network, inputs)
    dead, saturated = (max(shares, default=0.0) for shares in zip(*stuck.values(), strict=True))
    if dead >= 0.5:
        return f"{100 * dead:.0f} % of a layer's nodes are dead: they answer 0 to every row, and nothing moves them"
    if float(np.ptp(answers, axis=0).max()) < 1e-3:
        return "it answers the same to every row"
    if saturated >= 0.5:
        share = f"{100 * saturated:.0f} % of a layer's nodes"
        return f"{share} are saturated: they answer nearly 0 or 1 everywhere, and hardly move"
    late = losses[-max(len(losses) // 10, 2) :]
    if len(late) > 1 and late[0] - late[-1] > 0.03 * abs(late[0]):
        return "it is still learning: its loss goes on falling"
    if not something:
        return "it is stuck, and hardly better than one answer to every row"
    return "it is stuck: its loss no longer falls"
