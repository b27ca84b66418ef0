"""The package's installation from its folder: C files are compiled when they have changed, and only then."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hil.npu.native.code import FOLDER

ROOT = FOLDER.parents[1]
BUILD = "from setuptools import build_meta; build_meta.build_editable('wheels')"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what is compiled, as it was installed before, with a compiler that notes its calls and fails."""
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    ignored = shutil.ignore_patterns("__pycache__")
    for package in ("npu", "npu/native"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    shutil.copytree(FOLDER, tmp_path / "npu/native", ignore=ignored, dirs_exist_ok=True)
    libraries = list((tmp_path / "npu/native").glob("_steps*"))
    assert libraries, "the compiled code is not installed"
    for library in libraries:
        os.utime(library)
    (tmp_path / "wheels").mkdir()
    return tmp_path


def compiles(project: Path) -> bool:
    """Installs `project` as tox does; true if that called the compiler."""
    compiler, log = project / "cc", project / "called"
    compiler.write_text(f'#!/bin/sh\necho "$@" >> {log}\nexit 1\n')
    compiler.chmod(0o755)
    environment = {**os.environ, "CC": str(compiler)}
    subprocess.run([sys.executable, "-c", BUILD], cwd=project, env=environment, check=True, capture_output=True)
    return log.exists()


def test_the_second_installation_compiles_nothing(project: Path) -> None:
    assert not compiles(project)
    assert list((project / "npu/native").glob("_steps*"))


@pytest.mark.parametrize("name", ["npu/native/run.c", "npu/native/native.h"])
def test_a_changed_source_is_compiled_however_old_it_is(project: Path, name: str) -> None:
    with (project / name).open("a") as file:
        file.write("\n/* changed */\n")
    os.utime(project / name, (0, 0))
    assert compiles(project)


def test_changed_settings_of_the_compiler_compile_again(project: Path) -> None:
    later = time.time() + 60
    os.utime(project / "setup.py", (later, later))
    assert compiles(project)


def test_a_damaged_library_is_compiled_again(project: Path) -> None:
    for library in (project / "npu/native").glob("_steps*"):
        library.write_bytes(library.read_bytes()[:1000])
    assert compiles(project)
