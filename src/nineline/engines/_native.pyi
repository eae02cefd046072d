# The door to the C++ engine: what native/bindings.cpp opens. Arrays are C-contiguous, of the model's dtype.

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

_Array: TypeAlias = npt.NDArray[np.floating[Any]]

class LayerPlan: ...
class LossPlan: ...
class RulePlan: ...

def dense(
    inputs: int,
    outputs: int,
    bias: bool,
    activation: str,
    setting: float = 0.0,
    weights_factor: float = 1.0,
    bias_factor: float = 1.0,
) -> LayerPlan: ...
def dropout(width: int, rate: float) -> LayerPlan: ...
def loss(name: str, setting: float = 0.0, mean: bool = True) -> LossPlan: ...
def rule(
    name: str,
    *,
    momentum: float = 0.0,
    nesterov: bool = False,
    beta_1: float = 0.0,
    beta_2: float = 0.0,
    epsilon: float = 0.0,
    epsilon_hat: bool = False,
    weight_decay: float = 0.0,
    l1: float = 0.0,
    l2: float = 0.0,
    penalty_by_rows: bool = False,
    clip_norm: float = 0.0,
    seed: int = 0,
) -> RulePlan: ...

class Model:
    def __init__(self, level: str, dtype: str, layers: list[LayerPlan], loss: LossPlan, rule: RulePlan) -> None: ...
    def steps(
        self,
        parameters: _Array,
        memory: list[_Array],
        inputs: _Array,
        targets: _Array,
        weights: _Array | None,
        order: npt.NDArray[np.int64] | None,
        batch_size: int,
        rates: npt.NDArray[np.float64],
        losses: npt.NDArray[np.float64],
        first: int,
        threads: int,
    ) -> int: ...
    def gradient(
        self,
        parameters: _Array,
        inputs: _Array,
        targets: _Array,
        weights: _Array | None,
        into: _Array,
        first: int,
        threads: int,
    ) -> float: ...
    def undo(self, parameters: _Array) -> None: ...
    def evaluate(
        self, parameters: _Array, inputs: _Array, targets: _Array, weights: _Array | None, threads: int
    ) -> float: ...
    def run(self, parameters: _Array, inputs: _Array, outputs: _Array, threads: int) -> None: ...

class Runner:
    def __init__(self, model: Model, parameters: _Array, empty: Callable[..., _Array], threads: int) -> None: ...
    def __call__(self, inputs: object) -> _Array | None: ...

def apply(function: str, array: _Array, level: str) -> _Array: ...
def levels() -> list[str]: ...
