"""docs/evaluation.md says what the code does: its tables, its commands, its program."""

import re
import runpy
import shlex
from pathlib import Path

import pytest

from kinflow.cli import main
from kinflow.evaluation.protocols.row_files import read_rows

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "evaluation.md").read_text(encoding="utf8")


def test_tables_are_those_of_the_code():
    with_tables = runpy.run_path(str(ROOT / "tools" / "protocol_tables.py"))["with_tables"]
    assert with_tables(PAGE) == PAGE, "run python tools/protocol_tables.py"


@pytest.mark.parametrize("line", re.findall(r"^    (kinflow .*)$", PAGE, re.MULTILINE))
def test_commands_are_understood(line):
    assert callable(main.parse(shlex.split(line, comments=True)[1:]))


def test_the_program_runs(tmp_path, monkeypatch):
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(program, {})
    assert len(read_rows(tmp_path / "truth.npz")) == 30
