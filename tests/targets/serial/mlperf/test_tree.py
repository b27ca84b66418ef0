"""`hil tree` on a board with this firmware, which times whole inferences and counts no cycles."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hil.harness.data.loaded import joined
from hil.harness.evaluation.evaluator import Evaluator
from hil.harness.model import load_model_file
from hil.harness.pipeline import Pipeline
from hil.harness.store.store import Store
from hil.harness.vela.settings import VelaSettings
from hil.targets.execution.signature import dequantize, quantize, read_signature
from hil.targets.host.target import HostTarget
from tests.support.blobs import model_file, write

from .device import on_pty, write_book
from .test_suite import describe, ran

Tree = Callable[..., Any]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's repository, and the answers of a board that carries the leaf `ptq` of its model."""
    folder = write(tmp_path_factory.mktemp("blobs"), {"models/blobs.py": model_file()})
    model = load_model_file(folder / "models/blobs.py")
    deployment = Evaluator(Pipeline(Store(folder / "store")), "host", VelaSettings()).deploy(model, "ptq")
    signature = read_signature(deployment.int8)
    samples = quantize(signature.inputs[0], joined(model.data.read("test")).x[0])
    outputs = HostTarget().run(deployment.deployable, [samples]).outputs[0]
    real = dequantize(signature.outputs[0], outputs).astype(np.float64)
    printed = [[f"{value:.6f}" for value in row] for row in real]
    write_book(folder / "book", dict(zip((sample.tobytes() for sample in samples), printed, strict=True)))
    return folder


@pytest.fixture
def tree(built: Callable[[str], Path], repository: Path) -> Iterator[Tree]:
    """`hil tree` on that board, which takes at least a millisecond."""
    with on_pty(built("own"), repository / "book", BOARD_INFER_US=1000) as device:
        board = describe(repository, device.port)
        target = ("--target", "serial", "--board", board, "--repetitions", "2", "--samples", "4")
        yield lambda *words: ran(
            repository, ["hil.harness.cli", "tree", "blobs", "--technique", "ptq", *target, *words]
        )


def test_a_leaf_has_the_boards_milliseconds_and_no_cycles(tree: Tree, repository: Path) -> None:
    done = tree("--max-latency-ms", "100", "--json", "-o", "tree.html")
    assert done.returncode == 0, done.stderr
    (leaf,) = json.loads(done.stdout)["leaves"]
    figures = {found["name"]: found for found in leaf["measurements"]}
    assert not {"npu_cycles", "npu_latency"} & figures.keys()
    latency = figures["latency"]
    assert (latency["unit"], latency["trust"]) == ("ms", "measured")
    assert 1.0 <= latency["value"] < 100
    (check,) = (found for found in leaf["checks"] if found["limit"] == "max_latency_ms")
    assert (check["value"], check["trust"], check["met"]) == (latency["value"], "measured", True)
    page = (repository / "tree.html").read_text()
    assert f"{latency['value']:.4f} ms" in page
    assert page.count("latency, ms (measured)") == 2  # of the tree's columns and of the scatter's axis
    assert "not measured" not in page


def test_a_limit_on_latency_is_judged_on_milliseconds(tree: Tree) -> None:
    done = tree("--max-latency-ms", "0.5")
    assert done.returncode == 1, done.stderr
    assert " too much" in done.stdout
    assert "; ms are measured, all else exact;" in " ".join(done.stdout.split())
