"""What the parameters that both estimators have may be; scikit-learn checks them by this, and words the errors."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, Final

import numpy as np
from sklearn.utils._param_validation import Interval, Options, StrOptions

from nineline.activations import ACTIVATIONS, Activation, Sigmoid

SOLVERS: Final = ("sgd", "adam", "lbfgs", "lm")
"""Every solver under scikit-learn's name, and "lm", which it does not have."""

STOCHASTIC: Final = ("sgd", "adam")
"""The solvers that go through epochs of batches."""

NAMED_ACTIVATIONS: Final[dict[str, type[Activation]]] = {"logistic": Sigmoid, **ACTIVATIONS}
"""Every activation under its name, and scikit-learn's name of the sigmoid."""

CONSTRAINTS: Final[dict[str, list[Any]]] = {
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "activation": [StrOptions(set(NAMED_ACTIVATIONS)), Activation, list, tuple],
    "solver": [StrOptions(set(SOLVERS))],
    "alpha": [Interval(Real, 0, None, closed="left")],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
    "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
    "power_t": [Interval(Real, 0, None, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "shuffle": ["boolean"],
    "random_state": ["random_state"],
    "tol": [Interval(Real, 0, None, closed="left")],
    "verbose": ["verbose"],
    "warm_start": ["boolean"],
    "momentum": [Interval(Real, 0, 1, closed="both")],
    "nesterovs_momentum": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="left")],
    "beta_1": [Interval(Real, 0, 1, closed="left")],
    "beta_2": [Interval(Real, 0, 1, closed="left")],
    "epsilon": [Interval(Real, 0, None, closed="neither")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
    "max_fun": [Interval(Integral, 1, None, closed="left")],
    "dropout": [Interval(Real, 0, 1, closed="left"), list, tuple],
    "scoring": [str, callable, None],
    "keep_optimizer": ["boolean"],
    "engine": [StrOptions({"auto", "native", "reference"})],
    "threads": [Interval(Integral, 1, None, closed="left"), None],
}
