"""Spreading: tasks done on other machines, by the backend of joblib's that the user has chosen for that."""

from __future__ import annotations

from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from joblib.parallel import (
    LokyBackend,
    MultiprocessingBackend,
    Parallel,
    SequentialBackend,
    ThreadingBackend,
    delayed,
    get_active_backend,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Sequence

T = TypeVar("T")

_HERE: Final = (LokyBackend, MultiprocessingBackend, SequentialBackend, ThreadingBackend)
_TRIES: Final = 3


@dataclass(frozen=True)
class Spreading:
    """A backend of joblib's that has other machines: Dask's, Ray's, Spark's.

    Attributes
    ----------
    backend : joblib.parallel.ParallelBackendBase
    n_jobs : int
        How many tasks it is asked to do at once; -1 is as many as it can.
    """

    backend: Any
    n_jobs: int = -1

    @classmethod
    def chosen(cls, n_jobs: int | None, checkpoint: str | os.PathLike[str] | None) -> Spreading | None:
        """Return the backend that `joblib.parallel_config` chose for this thread, if it has other machines.

        None where it has not, and where `n_jobs` is 1: then tasks are done here. A backend is told by its very class:
        Ray's is derived from one of joblib's own.

        Raises
        ------
        ValueError
            There is such a backend, and a checkpoint, which each machine would write among its own files.

        Examples
        --------
        >>> import joblib
        >>> from nineline.estimators.tabular.spreading import Spreading
        >>> with joblib.parallel_config(backend="loky"):
        ...     print(Spreading.chosen(None, None))
        None
        """
        backend, jobs = get_active_backend()
        if type(backend) in _HERE or n_jobs == 1:
            return None
        if checkpoint is not None:
            raise ValueError(
                f"checkpoint is {str(checkpoint)!r}, and joblib's backend is {type(backend).__name__}, with which the "
                "members are trained on other machines, and each would write among its own files; leave checkpoint "
                "out, or give n_jobs=1: then they are trained here"
            )
        return cls(backend, n_jobs or jobs or -1)

    def at_once(self) -> int:
        """Return how many tasks the backend says that it does at once."""
        return max(1, int(self.backend.effective_n_jobs(self.n_jobs)))

    def results(
        self, function: Callable[..., T], shared: Any, arguments: Sequence[tuple[Any, ...]]
    ) -> Iterator[tuple[int, T]]:
        """Yield what `function(shared, *each)` returns for each of some arguments, and its number among them.

        They come as they are done, where the backend can say so. To be called by the thread that the backend was chosen
        for: on a worker of Dask's that is the one which gives its place away while it waits. Where a machine goes away
        with what the others need of it, and the backend gives up, what is left is asked for anew.
        """
        how = "generator_unordered" if self.backend.supports_return_generator else "list"
        left = set(range(len(arguments)))
        for tries_left in reversed(range(_TRIES)):
            try:
                there = self._send(shared)
                tasks = [delayed(_numbered)(number, function, there, *arguments[number]) for number in sorted(left)]
                for number, result in Parallel(self.n_jobs, self.backend, batch_size=1, return_as=how)(tasks):
                    left.remove(number)
                    yield number, result
                return
            except CancelledError:
                if not tries_left:
                    raise

    def _send(self, shared: Any) -> Any:
        """Return what stands for an argument of all tasks: it is sent to each of Dask's workers, once.

        Dask keeps a task where its arguments are, and moves it only when it knows how long such a task takes. So all
        workers have them from the start, save in a task of Dask's: there they stay, for the others have their own work.
        """
        client = getattr(self.backend, "client", None)  # only Dask's has one
        return shared if client is None else client.scatter(shared, broadcast=True, hash=False)


def _numbered(number: int, function: Callable[..., T], *arguments: Any) -> tuple[int, T]:
    return number, function(*arguments)
