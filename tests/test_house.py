"""The house: what `import nineline` loads, how long it takes, and which room may open which door (DESIGN, §2)."""

from __future__ import annotations

import ast
import graphlib
import os
import re
import statistics
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest

import nineline

SOURCE = Path(nineline.__file__).parent
CHECKOUT = Path(__file__).parents[1]

# Rooms from the ground up. A module belongs to the room that its name begins with. Rows and tables stand on the ground:
# what data are does not depend on who learns from them.
FLOORS = [
    [
        "nineline._typing",
        "nineline._version",
        "nineline._checks",
        "nineline._value",
        "nineline._stepping",
        "nineline._extras",
        "nineline.expressions",
        "nineline.datasets",
        "nineline.writing",
        "nineline.draws",
        "nineline.rows",
        "nineline.sources",
        "nineline.tables",
        "nineline.parallel",
    ],
    [
        "nineline.activations",
        "nineline.losses",
        "nineline.initializers",
        "nineline.schedules",
        "nineline.optimizers",
    ],
    ["nineline.layers"],
    ["nineline.network", "nineline.ensemble", "nineline.networks"],
    ["nineline.files"],
    ["nineline.engines"],
    ["nineline.training", "nineline.gradient_check"],
    ["nineline.view", "nineline.interchange"],
    ["nineline"],  # the public names: __init__ itself, and nothing that only begins with it
    ["nineline.estimators", "nineline.dask"],
    ["nineline.interactive"],
    ["nineline.cli", "nineline.__main__"],
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}

# These read a network, and nobody below the estimators reads them.
READERS = {"nineline.view", "nineline.interchange"}

# A file describes a network, and what trains one keeps itself in such a file, when it is asked to.
FILES = {
    "nineline.training.checkpoints",
    "nineline.training.snapshot_file",
    "nineline.training.many_checkpoint",
    "nineline.training.shared.checkpoint",
}

# Imports inside a function may lead upward through these doors alone.
DOORS = {
    ("nineline.networks", "nineline.engines"): "Networks.run: engines work on networks, and one answers for them",
    ("nineline.networks", "nineline.training.many"): "Networks.train and evaluate: a loop around networks, and methods",
    ("nineline.networks", "nineline.files"): "Networks.save and load: a file is made from outside, and methods",
    ("nineline.training.histories", "nineline.view.curves"): "Histories.plot: pictures need an extra, and are a method",
    ("nineline.network", "nineline.engines"): "Network.run: engines work on networks, and one answers for them",
    ("nineline.ensemble", "nineline.engines"): "Ensemble.run: rows of a table are handed over once for all networks",
    ("nineline.network", "nineline.training.arguments"): "Network.train: a loop around networks, and a method",
    ("nineline.network", "nineline.files"): "Network.save and load: a file is made from outside, and a method",
    ("nineline.estimators.tabular.report", "nineline.estimators.page"): "FitReport.to_html: needs an extra, a method",
    ("nineline.estimators.tabular.explaining", "nineline.estimators.plots"): "Explanation.plot: likewise",
    ("nineline.network", "nineline.interchange"): "Network.to_c and its like: made from outside, and methods",
    ("nineline.training.history", "nineline.view.curves"): "History.plot: pictures need an extra, and are a method",
    ("nineline.network", "nineline.view.notebook"): "how it shows itself in a notebook: a method",
    ("nineline.networks", "nineline.view.notebook"): "how it shows itself in a notebook: a method",
    ("nineline.training.history", "nineline.view.notebook"): "how it shows itself in a notebook: a method",
    ("nineline.training.histories", "nineline.view.notebook"): "how it shows itself in a notebook: a method",
    ("nineline.training.trainer", "nineline.view.notebook"): "how it shows itself in a notebook: a method",
    ("nineline.training.arguments", "nineline.view.live"): "train(live=True): needs an extra, and a notebook",
    ("nineline.training.layer_statistics", "nineline.view.layer_statistics"): "LayerStatistics.plot: likewise",
    ("nineline.network", "nineline.view.trace"): "Network.trace: it follows the reference engine, and is a method",
}

# Imports for types may lead upward from here alone: what the methods above take and return is written beside them.
TYPES = {
    ("nineline.networks", "nineline.training.histories"): "Networks.train: what it returns",
    ("nineline.networks", "nineline.training.many_loop"): "Networks.train: what on_epoch is called with",
    ("nineline.networks", "nineline.training.watch"): "Networks.train: what stop may be",
    ("nineline.network", "nineline.training.epoch"): "Network.train: what on_epoch is called with",
    ("nineline.network", "nineline.training.history"): "Network.train: what it returns",
    ("nineline.network", "nineline.training.watch"): "Network.train: what stop may be",
    ("nineline.network", "nineline.interchange.c"): "Network.to_c: what it returns",
    ("nineline.network", "nineline.view.trace"): "Network.trace: what it returns",
    ("nineline", "nineline.interactive.playground"): "playground: needs an extra, and is loaded when it is asked for",
}


class Import(NamedTuple):
    module: str
    target: str
    deferred: bool
    for_types: bool
    line: int

    @property
    def is_door(self):
        way = self.module, self.target
        return (self.deferred and way in DOORS) or (self.for_types and way in TYPES)


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
    """Return a module's imports: those at its top, those in its functions, and those under TYPE_CHECKING."""
    file, found = MODULES[module], []

    def walk(node, deferred, for_types):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            targets = targets_of(node, module, file)
            found.extend(Import(module, target, deferred, for_types, node.lineno) for target in targets)
        elif is_type_checking(node):
            for each in node.body:
                walk(each, deferred, True)
            for each in node.orelse:
                walk(each, deferred, for_types)
        else:
            inside = deferred or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            for each in ast.iter_child_nodes(node):
                walk(each, inside, for_types)

    walk(ast.parse(file.read_text(encoding="utf-8")), False, False)
    return found


IMPORTS = [each for module in MODULES for each in imports_of(module)]
PLACED = [each for each in IMPORTS if room_of(each.module) and room_of(each.target)]


def told(imports):
    return [
        f"{each.module}:{each.line} imports {each.target}"
        + (" in a function" if each.deferred else "")
        + (" for types" if each.for_types else "")
        for each in imports
    ]


# The arrows


def test_every_module_has_a_room():
    """A new module is entered in FLOORS above, with some thought about where it stands."""
    assert [module for module in MODULES if room_of(module) is None] == []


def test_what_the_lists_name_is_there():
    named = {*FLOOR, *READERS, *FILES, *(module for way in [*DOORS, *TYPES] for module in way)}
    assert named - MODULES.keys() == set()


def test_the_source_was_read():
    seen = {each[:4] for each in IMPORTS}
    assert ("nineline.layers.dense", "nineline.activations", False, False) in seen
    assert ("nineline.network", "nineline.training.arguments", True, False) in seen
    assert ("nineline.network", "nineline.training.history", False, True) in seen
    assert not any(each.target == "nineline.engines.contract" for each in imports_of("nineline.rows"))


def test_lower_rooms_never_import_upper_ones():
    upward = [each for each in PLACED if FLOOR[room_of(each.target)] > FLOOR[room_of(each.module)] and not each.is_door]
    assert told(upward) == []


def test_files_and_pictures_are_imported_by_nobody_below_the_estimators():
    below = FLOOR["nineline.estimators"]
    readers = [
        each
        for each in PLACED
        if room_of(each.target) in READERS
        and room_of(each.module) not in READERS
        and FLOOR[room_of(each.module)] < below
        and not each.is_door
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
    assert opening == FILES | {"nineline.network", "nineline.networks"}


def test_only_their_own_room_knows_what_connects_processes():
    """Whoever trains asks a collective, and is told whose a communicator is."""
    assert {each.module for each in IMPORTS if each.target.startswith("nineline.parallel.")} == {
        "nineline.parallel",
        "nineline.parallel.mpi",
        "nineline.parallel.xgboost",
    }


def test_no_two_modules_import_each_other():
    """Neither where they run, nor in a function, nor for types: modules of a ring can only be understood together."""
    graph = {module: set() for module in MODULES}
    for each in IMPORTS:
        if not each.is_door and each.target != each.module:
            graph[each.module].add(each.target)
    list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError, which names the ring


def test_every_door_is_in_use():
    assert set(DOORS) - {(each.module, each.target) for each in IMPORTS if each.deferred} == set()
    assert set(TYPES) - {(each.module, each.target) for each in IMPORTS if each.for_types} == set()


# The native engine

NATIVE = sorted(CHECKOUT.glob("native/*.?pp"))

# Headers from the ground up.
HEADERS = [
    ["specs.hpp", "simd.hpp", "caches.hpp"],  # what is asked, without arithmetic; vectors; the processor's memory
    ["kernels.hpp", "threads.hpp", "arrays.hpp", "types.hpp", "math.hpp"],  # memory, lists of kinds
    ["one_by_one.hpp"],  # which asks the doors alone
    [
        "draws.hpp",
        "zeros.hpp",
        "products.hpp",
        "cholesky.hpp",
        "activations.hpp",
        "losses.hpp",
        "optimizers.hpp",
    ],  # formulas
    ["sparse.hpp"],
    ["layers.hpp"],
    ["compact.hpp"],
    ["dense.hpp", "dropout.hpp", "embedding.hpp", "layer_norm.hpp", "residual.hpp"],  # the kinds of layer
    ["kinds.hpp"],
    ["layout.hpp"],
    ["pieces.hpp", "workspace.hpp", "placed.hpp"],
    ["batches.hpp"],
    ["each_output.hpp", "tiny.hpp"],
    ["lanes.hpp"],
    ["lanes_layers.hpp"],
    ["training.hpp", "runner.hpp", "differentiator.hpp", "curvature.hpp", "lanes_training.hpp"],
]
HEADER_FLOOR = {header: number for number, headers in enumerate(HEADERS) for header in headers}


def includes_of(file):
    return re.findall(r'^#include "(.+)"', file.read_text(encoding="utf-8"), re.MULTILINE)


INCLUDES = {file.name: includes_of(file) for file in NATIVE if file.suffix == ".hpp"}


def test_every_header_has_a_floor():
    assert sorted(INCLUDES) == sorted(HEADER_FLOOR)


def test_lower_headers_never_include_upper_ones():
    ways = [(name, each) for name, included in INCLUDES.items() for each in included]
    assert ("training.hpp", "batches.hpp") in ways
    assert [way for way in ways if HEADER_FLOOR[way[1]] > HEADER_FLOOR[way[0]]] == []
    list(graphlib.TopologicalSorter(INCLUDES).static_order())  # raises CycleError, which names the ring


def test_one_native_file_knows_python():
    knows = [file.name for file in NATIVE if re.search(r"#include <(nanobind|Python)", file.read_text("utf-8"))]
    assert knows == ["bindings.cpp"]


def twins_of(file):
    """Return the sentences of a file's comments that say what its twins in Python are."""
    lines = file.read_text(encoding="utf-8").splitlines()
    comments = "\n".join(line.partition("//")[2].strip() if "//" in line else "" for line in lines)
    return [found.replace("\n", " ") for found in re.findall(r"Twins?: (.+?)\.(?=\s|$)", comments, re.DOTALL)]


TWINS = [(file.name, said) for file in NATIVE for said in twins_of(file)]


def names_in(file):
    """Return what a Python file defines: functions, classes, and what they have in them, as `Class.function`."""
    found = set()

    def walk(node, inside):
        for each in ast.iter_child_nodes(node):
            if isinstance(each, (ast.FunctionDef, ast.ClassDef)):
                found.update([each.name, inside + each.name])
                walk(each, f"{each.name}.")
            else:
                walk(each, inside)

    walk(ast.parse(file.read_text(encoding="utf-8")), "")
    return found


def test_twins_were_read():
    assert len(TWINS) > 10
    assert ("pieces.hpp", "Reference._penalize, _clip and _move in src/nineline/engines/reference.py") in TWINS
    assert {"Reference", "Reference._clip", "loss_and_gradients"} <= names_in(SOURCE / "engines" / "reference.py")


@pytest.mark.parametrize(("header", "said"), TWINS)
def test_a_twin_is_there(header, said):
    """A twin is a file; where it is a class or function, or several, they are in the file that is named after them."""
    files = re.findall(r"[\w/]+\.py", said)
    assert files or header == "math.hpp"  # whose functions are NumPy's and SciPy's
    for file in files:
        assert (CHECKOUT / file).is_file(), file
    for names, file in re.findall(r"([\w.]+(?:(?:, | and )[\w.]+)*) in ([\w/]+\.py)", said):
        assert set(re.split(", | and ", names)) - names_in(CHECKOUT / file) == set()


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
        "nineline.Network(3, 6, 1).trace([[0, 1, 1]], [[1]]).to_html()",
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


def test_there_is_one_version():
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert nineline.__version__ == project["version"]


def test_the_public_names_are_there_and_come_from_somewhere_else():
    for name in nineline.__all__:
        assert getattr(nineline, name).__module__.startswith("nineline.")
    assert len(set(nineline.__all__)) == len(nineline.__all__)  # their order is the linter's
