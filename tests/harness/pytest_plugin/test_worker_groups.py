"""The tests of a deployment run on one worker of pytest-xdist, and a pytest that spreads them is named."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from .blob_suite import repository, run

TESTS = "".join(f"def test_{number}(parity, budget):\n    budget.check()\n" for number in range(3))
WORKERS = ("--target", "sim", "-n", "2", "--dist", "loadgroup", "-v")


def spread(folder: Path, store: Path) -> tuple[dict[str, set[str]], str]:
    """The workers of each deployment's tests, and what was printed."""
    done = run(repository(folder, {"test_deployment.py": TESTS}), store, *WORKERS, plugins=("xdist",))
    assert done.returncode == 0, done.stdout + done.stderr
    workers: dict[str, set[str]] = {}
    for worker, name in re.findall(r"\[(gw\d)\].*PASSED .*\[(blobs-\w+)\]", done.stdout):
        workers.setdefault(name, set()).add(worker)
    assert workers.keys() == {"blobs-ptq", "blobs-pqat"}
    return workers, done.stdout


def test_one_worker_runs_the_tests_of_a_deployment(tmp_path: Path, store: Path) -> None:
    workers, printed = spread(tmp_path, store)
    assert all(len(found) == 1 for found in workers.values()), workers
    assert "--dist loadgroup has no effect" not in printed


@pytest.mark.nightly  # it installs another pytest
def test_a_pytest_that_spreads_them_is_named_with_what_helps(
    tmp_path: Path, store: Path, missing: Callable[[object], NoReturn], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIP_CONSTRAINT", raising=False)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(tmp_path / "other")]
    made = subprocess.run([*pip, "pytest==9.2.0"], capture_output=True, text=True)
    if made.returncode:
        missing(f"pytest 9.2.0 cannot be installed: {made.stderr}")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "other"))
    workers, printed = spread(tmp_path / "suite", store)
    told = (
        "--dist loadgroup has no effect with pytest 9.2.0 and this pytest-xdist: each worker may measure a deployment"
    )
    assert f"{told} again; pip install 'pytest<9.2'" in " ".join(printed.split())
    assert any(len(found) > 1 for found in workers.values()), workers
