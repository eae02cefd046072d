"""scikit-learn's own tests of its MLPs, out of the installed wheel, with our classes in place of theirs."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import sklearn.neural_network

from nineline.estimators import MLPClassifier, MLPRegressor

FOLDER = Path(sklearn.neural_network.__file__).parent / "tests"

# What is not promised, and why. Each of these has to fail: one that passes is to be taken out.
NOT_OURS = {
    "test_gradient": "calls _loss_grad_lbfgs, a private method; tests/test_losses.py and gradient_check do its work",
}

# Files that are not about the estimators.
NOT_ABOUT_THEM = {
    "test_base.py": "loss functions of the private module _base; tests/test_losses.py tests ours",
    "test_rbm.py": "BernoulliRBM, another estimator",
    "test_stochastic_optimizers.py": "classes of the private module _stochastic_optimizers",
}

pytestmark = [
    pytest.mark.skipif(
        tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 9), reason="what is promised is scikit-learn 1.9's"
    ),
    pytest.mark.filterwarnings("default"),  # as scikit-learn runs them: they do not all catch what they cause
]


def with_our_classes(file):
    """Import a test module of theirs anew, while its package has our classes: they are in its parameters, too."""
    spec = importlib.util.spec_from_file_location(f"theirs_{file.stem}", file)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sklearn.neural_network, "MLPClassifier", MLPClassifier)
        patch.setattr(sklearn.neural_network, "MLPRegressor", MLPRegressor)
        spec.loader.exec_module(module)
    return module


THEIRS = with_our_classes(FOLDER / "test_mlp.py")
TESTS = {name: test for name, test in vars(THEIRS).items() if name.startswith("test_")}
for name, test in TESTS.items():
    reason = NOT_OURS.get(name)
    globals()[name] = test if reason is None else pytest.mark.xfail(reason=reason, strict=True)(test)


@pytest.fixture
def global_random_seed():
    return 42


def test_they_are_about_our_classes():
    assert THEIRS.MLPClassifier is MLPClassifier
    assert THEIRS.MLPRegressor is MLPRegressor
    assert len(TESTS) > 40


def test_what_is_left_out_is_there():
    assert NOT_OURS.keys() <= TESTS.keys()
    assert {file.name for file in FOLDER.glob("test_*.py")} == {"test_mlp.py", *NOT_ABOUT_THEM}
