"""`hil tree --jobs`: several processes make the same as one, and none outlives the walk."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hil.core.errors import BadInputError, InfrastructureError
from hil.harness.evaluation.evaluator import Evaluator
from hil.harness.model import load_model_file
from hil.harness.pipeline import Pipeline
from hil.harness.store.store import Store
from hil.harness.tree import LeafStatus, Walk, WalkObserver, walk
from hil.harness.tree.candidates import Candidate, SettledNode
from hil.harness.tree.leaf_producer import TRIES
from hil.harness.vela.settings import VelaSettings

from .blob_tree import HIL, figure, repository, tree, weights
from .processes import children, descendants, gone

LEAVES = ("ptq", "qat", "prune")
SLOW = ("pqat=quick", "pqat=FineTune(200, 1e-3)")


def named(leaves: tuple[str, ...] = LEAVES) -> list[str]:
    return [word for leaf in leaves for word in ("--technique", leaf)]


def without_times(record: dict[str, Any]) -> dict[str, Any]:
    trained = [{"node": node["node"], "settings": node["settings"]} for node in record["trained"]]
    verdict = {name: record["verdict"][name] for name in ("met", "winner", "reason", "run")}
    return {**record, "trained": trained, "verdict": verdict}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return repository(tmp_path_factory.mktemp("jobs"))


@pytest.fixture(scope="module")
def parallel(folder: Path) -> dict[str, Any]:
    """A walk by two processes, with a store of its own."""
    done = tree(folder, folder / "parallel", "--policy", "all", *named(), "--jobs", "2", "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_two_processes_give_what_one_gives(parallel: dict[str, Any], folder: Path, store: Path) -> None:
    done = tree(folder, store, "--policy", "all", *named(), "--json")
    assert done.returncode == 0, done.stderr
    assert without_times(json.loads(done.stdout)) == without_times(parallel)
    assert all(node["anew"] for node in parallel["trained"])
    made = weights(folder / "parallel")
    assert len(made) == len(parallel["trained"])
    assert made.items() <= weights(store).items(), "the very same weights"


def test_first_ends_at_the_same_leaf(parallel: dict[str, Any], folder: Path) -> None:
    store = folder / "parallel"
    latency = figure(parallel["leaves"][2], "latency")
    assert latency < min(figure(leaf, "latency") for leaf in parallel["leaves"][:2])
    asked = (*named(), "--max-latency-ms", latency, "--json")
    one, two = (json.loads(tree(folder, store, *asked, "--jobs", jobs).stdout) for jobs in (1, 2))
    assert [leaf["leaf"] for leaf in one["leaves"]] == ["ptq", "qat", "prune"]
    assert without_times(one) == without_times(two)


@pytest.mark.parametrize(
    ("sent", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM), (signal.SIGKILL, -signal.SIGKILL)],
    ids=["SIGINT", "SIGTERM", "SIGKILL"],
)
def test_no_process_outlives_the_walk(
    parallel: dict[str, Any], folder: Path, tmp_path: Path, sent: signal.Signals, code: int
) -> None:
    slow = repository(tmp_path, SLOW)
    command = [*HIL, "tree", "blobs", *named(("pqat",)), "--jobs", "2", "--store", str(folder / "parallel")]
    with subprocess.Popen(command, cwd=slow, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as child:
        assert child.stderr is not None
        for line in child.stderr:
            if line.strip() == "blobs: prune > pqat":  # in the middle of its training
                break
        workers = descendants(child.pid)
        assert workers
        child.send_signal(sent)
        child.stderr.read()
    assert child.returncode == code
    assert gone(workers)


class Killer(WalkObserver):
    """Kills the process that trains the base, so many times; `killed` are their ids."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.killed: set[int] = set()

    def progress(self, what: SettledNode | Candidate, text: str, done: int, total: int) -> None:
        if len(self.killed) < self.times and isinstance(what, SettledNode) and what.node == ():
            busy = [pid for pid in children(os.getpid()) if b"run_in_child" in command_of(pid)]
            for pid in busy:
                os.kill(pid, signal.SIGKILL)
            self.killed.update(busy)


def command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def walked(folder: Path, store: Path, observer: WalkObserver) -> Walk:
    bench = Evaluator(Pipeline(Store(store)), "sim", VelaSettings())
    return walk(load_model_file(folder / "models/blobs.py"), bench, leaves=("ptq",), jobs=2, observer=observer)


def test_a_node_whose_worker_died_is_trained_again(folder: Path, tmp_path: Path) -> None:
    killer = Killer(1)
    found = walked(folder, tmp_path, killer)
    assert len(killer.killed) == 1
    assert [leaf.status for leaf in found.leaves] == [LeafStatus.MET]
    assert [node.anew for node in found.trained] == [True]


@pytest.mark.nightly
def test_a_worker_that_dies_again_and_again_ends_the_walk(folder: Path, tmp_path: Path) -> None:
    killer = Killer(10)
    with pytest.raises(InfrastructureError, match=rf"base: its worker died {TRIES} times.*signal 9"):
        walked(folder, tmp_path, killer)
    assert len(killer.killed) == TRIES
    assert not [pid for pid in children(os.getpid()) if b"run_in_child" in command_of(pid)]


def test_what_no_file_describes_only_this_process_can_train(folder: Path, tmp_path: Path) -> None:
    bench = Evaluator(Pipeline(Store(tmp_path)), "sim", VelaSettings())
    model = replace(load_model_file(folder / "models/blobs.py"), path=tmp_path / "nowhere.py")
    with pytest.raises(BadInputError, match="comes from no model file"):
        walk(model, bench, leaves=("ptq",), jobs=2)


def test_a_worker_that_would_make_something_else_says_what_differs(folder: Path, tmp_path: Path) -> None:
    """As where a machine has other data under the same name."""
    (tmp_path / "blobs.dat").write_text("others")
    model = load_model_file(folder / "models/blobs.py")
    model = replace(model, data=replace(model.data, files=lambda: [tmp_path / "blobs.dat"]))
    bench = Evaluator(Pipeline(Store(tmp_path / "store")), "sim", VelaSettings())
    with pytest.raises(InfrastructureError, match=r"would make base of something else: its inputs \{.data.: .*same"):
        walk(model, bench, jobs=2)
    assert [artifact.step for artifact in Store(tmp_path / "store").artifacts()] == ["learning_task"]


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ("", "1"),
        pytest.param(
            *(
                "import tensorflow as tf; tf.constant(1) + 1",
                "with more than one thread an operation: results would differ",
            ),
            marks=pytest.mark.nightly,
        ),
    ],
    ids=["ours", "somebody else's"],
)
def test_the_number_of_cores_has_no_part_in_a_training(before: str, said: str) -> None:
    code = f"{before}\nfrom hil.harness.optimize.keras.keras2 import import_tensorflow\n"
    code += "print(import_tensorflow().config.threading.get_intra_op_parallelism_threads())"
    environment = {name: value for name, value in os.environ.items() if name != "TF_NUM_INTRAOP_THREADS"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert said in (done.stdout if said == "1" else done.stderr)
