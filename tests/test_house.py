"""The house: what `import nineline` loads, how long it takes, and which room may open which door (DESIGN, §2)."""

from __future__ import annotations

import ast
import graphlib
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

import nineline

SOURCE = Path(nineline.__file__).parent

# Rooms from the ground up. A module belongs to the room that its name begins with.
FLOORS = [
    [
        "nineline._typing",
        "nineline._checks",
        "nineline._value",
        "nineline._stepping",
        "nineline.writing",
        "nineline.draws",
        "nineline.rows",
    ],
    [
        "nineline.activations",
        "nineline.losses",
        "nineline.initializers",
        "nineline.schedules",
        "nineline.optimizers",
    ],
    ["nineline.layers"],
    ["nineline.network", "nineline.ensemble"],
    ["nineline.files"],
    ["nineline.engines"],
    ["nineline.training", "nineline.gradient_check"],
    [
        "nineline.view",
        "nineline.column_kinds",
        "nineline.columns",
        "nineline.targets",
        "nineline.tables",
        "nineline.interchange",
    ],
    ["nineline"],  # the public names: __init__ itself, and nothing that only begins with it
    ["nineline.estimators"],
    ["nineline.cli", "nineline.__main__", "nineline.playground"],
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}

# These read a network, and nobody below the estimators reads them.
READERS = {"nineline.view", "nineline.interchange"}

# A file describes a network, and what trains one keeps itself in such a file, when it is asked to.
FILES = {"nineline.training.checkpoints", "nineline.training.snapshot_file"}

# Imports inside a function may lead upward through these doors alone.
DOORS = {
    ("nineline.network", "nineline.engines"): "Network.run: engines work on networks, and one answers for them",
    ("nineline.network", "nineline.training.arguments"): "Network.train: a loop around networks, and a method",
    ("nineline.network", "nineline.files"): "Network.save and load: a file is made from outside, and a method",
    ("nineline.network", "nineline.interchange"): "Network.to_c and its like: made from outside, and methods",
    ("nineline.training.history", "nineline.view.plots"): "History.plot: pictures need an extra, and are a method",
}


class Import(NamedTuple):
    module: str
    target: str
    deferred: bool
    line: int


def modules():
    """Return each module's name and file."""
    found = {}
    for file in sorted([*SOURCE.rglob("*.py"), *SOURCE.rglob("*.pyi")]):  # a .pyi stands for a compiled module
        parts = ["nineline", *file.relative_to(SOURCE).with_suffix("").parts]
        if parts[-1] == "__init__":
            parts.pop()
        found[".".join(parts)] = file
    return found


MODULES = modules()


def room_of(module):
    """Return the room that a module belongs to, or None."""
    if module == "nineline":
        return module
    parts = module.split(".")
    return next((room for n in range(len(parts), 1, -1) if (room := ".".join(parts[:n])) in FLOOR), None)


def targets_of(node, module, file):
    """Return the modules of this package that an import statement names."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    else:
        base = node.module or ""
        if node.level:
            package = module.split(".") if file.name == "__init__.py" else module.split(".")[:-1]
            base = ".".join([*package[: len(package) - node.level + 1], *([base] if base else [])])
        names = []
        for alias in node.names:  # `from nineline import files` names a module, `from nineline import Network` none
            below = f"{base}.{alias.name}"
            names.append(below if below in MODULES or below in FLOOR else base)
    return sorted({name for name in names if name == "nineline" or name.startswith("nineline.")})


def is_type_checking(node):
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def imports_of(module):
    """Return a module's imports at run time; those under TYPE_CHECKING do not run."""
    file, found = MODULES[module], []

    def walk(node, deferred):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            found.extend(Import(module, target, deferred, node.lineno) for target in targets_of(node, module, file))
        elif is_type_checking(node):
            for each in node.orelse:
                walk(each, deferred)
        else:
            inside = deferred or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            for each in ast.iter_child_nodes(node):
                walk(each, inside)

    walk(ast.parse(file.read_text(encoding="utf-8")), False)
    return found


IMPORTS = [each for module in MODULES for each in imports_of(module)]
PLACED = [each for each in IMPORTS if room_of(each.module) and room_of(each.target)]


def told(imports):
    return [
        f"{each.module}:{each.line} imports {each.target}" + (" in a function" if each.deferred else "")
        for each in imports
    ]


# The arrows


def test_every_module_has_a_room():
    """A new module is entered in FLOORS above, with some thought about where it stands."""
    assert [module for module in MODULES if room_of(module) is None] == []


def test_the_source_was_read():
    assert ("nineline.layers.dense", "nineline.activations") in {(each.module, each.target) for each in IMPORTS}
    assert ("nineline.network", "nineline.training.arguments") in {(each.module, each.target) for each in IMPORTS}
    assert not any(each.target == "nineline.engines.contract" for each in imports_of("nineline.rows"))


def test_lower_rooms_never_import_upper_ones():
    upward = [
        each
        for each in PLACED
        if FLOOR[room_of(each.target)] > FLOOR[room_of(each.module)]
        and not (each.deferred and (each.module, each.target) in DOORS)
    ]
    assert told(upward) == []


def test_files_and_pictures_are_imported_by_nobody_below_the_estimators():
    below = FLOOR["nineline.estimators"]
    readers = [
        each
        for each in PLACED
        if room_of(each.target) in READERS
        and room_of(each.module) not in READERS
        and FLOOR[room_of(each.module)] < below
        and not (each.deferred and (each.module, each.target) in DOORS)
    ]
    assert told(readers) == []


def test_files_are_opened_by_those_who_keep_themselves_in_one():
    below = FLOOR["nineline.estimators"]
    opening = {
        each.module
        for each in PLACED
        if room_of(each.target) == "nineline.files"
        and room_of(each.module) not in {"nineline.files", *READERS}
        and FLOOR[room_of(each.module)] < below
    }
    assert opening == FILES | {"nineline.network"}


def test_no_two_modules_import_each_other():
    graph = {module: set() for module in MODULES}
    for each in IMPORTS:
        if not each.deferred and each.target != each.module:
            graph[each.module].add(each.target)
    list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError, which names the ring


def test_every_door_is_in_use():
    opened = {(each.module, each.target) for each in IMPORTS if each.deferred}
    assert set(DOORS) - opened == set()


# What `import nineline` costs


def fresh(code, folder):
    """Run code in a new interpreter; its bytecode is cached in a folder, as an installed package's is."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(folder)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    return done.stdout.strip()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("bytecode")


def packages_after(statement, folder):
    code = f"import sys; {statement}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    return set(fresh(code, folder).split())


def test_importing_loads_numpy_and_nothing_heavier(folder):
    loaded = packages_after("import nineline", folder) - packages_after("import numpy", folder)
    assert loaded - set(sys.stdlib_module_names) == {"nineline"}


@pytest.mark.parametrize(
    "line",
    [
        "from nineline import *",
        "nineline.Network(3, 6, 1)",
        "nineline.Network(3, 6, 1, activation='relu', bias=True).run([[1, 2, 3]])",
        "nineline.Network(1, 1).train([[0], [1]], [[0], [1]], 3, report_every=0)",
        "nineline.Network(1, 1).train([[0], [1]], [[0], [1]], epochs=3, optimizer='adam', validation=0.5)",
    ],
)
def test_using_the_core_loads_nothing_heavier_either(line, folder):
    """Polars, rich and the like load where a table is read or a bar is shown."""
    loaded = packages_after(f"import nineline; {line}", folder) - packages_after("import numpy.random", folder)
    assert loaded - set(sys.stdlib_module_names) == {"nineline"}


def test_importing_takes_little_longer_than_numpy(folder):
    """Medians of pairs measured in turn; three tries, for other work may fall on one."""
    code = "from time import perf_counter as now; began = now(); import {}; print(now() - began)"
    ratios = []
    for _ in range(3):
        times = {"numpy": [], "nineline": []}
        for _ in range(10):
            for package, seconds in times.items():
                seconds.append(float(fresh(code.format(package), folder)))
        numpy, ours = (statistics.median(seconds[1:]) for seconds in times.values())  # the first wrote the bytecode
        ratios.append(ours / numpy)
        if ratios[-1] < 1.3:
            break
    assert min(ratios) < 1.3, f"{ratios} times as long as numpy"


def test_the_public_names_are_there_and_come_from_somewhere_else():
    for name in nineline.__all__:
        assert getattr(nineline, name).__module__.startswith("nineline.")
    assert nineline.__all__ == sorted(nineline.__all__)
