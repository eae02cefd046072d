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
