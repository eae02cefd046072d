"""The report as a page: whole, small, safe, and there for whatever a table is like."""

from __future__ import annotations

import pickle
import re
import sys
import warnings
from html.parser import HTMLParser
from pathlib import Path

import matplotlib as mpl
import numpy as np
import polars as pl
import pytest
from sklearn.utils import Bunch
from typer.testing import CliRunner

from nineline import History
from nineline.cli import app
from nineline.estimators import TabularClassifier, TabularRegressor
from nineline.estimators.judged import Judged
from nineline.estimators.page import Evaluation, render
from nineline.estimators.session import train_on_table

mpl.use("Agg")

DATA = Path(__file__).parents[3] / "shared" / "data" / "tabular"
NASTY = "<script>alert('$x$')</script> & \"$\\frac{" + "n" * 500
QUICK = {"max_epochs": 2, "n_members": 1, "hidden_layer_sizes": (8,)}
VOID = {"meta", "link", "br", "img", "hr", "input"}


class Page(HTMLParser):
    """Reads a page, and holds it against the rules: what opens closes, nothing runs, nothing is fetched."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text, self.raw = [], [], [], text
        self.feed(text)
        assert self.open == []
        assert not {"script", "iframe", "object", "embed", "link"} & set(self.tags)
        assert len(text.encode()) < 2_000_000
        assert not re.search(r"\b(nan|inf)\b", re.sub(r"data:image/png;base64,[^\"]*", "", self.shown), re.IGNORECASE)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            assert not name.startswith("on"), (tag, name)
            if name in ("src", "href", "xlink:href", "action"):
                assert value.startswith(("#", "data:")), (tag, name, value)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text.append(data)

    @property
    def shown(self):
        return "".join(self.text)

    @property
    def headings(self):
        return re.findall(r"<h2>(.*?)</h2>", self.raw)


def table(rows=120):
    rng = np.random.default_rng(0)
    return pl.DataFrame(
        {
            "size": rng.normal(size=rows),
            NASTY: rng.choice(["<b>red</b>", "green", NASTY], rows),
            "one value": [3] * rows,
            "day": pl.date_range(pl.date(2020, 1, 1), pl.date(2020, 1, 1) + pl.duration(days=rows - 1), eager=True),
            "holes": [None if i % 3 else i / 2 for i in range(rows)],
        }
    )


X = table()
SIZE = X["size"].to_numpy()


def page_of(model, tmp_path):
    path = tmp_path / "report.html"
    model.report_.to_html(path)
    return Page(path.read_text(encoding="utf-8"))


def test_classes(tmp_path):
    names = np.array(["no", NASTY])
    page = page_of(TabularClassifier(random_state=0, **QUICK).fit(X, names[(SIZE > 0).astype(int)]), tmp_path)
    assert page.headings == [
        "How good it is",
        "Class by class",
        "What decides",
        "The table",
        "What was done",
        "To do it again",
    ]
    for said in (
        "majority class",
        "accuracy",
        "Calibration",
        "Importances",
        "One row, explained",
        "dropped",
        "80 (67 %)",
    ):
        assert said in page.shown
    assert "<script>" not in page.raw
    assert "<b>red" not in page.raw


def test_numbers(tmp_path):
    page = page_of(TabularRegressor(random_state=0, **QUICK).fit(X, 3 * SIZE), tmp_path)
    for said in ("Its answers are off by", "where the mean is by", "Residuals", "Dependence on size", "random_state=0"):
        assert said in page.shown


@pytest.mark.parametrize("hidden", [(), (1000, 1000)])
def test_without_a_hidden_layer_and_with_wide_ones(hidden, tmp_path):
    model = TabularRegressor(random_state=0, max_epochs=1, n_members=1, hidden_layer_sizes=hidden)
    page_of(model.fit(X, SIZE), tmp_path)


def test_where_no_rows_could_be_held_out(tmp_path):
    model = TabularRegressor(random_state=0, validation_fraction=0, **QUICK).fit(X, SIZE)
    page = page_of(model, tmp_path)
    assert "No rows could be spared" in page.shown
    assert "What decides" not in page.headings


def test_three_hundred_columns(tmp_path):
    rng = np.random.default_rng(0)
    wide = pl.DataFrame({f"{number} {NASTY}": rng.normal(size=200) for number in range(300)})
    page = page_of(TabularRegressor(random_state=0, **QUICK).fit(wide, wide[:, 0]), tmp_path)
    assert page.raw.count('class="bars"') == 300


def test_two_hundred_classes_a_million_rows_and_a_class_that_is_never_predicted():
    model = TabularClassifier(random_state=0, **QUICK).fit(X, np.where(SIZE > 0, "yes", "no"))
    rng = np.random.default_rng(0)
    answers = rng.uniform(size=(10**5, 200), high=1.0).astype(np.float32)
    answers[:, 7] = 0
    classes = np.array([f"class {number:03}" for number in range(200)])
    judged = Judged(classes[np.arange(10**5) % 200], answers / answers.sum(1, keepdims=True), None, classes, "y")
    scores = {"network": {"accuracy": 0.005, "log-loss": 5.3}}
    page = Page(render(model.report_, Evaluation(judged, "100,000 rows", scores)))
    assert "class 007" in page.shown
    truth = rng.integers(0, 2, 10**6)
    share = rng.uniform(size=10**6)
    judged = Judged(np.array(["no", "yes"])[truth], np.column_stack([1 - share, share]), None, model.classes_, "y")
    Page(render(model.report_, Evaluation(judged, "1,000,000 rows", {"network": {"accuracy": 0.5}})))


def test_after_a_run_that_diverged():
    model = TabularRegressor(random_state=0, **QUICK).fit(X, SIZE)
    losses = [1.0, float("nan"), float("inf"), 3.0]
    model.report_.histories[0] = History(loss=losses, validation_loss=losses, best_epoch=1, stopped="diverged")
    answers = SIZE.copy()
    answers[3] = np.nan
    judged = Judged(SIZE, answers, None, None, "size")
    scores = {"network": {"RMSE": float("nan"), "MAE": float("inf"), "R²": 0.5}, "mean": {"RMSE": 1.0, "MAE": 1.0}}
    Page(render(model.report_, Evaluation(judged, "120 rows", scores)))


def test_a_pickled_model_has_no_rows_and_still_a_page(tmp_path):
    model = TabularRegressor(random_state=0, **QUICK).fit(X, SIZE)
    again = pickle.loads(pickle.dumps(model))
    assert again.report_.model is again
    assert again.report_.examples == []
    assert "What was done" in page_of(again, tmp_path).headings
    assert "a copy of a model does not have them" in page_of(again, tmp_path).shown
    with pytest.raises(ValueError, match="pickled without its model"):
        pickle.loads(pickle.dumps(model.report_)).to_html(tmp_path / "report.html")


def test_a_model_that_nobody_holds_is_gone_at_once():
    import gc
    import weakref

    model = TabularRegressor(random_state=0, **QUICK).fit(X, SIZE)
    gone = weakref.ref(model)
    gc.disable()
    try:
        del model
        assert gone() is None
    finally:
        gc.enable()


class TestCommandLine:
    def test_train_with_a_report(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["nineline", "train", "it's.csv", "--target", "y"])
        X.with_columns(pl.Series("y", np.where(SIZE > 0, "yes", "no"))).write_csv("it's.csv")
        arguments = ["train", "it's.csv", "--target", "y", "--report", "report.html", "--compare"]
        quick = ["--hidden", "8", "--members", "1", "--epochs", "2"]
        done = CliRunner().invoke(app, [*arguments, *quick], catch_exceptions=False)
        assert "report.html" in done.output
        assert "decide" in done.output
        page = Page(Path("report.html").read_text(encoding="utf-8"))
        for said in ("24 test rows, which training has not seen", "linear model", "boosted trees", "nineline train"):
            assert said in page.shown
        shown = CliRunner().invoke(app, ["show", "it's.nineline", "--plot", "it.svg"], catch_exceptions=False).output
        assert "decide" in shown
        assert "size" in Path("it.svg").read_text(encoding="utf-8")

    def test_which_columns_decide_is_measured_once(self, tmp_path, monkeypatch):
        from nineline.estimators.tabular.held_out import HeldOut

        measured, plain = [], HeldOut.importance
        monkeypatch.setattr(HeldOut, "importance", lambda *given: measured.append(given) or plain(*given))
        session = train_on_table(X.with_columns(y=2 * pl.col("size")), "y", **QUICK)
        session.to_html(tmp_path / "report.html")
        session.model._repr_html_()
        assert len(measured) == 1

    def test_a_test_part_that_lacks_a_class(self, tmp_path):
        y = np.array(["a", "b", "c"])[np.digitize(SIZE, [-0.5, 0.5])]
        rows = X.with_columns(pl.Series("y", y))
        session = train_on_table(rows[:100], "y", test=rows[100:].filter(pl.col("y") != "c"), **QUICK)
        session.to_html(tmp_path / "report.html")
        page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
        assert "–" in page.shown  # nothing to divide by
        session = train_on_table(rows[:100], "y", test=rows[100:].filter(pl.col("y") == "a"), **QUICK)
        session.to_html(tmp_path / "report.html")
        Page((tmp_path / "report.html").read_text(encoding="utf-8"))

    def test_what_could_not_be_judged_has_its_page(self, tmp_path, monkeypatch):
        def interrupted(*_):
            raise KeyboardInterrupt

        monkeypatch.setattr("nineline.estimators.session.scores_of", interrupted)
        session = train_on_table(X.with_columns(y=2 * pl.col("size")), "y", **QUICK)
        assert session.scores == {}
        session.to_html(tmp_path / "report.html")
        assert "held out" in Page((tmp_path / "report.html").read_text(encoding="utf-8")).shown

    def test_importances_beyond_numbers_are_left_out(self, tmp_path, monkeypatch):
        monkeypatch.setattr(
            "nineline.estimators.tabular.held_out.HeldOut.importance_soon",
            lambda *_: Bunch(names=["size", "day"], importances_mean=np.array([1.0, np.nan])),
        )
        session = train_on_table(X.with_columns(y=2 * pl.col("size")), "y", **QUICK)
        assert session.model.importances_ == {"size": 1.0}
        session.model.save(tmp_path / "model.nineline")

    def test_piece_by_piece(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        X.with_columns(y=2 * pl.col("size")).write_csv("table.csv")
        quick = ["--hidden", "8", "--members", "1", "--epochs", "2", "--memory", "1MB"]
        arguments = ["train", "table.csv", "--target", "y", "--report", "report.html"]
        CliRunner().invoke(app, [*arguments, *quick], catch_exceptions=False)
        assert "One row, explained" in Page(Path("report.html").read_text(encoding="utf-8")).shown

    @pytest.mark.parametrize("report", ["table.csv", "table.nineline", "nowhere/report.html", "."])
    def test_a_place_that_cannot_be_written_is_said_before_training(self, report, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        X.with_columns(y=2 * pl.col("size")).write_csv("table.csv")
        before = Path("table.csv").read_bytes()
        with pytest.raises((ValueError, OSError)):
            CliRunner().invoke(app, ["train", "table.csv", "--target", "y", "--report", report], catch_exceptions=False)
        assert Path("table.csv").read_bytes() == before
        assert not Path("table.nineline").exists()

    def test_pictures_of_files(self, tmp_path):
        from nineline import Network, Networks

        Network(2, 1, rng=0).save(tmp_path / "$_^$.nineline")
        odd = ["show", str(tmp_path / "$_^$.nineline"), "--plot", str(tmp_path / "odd.svg")]
        CliRunner().invoke(app, odd, catch_exceptions=False)

        Network(3, 6, 1, rng=0).save(tmp_path / "one.nineline")
        Networks(3, 3, 6, 1, rng=0).save(tmp_path / "many.nineline")
        for name, ending in (("one", "png"), ("many", "pdf")):
            picture = tmp_path / f"{name}.{ending}"
            arguments = ["show", str(tmp_path / f"{name}.nineline"), "--plot", str(picture)]
            CliRunner().invoke(app, arguments, catch_exceptions=False)
            assert picture.stat().st_size > 1000
        with pytest.raises(ValueError, match=r"expected a name that ends in \.svg, \.png or \.pdf"):
            CliRunner().invoke(app, [*arguments[:3], "picture.gif"], catch_exceptions=False)


@pytest.mark.parametrize("missing", ["jinja2", "matplotlib"])
def test_without_what_it_needs_the_error_names_the_way_out(missing, tmp_path, monkeypatch):
    model = TabularRegressor(random_state=0, **QUICK).fit(X, SIZE)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=r"nineline\[plot\]"):
        model.report_.to_html(tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


@pytest.mark.skipif(not DATA.exists(), reason="the tables lie in ../shared/data, which is not here")
@pytest.mark.parametrize(("name", "target"), [("telco_churn", "churn"), ("bike_hour", "cnt")])
def test_real_tables(name, target, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        session = train_on_table(pl.read_csv(DATA / f"{name}.csv"), target, max_epochs=1, n_members=1)
        session.to_html(tmp_path / "report.html")
    Page((tmp_path / "report.html").read_text(encoding="utf-8"))
