"""Peers: who is measured. Each module writes a workload in the form that its own users would write for speed."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from benchmarks.peers.contract import Runner, Trainer
    from benchmarks.workloads import Workload


@dataclass(frozen=True)
class Peer:
    """Where a peer is and what it can do, without importing it.

    Attributes
    ----------
    name : str
    package : str
        What has to be installed.
    module : str
        In this folder.
    trainer, runner : str
        The module's class that trains and the one that answers one row; empty where there is none.
    only, never : tuple of str
        Names of workloads.
    sweeps : bool
        Whether it takes part where there are many workloads along an axis.
    command : str
        A program that has to be there, too.
    """

    name: str
    package: str
    module: str
    trainer: str = ""
    runner: str = ""
    only: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    sweeps: bool = True
    command: str = ""

    def takes(self, workload: Workload) -> bool:
        """Whether this peer can compute the workload."""
        if workload.name in self.never or (self.only and workload.name not in self.only):
            return False
        if workload.sweep and not self.sweeps:
            return False
        return bool(self.trainer if workload.trains else self.runner)

    def missing(self) -> str:
        """Return what this peer needs and is not there, or nothing."""
        from shutil import which

        if find_spec(self.package) is None:
            return f"the package {self.package}"
        return f"the program {self.command}" if self.command and which(self.command) is None else ""

    def make(self, workload: Workload, threads: int) -> Trainer | Runner:
        """Import the peer and build it for the workload."""
        module: Any = import_module(f"{__name__}.{self.module}")
        return getattr(module, self.trainer if workload.trains else self.runner)(workload, threads)


PEERS: Final[dict[str, Peer]] = {
    peer.name: peer
    for peer in (
        Peer("nineline", "nineline", "nineline", "Nineline", "NinelineRow"),
        Peer("nineline-reference", "nineline", "nineline", "NinelineReference"),
        Peer("nine-lines", "numpy", "nine_lines", "NineLines", only=("seed",)),
        Peer("numpy", "numpy", "numpy", runner="NumpyRow"),
        Peer("jax", "jax", "jax", "Jax", "JaxRow"),
        Peer("torch", "torch", "torch", "Torch", "TorchRow"),
        Peer("torch-compile", "torch", "torch_compile", "TorchCompile", sweeps=False, command="c++"),
        Peer("torchscript", "torch", "torch", runner="TorchScriptRow"),
        Peer("sklearn", "sklearn", "sklearn", "Sklearn", "SklearnRow", never=("seed",)),
        Peer("onnxruntime", "onnxruntime", "onnxruntime", runner="OnnxruntimeRow"),
    )
}
"""Every peer by name, in the order of the table."""

_STEPS: Final = ("step", "step-row", "step-row-6-16")
_RUNS: Final = ("run-row", "run-row-6-16")

STEPPERS: Final[dict[str, Peer]] = {
    peer.name: peer
    for peer in (
        Peer("trainer.steps", "nineline", "stepping", "Steps", only=_STEPS),
        Peer("trainer.step", "nineline", "stepping", "Step", only=_STEPS),
        Peer("gradient, move", "nineline", "stepping", "GradientMove", only=_STEPS),
        Peer("run, step_from", "nineline", "stepping", "RunStepFrom", only=_STEPS),
        Peer("jax", "jax", "jax", "JaxStep", only=_STEPS),
        Peer("torch", "torch", "torch", "TorchStep", only=_STEPS),
        Peer("network.train, 1", "nineline", "stepping", "TrainOne", only=("train-1",)),
        Peer("nineline's partial_fit", "nineline", "partial_fit", "Ours", only=("partial-fit",)),
        Peer("sklearn's partial_fit", "sklearn", "partial_fit", "Theirs", only=("partial-fit",)),
        Peer("network.run", "nineline", "nineline", runner="NinelineRow", only=_RUNS),
        Peer("network.run, out", "nineline", "stepping", runner="RunOut", only=_RUNS),
    )
}
"""Who takes one step a call from Python, and what a step is without the call; see `stepping.py`."""
