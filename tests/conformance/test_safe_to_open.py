"""A file from a stranger: read as it was written, or refused by one kind of error, in bounded memory and time.

`make fuzz` tries a hundred thousand mutated files; without it the number is small. NINELINE_FUZZ says how many.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console
from safetensors.numpy import load as from_bytes
from safetensors.numpy import save as to_bytes

from nineline import DivergenceError, Layer, Network, Networks, Trainer, files
from nineline.cli.report import print_file
from nineline.estimators import TabularClassifier, TabularRegressor
from nineline.estimators import load as load_estimator
from nineline.estimators.tabular.file import SETTINGS
from nineline.files import FORMAT_VERSION, FileError, read_header

GOLDEN = Path(__file__).parents[1] / "golden"
MANY = ["networks", "checkpoint of networks"]
SEVERAL = ["outputs", "labels", "quantiles"]  # tables with several answers a row
KINDS = ["network", "layers", "checkpoint", "classifier", "regressor", "text", "waves", "trainer", *MANY, *SEVERAL]
SINCE = {
    "trainer": 3,
    "layers": 4,
    **dict.fromkeys(MANY, 4),
    **dict.fromkeys(["text", "waves", *SEVERAL], 5),
}  # the version of the format that first had it
MUTANTS = int(os.environ.get("NINELINE_FUZZ", "800"))
MEMORY = 256 * 2**20  # bytes beyond what the process has taken already


def load(kind: str, path: Path) -> Any:
    if kind == "trainer":
        return Trainer.load(path)
    if kind in MANY:
        return Networks.load(path)
    return Network.load(path) if kind in ("network", "layers", "checkpoint") else load_estimator(path)


def made(what: str) -> Any:
    module: dict[str, Any] = {"__name__": "make", "__file__": str(GOLDEN / "make.py")}
    exec((GOLDEN / "make.py").read_text(), module)
    return module[what]()


def table() -> pl.DataFrame:
    return made("table")


# What was written stays readable


def test_every_format_up_to_this_one_has_golden_files() -> None:
    versions = sorted(int(folder.name) for folder in GOLDEN.iterdir() if folder.name.isdigit())
    assert versions == list(range(1, FORMAT_VERSION + 1))


@pytest.mark.parametrize(
    ("kind", "version"), [(kind, v) for kind in KINDS for v in range(SINCE.get(kind, 1), FORMAT_VERSION + 1)]
)
def test_golden_files_answer_as_they_did(kind: str, version: int) -> None:
    folder = GOLDEN / str(version)
    model = load(kind, folder / f"{kind}.nineline")
    expected = json.loads((folder / "answers.json").read_text())[kind]
    if kind == "trainer":
        answers = model.network.run(np.linspace(-1, 1, 12).reshape(4, 3))
    elif kind == "layers":
        answers = model.run(made("levels"))
    elif kind in ("network", "checkpoint", *MANY):
        answers = model.run(np.linspace(-1, 1, 12).reshape(4, 3))
    elif kind == "text":
        answers = model.predict_proba(made("notes")[:12])
    elif kind == "waves":
        answers = model.predict(made("swinging")[:12])
    else:
        answers = model.predict_proba(table()[:8]) if kind in ("classifier", "labels") else model.predict(table()[:8])
    np.testing.assert_allclose(answers, expected, rtol=1e-5 if kind == "checkpoint" else 1e-9)


@pytest.mark.parametrize("version", range(1, FORMAT_VERSION + 1))
def test_a_golden_checkpoint_goes_on(version: int) -> None:
    """It had ended, so it gives its History again."""
    header, arrays = files.read(GOLDEN / str(version) / "checkpoint.nineline", "checkpoint")
    assert header["training"]["finished"] is True
    assert {"before", "best", "optimizer.mean", "optimizer.square", "history.loss"} <= set(arrays)
    assert len(arrays["history.loss"]) == 4


# Mutants


POOL: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    -1,
    3,
    2**31,
    2**63,
    2**64,
    -(2**70),
    10**30,
    0.0,
    -0.5,
    1e308,
    -1e308,
    5e-324,
]
POOL += [
    "",
    "0",
    "x",
    "sigmoid",
    "gelu",
    "Normal",
    "V1000000000",
    "S1000000000",
    "<f8",
    "object",
    "\0",
    "\x1b[2J",
    "é" * 300,
]
POOL += ["x" * 100_000, 10**39, 10**4000, [*map(str, range(1000)), "x" * 200_000]]
POOL += [[], [[]], [None], [1e308] * 5, {}, {"kind": "dense"}, {"name": "elu", "alpha": 1e308}, list(range(300))]


def places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the way to every value in a tree of JSON."""
    found = [path] if path else []
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return found + [way for key, value in inner for way in places(value, (*path, key))]


def parent(tree: Any, path: tuple[Any, ...]) -> Any:
    for key in path[:-1]:
        tree = tree[key]
    return tree


def mutate(tree: Any, where: float, how: int, what: int) -> None:
    """Change one value of a tree: another value, none, twice, or that of another place."""
    ways = places(tree)
    if not ways:
        return
    way = ways[int(where * len(ways)) % len(ways)]
    owner, key = parent(tree, way), way[-1]
    if how == 0:
        del owner[key]
    elif how == 1 and isinstance(owner, list):
        owner.append(copy.deepcopy(owner[key]))
    elif how == 2:
        other = ways[what * 7919 % len(ways)]
        owner[key] = json.loads(json.dumps(parent(tree, other)[other[-1]]))
    else:
        owner[key] = copy.deepcopy(POOL[what % len(POOL)])


def signed(text: str, arrays: dict[str, Any]) -> bytes:
    """Return a whole file with a right digest, as only somebody who means it would write."""
    data = to_bytes(arrays, metadata={"nineline": text})
    return data.replace(b"0" * 64, hashlib.sha256(data).hexdigest().encode(), 1)


def contents(kind: str) -> tuple[Any, dict[str, Any]]:
    """Return the description, without its digest, and the arrays of a golden file."""
    data = (GOLDEN / str(FORMAT_VERSION) / f"{kind}.nineline").read_bytes()
    length = int.from_bytes(data[:8], "little")
    tree = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["nineline"])
    return {**tree, "digest": "0" * 64}, dict(from_bytes(data))


def crafted(data: bytes, mutations: list[tuple[float, int, int]], arrays: list[tuple[int, int]]) -> bytes:
    """Return a file whose description and arrays were changed, and which was then signed anew."""
    length = int.from_bytes(data[:8], "little")
    tree = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["nineline"])
    for where, how, what in mutations:
        mutate(tree, where, how, what)
    if isinstance(tree, dict) and "digest" in tree:
        tree["digest"] = "0" * 64
    blocks: dict[str, Any] = dict(from_bytes(data))
    names = sorted(blocks)
    for which, how in arrays:
        name = names[which % len(names)]
        array = blocks.get(name)
        if array is not None:
            changed: dict[int, Any] = {
                0: lambda a: a.astype(np.float32),
                1: lambda a: a.astype(np.int64),
                2: lambda a: a[:0],
                3: lambda a: np.full_like(a, np.nan) if a.dtype.kind == "f" else -a,
                4: lambda a: a.ravel(),
                5: lambda a: np.concatenate([a, a]),
                6: lambda a: a * (1e30 if a.dtype.kind == "f" else 3),
            }
            with np.errstate(all="ignore"):
                blocks[name] = np.ascontiguousarray(changed[how % 7](array)) if how % 8 < 7 else array
        if how == 7:
            blocks.pop(name, None)
    return signed(json.dumps(tree), blocks)


def spoiled(data: bytes, edits: list[tuple[float, int, bytes]]) -> bytes:
    """Return bytes with others put over them, put in, or cut away."""
    for where, how, piece in edits:
        place = int(where * len(data))
        if how == 0:
            data = data[:place]
        elif how == 1:
            data = data[:place] + piece + data[place:]
        elif how == 2:
            data = data[:place] + data[place + len(piece) :]
        else:
            data = data[:place] + piece + data[place + len(piece) :]
    return data


SHARE = st.floats(0, 1, exclude_max=True)
CRAFTED = st.tuples(
    st.lists(st.tuples(SHARE, st.integers(0, 5), st.integers(0, 10_000)), max_size=3),
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 7)), max_size=2),
)
SPOILED = st.lists(st.tuples(SHARE, st.integers(0, 4), st.binary(min_size=1, max_size=9)), min_size=1, max_size=3)


FUZZING = settings(
    max_examples=max(1, MUTANTS // 11),  # in each of eleven tests
    derandomize=MUTANTS < 10_000,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@contextlib.contextmanager
def bounded_memory() -> Iterator[None]:
    """Let the process take no more than `MEMORY` beyond what it has, where the system can be asked for that."""
    status = Path("/proc/self/status")
    if not status.exists():
        yield
        return
    import resource

    kilobytes = re.search(r"VmSize:\s+(\d+) kB", status.read_text())
    assert kilobytes is not None
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (int(kilobytes[1]) * 1024 + MEMORY, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def try_everything(kind: str, path: Path) -> None:
    """Open a file in every way; only our own error may come out."""
    with contextlib.suppress(FileError):
        print_file(Console(file=io.StringIO(), width=80), str(path), read_header(path))
    try:
        model = load(kind, path)
    except FileError:
        return
    if isinstance(model, Trainer):  # it was read, so it goes on
        with contextlib.suppress(DivergenceError):
            model.step(np.zeros((1, 3)), np.array([1]))
        model = model.network
    if isinstance(model, Networks):
        with np.errstate(all="ignore"):
            assert model.run(np.zeros((1, model.n_inputs))).shape == (len(model), 1, model.n_outputs)
    elif isinstance(model, Network):  # it was read, so it is a network
        with np.errstate(all="ignore"):
            assert model.run(np.zeros((1, model.n_inputs))).shape == (1, model.n_outputs)
    else:
        assert model.network_.n_inputs == model.columns_.width


def fuzz(kind: str, strategy: Any, make: Any, path: Path) -> None:
    whole = (GOLDEN / str(FORMAT_VERSION) / f"{kind}.nineline").read_bytes()
    path.write_bytes(whole)
    try_everything(kind, path)  # what loads once is loaded before memory is counted

    @FUZZING
    @given(strategy)
    def opened(change: Any) -> None:
        path.write_bytes(make(whole, change))
        try_everything(kind, path)

    with bounded_memory():
        opened()


@pytest.mark.parametrize("kind", KINDS)
def test_spoiled_files(kind: str, tmp_path: Path) -> None:
    fuzz(kind, SPOILED, spoiled, tmp_path / "m")


@pytest.mark.parametrize("kind", KINDS)
def test_crafted_files(kind: str, tmp_path: Path) -> None:
    fuzz(kind, CRAFTED, lambda data, change: crafted(data, *change), tmp_path / "m")


@pytest.mark.parametrize("many", [False, True], ids=["network", "networks"])
def test_crafted_checkpoints_are_gone_on_from_or_refused(many: bool, tmp_path: Path) -> None:
    """Going on from one is a FileError, or a ValueError that says which setting is another; or it goes on."""
    inputs, path = np.linspace(-1, 1, 12).reshape(4, 3), tmp_path / "run"
    how: dict[str, Any] = {"epochs": 4, "batch_size": 1, "loss": "squared_error", "optimizer": "adam", "stop": 3}
    how |= {"rng": [3, 4, 5] if many else 3, "checkpoint": path}
    model: Any = Networks(3, 3, 2, 1, bias=True, rng=2) if many else Network(3, 2, 1, bias=True, rng=2)
    model.train(inputs, inputs[:, :1], on_epoch=lambda epoch: epoch.number == 2, checkpoint_every=0, **how)
    whole = path.read_bytes()

    @FUZZING
    @given(CRAFTED)
    def gone_on(change: Any) -> None:
        path.write_bytes(crafted(whole, *change))
        try:
            with np.errstate(all="ignore"):
                model.train(inputs, inputs[:, :1], resume=True, **how)
        except (FileError, DivergenceError):
            pass
        except ValueError as error:
            assert "is a checkpoint of a training whose" in str(error)  # noqa: PT017

    gone_on()


# Bombs


def bomb(header: bytes, size: int = 0) -> bytes:
    return len(header).to_bytes(8, "little") + header + bytes(size)


def entry(shape: list[int], end: int) -> dict[str, Any]:
    return {"dtype": "F64", "shape": shape, "data_offsets": [0, end]}


def container(text: str, **arrays: Any) -> bytes:
    return json.dumps({"__metadata__": {"nineline": text}, **arrays}).encode()


VERSION = json.dumps({"format_version": 1, "digest": "0" * 64, "kind": "network"})
BOMBS = {
    "a header longer than the file": (2**62).to_bytes(8, "little") + b"{}",
    "a header of spaces": bomb(b" " * (2**24 + 1)),
    "lists in lists": bomb(b"[" * 200_000),
    "an array larger than the file": bomb(container(VERSION, **{"0.weights": entry([2**40, 2**20], 2**63)})),
    "an array of another size than its bytes": bomb(container(VERSION, **{"0.weights": entry([2**40], 8)}), 8),
    "negative offsets": bomb(container(VERSION, **{"0.weights": {**entry([1], 8), "data_offsets": [-8, 0]}})),
    "the same bytes a thousand times": bomb(
        container(VERSION, **{str(i): entry([2**17], 2**20) for i in range(1000)}), 2**20
    ),
    "a number of five thousand digits": bomb(container('{"format_version": ' + "9" * 5000 + "}")),
    "a thousand axes of 4,200 digits": bomb(container(VERSION, a=entry([7] * 1000, 0)).replace(b"7", b"9" * 4200)),
    "a thousand axes of ten digits": bomb(container(VERSION, a=entry([2**31] * 100_000, 0))),
    "a thousand numbers of 4,200 digits": bomb(
        container(json.dumps({**json.loads(VERSION), "a": [7] * 1000}).replace("7", "9" * 4200))
    ),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_bombs_do_not_go_off(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "m"
    path.write_bytes(BOMBS[kind])
    with bounded_memory():
        for opening in (read_header, Network.load, load_estimator):
            began = time.process_time()
            with pytest.raises(FileError):
                opening(path)
            assert time.process_time() - began < 5


@pytest.mark.parametrize("depth", [17, 100, 240])
def test_layers_within_layers_are_refused(depth: int, tmp_path: Path) -> None:
    described: dict[str, Any] = {"kind": "dropout", "rate": 0.5}
    for _ in range(depth):
        described = {"kind": "residual", "layers": [described]}
    last = Layer(2, 1).describe()
    content = {"network": {"dtype": "float64", "layers": [described, last]}}
    files.write(tmp_path / "m", "network", content, {"1.weights": np.ones((2, 1))})
    with pytest.raises(FileError, match="16 at most|recursion"):
        Network.load(tmp_path / "m")
    print_file(Console(file=io.StringIO()), "m", read_header(tmp_path / "m"))


@pytest.mark.parametrize(
    ("setting", "value"),
    [("levels", []), ("levels", [2, 5, 7]), ("widths", [2]), ("levels", [5, 2]), ("numbers", -1), ("numbers", 2**70)],
)
def test_an_embedding_that_does_not_fit_its_arrays_is_refused(setting: str, value: Any, tmp_path: Path) -> None:
    header, arrays = files.read(GOLDEN / "4" / "layers.nineline", "network")
    content = {"network": header["network"]}
    content["network"]["layers"][0][setting] = value
    files.write(tmp_path / "m", "network", content, arrays)
    with pytest.raises(FileError, match="holds no valid network"):
        Network.load(tmp_path / "m")


def test_a_header_longer_than_any_of_ours_is_not_read(tmp_path: Path) -> None:
    path, length = tmp_path / "m", files.container._HEADER_AT_MOST + 1
    with path.open("wb") as file:
        file.write(length.to_bytes(8, "little"))
        file.truncate(8 + length)
    for opening in (read_header, Network.load, load_estimator):
        with pytest.raises(FileError, match="longer than any of ours"):
            opening(path)


def test_more_than_there_is_memory_for_is_said(tmp_path: Path) -> None:
    path, size = tmp_path / "m", 10**10
    with path.open("wb") as file:
        file.write(bomb(container(VERSION, **{"0.weights": entry([size // 8], size)})))
        file.truncate(file.tell() + size)
    assert read_header(path)["kind"] == "network"
    with bounded_memory(), pytest.raises(FileError, match="takes more memory than there is"):
        Network.load(path)


@pytest.mark.parametrize(("count", "longest"), [(1000, 200_000), (20_000, 3_000_000)])
def test_one_long_class_does_not_make_the_others_long(count: int, longest: int, tmp_path: Path) -> None:
    """An array of text of fixed width takes as much for each as for the longest."""
    tree, arrays = contents("classifier")
    tree["target"]["classes"] = [*map(str, range(count)), "x" * longest]
    (tmp_path / "m").write_bytes(signed(json.dumps(tree), arrays))
    with bounded_memory(), pytest.raises(FileError, match="a network does not fit its columns or target"):
        load_estimator(tmp_path / "m")


@pytest.mark.parametrize(("kind", "times"), [("network", 2.3), ("classifier", 3.5)])
def test_memory_is_a_small_multiple_of_the_file(kind: str, times: float, tmp_path: Path) -> None:
    """What was read, and the networks, which an estimator has in double."""
    path, opening = tmp_path / "large.nineline", "from nineline import Network; load = Network.load"
    if kind == "network":
        Network(1000, 4000, 1, rng=0).save(path)
    else:
        opening = "from nineline.estimators import load"
        X = np.random.default_rng(0).normal(size=(50, 3))
        TabularClassifier((2500, 2500), n_members=1, max_epochs=1, random_state=0).fit(X, np.arange(50) % 2).save(path)
    size = path.stat().st_size
    code = (
        f"import resource, sys; {opening}; load(sys.argv[2])\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "load(sys.argv[1]); print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)"
    )
    small = GOLDEN / str(FORMAT_VERSION) / f"{kind}.nineline"
    done = subprocess.run([sys.executable, "-c", code, path, small], capture_output=True, text=True, check=True)
    assert int(done.stdout) < times * size


# Settings


@pytest.mark.parametrize("kind", ["classifier", "regressor"])
@pytest.mark.parametrize(
    "setting", [{"checkpoint": "/tmp/m"}, {"resume": True}, {"n_jobs": 10**6}, {"checkpoint": None}, {"own": 1}]
)
def test_a_file_sets_nothing_that_writes_or_takes_a_machine(kind: str, setting: dict[str, Any], tmp_path: Path) -> None:
    tree, arrays = contents(kind)
    (tmp_path / "m").write_bytes(signed(json.dumps(tree), arrays))
    assert load_estimator(tmp_path / "m").checkpoint is None
    tree["settings"] |= setting
    (tmp_path / "m").write_bytes(signed(json.dumps(tree), arrays))
    with pytest.raises(FileError, match=f"settings that a file cannot make: {next(iter(setting))}"):
        load_estimator(tmp_path / "m")


def test_every_setting_is_one_of_a_file_or_one_of_a_machine() -> None:
    for kind in (TabularClassifier, TabularRegressor):
        there = set(kind().get_params())
        assert there | {"class_weight", "quantiles"} == SETTINGS | {"checkpoint", "resume", "n_jobs"}


# Messages


@pytest.mark.parametrize("text", ["x" * 1_000_000, "\x1b[2J\x07evil\r\nline"], ids=["long", "obeyed"])
@pytest.mark.parametrize(
    ("kind", "where"),
    [
        ("classifier", ["kind"]),
        ("classifier", ["estimator"]),
        ("classifier", ["settings", None]),
        ("classifier", ["target", "dtype"]),
        ("classifier", ["columns", "used", 0, "kind"]),
        ("classifier", ["columns", "used", 0, "center"]),
        ("classifier", ["members", 0, "layers", 0, "activation", "name"]),
        ("trainer", ["rule", "loss", "name"]),
        ("trainer", ["training", "random", "bit_generator"]),
        ("network", ["network", "dtype"]),
    ],
)
def test_messages_quote_little_and_nothing_that_a_terminal_obeys(
    kind: str, where: list[Any], text: str, tmp_path: Path
) -> None:
    tree, arrays = contents(kind)
    owner = parent(tree, tuple(where))
    owner[text if where[-1] is None else where[-1]] = text
    (tmp_path / "m").write_bytes(signed(json.dumps(tree), arrays))
    with pytest.raises(FileError) as caught:
        load(kind, tmp_path / "m")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 5000


# Showing


def shown(path: Path) -> str:
    out = io.StringIO()
    print_file(Console(file=out, width=200), "m", read_header(path))
    return out.getvalue()


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (
            "network",
            ["m, network, format 1", "Layer(3, 4, 'tanh', bias=True) → Dropout(0.25)", "Elu(alpha=0.5)"],
        ),
        (
            "checkpoint",
            ["m, checkpoint, format 1", "steps by the reference engine", "Adam(learning_rate=0.01"],
        ),
        ("classifier", ["TabularClassifier", "hi, lo, mid", "category", "constant", "green, red"]),
        ("regressor", ["TabularRegressor", "target      target", "test rows 0"]),
        (
            "trainer",
            ["m, trainer, format 3", "trainable=False", "4 steps", "cross_entropy(", "adam(learning_rate=0.01"],
        ),
    ],
)
def test_show_says_what_is_inside_without_the_weights(kind: str, said: list[str], tmp_path: Path) -> None:
    data = bytearray((GOLDEN / str(SINCE.get(kind, 1)) / f"{kind}.nineline").read_bytes())
    data[-8:] = b"\xff" * 8  # the last weight's bytes, which nobody reads here
    (tmp_path / "m").write_bytes(data)
    text = shown(tmp_path / "m")
    for each in said:
        assert each in text, each
    with pytest.raises(FileError, match="altered or damaged"):
        load(kind, tmp_path / "m")


def test_show_does_not_obey_a_stranger(tmp_path: Path) -> None:
    data = (GOLDEN / "1" / "regressor.nineline").read_bytes()
    (tmp_path / "m").write_bytes(data.replace(b'\\\\\\"target\\\\\\"', b"target"))
    length = int.from_bytes(data[:8], "little")
    tree = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["nineline"])
    tree["target"]["name"] = "\x1b[2J\x07evil\r\nline"
    tree["digest"] = "0" * 64
    (tmp_path / "m").write_bytes(signed(json.dumps(tree), dict(from_bytes(data))))
    text = shown(tmp_path / "m")
    assert r"\x1b[2J\x07evil\r\nline" in text
    assert "\x1b" not in text


@pytest.mark.parametrize("where", ["target", "column", "reason", "class", "evaluation"])
def test_show_does_not_print_a_page_of_one_text(where: str, tmp_path: Path) -> None:
    tree, arrays = contents("classifier")
    text = "x y" * 1_000_000
    if where == "class":
        tree["target"]["classes"][0] = text
    elif where == "evaluation":
        tree["evaluation"] = {text: 1.0}
    else:
        owner = {
            "target": tree["target"],
            "column": tree["columns"]["used"][0],
            "reason": tree["columns"]["dropped"][0],
        }
        owner[where]["reason" if where == "reason" else "name"] = text
    (tmp_path / "m").write_bytes(signed(json.dumps(tree), arrays))
    began = time.process_time()
    assert len(shown(tmp_path / "m")) < 100_000
    assert time.process_time() - began < 2


def test_estimators_of_either_kind_are_what_they_say() -> None:
    assert isinstance(load_estimator(GOLDEN / "1" / "classifier.nineline"), TabularClassifier)
    assert isinstance(load_estimator(GOLDEN / "1" / "regressor.nineline"), TabularRegressor)
    with pytest.raises(FileError, match="holds a TabularRegressor, expected a TabularClassifier"):
        TabularClassifier.load(GOLDEN / "1" / "regressor.nineline")
