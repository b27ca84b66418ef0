"""Benchmarks are run by hand, so a name that the harness no longer has would be found by a reader of the docs."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Compile = Callable[..., tuple[bytes, bytes]]

ROOT = Path(__file__).parent.parent
BENCHMARKS = ROOT / "benchmarks"
KNOWN_MODEL = ROOT / "harness" / "board_check" / "known_model.tflite"
COMMANDS = [path.stem for path in sorted(BENCHMARKS.glob("*.py")) if "ArgumentParser(" in path.read_text()]


def started(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command as its docs give it, from a process without this one's settings of threads."""
    environment = {key: value for key, value in os.environ.items() if not key.endswith("_NUM_THREADS")}
    environment.pop("TF_NUM_INTRAOP_THREADS", None)
    command = [sys.executable, "-m", f"benchmarks.{name}", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_benchmark_starts(name: str) -> None:
    done = started(name, "--help")
    assert done.returncode == 0, done.stderr
    assert "usage:" in done.stdout


@pytest.mark.parametrize("name", ["fvp_boot", "npu_throughput"])
def test_a_model_that_is_not_there_is_one_line(name: str) -> None:
    done = started(name, "nowhere.tflite")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1].endswith("there is no file nowhere.tflite")


def test_a_boot_and_a_start_from_a_kept_state_are_timed(runner: None, compiled: Compile, tmp_path: Path) -> None:
    model = tmp_path / "kws_vela.tflite"
    model.write_bytes(compiled("kws_ref_int8")[1])
    done = started("fvp_boot", str(model), "--runs", "1", "--samples", "2")
    assert done.returncode == 0, done.stderr
    for row in ("MB kept", "booted:", "from a kept state / executable: median", "with the kept state / run_inference"):
        assert row in done.stdout


def test_the_throughput_is_measured(tmp_path: Path) -> None:
    done = started("npu_throughput", str(KNOWN_MODEL), "--batch", "9", "--rounds", "1", "--cache", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "batch 9, one thread: ms an inference" in done.stdout


@pytest.mark.nightly
def test_a_second_walk_is_split(tmp_path: Path) -> None:
    done = started("second_walk", "--model", "digits_dscnn", "--technique", "ptq", "--store", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "second walk on sim" in done.stdout
    shares = [float(share) for share in re.findall(r"(\d+\.\d)%", done.stdout)]
    assert sum(shares) == pytest.approx(100, abs=1)


def test_commands_are_given_as_modules() -> None:
    pages = [*BENCHMARKS.rglob("*.py"), *(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    assert not [page.name for page in pages if re.search(r"python benchmarks/", page.read_text())]


@pytest.mark.parametrize("path", sorted(BENCHMARKS.rglob("*.py")), ids=lambda path: path.stem)
def test_a_benchmark_uses_names_that_are_there(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] in ("hil", "tests"):
            module = importlib.import_module(str(node.module))
            for alias in node.names:
                assert hasattr(module, alias.name) or _is_module(f"{node.module}.{alias.name}"), alias.name


def _is_module(name: str) -> bool:
    return importlib.util.find_spec(name) is not None
