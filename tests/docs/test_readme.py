"""What the README says works when it is typed."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_python_example(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(EXAMPLES[number], f"README example {number}", "exec"), {})


def test_the_first_screen_holds_two_commands_and_an_example_of_six_lines() -> None:
    first = README.split("## Install")[0]
    assert re.findall(r"^make \w+", first, flags=re.MULTILINE) == ["make demo", "make test"]
    assert len([line for line in EXAMPLES[0].splitlines() if line.strip()]) <= 6


def test_the_commands_on_a_table(tmp_path: Path) -> None:
    making = next(line for line in README.splitlines() if line.startswith(".venv/bin/python -c"))
    commands = [line.split("#")[0] for line in README.splitlines() if re.match(r"nineline (train|predict|show) ", line)]
    assert len(commands) == 5
    subprocess.run([sys.executable, *shlex.split(making)[1:]], cwd=tmp_path, check=True)
    for command in commands:
        subprocess.run([sys.executable, "-m", *shlex.split(command)], cwd=tmp_path, check=True, capture_output=True)
    assert {"wine.csv", "wine.nineline", "answers.csv"} <= {path.name for path in tmp_path.iterdir()}
