"""The command line, as a person types it: in a process of its own, from a folder of its own."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.datasets import load_iris

from nineline.__main__ import main as started
from nineline.cli import main
from nineline.tables import read_table


def nineline(*arguments: object, folder: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "nineline", *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        env={**os.environ, "COLUMNS": "120", "PYTHONUTF8": "1"},
    )
    if check:
        assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def flowers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with iris.csv, and a model trained on it."""
    folder = tmp_path_factory.mktemp("flowers")
    iris = load_iris()
    frame = pl.DataFrame({name: iris.data[:, i] for i, name in enumerate(iris.feature_names)})
    frame = frame.with_columns(id=pl.int_range(150), species=pl.Series(iris.target_names[iris.target]))
    frame.write_csv(folder / "iris.csv")
    done = nineline("train", "iris.csv", "--target", "species", folder=folder)
    (folder / "report.txt").write_text(done.stdout, encoding="utf-8")
    return folder


def test_train_reports_and_writes_one_file(flowers: Path) -> None:
    report = (flowers / "report.txt").read_text(encoding="utf-8")
    for said in (
        "iris.csv, 150 rows, 6 columns",
        "classification, because the target holds 3 classes",
        "120 to train on, 30 to judge by",
        "identifier-like: a different whole number in every row",
        "8 of Layer(",
        "'silu', bias=True)",
        "recipe",
        "member 8",
        "held out",
        "best after",
        "network",
        "linear model",
        "majority class",
        "truth ↓  predicted →",
        "iris.nineline",
    ):
        assert said in report, said
    assert sorted(path.name for path in flowers.iterdir()) == ["iris.csv", "iris.nineline", "report.txt"]


def test_predict_writes_csv_to_standard_output_or_a_file(flowers: Path, tmp_path: Path) -> None:
    text = nineline("predict", "iris.nineline", "iris.csv", folder=flowers).stdout
    assert text.startswith("species\n")
    truth = read_table(flowers / "iris.csv")["species"]
    assert np.mean(np.array(text.split()[1:]) == truth.to_numpy()) > 0.9
    for name in ("p.csv", "p.parquet", "p.jsonl", "p.csv.gz"):
        nineline("predict", "iris.nineline", "iris.csv", "--proba", "--out", tmp_path / name, folder=flowers)
        answers = read_table(tmp_path / name)
        assert answers.columns == ["species", *(f"probability of {s}" for s in ("setosa", "versicolor", "virginica"))]
        assert answers["species"].to_list() == text.split()[1:]
        np.testing.assert_allclose(answers.drop("species").to_numpy().sum(axis=1), 1)


def test_predict_matches_columns_by_name(flowers: Path, tmp_path: Path) -> None:
    frame = read_table(flowers / "iris.csv")
    expected = nineline("predict", "iris.nineline", "iris.csv", folder=flowers).stdout
    frame.select(reversed(frame.drop("id", "species").columns)).with_columns(more=pl.lit(1)).write_csv(
        tmp_path / "n.csv"
    )
    assert nineline("predict", "iris.nineline", tmp_path / "n.csv", folder=flowers).stdout == expected


Typed = Callable[..., tuple[int, str, str]]


@pytest.fixture
def typed(forms: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    """Return what types a command in this process, which begins sooner, with a file of `forms` as standard input."""

    def type_(*words: object, folder: Path = forms, given: str | None = None) -> tuple[int, str, str]:
        data = b"" if given is None else (forms / given).read_bytes()
        monkeypatch.chdir(folder)
        monkeypatch.setenv("COLUMNS", "200")
        monkeypatch.setattr(sys, "argv", ["nineline", *map(str, words)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        with pytest.raises(SystemExit) as left:
            main()
        return (int(left.value.code or 0), *capsys.readouterr())

    return type_


@pytest.fixture(scope="module")
def forms(flowers: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the model, and iris.csv in other forms and in three parts."""
    folder = tmp_path_factory.mktemp("forms")
    text = (flowers / "iris.csv").read_bytes()
    for name in ("iris.csv", "iris.nineline"):
        (folder / name).write_bytes((flowers / name).read_bytes())
    (folder / "iris.csv.gz").write_bytes(gzip.compress(text))
    (folder / "iris.csv.zst").write_bytes(zstd(text))
    (folder / "iris.data").write_bytes(text)
    frame = read_table(flowers / "iris.csv")
    frame.write_parquet(folder / "iris.parquet")
    (folder / "parts").mkdir()
    (folder / "parts" / ".hidden.csv").write_text("left out")
    frame[:60].write_csv(folder / "parts" / "a.csv")
    frame[60:100].select(reversed(frame.columns)).write_ndjson(folder / "parts" / "b.jsonl")
    (folder / "parts" / "c.csv.gz").write_bytes(gzip.compress(frame[100:].write_csv().encode()))
    return folder


def zstd(data: bytes) -> bytes:
    """Return a frame of one raw block (RFC 8878, section 3.1.1)."""
    return (
        bytes.fromhex("28b52ffda0")
        + len(data).to_bytes(4, "little")
        + (len(data) << 3 | 1).to_bytes(3, "little")
        + data
    )


FORMS = {
    "gzip": (["iris.csv.gz"], None, "iris.csv.gz"),
    "zstd": (["iris.csv.zst"], None, "iris.csv.zst"),
    "another ending": (["iris.data", "--format", "csv"], None, "iris.data"),
    "standard input": (["-", "--format", "csv"], "iris.csv", "standard input"),
    "gzip from standard input": (["-", "--format", "csv"], "iris.csv.gz", "standard input"),
    "zstd from standard input": (["--format", "csv", "-"], "iris.csv.zst", "standard input"),
    "parquet from standard input": (["-", "--format", "parquet"], "iris.parquet", "standard input"),
    "a pattern": (["parts/*"], None, "parts/a.csv and 2 more"),
    "some files": (["parts/a.csv", "parts/b.jsonl", "parts/c.csv.gz"], None, "parts/a.csv and 2 more"),
    "a file and a pattern": (["parts/a.csv", "./**/[bc].*"], None, "parts/a.csv and 2 more"),
}


@pytest.mark.parametrize("case", FORMS)
def test_predict_takes_a_table_in_any_form(case: str, typed: Typed) -> None:
    tables, given, _ = FORMS[case]
    expected = typed("predict", "iris.nineline", "iris.csv")
    assert expected[0] == 0
    assert typed("predict", "iris.nineline", *tables, given=given) == expected


@pytest.mark.parametrize(
    ("case", "model"),
    [
        ("gzip", "iris"),
        ("zstd", "iris"),
        ("another ending", "iris"),
        ("standard input", "model"),
        ("a pattern", "model"),
    ],
)
def test_train_takes_a_table_in_any_form(case: str, model: str, typed: Typed, forms: Path, tmp_path: Path) -> None:
    tables, given, said = FORMS[case]
    less = ["--target", "species", "--epochs", 3, "--members", 1]
    typed("train", forms / "iris.csv", *less, "--out", "expected", folder=tmp_path)
    files = [str(forms / word) if (forms / word.split("*")[0]).exists() else word for word in tables]
    code, out, err = typed("train", *files, *less, folder=tmp_path, given=given)
    assert (code, err) == (0, "")
    assert f"{said}, 150 rows, 6 columns" in out.replace("\n", "").replace(f"{forms}/", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["expected", f"{model}.nineline"])
    assert (tmp_path / f"{model}.nineline").read_bytes() == (tmp_path / "expected").read_bytes()


def test_a_test_part_of_several_files(typed: Typed, tmp_path: Path) -> None:
    less = ["--target", "species", "--epochs", 3, "--members", 1, "--out", tmp_path / "m"]
    code, out, _ = typed("train", "-", "--format", "csv", "--test", "parts/*", *less, given="iris.csv")
    assert code == 0
    assert "150 to train on, 150 to judge by" in out


WRONG_FORMS = {
    "a pattern of nothing": (["nowhere/*.csv"], None, "no file matches 'nowhere/*.csv'"),
    "no format": (
        ["-"],
        "iris.csv",
        "standard input has no ending that says what it is; give its format (--format csv",
    ),
    "nothing comes": (["-", "--format", "csv"], None, "standard input is empty; expected a table"),
    "another comes": (
        ["-", "--format", "parquet"],
        "iris.csv",
        "standard input does not read as Parquet, which its format",
    ),
    "gzip cut short": (["cut.csv.gz"], None, "cut.csv.gz is cut short or damaged"),
    "zstd cut short": (["cut.csv.zst"], None, "cut.csv.zst is cut short or damaged"),
    "gzip cut short on the way": (["-", "--format", "csv"], "cut.csv.gz", "standard input is cut short or damaged"),
    "one of them cut short": (["iris.csv", "cut.csv.gz"], None, "cut.csv.gz is cut short or damaged"),
    "an unknown ending": (["iris.data"], None, "iris.data ends in '.data'; expected one of .csv"),
    "a folder": (["parts"], None, "parts is a folder; name a file in it, or some by a pattern such as 'parts/*.csv'"),
    "twice": (["iris.csv", "./iris.csv"], None, "iris.csv is named twice, again as ./iris.csv"),
    "twice by a pattern": (["parts/a.csv", "parts/*"], None, "parts/a.csv is named twice"),
    "standard input twice": (["-", "-", "--format", "csv"], "iris.csv", "standard input is named twice"),
    "other columns": (["iris.csv", "less.csv"], None, "less.csv has no column 'petal width (cm)', which iris.csv has"),
    "out is read": (["parts/*", "--out", "parts/a.csv"], None, "out is parts/a.csv, which is read and would be overwr"),
}


def test_a_folder_is_predicted_as_its_files_are_and_none_of_them_overwritten(typed: Typed, forms: Path) -> None:
    expected = typed("predict", "iris.nineline", "parts/*")
    assert typed("predict", "iris.nineline", "parts") == expected
    before = (forms / "parts" / "a.csv").read_bytes()
    code, _, err = typed("predict", "iris.nineline", "parts", "--out", "parts/a.csv")
    assert code == 2
    assert "out is parts/a.csv, which is read and would be overwritten" in err
    assert (forms / "parts" / "a.csv").read_bytes() == before


def test_a_table_may_be_read_piece_by_piece(typed: Typed, forms: Path, tmp_path: Path) -> None:
    less = ["--target", "species", "--epochs", 3, "--members", 1]
    for words in (["parts"], ["parts/*"], ["iris.csv"]):
        model = tmp_path / "m.nineline"
        code, out, err = typed("train", *words, *less, "--memory", "50kB", "--out", model, folder=forms)
        assert (code, err) == (0, "")
        assert "the table is read piece by piece" in out
        assert "150 rows" in out
        assert typed("predict", model, "iris.csv", folder=forms)[0] == 0
    code, _, err = typed("train", "iris.csv", *less, "--memory", "much", folder=forms)
    assert code == 2
    assert "memory is 'much'; expected a number of bytes" in err


WRONG = [
    pytest.param(case, command, id=f"{case}-{command[0]}")
    for case in WRONG_FORMS
    for command in (["train", "--target", "species"], ["predict", "iris.nineline"])
    if (case, command[0]) != ("a folder", "predict")  # which goes piece by piece, and so through a folder, too
]


@pytest.mark.parametrize(("case", "command"), WRONG)
def test_wrong_forms_are_said_in_a_line_and_nothing_is_written(
    case: str, command: list[str], typed: Typed, forms: Path
) -> None:
    tables, given, says = WRONG_FORMS[case]
    for packing in (".gz", ".zst"):
        (forms / f"cut.csv{packing}").write_bytes((forms / f"iris.csv{packing}").read_bytes()[:-30])
    read_table(forms / "iris.csv").drop("petal width (cm)").write_csv(forms / "less.csv")
    before = {path: path.read_bytes() for path in forms.rglob("*") if path.is_file()}
    out = [] if "--out" in tables else ["--out", "out.csv"]
    code, said, err = typed(*command, *tables, *out, given=given)
    assert (code, said) == (2, "")
    assert says in err
    assert err.startswith("nineline: ")
    assert len(err.splitlines()) == 1
    assert {path: path.read_bytes() for path in forms.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ["predict", "iris.nineline", "iris.csv", "--out", "o.csv.zst"],
            "ends in '.zst', which is read and not written",
        ),
        (["predict", "iris.nineline", "iris.csv", "--out", "o.doc"], "o.doc ends in '.doc'; expected one of"),
        (["train", "iris.csv", "--target", "species", "--test", "-"], "test is -, standard input, which only TABLE"),
        (["train", "iris.csv", "--target", "species", "--test", "no*.csv"], "no file matches 'no*.csv'"),
    ],
)
def test_wrong_endings_and_test_parts(words: list[str], says: str, typed: Typed, forms: Path) -> None:
    before = sorted(forms.iterdir())
    code, said, err = typed(*words)
    assert (code, said) == (2, "")
    assert says in err
    assert sorted(forms.iterdir()) == before


def test_show(flowers: Path) -> None:
    text = nineline("show", "iris.nineline", folder=flowers).stdout
    for said in ("TabularClassifier", "setosa, versicolor, virginica", "petal width (cm)", "dropped", "accuracy"):
        assert said in text


def test_a_number_from_another_delimiter(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=200)
    pl.DataFrame({"x": x, "y": 3 * x + 1}).write_csv(tmp_path / "line.csv", separator=";")
    report = nineline("train", "line.csv", "--target", "y", "--hidden", "16", "--epochs", 30, folder=tmp_path).stdout
    assert "regression, because the target holds numbers with fractions" in report
    assert "prediction − truth" in report
    done = nineline("predict", "line.nineline", "line.csv", "--proba", folder=tmp_path, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--proba is for classes" in done.stderr


MISTAKES = {
    "no such table": (["train", "no.csv", "--target", "species"], "No such file"),
    "no such target": (["train", "iris.csv", "--target", "specie"], "did you mean 'species'"),
    "no such folder": (["train", "iris.csv", "--target", "species", "--out", "no/m.nineline"], "does not exist"),
    "out is a folder": (["train", "iris.csv", "--target", "species", "--out", "."], "is a folder"),
    "no epochs": (["train", "iris.csv", "--target", "species", "--epochs", "0"], "max_epochs is 0"),
    "widths": (["train", "iris.csv", "--target", "species", "--hidden", "many"], "expected widths such as 64,32"),
    "seed": (["train", "iris.csv", "--target", "species", "--seed", "-1"], "seed is -1"),
    "drop": (["train", "iris.csv", "--target", "species", "--drop", "x"], "drop is 'x'"),
    "regression on text": (["train", "iris.csv", "--target", "species", "--task", "regression"], "needs numbers"),
    "not a model": (["predict", "iris.csv", "iris.csv"], "is no nineline file"),
    "not a table": (["predict", "iris.nineline", "report.doc"], "'.doc'; expected one of"),
    "column missing": (["predict", "iris.nineline", "less.csv"], "column 'petal width (cm)'"),
    "another kind": (["predict", "iris.nineline", "other.csv"], "'wide'; expected numbers"),
    "show a table": (["show", "iris.csv"], "is no nineline file"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_are_said_in_a_line_and_nothing_is_written(case: str, flowers: Path, tmp_path: Path) -> None:
    for path in flowers.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    frame = read_table(flowers / "iris.csv")
    frame.drop("petal width (cm)").write_csv(tmp_path / "less.csv")
    frame.with_columns(pl.lit("wide").alias("petal width (cm)")).write_csv(tmp_path / "other.csv")
    (tmp_path / "report.doc").write_text("x")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    arguments, says = MISTAKES[case]
    done = nineline(*arguments, folder=tmp_path, check=False)
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stderr.startswith("nineline: ")
    assert len(done.stderr.splitlines()) == 1
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_reader_who_has_seen_enough_is_no_error(flowers: Path) -> None:
    wide = pl.concat([read_table(flowers / "iris.csv")] * 200)
    wide.write_parquet(flowers / "long.parquet")
    try:
        command = f"{sys.executable} -m nineline predict iris.nineline long.parquet | head -1"
        done = subprocess.run(command, shell=True, cwd=flowers, capture_output=True, text=True, check=False)
        assert (done.stdout, done.stderr) == ("species\n", "")
    finally:
        (flowers / "long.parquet").unlink()


def test_demo_is_the_tutorial_then_a_real_table(tmp_path: Path) -> None:
    text = nineline("demo", folder=tmp_path).stdout
    assert text.count("errors:\n") == 10
    assert (
        text.index("Iteration 0,")
        < text.index("Iteration 9,000,")
        < text.index("Layer 1:")
        < text.index("handwritten digits")
    )
    answers = np.array(
        text.split("print(network.run(X))\n")[1].split("\n\n")[0].replace("[", "").replace("]", "").split()
    )
    np.testing.assert_allclose(answers.astype(float), [0, 1, 1, 0], atol=0.1)
    assert "digits.nineline" in text
    assert not list(tmp_path.iterdir())


def test_demo_shows_one_iteration(tmp_path: Path) -> None:
    text = nineline("demo", "--trace", folder=tmp_path).stdout
    assert "weighted sums of layer 0   Z0 = X · W0   (4, 3) · (3, 6) = (4, 6)" in text
    assert text.rstrip().endswith("nineline demo")
    assert "digits" not in text
    assert max(map(len, text.splitlines())) <= 100


def test_codes_are_read_for_predictions_as_they_were_for_training(tmp_path: Path) -> None:
    codes = pl.DataFrame({"code": ["007", "7", "012", "A1"] * 30, "t": ["P", "N", "N", "P"] * 30})
    codes.write_csv(tmp_path / "codes.csv")
    codes[:3].write_csv(tmp_path / "some.csv")  # nothing but digits here
    nineline("train", "codes.csv", "--target", "t", folder=tmp_path)
    assert nineline("predict", "codes.nineline", "some.csv", folder=tmp_path).stdout.split() == ["t", "P", "N", "N"]


def test_the_model_is_written_though_nobody_reads_the_report(tmp_path: Path, flowers: Path) -> None:
    (tmp_path / "iris.csv").write_bytes((flowers / "iris.csv").read_bytes())
    command = f"{sys.executable} -m nineline train iris.csv --target species --epochs 3 | head -1"
    subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, check=False)
    assert (tmp_path / "iris.nineline").exists()


def test_predictions_do_not_replace_their_own_table(flowers: Path) -> None:
    before = (flowers / "iris.csv").read_bytes()
    done = nineline("predict", "iris.nineline", "iris.csv", "--out", "iris.csv", folder=flowers, check=False)
    assert done.returncode == 2
    assert "would be overwritten" in done.stderr
    assert (flowers / "iris.csv").read_bytes() == before


def test_resume_gives_the_same_model_to_the_last_byte(flowers: Path, tmp_path: Path) -> None:
    (tmp_path / "iris.csv").write_bytes((flowers / "iris.csv").read_bytes())
    how = ["train", "iris.csv", "--target", "species"]
    nineline(*how, "--checkpoint", "run", "--resume", folder=tmp_path)  # where there is no file yet, it begins
    assert (tmp_path / "iris.nineline").read_bytes() == (flowers / "iris.nineline").read_bytes()
    (tmp_path / "iris.nineline").unlink()
    nineline(*how, "--checkpoint", "run", "--resume", folder=tmp_path)
    assert (tmp_path / "iris.nineline").read_bytes() == (flowers / "iris.nineline").read_bytes()
    for wrong, says in (
        (["--resume"], "--resume is given and --checkpoint is not; name the file to go on from"),
        (["--checkpoint", "iris.nineline"], "where the model is to be written; name another file"),
        (["--checkpoint", "iris.csv"], "exists and is no checkpoint, and would be overwritten"),
        (["--checkpoint", "run", "--resume", "--seed", "1"], "is a checkpoint of a training whose inputs was"),
    ):
        done = nineline(*how, *wrong, folder=tmp_path, check=False)
        assert (done.returncode, says in done.stderr) == (2, True), done.stderr


# export


@pytest.mark.parametrize(
    ("options", "files", "said"),
    [
        (("--to", "c"), {"iris.c", "iris.h"}, ["flash", "bytes of tables", "RAM", "-lm && ./a.out"]),
        (
            ("--to", "c", "--double", "--no-libm", "--out", "d.c"),
            {"d.c", "d.h"},
            ["-DNINELINE_SELF_TEST d.c && ./a.out"],
        ),
        (("--to", "c", "--int8", "--data", "DATA"), {"iris.c", "iris.h"}, ["made-up rows", "accuracy on 150 rows: 0."]),
        (("--to", "onnx"), {"iris.onnx"}, ["iris.onnx, "]),
        (("--to", "py", "--out", "flower.py"), {"flower.py"}, ["flower.py, "]),
    ],
)
def test_export(options: tuple[str, ...], files: set[str], said: list[str], flowers: Path, tmp_path: Path) -> None:
    options = tuple(str(flowers / "iris.csv") if word == "DATA" else word for word in options)
    done = nineline("export", flowers / "iris.nineline", *options, folder=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == files
    for each in said:
        assert each in done.stdout


def test_export_refuses_a_table_to_judge_by_before_it_writes(flowers: Path, tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    words = "--to", "c", "--int8", "--data", "other.csv"
    done = nineline("export", flowers / "iris.nineline", *words, folder=tmp_path, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "other.csv has no column 'species', the target, to judge by" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["other.csv"]


def test_export_of_a_network(tmp_path: Path) -> None:
    from nineline import Network

    Network(3, 6, 1, rng=0).save(tmp_path / "parity.nineline")
    nineline("export", "parity.nineline", "--to", "c", folder=tmp_path)
    assert "void parity_run(const float inputs[PARITY_INPUTS]" in (tmp_path / "parity.h").read_text()
    assert "parity_jacobian" not in (tmp_path / "parity.h").read_text()
    nineline("export", "parity.nineline", "--to", "c", "--jacobian", folder=tmp_path)
    assert "void parity_jacobian(const float inputs[PARITY_INPUTS]" in (tmp_path / "parity.h").read_text()
    assert "Layer(3, 6, 'sigmoid')" in nineline("show", "parity.nineline", folder=tmp_path).stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("iris.nineline", "--to", "c", "--jacobian"), "jacobian is True, and model is a TabularClassifier"),
        (("iris.nineline", "--to", "onnx", "--int8"), "--double, --no-libm, --int8 and --jacobian are for --to c"),
        (("iris.nineline", "--to", "c", "--data", "iris.csv"), "give --int8 with it"),
        (("iris.nineline", "--to", "c", "--out", "nowhere/m.c"), "the folder nowhere does not exist"),
        (("iris.csv", "--to", "c"), "iris.csv is no nineline file"),
        (("none.nineline", "--to", "py"), "No such file"),
    ],
)
def test_export_says_what_is_wrong_and_writes_nothing(words: tuple[str, ...], message: str, flowers: Path) -> None:
    before = sorted(flowers.iterdir())
    done = nineline("export", *words, folder=flowers, check=False)
    assert done.returncode == 2
    assert message in done.stderr
    assert sorted(flowers.iterdir()) == before


# Nothing is lost, and nothing comes raw


FEW = ["--epochs", "2", "--members", "1"]


@pytest.fixture
def numbers(tmp_path: Path) -> Path:
    """Return a folder with a table of numbers, train.csv."""
    rng = np.random.default_rng(0)
    table = pl.DataFrame({"a": rng.normal(size=120), "b": rng.normal(size=120)})
    table.with_columns(y=pl.col("a") * 2 + pl.col("b")).write_csv(tmp_path / "train.csv")
    return tmp_path


def test_a_model_that_cannot_be_judged_is_there(numbers: Path, typed: Typed) -> None:
    """A text where numbers were, among the rows to judge by; a truth whose square is no number."""
    table = read_table(numbers / "train.csv")
    part = pl.when(pl.int_range(120) < 90).then(pl.lit("train")).otherwise(pl.lit("test"))
    table[90:].with_columns(a=pl.lit("word")).write_csv(numbers / "text.csv")
    last = pl.int_range(120) == 119
    table.with_columns(y=pl.when(last).then(1e200).otherwise(pl.col("y")), split=part).write_csv(numbers / "huge.csv")
    for name, options, said in (
        ("train", ["--test", "text.csv"], "the network could not be judged: column 'a' holds 'word'"),
        ("huge", ["--split", "split"], "RMSE, R² on the test part is beyond the range of numbers"),
    ):
        code, out, err = typed("train", f"{name}.csv", "--target", "y", *FEW, *options, folder=numbers)
        assert (code, err) == (0, "")
        assert said in out
        code, answers, err = typed("predict", f"{name}.nineline", "train.csv", folder=numbers)
        assert (code, err, answers.count("\n")) == (0, "", 121)


def test_ctrl_c_while_a_baseline_is_fitted_loses_nothing(
    numbers: Path, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("nineline.estimators.session.Ridge.fit", interrupted)
    code, out, err = typed("train", "train.csv", "--target", "y", *FEW, folder=numbers)
    assert (code, err) == (0, "")
    assert "interrupted while the linear model was judged; the model is whole" in out
    assert "network" in out
    assert typed("predict", "train.nineline", "train.csv", folder=numbers)[0] == 0


def test_nothing_is_written_over_what_is_read(numbers: Path, typed: Typed) -> None:
    typed("train", "train.csv", "--target", "y", *FEW, folder=numbers)
    (numbers / "link.nineline").symlink_to("train.nineline")
    before = {path.name: path.read_bytes() for path in numbers.iterdir()}
    for words in (
        ["train", "train.csv", "--target", "y", "--out", "train.csv"],
        ["train", "train.csv", "--target", "y", "--test", "train.csv", "--out", "./train.csv"],
        ["export", "train.nineline", "--to", "py", "--out", "train.nineline"],
        ["export", "train.nineline", "--to", "onnx", "--out", "link.nineline"],
        ["predict", "train.nineline", "train.csv", "--out", "train.csv"],
    ):
        code, _, err = typed(*words, folder=numbers)
        assert code == 2
        assert "which is read and would be overwritten; name another file" in err
    assert {path.name: path.read_bytes() for path in numbers.iterdir()} == before


def test_c_is_written_where_it_was_asked(numbers: Path, typed: Typed) -> None:
    typed("train", "train.csv", "--target", "y", *FEW, folder=numbers)
    for name in ("my_model.c", "my_model.h"):
        (numbers / name).write_text("mine")
    code, out, _ = typed("export", "train.nineline", "--to", "c", "--out", "My-Model.c", folder=numbers)
    assert (code, "My-Model.c and My-Model.h" in out) == (0, True)
    assert '#include "My-Model.h"' in (numbers / "My-Model.c").read_text()
    assert [(numbers / name).read_text() for name in ("my_model.c", "my_model.h")] == ["mine", "mine"]
    code, _, err = typed("export", "train.nineline", "--to", "c", "--out", "model.txt", folder=numbers)
    assert (code, "name the one that ends in .c" in err) == (2, True)


def test_what_a_terminal_would_obey_is_shown_as_escapes(
    numbers: Path, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = read_table(numbers / "train.csv")
    red = pl.when(pl.col("y") > 0).then(pl.lit("\x1b[31mred")).otherwise(pl.lit("no"))
    table.select("a", "b", c=red).write_csv(numbers / "esc.csv")
    code, out, err = typed("train", "esc.csv", "--target", "c", *FEW, folder=numbers)
    assert (code, err) == (0, "")
    assert "\x1b[31mred" not in out
    assert r"\x1b[31mred" in out
    plain = typed("predict", "esc.nineline", "esc.csv", folder=numbers)[1]
    assert "\x1b[31mred" in plain  # a pipe gets what the file holds
    monkeypatch.setattr("nineline.cli._is_terminal", lambda: True)
    shown = typed("predict", "esc.nineline", "esc.csv", folder=numbers)[1]
    assert shown == plain.replace("\x1b", r"\x1b")
    assert "\x1b" not in typed("show", "esc.nineline", folder=numbers)[1]
    for words in (["\x1b[31mtable.csv"], ["train.csv", "--target", "\x1b]0;title\x07"]):
        code, _, err = typed("train", *words, *([] if "--target" in words else ["--target", "y"]), folder=numbers)
        assert code == 2
        assert "\x1b" not in err
        assert r"\x1b" in err


def test_a_message_is_no_page_of_the_data(numbers: Path, typed: Typed) -> None:
    words = pl.Series(["z" * 5_000_000, *map(str, range(119))])
    read_table(numbers / "train.csv").with_columns(s=words).write_csv(numbers / "long.csv")
    code, _, err = typed("train", "long.csv", "--target", "s", "--task", "regression", folder=numbers)
    assert code == 2
    assert "target 's' holds 'zzz" in err
    assert len(err) < 250


def test_a_mistake_of_our_own_is_a_line_and_with_debug_a_traceback(
    numbers: Path, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("gone")

    monkeypatch.setattr("nineline.tables.read_tables", broken)
    code, _, err = typed("train", "train.csv", "--target", "y", folder=numbers)
    assert code == 1
    assert err == "nineline: KeyError: 'gone' (a mistake of nineline's own; nineline --debug ... shows where)\n"
    with pytest.raises(KeyError):
        typed("--debug", "train", "train.csv", "--target", "y", folder=numbers)
    monkeypatch.setattr("nineline.tables.read_tables", lambda *_, **__: np.empty(2**50))
    code, _, err = typed("train", "train.csv", "--target", "y", folder=numbers)
    assert code == 2
    assert err.startswith("nineline: there is not enough memory: Unable to allocate")


def test_a_path_may_look_like_markup(numbers: Path, typed: Typed) -> None:
    (numbers / "runs[").mkdir()
    (numbers / "train.csv").rename(numbers / "runs[" / "b].csv")
    code, out, err = typed("train", "runs[/b].csv", "--target", "y", *FEW, folder=numbers)
    assert (code, err) == (0, "")
    assert "runs[/b].csv, 120 rows" in out


@pytest.mark.skipif(os.name != "posix", reason="a shell's redirections")
def test_output_that_is_closed_or_full_is_said(flowers: Path) -> None:
    for redirection, said in (
        (">&-", "standard output is closed; name a file: --out"),
        (">/dev/full", "No space left"),
    ):
        command = f"{sys.executable} -m nineline predict iris.nineline iris.csv {redirection}"
        done = subprocess.run(command, shell=True, cwd=flowers, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert said in done.stderr
        assert "Traceback" not in done.stderr
        assert "Exception ignored" not in done.stderr


def test_ctrl_c_while_starting_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("nineline.cli.main", interrupted)
    with pytest.raises(SystemExit) as left:
        started()
    assert (left.value.code, capsys.readouterr().err) == (130, "nineline: interrupted\n")


def test_a_second_save_that_fails_is_a_note(numbers: Path, typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    saved = []

    def once(model: object, path: object) -> None:
        if saved:
            raise OSError(28, "No space left on device")
        saved.append(path)
        Path(str(path)).write_bytes(b"a model")

    monkeypatch.setattr("nineline.estimators.TabularRegressor.save", once)
    code, out, err = typed("train", "train.csv", "--target", "y", *FEW, folder=numbers)
    assert (code, err) == (0, "")
    assert "the file holds the model without its evaluation: [Errno 28] No space left on device" in out


def test_sweep_reports_what_was_tried(flowers: Path, tmp_path: Path) -> None:
    words = "--target", "species", "--sweep", "--members", "2", "--out", tmp_path / "swept.nineline"
    report = nineline("train", "iris.csv", *words, folder=flowers).stdout
    assert "swept" in report
    assert "learning rates, and the loss on held-out rows: 0.0005: " in report
    assert ", learning rate " in report
    nineline("show", tmp_path / "swept.nineline", folder=tmp_path)


def test_show_of_many_networks(tmp_path: Path) -> None:
    from nineline import Networks

    networks = Networks(1000, 3, 6, 1, rng=0)
    networks.save(tmp_path / "many.nineline")
    text = nineline("show", "many.nineline", folder=tmp_path).stdout
    assert "many.nineline, networks, format 5" in text
    assert "1,000 of Layer(3, 6, 'sigmoid')" in text
    assert "24,000 parameters of float64" in text
    some = networks[:3]
    settings = {"epochs": 5, "checkpoint": tmp_path / "run.nineline", "rng": 0}
    some.train([[0, 1, 1], [1, 0, 1]], [[0], [1]], **settings)
    text = nineline("show", "run.nineline", folder=tmp_path).stdout
    assert "3 of Layer(3, 6, 'sigmoid')" in text
    assert "0 go on, 3 have ended" in text
