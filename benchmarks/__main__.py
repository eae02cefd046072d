"""``python -m benchmarks``: one table of nineline beside its peers."""

from __future__ import annotations

import argparse
import json
import os
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks import table
from benchmarks.machine import cores, describe, in_a_line
from benchmarks.measure import Result, measure
from benchmarks.peers import PEERS
from benchmarks.workloads import WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Iterable

_QUIET: Final = 0.5
"""Processes that may be computing before it begins; pools of threads that spin collapse beside a busy neighbour."""


def main() -> None:
    """Measure what is asked for and print it."""
    arguments = _arguments()
    wanted = choose("workload", arguments.workloads, WORKLOADS)
    chosen = {table.OURS, *choose("peer", arguments.peers, PEERS)}
    peers = {name: peer for name, peer in PEERS.items() if name in chosen}
    for name, peer in list(peers.items()):
        if missing := peer.missing():
            print(f"{name} is left out: {missing} is not here", file=sys.stderr)
            del peers[name]
    if table.OURS not in peers:
        sys.exit("nineline itself is not installed: pip install .")

    warn_where_busy()
    results: list[Result] = []
    for name in wanted:
        workload = WORKLOADS[name]
        able = [peer for peer in peers.values() if peer.takes(workload)]
        results += measure(workload, able, arguments.threads, rounds=arguments.rounds, cold=arguments.cold, tell=tell)
    tell("")
    machine = describe()
    if arguments.json:
        content = {"machine": machine, "results": [result.to_dict() for result in results]}
        arguments.json.write_text(json.dumps(content, indent=1) + "\n")
    _print(results, arguments.threads, in_a_line(machine), arguments.markdown)


def _print(results: list[Result], threads: list[int], machine: str, markdown: bool) -> None:
    columns, lines = table.header(threads), table.rows(results, threads)
    print(machine + "\n")
    if markdown:
        print(table.to_markdown(columns, lines))
    else:
        table.show(columns, lines)
    notes = dict.fromkeys(f"{result.workload}: {result.note}" for result in results if result.note)
    print("", *notes, sep="\n")
    for workload, peer in sorted(table.disagreeing(results)):
        print(f"*** {workload}: the loss of {peer} DIFFERS from the others': it did not do the same work ***")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--workloads", default="", help="such as seed,expm,width-*; by default all")
    parser.add_argument("--peers", default="", help="such as jax,torch; by default all that are installed")
    parser.add_argument("--threads", default="", help="such as 1,4; by default 1 and all cores")
    parser.add_argument("--rounds", type=int, default=7, help="warm rounds of each peer (%(default)s)")
    parser.add_argument("--cold", type=int, default=3, help="cold starts of each peer (%(default)s)")
    parser.add_argument("--json", type=Path, help="write every figure to this file, too")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    arguments = parser.parse_args()
    if arguments.rounds < 1 or arguments.cold < 1:
        parser.error("rounds and cold are counts, at least 1")
    try:
        numbers = [int(number) for number in arguments.threads.split(",") if number]
    except ValueError:
        parser.error(f"threads is {arguments.threads!r}; expected numbers, such as 1,4")
    arguments.threads = sorted(set(numbers or [1, cores()]))
    if not 1 <= arguments.threads[0] <= arguments.threads[-1] <= cores():
        parser.error(f"threads are from 1 to {cores()}, the cores of this machine")
    return arguments


def choose(what: str, given: str, known: Iterable[str]) -> list[str]:
    """Return the known names that are asked for, in their own order; all where none is."""
    patterns = [pattern.strip() for pattern in given.split(",") if pattern.strip()]
    known = list(known)
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in known):
            sys.exit(f"{pattern!r} is no {what}; there are {', '.join(known)}")
    return [name for name in known if not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)]


def warn_where_busy() -> None:
    """Say so where other processes are computing."""
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if busy > _QUIET:
        print(
            f"This machine is busy (load {busy:.1f}): figures of more than one thread may be far off", file=sys.stderr
        )


def tell(line: str) -> None:
    """Show what is being done, on a terminal, in a line that the next one overwrites."""
    if sys.stderr.isatty():
        print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
