"""Data that are mostly zeros: the native engine leaves out what adds nothing, and the answers stay the reference's."""

from __future__ import annotations

import numpy as np
import pytest

from nineline import Adam, Layer, Network

pytest.importorskip("nineline.engines._native")


@pytest.mark.parametrize("columns", [33, 200, 1100])  # within a vector's end; a list; more than a list holds
@pytest.mark.parametrize("share", [0.6, 0.95, 1.0])
def test_both_engines_agree_where_most_is_zero(columns: int, share: float) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(203, columns)) * (rng.random((203, columns)) >= share)
    X[5] = rng.normal(size=columns)
    Y = np.eye(3)[rng.integers(3, size=203)]
    found = []
    for engine in ("reference", "native"):
        network = Network(Layer(columns, 70, "relu", bias=True, rng=0), Layer(70, 3, "softmax", bias=True, rng=1))
        network.train(
            X,
            Y,
            epochs=3,
            batch_size=61,
            loss="cross_entropy",
            optimizer=Adam(1e-2),
            engine=engine,
            rng=0,
            progress=False,
        )
        found.append(network)
    reference, native = found
    np.testing.assert_allclose(native.parameters, reference.parameters, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(native.run(X), reference.run(X), rtol=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch_size", [61, 700])  # kept whole; in parts
def test_leaving_zeros_out_changes_no_bit(dtype: str, batch_size: int) -> None:
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(1400, 150)) * (rng.random((1400, 150)) >= 0.9)).astype(dtype)
    Y = rng.normal(size=(1400, 2)).astype(dtype)
    found = []
    for inputs in (X, np.where(X == 0, -X.dtype.type(0), X)):  # negative zeros are not left out
        network = Network(Layer(150, 70, "tanh", bias=True, rng=0, dtype=dtype), Layer(70, 2, rng=1, dtype=dtype))
        how = {"epochs": 2, "batch_size": batch_size, "optimizer": Adam(1e-2), "rng": 0, "progress": False}
        network.train(inputs, Y, loss="squared_error", engine="native", **how)
        found.append((network.parameters, network.run(inputs)))
    for with_zeros, without in zip(*found, strict=True):
        np.testing.assert_array_equal(with_zeros, without)
