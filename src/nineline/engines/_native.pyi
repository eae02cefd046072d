# The door to the C++ engine: what native/bindings.cpp opens. Arrays are C-contiguous, of the layout's dtype.

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

_Array: TypeAlias = npt.NDArray[np.floating[Any]]
_Sparse: TypeAlias = tuple[_Array, npt.NDArray[np.int32], npt.NDArray[np.int64], int]  # data, indices, indptr, columns
_Compact: TypeAlias = tuple[npt.NDArray[np.float32], npt.NDArray[np.int32], Encoding]  # numbers, levels
_Inputs: TypeAlias = _Array | _Sparse | _Compact
_Targets: TypeAlias = _Array | npt.NDArray[np.int64]  # or class numbers, (rows,)

class LayerSpec: ...
class LossSpec: ...
class RuleSpec: ...

def dense(inputs: int, outputs: int, bias: bool, activation: str, setting: float = 0.0) -> LayerSpec: ...
def dropout(inputs: int, rate: float, draws: int = 0) -> LayerSpec: ...
def embedding(inputs: int, levels: Sequence[int], widths: Sequence[int]) -> LayerSpec: ...
def layer_norm(inputs: int, epsilon: float) -> LayerSpec: ...
def shortcut(inputs: int, from_: int) -> LayerSpec: ...  # adds the outputs of layer `from`, -1 the data
def loss(
    name: str,
    setting: float = 0.0,
    mean: bool = True,
    settings: Sequence[float] = (),  # of each output
) -> LossSpec: ...
def rule(
    optimizer: str,
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
) -> RuleSpec: ...

class Encoding:
    def __init__(self, width: int) -> None: ...
    def add_number(self, column: int, place: int, edges: Sequence[float], bent: bool, missing: bool) -> None: ...
    def add_level(self, column: int, place: int, levels: int) -> None: ...

class Layout:
    def __init__(self, level: str, dtype: str, layers: list[LayerSpec]) -> None: ...

class Training:
    steps_taken: int  # to be read only
    seed: int
    threads: int
    def __init__(
        self,
        layout: Layout,
        loss: LossSpec,
        rule: RuleSpec,
        parameters: _Array,
        threads: int,
        factors: Sequence[float] = ...,  # of the blocks; none are all 1
    ) -> None: ...
    def step(self, inputs: object, targets: object, rate: float) -> float | None: ...
    def steps(
        self,
        inputs: _Inputs,
        targets: _Targets,
        weights: _Array | None,
        order: npt.NDArray[np.int64] | None,
        batch_size: int,
        rates: npt.NDArray[np.float64],
        losses: npt.NDArray[np.float64],
        add_up: Callable[[_Array], None] | None = None,
        mean: bool = False,
    ) -> int: ...
    def gradient(
        self,
        inputs: _Inputs,
        targets: _Targets,
        weights: _Array | None,
        into: _Array,
        loss: LossSpec | None = None,
        order: npt.NDArray[np.int64] | None = None,
    ) -> float: ...
    def move(self, gradient: _Array, rate: float) -> None: ...
    def undo(self) -> bool: ...
    def before(self, into: _Array) -> None: ...
    def evaluate(self, inputs: _Inputs, targets: _Targets, weights: _Array | None) -> float: ...
    def read(self, moments: Sequence[_Array]) -> None: ...
    def write(self, moments: Sequence[_Array], before: _Array, steps_taken: int) -> None: ...

class Runner:
    def __init__(self, layout: Layout, parameters: _Array, empty: Callable[..., _Array], threads: int) -> None: ...
    def __call__(self, inputs: object, out: _Array | None = None) -> _Array | None: ...
    def jacobian(self, inputs: object) -> _Array | None: ...
    def hessian(self, inputs: object, output: int) -> _Array | None: ...
    def rows(self, inputs: _Sparse | _Compact, out: _Array | None = None) -> _Array | None: ...

class Measured:
    loss: float
    squares: float
    steepest: float

class Trial:
    foreseen: float
    loss: float
    squares: float

class Curvature:
    size: int  # to be read only
    scaling: npt.NDArray[np.float64]
    def __init__(
        self,
        layout: Layout,
        loss: LossSpec,
        rule: RuleSpec,
        parameters: _Array,
        threads: int,
        factors: Sequence[float],
        inputs: _Inputs,
        targets: _Targets,
        weights: _Array | None,
    ) -> None: ...
    def measure(self, decay: float) -> Measured: ...
    def step(self, damping: float, decay: float) -> Trial | None: ...
    def back(self) -> None: ...
    def descend(
        self,
        damping: float,
        growth: float,
        goal: float,
        min_gradient: float,
        max_damping: float,
        losses: npt.NDArray[np.float64],
        dampings: npt.NDArray[np.float64],
        point: npt.NDArray[np.float64],
        scaling_before: npt.NDArray[np.float64],
    ) -> tuple[int, int, float, float, float, float]: ...  # how many, why; damping and growth before the last, and now
    def effective_parameters(self, decay: float) -> float: ...

def apply(function: str, array: _Array, level: str) -> _Array: ...
def levels() -> list[str]: ...
