"""Network: layers over one flat vector of parameters."""

from __future__ import annotations

from copy import copy, deepcopy
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, cast

import numpy as np

from nineline import _checks
from nineline._stepping import Stepping
from nineline.layers import AbstractLayer, Layer
from nineline.rows import ROWS_AT_ONCE, Compact, Sparse, check_inputs, check_rows, dense

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt
    import onnx

    from nineline._typing import Array, RandomSource
    from nineline.activations import Activation
    from nineline.initializers import Initializer
    from nineline.interchange.c import CProgram
    from nineline.losses import Loss
    from nineline.optimizers import Optimizer
    from nineline.rows import Inputs, Rows
    from nineline.schedules import Schedule
    from nineline.sources import Source
    from nineline.training.epoch import Epoch
    from nineline.training.history import History
    from nineline.training.watch import EarlyStopping
    from nineline.view.trace import Trace


class Block(NamedTuple):
    """One learned array of a layer, and its place in the flat vector."""

    name: str
    """The layer's number and the array's name: "0.weights"."""
    kind: str
    """What the layer that owns it calls it: "weights" or "bias" of a dense one."""
    place: slice
    shape: tuple[int, ...]
    layer: int
    """The number of its layer."""
    penalised: bool
    """Whether l1 and l2 count it."""
    lazy: bool
    """Whether a step moves only those of its rows that the batch has read."""


class Layers(tuple[AbstractLayer, ...]):
    """A network's layers. What they learn lies in the network's one vector, so none is exchanged for another."""

    __slots__ = ()

    def __setitem__(self, place: object, layer: object) -> NoReturn:
        raise TypeError(
            f"layers[{place!r}] of a network is fixed once the network is made; make another, with copies of these: "
            "Network(*copy.deepcopy(network.layers)[:-1], Layer(...))"
        )


class Network:
    """Layers one behind the other, with all that is learned in one flat vector.

    Parameters
    ----------
    *nodes : int, or AbstractLayer
        ``Network(3, 6, 1)`` is the tutorial's network: three inputs, six hidden nodes, one output; sigmoid
        layers without bias, weights uniform in [-1, 1). ``Network(Layer(...), Dropout(...), Layer(...))``
        composes any layers, and takes them over: their arrays become views into `parameters`.
    activation : str or Activation
        Of every layer made from numbers.
    output : str or Activation, optional
        Of the last one, where it differs.
    bias : bool
    initializer : str or Initializer, optional
        As in `Layer`.
    rng : int, numpy.random.Generator or None
        Where weights are drawn from, and later what training shuffles and drops by, unless it is given
        its own. With layers, the weights are drawn anew from it. None is NumPy's global state.
    dtype : float32 or float64, optional
        By default float64, or the layers' own.

    Attributes
    ----------
    layers : tuple of AbstractLayer
    parameters : array, (n,)
        All that is learned; `layers[i].weights`, `layers[i].bias` and their like are views into it.
    blocks : list of Block
        Which part of `parameters` is what.

    Examples
    --------
    >>> from nineline import Network
    >>> X, y = [[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]], [[0], [1], [1], [0]]
    >>> network = Network(3, 6, 1, rng=1)
    >>> history = network.train(X, y, report_every=0)
    >>> network.run(X).round(1).ravel()
    array([0., 1., 1., 0.])
    """

    def __init__(
        self,
        *nodes: int | AbstractLayer,
        activation: str | Activation | None = None,
        output: str | Activation | None = None,
        bias: bool | None = None,
        initializer: str | Initializer | None = None,
        rng: RandomSource = None,
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        generator = _checks.generator("rng", rng)
        self._rng = None if rng is None else generator
        if nodes and all(isinstance(node, AbstractLayer) for node in nodes):
            given = {"activation": activation, "output": output, "bias": bias, "initializer": initializer}
            for name, value in given.items():
                if value is not None:
                    raise TypeError(f"{name} is {value!r}; with layers given as objects, set it on each layer")
            layers = cast("list[AbstractLayer]", list(nodes))
            draws = rng is not None
        else:
            sizes = _sizes(nodes)
            last = len(sizes) - 2
            layers = [
                Layer(
                    sizes[i],
                    sizes[i + 1],
                    output if i == last and output is not None else activation,
                    bias=False if bias is None else bias,
                    initializer=initializer,
                    rng=generator,
                    dtype=np.float64 if dtype is None else dtype,
                )
                for i in range(len(sizes) - 1)
            ]
            draws = False  # they have drawn their weights from it
        dtypes = list(dict.fromkeys(array.dtype for layer in layers for array in layer.blocks().values()))
        self._layers = Layers(layers)
        self.n_inputs, self.n_outputs = _connect(self.layers)
        if dtype is None and len(dtypes) > 1:
            raise ValueError(f"layers have dtypes {dtypes[0]} and {dtypes[1]}; give Network a dtype for all")
        for layer in self._every():
            if layer.adopted:
                raise ValueError(
                    f"{layer!r} already belongs to a network; give each network layers of its own (copy.deepcopy)"
                )
        self._bind(dtypes[0] if dtype is None else _checks.floating_dtype("dtype", dtype))
        if draws:
            for layer in self.layers:
                layer.initialize(generator)

    def _bind(self, dtype: np.dtype[np.floating[Any]], vector: Array | None = None) -> None:
        """Lay all learned arrays into one flat vector, and give the layers views into it.

        Where there is a `vector`, it is that one, and what it holds stays.
        """
        self.blocks: list[Block] = []
        self._learners: list[tuple[AbstractLayer, str]] = []  # of each block: its layer, and what it is called there
        size = 0
        for number, layer in enumerate(self.layers):
            for name, array in layer.blocks().items():
                owner, kind = layer.owner(name)
                self._learners.append((layer, name))
                place = slice(size, size + array.size)
                penalised, lazy = kind in owner.penalised, kind in owner.lazy
                if lazy and not layer.reads_data:
                    raise ValueError(f"{owner!r} has lazy blocks; that is for a first layer, which reads_data")
                self.blocks.append(Block(f"{number}.{name}", kind, place, array.shape, number, penalised, lazy))
                size += array.size
        self._parameters: Array = np.empty(size, dtype) if vector is None else vector
        held = None if vector is None else vector.copy()
        for number, layer in enumerate(self.layers):
            layer.adopt(self.views(self._parameters, number))
        if held is not None:
            self._parameters[...] = held
        for layer in self._every():
            layer.dtype, layer.adopted = dtype, True
        self._answer: Callable[..., Array | None] | None = None
        self.stepping = Stepping()
        self.kept_by_engines: dict[object, Any] = {}

    @property
    def layers(self) -> Layers:
        """The layers, from the inputs to the outputs."""
        return self._layers

    def _every(self) -> Iterator[AbstractLayer]:
        """Yield every layer, those inside others too."""
        for layer in self.layers:
            yield from layer.walk()

    def views(self, vector: Array, layer: int) -> dict[str, Array]:
        """Return one layer's blocks as views into `vector`, which is as long as `parameters`."""
        return {
            block.name.partition(".")[2]: vector[block.place].reshape(block.shape)
            for block in self.blocks
            if block.layer == layer
        }

    def trainable(self) -> list[bool]:
        """Return of each block whether it learns."""
        return [layer.learns(name) for layer, name in self._learners]

    @property
    def parameters(self) -> Array:
        """All that is learned, in one vector. Assigning copies the values in."""
        return self._parameters

    @parameters.setter
    def parameters(self, values: npt.ArrayLike) -> None:
        if values is self._parameters:
            return
        array = _checks.as_float("parameters", values, self.dtype, "expected finite numbers")
        if array.shape != self._parameters.shape:
            raise ValueError(f"parameters has shape {array.shape}; this network's is {self._parameters.shape}")
        self._parameters[...] = array

    @property
    def dtype(self) -> np.dtype[np.floating[Any]]:
        """The type of the parameters and of all arithmetic, float32 or float64."""
        return self._parameters.dtype

    @property
    def output_layer(self) -> Layer:
        """The last layer, which is always a dense one."""
        return cast("Layer", self.layers[-1])

    @property
    def rng(self) -> np.random.Generator:
        """The generator that training uses unless it is given its own."""
        return _checks.generator("rng", self._rng)

    def run(self, inputs: Any, out: Array | None = None) -> Array:
        """Return the network's answers.

        Parameters
        ----------
        inputs : array_like, SciPy sparse matrix or `nineline.rows.Compact`, (rows, n_inputs)
            Or one row, (n_inputs,).
        out : array, (rows, n_outputs) or (n_outputs,), optional
            Where to write them: C-contiguous, of the network's dtype. It is what is returned.

        Returns
        -------
        array, (rows, n_outputs)
            Or (n_outputs,) for one row.

        Examples
        --------
        >>> import numpy as np
        >>> from nineline import Network
        >>> network = Network(3, 6, 1)
        >>> network.run([[0, 0, 1], [1, 0, 1]]).shape
        (2, 1)
        >>> answers = np.empty((2, 1))
        >>> network.run([[0, 0, 1], [1, 0, 1]], out=answers) is answers
        True
        """
        outputs = (self._answer or self.quick_answer())(inputs, out)
        if outputs is None:  # not an array such as the engine reads
            return self._run_checked(inputs, out)
        return outputs

    def _run_checked(self, inputs: Any, out: Array | None) -> Array:
        """Answer for inputs that need a closer look."""
        given, one_row = self.check_rows_or_one(inputs)
        shape = (self.n_outputs,) if one_row else (given.shape[0], self.n_outputs)
        if out is None:
            out = np.empty(shape, self.dtype)
        elif not isinstance(out, np.ndarray) or out.shape != shape or out.dtype != self.dtype:
            kind = f"a {out.dtype} array of shape {out.shape}" if isinstance(out, np.ndarray) else type(out).__name__
            raise ValueError(f"out is {kind}; expected one of {self.dtype}, {shape}")
        elif not (out.flags.c_contiguous and out.flags.writeable):
            raise ValueError(
                f"out is not C-contiguous and writeable; make it with numpy.empty({shape}, '{self.dtype}')"
            )
        self.answer(given, out.reshape(1, -1) if one_row else out)
        return out

    def check_rows_or_one(self, inputs: Any) -> tuple[Inputs, bool]:
        """Return what a user passed as inputs of this network, and whether it was one row, (n_inputs,), or raise."""
        is_laid_out = hasattr(inputs, "tocsr") or isinstance(inputs, Compact)
        rows = inputs if is_laid_out else _checks.as_float("inputs", inputs, self.dtype)
        one_row = not is_laid_out and rows.ndim == 1 and rows.shape[0] == self.n_inputs > 1
        return self.check_inputs("inputs", rows[np.newaxis] if one_row else rows), one_row

    def quick_answer(self) -> Callable[..., Array | None]:
        """Return the engine's way from inputs to outputs, see `nineline.engines.choose_answerer`; it is kept."""
        if self._answer is None:
            from nineline.engines import choose_answerer

            self._answer = choose_answerer(self)
        return self._answer

    def answer(self, given: Inputs, out: Array) -> None:
        """Write the answers for checked inputs of any layout into `out`, (rows, n_outputs)."""
        from nineline.engines import answer_rows

        quick = self.quick_answer()
        if (quick(given, out) if isinstance(given, np.ndarray) else answer_rows(quick, given, out)) is not None:
            return
        for start in range(0, given.shape[0], ROWS_AT_ONCE):
            piece = slice(start, start + ROWS_AT_ONCE)
            out[piece] = self.compute(dense(given, piece))

    def compute(self, inputs: Array) -> Array:
        """Return the answers for checked inputs, in NumPy; nothing is remembered."""
        outputs = inputs
        for layer in self.layers:
            outputs, _ = layer.compute(outputs)
        return outputs

    def gradient(
        self,
        inputs: Any,
        outputs: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None = None,
        *,
        loss: str | Loss | None = None,
    ) -> tuple[float, Array]:
        """Return the loss of some rows and its gradient by the parameters; `Trainer.gradient` has penalties, too.

        As a step of training sees it: where there is dropout, it draws.

        Parameters
        ----------
        inputs, outputs, sample_weight, loss
            As in `train`.

        Returns
        -------
        loss : float
        gradient : array, (n,)
            As `parameters` lies; 0 where a layer is not trainable.

        Examples
        --------
        >>> from nineline import Network
        >>> network = Network(3, 6, 1, rng=0)
        >>> loss, gradient = network.gradient([[0, 1, 1]], [[1]], loss="squared_error")
        >>> gradient.shape == network.parameters.shape
        True
        """
        from nineline.training.arguments import Rule, Trainer

        trainer = Trainer.of(self, Rule(loss), "auto", None, self.rng)  # nothing is drawn from it
        return trainer.gradient(inputs, outputs, sample_weight)

    def jacobian(self, inputs: Any) -> Array:
        """Return the derivatives of the outputs by the inputs, ``d outputs[r, o] / d inputs[r, i]``.

        Exact, by backpropagation with an error of 1 at each output, and as the network runs: without dropout. At a kink
        (relu at 0) it is one of the two slopes; where an `Embedding` reads levels, which have no derivative, it is 0.

        Parameters
        ----------
        inputs : array_like, SciPy sparse matrix or `nineline.rows.Compact`, (rows, n_inputs)
            Or one row, (n_inputs,). Fastest as a C-contiguous array of the network's dtype.

        Returns
        -------
        array, (rows, n_outputs, n_inputs)
            Or (n_outputs, n_inputs) for one row.

        Raises
        ------
        ValueError, TypeError
            The inputs are of no use.

        Examples
        --------
        >>> import numpy as np
        >>> from nineline import Network
        >>> network = Network(3, 6, 2, rng=0)
        >>> slopes = network.jacobian([[0, 0, 1], [1, 0, 1]])
        >>> slopes.shape
        (2, 2, 3)
        >>> h = np.array([1e-6, 0, 0])
        >>> by_hand = (network.run([0, 0, 1] + h) - network.run([0, 0, 1] - h)) / 2e-6
        >>> np.allclose(slopes[0, :, 0], by_hand)
        True
        """
        from nineline.engines import jacobian

        return jacobian(self, inputs)

    def hessian(self, inputs: Any, output: int = 0) -> Array:
        """Return the second derivatives of one output by the inputs, as the network runs.

        ``d² outputs[r, output] / d inputs[r, i] d inputs[r, j]``: exact, and symmetric. Where the activations are
        straight but for kinks (relu) it is 0.

        Parameters
        ----------
        inputs : array_like, SciPy sparse matrix or `nineline.rows.Compact`, (rows, n_inputs)
            Or one row, (n_inputs,).
        output : int
            Its number, from 0.

        Returns
        -------
        array, (rows, n_inputs, n_inputs)
            Or (n_inputs, n_inputs) for one row.

        Raises
        ------
        ValueError, TypeError
            The inputs are of no use, or there is no such output; or an activation or layer of your own has no second
            derivative.

        Examples
        --------
        >>> from nineline import Layer, Network
        >>> bowl = Network(Layer.of([[1.0, 1.0], [1.0, -1.0]], activation="exponential"),
        ...                Layer.of([[1.0], [1.0]], activation="identity"))         # exp(a + b) + exp(a - b)
        >>> bowl.hessian([0.0, 0.0])
        array([[2., 0.],
               [0., 2.]])
        """
        from nineline.engines import hessian

        return hessian(self, inputs, output)

    def forward(self, inputs: npt.ArrayLike) -> Array:
        """Return the network's answers, as `run` does, and let every layer remember what it saw.

        Afterwards `layers[i].inputs`, `layers[i].weighted_sums` and `layers[i].outputs` are there to be looked
        at, and `layers[-1].backward` can learn. It is the reference's arithmetic, in NumPy.

        Parameters
        ----------
        inputs : array_like, (rows, n_inputs)

        Returns
        -------
        array, (rows, n_outputs)

        Examples
        --------
        >>> from nineline import Network
        >>> network = Network(3, 6, 1)
        >>> answers = network.forward([[0, 0, 1], [1, 0, 1]])
        >>> network.layers[0].outputs.shape
        (2, 6)
        """
        outputs = self._rows("inputs", inputs)
        for layer in self.layers:
            outputs = layer.look_at(outputs)
        return outputs

    def train_once(self, inputs: npt.ArrayLike, outputs: npt.ArrayLike) -> Array:
        """Take one step of the tutorial's rule and return the errors before it.

        Every layer's `backward` moves its own weights by its own learning rate (1 by default), downhill on
        half the squared error summed over rows and outputs.

        Parameters
        ----------
        inputs : array_like, (rows, n_inputs)
        outputs : array_like, (rows, n_outputs)
            What the network should answer.

        Returns
        -------
        array, (rows, n_outputs)
            Outputs − what the network answered.
        """
        rows = self.check_rows(inputs, outputs).spread(self.n_outputs)
        errors = rows.targets - self.forward(rows.inputs)
        downhill: Array = errors
        for layer in reversed(self.layers):
            downhill = layer.backward(downhill)
        return errors

    def train(
        self,
        inputs: Any,
        outputs: npt.ArrayLike | None = None,
        iterations: int | None = None,
        *,
        epochs: int | None = None,
        batch_size: int | None = None,
        shuffle: bool = True,
        loss: str | Loss | None = None,
        optimizer: str | Optimizer | None = None,
        schedule: str | Schedule | Callable[[float], float] | None = None,
        validation: float | tuple[Any, ...] | Source | None = None,
        stop: int | EarlyStopping | None = None,
        sample_weight: npt.ArrayLike | None = None,
        l1: float = 0.0,
        l2: float = 0.0,
        clip_norm: float | None = None,
        report_every: int | None = None,
        progress: bool | None = None,
        live: bool = False,
        on_epoch: Callable[[Epoch], object] | Sequence[Callable[[Epoch], object]] = (),
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: float = 10.0,
        resume: bool = False,
        engine: str = "auto",
        threads: int | None = None,
        rng: RandomSource = None,
        parallel: object = None,
        local_steps: int = 1,
    ) -> History:
        """Train the network: a loop around a `Trainer`.

        With no further argument it is the tutorial's rule: gradient descent on the whole batch, learning
        rate 1, half the squared error summed over rows, the errors printed every 1,000 iterations.

        Parameters
        ----------
        inputs : array_like, SciPy sparse matrix or `nineline.rows.Compact`, (rows, n_inputs), or Source
            A `Source` yields inputs, outputs and weights piece by piece, from a disk or out of a simulation: more than
            the memory holds.
        outputs : array_like, (rows, n_outputs)
            What the network should answer: numbers, 0 or 1, one-hot rows. With cross_entropy also class numbers,
            (rows,), from 0 to n_outputs - 1. Left out with a Source.
        iterations : int, optional
            Steps on the whole batch; by default 10,000, where `epochs` is not given.
        epochs : int, optional
            Passes over the data.
        batch_size : int, optional
            Rows a step, with `epochs`; by default all of them.
        shuffle : bool
            Whether each epoch takes the rows in a new order (with `batch_size`). Of a Source that is more than its
            memory, the rows are mixed within windows of a quarter of that, which are filled from 16 of its streams at
            once; a warning says where its rows are sorted, so that this is too little.
        loss : str or Loss, optional
            One of `nineline.losses.LOSSES`, then its mean over the rows of a batch, or an object. By default
            the tutorial's, ``SquaredError(reduction="sum")``.
        optimizer : str or Optimizer, optional
            One of `nineline.optimizers.OPTIMIZERS` or an object. By default the tutorial's,
            ``GradientDescent(1.0)``. `LBFGS` and `LevenbergMarquardt` look at all rows before each step, and find its
            length themselves: then an epoch is one step, without `batch_size` and `schedule`.
        schedule : str, Schedule or function of the epoch, optional
            Factor of the optimizer's learning rate over time.
        validation : float, tuple or Source, optional
            A share of the rows in (0, 1), drawn by `rng` and kept out of training, or ``(inputs, outputs)``
            or ``(inputs, outputs, sample_weight)``, or a Source. Its loss is measured after every epoch.
        stop : int or EarlyStopping, optional
            Stop when the validation loss (the training loss where there is no validation) has not improved
            for so many epochs, and return to the best point.
        sample_weight : array_like, (rows,), optional
            0 or more; a row of weight 2 counts as two rows.
        l1, l2 : float
            Adds ``l1 * sum(|w|) + l2 / 2 * sum(w**2)`` over the weights of dense layers to the loss.
        clip_norm : float, optional
            Gradients longer than this are shortened to it (Euclidean norm over all parameters).
        report_every : int, optional
            Print the errors every so many epochs (an iteration is an epoch of one step): the values while they
            fit on a screen, else the loss. By default 1,000 with `iterations` and 0, never, with `epochs`.
        progress : bool, optional
            Show a progress bar. By default only with `epochs`, on a terminal or in a notebook.
        live : bool
            In a notebook: draw the curve while it grows, and for one or two inputs what the network answers over its
            data (extra ``plot``). Each picture takes the place of the one before, and the last one stays.
        on_epoch : function or sequence of functions
            Called after every epoch with an `Epoch`: its number, losses, the network, the History so far.
            One that returns True ends training.
        checkpoint : path, optional
            A file to keep the whole training in while it goes on. Each time it is replaced as a whole: at every moment
            there is the old one or the new one.
        checkpoint_every : float
            Seconds between two checkpoints; they take a twentieth of the time at most, and wait longer where the disk
            is slow. 0: as often as can be.
        resume : bool
            Go on from `checkpoint`, where that file exists, and end with the same bits as a training that nothing
            befell, on the same engine and instruction set, with any number of threads. The network, the data and the
            arguments have to be those it began with; `rng` is put where it was. A training that had ended gives its
            History again.
        engine : {"auto", "native", "reference"}
            What computes: the C++ engine, or NumPy. "auto" takes native for all that it knows, and reference
            where there is an activation, loss, layer or optimizer of your own; `History.engine` says which ran.
        threads : int, optional
            At most so many threads share a step where that is faster; by default one for each core. The result is
            the same bits for any number.
        rng : int, numpy.random.Generator or None
            Rules shuffling, dropout and the validation share. None continues the network's own.
        parallel : mpi4py communicator or `nineline.parallel.Collective`, optional
            The processes that train this network together, such as ``MPI.COMM_WORLD``: each calls `train` with its own
            share of the rows, of any size, on one process at least with rows. A step is one gradient, added up over
            them: `batch_size` counts the rows of all, so that K processes take the steps of one, to rounding, and the
            same K the same bits. The weights and the generator that they begin with are the first one's, and the first
            one prints and keeps the checkpoint; every other argument is the same on all, `validation` a share or each
            one's own rows, `threads` 1 where it is not given. A `Source` that is the same on all (by its
            `fingerprint`) is one of which each process reads its share: each so manieth stream, or row where there are
            few streams; others are each process's own. One that does not say how many rows it has is gone through once
            before, to count them. `on_epoch` is called on all, and ends training where one
            says so; a score is the first one's. Masks of dropout are each process's own. A checkpoint goes on with any
            number of processes, with as many to the same bits. See docs/guide/several-processes.md.
        local_steps : int
            With `parallel`, where a step is too short for the network between machines: each process takes so many
            steps by itself, on its part of each batch, and then, and at the end of an epoch, parameters, and what the
            optimizer remembers, are averaged as the rows weigh. 1: each step is one of all. For a loss that is a mean.

        Returns
        -------
        History
            Losses, learning rates and times by epoch, and why training stopped. Ctrl-C stops it too: the
            network stays as far as it came, or at its best point where there is `stop`.

        Raises
        ------
        ValueError, TypeError
            An argument is wrong; nothing has been changed (a schedule of your own may fail only later).
        nineline.files.FileError
            The checkpoint to go on from is damaged, or none.
        nineline.training.errors.CheckpointError
            A checkpoint could not be written; the one before is intact, the network as far as it came.
        nineline.parallel.ParallelError
            Another process could not begin, or is gone; the message says which. An error in the midst of training that
            the others do not have ends the work of all: it is printed, and under MPI the job is aborted.
        DivergenceError
            The loss stopped being finite. The network is back at its last finite state, and the error holds
            the History.

        Examples
        --------
        >>> import numpy as np
        >>> from nineline import Adam, Network
        >>> x = np.linspace(-1, 1, 200).reshape(-1, 1)
        >>> network = Network(1, 16, 1, activation="tanh", output="identity", bias=True, rng=0)
        >>> history = network.train(x, x**2, epochs=100, batch_size=20, loss="squared_error",
        ...                         optimizer=Adam(0.01), validation=0.2, stop=20)
        >>> history.best_validation_loss < 1e-3
        True
        """
        from nineline.training import arguments

        rule = arguments.Rule(loss, optimizer, l1=l1, l2=l2, clip_norm=clip_norm)
        plan = arguments.Plan(
            iterations,
            epochs=epochs,
            batch_size=batch_size,
            shuffle=shuffle,
            schedule=schedule,
            stop=stop,
            report_every=report_every,
            progress=progress,
            on_epoch=on_epoch,
        )
        return arguments.train(
            self,
            (inputs, outputs, sample_weight),
            validation,
            rule,
            plan,
            checkpoint=checkpoint,
            checkpoint_every=checkpoint_every,
            resume=resume,
            engine=engine,
            threads=threads,
            rng=rng,
            parallel=parallel,
            local_steps=local_steps,
            live=_checks.boolean("live", live),
        )

    def trace(
        self,
        inputs: Any,
        outputs: npt.ArrayLike,
        *,
        loss: str | Loss | None = None,
        optimizer: str | Optimizer | None = None,
        path: Sequence[int] | None = None,
    ) -> Trace:
        """Return every step of one iteration of training with its numbers; nothing of the network is changed.

        One forward pass, one backward pass and one update, as the reference engine computes them and in the tutorial's
        order: inputs, weighted sums, outputs, errors, deltas, gradients, new weights. Each step has its formula, its
        shape and where its numbers came from. ``print(trace)`` shows it as text, a notebook as HTML; `Trace.to_latex`
        is for a sheet, `Trace.steps` for a program. Dropout draws as the first step of a `Trainer` would.

        Parameters
        ----------
        inputs : array_like, (rows, n_inputs)
            Or one row, (n_inputs,), and then one row of outputs.
        outputs : array_like, (rows, n_outputs)
            What the network should answer, as in `train`.
        loss, optimizer : optional
            As in `train`; by default the tutorial's. `LBFGS` and `LevenbergMarquardt`, which search for their step, are
            not shown.
        path : sequence of int, optional
            For a network of more than 200 parameters: the number of an input and of an output, from 0. Of one row, the
            path from this input to this output is shown, through the nodes with the largest product of weights;
            ``(input, node, ..., output)`` names a node of each hidden layer.

        Returns
        -------
        Trace

        Raises
        ------
        ValueError, TypeError
            The rows are of no use, the loss does not fit the output, the network is too large to be shown without
            `path`, or there is no such path.
        DivergenceError
            The loss of these rows is not finite.

        Examples
        --------
        >>> from nineline import Network
        >>> X, y = [[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]], [[0], [1], [1], [0]]
        >>> trace = Network(3, 6, 1, rng=1).trace(X, y)
        >>> trace["W0′"].formula, trace["W0′"].shape
        ('W0′ = W0 − 1 · ∇W0', (3, 6))
        >>> trace["Z0"].origin(1, 0, decimals=3)
        '0*0.024 + 1*0.655 + 1*(-0.341) = 0.315'
        """
        from nineline.view.trace import trace

        return trace(self, inputs, outputs, loss=loss, optimizer=optimizer, path=path)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network to one file; see `nineline.files.save`."""
        from nineline.files import save

        save(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Network:
        """Read a network from a file that `save` wrote; see `nineline.files.load`."""
        from nineline.files import load

        return load(path)

    def to_c(self, name: str = "network", **options: Any) -> CProgram:
        """Write the network as C99; see `nineline.interchange.to_c` for the options.

        Examples
        --------
        >>> import tempfile
        >>> from nineline import Network
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     [path.name for path in Network(3, 6, 1).to_c("parity").write(folder)]
        ['parity.c', 'parity.h']
        """
        from nineline.interchange import to_c

        return to_c(self, name, **options)

    def to_onnx(self, name: str = "network") -> onnx.ModelProto:
        """Return the network as an ONNX model; see `nineline.interchange.to_onnx` (needs the extra ``onnx``).

        Examples
        --------
        >>> from nineline import Network
        >>> [node.op_type for node in Network(3, 6, 1).to_onnx().graph.node]
        ['Gemm', 'Sigmoid', 'Gemm', 'Sigmoid']
        """
        from nineline.interchange import to_onnx

        return to_onnx(self, name)

    def to_python(self) -> str:
        """Return the network as a Python module that needs NumPy alone; see `nineline.interchange.to_python`.

        Examples
        --------
        >>> from nineline import Network
        >>> module = {}
        >>> exec(Network(3, 6, 1).to_python(), module)
        >>> module["run"]([[0, 0, 1]]).shape
        (1, 1)
        """
        from nineline.interchange import to_python

        return to_python(self)

    def to_torch(self) -> Any:
        """Return the network as a PyTorch Sequential; see `nineline.interchange.to_torch` (needs torch).

        Examples
        --------
        >>> from nineline import Network
        >>> Network(3, 6, 1).to_torch()  # doctest: +SKIP
        Sequential(
          (0): Linear(in_features=3, out_features=6, bias=False)
          (1): Sigmoid()
          (2): Linear(in_features=6, out_features=1, bias=False)
          (3): Sigmoid()
        )
        """
        from nineline.interchange import to_torch

        return to_torch(self)

    @classmethod
    def from_torch(cls, module: Any) -> Network:
        """Make a network of a PyTorch Sequential; see `nineline.interchange.from_torch`.

        Examples
        --------
        >>> from torch import nn  # doctest: +SKIP
        >>> Network.from_torch(nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 1)))  # doctest: +SKIP
        Network(Layer(4, 8, 'gelu', bias=True), Layer(8, 1, 'identity', bias=True), dtype=float32)
        """
        from nineline.interchange import from_torch

        return from_torch(module)

    @classmethod
    def from_sklearn(cls, mlp: Any) -> Network:
        """Make a network of a fitted MLPClassifier or MLPRegressor; see `nineline.interchange.from_sklearn`.

        Examples
        --------
        >>> from sklearn.neural_network import MLPClassifier
        >>> mlp = MLPClassifier(hidden_layer_sizes=(5,), solver="lbfgs", random_state=0)
        >>> mlp = mlp.fit([[0.0], [0.5], [1.0]], ["low", "low", "high"])
        >>> Network.from_sklearn(mlp)
        Network(Layer(1, 5, 'relu', bias=True), Layer(5, 1, 'sigmoid', bias=True))
        """
        from nineline.interchange import from_sklearn

        return from_sklearn(mlp)

    @classmethod
    def from_onnx(cls, path: str | os.PathLike[str], *, external_data: bool = False) -> Network:
        """Make a network of an ONNX file; see `nineline.interchange.from_onnx` (needs the extra ``onnx``).

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> from nineline import Network
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "parity.onnx"
        ...     length = path.write_bytes(Network(3, 6, 1).to_onnx().SerializeToString())
        ...     Network.from_onnx(path)
        Network(Layer(3, 6, 'sigmoid'), Layer(6, 1, 'sigmoid'), dtype=float32)
        """
        from nineline.interchange import from_onnx

        return from_onnx(path, external_data=external_data)

    def check_rows(
        self, inputs: Any, outputs: Any, sample_weight: Any = None, *, classes: bool = False, of: str = ""
    ) -> Rows:
        """Return what a user passed as Rows of this network's dtype and widths, or raise; see `rows.check_rows`."""
        rows = check_rows(
            inputs,
            outputs,
            sample_weight,
            n_inputs=self.n_inputs,
            n_outputs=self.n_outputs,
            dtype=self.dtype,
            classes=classes,
            of=of,
        )
        self._check_values(f"{of}inputs", rows.inputs)
        return rows

    def check_inputs(self, argument: str, inputs: Any) -> Inputs:
        """Return what a user passed as inputs of this network, dense or sparse, or raise; see `rows.check_inputs`."""
        given = check_inputs(argument, inputs, self.n_inputs, self.dtype)
        self._check_values(argument, given)
        return given

    def _check_values(self, argument: str, inputs: Inputs) -> None:
        """Raise ValueError where the first layer cannot take what finite inputs hold."""
        first = self.layers[0]
        if isinstance(inputs, Compact):
            inputs = inputs.raw_levels()
        if not isinstance(inputs, Sparse):
            first.check_values(argument, inputs)
        elif first.reads_data:
            raise ValueError(f"{argument} is sparse; {first!r} takes dense rows: {argument}.toarray()")

    def _rows(self, argument: str, data: npt.ArrayLike) -> Array:
        rows = _checks.matrix(argument, data, self.n_inputs, "the network", self.dtype)
        self._check_values(argument, rows)
        return rows

    def blend(self, other: Network, share: float) -> None:
        """Move every parameter a share of the way to another network's: ``p += share * (other's p - p)``.

        So does a target network follow the one that learns (Polyak averaging).

        Parameters
        ----------
        other : Network
            Of the same shape and dtype.
        share : float
            In [0, 1]: 0 leaves this network as it is, 1 makes it the other.

        Examples
        --------
        >>> from nineline import Network
        >>> network = Network(3, 6, 1, rng=0)
        >>> target = network.copy()
        >>> history = network.train([[0, 1, 1]], [[1]], 10, report_every=0)
        >>> target.blend(network, 0.005)

        References
        ----------
        Lillicrap et al. (2016), Continuous control with deep reinforcement learning, arXiv 1509.02971, algorithm 1.
        """
        if not isinstance(other, Network):
            raise TypeError(f"other is a {type(other).__name__}; expected a Network")
        share = _checks.number("share", share, low=0, high=1)
        if [block[1:] for block in self.blocks] != [block[1:] for block in other.blocks] or self.dtype != other.dtype:
            raise ValueError(f"other is {other!r}; expected one of the same shape and dtype as {self!r}")
        with self.stepping():
            if share == 1:
                self._parameters[...] = other.parameters
            else:
                self._parameters += self.dtype.type(share) * (other.parameters - self._parameters)

    def copy(self) -> Network:
        """Return the same network with parameters of its own."""
        return deepcopy(self)

    def within(self, vector: Array) -> Network:
        """Return a network of the same shape that lives in a vector, (n,), and has the parameters that it holds."""
        twin = deepcopy(self)
        twin._bind(self.dtype, vector)
        return twin

    def astype(self, dtype: npt.DTypeLike) -> Network:
        """Return a copy of this network in another dtype, float32 or float64."""
        twin = deepcopy(self)
        twin._bind(_checks.floating_dtype("dtype", dtype))
        return twin

    def __getstate__(self) -> dict[str, Any]:
        made_anew = (
            "_parameters",
            "_learners",
            "_answer",
            "stepping",
            "kept_by_engines",
        )  # the layers carry the values
        state = {name: value for name, value in vars(self).items() if name not in made_anew}
        return {**state, "_layers": Layers(copy(layer) for layer in self.layers)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "layers" in state:  # a pickle of before layers were fixed
            state["_layers"] = Layers(state.pop("layers"))
        self.__dict__.update(state)
        self._bind(self.layers[-1].dtype)

    def __str__(self) -> str:
        return "\n\n".join(_printed(str(number), layer) for number, layer in enumerate(self.layers))

    def _repr_html_(self) -> str:
        """Return the network as a notebook shows it."""
        from nineline.view.notebook import network_html

        return network_html(self)

    def __repr__(self) -> str:
        kind = "" if self.dtype == np.float64 else f", dtype={self.dtype}"
        return f"Network({', '.join(repr(layer) for layer in self.layers)}{kind})"


def _sizes(nodes: Sequence[object]) -> list[int]:
    if any(isinstance(node, AbstractLayer) for node in nodes):
        raise TypeError("nodes mix numbers and layers; give either: Network(3, 6, 1) or Network(Layer(3, 6), ...)")
    if len(nodes) == 1 and isinstance(nodes[0], (list, tuple)):
        raise TypeError(f"nodes is one {type(nodes[0]).__name__}; give the numbers themselves: Network(*{nodes[0]!r})")
    sizes = [_checks.positive_integer(f"nodes[{i}]", node) for i, node in enumerate(nodes)]
    if len(sizes) < 2:
        raise ValueError(f"nodes has {len(sizes)} numbers; expected at least inputs and outputs: Network(3, 1)")
    return sizes


def _connect(layers: Sequence[AbstractLayer]) -> tuple[int, int]:
    """Check that each layer takes what the one before it gives; return the network's two widths."""
    if not layers or not isinstance(layers[-1], Layer):
        raise ValueError("the last layer is not a dense one; end the network with a Layer")
    every = [each for layer in layers for each in layer.walk()]
    if len(set(map(id, every))) != len(every):
        raise ValueError("layers hold the same object twice; make a layer for each place")
    for number, layer in enumerate(layers):
        if layer.reads_data and number > 0:
            raise ValueError(f"layer {number} ({layer!r}) reads the data; it has to be the network's first layer")
    # The first that takes one width alone says what is taken; those before it, if any, pass their width on.
    width = inputs = next(layer.n_inputs for layer in layers if layer.n_inputs is not None)
    for number, layer in enumerate(layers):
        try:
            width = layer.connect(width)
        except ValueError as error:
            raise ValueError(f"layer {number} ({layer!r}) {error}") from None
    given = inputs
    for layer in layers:  # now that they fit
        layer.build(given)
        given = layer.connect(given)
    return inputs, width


def _printed(number: str, layer: AbstractLayer) -> str:
    """Return a layer as a network prints it, and where it holds others, each of them."""
    if not layer.layers:
        return f"Layer {number}:\n{layer}"
    return "\n\n".join(_printed(f"{number}.{place}", each) for place, each in enumerate(layer.layers))
