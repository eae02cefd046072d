"""The checkpoint of a training that several processes share. The first of them writes and reads it.

What the processes have in common is one training: parameters, what the optimizer remembers, the random generator, of an
epoch under way the number from which each process's order follows. A digest of the data is compared where as many
processes go on as there were, for then each has to have the share that it had. Another number of processes cannot have
the same shares, and of the data only the number of rows has to be the same.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from nineline.files import FileError
from nineline.rows import arrays_of
from nineline.training.checkpoints import SHARES, Checkpoint, fingerprint
from nineline.training.windows import Windows

if TYPE_CHECKING:
    import numpy as np

    from nineline.engines.contract import Rule
    from nineline.network import Network
    from nineline.rows import Rows
    from nineline.training.plan import Plan
    from nineline.training.shared.together import Together
    from nineline.training.snapshot import LoopSnapshot


def digest_of(together: Together, rows: Rows | Windows, validation: Rows | Windows | None) -> str:
    """Return a digest of the data of all processes, in the order of ranks."""
    parts = [rows] if validation is None else [rows, validation]
    digests = together.of_each(number_of(repr([_mark(part) for part in parts])))
    return f"{together.size} processes, {hashlib.blake2b(repr(digests).encode(), digest_size=16).hexdigest()}"


def _mark(part: Rows | Windows) -> str:
    """Return what tells rows from others."""
    if isinstance(part, Windows):
        return f"{part.source.fingerprint()}, {len(part)} of its rows, {part.source.memory} bytes"
    return fingerprint((*arrays_of(part.inputs), part.targets, part.sample_weight))


def number_of(text: str) -> int:
    """Return a number of 48 bits, which a float64 holds, that stands for a text."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=6).digest(), "big")


class SharedCheckpoint(Checkpoint):
    """See `nineline.training.checkpoints.Checkpoint`."""

    def describe_shared(
        self,
        network: Network,
        rng: np.random.Generator,
        shares: str,
        data: str,
        rule: Rule,
        plan: Plan,
        local_steps: int,
    ) -> None:
        """Take note of what shapes the training; `shares` is the digest of the data, `data` how many there are."""
        self.describe_rule(network, rng, rule, plan)
        self.settings |= {SHARES: shares, "data": data, "local_steps": str(local_steps)}

    def differs(self, name: str, was: str, now: str) -> bool:
        if name == SHARES and was.partition(",")[0] != now.partition(",")[0]:
            return False
        return super().differs(name, was, now)

    def check_shared_epoch(self, snapshot: LoopSnapshot, batches: int, *, holds_order: bool) -> None:
        """Raise FileError where the epoch under way is none of so many batches; of a source it holds no order."""
        order: Any = snapshot.order
        done = len(snapshot.losses)
        if (
            (order is not None) != (holds_order and done > 0)
            or done > batches - holds_order
            or (order is not None and (len(order) != 1 or order[0] < 0))
        ):
            raise FileError(f"{self.path} holds no valid checkpoint: the epoch under way does not fit the data")
