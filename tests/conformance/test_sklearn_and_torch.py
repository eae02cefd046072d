"""Networks from scikit-learn and PyTorch answer as theirs do, and train on."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression
from sklearn.neural_network import MLPClassifier, MLPRegressor

from nineline import Adam, Dropout, Embedding, GradientDescent, Layer, LayerNorm, Network, Residual, Trainer
from nineline.interchange.samples import sample_inputs

# scikit-learn


@pytest.mark.filterwarnings("ignore", category=ConvergenceWarning)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_a_classifier_from_scikit_learn(activation: str, classes: int, dtype: Any) -> None:
    X, y = load_iris(return_X_y=True)
    X, y = X[y < classes].astype(dtype), np.array(["c", "a", "b"])[y[y < classes]]
    mlp = MLPClassifier((7, 5), activation=activation, max_iter=20, random_state=0).fit(X, y)
    network = Network.from_sklearn(mlp)
    assert network.dtype == dtype
    expected = mlp.predict_proba(X) if classes == 3 else mlp.predict_proba(X)[:, 1:]
    np.testing.assert_allclose(network.run(X), expected, rtol=2e-6 if dtype is np.float32 else 1e-12, atol=1e-7)
    targets = np.eye(3)[np.unique(y, return_inverse=True)[1]][:, :3] if classes == 3 else (y == "c")[:, np.newaxis]
    loss = "cross_entropy" if classes == 3 else "binary_cross_entropy"
    history = network.train(X, targets, epochs=30, batch_size=10, loss=loss, optimizer=Adam(0.01), rng=0)
    assert history.loss[-1] < 0.7 * history.loss[0]


@pytest.mark.filterwarnings("ignore", category=ConvergenceWarning)
@pytest.mark.parametrize("outputs", [1, 2])
def test_a_regressor_from_scikit_learn(outputs: int) -> None:
    X, y = load_diabetes(return_X_y=True)
    targets = y if outputs == 1 else np.column_stack([y, -y])
    mlp = MLPRegressor(hidden_layer_sizes=(), max_iter=10, random_state=0).fit(X, targets)
    np.testing.assert_allclose(Network.from_sklearn(mlp).run(X).reshape(targets.shape), mlp.predict(X), rtol=1e-12)


def test_counts() -> None:
    if "loss" not in MLPRegressor().get_params():
        pytest.skip("this scikit-learn has no loss for counts")
    X = np.random.default_rng(0).random((60, 2))
    mlp = MLPRegressor("poisson", hidden_layer_sizes=(4,), solver="lbfgs", random_state=0).fit(X, X.sum(axis=1))
    np.testing.assert_allclose(Network.from_sklearn(mlp).run(X)[:, 0], mlp.predict(X), rtol=1e-12)


def test_many_labels_at_once() -> None:
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(40, 3)), rng.integers(2, size=(40, 4))
    with pytest.warns(ConvergenceWarning):
        mlp = MLPClassifier((5,), max_iter=5, random_state=0).fit(X, Y)
    np.testing.assert_allclose(Network.from_sklearn(mlp).run(X), mlp.predict_proba(X), rtol=1e-12)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (MLPClassifier(), ValueError, "the MLPClassifier is not fitted; call fit first"),
        (LinearRegression(), TypeError, "mlp is a LinearRegression; expected scikit-learn's MLPClassifier"),
        (None, TypeError, "mlp is a NoneType"),
    ],
)
def test_what_scikit_learn_cannot_give(given: Any, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        Network.from_sklearn(given)


# PyTorch


@pytest.fixture(scope="module")
def torch() -> Any:
    return pytest.importorskip("torch", reason="torch is not installed: pip install torch")


def answers(torch: Any, module: Any, inputs: Any) -> Any:
    with torch.no_grad():
        return module.eval()(torch.from_numpy(inputs)).numpy()


def test_nobody_imports_torch_unasked() -> None:
    code = (
        "import sys, nineline, nineline.interchange; from nineline import Network\n"
        "try: Network.from_torch(5)\nexcept TypeError as error: print(error)\n"
        "print([name for name in ('torch', 'onnx') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "module is a int; expected a torch.nn.Sequential\n[]\n"


def test_there_and_back(torch: Any, make_networks: Any) -> None:
    for dtype, tolerance in (("float32", 2e-6), ("float64", 1e-9)):  # torch's softplus is a straight line from 20 on
        for network in make_networks(dtype).values():
            module = network.to_torch()
            inputs = np.random.default_rng(0).normal(size=(9, network.n_inputs)).astype(dtype)
            expected = network.run(inputs)
            scale = np.maximum(1, np.abs(expected).max())
            assert np.abs(answers(torch, module, inputs) - expected).max() <= tolerance * scale, repr(network)
            back = Network.from_torch(module)
            assert repr(back) == repr(network)
            assert back.parameters.tobytes() == network.parameters.tobytes()


def test_embeddings_there_and_back(torch: Any, make_embeddings: Any) -> None:
    for dtype in ("float32", "float64"):
        for network in make_embeddings(dtype).values():
            module, inputs = network.to_torch(), sample_inputs(9, network).astype(dtype)
            np.testing.assert_allclose(answers(torch, module, inputs), network.run(inputs), rtol=1e-5, atol=1e-6)
            back = Network.from_torch(module)
            assert repr(back) == repr(network)
            assert back.parameters.tobytes() == network.parameters.tobytes()


def test_an_embedding_of_theirs_is_a_column_of_levels(torch: Any) -> None:
    nn = torch.nn
    network = Network.from_torch(nn.Sequential(nn.Embedding(7, 3), nn.LayerNorm(3, 0.1), nn.Linear(3, 2)))
    assert repr(network.layers[:2]) == "(Embedding(7, 3), LayerNorm(epsilon=0.1))"


def batches(rng: Any, steps: int, dtype: str) -> Any:
    for _ in range(steps):
        X = np.column_stack([rng.integers(0, 4, 6), rng.integers(0, 50, 6), rng.normal(size=(6, 3))])
        yield X.astype(dtype), rng.normal(size=(6, 2)).astype(dtype)


@pytest.mark.parametrize("how", ["descent", "momentum without levels", "lazy adam"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_ten_steps_are_those_of_pytorch(how: str, dtype: str, torch: Any) -> None:
    """Layer normalisation, residual connections and embeddings; PyTorch's lazy moments are those of its SparseAdam."""
    front = [] if how == "momentum without levels" else [Embedding([4, 50], [2, 3], numbers=3)]
    width = 8 if front else 5
    residual = Residual(LayerNorm(), Layer(width, 12, "tanh", bias=True), Layer(12, width, "identity", bias=True))
    network = Network(*front, residual, LayerNorm(), Layer(width, 2, "identity", bias=True), rng=0, dtype=dtype)
    module = network.to_torch().train()
    if how == "lazy adam":
        levels = list(module[0].columns.parameters())
        for column in module[0].columns:
            column.sparse = True
        others = [each for each in module.parameters() if all(each is not level for level in levels)]
        theirs = [torch.optim.Adam(others, 0.01), torch.optim.SparseAdam(levels, 0.01)]
        # theirs adds epsilon before the correction where it is sparse, ours (here) likewise, and it is small
        ours: Any = Adam(0.01, epsilon=1e-12, epsilon_hat=True)
        for each in theirs:
            each.param_groups[0]["eps"] = 1e-12
    else:
        momentum = 0.9 if how.startswith("momentum") else 0.0
        theirs, ours = [torch.optim.SGD(module.parameters(), 0.05, momentum)], GradientDescent(0.05, momentum=momentum)
    trainer = Trainer(network, loss="squared_error", optimizer=ours)
    for X, Y in batches(np.random.default_rng(1), 10, dtype):
        for each in theirs:
            each.zero_grad()
        ((module(torch.from_numpy(X)) - torch.from_numpy(Y)) ** 2).sum().div(12).backward()
        for each in theirs:
            each.step()
        trainer.step(X, Y)
    back = Network.from_torch(module)
    np.testing.assert_allclose(back.parameters, network.parameters, atol=1e-6 if dtype == "float64" else 1e-4)


def test_a_nested_sequential_with_all_that_is_known(torch: Any) -> None:
    nn = torch.nn
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Flatten(),
        nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.3)),
        nn.Linear(8, 8, bias=False),
        nn.LeakyReLU(0.2),
        nn.Identity(),
        nn.Linear(8, 6),
        nn.ELU(0.5),
        nn.Linear(6, 3),
        nn.Softmax(dim=-1),
    )
    network = Network.from_torch(module)
    inputs = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    np.testing.assert_allclose(network.run(inputs), answers(torch, module, inputs), rtol=1e-5, atol=1e-7)
    assert isinstance(network.layers[1], Dropout)
    assert network.layers[1].rate == 0.3
    history = network.train(
        inputs, np.eye(3)[[0, 1, 2, 0, 1]], epochs=50, loss="cross_entropy", optimizer="adam", rng=0
    )
    assert history.loss[-1] < history.loss[0]
    with torch.no_grad():
        assert not np.array_equal(module[1][0].weight.numpy().T, network.layers[0].weights)  # copies on both sides


def test_what_goes_to_torch_trains_there(torch: Any) -> None:
    network = Network(Layer(2, 8, "tanh", bias=True), Layer(8, 1, "sigmoid", bias=True), rng=0)
    before = network.parameters.copy()
    module = network.to_torch()
    X, y = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]]).double(), torch.tensor([[0.0], [1], [1], [0]]).double()
    descent = torch.optim.Adam(module.parameters(), 0.05)
    for _ in range(300):
        descent.zero_grad()
        torch.nn.functional.binary_cross_entropy(module(X), y).backward()
        descent.step()
    assert torch.equal(module(X).round(), y)
    np.testing.assert_array_equal(network.parameters, before)


def test_modules_that_are_not_known_are_named(torch: Any) -> None:
    nn = torch.nn
    cases = [
        (nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)), r"module 1 \(BatchNorm1d\) is not known; known are Linear"),
        (nn.Sequential(nn.Sequential(nn.Conv1d(1, 1, 1))), r"module 0\.0 \(Conv1d\) is not known"),
        (nn.Sequential(nn.Linear(2, 3), nn.Softmax(dim=0)), "has only as PyTorch makes it by default"),
        (nn.Sequential(nn.Linear(2, 3), nn.GELU("tanh")), "has only as PyTorch makes it by default"),
        (nn.Sequential(nn.Linear(2, 3), nn.Softplus(2.0)), "has only as PyTorch makes it by default"),
        (nn.Sequential(nn.Linear(2, 3), nn.Flatten(0)), "has only as PyTorch makes it by default"),
        (nn.Sequential(nn.LayerNorm([2, 3])), "has only as PyTorch makes it by default"),
        (nn.Sequential(nn.LayerNorm(3, elementwise_affine=False)), "has only as PyTorch makes it by default"),
        (nn.Sequential(nn.Embedding(3, 2, padding_idx=0)), "has only as PyTorch makes it by default"),
        (nn.Sequential(type("Residual", (nn.Module,), {})()), "has only as PyTorch makes it by default"),
        (nn.Sequential(nn.ReLU(), nn.Linear(2, 3)), "where no linear map stands before it"),
        (nn.Sequential(nn.Linear(2, 3), nn.Dropout(), nn.ReLU()), "where no linear map stands before it"),
        (nn.Sequential(), "has no linear map"),
        (nn.Sequential(nn.Linear(2, 3), nn.Dropout()), "the last layer is not a dense one"),
        (nn.Sequential(nn.Linear(2, 3).half()), "weights of float16; expected float32 or float64"),
        (nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1).double()), "mixes float32 and float64"),
        (nn.Sequential(nn.Linear(2, 3), nn.Linear(4, 1)), "takes 4 inputs, the layer before it gives 3"),
    ]
    for module, message in cases:
        with pytest.raises(ValueError, match=message):
            Network.from_torch(module)
