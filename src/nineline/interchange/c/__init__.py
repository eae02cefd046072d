"""A network as C99: one .c and one .h that need a compiler and nothing else.

The program allocates nothing, keeps no state and has its tables in read-only memory; what it needs besides is a few
arrays on the stack. With ``-DNINELINE_SELF_TEST`` it compiles to a program that runs recorded inputs and says whether
the outputs are those that nineline gave.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nineline import _checks, writing
from nineline.interchange.c.activations import REALS
from nineline.interchange.c.jacobian import check_jacobian
from nineline.interchange.c.network import Writer
from nineline.interchange.c.text import stem
from nineline.interchange.model import TrainedModel
from nineline.interchange.rounding import Rounded, round_network

if TYPE_CHECKING:
    import os

    import numpy.typing as npt


@dataclass(frozen=True)
class CProgram:
    """A network in C.

    Attributes
    ----------
    name : str
        What its functions and files begin with.
    header, source : str
        The text of the .h and of the .c.
    flash : int
        Bytes of its tables, in read-only memory. The code comes on top, one to three KiB.
    ram : int
        Bytes of its arrays, on the stack while it runs; with a Jacobian, of the function that takes more.
    """

    name: str
    header: str
    source: str
    flash: int
    ram: int

    def write(self, folder: str | os.PathLike[str], stem: str | None = None) -> tuple[Path, Path]:
        """Write the .c and the .h into a folder, and return their paths.

        Parameters
        ----------
        folder : path
        stem : str, optional
            What the files are called, where that is not `name`: ``stem.c`` includes ``stem.h``.

        Raises
        ------
        OSError
            One cannot be written; what lay there before is untouched.
        """
        called = self.name if stem is None else stem
        paths = Path(folder) / f"{called}.c", Path(folder) / f"{called}.h"
        source = self.source.replace(f'#include "{self.name}.h"', f'#include "{called}.h"', 1)
        for path in paths:
            writing.check_writable(path)
        for path, text in zip(paths, (source, self.header), strict=True):
            writing.write_bytes(path, text.encode())
        return paths


def to_c(
    model: object,
    name: str = "network",
    *,
    dtype: npt.DTypeLike = np.float32,
    libm: bool = True,
    int8: bool = False,
    jacobian: bool = False,
) -> CProgram:
    """Write a network, or a fitted estimator with its columns, as C99.

    Parameters
    ----------
    model : Network or estimator of nineline's
    name : str
        What functions and files begin with: ``name_run`` and so on; made a C identifier where it is none, and another
        one where it is a standard header's.
    dtype : float32 or float64
        Of the arithmetic in C, float or double.
    libm : bool
        Whether math.h may be called. Without it exp, tanh and log are written out, a few lines each; gelu cannot be.
    int8 : bool
        Whether weights are rounded to eight bits, with a scale for each unit. It costs accuracy:
        `nineline.interchange.rounding.round_network` gives the twin to measure it on.
    jacobian : bool
        Whether there is ``name_jacobian`` besides: it gives the outputs, as ``name_run`` does, and their derivatives
        by the inputs, exact and by backpropagation, ``jacobian[j][i]`` that of output j by input i. For a solver or a
        controller. It needs no more tables, and room on the stack for the slope of every unit. See `Network.jacobian`.

    Returns
    -------
    CProgram

    Raises
    ------
    TypeError, ValueError
        The model is none, or holds an activation of your own, or one that needs the library that it is denied, or
        levels or classes that no text in C can hold; or `jacobian` is asked of an estimator of a table.

    Examples
    --------
    >>> from nineline import Network
    >>> from nineline.interchange import to_c
    >>> program = to_c(Network(3, 6, 1, rng=0), "parity")
    >>> print(program.header.splitlines()[0])
    /* parity.h: a neural network, written by nineline.
    >>> program.flash, program.ram
    (96, 28)

    With derivatives:

    >>> program = to_c(Network(3, 6, 1, rng=0), "parity", jacobian=True)
    >>> print(program.header[program.header.index("void parity_jacobian") :].partition(";")[0])
    void parity_jacobian(const float inputs[PARITY_INPUTS], float outputs[PARITY_OUTPUTS],
        float jacobian[PARITY_OUTPUTS][PARITY_INPUTS])
    >>> program.flash, program.ram
    (96, 52)
    """
    kind = _checks.floating_dtype("dtype", dtype)
    trained = TrainedModel.of(model).astype(kind)
    if jacobian:
        check_jacobian(trained, model)
    rounded: dict[str, Rounded] = {}
    if int8:
        twin, rounded = round_network(trained.network)
        trained = TrainedModel(twin, trained.columns, trained.target)
    writer = Writer(trained, stem(name), REALS[kind.name], libm=libm, rounded=rounded, jacobian=jacobian)
    return CProgram(writer.name, writer.header(), writer.source(), writer.flash(), writer.ram())
