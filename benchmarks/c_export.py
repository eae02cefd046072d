"""``python -m benchmarks.c_export``: nanoseconds a prediction, of exported C beside onnxruntime and nineline itself.

Every network answers one row after another, on one thread. The C program is timed from inside; onnxruntime and nineline
are called from Python, as who uses them does, once with a row a call and once with a thousand.
"""

from __future__ import annotations

import itertools
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from benchmarks.machine import describe, in_a_line
from nineline import Layer, Network
from nineline.interchange import to_c, to_onnx

if TYPE_CHECKING:
    from collections.abc import Callable

NETWORKS: Final = {
    "3-6-1 sigmoid": ((3, 6, 1), "sigmoid", "sigmoid"),
    "8-32-32-1 tanh": ((8, 32, 32, 1), "tanh", "identity"),
    "14-64-32-3 relu": ((14, 64, 32, 3), "relu", "softmax"),
    "784-128-10 relu": ((784, 128, 10), "relu", "softmax"),
}
_MANY: Final = 1000
_SECONDS: Final = 0.1  # of a round
_ROUNDS: Final = 5

_TIMING: Final = """
#define _POSIX_C_SOURCE 199309L
#include "net.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int main(int count, char **words)
{
  static float x[64][NET_INPUTS], y[NET_OUTPUTS];
  const long times = count > 1 ? atol(words[1]) : 1;
  volatile float sink = 0;
  struct timespec begin, end;
  long i;
  int r, j;
  for (r = 0; r < 64; ++r)
    for (j = 0; j < NET_INPUTS; ++j) x[r][j] = (float)((r * 31 + j * 17) % 101) / 50 - 1;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  for (i = 0; i < times; ++i) {
    net_run(x[i % 64], y);
    sink += y[0];
  }
  clock_gettime(CLOCK_MONOTONIC, &end);
  printf("%.9f ", (double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec));
  printf("%g\\n", (double)sink);
  return 0;
}
"""


def main() -> None:
    """Measure and print the table."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        sys.exit("no C compiler here, which this is about")
    columns = ["C, float", "C, int8", "onnxruntime", f"{_MANY:,} rows", "nineline", f"{_MANY:,} rows"]
    print(
        in_a_line(describe()) + "\n\nnanoseconds a prediction, one thread; a row a call unless the column says more\n"
    )
    print(f"{'network':<18}" + "".join(f"{column:>13}" for column in columns))
    for name, (widths, activation, output) in NETWORKS.items():
        layers = [
            Layer(a, b, output if b == widths[-1] else activation, bias=True) for a, b in itertools.pairwise(widths)
        ]
        network = Network(*layers, rng=0, dtype=np.float32)
        figures = [in_c(network, compiler, int8=False), in_c(network, compiler, int8=True)]
        figures += in_onnxruntime(network)
        figures += rounds(network.run, widths[0])
        print(f"{name:<18}" + "".join("            –" if np.isnan(f) else f"{f:>13,.0f}" for f in figures))


def in_c(network: Network, compiler: str, *, int8: bool) -> float:
    """Return nanoseconds a prediction of the exported program."""
    with tempfile.TemporaryDirectory() as folder:
        to_c(network, "net", int8=int8).write(folder)
        (Path(folder) / "timing.c").write_text(_TIMING)
        command = [compiler, "-std=c99", "-O3", "-march=native", "-o", "timing", "timing.c", "net.c", "-lm"]
        subprocess.run(command, cwd=folder, check=True)

        def seconds(times: int) -> float:
            done = subprocess.run([f"{folder}/timing", str(times)], capture_output=True, text=True, check=True)
            return float(done.stdout.split()[0])

        times = 1000
        while seconds(times) < _SECONDS:
            times *= 4
        return statistics.median(seconds(times) for _ in range(_ROUNDS)) / times * 1e9


def in_onnxruntime(network: Network) -> list[float]:
    """Return nanoseconds a prediction, with a row a call and with many; NaN where it is not installed."""
    try:
        import onnxruntime as ort

        proto = to_onnx(network)
    except ImportError as error:
        print(f"onnxruntime is left out: {error}", file=sys.stderr)
        return [float("nan")] * 2
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return rounds(lambda rows: session.run(None, {"inputs": rows}), network.n_inputs)


def rounds(run: Callable[[Any], object], width: int) -> list[float]:
    """Return nanoseconds a prediction of a function of rows, with one and with many."""
    figures = []
    for rows in (1, _MANY):
        inputs = np.random.default_rng(0).random((rows, width), np.float32)
        run(inputs)
        calls, took = 1, 0.0
        while took < _SECONDS:
            calls *= 4
            took = seconds_of(run, inputs, calls)
        figures.append(statistics.median(seconds_of(run, inputs, calls) for _ in range(_ROUNDS)) / calls / rows * 1e9)
    return figures


def seconds_of(run: Callable[[Any], object], inputs: Any, calls: int) -> float:
    """Return how long so many calls take."""
    began = time.perf_counter()
    for _ in range(calls):
        run(inputs)
    return time.perf_counter() - began


if __name__ == "__main__":
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    main()
