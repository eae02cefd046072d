"""Networks: many of one shape, trained side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast, overload

import numpy as np

from nineline import _checks
from nineline._stepping import Stepping
from nineline.ensemble import Ensemble
from nineline.network import Network
from nineline.rows import Compact

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import numpy.typing as npt

    from nineline._typing import Array, RandomSource
    from nineline.activations import Activation
    from nineline.initializers import Initializer
    from nineline.layers import AbstractLayer
    from nineline.losses import Loss
    from nineline.optimizers import Optimizer
    from nineline.schedules import Schedule
    from nineline.training.histories import Histories
    from nineline.training.many_loop import ManyEpoch
    from nineline.training.watch import EarlyStopping


class Networks:
    """Many networks of one shape, with the parameters of all in one array.

    Restarts, folds, ensembles, sweeps over learning rates, one model a sensor: each is trained as if it were alone, and
    all of them in much less time than one after the other.

    Parameters
    ----------
    count : int, or sequence of Network
        How many, or some that there are, which are copied.
    *nodes, activation, output, bias, initializer, rng, dtype
        As `Network` takes them. From one `rng` the networks draw their weights one after the other, so the first is
        ``Network(*nodes, rng=rng)``.

    Attributes
    ----------
    parameters : array, (count, n)
        All that is learned, a row a network.
    losses : array, (count,)
        Of the last training: of validation where there was one; NaN before, and where a network has diverged.
    one : Network
        One of this shape, whose parameters are of no account.

    Examples
    --------
    >>> from nineline import Networks
    >>> X, y = [[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]], [[0], [1], [1], [0]]
    >>> networks = Networks(1000, 3, 6, 1, rng=0)
    >>> history = networks.train(X, y, report_every=0)
    >>> networks.run(X).shape
    (1000, 4, 1)
    >>> networks.best().run(X).round(1).ravel()
    array([0., 1., 1., 0.])
    """

    def __init__(
        self,
        count: int | Iterable[Network],
        *nodes: int | AbstractLayer,
        activation: str | Activation | None = None,
        output: str | Activation | None = None,
        bias: bool | None = None,
        initializer: str | Initializer | None = None,
        rng: RandomSource = None,
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        generator = _checks.generator("rng", rng)
        self._rng: np.random.Generator | None = None if rng is None else generator
        if isinstance(count, (int, np.integer)) and not isinstance(count, bool):
            number = _checks.positive_integer("count", count)
            self.one = Network(
                *nodes,
                activation=activation,
                output=output,
                bias=bias,
                initializer=initializer,
                rng=generator,
                dtype=dtype,
            )
            self._parameters = np.empty((number, self.one.parameters.size), self.one.dtype)
            self._parameters[0] = self.one.parameters
            for row in self._parameters[1:]:
                for layer in self.one.layers:
                    layer.initialize(generator)
                row[...] = self.one.parameters
        else:
            if isinstance(count, (str, bytes, Network)) or not hasattr(count, "__iter__"):
                raise TypeError(f"count is {count!r}; expected how many networks, or a list of them")
            given: dict[str, object] = {
                "nodes": nodes or None,
                "activation": activation,
                "output": output,
                "bias": bias,
            }
            given |= {"initializer": initializer, "dtype": dtype}
            for name, value in given.items():
                if value is not None:
                    raise TypeError(f"{name} is given, and so are the networks; expected one of the two")
            self._take(list(cast("Iterable[Network]", count)))
        self.losses = np.full(len(self._parameters), np.nan)
        self.stepping = Stepping()

    def _take(self, networks: list[Network]) -> None:
        if not networks:
            raise ValueError("count is an empty list; expected at least one network")
        for place, network in enumerate(networks):
            if not isinstance(network, Network):
                raise TypeError(f"count[{place}] is {network!r} ({type(network).__name__}); expected a Network")
            if repr(network) != repr(networks[0]) or network.blocks != networks[0].blocks:
                raise ValueError(f"count[{place}] is {network!r}; expected the shape of the first, {networks[0]!r}")
        self.one = networks[0].copy()
        self._parameters = np.stack([network.parameters for network in networks])

    @property
    def parameters(self) -> Array:
        """All that is learned, (count, n). Assigning copies the values in."""
        return self._parameters

    @parameters.setter
    def parameters(self, values: npt.ArrayLike) -> None:
        if values is self._parameters:
            return
        array = _checks.as_float("parameters", values, self.dtype, "expected finite numbers")
        if array.shape != self._parameters.shape:
            raise ValueError(f"parameters has shape {array.shape}; these networks' is {self._parameters.shape}")
        self._parameters[...] = array

    @property
    def n_inputs(self) -> int:
        """How many numbers a row has."""
        return self.one.n_inputs

    @property
    def n_outputs(self) -> int:
        """How many numbers an answer has."""
        return self.one.n_outputs

    @property
    def dtype(self) -> np.dtype[np.floating[Any]]:
        """The type of the parameters and of all arithmetic."""
        return self._parameters.dtype

    @property
    def rng(self) -> np.random.Generator:
        """The generator that training uses unless it is given its own."""
        return _checks.generator("rng", self._rng)

    def __len__(self) -> int:
        return len(self._parameters)

    @overload
    def __getitem__(self, which: int) -> Network: ...
    @overload
    def __getitem__(self, which: slice | npt.NDArray[Any] | list[int]) -> Networks: ...
    def __getitem__(self, which: Any) -> Network | Networks:
        """Return one network, a view of its row of `parameters`; or by a slice, numbers or a mask copies of some.

        Examples
        --------
        >>> from nineline import Networks
        >>> networks = Networks(10, 3, 6, 1, rng=0)
        >>> view, copy = networks[7], networks[7].copy()
        >>> networks.parameters[7] = 0
        >>> view.parameters.any(), copy.parameters.any()
        (np.False_, np.True_)
        >>> len(networks[:3])
        3
        """
        if isinstance(which, (int, np.integer)):
            number = range(len(self))[int(which)]
            return self.one.within(self._parameters[number])
        rows = self._parameters[which]
        if rows.ndim != 2 or not len(rows):
            raise IndexError(f"{which!r} names none of {len(self)} networks; expected a slice, numbers or a mask")
        some = Networks.within(self.one.copy(), np.ascontiguousarray(rows).copy())
        some._rng, some.losses = self._rng, self.losses[which].copy()
        return some

    @classmethod
    def within(cls, one: Network, parameters: Array) -> Networks:
        """Return networks like `one` that live in an array, (count, n), and have the parameters that it holds."""
        networks = cls.__new__(cls)
        networks.one, networks._parameters, networks._rng = one, parameters, None
        networks.losses = np.full(len(parameters), np.nan)
        networks.stepping = Stepping()
        return networks

    def __iter__(self) -> Iterator[Network]:
        return (self[number] for number in range(len(self)))

    def run(self, inputs: Any) -> Array:
        """Return what the networks answer.

        Parameters
        ----------
        inputs : array_like, (rows, n_inputs)
            For all networks; or (count, rows, n_inputs), for each its own. For all also a SciPy sparse matrix or
            `nineline.rows.Compact`.

        Returns
        -------
        array, (count, rows, n_outputs)
        """
        from nineline.engines import run_many

        if np.ndim(inputs) == 3 and not isinstance(inputs, Compact):
            given = np.asarray(inputs)
            if len(given) != len(self):
                raise ValueError(f"inputs has shape {given.shape}; expected {len(self)} sets of rows, one a network")
            flat = self.one.check_inputs("inputs", given.reshape(-1, given.shape[2]))
            checked = cast("Array", flat).reshape(given.shape)
        else:
            checked = cast("Array", self.one.check_inputs("inputs", inputs))
        found = run_many(self, checked) if isinstance(checked, np.ndarray) else None
        if found is not None:
            return found
        own = isinstance(checked, np.ndarray) and checked.ndim == 3
        outputs = np.empty((len(self), checked.shape[1 if own else 0], self.n_outputs), self.dtype)
        for number, network in enumerate(self):
            network.answer(checked[number] if own else checked, outputs[number])
        return outputs

    def evaluate(
        self,
        inputs: Any,
        outputs: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None = None,
        *,
        loss: str | Loss | None = None,
        rows: Sequence[npt.ArrayLike] | None = None,
    ) -> npt.NDArray[np.float64]:
        """Return the loss of each network as it runs, (count,): no dropout, no penalties.

        Parameters
        ----------
        inputs, outputs, sample_weight, loss, rows
            As in `train`.
        """
        from nineline.training.many import evaluate

        return evaluate(self, (inputs, outputs, sample_weight), loss, rows)

    def train(
        self,
        inputs: Any,
        outputs: npt.ArrayLike,
        iterations: int | None = None,
        *,
        epochs: int | None = None,
        batch_size: int | None = None,
        shuffle: bool = True,
        loss: str | Loss | None = None,
        optimizer: str | Optimizer | None = None,
        learning_rate: npt.ArrayLike | None = None,
        schedule: str | Schedule | Callable[[float], float] | None = None,
        validation: float | tuple[Any, ...] | None = None,
        stop: int | EarlyStopping | None = None,
        sample_weight: npt.ArrayLike | None = None,
        rows: Sequence[npt.ArrayLike] | None = None,
        l1: npt.ArrayLike = 0.0,
        l2: npt.ArrayLike = 0.0,
        clip_norm: float | None = None,
        report_every: int | None = None,
        progress: bool | None = None,
        on_epoch: Callable[[ManyEpoch], object] | Sequence[Callable[[ManyEpoch], object]] = (),
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: float = 10.0,
        resume: bool = False,
        engine: str = "auto",
        threads: int | None = None,
        rng: RandomSource | Sequence[RandomSource] = None,
    ) -> Histories:
        """Train all networks. Each ends as `Network.train` would leave it, with the same arguments, alone.

        Parameters
        ----------
        inputs : array_like, (rows, n_inputs)
            For all networks (also a SciPy sparse matrix or `nineline.rows.Compact`); or (count, rows, n_inputs), for
            each its own.
        outputs : array_like, (rows, n_outputs)
            For all networks, or (count, rows, n_outputs), or (count, rows) where a network has one output. With
            cross_entropy also class numbers.
        iterations, epochs, batch_size, shuffle, loss, optimizer, schedule, clip_norm, progress
            As in `Network.train`. All networks have one loss, one optimizer and one schedule.
        learning_rate : float or array_like, (count,), optional
            In place of the optimizer's: one for all, or one for each.
        validation : float or tuple, optional
            As in `Network.train`; ``(inputs, outputs)`` may be for all networks or for each its own.
        stop : int or EarlyStopping, optional
            Each network stops by itself, costs nothing from then on, and returns to its best point.
        sample_weight : array_like, (rows,) or (count, rows), optional
        rows : sequence of array_like, (count,), optional
            The numbers of the rows that each network learns from, or masks: folds, bootstrap samples. A number may
            stand there more than once.
        l1, l2 : float or array_like, (count,)
        report_every : int, optional
            Print the best, the median and the worst loss every so many epochs. By default 1,000 with `iterations` and
            0, never, with `epochs`.
        on_epoch : function or sequence of functions
            Called after every epoch with a `ManyEpoch`. One that returns True ends training, one that returns a mask,
            (count,), that of those networks.
        checkpoint, checkpoint_every, resume
            As in `Network.train`.
        engine : {"auto", "native", "reference"}
            The native engine has small networks in the lanes of vectors, large ones one a thread; the reference has
            NumPy over stacked matrices. What neither knows is trained one network after the other.
        threads : int, optional
            At most so many; by default one for each core. The result is the same bits for any number.
        rng : seed, Generator or None; or a sequence of those, (count,)
            One for all: batches come in one order for all networks, and one validation share is held out. One for each:
            orders and shares of their own. What dropout draws is each network's own in any case.

        Returns
        -------
        Histories
            Of each network the losses, and why it stopped; ``history[17]`` is one network's `History`. A network whose
            loss stopped being finite is marked in `diverged` and is back at its last finite state; the others are not
            touched. Ctrl-C stops all.

        Raises
        ------
        ValueError, TypeError
            An argument is wrong; nothing has been changed.
        nineline.files.FileError
            The checkpoint to go on from is damaged, or none.
        nineline.training.errors.CheckpointError
            A checkpoint could not be written.
        DivergenceError
            All networks have diverged.

        Examples
        --------
        A learning rate for each:

        >>> import numpy as np
        >>> from nineline import Networks
        >>> x = np.linspace(-1, 1, 50).reshape(-1, 1)
        >>> networks = Networks(30, 1, 8, 1, activation="tanh", output="identity", bias=True, rng=0)
        >>> rates = np.geomspace(0.001, 10, 30)
        >>> history = networks.train(x, x**2, epochs=200, loss="squared_error", learning_rate=rates)
        >>> 0 < history.diverged.sum() < 30
        np.True_
        >>> rates[0] < rates[np.nanargmin(networks.losses)] < rates[-1]
        np.True_
        """
        from nineline.training import many

        rule = many.Rule(loss, optimizer, clip_norm=clip_norm)
        plan = many.Plan(
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
        return many.train(
            self,
            (inputs, outputs, sample_weight),
            validation,
            rule,
            plan,
            rows=rows,
            learning_rate=learning_rate,
            l1=l1,
            l2=l2,
            checkpoint=checkpoint,
            checkpoint_every=checkpoint_every,
            resume=resume,
            engine=engine,
            threads=threads,
            rng=rng,
        )

    def best(self) -> Network:
        """Return the network with the lowest of `losses`: a view, as ``networks[k]`` is.

        Raises
        ------
        ValueError
            No network has a loss: they have not been trained.
        """
        if not np.isfinite(self.losses).any():
            raise ValueError("losses are all NaN; train the networks first, or choose by networks.evaluate(X, y)")
        return self[int(np.nanargmin(self.losses))]

    def ensemble(self, weights: npt.ArrayLike | None = None) -> Ensemble:
        """Return one model, the mean of what the networks answer; it has copies of them.

        Parameters
        ----------
        weights : array_like, (count,), optional
            What each counts, 0 or more; those that count nothing are left out. By default all alike but those whose
            training has diverged.

        Examples
        --------
        >>> from nineline import Networks
        >>> networks = Networks(5, 3, 6, 1, rng=0)
        >>> model = networks.ensemble(weights=[3, 1, 0, 0, 0])
        >>> len(model.networks), model.run([[0, 0, 1]]).shape
        (2, (1, 1))
        """
        if weights is None:
            trained = np.isfinite(self.losses)
            which = np.flatnonzero(trained) if trained.any() else np.arange(len(self))
            return Ensemble([self[number].copy() for number in which.tolist()])
        given = _checks.as_float("weights", weights, np.dtype(np.float64), "expected finite numbers")
        if given.shape != (len(self),) or (given < 0).any() or not given.any():
            raise ValueError(
                f"weights has shape {given.shape}; expected {len(self)} numbers of 0 or more, that are not all 0"
            )
        which = np.flatnonzero(given)
        return Ensemble([self[number].copy() for number in which.tolist()], given[which])

    def copy(self) -> Networks:
        """Return the same networks with parameters of their own."""
        return self[:]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all networks to one file; see `nineline.files.save_networks`."""
        from nineline.files import save_networks

        save_networks(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Networks:
        """Read what `save` wrote, or the networks in a checkpoint of their training.

        Examples
        --------
        >>> import pathlib, tempfile
        >>> from nineline import Networks
        >>> networks = Networks(10, 3, 6, 1, rng=0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "ten.nineline"
        ...     networks.save(path)
        ...     same = Networks.load(path)
        >>> bool((same.parameters == networks.parameters).all())
        True
        """
        from nineline.files import load_networks

        return load_networks(path)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "stepping"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.stepping = Stepping()

    def _repr_html_(self) -> str:
        """Return the networks as a notebook shows them."""
        from nineline.view.notebook import networks_html

        return networks_html(self)

    def __repr__(self) -> str:
        return f"Networks({len(self):,} of {self.one!r})"
