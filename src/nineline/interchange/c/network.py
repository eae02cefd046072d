"""The writer of exported C: a header and a source, from a model that was taken apart."""

from __future__ import annotations

from string import Template
from typing import TYPE_CHECKING, Final

import numpy as np

from nineline.interchange.c.activations import Real, called, functions, own_name
from nineline.interchange.c.buffers import Buffers
from nineline.interchange.c.columns import CTable, row_in_c, table_in_c
from nineline.interchange.c.jacobian import JacobianInC
from nineline.interchange.c.layers import DenseInC, layer_in_c
from nineline.interchange.c.text import array, comment, string, wrapped
from nineline.interchange.samples import encode, sample_inputs, sample_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nineline.interchange.model import TrainedModel
    from nineline.interchange.rounding import Rounded
    from nineline.tables.targets import TargetScaling

_RECORDED: Final = 8  # rows of the self-test


class Writer:
    """What is to be written, and the texts of it."""

    def __init__(
        self,
        model: TrainedModel,
        name: str,
        real: Real,
        *,
        libm: bool,
        rounded: dict[str, Rounded],
        jacobian: bool = False,
    ) -> None:
        self.model, self.name, self.real = model, name, real
        self.networks = [[layer_in_c(placed, real, rounded) for placed in network] for network in model.networks]
        self.layers = [layer for network in self.networks for layer in network]
        self.jacobian = JacobianInC(self.layers, name, real) if jacobian else None
        slopes = self.jacobian is not None and not self.jacobian.constant
        classes = None if model.target is None else model.target.classes
        self.classes = [string(str(value)) for value in classes or ()]
        self.table: CTable | None = None
        calls: tuple[str, ...] = ()
        if model.columns is not None:
            self.table = table_in_c(model.columns, real, f"{name.upper()}_INPUTS", libm=libm)
            calls = self.table.calls
        if model.target is not None and model.target.scaling.log:
            calls = (*calls, "exp")
        needed = [helper for layer in self.layers for helper in layer.helpers]
        if slopes:
            needed += [helper for layer in self.layers for helper in layer.backprop_helpers]
        helpers = Template("".join(dict.fromkeys(needed))).safe_substitute(real=real.name)
        calls = (*calls, *called(helpers))
        units = [unit for layer in self.layers for unit in layer.units]
        self.functions, self.uses_libm = functions(units, real, libm=libm, slopes=slopes, also=calls)
        self.math = {call: call + real.suffix if libm else own_name(call) for call in calls}
        self.functions += Template(helpers).substitute(self.math)
        self.buffers = Buffers()
        self.statements = "".join(self._statements())

    def source(self) -> str:
        """Return the text of the .c."""
        tables = [layer.tables() for layer in self.layers]
        source = "".join([*self.opening(), *tables, self.functions, *self.preparation(), self.run(), *self.answer()])
        if self.jacobian is not None:
            source += self.jacobian.text(self.index)
        return source + self.self_test()

    # The header

    def header(self) -> str:
        """Return the text of the .h."""
        name, guard, real = self.name, self.name.upper(), self.real.name
        table, target = self.table, self.model.target
        network = self.model.network
        lines = [
            f"/* {name}.h: a neural network, written by nineline.",
            *([f"   It predicts {comment(repr(target.name))} from a row of a table."] if target is not None else []),
            f"   Its tables take {self.flash():,} bytes of flash, its arrays {self.ram():,} bytes of stack. */",
            f"#ifndef {guard}_H",
            f"#define {guard}_H",
            "",
            *(["#include <stddef.h>", "#include <stdint.h>", ""] if table is not None else []),
            f"#define {guard}_INPUTS {network.n_inputs}",
            f"#define {guard}_OUTPUTS {network.n_outputs}",
        ]
        if target is not None and target.classes is not None:
            lines.append(f"#define {guard}_CLASSES {len(target.classes)}")
        lines += ["", "#ifdef __cplusplus", 'extern "C" {', "#endif", ""]
        if table is not None:
            lines += [
                "/* A row of the table. Texts are UTF-8; blanks around them, those of Unicode too, do not matter. */",
                f"typedef struct {{\n{table.fields}\n}} {name}_row;",
                "",
                "/* Turn a row into the numbers that the network takes. */",
                f"void {name}_prepare(const {name}_row *row, {real} inputs[{guard}_INPUTS]);",
                "",
            ]
        lines += [
            "/* Answer: the outputs of the network for its inputs. */",
            f"void {name}_run(const {real} inputs[{guard}_INPUTS], {real} outputs[{guard}_OUTPUTS]);",
            "",
            *([] if self.jacobian is None else [self.jacobian.promise()]),
            *(f"{line}" for line in self.promises()),
            "#ifdef __cplusplus",
            "}",
            "#endif",
            "",
            f"#endif /* {guard}_H */",
        ]
        return "\n".join(lines) + "\n"

    def promises(self) -> Iterator[str]:
        """Yield the declarations of what an estimator answers."""
        target, real = self.model.target, self.real.name
        if target is None:
            return
        given = (
            f"const {self.name}_row *row"
            if self.table is not None
            else f"const {real} inputs[{self.name.upper()}_INPUTS]"
        )
        if target.classes is None:
            yield f"/* Predict {comment(repr(target.name))}, a number. */"
            yield f"{real} {self.name}_predict({given});"
        else:
            guard = self.name.upper()
            yield f"/* The classes of {comment(repr(target.name))}, as text. */"
            yield f"extern const char *const {self.name}_classes[{guard}_CLASSES];"
            yield ""
            yield "/* Predict the number of the most probable class, and the probability of each. */"
            yield f"int {self.name}_classify({given}, {real} probabilities[{guard}_CLASSES]);"
        yield ""

    # The source

    def opening(self) -> Iterator[str]:
        """Yield the first lines of the .c."""
        yield f"/* {self.name}.c: a neural network, written by nineline.\n"
        yield "   Compile it with -DNINELINE_SELF_TEST to try it. */\n"
        yield f'#include "{self.name}.h"\n'
        if self.uses_libm:
            yield "\n#include <math.h>\n"

    def preparation(self) -> Iterator[str]:
        """Yield the columns' encoding."""
        if self.table is None:
            return
        yield self.table.levels
        yield Template(self.table.helpers).substitute(self.math)
        given = f"{self.real.name} inputs[{self.name.upper()}_INPUTS]"
        yield f"\nvoid {self.name}_prepare(const {self.name}_row *row, {given})\n{{\n"
        yield self.table.prepare
        yield "\n}\n"

    def run(self) -> str:
        """Return the function that runs the networks."""
        guard, real, sizes = self.name.upper(), self.real.name, self.buffers.sizes
        arrays = ", ".join(f"{buffer}[{size}]" for buffer, size in sizes.items())
        return (
            f"\nvoid {self.name}_run(const {real} inputs[{guard}_INPUTS], {real} outputs[{guard}_OUTPUTS])\n{{\n"
            f"  {real} {arrays};\n  {self.index} i, j;\n{self.statements}}}\n"
        )

    @property
    def index(self) -> str:
        """The type of what counts the numbers of an array."""
        return "int" if max(self.model.network.n_inputs, *self.buffers.sizes.values()) < 2**15 else "long"

    def _statements(self) -> Iterator[str]:
        """Yield the statements of every network, layer by layer; which arrays they need is known afterwards."""
        count = len(self.networks)
        for number, (*inner, last) in enumerate(self.networks):
            x = "inputs"
            for layer in inner:
                text, x = layer.run(x, self.buffers)
                yield text
            assert isinstance(last, DenseInC)  # as every network ends
            yield last.answer(x, self.buffers, "=" if number == 0 else "+=", alone=count == 1)
        if count > 1:
            yield f"\n  for (j = 0; j < {self.model.network.n_outputs}; ++j) outputs[j] /= {count};\n"

    def answer(self) -> Iterator[str]:
        """Yield the function that answers as the estimator does."""
        target, real, name, guard = self.model.target, self.real.name, self.name, self.name.upper()
        if target is None:
            return
        given, prepared, before = f"const {real} inputs[{guard}_INPUTS]", "", ""
        if self.table is not None:
            given, before = f"const {name}_row *row", f"  {real} inputs[{guard}_INPUTS];\n"
            prepared = f"  {name}_prepare(row, inputs);\n"
        if target.classes is None:
            yield f"\n{real} {name}_predict({given})\n{{\n{before}  {real} answer, outputs[{guard}_OUTPUTS];\n"
            yield f"{prepared}  {name}_run(inputs, outputs);\n{self.number(target.scaling)}  return answer;\n}}\n"
            return
        words = wrapped(self.classes, f"const char *const {name}_classes[{guard}_CLASSES] = {{", "};")
        yield f"\n{words}\n\nint {name}_classify({given}, {real} probabilities[{guard}_CLASSES])\n{{\n"
        yield f"{before}  int i, best = 0;\n{prepared}"
        if self.model.network.n_outputs == 1:
            yield f"  {name}_run(inputs, &probabilities[1]);\n  probabilities[0] = 1 - probabilities[1];\n"
        else:
            yield f"  {name}_run(inputs, probabilities);\n"
        yield f"  for (i = 1; i < {guard}_CLASSES; ++i)\n    if (probabilities[i] > probabilities[best]) best = i;\n"
        yield "  return best;\n}\n"

    def number(self, scaling: TargetScaling) -> str:
        """Return the statements that make the output an answer in units of the target, within its bounds."""
        literal = self.real.literal
        text = f"  answer = outputs[0] * {literal(scaling.scale)} + {literal(scaling.mean)};\n"
        if scaling.log:
            text += f"  answer = {self.math['exp']}(answer);\n"
        for sign, bound in (("<", scaling.low), (">", scaling.high)):
            if np.isfinite(bound):
                text += f"  if (answer {sign} {literal(bound)}) answer = {literal(bound)};\n"
        return text

    def self_test(self) -> str:
        """Return a main that runs recorded rows."""
        columns, guard = self.model.columns, self.name.upper()
        if columns is not None:
            rows = sample_rows(_RECORDED, columns)
            inputs = encode(rows, columns)
            given = [row_in_c(columns, {key: rows[key][i] for key in rows}, self.real) for i in range(_RECORDED)]
            table = f"{self.name}_row rows"
            prepare = f"    {self.real.name} inputs[{guard}_INPUTS];\n    {self.name}_prepare(&rows[r], inputs);\n"
        else:
            inputs = sample_inputs(_RECORDED, self.model.network)
            given = [[*map(self.real.literal, row)] for row in inputs.tolist()]
            table, prepare = f"{self.real.name} rows", f"    const {self.real.name} *inputs = rows[r];\n"
        size = f"[{_RECORDED}]" if columns is not None else f"[{_RECORDED}][{guard}_INPUTS]"
        outputs = self.model.network.astype(np.float64).run(inputs)
        body = ",\n".join(wrapped(row, "    {", "}") for row in given)
        expected = array(f"  static const {self.real.name} expected[{_RECORDED}][{guard}_OUTPUTS]", outputs, self.real)
        truth, compared = "", ""
        if self.jacobian is not None:
            truth, compared = self.jacobian.recorded(self.model.network, inputs), self.jacobian.compared()
        return Template(_SELF_TEST).substitute(
            rows=f"  static const {table}{size} = {{\n{body}\n  }};\n",
            expected=expected.replace("\n}", "\n  }") + truth,
            jacobian=compared,
            prepare=prepare,
            count=_RECORDED,
            guard=guard,
            name=self.name,
            real=self.real.name,
            tolerance=self.real.literal(self.real.tolerance),
            math="" if self.uses_libm or columns is None else "#include <math.h> /* for NAN */\n",
        )

    # What it takes

    def flash(self) -> int:
        """Return the bytes of all tables but the self-test's."""
        total = sum(layer.flash() for layer in self.layers) + (0 if self.table is None else self.table.flash)
        target = self.model.target
        if target is not None and target.classes is not None:
            total += sum(len(str(value).encode()) + 1 + 4 for value in target.classes)
        return total

    def ram(self) -> int:
        """Return the bytes of all arrays that are on the stack at once."""
        inputs = self.model.network.n_inputs if self.table is not None else 0
        outputs = 1 if self.model.target is not None and self.model.target.classes is None else 0
        run = (sum(self.buffers.sizes.values()) + inputs + outputs) * self.real.size
        return run if self.jacobian is None else max(run, self.jacobian.ram())


_SELF_TEST: Final = """
#ifdef NINELINE_SELF_TEST
$math#include <stdio.h>

int main(void)
{
$rows$expected  double largest = 0;
  int r, j;
  for (r = 0; r < $count; ++r) {
    $real outputs[${guard}_OUTPUTS];
$prepare    ${name}_run(inputs, outputs);
    for (j = 0; j < ${guard}_OUTPUTS; ++j) {
      const double truth = expected[r][j], gap = (outputs[j] < truth ? truth - outputs[j] : outputs[j] - truth);
      const double share = gap / (1 + (truth < 0 ? -truth : truth));
      if (!(share <= largest)) largest = share;
    }
$jacobian  }
  printf("$name: $count recorded rows, largest difference %g: ", largest);
  puts(largest <= $tolerance ? "passed" : "FAILED");
  return largest <= $tolerance ? 0 : 1;
}
#endif
"""
