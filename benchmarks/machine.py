"""The machine and the versions: what a figure needs beside it to mean anything."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

_PACKAGES: Final = ("nineline", "numpy", "jax", "optax", "torch", "scipy", "scikit-learn", "onnxruntime")


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def describe() -> dict[str, Any]:
    """Return the date, the processor and the versions of all that is measured."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": _processor(),
        "cores": cores(),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": versions,
    }


def in_a_line(machine: dict[str, Any]) -> str:
    """Return the same in one line."""
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    return (
        f"{machine['date']}, {machine['processor']}, {machine['cores']} core(s), {machine['system']}; "
        f"Python {machine['python']}, {versions}"
    )


def _processor() -> str:
    """Return the processor's name, with the widest vectors that it has, where the system tells."""
    name, flags = platform.processor() or platform.machine(), ""
    file = Path("/proc/cpuinfo")
    if file.exists():
        facts = dict(line.split(":", 1) for line in file.read_text().splitlines() if ":" in line)
        facts = {key.strip(): value.strip() for key, value in facts.items()}
        name, flags = facts.get("model name", name), facts.get("flags", "")
    vectors = next((known for known in ("avx512f", "avx2") if known in flags.split()), "")
    return f"{name} ({vectors})" if vectors else name
