"""A trace: every step of one forward and backward pass and of the update, with the numbers, as text, HTML and LaTeX.

`tracing` follows the reference engine and makes the steps, `formulas` says how they are written, `origins` writes one
number out, and `text`, `html` and `latex` show them.
"""

from nineline.view.trace.steps import TraceStep
from nineline.view.trace.traces import Trace
from nineline.view.trace.tracing import trace

__all__ = ["Trace", "TraceStep", "trace"]
