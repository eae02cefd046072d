"""Estimators pickle and clone; a pickle of another version is refused, with the way out."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris

import nineline
from nineline.estimators import MLPClassifier, MLPRegressor, TabularClassifier, TabularRegressor
from nineline.estimators.pickles import PickleVersionError

MODELS = {
    TabularClassifier: load_iris,
    TabularRegressor: load_diabetes,
    MLPClassifier: load_iris,
    MLPRegressor: load_diabetes,
}
EACH = pytest.mark.parametrize("kind", MODELS)
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def fitted(kind: Any) -> tuple[Any, Any]:
    X, y = MODELS[kind](return_X_y=True)
    how = {"max_epochs": 3} if kind in (TabularClassifier, TabularRegressor) else {"solver": "lbfgs", "max_iter": 500}
    return kind(random_state=0, hidden_layer_sizes=(4,), **how).fit(X, y), X


@EACH
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_answers_the_same(kind: Any, protocol: int) -> None:
    model, X = fitted(kind)
    again = pickle.loads(pickle.dumps(model, protocol))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert again.get_params() == model.get_params()
    assert vars(again).keys() >= vars(model).keys() - {"_sklearn_output_config"}


@EACH
def test_copies_and_clones(kind: Any) -> None:
    model, X = fitted(kind)
    for twin in (copy.copy(model), copy.deepcopy(model)):
        np.testing.assert_array_equal(twin.predict(X), model.predict(X))
    blank = clone(model)
    assert blank.get_params() == model.get_params()
    assert not hasattr(blank, "network_")
    blank.fit(*MODELS[kind](return_X_y=True))
    np.testing.assert_array_equal(blank.predict(X), model.predict(X))


@EACH
@pytest.mark.parametrize("version", ["0.0.9", "99.0.0"])
def test_a_pickle_of_another_version_is_refused(kind: Any, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, _ = fitted(kind)
    with monkeypatch.context() as patch:
        patch.setattr("nineline.estimators.pickles.__version__", version)
        data = pickle.dumps(model)
    message = rf"this {kind.__name__} was pickled by nineline {version}, and this is nineline {nineline.__version__};"
    with pytest.raises(PickleVersionError, match=message) as caught:
        pickle.loads(data)
    assert "call save(path), which any later one reads; or fit it again" in str(caught.value)


@EACH
def test_a_pickle_from_before_there_was_a_mark_is_refused(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model, _ = fitted(kind)
    with monkeypatch.context() as patch:
        patch.delattr("nineline.estimators.pickles.Pickled.__getstate__")
        data = pickle.dumps(model)
    with pytest.raises(ValueError, match="was pickled before nineline marked its pickles"):
        pickle.loads(data)
