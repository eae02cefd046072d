"""Exported C compiles without a warning, does nothing undefined, and answers as the network does."""

from __future__ import annotations

import datetime as dt
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pytest

from nineline import Activation, Embedding, Layer, Network
from nineline.estimators import TabularClassifier, TabularRegressor
from nineline.interchange import to_c
from nineline.interchange.c.text import comment, identifier, stem, string
from nineline.interchange.rounding import cost, round_network
from nineline.interchange.samples import encode, sample_inputs, sample_rows

if TYPE_CHECKING:
    from collections.abc import Callable

TOLERANCE = {"float32": 1e-6, "float64": 1e-12}
REAL = {"float32": "float", "float64": "double"}
ROWS = 50


def driver(networks: dict[str, Network], real: str) -> str:
    """Return a program that reads rows of doubles for each network in turn, and writes its answers."""
    calls = [
        f"  for (r = 0; r < {ROWS}; ++r) {{\n    for (i = 0; i < {n.n_inputs}; ++i)\n"
        f"      if (fread(&given, sizeof given, 1, stdin) != 1) return 1; else x[i] = ({real})given;\n"
        f"    {name}_run(x, y);\n"
        f"    for (i = 0; i < {n.n_outputs}; ++i) given = y[i], fwrite(&given, sizeof given, 1, stdout);\n  }}\n"
        for name, n in networks.items()
    ]
    includes = "".join(f'#include "{name}.h"\n' for name in networks)
    opening = f"int main(void)\n{{\n  static {real} x[64], y[64];\n  double given;\n  int r, i;\n"
    return f"{includes}#include <stdio.h>\n{opening}{''.join(calls)}  return 0;\n}}\n"


def answers_in_c(
    cc: Callable[..., Path],
    folder: Path,
    networks: dict[str, Network],
    dtype: str,
    inputs: dict[str, np.ndarray[Any, Any]] | None = None,
    **options: Any,
) -> list[tuple[Network, np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
    """Return each network with inputs, (rows, n_inputs), and what its program makes of them."""
    rng = np.random.default_rng(1)
    scales = np.where(np.arange(ROWS) < 40, 1, np.where(np.arange(ROWS) < 47, 30, 3000))[:, np.newaxis]
    given = [(rng.normal(size=(ROWS, n.n_inputs)) * scales).astype(np.float32) for n in networks.values()]
    given = given if inputs is None else [inputs[name] for name in networks]
    for name, network in networks.items():
        to_c(network, name, dtype=dtype, **options).write(folder)
    (folder / "driver.c").write_text(driver(networks, REAL[dtype]))
    sources = [f"{name}.c" for name in networks]
    program = cc(folder, "driver.c", *sources, libm=options.get("libm", True))
    data = b"".join(x.astype(np.float64).tobytes() for x in given)
    done = subprocess.run([program], input=data, capture_output=True, check=True)
    outputs, found = np.frombuffer(done.stdout), []
    for network, x in zip(networks.values(), given, strict=True):
        size = ROWS * network.n_outputs
        found.append((network, x, outputs[:size].reshape(ROWS, -1)))
        outputs = outputs[size:]
    assert len(outputs) == 0
    return found


def assert_same(network: Network, inputs: Any, outputs: Any, tolerance: float, rows: int = ROWS) -> None:
    """Hold answers together, to a tolerance of 1 or of the largest number that a row meets on its way."""
    with np.errstate(over="ignore", invalid="ignore"):  # an exponential of thousands, and what follows
        expected = network.run(inputs)
        network.forward(inputs)
        met = np.max([np.abs(layer.outputs).max(axis=1) for layer in network.layers], axis=0)
    ordinary = met < 1e5
    ordinary[rows:] = False
    assert ordinary[:40].mean() > 0.9
    gap = np.abs(outputs[ordinary] - expected[ordinary]).max(axis=1) / np.maximum(1, met[ordinary])
    assert gap.max() <= tolerance, repr(network)


@pytest.mark.parametrize("libm", [True, False], ids=["with math.h", "without"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_generated_networks_answer_as_run_does(
    dtype: str, libm: bool, cc: Any, make_networks: Any, tmp_path: Path
) -> None:
    networks = make_networks(dtype, without=() if libm else ("gelu",))
    for network, inputs, outputs in answers_in_c(cc, tmp_path, networks, dtype, libm=libm):
        rows = (
            ROWS if dtype == "float64" else 40
        )  # sums of thousands leave float fewer digits than six behind the point
        assert_same(network, inputs, outputs, TOLERANCE[dtype], rows)
        assert np.isfinite(outputs[:40]).all()
    used = "".join((tmp_path / f"{name}.c").read_text() for name in networks)
    assert ("#include <math.h>" in used) is libm


def test_networks_of_eight_bits_answer_as_their_rounded_twins(cc: Any, make_networks: Any, tmp_path: Path) -> None:
    networks = make_networks("float64")
    for network, inputs, outputs in answers_in_c(cc, tmp_path, networks, "float64", int8=True):
        twin, _ = round_network(network)
        assert not np.array_equal(twin.parameters, network.parameters)
        assert_same(twin, inputs, outputs, 1e-12)


@pytest.mark.parametrize("libm", [True, False], ids=["with math.h", "without"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_embeddings_answer_as_run_does_and_what_is_no_level_is_zeros(
    dtype: str, libm: bool, cc: Any, make_embeddings: Any, tmp_path: Path
) -> None:
    networks = make_embeddings(dtype)
    inputs = {name: sample_inputs(ROWS, network) for name, network in networks.items()}
    found = answers_in_c(cc, tmp_path, networks, dtype, inputs=inputs, libm=libm)
    for network, given, outputs in found:
        assert_same(network, given, outputs, TOLERANCE[dtype])
    strange = np.array([[-1.0], [40.0], [1e30], [-np.inf], [np.nan], *[[0.0]] * (ROWS - 5)])
    network = Network(Embedding(40, 3), Layer(3, 2, "tanh", bias=True), rng=0, dtype=dtype)
    network.layers[1].bias = [0.5, -0.25]
    ((_, _, outputs),) = answers_in_c(cc, tmp_path, {"n": network}, dtype, inputs={"n": strange}, libm=libm)
    np.testing.assert_allclose(outputs[:5], np.tanh([[0.5, -0.25]] * 5), rtol=1e-6)


def test_an_embedding_costs_what_its_vectors_take() -> None:
    program = to_c(Network(Embedding(100, 4), Layer(4, 1, "identity"), rng=0))
    assert (program.flash, program.ram) == ((400 + 4) * 4, (4 + 1) * 4)


def test_gelu_cannot_be_without_math_h(cc: Any) -> None:
    with pytest.raises(ValueError, match=r"gelu needs erf of math\.h"):
        to_c(Network(2, 3, 1, activation="gelu"), libm=False)


# Models of tables


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_models_of_tables_take_raw_rows(dtype: str, cc: Any, models: Any, tmp_path: Path) -> None:
    """The self-test holds rows of every kind, missing and unseen values among them, and what Python made of them."""
    for name, model in models.items():
        program = to_c(model, name, dtype=dtype)
        program.write(tmp_path)
        tried = cc(tmp_path, f"{name}.c", options=("-DNINELINE_SELF_TEST",))
        said = subprocess.run([tried], capture_output=True, text=True, check=True).stdout
        assert re.fullmatch(rf"{name}: 8 recorded rows, largest difference \S+: passed\n", said)
        assert float(said.split()[6].strip(":")) <= {"float32": 5e-6, "float64": 1e-12}[dtype]


def test_a_column_that_is_there_or_not(present: Any, cc: Any, tmp_path: Path) -> None:
    program = to_c(present, "present")
    program.write(tmp_path)
    compiled = cc(tmp_path, "present.c", options=("-DNINELINE_SELF_TEST",))
    done = subprocess.run([compiled], check=True, capture_output=True)
    assert b"passed" in done.stdout
    assert "float once; /* once: whether it is there; NAN where it is missing */" in program.header


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_category_of_many_levels(dtype: str, embedded: Any, cc: Any, tmp_path: Path) -> None:
    """The self-test has levels, unseen ones and missing ones among its rows."""
    program = to_c(embedded, "levels", dtype=dtype)
    program.write(tmp_path)
    done = subprocess.run(
        [cc(tmp_path, "levels.c", options=("-DNINELINE_SELF_TEST",))], check=True, capture_output=True
    )
    assert b"passed" in done.stdout


def test_a_level_is_found_by_halves(embedded: Any, cc: Any, tmp_path: Path) -> None:
    to_c(embedded, "levels", dtype="float64").write(tmp_path)
    asked = ["ä 0", "z 598", "é 599", "ä 59", "é 5", "rare one", "zz", "", "  ", "\u3000é 599 "]
    rows = ", ".join("{" + f'"{text}", 0.5' + "}" for text in asked) + ", {NULL, 0.5}"
    (tmp_path / "main.c").write_text(f"""#include <stdio.h>
#include "levels.c"
int main(void)
{{
  const levels_row rows[] = {{{rows}}};
  int i;
  for (i = 0; i < {len(asked) + 1}; ++i) printf("%.17g\\n", levels_predict(&rows[i]));
  return 0;
}}
""")
    done = subprocess.run([cc(tmp_path, "main.c")], check=True, capture_output=True, text=True)
    expected = embedded.predict(pl.DataFrame({"x": [0.5] * 11, "level": [*asked, None]}))
    np.testing.assert_allclose([float(line) for line in done.stdout.split()], expected, rtol=1e-12)


def test_a_self_test_finds_a_wrong_weight(cc: Any, models: Any, tmp_path: Path) -> None:
    program = to_c(models["three"], "spoiled")
    program.write(tmp_path)
    source = (tmp_path / "spoiled.c").read_text()
    begin = source.index("static const float bias_4")
    spoiled = source[:begin] + re.sub(r"\{\S+f", "{1.5f", source[begin:], count=1)
    (tmp_path / "spoiled.c").write_text(spoiled)
    tried = cc(tmp_path, "spoiled.c", options=("-DNINELINE_SELF_TEST",))
    done = subprocess.run([tried], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "FAILED" in done.stdout


CALLS = {  # what a device does with a row: the text that the program prints, by model
    "three": ('k = NAME_classify(row, p); printf("%s %.17g %.17g %.17g\\n", NAME_classes[k], p[0], p[1], p[2]);', 3),
    "two": ('k = NAME_classify(row, p); printf("%s %.17g %.17g\\n", NAME_classes[k], p[0], p[1]);', 2),
    "number": ('k = 0; p[k] = NAME_predict(row); printf("- %.17g\\n", p[0]);', 1),
    "skewed": ('k = 0; p[k] = NAME_predict(row); printf("- %.17g\\n", p[0]);', 1),
}


@pytest.mark.parametrize("name", CALLS)
def test_classify_and_predict_answer_as_the_estimator(name: str, cc: Any, models: Any, tmp_path: Path) -> None:
    from nineline.interchange.c.activations import REALS
    from nineline.interchange.c.columns import row_in_c

    model = models[name]
    to_c(model, name, dtype="float64").write(tmp_path)
    samples = sample_rows(60, model.columns_)
    rows = [row_in_c(model.columns_, {k: v[i] for k, v in samples.items()}, REALS["float64"]) for i in range(60)]
    call, width = CALLS[name]
    (tmp_path / "device.c").write_text(
        f'#include "{name}.h"\n#include <math.h>\n#include <stdio.h>\n'
        f"int main(void)\n{{\n  static const {name}_row rows[60] = {{\n"
        + ",\n".join(f"    {{{', '.join(row)}}}" for row in rows)
        + f"\n  }};\n  double p[{width}];\n  int r, k;\n  for (r = 0; r < 60; ++r) {{\n"
        f"    const {name}_row *row = &rows[r];\n    {call.replace('NAME', name)}\n  }}\n  return 0;\n}}\n"
    )
    program = cc(tmp_path, "device.c", f"{name}.c")
    lines = subprocess.run([program], capture_output=True, text=True, check=True).stdout.splitlines()
    outputs = model.network_.run(encode(samples, model.columns_))
    found = np.array([line.split()[1:] for line in lines], float)
    if width == 1:
        assert model.scaling_.log is (name == "skewed")
        expected = model.scaling_.answers(outputs)[:, np.newaxis]
    else:
        expected = outputs if name == "three" else np.hstack([1 - outputs, outputs])
        labels = model.classes_[expected.argmax(axis=1)]
        assert [line.split()[0] for line in lines] == [str(label) for label in labels]
        assert len(set(labels)) > 1
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_a_number_by_its_logarithm_needs_no_library_either(cc: Any, table: pl.DataFrame, tmp_path: Path) -> None:
    X = table.select("size [cm]", "class")
    model = TabularRegressor((4,), n_members=1, max_epochs=3, random_state=0).fit(X, np.exp(X["size [cm]"].to_numpy()))
    assert model.scaling_.log
    program = to_c(model, "bare", libm=False)
    assert "math.h" not in program.source.split("NINELINE_SELF_TEST")[0]
    program.write(tmp_path)
    said = subprocess.run([cc(tmp_path, "bare.c", options=("-DNINELINE_SELF_TEST",))], capture_output=True, check=True)
    assert b"passed" in said.stdout


@pytest.mark.parametrize(
    ("name", "target"), [("credit_g", "class"), ("bike_hour", "cnt"), ("telco_churn", "churn"), ("adult", "income")]
)
def test_real_tables(name: str, target: str, cc: Any, real_data: Path, tmp_path: Path) -> None:
    from nineline.estimators.session import train_on_table
    from nineline.tables import read_table

    frame = read_table(real_data / "tabular" / f"{name}.csv")[:3000]
    target = target if target in frame.columns else frame.columns[-1]
    model = train_on_table(frame, target, max_epochs=2, hidden_layer_sizes=(8,)).model
    to_c(model, name, dtype="float64", libm=name == "bike_hour").write(tmp_path)
    tried = cc(tmp_path, f"{name}.c", options=("-DNINELINE_SELF_TEST",))
    said = subprocess.run([tried], capture_output=True, text=True, check=True).stdout
    assert float(said.split()[6].strip(":")) < 1e-12
    rows = model.select(frame.drop(target))
    assert model.columns_.encode(nw.from_native(rows)).shape == (frame.height, model.columns_.width)


def test_a_text_is_read_as_python_reads_it(cc: Any, tmp_path: Path) -> None:
    """Blanks around it are those of str.strip, which has some beyond ASCII."""
    levels = ["a", "a b", "é", "中"]
    table = pl.DataFrame({"text": levels * 20})
    model = TabularRegressor((2,), n_members=1, max_epochs=1, random_state=0).fit(table, np.arange(80.0) % 4)
    to_c(model, "texts").write(tmp_path)
    around = [chr(c) for c in range(1, 0x10000) if chr(c).isspace() or c in (0x200B, 0x2060, 0xFEFF, 0x180E)]
    around += [chr(c) for c in range(1, 0x3100) if not chr(c).isspace()]
    texts = [text for blank in around for text in (f"{blank}a b{blank}{blank}", f"a{blank}b", blank)]
    texts += [*levels, "", "ab", "\xa0 \u3000中\x85"]
    literals = ",\n".join(string(text) for text in texts)
    (tmp_path / "driver.c").write_text(
        f'#include "texts.h"\n#include <stdio.h>\nstatic const char *const texts[] = {{\n{literals}\n}};\n'
        f"int main(void)\n{{\n  int i, j;\n  for (i = 0; i < {len(texts)}; ++i) {{\n"
        "    float x[TEXTS_INPUTS];\n    const texts_row row = {texts[i]};\n    texts_prepare(&row, x);\n"
        '    for (j = 0; j < TEXTS_INPUTS; ++j) printf("%d", (int)x[j]);\n    puts("");\n  }\n  return 0;\n}\n'
    )
    done = subprocess.run([cc(tmp_path, "driver.c", "texts.c")], capture_output=True, text=True, check=True)
    expected = encode({"text": texts}, model.columns_)  # type: ignore[dict-item]
    assert done.stdout.split() == ["".join(str(int(x)) for x in row) for row in expected]


@pytest.mark.parametrize("bad", ["a\0b", "a\0", "a\ud800"])
@pytest.mark.parametrize("where", ["a level", "a class"])
def test_what_no_text_in_c_can_hold_is_refused(where: str, bad: str) -> None:
    texts = pd.Series(["a", bad] * 20, dtype=object)
    levels, classes = (texts, [0, 1] * 20) if where == "a level" else ([0.5, 1.5] * 20, texts.to_numpy())
    model = TabularClassifier((2,), n_members=1, max_epochs=1, random_state=0).fit(pd.DataFrame({"x": levels}), classes)
    with pytest.raises(ValueError, match=r"which no text in C can hold; take it out of the table"):
        to_c(model)


# What it takes


def test_flash_and_ram_are_those_that_the_compiler_counts(make_networks: Any, tmp_path: Path) -> None:
    if shutil.which("gcc") is None or shutil.which("size") is None:
        pytest.skip("no gcc and size on this machine")
    network = Network(
        Layer(12, 40, "tanh", bias=True), Layer(40, 30, "relu", bias=True), Layer(30, 3, "softmax"), rng=0
    )
    for int8 in (False, True):
        program = to_c(network, "net", int8=int8, libm=False)
        program.write(tmp_path)
        command = ["gcc", "-std=c99", "-Os", "-fstack-usage", "-fno-asynchronous-unwind-tables", "-c", "net.c"]
        subprocess.run(command, cwd=tmp_path, check=True)
        counted = subprocess.run(
            ["size", "-A", "net.o"], cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout
        sections = {
            words[0]: int(words[1])
            for line in counted.splitlines()
            if (words := line.split())[1:2] and words[1].isdigit()
        }
        constants = sum(size for name, size in sections.items() if name.startswith(".rodata"))
        code = sum(size for name, size in sections.items() if name.startswith(".text"))
        assert program.flash <= constants <= program.flash + 300  # literals of the code, and alignment
        assert code < 3 * 1024
        assert sections.get(".data", 0) == sections.get(".bss", 0) == 0
        stack = {
            line.split(":")[-1].split("\t")[0]: int(line.split("\t")[1])
            for line in (tmp_path / "net.su").read_text().splitlines()
        }
        assert program.ram <= stack["net_run"] <= program.ram + 160
        assert ("signed char" in program.source) is int8
    assert program.flash < network.parameters.size * 4 / 3


def test_what_rounding_costs_is_told_on_made_up_rows_and_on_a_table(models: Any, table: pl.DataFrame) -> None:
    made_up, judged = cost(models["three"], table, models["three"].predict(table))
    assert re.match(r"outputs move by \S+ at most, \S+ on average, over 1,000 made-up rows; another one", made_up)
    assert 0.9 < float(judged.split()[-1]) < 1.0 or judged.endswith("1.0000, rounded 1.0000")


# Words


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("linux", "linux_"),
        ("stdin", "stdin_"),
        ("time", "time"),
        ("Größe", "gr_e"),
        ("int", "int_"),
        ("", "column"),
        ("3 + 4", "_3_4"),
        ("__", "column"),
        ("A-b", "a_b"),
    ],
)
def test_names_become_identifiers(text: str, name: str) -> None:
    assert identifier(text) == name


STANDARD = re.findall(
    r"\S+",
    """
    assert.h complex.h ctype.h errno.h fenv.h float.h inttypes.h iso646.h limits.h locale.h math.h setjmp.h signal.h
    stdalign.h stdarg.h stdbool.h stddef.h stdint.h stdio.h stdlib.h stdnoreturn.h string.h time.h wchar.h wctype.h
    """,
)
WORDS = re.findall(
    r"\S+",
    """
    start_day start start_second Start linux unix i386 errno stdin stdout complex bool true nullptr int8_t size_t near
    small class constexpr concept co_await decltype wchar_t xor_eq thread_local typeof run row main place inputs outputs
    levels x_levels x edges int32 float double unseen missing nan null a i j sum bent fill place_of blank_at one_hot
    """,
)


def test_no_name_is_a_macro_of_the_compiler_or_of_a_standard_header(tmp_path: Path) -> None:
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("no gcc on this machine")
    (tmp_path / "all.c").write_text("".join(f"#include <{header}>\n" for header in STANDARD))
    command = [compiler, "-std=gnu11", "-dM", "-E", "all.c"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    macros = re.findall(r"^#define ([a-z]\w*) ", done.stdout, re.MULTILINE)
    assert {"linux", "unix"} <= set(macros) or sys.platform != "linux"
    assert [name for name in macros if identifier(name) == name and not name.startswith(("si_", "sa_", "sigev_"))] == []
    assert [header for header in STANDARD if f"{stem(header[:-2])}.h" == header] == []


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("dialect", ["-std=c99", "-std=gnu11", "c++"])
def test_columns_of_any_name_compile(dialect: str, backwards: bool, cc: Any, tmp_path: Path) -> None:
    rows = 60
    columns: dict[str, Any] = {}
    for number, word in enumerate(WORDS):
        columns[word] = np.random.default_rng(number).normal(size=rows)
    columns["x"] = columns["run"] = columns["START"] = ["a", "b", "c"] * 20
    days = [dt.date(2020, 1, 1) + dt.timedelta(days=7 * i) for i in range(rows)]
    columns["start"] = columns["class"] = columns["int32"] = days
    table = pl.DataFrame(dict(reversed(columns.items())) if backwards else columns)
    model = TabularRegressor((2,), n_members=1, max_epochs=1, random_state=0).fit(table, np.arange(60.0) % 4)
    program = to_c(model, "levels_of")
    program.write(tmp_path)
    fields = re.findall(r"^  \S+ (?:char \*)?(\w+); /\*", program.header, re.MULTILINE)
    assert len(set(fields)) == len(fields) == len(columns) + 3
    if dialect == "c++":
        if shutil.which("g++") is None:
            pytest.skip("no C++ compiler on this machine")
        (tmp_path / "user.cpp").write_text('#include <cmath>\n#include <cstdio>\n#include "levels_of.h"\n')
        subprocess.run(["g++", "-std=c++20", "-Wall", "-Werror", "-c", "user.cpp"], cwd=tmp_path, check=True)
        return
    tried = cc(tmp_path, "levels_of.c", options=(dialect, "-DNINELINE_SELF_TEST"))
    assert b"passed" in subprocess.run([tried], capture_output=True, check=True).stdout


def test_names_that_are_taken_are_numbered() -> None:
    assert identifier("a b", ["a_b"]) == "a_b_2"
    assert identifier("class", ["class_", "class_2"]) == "class_3"
    assert identifier("start", ["start_day"], ["_day", "_second"]) == "start_2"
    assert [stem(name) for name in ("small", "math", "Time", "int", "net 1")] == [
        "small",
        "math_",
        "time_",
        "int_",
        "net_1",
    ]


def test_texts_cannot_leave_their_comment_or_string() -> None:
    assert comment("a */ b /* c ??/\n\x00d") == "a * / b / * c ?? /  d"
    assert string('ä"\\?\n') == r'"\303\244\042\134\077\012"'


@pytest.mark.parametrize("kind", ["own", "unfitted", "text", "overflow"])
def test_what_cannot_be_exported_is_refused(kind: str) -> None:
    class Own(Activation):
        def value(self, z: Any) -> Any:
            return z

    from nineline.estimators import TabularClassifier

    network = Network(2, 1)
    network.parameters = [1e300, 0]
    what, error, message = {
        "own": (Network(Layer(2, 1, Own())), ValueError, "is your own and cannot be written for another program"),
        "unfitted": (TabularClassifier(), ValueError, "is not fitted; call fit before it is exported"),
        "text": ("model", TypeError, "model is a str; expected a Network or an estimator"),
        "overflow": (network, ValueError, "too large for float32; export as float64"),
    }[kind]
    with pytest.raises(error, match=message):
        to_c(what)


def test_free_text_is_refused(worded: Any) -> None:
    with pytest.raises(ValueError, match="column 'title' is free text, which cannot be written as C: .*to_python"):
        to_c(worded, "texts")
