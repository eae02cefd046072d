"""Formulas of x and y, written as text: ``y > sin(3x)``.

A text is cut into numbers, names and signs, of which only known ones pass; products without a sign get theirs
(``3x`` is ``3*x``); `ast` reads the rest by Python's rules of precedence; and the tree becomes a list of steps for a
stack of arrays. Nothing is ever handed to ``eval``, nothing is calculated before there are arrays, and a text is short,
so that a formula from a stranger costs a few passes over the data at most.
"""

from __future__ import annotations

import ast
import keyword
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn, final

import numpy as np

from nineline import _checks

if TYPE_CHECKING:
    import numpy.typing as npt

LONGEST: Final = 200
"""How many characters a formula may have."""

DEEPEST: Final = 20
"""How deep parentheses, signs and powers may lie within each other."""

CONSTANTS: Final[dict[str, float]] = {"pi": np.pi, "e": np.e}
"""The names that stand for numbers."""

FUNCTIONS: Final[dict[str, np.ufunc]] = {
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "tanh": np.tanh,
    "sign": np.sign,
    "minimum": np.minimum,
    "maximum": np.maximum,
    "floor": np.floor,
}
"""The functions that a formula may call, by name."""

_OPERATORS: Final[dict[type[ast.AST], np.ufunc]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Pow: np.power,
    ast.UAdd: np.positive,
    ast.USub: np.negative,
    ast.Lt: np.less,
    ast.Gt: np.greater,
    ast.LtE: np.less_equal,
    ast.GtE: np.greater_equal,
}
_SPELLINGS: Final = {"^": "**", "−": "-", "·": "*", "×": "*", "≤": "<=", "≥": ">=", "π": "pi"}
_TOKEN: Final = re.compile(
    r"\s*(?:(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z_0-9]*|π)"
    r"|(?P<sign>\*\*|<=|>=|[-+*/^()<>,−·×≤≥](?!=)))"
)


class _Token(NamedTuple):
    written: str
    """As it stands in the text."""
    read: str
    """As Python would spell it."""
    kind: str


_Step = str | float | np.ufunc
"""A name or a number to lay on the stack, or a function of what lies on top of it."""


@final
@dataclass(frozen=True)
class Expression:
    """A formula of named arrays, given as text.

    It may hold numbers, the names, ``pi`` and ``e``, ``+ - * /``, powers (``**`` or ``^``), parentheses, the functions
    of `FUNCTIONS`, and one comparison (``< > <= >=``) as the last thing to be done. The sign of a product may be left
    out before a name or a parenthesis: ``3x``, ``2sin(x)``, ``2pi x``, ``(x+1)(y-1)``; it binds as a written one does,
    so that ``1/2x`` is ``x/2``. A minus binds less than a power: ``-x^2`` is ``-(x^2)``.

    Parameters
    ----------
    text : str
        The formula, 200 characters at most, 20 levels deep at most.
    names : tuple of str
        What arrays it may be of.

    Attributes
    ----------
    used : frozenset of str
        Those of the names that the formula holds.
    is_comparison : bool
        Whether it answers with True and False, not with numbers.

    Raises
    ------
    ValueError
        The text holds something else, or is no formula; the message has what stood there and what is understood.

    Examples
    --------
    >>> import numpy as np
    >>> from nineline.expressions import Expression
    >>> Expression("2x^2 - 1")(x=np.array([0.0, 1.0, 2.0]))
    array([-1., 1., 7.])
    >>> above = Expression("y > sin(3x)")
    >>> above(x=np.array([[0.0, 0.5]]), y=np.array([[0.5], [-0.5]]))
    array([[ True, False], [False, False]])
    >>> above.is_comparison, sorted(above.used)
    (True, ['x', 'y'])
    >>> Expression("import os")
    Traceback (most recent call last):
        ...
    ValueError: expression holds 'import'; expected a formula of x, y, pi, e, numbers, + - * / ^ ( ), one of < > <= >=,
    and sin, cos, tan, exp, log, sqrt, abs, tanh, sign, minimum, maximum, floor, such as 'sin(3*x)'
    """

    text: str
    names: tuple[str, ...] = ("x", "y")
    used: frozenset[str] = field(init=False, repr=False, compare=False)
    is_comparison: bool = field(init=False, repr=False, compare=False)
    _steps: tuple[_Step, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        names = _check_names(self.names)
        if not isinstance(self.text, str):
            kind = type(self.text).__name__
            raise TypeError(f"expression is {_checks.quoted(self.text)} ({kind}); expected a text such as 'sin(3*x)'")
        steps, is_comparison = _Reader(self.text, names).read()
        settings: dict[str, Any] = {
            "names": names,
            "used": frozenset(step for step in steps if isinstance(step, str)),
            "is_comparison": is_comparison,
            "_steps": steps,
        }
        for name, value in settings.items():
            object.__setattr__(self, name, value)

    def __call__(self, **values: npt.ArrayLike) -> npt.NDArray[Any]:
        """Return the formula's value at arrays.

        Parameters
        ----------
        **values : array_like
            Finite numbers for each name that the formula uses, of shapes that broadcast; of names that it may use but
            does not, the shape counts.

        Returns
        -------
        array
            Of the shape that they broadcast to: float64, and NaN or infinite where the formula is (``log(x)`` at -1 or
            at 0); or bool for a comparison, which is False beside NaN.

        Raises
        ------
        TypeError
            A name is missing or not one of `names`, or its value is not made of numbers.
        ValueError
            A value is not finite, or shapes do not broadcast.

        Examples
        --------
        >>> from nineline.expressions import Expression
        >>> Expression("x y")(x=[1, 2, 3], y=[[1], [10]])
        array([[ 1., 2., 3.], [10., 20., 30.]])
        >>> Expression("7")(x=[1, 2, 3])
        array([7., 7., 7.])
        """
        for name in values:
            if name not in self.names:
                raise TypeError(f"{name} is not a name of {self!r}; expected {', '.join(self.names)}")
        for name in self.names:
            if name in self.used and name not in values:
                raise TypeError(f"{name} is missing; {self!r} is a formula of it: pass {name}=")
        arrays = {name: _checks.as_float(name, value, np.dtype(np.float64)) for name, value in values.items()}
        try:
            shape = np.broadcast_shapes(*(array.shape for array in arrays.values()))
        except ValueError:
            given = ", ".join(f"{name} has shape {array.shape}" for name, array in arrays.items())
            raise ValueError(f"{given}; expected shapes that broadcast, such as one shape for all") from None
        stack: list[Any] = []
        with np.errstate(all="ignore"):
            for step in self._steps:
                if isinstance(step, np.ufunc):
                    arguments = [stack.pop() for _ in range(step.nin)]
                    stack.append(step(*reversed(arguments)))
                else:
                    stack.append(arrays[step] if isinstance(step, str) else np.float64(step))
        result = np.empty(shape, bool if self.is_comparison else np.float64)
        result[...] = stack.pop()
        return result


def _check_names(given: object) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, (tuple, list)):
        raise TypeError(f"names is {_checks.quoted(given)}; expected a tuple of names such as ('x', 'y')")
    for name in given:
        if not isinstance(name, str) or not name.isascii() or not name.isidentifier() or keyword.iskeyword(name):
            raise ValueError(f"names has {_checks.quoted(name)}; expected names of letters and digits, such as 'x1'")
        if name in FUNCTIONS or name in CONSTANTS:
            raise ValueError(f"names has {name!r}, which formulas have as their own; choose another name")
    return tuple(given)


class _Reader:
    """Reads one text: tokens, then a tree, then steps."""

    def __init__(self, text: str, names: tuple[str, ...]) -> None:
        self.text, self.names = text, names
        self.steps: list[_Step] = []

    def refuse(self, what: str) -> NoReturn:
        known = ", ".join((*self.names, *CONSTANTS))
        raise ValueError(
            f"expression {what}; expected a formula of {known}, numbers, + - * / ^ ( ), one of < > <= >=, "
            f"and {', '.join(FUNCTIONS)}, such as 'sin(3*{self.names[0] if self.names else 'pi'})'"
        )

    def read(self) -> tuple[tuple[_Step, ...], bool]:
        """Return the steps of the formula, and whether the last one compares."""
        if len(self.text) > LONGEST:
            raise ValueError(f"expression has {len(self.text)} characters; expected {LONGEST} at most: shorten it")
        tokens = self.tokens()
        if not tokens:
            self.refuse("is empty")
        places, source = [], ""
        for token in tokens:
            places.append(len(source))
            source += f"{token.read} "
        try:
            tree = ast.parse(source.rstrip(), mode="eval").body
        except SyntaxError as error:
            place = max((error.offset or 1) - 1, 0)  # where Python gave up
            last = [token.written for start, token in zip(places, tokens, strict=True) if start <= place][-1]
            self.refuse(f"{_checks.quoted(self.text)} goes wrong at {_checks.quoted(last)}")
        is_comparison = isinstance(tree, ast.Compare)
        if isinstance(tree, ast.Compare):
            if len(tree.ops) > 1:
                self.refuse("holds more than one comparison")
            self.walk(tree.left, 1)
            self.walk(tree.comparators[0], 1)
            self.steps.append(_OPERATORS[type(tree.ops[0])])
        else:
            self.walk(tree, 1)
        return tuple(self.steps), is_comparison

    def tokens(self) -> list[_Token]:
        """Return the text's known pieces, with a sign of multiplication wherever one was left out."""
        tokens: list[_Token] = []
        rest, depth = self.text.strip(), 0
        while rest:
            found = _TOKEN.match(rest)
            if found is None:
                stranger = re.match(r"\s*(\w+|[^\w\s]=?)", rest)
                self.refuse(f"holds {_checks.quoted(stranger[1] if stranger else rest[0])}")
            token = self.token(found)
            depth += (token.read == "(") - (token.read == ")")
            if depth > DEEPEST:
                self.refuse_depth()
            if depth < 0:
                self.refuse(f"{_checks.quoted(self.text)} holds a ')' that was never opened")
            if tokens and tokens[-1].kind == "function" and token.read != "(":
                self.refuse(f"holds {tokens[-1].written!r} without its parentheses")
            if tokens and _ends_value(tokens[-1]) and (token.kind in ("name", "function") or token.read == "("):
                tokens.append(_Token("", "*", "sign"))
            tokens.append(token)
            rest = rest[found.end() :]
        if tokens and tokens[-1].kind == "function":
            self.refuse(f"holds {tokens[-1].written!r} without its parentheses")
        if tokens and tokens[-1].kind == "sign" and tokens[-1].read not in "()":
            self.refuse(f"{_checks.quoted(self.text)} ends too early")
        if depth > 0:
            self.refuse(f"{_checks.quoted(self.text)} holds a '(' that is never closed")
        return tokens

    def token(self, found: re.Match[str]) -> _Token:
        kind = found.lastgroup or ""
        written = found[kind]
        read = _SPELLINGS.get(written, written)
        if kind == "number":
            value = float(written)
            if not np.isfinite(value):
                self.refuse(f"holds {_checks.quoted(written)}, which float64 cannot hold")
            return _Token(written, repr(value), kind)
        if kind == "name" and read in FUNCTIONS:
            return _Token(written, read, "function")
        if kind == "name" and read not in self.names and read not in CONSTANTS:
            self.refuse(f"holds {_checks.quoted(written)}")
        return _Token(written, read, kind)

    def walk(self, node: ast.AST, depth: int) -> None:
        """Append the steps of a part of the tree; a chain such as ``x + x + x`` is one level."""
        if depth > DEEPEST:
            self.refuse_depth()
        match node:
            case ast.Constant(value=float() as value):
                self.steps.append(value)
            case ast.Name(id=name) if name in CONSTANTS:
                self.steps.append(CONSTANTS[name])
            case ast.Name(id=name) if name in self.names:
                self.steps.append(name)
            case ast.UnaryOp(op=sign, operand=operand) if type(sign) in _OPERATORS:
                self.walk(operand, depth + 1)
                self.steps.append(_OPERATORS[type(sign)])
            case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _OPERATORS:
                self.walk(left, depth)
                self.walk(right, depth + 1)
                self.steps.append(_OPERATORS[type(sign)])
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in FUNCTIONS:
                function = FUNCTIONS[name]
                if len(arguments) != function.nin:
                    self.refuse(f"gives {name} {_values(len(arguments))}, where it takes {function.nin}")
                for argument in arguments:
                    self.walk(argument, depth + 1)
                self.steps.append(function)
            case ast.Compare():
                self.refuse(f"{_checks.quoted(self.text)} holds a comparison inside another thing")
            case ast.Tuple():
                self.refuse(f"{_checks.quoted(self.text)} holds a comma or nothing between parentheses")
            case _:
                self.refuse(f"{_checks.quoted(self.text)} is not understood")

    def refuse_depth(self) -> NoReturn:
        raise ValueError(f"expression is more than {DEEPEST} levels deep; expected fewer parentheses within each other")


def _ends_value(token: _Token) -> bool:
    """Return whether what follows this token is a factor of it."""
    return token.kind in ("number", "name") or token.read == ")"


def _values(count: int) -> str:
    return "1 value" if count == 1 else f"{count} values"
