"""One fit on the workers of a Dask cluster: a process a worker, and a client that watches over them."""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from concurrent.futures import Future, InvalidStateError
from copy import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from nineline.parallel import ParallelError, XGBoostCollective, XGBoostTracker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nineline.estimators.dask.shares import Share

_LOOKS_EVERY: Final = 0.5
"""Seconds after which it is seen whether all workers are still there."""
_LAST_WORDS: Final = 10.0
"""Seconds that the others have to say what befell them, once one has failed."""
_TURN: Final = 3600.0
"""Seconds to wait until other fits on the same workers are over."""
_SHARE_OF_MEMORY: Final = 4
"""Of a worker's memory a fit takes one part in so many, where it is not told."""

_trackers: dict[str, XGBoostTracker] = {}
_running: dict[tuple[str, int], _Part] = {}


@dataclass
class _Part:
    """The part of a fit that this process has: what will come of it, and the others, as soon as it has found them."""

    answer: Future[Any] = field(default_factory=Future)
    collective: XGBoostCollective | None = None

    def end(self, why: str) -> None:
        """End it at once for Dask; who is held by XGBoost, for as long as a peer is missed, is left to that."""
        if self.collective is not None:
            self.collective.abort(why)
        self.say(error=ParallelError(f"this worker's part has ended: {why}"))

    def say(self, result: Any = None, error: BaseException | None = None) -> None:
        """Say what came of it, the first time that there is something to say."""
        with contextlib.suppress(InvalidStateError):
            if error is None:
                self.answer.set_result(result)
            else:
                self.answer.set_exception(error)


# On a worker


def _start_tracker(name: str, size: int) -> dict[str, Any]:
    """Start the tracker of a fit beside this worker, and return what the processes are to know of it."""
    from distributed import get_worker
    from distributed.comm import get_address_host

    address = get_worker().address
    host = "127.0.0.1" if address.startswith("inproc://") else get_address_host(address)
    tracker = _trackers[name] = XGBoostTracker(size, host)
    return tracker.arguments


def _end(name: str, why: str) -> None:
    """End what is left of a fit in this process: who takes part in it hears of that with the next sum."""
    for key in [key for key in _running if key[0] == name]:
        _running[key].end(why)
    if name in _trackers:
        _trackers.pop(name).close()


def _fit_share(
    name: str, tracker: dict[str, Any], rank: int, size: int, model: Any, parts: Sequence[Any], how: dict[str, Any]
) -> Any:
    """Fit a model with the others to what is here of the table; return it from the first process.

    It is done in a thread of its own, so that Dask has its own back as soon as the answer is there.
    """
    from distributed import get_worker

    worker = get_worker()
    model = copy(model)  # workers that are threads of one process are given the same
    if model.n_jobs is None:
        model.n_jobs = worker.state.nthreads
    limit = getattr(worker.memory_manager, "memory_limit", None)
    if how["memory"] is None and limit:
        how = {**how, "memory": max(limit // _SHARE_OF_MEMORY, 1)}
    pieces = [part.rename(columns=str) for part in parts if len(part)] or [parts[0].rename(columns=str)]

    def partitions() -> list[Any]:
        return pieces

    part = _running[name, rank] = _Part()

    def fit() -> None:
        try:
            with XGBoostCollective(tracker, rank, size) as part.collective:
                try:
                    model.fit(partitions, parallel=part.collective, **how)
                    part.say(model if rank == 0 else None)
                except BaseException as error:  # said before others are left, who may be long in letting go
                    part.say(error=error)
        except BaseException as error:
            part.say(error=error)

    threading.Thread(target=fit, name=name, daemon=True).start()
    try:
        return part.answer.result()
    finally:
        del _running[name, rank]


# Where the client is


def fit_on_workers(client: Any, shares: Sequence[Share], model: Any, how: dict[str, Any]) -> Any:
    """Fit a model on the workers that have the shares of a table, and return it.

    Parameters
    ----------
    client : distributed.Client
    shares : list of Share
        In the order of ranks.
    model : TabularClassifier or TabularRegressor
        That is not fitted.
    how : dict
        What its `fit` takes besides the table.

    Raises
    ------
    ParallelError
        A worker is gone, or other fits do not end.
    Exception
        What `fit` raises on a worker; of several what is not for another's sake.
    """
    from distributed import MultiLock

    workers = [share.worker for share in shares]
    turn = MultiLock([f"nineline {worker}" for worker in workers], client=client)
    if not turn.acquire(timeout=_TURN):
        raise ParallelError(
            f"others have been fitting on these workers for {_TURN:.0f} seconds: {', '.join(workers)}; wait for them, "
            "or start the scheduler anew where the program that did is gone"
        )
    name, futures = f"nineline-{uuid.uuid4().hex}", []
    try:
        pinned: dict[str, Any] = {"allow_other_workers": False, "pure": False, "retries": 0}
        tracking = client.submit(_start_tracker, name, len(shares), workers=workers[:1], **pinned)
        [tracker] = _watch(client, [tracking], workers[:1])
        futures = [
            client.submit(
                _fit_share, name, tracker, rank, len(shares), model, share.parts, how, workers=[share.worker], **pinned
            )
            for rank, share in enumerate(shares)
        ]
        return _watch(client, futures, workers)[0]
    except BaseException as error:
        client.cancel(futures)
        _end_on(client, workers, name, f"{type(error).__name__} where the client is")
        raise
    finally:
        _end_on(client, workers[:1], name, "it is over")
        turn.release()


def _end_on(client: Any, workers: Sequence[str], name: str, why: str) -> None:
    """End what is left of a fit on those workers that are still there."""
    there = client.nthreads()
    left = [each for each in workers if each in there]
    if left:
        client.run(_end, name, why, workers=left, on_error="ignore")


def _watch(client: Any, futures: Sequence[Any], workers: Sequence[str]) -> list[Any]:
    """Wait for tasks that run on a worker each, and return their results.

    A task that waits for a worker that is gone would wait for ever.
    """
    from distributed import wait

    while True:
        try:
            wait(futures, timeout=_LOOKS_EVERY)
        except TimeoutError:
            pass
        else:
            if all(future.status == "finished" for future in futures):
                return client.gather(futures)
        if any(future.status in ("error", "cancelled", "lost") for future in futures):
            raise _error_of(client, futures, workers)
        if gone := _gone(client, workers):
            raise gone


def _gone(client: Any, workers: Sequence[str]) -> ParallelError | None:
    """Return the error that a worker is gone, where one is."""
    there = client.nthreads()
    gone = [worker for worker in workers if worker not in there]
    if not gone:
        return None
    return ParallelError(
        f"Dask's worker {' and '.join(gone)} is gone: it was killed, ran out of memory, or its machine cannot be "
        "reached; the others have ended their part. Fit again: with checkpoint=..., resume=True it goes on"
    )


def _error_of(client: Any, futures: Sequence[Any], workers: Sequence[str]) -> BaseException:
    """Return what befell a fit: an error of one worker's own, else that one is gone, else what the others say."""
    until = time.monotonic() + _LAST_WORDS
    while True:
        errors = [future.exception() for future in futures if future.status == "error"]
        own = [error for error in errors if not isinstance(error, ParallelError)]
        if own:
            return own[0]
        if gone := _gone(client, workers):
            return gone
        if time.monotonic() > until or all(future.status != "pending" for future in futures):
            break
        time.sleep(_LOOKS_EVERY)
    return errors[0] if errors else ParallelError("the tasks of this fit were cancelled")
