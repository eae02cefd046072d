"""The Jacobian of exported C is that of differences, takes what is said, and compiles without a warning."""

from __future__ import annotations

import re
import shutil
import subprocess
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from nineline import Dropout, Embedding, Layer, LayerNorm, Network, Residual
from nineline.activations import ACTIVATIONS, Elu, LeakyRelu
from nineline.ensemble import Ensemble
from nineline.estimators import MLPClassifier, MLPRegressor
from nineline.interchange import to_c
from nineline.interchange.rounding import round_network
from nineline.interchange.samples import sample_inputs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Matrix = np.ndarray[Any, Any]

REAL = {"float32": "float", "float64": "double"}
TOLERANCE = {"float32": 2e-5, "float64": 1e-12}
OF_DIFFERENCES = {"float32": 2e-5, "float64": 1e-7}
ROWS = 20


def nest(depth: int) -> Residual:
    """Return residual connections inside each other, each of which keeps what goes into it."""
    return Residual(Layer(3, 3, "sigmoid"), *([nest(depth - 1)] if depth else []), LayerNorm())


EVERY: dict[str, Any] = {
    **{name: kind() for name, kind in ACTIVATIONS.items()},
    "steep": LeakyRelu(-0.2),
    "shallow": Elu(0.4),
}
LAYERS: dict[str, list[Any]] = {
    "one_input": [Layer(1, 3, "tanh"), Layer(3, 2, "softmax", bias=True)],
    "one_output": [Layer(4, 3, "silu", bias=True), Layer(3, 1, "identity")],
    "one_of_each": [Layer(1, 1, "sigmoid", bias=True)],
    "straight": [Layer(3, 2, "identity", bias=True)],
    "only_softmax": [Layer(3, 4, "softmax", bias=True)],
    "wide": [Layer(12, 300, "tanh", bias=True), Layer(300, 40, "mish"), Layer(40, 7, "sigmoid")],
    "narrow": [Layer(40, 2, "sigmoid"), Layer(2, 9, "identity"), Layer(9, 6, "softplus")],
    "dropout": [Dropout(0.2), Layer(3, 5, "tanh"), Dropout(0.5), Layer(5, 2, "sigmoid")],
    "normed": [LayerNorm(), Layer(6, 9, "tanh", bias=True), LayerNorm(0.1), Layer(9, 3, "sigmoid")],
    "normed_twice": [LayerNorm(), LayerNorm(0.1), Layer(5, 2, "identity")],
    "residual": [Residual(Layer(5, 8, "elu", bias=True), Layer(8, 5, "identity")), Layer(5, 2, "softplus")],
    "doubled": [Residual(Dropout(0.5)), Residual(Dropout(0.5)), Layer(3, 2, "exponential")],
    "shares": [Residual(Layer(4, 4, "softmax")), Residual(Layer(4, 4, "softmax")), Layer(4, 3, "softmax")],
    "shares_doubled": [Layer(3, 4, "softmax"), Residual(Dropout(0.5)), LayerNorm(), Layer(4, 3, "tanh")],
    "nested": [
        Residual(LayerNorm(), Residual(LayerNorm(), Layer(5, 7, "gelu", bias=True), Layer(7, 5, "softmax")), Dropout()),
        Residual(Residual(Residual(Layer(5, 5, "selu")), LayerNorm(0.1)), Layer(5, 5, "identity")),
        Layer(5, 2, "identity"),
    ],
    "deep": [*(Residual(LayerNorm(), Layer(9, 9, "tanh", bias=True)) for _ in range(30)), Layer(9, 2, "tanh")],
    "inside": [nest(14), Layer(3, 2, "sigmoid")],
    "levels": [Embedding(40, 3), Layer(3, 2, "tanh", bias=True)],
    "columns": [Embedding([3, 200, 1], [2, 5, 1], numbers=2), Residual(Layer(10, 10, "tanh")), Layer(10, 3)],
}


def built(layers: list[Any], dtype: str = "float64") -> Network:
    """Return a network of copies of some layers, at parameters away from where they begin."""
    rng = np.random.default_rng(3)
    network = Network(*deepcopy(layers), rng=rng, dtype=dtype).astype(dtype)
    network.parameters = network.parameters + rng.normal(0, 0.3, network.parameters.size).astype(dtype)
    return network


@pytest.fixture(scope="module")
def networks() -> dict[str, Network]:
    """Return networks of every activation, as a hidden layer and as the output, and of every kind of layer."""
    found = {}
    for name, kind in EVERY.items():
        found[f"hidden_{name}"] = built([Layer(3, 5, kind, bias=True), Layer(5, 4, kind), Layer(4, 2, "identity")])
        found[f"output_{name}"] = built([Layer(3, 5, "tanh", bias=True), Layer(5, 3, kind, bias=True)])
    return found | {name: built(layers) for name, layers in LAYERS.items()}


def without_gelu(networks: dict[str, Network]) -> dict[str, Network]:
    return {name: network for name, network in networks.items() if "gelu" not in repr(network)}


def of_type(networks: dict[str, Network], dtype: str) -> dict[str, Network]:
    return {name: network.astype(dtype) for name, network in networks.items()}


def driver(networks: dict[str, Network], real: str) -> str:
    """Return a program that reads rows of doubles for each network in turn, and writes answers and Jacobians."""
    calls = "".join(
        f"  for (r = 0; r < {ROWS}; ++r) {{\n    {real} x[{n.n_inputs}], y[{n.n_outputs}];\n"
        f"    {real} slopes[{n.n_outputs}][{n.n_inputs}];\n    for (i = 0; i < {n.n_inputs}; ++i)\n"
        f"      if (fread(&given, sizeof given, 1, stdin) != 1) return 1; else x[i] = ({real})given;\n"
        f"    {name}_jacobian(x, y, slopes);\n    for (j = 0; j < {n.n_outputs}; ++j) {{\n"
        f"      given = y[j], fwrite(&given, sizeof given, 1, stdout);\n      for (i = 0; i < {n.n_inputs}; ++i)\n"
        "        given = slopes[j][i], fwrite(&given, sizeof given, 1, stdout);\n    }\n  }\n"
        for name, n in networks.items()
    )
    includes = "".join(f'#include "{name}.h"\n' for name in networks)
    opening = "int main(void)\n{\n  double given;\n  int r, i, j;\n"
    return f"{includes}#include <stdio.h>\n{opening}{calls}  return 0;\n}}\n"


def in_c(
    cc: Callable[..., Path],
    folder: Path,
    networks: dict[str, Network],
    dtype: str,
    inputs: dict[str, Matrix],
    **options: Any,
) -> dict[str, tuple[Matrix, Matrix]]:
    """Return of each network what its program answers for inputs, (rows, outputs) and (rows, outputs, inputs)."""
    for name, network in networks.items():
        to_c(network, name, dtype=dtype, jacobian=True, **options).write(folder)
    (folder / "driver.c").write_text(driver(networks, REAL[dtype]))
    program = cc(folder, "driver.c", *[f"{name}.c" for name in networks], libm=options.get("libm", True))
    data = b"".join(inputs[name].astype(np.float64).tobytes() for name in networks)
    numbers = np.frombuffer(subprocess.run([program], input=data, capture_output=True, check=True).stdout)
    found = {}
    for name, network in networks.items():
        shape = ROWS, network.n_outputs, 1 + network.n_inputs
        piece, numbers = np.split(numbers, [np.prod(shape)])
        found[name] = piece.reshape(shape)[:, :, 0], piece.reshape(shape)[:, :, 1:]
    assert len(numbers) == 0
    return found


def sampled(networks: dict[str, Network]) -> dict[str, Matrix]:
    return {name: sample_inputs(ROWS, network) for name, network in networks.items()}


def differences(network: Network, inputs: Matrix, step: float = 1e-5) -> tuple[Matrix, Matrix]:
    """Return central differences, (rows, outputs, inputs), and which rows they are none of, by a kink."""
    first = network.layers[0]
    levels = len(first.levels) if isinstance(first, Embedding) else 0
    middle, slopes = network.run(inputs), np.zeros((len(inputs), network.n_outputs, network.n_inputs))
    bent = np.zeros(len(inputs), bool)
    for column in range(levels, network.n_inputs):
        move = step * np.eye(network.n_inputs)[column]
        after, before = network.run(inputs + move), network.run(inputs - move)
        slopes[:, :, column] = (after - before) / (2 * step)
        jumps = np.abs(after - 2 * middle + before) / step
        bent |= (jumps > 1e-2 * (1 + np.abs(slopes[:, :, column]))).any(axis=1)
    return slopes, bent


def assert_slopes(network: Network, inputs: Matrix, found: tuple[Matrix, Matrix], dtype: str) -> None:
    """Hold answers and Jacobians together with Python's and with differences, relative to 1 or what is larger."""
    wide = network.astype(np.float64)
    outputs, slopes = found
    by_hand, bent = differences(wide, inputs)
    assert bent.mean() <= 0.1
    for name, mine, truth, tolerance in (
        ("outputs", outputs, wide.run(inputs), TOLERANCE[dtype]),
        ("jacobian", slopes, wide.jacobian(inputs), TOLERANCE[dtype]),
        ("differences", slopes[~bent], by_hand[~bent], OF_DIFFERENCES[dtype]),
    ):
        assert (np.abs(mine - truth) / (1 + np.abs(truth))).max() <= tolerance, (name, network)


@pytest.mark.parametrize("libm", [True, False], ids=["with math.h", "without"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_derivatives_are_those_of_differences(
    dtype: str, libm: bool, cc: Any, networks: dict[str, Network], tmp_path: Path
) -> None:
    some = of_type(networks if libm else without_gelu(networks), dtype)
    inputs = sampled(some)
    for name, found in in_c(cc, tmp_path, some, dtype, inputs, libm=libm).items():
        assert_slopes(some[name], inputs[name], found, dtype)
    used = "".join((tmp_path / f"{name}.c").read_text().split("#ifdef NINELINE_SELF_TEST")[0] for name in some)
    assert ("#include <math.h>" in used) is libm


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_generated_networks_give_their_derivatives(
    dtype: str, cc: Any, make_networks: Any, make_embeddings: Any, tmp_path: Path
) -> None:
    networks = make_networks(dtype) | make_embeddings(dtype)
    inputs = sampled(networks)
    for name, found in in_c(cc, tmp_path, networks, dtype, inputs).items():
        truth = networks[name].astype(np.float64).jacobian(inputs[name])
        assert np.abs(found[1] - truth).max() <= TOLERANCE[dtype] * (1 + np.abs(truth).max()), name


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_networks_of_eight_bits_have_the_derivatives_of_their_rounded_twins(
    dtype: str, cc: Any, networks: dict[str, Network], tmp_path: Path
) -> None:
    some = of_type({name: networks[name] for name in LAYERS}, dtype)
    inputs, moved = sampled(some), 0
    for name, found in in_c(cc, tmp_path, some, dtype, inputs, int8=True).items():
        twin, _ = round_network(some[name])
        assert isinstance(twin, Network)
        moved += not np.array_equal(twin.parameters, some[name].parameters)
        assert_slopes(twin, inputs[name], found, dtype)
    assert moved >= len(some) - 1  # one weight alone is its own scale


@pytest.mark.parametrize("libm", [True, False], ids=["with math.h", "without"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_slopes_are_right_to_the_ends_of_the_sums(dtype: str, libm: bool, cc: Any, tmp_path: Path) -> None:
    """A network of one weight of 1 is its activation: the Jacobian is the slope."""
    networks = {
        f"one_{name}": Network(Layer.of([[1.0]], activation=kind)).astype(dtype)
        for name, kind in EVERY.items()
        if (libm or name != "gelu") and name != "exponential"
    }
    ends = [0.5, 3, 10, 19.5, 20.5, 40, 80, 500, 3e4, 1e18]
    inputs = dict.fromkeys(networks, np.array([*ends, *[-end for end in ends]])[:, np.newaxis])
    for name, (_, slopes) in in_c(cc, tmp_path, networks, dtype, inputs, libm=libm).items():
        with np.errstate(over="ignore"):
            truth = networks[name].astype(np.float64).jacobian(inputs[name])
        np.testing.assert_allclose(slopes, truth, atol=TOLERANCE[dtype] / 10, err_msg=name)


def test_levels_alone_have_no_derivative(cc: Any, networks: dict[str, Network], tmp_path: Path) -> None:
    some = {name: networks[name] for name in ("levels", "columns")}
    found = in_c(cc, tmp_path, some, "float64", sampled(some))
    assert not found["levels"][1].any()
    assert not found["columns"][1][:, :, :3].any()
    assert found["columns"][1][:, :, 3:].all()
    assert "slope" not in (tmp_path / "levels.c").read_text().split("#ifdef NINELINE_SELF_TEST")[0]


# The self-test


def tried(cc: Callable[..., Path], folder: Path, name: str, *, libm: bool = True) -> subprocess.CompletedProcess[str]:
    program = cc(folder, f"{name}.c", options=("-DNINELINE_SELF_TEST",), libm=libm)
    return subprocess.run([program], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["one_input", "nested", "columns", "levels", "hidden_gelu"])
def test_the_self_test_has_derivatives(
    name: str, dtype: str, cc: Any, networks: dict[str, Network], tmp_path: Path
) -> None:
    for options in ({}, {"int8": True}):
        to_c(networks[name], name, dtype=dtype, jacobian=True, **options).write(tmp_path)
        done = tried(cc, tmp_path, name)
        assert re.fullmatch(rf"{name}: 8 recorded rows, largest difference \S+: passed\n", done.stdout)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("return 1 - y * y;", "return 1 - y;"),
        ("jacobian[output][i] = sum;", "jacobian[output][i] = -sum;"),
        ("outputs[j] = unit_sigmoid(sum);", "outputs[j] = sum;"),
    ],
    ids=["a slope", "a sign", "an output"],
)
def test_a_self_test_finds_a_wrong_derivative(right: str, wrong: str, cc: Any, tmp_path: Path) -> None:
    network = Network(Layer(3, 6, "tanh"), Layer(6, 2, "sigmoid"), rng=0)
    program = to_c(network, "spoiled", jacobian=True)
    program.write(tmp_path)
    assert tried(cc, tmp_path, "spoiled").returncode == 0
    assert program.source.count(right) == 1
    (tmp_path / "spoiled.c").write_text(program.source.replace(right, wrong))
    done = tried(cc, tmp_path, "spoiled")
    assert (done.returncode, "FAILED" in done.stdout) == (1, True)


# What it takes


@pytest.mark.parametrize("name", ["one_of_each", "straight", "only_softmax", "wide", "normed", "nested", "levels"])
def test_run_stays_as_it_is_and_tables_are_shared(name: str, networks: dict[str, Network]) -> None:
    plain, program = to_c(networks[name], name), to_c(networks[name], name, jacobian=True)
    run = plain.source[plain.source.index(f"void {name}_run") :].partition("#ifdef")[0]
    assert run in program.source
    assert program.flash == plain.flash
    assert program.ram >= plain.ram
    assert "jacobian" not in plain.header + plain.source
    assert networks[name].to_c(name, jacobian=True) == program


@pytest.mark.parametrize("int8", [False, True])
@pytest.mark.parametrize("name", ["wide", "normed", "nested", "narrow", "shares", "columns"])
def test_ram_is_what_the_compiler_counts(name: str, int8: bool, networks: dict[str, Network], tmp_path: Path) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("no gcc on this machine")
    program = to_c(networks[name], name, int8=int8, jacobian=True)
    program.write(tmp_path)
    command = ["gcc", "-std=c99", "-Os", "-fno-inline", "-fstack-usage", "-c", f"{name}.c"]
    subprocess.run(command, cwd=tmp_path, check=True)
    stack = {
        line.split(":")[-1].split("\t")[0]: int(line.split("\t")[1])
        for line in (tmp_path / f"{name}.su").read_text().splitlines()
    }
    assert program.ram <= stack[f"{name}_jacobian"] <= program.ram + 200
    assert stack[f"{name}_run"] <= program.ram + 160
    assert f"its arrays {program.ram:,} bytes of stack" in program.header


def test_ram_of_the_tutorial_s_network_by_hand() -> None:
    """Six sums and the error that comes back to them, six slopes, one slope of the output."""
    assert to_c(Network(3, 6, 1), jacobian=True).ram == (6 + 6 + 1) * 4
    assert to_c(Network(Layer(3, 2, "identity")), jacobian=True).ram == 2 * 4  # run has an array; this has none


def test_a_header_is_one_of_c_plus_plus_too(networks: dict[str, Network], tmp_path: Path) -> None:
    if shutil.which("g++") is None:
        pytest.skip("no C++ compiler on this machine")
    to_c(networks["nested"], "nested", jacobian=True).write(tmp_path)
    (tmp_path / "user.cpp").write_text('#include "nested.h"\n')
    subprocess.run(["g++", "-std=c++20", "-Wall", "-Werror", "-c", "user.cpp"], cwd=tmp_path, check=True)


# Estimators


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_a_drop_in_estimator_gives_the_derivatives_of_its_network(kind: Any, cc: Any, tmp_path: Path) -> None:
    X = np.random.default_rng(0).normal(size=(60, 3))
    model = kind(hidden_layer_sizes=(4,), activation="tanh", max_iter=3, random_state=0).fit(X, X[:, 0] > 0)
    to_c(model, "dropin", dtype="float64", jacobian=True).write(tmp_path)
    assert "passed" in tried(cc, tmp_path, "dropin").stdout


def test_a_network_behind_columns_can_be_exported_alone(models: Any, cc: Any, tmp_path: Path) -> None:
    to_c(models["two"].network_, "two", dtype="float64", jacobian=True).write(tmp_path)
    assert "passed" in tried(cc, tmp_path, "two").stdout


class Several:
    """An estimator of two networks that takes numbers as they are."""

    network_ = Ensemble([Network(2, 1, rng=0), Network(2, 1, rng=1)])

    def fit(self) -> None:
        """Learn nothing."""


@pytest.mark.parametrize(
    ("which", "message"),
    [
        ("two", r"jacobian is True, and model is a TabularClassifier, .*rows of a table.*; export its network_, which"),
        ("number", r"jacobian is True, and model is a TabularRegressor, .*; export each of its network_\.networks, wh"),
        ("several", r"jacobian is True, and model is a Several of 2 networks; expected one: export each of its netw"),
    ],
)
def test_what_has_no_jacobian_is_refused_with_a_way_out(which: str, message: str, models: Any) -> None:
    model = Several() if which == "several" else models[which]
    with pytest.raises(ValueError, match=message):
        to_c(model, jacobian=True)
    assert to_c(model).ram > 0


def test_gelu_cannot_be_without_math_h() -> None:
    with pytest.raises(ValueError, match=r"gelu needs erf of math\.h"):
        to_c(Network(2, 3, 1, activation="gelu"), libm=False, jacobian=True)
