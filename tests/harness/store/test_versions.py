"""Versions of libraries: by distribution or by package, as a process first found them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hil.harness.store.source_digest import versions
from tests.support.blobs import write


def test_a_library_of_another_name_is_found_by_its_package() -> None:
    """As TensorFlow is where `tensorflow-cpu` is installed."""
    assert set(versions("ethosu")) == {"ethos-u-vela"}
    assert versions("no_such_package") == {}


def test_a_version_is_looked_up_once_in_a_process_and_again_in_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process keeps the library that it imported; a look at the metadata of each takes milliseconds."""
    monkeypatch.syspath_prepend(str(tmp_path))
    for version in ("1.0", "2.0"):
        write(tmp_path, {"looked_up.dist-info/METADATA": f"Metadata-Version: 2.1\nName: looked-up\nVersion: {version}"})
        assert versions("looked-up") == {"looked-up": "1.0"}
    code = "from hil.harness.store.source_digest import versions; print(versions('looked-up'))"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "{'looked-up': '2.0'}"
