"""A user's repository with the blobs on the whole tree, and `hil tree` in it with its results."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from hil.harness.pipeline.builders import KERAS
from hil.harness.store.store import Store
from tests.support.blobs import model_file, write
from tests.support.forked import hil, run

LEVELS = ["ptq", "qat", "prune", "cluster", "pqat", "cqat", "sparse_cluster", "pcqat"]
HIL = [sys.executable, "-m", "hil.harness.cli"]
"""Starts the command as a process that a test interrupts or kills."""
WHOLE = (
    model_file()
    .replace(
        "recipe=Recipe(", "recipe=Recipe(clusters=5, cluster=quick, sparse_cluster=quick, cqat=quick, pcqat=quick, "
    )
    .replace('techniques=("ptq", "pqat")', f"techniques={tuple(LEVELS)}")
    .replace("max_latency_ms=1.0", "max_latency_ms=float('inf')")
    .replace("[Path(__file__)]", "[Path(__file__).with_name('blobs.dat')]")  # else a new setting were new data
)


def repository(folder: Path, *replacements: tuple[str, str]) -> Path:
    """A user's repository with the blobs on the whole tree."""
    text = WHOLE
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    return write(folder, {"models/blobs.py": text, "models/blobs.dat": "blobs"})


def tree(folder: Path, store: Path, *arguments: object, code: str = "") -> subprocess.CompletedProcess[str]:
    """`hil tree blobs`; `code` runs before it in the same process."""
    return hil("tree", "blobs", "--store", store, *arguments, cwd=folder, code=code)


def leaves(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    return {leaf["leaf"]: leaf for leaf in json.loads(done.stdout)["leaves"]}


def figure(leaf: dict[str, Any], name: str) -> float:
    (value,) = (found["value"] for found in leaf["measurements"] if found["name"] == name)
    return float(value)


def weights(store: Path) -> dict[str, str]:
    """Keras models by what they are made of: key -> hash of the file."""
    found = [artifact for artifact in Store(store).artifacts() if KERAS in artifact.manifest["files"]]
    return {artifact.key: artifact.digest(KERAS) for artifact in found}


def run_pytest(folder: Path, store: Path, test: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_tree.py").write_text(f"import pytest\n\n{test}")
    off = ("no:cacheprovider", "no:xdist", "no:pytest_embedded", "no:timeout")
    words = [word for name in off for word in ("-p", name)]
    return run("pytest", *words, *arguments, cwd=folder, env={**os.environ, "HIL_STORE": str(store)})
