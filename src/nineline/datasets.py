"""Toy data sets, to learn on and to look at: points in the plane, and curves.

Each function makes inputs and outputs as a network takes them. The same seed makes the same rows on any machine, with
any release of this library (but for the last digits); more noise moves the same points further. Points lie within about
[-1.5, 1.5], so that no scaling is needed. To add one, write a function here and enter it in `DATASETS`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from nineline import _checks
from nineline.expressions import Expression

if TYPE_CHECKING:
    from collections.abc import Callable

    from nineline._typing import RandomSource

Rows: TypeAlias = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]
"""Inputs, (rows, inputs), and outputs, (rows, outputs)."""

_CLOUD: Final = 0.2
"""The standard deviation of a cloud without noise."""
_ROUNDS: Final = 20
"""How often points are drawn until a curve has enough of them on each side."""


def tutorial() -> Rows:
    """Return the tutorial's four rows: the third input is always 1, the output is the XOR of the other two.

    Returns
    -------
    X : array, (4, 3)
    y : array, (4, 1)

    Examples
    --------
    >>> from nineline.datasets import tutorial
    >>> X, y = tutorial()
    >>> X[1], y.ravel()
    (array([0., 1., 1.]), array([0., 1., 1., 0.]))
    """
    X = [[0.0, 0.0, 1.0], [0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 1.0]]
    return np.array(X), np.array([[0.0], [1.0], [1.0], [0.0]])


def xor(*, rows: int = 200, noise: float = 0.1, rng: RandomSource = None) -> Rows:
    """Return points in a square whose class is that of their quadrant: ``y = 1 where x1 * x2 < 0``.

    Parameters
    ----------
    rows : int
        4 or more; half of them are of each class.
    noise : float
        In [0, 10]: the standard deviation of what is added to the points once they have their class.
    rng : int, numpy.random.Generator or None
        A seed makes the same rows each time.

    Returns
    -------
    X : array, (rows, 2)
        Uniform in [-1, 1] without noise.
    y : array, (rows, 1)
        0 or 1.

    Raises
    ------
    ValueError, TypeError
        An argument is out of its range or of another type.

    Examples
    --------
    >>> from nineline.datasets import xor
    >>> X, y = xor(rows=100, noise=0, rng=1)
    >>> X.shape, y.shape, bool(((X[:, 0] * X[:, 1] < 0) == (y[:, 0] == 1)).all())
    ((100, 2), (100, 1), True)
    """
    rows, noise, generator = _check(rows, noise, rng)
    labels = _labels(rows, 2, generator)
    points = 1 - generator.random((rows, 2))  # in (0, 1]
    points[:, 0] *= np.where(generator.random(rows) < 0.5, -1, 1)
    points[:, 1] *= np.where(labels == 1, -1, 1) * np.sign(points[:, 0])
    return _noisy(points, noise, generator), _outputs(labels, 2)


def circles(*, rows: int = 200, noise: float = 0.1, rng: RandomSource = None) -> Rows:
    """Return a disc (class 1) inside a ring (class 0), uniform over their areas: ``r <= 0.45`` and ``0.75 <= r <= 1``.

    Parameters
    ----------
    rows, noise, rng
        As in `xor`.

    Returns
    -------
    X : array, (rows, 2)
        Within 1 of the origin without noise.
    y : array, (rows, 1)
        0 or 1.

    Raises
    ------
    ValueError, TypeError
        An argument is out of its range or of another type.

    Examples
    --------
    >>> import numpy as np
    >>> from nineline.datasets import circles
    >>> X, y = circles(noise=0, rng=1)
    >>> bool(((np.hypot(*X.T) < 0.6) == (y[:, 0] == 1)).all())
    True
    """
    rows, noise, generator = _check(rows, noise, rng)
    labels = _labels(rows, 2, generator)
    inner, outer = np.where(labels == 1, 0.0, 0.75), np.where(labels == 1, 0.45, 1.0)
    radius = np.sqrt(inner**2 + (outer**2 - inner**2) * generator.random(rows))
    points = _polar(radius, 2 * np.pi * generator.random(rows))
    return _noisy(points, noise, generator), _outputs(labels, 2)


def moons(*, rows: int = 200, noise: float = 0.1, rng: RandomSource = None) -> Rows:
    """Return two half circles that reach into each other.

    With t uniform in [0, pi], class 0 is the upper one, ``(cos(t) - 0.5, sin(t) - 0.25)``, and class 1 the lower one,
    ``(0.5 - cos(t), 0.25 - sin(t))``.

    Parameters
    ----------
    rows, noise, rng
        As in `xor`.

    Returns
    -------
    X : array, (rows, 2)
        Within [-1.5, 1.5] and [-0.75, 0.75] without noise.
    y : array, (rows, 1)
        0 or 1.

    Raises
    ------
    ValueError, TypeError
        An argument is out of its range or of another type.

    Examples
    --------
    >>> from nineline.datasets import moons
    >>> X, y = moons(rows=200, rng=1)
    >>> X.shape, float(y.mean())
    ((200, 2), 0.5)
    """
    rows, noise, generator = _check(rows, noise, rng)
    labels = _labels(rows, 2, generator)
    points = _polar(np.ones(rows), np.pi * generator.random(rows)) - [0.5, 0.25]
    points[labels == 1] *= -1
    return _noisy(points, noise, generator), _outputs(labels, 2)


def spirals(*, arms: int = 2, rows: int = 200, noise: float = 0.1, rng: RandomSource = None) -> Rows:
    """Return arms that wind about each other, a class each.

    Arm k, from 0, has ``angle = 2 * pi * (2 * r + k) / arms`` at radius r in [0, 1]. Two arms make a whole turn, three
    make two thirds of one: whatever their number, along any ray the next arm is 1/2 away. The radius is the square root
    of a uniform number, so that points are about as dense outside as near the centre.

    Parameters
    ----------
    arms : int
        2 or more.
    rows : int
        2 * arms or more, spread evenly over the arms.
    noise, rng
        As in `xor`.

    Returns
    -------
    X : array, (rows, 2)
        Within 1 of the origin without noise.
    y : array, (rows, 1) or (rows, arms)
        0 or 1 of two arms; one-hot of more.

    Raises
    ------
    ValueError, TypeError
        An argument is out of its range or of another type.

    Examples
    --------
    >>> from nineline.datasets import spirals
    >>> X, y = spirals(arms=3, rows=300, rng=1)
    >>> X.shape, y.shape, y.sum(axis=0)
    ((300, 2), (300, 3), array([100., 100., 100.]))
    """
    arms = _checks.positive_integer("arms", arms, minimum=2)
    rows, noise, generator = _check(rows, noise, rng, classes=arms)
    labels = _labels(rows, arms, generator)
    radius = np.sqrt(generator.random(rows))
    points = _polar(radius, 2 * np.pi * (2 * radius + labels) / arms)
    return _noisy(points, noise, generator), _outputs(labels, arms)


def gaussians(*, classes: int = 2, rows: int = 200, noise: float = 0.1, rng: RandomSource = None) -> Rows:
    """Return round clouds, a class each: normal about points that lie evenly on a circle.

    The centre of cloud k is ``sqrt(1/2) * (cos(a), sin(a))`` with ``a = pi / 4 + 2 * pi * k / classes``: (1/2, 1/2)
    and (-1/2, -1/2) of two. The standard deviation is ``sqrt(0.2**2 + noise**2)``.

    Parameters
    ----------
    classes : int
        2 or more.
    rows : int
        2 * classes or more, spread evenly over the clouds.
    noise : float
        In [0, 10]: what the clouds are wider by.
    rng : int, numpy.random.Generator or None
        A seed makes the same rows each time.

    Returns
    -------
    X : array, (rows, 2)
    y : array, (rows, 1) or (rows, classes)
        0 or 1 of two clouds; one-hot of more.

    Raises
    ------
    ValueError, TypeError
        An argument is out of its range or of another type.

    Examples
    --------
    >>> from nineline.datasets import gaussians
    >>> X, y = gaussians(rows=1000, rng=1)
    >>> X[y[:, 0] == 1].mean(axis=0).round(1)
    array([-0.5, -0.5])
    """
    classes = _checks.positive_integer("classes", classes, minimum=2)
    rows, noise, generator = _check(rows, noise, rng, classes=classes)
    labels = _labels(rows, classes, generator)
    points = _polar(np.full(rows, np.sqrt(0.5)), np.pi / 4 + 2 * np.pi * labels / classes)
    return _noisy(points, float(np.hypot(_CLOUD, noise)), generator), _outputs(labels, classes)


def curve(
    expression: str | Expression = "y > sin(3x)",
    *,
    rows: int = 200,
    noise: float = 0.1,
    rng: RandomSource = None,
    extent: float = 1.5,
) -> Rows:
    """Return points in a square, of class 1 where a formula of x and y holds.

    Parameters
    ----------
    expression : str or Expression
        A comparison such as "x^2 + y^2 < 1"; or a function of x such as "sin(3x)", which stands for ``y > sin(3x)``.
        `nineline.expressions.Expression` says what a formula may hold. Where it is NaN it does not hold.
    rows : int
        4 or more; half of them are of each class.
    noise : float
        In [0, 10]: the standard deviation of what is added to the points once they have their class.
    rng : int, numpy.random.Generator or None
        A seed makes the same rows each time.
    extent : float
        In (0, 100]: half the side of the square.

    Returns
    -------
    X : array, (rows, 2)
        x and y; without noise in [-extent, extent], uniform over each side of the curve.
    y : array, (rows, 1)
        0 or 1.

    Raises
    ------
    ValueError, TypeError
        An argument is out of its range or of another type, the expression is not understood, or the curve leaves
        (almost) no room on one of its sides.

    Examples
    --------
    >>> from nineline.datasets import curve
    >>> X, y = curve("x^2 + y^2 < 1", noise=0, rng=1)
    >>> bool((((X**2).sum(axis=1) < 1) == (y[:, 0] == 1)).all()), float(y.mean())
    (True, 0.5)
    """
    formula = _check_formula(expression)
    extent = _checks.number("extent", extent, low=0, high=100, low_open=True)
    rows, noise, generator = _check(rows, noise, rng)
    labels = _labels(rows, 2, generator)
    points = np.empty((rows, 2))
    missing = [np.flatnonzero(labels == label) for label in (0, 1)]
    drawn, held = 0, 0
    for _ in range(_ROUNDS):
        batch = extent * (2 * generator.random((max(rows, 1000), 2)) - 1)
        holds = formula(x=batch[:, 0], y=batch[:, 1])
        if not formula.is_comparison:
            holds = batch[:, 1] > holds
        drawn, held = drawn + len(batch), held + int(holds.sum())
        for label in (0, 1):
            found = batch[holds == label][: len(missing[label])]
            points[missing[label][: len(found)]] = found
            missing[label] = missing[label][len(found) :]
        if not missing[0].size and not missing[1].size:
            return _noisy(points, noise, generator), _outputs(labels, 2)
    raise ValueError(
        f"expression {_checks.quoted(formula.text)} holds at {held} of {drawn} points with x and y in [{-extent:g}, "
        f"{extent:g}], too {'few' if held < drawn / 2 else 'many'} for two classes; expected a curve that has room on "
        "both sides there: change it, or the extent"
    )


def wave(*, rows: int = 200, noise: float = 0.1, rng: RandomSource = None) -> Rows:
    """Return a number that goes up and down twice: ``y = sin(2 * pi * x)`` and noise, x uniform in [-1, 1].

    Parameters
    ----------
    rows : int
        2 or more.
    noise : float
        In [0, 10]: the standard deviation of what is added to y.
    rng : int, numpy.random.Generator or None
        A seed makes the same rows each time.

    Returns
    -------
    X : array, (rows, 1)
    y : array, (rows, 1)

    Raises
    ------
    ValueError, TypeError
        An argument is out of its range or of another type.

    Examples
    --------
    >>> import numpy as np
    >>> from nineline.datasets import wave
    >>> X, y = wave(noise=0, rng=1)
    >>> X.shape, bool(np.allclose(y, np.sin(2 * np.pi * X)))
    ((200, 1), True)
    """
    rows, noise, generator = _check(rows, noise, rng, classes=1)
    X = 2 * generator.random((rows, 1)) - 1
    return X, _noisy(np.sin(2 * np.pi * X), noise, generator)


def step(*, rows: int = 200, noise: float = 0.1, rng: RandomSource = None) -> Rows:
    """Return a number that jumps: ``y = 0`` where x < 0, else 1, and noise, x uniform in [-1, 1].

    Parameters
    ----------
    rows, noise, rng
        As in `wave`.

    Returns
    -------
    X : array, (rows, 1)
    y : array, (rows, 1)

    Raises
    ------
    ValueError, TypeError
        An argument is out of its range or of another type.

    Examples
    --------
    >>> from nineline.datasets import step
    >>> X, y = step(noise=0, rng=1)
    >>> bool(((X >= 0) == (y == 1)).all())
    True
    """
    rows, noise, generator = _check(rows, noise, rng, classes=1)
    X = 2 * generator.random((rows, 1)) - 1
    return X, _noisy((X >= 0).astype(np.float64), noise, generator)


class Dataset(NamedTuple):
    """A data set that can be chosen by name."""

    name: str
    """Its key in `DATASETS`."""
    title: str
    """What a page calls it."""
    task: str
    """What there is to learn: "classes" or "number"."""
    inputs: int
    """How many columns X has."""
    outputs: int
    """How many columns y has: 1 of two classes, 3 (one-hot) of three."""
    about: str
    """One sentence on what it is and why it is of interest."""
    make: Callable[..., Rows]
    """Makes ``(X, y)``; takes the keyword arguments that `options` names, each with a default."""
    options: tuple[str, ...]
    """Which of "expression", "extent", "rows", "noise" and "rng" `make` takes."""


_POINTS: Final = ("rows", "noise", "rng")

DATASETS: Final[dict[str, Dataset]] = {
    dataset.name: dataset
    for dataset in (
        Dataset(
            "tutorial",
            "the tutorial's table",
            "classes",
            3,
            1,
            "Four rows of three bits; the answer is the XOR of the first two, and the third, always 1, is a bias.",
            tutorial,
            (),
        ),
        Dataset(
            "xor",
            "four quadrants",
            "classes",
            2,
            1,
            "Points of the same class lie in opposite quadrants, so that no straight line divides them.",
            xor,
            _POINTS,
        ),
        Dataset(
            "circles",
            "a disc in a ring",
            "classes",
            2,
            1,
            "One class surrounds the other; three hidden nodes are enough to close a line around the disc.",
            circles,
            _POINTS,
        ),
        Dataset(
            "moons",
            "two half moons",
            "classes",
            2,
            1,
            "Two half circles that reach into each other; a straight line gets most points right, a bent one all.",
            moons,
            _POINTS,
        ),
        Dataset(
            "spirals",
            "two spirals",
            "classes",
            2,
            1,
            "Two arms that wind about each other; it takes more nodes or a second hidden layer.",
            spirals,
            _POINTS,
        ),
        Dataset(
            "gaussians",
            "two clouds",
            "classes",
            2,
            1,
            "Two round clouds; a single straight line divides them, and no hidden layer is needed.",
            gaussians,
            _POINTS,
        ),
        Dataset(
            "curve",
            "a curve of your own",
            "classes",
            2,
            1,
            "Points above and below a curve, or on the two sides of any comparison of x and y that you write.",
            curve,
            ("expression", *_POINTS, "extent"),
        ),
        Dataset(
            "spirals3",
            "three spirals",
            "classes",
            2,
            3,
            "Three arms that wind about each other, with one output for each of them.",
            partial(spirals, arms=3),
            _POINTS,
        ),
        Dataset(
            "gaussians3",
            "three clouds",
            "classes",
            2,
            3,
            "Three round clouds, with one output for each of them.",
            partial(gaussians, classes=3),
            _POINTS,
        ),
        Dataset(
            "wave",
            "a wave",
            "number",
            1,
            1,
            "Two periods of a sine with noise; the output is a number, so the last layer should be linear.",
            wave,
            _POINTS,
        ),
        Dataset(
            "step",
            "a step",
            "number",
            1,
            1,
            "A number that jumps from 0 to 1 where the input passes 0; smooth nodes need large weights for it.",
            step,
            _POINTS,
        ),
    )
}
"""Every data set under its public name, in the order to offer them in."""


def _check(
    rows: object, noise: object, rng: RandomSource, *, classes: int = 2
) -> tuple[int, float, np.random.Generator]:
    return (
        _checks.positive_integer("rows", rows, minimum=2 * classes),
        _checks.number("noise", noise, low=0, high=10),
        _checks.generator("rng", rng),
    )


def _check_formula(given: object) -> Expression:
    formula = given if isinstance(given, Expression) else Expression(cast("str", given))  # which checks it
    if not formula.used <= {"x", "y"}:
        raise ValueError(f"expression is {formula!r}; expected a formula of x and y alone")
    if not formula.is_comparison and "y" in formula.used:
        raise ValueError(
            f"expression {_checks.quoted(formula.text)} holds y but no comparison; expected a comparison, such as "
            "'x*y > 0.1', or a function of x alone"
        )
    return Expression(formula.text)


def _labels(rows: int, classes: int, generator: np.random.Generator) -> npt.NDArray[np.intp]:
    """Return the number of each row's class: as many of each (the first have one more), in a random order."""
    order = np.argsort(generator.random(rows), kind="stable")  # NumPy's permutations may change with its releases
    return order % classes


def _outputs(labels: npt.NDArray[np.intp], classes: int) -> npt.NDArray[np.float64]:
    """Return what a network is to answer: (rows, 1) of two classes, else one-hot."""
    if classes == 2:
        return labels.astype(np.float64).reshape(-1, 1)
    return np.eye(classes)[labels]


def _polar(radius: npt.NDArray[np.float64], angle: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])


def _noisy(values: npt.NDArray[np.float64], noise: float, generator: np.random.Generator) -> npt.NDArray[np.float64]:
    return values + noise * generator.standard_normal(values.shape)
