"""Shares: which worker has which partitions of a Dask DataFrame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nineline.parallel import ParallelError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True)
class Share:
    """What one process fits.

    Attributes
    ----------
    worker : str
        The address of the worker that it runs on.
    parts : list of Future
        Its partitions, in their order.
    """

    worker: str
    parts: list[Any]


def shares_of(client: Any, table: Any, *, by_number: bool) -> list[Share]:
    """Compute the partitions of a table, and return the share of each process, in the order of ranks.

    Parameters
    ----------
    client : distributed.Client
    table : dask.dataframe.DataFrame
    by_number : bool
        Deal the partitions out by their number, the same ones to the same rank each time, though some may have to move;
        else each stays on the worker that has computed it.

    Raises
    ------
    ParallelError
        There is no worker.
    Exception
        A partition cannot be computed: what it raises.
    """
    from distributed import wait

    if not client.nthreads():
        raise ParallelError("the Dask cluster has no workers; start some, or wait for them: client.wait_for_workers(2)")
    parts = client.compute(table.to_delayed())
    wait(parts)
    for part in parts:
        if part.status != "finished":
            part.result()
    places = client.who_has(parts)
    owners = [sorted(places[part.key]) for part in parts]
    if not all(owners):
        raise ParallelError("a Dask worker is gone, and partitions of the table with it; fit again")
    ranks = dealt(owners, client.nthreads()) if by_number else where_they_lie(owners)
    shares: dict[str, list[Any]] = {}
    for part, worker in zip(parts, ranks, strict=True):
        shares.setdefault(worker, []).append(part)
    return [Share(worker, mine) for worker, mine in shares.items()]


def where_they_lie(owners: Iterable[list[str]]) -> list[str]:
    """Return the worker of each partition, where each has some that have it: of several the one with the fewest.

    Examples
    --------
    >>> where_they_lie([["a"], ["a", "b"], ["b"]])
    ['a', 'b', 'b']
    """
    counts: dict[str, int] = {}
    chosen = []
    for owner in owners:
        chosen.append(min(owner, key=lambda worker: counts.get(worker, 0)))
        counts[chosen[-1]] = counts.get(chosen[-1], 0) + 1
    return chosen


def dealt(owners: list[list[str]], workers: Mapping[str, int]) -> list[str]:
    """Return the worker of each partition, where each of them takes as many that follow each other as the next.

    Which worker takes which run of them is chosen so that few move.

    Examples
    --------
    >>> dealt([["b"], ["b"], ["a"], ["b"]], {"a": 1, "b": 1})
    ['b', 'b', 'a', 'a']
    """
    count = min(len(owners), len(workers))
    run_of = [number * count // len(owners) for number in range(len(owners))]
    having: dict[tuple[int, str], int] = {}
    for run, owner in zip(run_of, owners, strict=True):
        for worker in owner:
            having[run, worker] = having.get((run, worker), 0) + 1
    taken: dict[int, str] = {}
    for run, worker in sorted(having, key=lambda way: (-having[way], way)):
        if run not in taken and worker not in taken.values() and worker in workers:
            taken[run] = worker
    idle = sorted(set(workers) - set(taken.values()))
    for run in range(count):
        if run not in taken:
            taken[run] = idle.pop(0)
    return [taken[run] for run in run_of]
