"""``python -m benchmarks.limits``: what this machine can do at most, to read the table against.

It compiles limits.c for this processor and runs it on one core, then on every core at once.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final, TypeAlias

from benchmarks.machine import cores, describe, in_a_line

_CACHES: Final = {
    "SC_LEVEL1_DCACHE_SIZE": 32 << 10,
    "SC_LEVEL2_CACHE_SIZE": 512 << 10,
    "SC_LEVEL3_CACHE_SIZE": 32 << 20,
}
"""What the system calls the sizes of its caches, and what is taken where it does not know them."""
_FACTS: Final = ("vectors",)

Figures: TypeAlias = dict[str, tuple[float, str]]
"""A value and its unit, by name."""


def main() -> None:
    """Compile, run and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.limits", description=__doc__)
    parser.add_argument("--json", type=Path, help="write every figure to this file, too")
    arguments = parser.parse_args()
    found = figures()
    if found is None:
        print("The limits are left out: no C compiler (gcc, cc, clang) is here.")
        return
    one, every = found
    machine = describe()
    print(in_a_line(machine) + "\n")
    print(f"| | one core | all {cores()} cores at once |\n|---|---:|---:|")
    for name, (value, unit) in one.items():
        total = "" if name in _FACTS else f"{every[name][0]:,.0f} {unit}"
        print(f"| {name} | {value:,.0f} {unit} | {total} |")
    if arguments.json:
        told = {"machine": machine, "one core": one, "all cores": every}
        arguments.json.write_text(json.dumps(told, indent=1) + "\n")


def figures() -> tuple[Figures, Figures] | None:
    """Return what one core does, and all of them at once; None where there is no C compiler."""
    compiler = next((found for name in ("gcc", "cc", "clang") if (found := shutil.which(name))), None)
    if compiler is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "limits"
        source = Path(__file__).with_name("limits.c")
        subprocess.run([compiler, "-O3", "-march=native", "-o", program, source], check=True)
        places = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(cores()))
        one = _run(program, places[-1:])
        return one, _run(program, places) if len(places) > 1 else one


def _run(program: Path, places: list[int]) -> Figures:
    """Run the program on each of these cores at the same time, and add up what they say."""
    sets = [str(size) for size in _working_sets()]
    running = [
        subprocess.Popen([*_pinned(place), program, *sets], stdout=subprocess.PIPE, text=True) for place in places
    ]
    total: Figures = {}
    for process in running:
        for line in process.communicate()[0].splitlines():
            name, value, unit = line.split("\t")
            total[name] = (total.get(name, (0.0, ""))[0] + float(value), unit)
        if process.returncode:
            sys.exit(f"limits.c ended with status {process.returncode}")
    return total


def _working_sets() -> list[int]:
    """Return bytes that fit the first cache, the second but not the first, and none."""
    first, second, third = (_system_size(name, otherwise) for name, otherwise in _CACHES.items())
    return [first // 2, second // 2, 8 * third]


def _system_size(name: str, otherwise: int) -> int:
    known = os.sysconf(name) if name in os.sysconf_names else 0
    return known if known > 0 else otherwise


def _pinned(place: int) -> list[str]:
    """Return the beginning of a command that stays on one core, where the system has such a thing."""
    taskset = shutil.which("taskset")
    return [taskset, "--cpu-list", str(place)] if taskset else []


if __name__ == "__main__":
    main()
