"""Few open files: from the lowest limit at which Python starts, `hil` and pytest end with one line, infrastructure.

pytest imports itself and its plugins before ours is asked anything; what needs more files there than Python's own start
is not for this project to mend.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.blobs import model_file, write

LIMITED = """
import os, resource, sys
files = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""
LINE = r"^(Exit: )?InfrastructureError: .*(Too many open files|No usable temporary directory)"
HIL = ["-m", "hil.harness.program"]
PYTEST = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:pytest_embedded", "-p", "no:xdist"]
TEST = """
def test_parity(deployment, parity):
    assert parity.mismatches == 0
"""


def run(files: int, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", LIMITED, str(files), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


@pytest.fixture(scope="module")
def lowest(tmp_path_factory: pytest.TempPathFactory) -> int:
    folder = tmp_path_factory.mktemp("start")
    return next(files for files in range(3, 20) if run(files, "-c", "", folder=folder).returncode == 0)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("repository"), {"models/blobs.py": model_file(), "test_it.py": TEST})


def test_hil_ends_with_3_and_a_line(repository: Path, lowest: int) -> None:
    for files in range(lowest, lowest + 4):
        done = run(files, *HIL, "optimize", "blobs", "--technique", "ptq", "--store", "store", folder=repository)
        assert done.returncode == 3, (files, done.stderr)
        (line,) = done.stderr.splitlines()
        assert line.startswith("hil: "), files
        assert "Too many open files" in line or "No usable temporary directory" in line


def test_pytest_ends_with_6_and_a_line(repository: Path, lowest: int) -> None:
    for files in range(lowest, lowest + 8):
        done = run(files, *PYTEST, "--target", "sim", "--technique", "ptq", "--store", "store", folder=repository)
        output = done.stdout + done.stderr
        assert done.returncode == 6, (files, output)
        assert re.search(LINE, output, re.MULTILINE), (files, output)
        assert "Traceback" not in output
        assert "INTERNALERROR" not in output


FULL = """
def pytest_runtest_protocol(item):
    raise OSError(28, "No space left on device", "/report")
"""


def test_a_limit_that_stops_pytest_itself_is_infrastructure_where_deployments_are_tested(tmp_path: Path) -> None:
    write(tmp_path, {"conftest.py": FULL, "test_other.py": "def test_other():\n    pass\n"})
    command = [sys.executable, *PYTEST]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == pytest.ExitCode.INTERNAL_ERROR, done.stdout
    assert "INTERNALERROR> OSError" in done.stdout, "a run without deployments is pytest's alone"
    write(tmp_path, {"models/blobs.py": model_file(), "test_it.py": TEST})
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 6, done.stdout
    assert "InfrastructureError: No space left on device: /report" in done.stderr
    assert "INTERNALERROR" not in done.stdout
