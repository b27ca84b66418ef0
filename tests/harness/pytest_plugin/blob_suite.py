"""A user's repository with the blobs and one test file, pytest in it, and the summary it prints."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support import forked
from tests.support.blobs import model_file, write

TEST = """
def test_fits_and_holds(deployment, parity, accuracy, latency, memory, budget):
    assert parity.mismatches == 0
    assert accuracy.drop <= 0.5
    assert latency.ms <= 2.0 and memory.sram_bytes <= 256 * 1024
    budget.check()
"""
OTHER = "def test_of_something_else():\n    assert True\n"


def repository(folder: Path, files: dict[str, str] | None = None) -> Path:
    """A user's repository: `models/blobs.py`, one test file, and further files."""
    standard = {"models/blobs.py": model_file(), "test_deployment.py": TEST, "test_other.py": OTHER}
    return write(folder, {**standard, **(files or {})})


def run(
    folder: Path, store: Path, *arguments: str, plugins: tuple[str, ...] = (), columns: int = 200
) -> subprocess.CompletedProcess[str]:
    """pytest in `folder` on a terminal of `columns`; of the other plugins only those named are loaded."""
    blocked = {"xdist", "pytest_embedded", "timeout"} - set(plugins)
    off = [word for name in ("cacheprovider", *sorted(blocked)) for word in ("-p", f"no:{name}")]
    environment = {**os.environ, "HIL_STORE": str(store), "COLUMNS": str(columns)}
    environment.pop("CI", None)
    return forked.run("pytest", *off, *arguments, cwd=folder, env=environment)


@dataclass(frozen=True)
class TableRow:
    """The columns of a summary row that tests check."""

    mismatches: list[str]
    against_ptq: list[str]
    cells: int


def table(done: subprocess.CompletedProcess[str]) -> dict[str, TableRow]:
    """The rows of the summary, by path: `0` or `0 / 0` stands behind the samples that were right on the target."""
    rows = {}
    for line in done.stdout[done.stdout.index("hardware in the loop") :].splitlines():
        if found := re.match(r"\s*(\w+)\s.*\d+/\d+\s+(\d+(?: / \d+)?)\s", line):
            changes = re.findall(r"[+-]\d+ %", line)
            rows[found[1]] = TableRow(found[2].split(" / "), changes, len(line.split()))
    return rows
