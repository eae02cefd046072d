"""Expressions: values by hand, against Python's own arithmetic; what is refused, and how; any text at all."""

from __future__ import annotations

import copy
import dataclasses
import math
import pickle
import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nineline.expressions import DEEPEST, FUNCTIONS, LONGEST, Expression

X, Y = 1.5, -0.25

VALUES = [
    # text, value at x = 1.5, y = -0.25
    ("x", 1.5),
    ("-x", -1.5),
    ("+x", 1.5),
    ("--x", 1.5),
    ("7", 7),
    ("007", 7),
    (".5", 0.5),
    ("2.", 2),
    ("1e-3", 0.001),
    ("2.5E+1", 25),
    ("pi", math.pi),
    ("π", math.pi),
    ("e", math.e),
    ("2e", 2 * math.e),
    ("2e3", 2000),
    ("2e3x", 3000),
    ("x + y", 1.25),
    ("x - y - 1", 0.75),
    ("x − y", 1.75),
    ("x*y/2", -0.1875),
    ("x·y × 2", -0.75),
    ("x**2", 2.25),
    ("x^2", 2.25),
    ("-x^2", -2.25),
    ("(-x)^2", 2.25),
    ("2^3^2", 512),
    ("2^-x", 2**-1.5),
    ("3x", 4.5),
    ("3x^2", 6.75),
    ("x y", -0.375),
    ("1/2x", 0.75),  # as a written sign binds: (1/2) * x
    ("2(x+1)", 5),
    ("(x+1)(y-1)", -3.125),
    ("x(y+1)", 1.125),
    ("2pi x", 2 * math.pi * 1.5),
    ("sin(3x)", math.sin(4.5)),
    ("2sin(x)cos(y)", 2 * math.sin(1.5) * math.cos(-0.25)),
    ("x sin(y)", 1.5 * math.sin(-0.25)),
    ("sin(x)^2 + cos(x)^2", 1),
    ("sin (x)", math.sin(1.5)),
    ("2exp(x)", 2 * math.exp(1.5)),
    ("tan(x)", math.tan(1.5)),
    ("log(x)", math.log(1.5)),
    ("sqrt(x)", math.sqrt(1.5)),
    ("abs(y)", 0.25),
    ("tanh(y)", math.tanh(-0.25)),
    ("sign(y)", -1),
    ("minimum(x, y)", -0.25),
    ("maximum(x, 2y)", 1.5),
    ("floor(y)", -1),
    ("  x\n + 1\t", 2.5),
    ("x > y", True),
    ("x < y", False),
    ("x+0 >= x", True),
    ("x <= y", False),
    ("x ≤ 1.5", True),
    ("x ≥ 2", False),
    ("(y > sin(3x))", True),
]


@pytest.mark.parametrize(("text", "value"), VALUES)
def test_values_by_hand(text, value):
    expression = Expression(text)
    found = expression(x=X, y=Y)
    assert found.shape == ()
    assert found.dtype == (bool if isinstance(value, bool) else np.float64)
    assert expression.is_comparison == isinstance(value, bool)
    assert found[()] == pytest.approx(value, rel=1e-15)


NUMBERS = st.sampled_from(["x", "y", "pi", "e", "3", "0.5", "2e1"])
FORMULAS = st.recursive(
    NUMBERS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "**"]), inner).map("".join),
        inner.map("({})".format),
        inner.map("-{}".format),
        st.tuples(st.sampled_from(sorted(set(FUNCTIONS) - {"minimum", "maximum"})), inner).map("{0[0]}({0[1]})".format),
        st.tuples(inner, inner).map("minimum({0[0]}, {0[1]})".format),
    ),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(FORMULAS, st.floats(-3, 3), st.floats(-3, 3))
def test_it_is_pythons_arithmetic(text, x, y):
    try:
        expression = Expression(text)
    except ValueError as error:  # too long or too deep
        assert re.search("characters|levels", str(error))  # noqa: PT017
        return
    scope = {**FUNCTIONS, "pi": np.pi, "e": np.e, "x": np.float64(x), "y": np.float64(y)}
    scope |= {"__builtins__": {}}
    with np.errstate(all="ignore"):
        # Numbers as NumPy's, which answer inf and nan where Python's raise.
        python = re.sub(r"(?<![\w.])([0-9][0-9.e]*)", r"float64(\1)", text)
        expected = eval(python, scope | {"float64": np.float64, "pi": np.float64(np.pi), "e": np.float64(np.e)})
    np.testing.assert_allclose(expression(x=x, y=y), expected, rtol=1e-12)


PIECES = [*"xye+-*/^(),<>=!.#:;'\"\\[]{}@%&|~_ \n\t", "pi", "**", "<=", "3", ".5", "1e3", "sin(", "minimum(", "sin"]
PIECES += ["lambda", "import", "if", "not", "in", "_", "é", "π", "≤", "²", "\x00", "\ud800", "x1"]


@settings(max_examples=400, deadline=None)
@given(
    st.one_of(
        st.text(max_size=LONGEST + 10),
        st.lists(st.sampled_from(PIECES), max_size=70).map("".join),
        st.lists(st.sampled_from(PIECES), max_size=70).map(" ".join),
    )
)
@example("(" * LONGEST)
@example("-" * (LONGEST - 1) + "x")
@example("x" + "**-x" * 49)
@example("9" * LONGEST)
@example("9**" * 66 + "9")
@example("sin(**x)")
@example("*x")
def test_any_text_is_a_formula_or_a_value_error(text):
    try:
        expression = Expression(text)
    except ValueError as error:
        assert str(error).isprintable()  # noqa: PT017
        assert "; expected" in str(error)  # noqa: PT017
        return
    answer = expression(x=[1.0, -2.0, 0.0], y=[[0.0], [3.0]])
    assert answer.shape == (2, 3)
    assert answer.dtype == (bool if expression.is_comparison else np.float64)


def test_arrays_broadcast():
    x, y = np.linspace(-1, 1, 5), np.linspace(0, 2, 3).reshape(-1, 1)
    np.testing.assert_array_equal(Expression("x + 2y")(x=x, y=y), x + 2 * y)
    np.testing.assert_array_equal(Expression("y > x^2")(x=x, y=y), y > x**2)
    assert Expression("x")(x=x, y=y).shape == (3, 5)
    assert Expression("1")(x=x).tolist() == [1.0] * 5
    assert Expression("1 < 2")(x=x).tolist() == [True] * 5
    assert Expression("x")(x=np.array([1, 2], np.int8)).dtype == np.float64
    assert Expression("x")(x=[1, 2]).tolist() == [1.0, 2.0]
    assert Expression("sin(x)")(x=np.zeros((0, 2))).shape == (0, 2)
    assert Expression("2pi")() == 2 * math.pi


def test_the_answer_is_no_view_of_the_input():
    x = np.zeros(3)
    Expression("x")(x=x)[...] = 1
    assert not x.any()


def test_where_it_is_not_defined_it_is_nan_or_infinite_without_a_warning():
    assert np.isnan(Expression("log(x)")(x=-1))
    assert Expression("log(x)")(x=0) == -math.inf
    assert Expression("1/x")(x=0) == math.inf
    assert np.isnan(Expression("x^0.5")(x=-1))
    assert Expression("9^9^9^9")(x=0) == math.inf
    assert not Expression("x < log(x)")(x=-1)
    assert not Expression("x >= log(x)")(x=-1)


def test_names_of_your_own():
    expression = Expression("2x1 + 3x2", names=("x1", "x2", "x3"))
    assert expression.used == {"x1", "x2"}
    assert expression(x1=1, x2=10) == 32
    assert Expression("t^2", names=["t"]).names == ("t",)
    assert Expression("2pi", names=())() == 2 * math.pi


def test_it_is_fixed_and_equal_by_its_text():
    expression = Expression("3x")
    assert expression == Expression("3x")
    assert expression != Expression("3*x")
    assert hash(expression) == hash(Expression("3x"))
    assert repr(expression) == "Expression(text='3x', names=('x', 'y'))"
    with pytest.raises(dataclasses.FrozenInstanceError):
        expression.text = "4x"
    for again in (pickle.loads(pickle.dumps(expression)), copy.deepcopy(expression)):
        assert again == expression
        assert again(x=2) == 6


def test_a_long_sum_is_not_deep():
    assert Expression("+".join("x" * 100))(x=2) == 200
    assert Expression("x" + "*x" * 99)(x=1) == 1
    inside = "(" * DEEPEST + "x" + ")" * DEEPEST
    assert Expression(inside)(x=2) == 2
    assert Expression("x" + " " * (LONGEST - 1))(x=2) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expression is empty; expected a formula of x, y, pi, e, numbers"),
        ("  ", "expression is empty"),
        (
            "import os",
            "expression holds 'import'; expected a formula of x, y, pi, e, numbers, + - * / ^ ( ), one of < >",
        ),
        ("__import__('os')", "expression holds '__import__'"),
        ("lambda: 0", "expression holds 'lambda'"),
        ("x if y else 1", "expression holds 'if'"),
        ("xy", "expression holds 'xy'"),
        ("z", "expression holds 'z'"),
        ("x.real", "expression holds '.'"),
        ("x[0]", "expression holds '['"),
        ("x = 3", "expression holds '='"),
        ("x == 3", "expression holds '=='"),
        ("x != 3", "expression holds '!='"),
        ("x % 2", "expression holds '%'"),
        ("'x'", 'expression holds "\'"'),
        ("x\x00", r"expression holds '\x00'"),
        ("\ud800", r"expression holds '\ud800'"),
        ("1_0", "expression holds '_0'"),
        ("0x10", "expression holds 'x10'"),
        ("1e999", "expression holds '1e999', which float64 cannot hold"),
        ("x // 2", "expression 'x // 2' goes wrong at '/'"),
        ("x 2", "expression 'x 2' goes wrong at '2'"),
        ("1.2.3", "expression '1.2.3' goes wrong at '.3'"),
        ("3 + * x", "expression '3 + * x' goes wrong at '*'"),
        ("3 +", "expression '3 +' ends too early"),
        ("y >", "expression 'y >' ends too early"),
        ("sin(x", "expression 'sin(x' holds a '(' that is never closed"),
        ("x)", "expression 'x)' holds a ')' that was never opened"),
        ("sin x", "expression holds 'sin' without its parentheses"),
        ("x + sin", "expression holds 'sin' without its parentheses"),
        ("sin()", "expression gives sin 0 values, where it takes 1"),
        ("minimum(x)", "expression gives minimum 1 value, where it takes 2"),
        ("sin(*x)", "expression 'sin(*x)' is not understood"),
        ("sin(**x)", "expression 'sin(**x)' is not understood"),
        ("(x, y)", "expression '(x, y)' holds a comma or nothing between parentheses"),
        ("()", "expression '()' holds a comma or nothing between parentheses"),
        ("0 < x < 1", "expression holds more than one comparison"),
        ("2*(x < y)", "expression '2*(x < y)' holds a comparison inside another thing"),
        ("minimum(x < 1, 2)", "holds a comparison inside another thing"),
        ("x" * 201, "expression has 201 characters; expected 200 at most"),
        ("(" * 21 + "x" + ")" * 21, "expression is more than 20 levels deep"),
        ("-" * 30 + "x", "expression is more than 20 levels deep"),
        ("x^" * 30 + "x", "expression is more than 20 levels deep"),
    ],
)
def test_other_texts_are_refused(text, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Expression(text)


def test_a_message_names_the_names():
    with pytest.raises(ValueError, match=re.escape("holds 'x'; expected a formula of t, pi, e, numbers")):
        Expression("x", names=("t",))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Expression(3), TypeError, "expression is 3 (int); expected a text such as 'sin(3*x)'"),
        (lambda: Expression("x", "xy"), TypeError, "names is 'xy'; expected a tuple of names such as ('x', 'y')"),
        (lambda: Expression("x", ("if",)), ValueError, "names has 'if'; expected names of letters and digits"),
        (lambda: Expression("x", ("x y",)), ValueError, "names has 'x y'"),
        (lambda: Expression("x", ("é",)), ValueError, "names has 'é'"),
        (lambda: Expression("x", (1,)), ValueError, "names has 1"),
        (lambda: Expression("x", ("x", "e")), ValueError, "names has 'e', which formulas have as their own"),
        (lambda: Expression("x", ("sin",)), ValueError, "names has 'sin', which formulas have as their own"),
        (lambda: Expression("x + y")(x=1), TypeError, "y is missing; Expression(text='x + y', names=('x', 'y')) is a"),
        (lambda: Expression("x")(x=1, z=2), TypeError, "z is not a name of Expression(text='x', names=('x', 'y'))"),
        (lambda: Expression("x")(x="a"), TypeError, "x holds"),
        (lambda: Expression("x")(x=[1, math.nan]), ValueError, "x has nan at (1,)"),
        (
            lambda: Expression("x + y")(x=[1, 2], y=[1, 2, 3]),
            ValueError,
            "x has shape (2,), y has shape (3,); expected shapes that broadcast",
        ),
    ],
)
def test_wrong_arguments_are_refused(make, error, message):
    with pytest.raises(error, match=re.escape(message)):
        make()
