"""The conformance suite's fast part: no cell of operator, type and accelerator is worse than `expected.json` says."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.support.operators import cells, table
from tests.support.operators.case import Case
from tests.support.operators.case_runs import Run, run_all
from tests.support.operators.cells import Cell
from tests.support.operators.families import all_cases
from tests.support.operators.known_differences import DIFFERENCES, NO_CASES, OWN_ARITHMETIC
from tests.support.operators.outcome import Outcome
from tests.support.operators.settings import ALL_SETTINGS, Setting, fast, settings_of

OPERATORS = sorted({case.operator for case in all_cases().values()})


@pytest.mark.parametrize("operator", OPERATORS)
def test_no_cell_is_worse(operator):
    pairs = [pair for pair in fast(tuple(all_cases().values())) if pair[0].operator == operator]
    expected = {name: cell for name, cell in cells.read("fast").items() if name.split()[0] == operator}
    assert cells.compare(cells.count(run_all(pairs)), expected) == []


def test_the_page_is_what_the_cells_give():
    assert table.PAGE.read_text(encoding="utf-8") == table.page(cells.read("full"))


def test_every_difference_has_a_reason_and_every_reason_a_difference():
    differing = {tuple(name.split()[:2]) for name, cell in cells.read("full").items() if cell.differs}
    assert differing == set(DIFFERENCES)
    own = {case.operator for case in all_cases().values() if case.arithmetic is not None}
    assert own == set(OWN_ARITHMETIC)


def test_every_operator_of_velas_report_has_cases_or_a_reason(tmp_path):
    command = [sys.executable, "-m", "ethosu.vela", "--supported-ops-report"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    report = (tmp_path / "SUPPORTED_OPS.md").read_text(encoding="utf-8")
    section = report.split("## Ethos-U55 and Ethos-U65 TFLite Summary Table")[1].split("\n## ")[0]
    supported = set(re.findall(r"^\| ([A-Z0-9_]+) \|", section, re.MULTILINE))
    assert len(supported) > 50
    assert supported - set(OPERATORS) == set(NO_CASES)


def test_cases_are_the_same_in_every_process():
    keys = [key for number, key in enumerate(sorted(all_cases())) if number % 97 == 0]
    code = "import sys, zlib; from tests.support.operators.families import all_cases as a; "
    code += "[print(zlib.crc32(m), zlib.crc32(b''.join(i.tobytes() for i in a()[k].inputs(m)))) "
    code += "for k in sys.argv[1:] for m in [a()[k].model()]]"
    command = [sys.executable, "-c", code, *keys]
    root = table.PAGE.parents[1]
    first, second = (
        subprocess.run(command, cwd=root, env={"PYTHONHASHSEED": seed}, check=True, capture_output=True)
        for seed in ("1", "2")
    )
    assert first.stdout == second.stdout
    assert len(first.stdout.splitlines()) == len(keys)


def test_settings_come_by_turns():
    case = next(iter(all_cases().values()))
    every = list(settings_of(case, "ethos-u65-512", ALL_SETTINGS))
    assert len(set(every)) == len(every) == ALL_SETTINGS
    assert every[:4] == list(settings_of(case, "ethos-u65-512", 4))


def _run(kind: str, largest: int = 0) -> Run:
    case = Case("ADD", "int8", "x", lambda random: b"")
    return Run(case, Setting("ethos-u55-32", "Sram_Only", "regor"), Outcome(kind, largest, largest))


@pytest.mark.parametrize(
    "worse",
    [
        [_run("equal"), _run("differs", 2)],
        [_run("equal"), _run("equal"), _run("differs", 3)],
        [_run("equal"), _run("differs", 2), _run("differs", 2), _run("equal")],
        [_run("cpu"), _run("cpu")],
        [],
    ],
)
def test_a_worse_cell_is_told(worse):
    expected = cells.count([_run("equal"), _run("equal"), _run("differs", 2)])
    assert expected == {"ADD int8 ethos-u55-32": Cell(equal=2, differs=1, largest=2)}
    assert cells.compare(expected, expected) == []
    (line,) = cells.compare(cells.count(worse), expected)
    assert line.startswith("ADD int8 ethos-u55-32: ")


def test_a_difference_that_was_large_may_be_any():
    expected, now = (cells.count([_run("differs", largest)]) for largest in (128, 255))
    assert cells.compare(now, expected) == []


def test_cells_survive_the_file(tmp_path):
    kept = {"full": cells.count([_run("equal"), _run("no oracle")]), "fast": cells.count([_run("refused")])}
    cells.write(kept, tmp_path / "expected.json")
    assert {part: cells.read(part, tmp_path / "expected.json") for part in kept} == kept
