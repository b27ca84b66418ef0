"""A store that takes no more: at any size of its disk one line, infrastructure, and nothing half written."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.support.blobs import model_file, write
from tests.support.own_mounts import run_with_mounts

TEST = """
def test_parity(deployment, parity):
    assert parity.mismatches == 0
"""
WALK = """
import os, subprocess, sys, tempfile
from pathlib import Path
from hil.core.errors import InfrastructureError
from hil.harness.model import load_model_file
from hil.harness.pipeline import Pipeline
from hil.core.artifact_manifest import MANIFEST
from hil.harness.store.store import Store
from hil.harness.vela.settings import VelaSettings

model = load_model_file("models/blobs.py")
before = -1
for kib in (4, 12, 24, 56, 200, 400, 1000):
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", "disk"], check=True)
    assert os.stat("disk").st_dev != os.stat(tempfile.gettempdir()).st_dev
    store = Store(Path("disk/store"))
    pipeline = Pipeline(store)
    try:
        pipeline.compiled(pipeline.int8(model, "ptq").read("model.tflite"), VelaSettings())
        line = "done"
    except InfrastructureError as error:
        line = str(error)
    assert not list((store.root / "unfinished").iterdir()), line
    own = ("locks", "file_digests")
    files = [file for file in store.root.rglob("*") if file.is_file() and file.parent.name not in own]
    kept = list(store.artifacts())
    assert all(artifact.intact() for artifact in kept)
    assert len(files) == sum(len(artifact.manifest["files"]) + 1 for artifact in kept), files
    print(kib, len(kept), line)
    subprocess.run(["umount", "--lazy", "disk"], check=True)  # files of the store are mapped
    if line == "done":
        break
"""


FILE_SYSTEM = """
import errno, os, sys
from pathlib import Path

def refuse(event, arguments):
    if event == "os.link":
        raise OSError(errno.EPERM, "this file system has no hard links", arguments[0])
    if event == "os.rename":
        source, target = (Path(os.fsdecode(name)) for name in arguments[:2])
        if source.stat().st_dev != target.parent.stat().st_dev:
            raise AssertionError(f"{source} is moved to another file system, {target}: that is no rename")

sys.addaudithook(refuse)
"""
"""A `sitecustomize` of every process: no hard links, and no rename that would have to copy."""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "disk").mkdir()
    quick = model_file().replace("base=FineTune(4, 1e-2)", "base=FineTune(1, 1e-2)")
    return write(tmp_path, {"models/blobs.py": quick, "test_it.py": TEST})


def test_a_disk_of_any_size_gives_whole_artifacts_or_one_line(repository: Path) -> None:
    """The store is another file system than the temporary folder's, and what it publishes is one rename within it."""
    write(repository, {"patch/sitecustomize.py": FILE_SYSTEM})
    patch = {"PYTHONPATH": str(repository / "patch")}
    done = run_with_mounts("true", [sys.executable, "-c", WALK], repository, patch)
    assert done.returncode == 0, done.stderr
    *full, last = done.stdout.splitlines()
    assert len(full) >= 3
    assert all("No space left on device" in line for line in full), done.stdout
    assert last.endswith(" 6 done")


def test_a_full_disk_ends_pytest_with_6_and_hil_with_3(repository: Path) -> None:
    small = "mount -t tmpfs -o size=20k tmpfs disk"
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--technique", "ptq", "--store", "disk"]
    done = run_with_mounts(small, tests, repository)
    assert done.returncode == 6, done.stdout
    assert re.search(r"InfrastructureError: .*No space left on device", done.stdout)
    walk = [sys.executable, "-m", "hil.harness.cli", "tree", "blobs", "--store", "disk"]
    done = run_with_mounts(small, walk, repository)
    assert done.returncode == 3
    assert re.search(r"^hil: .*No space left on device", done.stderr, re.MULTILINE)
    assert "Traceback" not in done.stderr
    assert "defect" not in done.stderr


@pytest.mark.nightly
def test_a_read_only_store_gives_what_it_has_and_refuses_the_rest(repository: Path) -> None:
    size = [sys.executable, "-m", "hil.harness.cli", "models", "--store", "disk"]
    optimize = [sys.executable, "-m", "hil.harness.cli", "optimize", "blobs", "--technique", "ptq", "--store", "disk"]
    assert run_with_mounts("true", size, repository).returncode == 0
    read_only = "mount --bind -o ro disk disk && mount -o remount,bind,ro disk"
    assert run_with_mounts(read_only, size, repository).returncode == 0
    done = run_with_mounts(read_only, optimize, repository)
    assert done.returncode == 3
    assert "hil: the store disk cannot be written: Read-only file system" in done.stderr
    assert "Traceback" not in done.stderr
