"""Leaves that know the NPU, as a user of `hil tree` and `hil optimize` meets them."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.support.blobs import model_file, write
from tests.support.forked import hil

SPARED = "layer pointwise: only 128 weights, kept dense at 8 bits"


def test_what_is_spared_and_what_is_bought_is_said(tmp_path: Path) -> None:
    quick = "recipe=Recipe(clusters=5, sparse_cluster=quick, pcqat=quick, "
    text = model_file().replace("recipe=Recipe(", quick).replace('techniques=("ptq", "pqat")', "techniques=None")
    folder = write(tmp_path, {"models/blobs.py": text})
    store = ["--store", str(tmp_path / "store")]

    def run(*arguments: str) -> str:
        done = hil(*arguments, *store, cwd=folder)
        assert done.returncode == 0, done.stderr
        return done.stdout

    walked = run("tree", "blobs", "--policy", "all", "--technique", "pcqat", "--technique", "npu_pcqat")
    lines = walked.splitlines()
    assert lines.count(SPARED) == 1
    assert "normalizations folded" not in walked  # there are none
    assert re.search(
        r"^  npu_pcqat against pcqat: \d\.\d\d of the encoded weights, \d\.\d\d of the cycles$", walked, re.M
    )
    found = json.loads(run("optimize", "blobs", "--technique", "npu_pcqat", "--json"))
    assert SPARED in found["notes"]
    assert {layer["layer"]: layer["unique"] for layer in found["layers"]}["logits"] <= 5
