"""`hil tree` as a user meets it: on a terminal, in a pipe, interrupted, killed, repeated, and in pytest."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import shutil
import signal
import subprocess
import sys
import zlib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from hil.core.errors import BadInputError
from hil.harness.evaluation.evaluator import Evaluator
from hil.harness.evaluation.limits import limits_of, parse_size
from hil.harness.model import Budget, load_model_file
from hil.harness.optimize.paths import Node
from hil.harness.pipeline import Pipeline
from hil.harness.store.store import Store
from hil.harness.tree import LeafStatus, Walk, WalkObserver, walk
from hil.harness.tree.candidates import SettledNode
from hil.harness.tree.file_sizes import compressed_sizes
from hil.harness.tree.walk import leaves_in_order
from hil.harness.vela.settings import VelaSettings
from tests.support.forked import hil
from tests.support.injected_code import FAULT, WITHOUT_TENSORFLOW

from .blob_tree import HIL, LEVELS, figure, leaves, repository, run_pytest, tree


def in_process(folder: Path, store: Path, *names: str, observer: WalkObserver | None = None) -> Walk:
    """A walk to some leaves by the Python function."""
    bench = Evaluator(Pipeline(Store(store)), "sim", VelaSettings())
    return walk(load_model_file(folder / "models/blobs.py"), bench, policy="all", leaves=names, observer=observer)


def anew(found: Walk) -> set[str]:
    """Nodes that a walk trained itself; "" is the base."""
    return {" > ".join(node.node) for node in found.trained if node.anew}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, store: Path) -> subprocess.CompletedProcess[str]:
    """A walk to every leaf."""
    return tree(repository(tmp_path_factory.mktemp("tree")), store, "--policy", "all", "--json")


def test_every_leaf_is_measured_level_by_level(whole: subprocess.CompletedProcess[str]) -> None:
    assert whole.returncode == 0, whole.stderr
    record = json.loads(whole.stdout)
    assert [leaf["leaf"] for leaf in record["leaves"]] == LEVELS
    assert [leaf["level"] for leaf in record["leaves"]] == [0, 1, 1, 1, 2, 2, 2, 3]
    assert record["verdict"]["met"] is True
    assert all(node["seconds"] > 0 for node in record["trained"])
    epochs = {" > ".join(node["node"]): node["epochs"] for node in record["trained"]}
    assert [len(epochs[name]) for name in ("", "prune", "prune > pqat")] == [4, 1, 1]
    assert epochs[""][0]["loss"] > epochs[""][-1]["loss"]
    assert all(0 <= epoch["accuracy"] <= 1 for trained in epochs.values() for epoch in trained)
    assert Counter(tuple(node["node"]) for node in record["trained"]).most_common(1)[0][1] == 1
    for leaf in record["leaves"]:
        assert figure(leaf, "mismatches") == figure(leaf, "sim_mismatches") == 0
        assert all({"value", "unit", "trust"} <= found.keys() for found in leaf["measurements"])
        trusts = {found["name"]: found["trust"] for found in leaf["measurements"]}
        assert trusts["latency"] == "modelled"
        assert trusts["gzip"] == trusts["encoded_weights"] == "exact"
    found = leaves(whole)
    assert figure(found["pcqat"], "gzip") < figure(found["qat"], "gzip")
    fastest = min(LEVELS, key=lambda name: (figure(found[name], "latency"), figure(found[name], "encoded_weights")))
    assert record["verdict"]["winner"] == fastest


def test_a_second_walk_needs_no_tensorflow_and_says_the_same(
    tmp_path: Path, store: Path, whole: subprocess.CompletedProcess[str]
) -> None:
    again = tree(repository(tmp_path), store, "--policy", "all", "--json", code=WITHOUT_TENSORFLOW)
    assert again.returncode == 0, again.stderr
    assert not any(node["anew"] for node in json.loads(again.stdout)["trained"])
    assert leaves(again) == leaves(whole)


def test_the_first_leaf_that_meets_every_limit_ends_the_walk(
    tmp_path: Path, store: Path, whole: subprocess.CompletedProcess[str]
) -> None:
    found = leaves(whole)
    latency = figure(found["prune"], "latency")
    assert latency < min(figure(found[name], "latency") for name in ("ptq", "qat"))
    done = tree(repository(tmp_path), store, "--max-latency-ms", latency, "--max-sram", "64KiB", "--json")
    assert done.returncode == 0, done.stderr
    walked = json.loads(done.stdout)
    assert [leaf["leaf"] for leaf in walked["leaves"]] == ["ptq", "qat", "prune"]
    assert walked["not_walked"] == LEVELS[3:]
    missed = next(check for check in walked["leaves"][0]["checks"] if check["limit"] == "max_latency_ms")
    assert missed["over"] == pytest.approx(figure(found["ptq"], "latency") - latency)
    assert "leaf ptq" in done.stderr
    commands = [shlex.split(walked["verdict"][name]) for name in ("optimize", "run")]
    for command in commands:
        assert command[0] == "hil"
        ran = hil(*command[1:], "--json", cwd=tmp_path)
        assert ran.returncode == 0, ran.stderr
    cycles = next(m["value"] for m in json.loads(ran.stdout)["measurements"] if m["name"] == "npu_cycles")
    assert cycles == figure(found["prune"], "npu_cycles")


def test_no_leaf_meets_what_none_can(
    tmp_path: Path, store: Path, whole: subprocess.CompletedProcess[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    smallest = min(figure(leaf, "tflite") for leaf in leaves(whole).values())
    done = tree(repository(tmp_path), store, "--max-model-size", smallest - 1)
    assert done.returncode == 1
    above = done.stdout.partition("\nbase ")[0].splitlines()
    assert len(above) > 1
    assert all(len(line) <= 80 for line in above)
    assert "leaf pcqat" in done.stdout
    assert "missed: .tflite" in done.stdout
    assert "not met: no leaf meets every limit" in done.stdout
    assert "hil optimize" not in done.stdout


def test_another_number_of_clusters_trains_only_what_has_clusters(
    tmp_path: Path, store: Path, whole: subprocess.CompletedProcess[str]
) -> None:
    changed = repository(tmp_path, ("clusters=5", "clusters=6"))
    found = in_process(changed, store, "sparse_cluster", "pqat")
    assert anew(found) == {"prune > sparse_cluster"}
    assert [leaf.name for leaf in found.leaves] == ["pqat", "sparse_cluster"]


def test_interrupted_and_killed_a_walk_goes_on_where_it_was(tmp_path: Path) -> None:
    folder = repository(tmp_path, ("pqat=quick", "pqat=FineTune(30, 1e-3)"))
    command = [*HIL, *("tree", "blobs", "--technique", "pqat", "--store", "store", "--json")]
    made = []
    for sent, code in ((signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)):
        with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as child:
            assert child.stderr is not None
            told = []
            for line in child.stderr:
                told.append(line)
                if line.strip() == "blobs: prune > pqat":  # in the middle of its training
                    child.send_signal(sent)
                    break
            told += child.stderr.readlines()
        assert child.returncode == code, told
        made.append(finished(folder / "store"))
    assert {path.parent.name for path in made[0]} == {"data", "learning_task", "base", "prune"}
    assert made[0] == made[1]
    assert anew(in_process(folder, folder / "store", "pqat")) == {"prune > pqat"}


def finished(store: Path) -> dict[Path, str]:
    return {artifact.folder: artifact.manifest["made"] for artifact in Store(store).artifacts()}


def test_on_a_terminal_the_tree_grows(tmp_path: Path, store: Path, whole: subprocess.CompletedProcess[str]) -> None:
    ours, theirs = pty.openpty()
    command = [*HIL, "tree", "blobs", "--store", str(store), "--max-model-size", "1"]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "50"}
    with subprocess.Popen(command, cwd=repository(tmp_path), env=environment, stdout=theirs, stderr=theirs) as child:
        os.close(theirs)
        drawn = b""
        while chunk := _read(ours):
            drawn += chunk
    os.close(ours)
    assert child.returncode == 1
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn.decode())
    frames = re.split(r"blobs  (?=from|waiting|…)", text)
    assert len(frames) > 10, "it is drawn anew when something happens"
    assert "waiting" in frames[1]
    assert "waiting" not in frames[-1]
    assert re.search(r"└── pcqat +from the store +missed: \.tflite", frames[-1])
    assert re.search(r"└── cqat +from the store +missed: \.tflite", frames[-1])
    assert "not met: no leaf meets every limit" in frames[-1]


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the other end is closed
        return b""


def test_a_wrong_bit_in_the_npu_is_no_miss_but_a_failure(
    tmp_path: Path, store: Path, whole: subprocess.CompletedProcess[str]
) -> None:
    shutil.copytree(store, tmp_path / "store", ignore=shutil.ignore_patterns("sim", "locks", "unfinished"))
    done = tree(repository(tmp_path), tmp_path / "store", "--technique", "ptq", "--json", code=FAULT)
    assert done.returncode == 1, done.stderr
    assert leaves(done)["ptq"]["status"] == "mismatch"
    verdict = json.loads(done.stdout)["verdict"]
    assert verdict["met"] is False
    assert "outputs on sim are not those of the reference: ptq" in verdict["reason"]
    assert "first operator that differs: CONV_2D, operator 1" in leaves(done)["ptq"]["reason"]
    assert (tmp_path / "hil-failures" / "blobs-ptq-sim-ethos-u55-128-Shared_Sram" / "int8.tflite").is_file()


def test_a_model_that_cannot_be_pruned_fails_those_leaves_once_and_no_others(
    tmp_path: Path, store: Path, whole: subprocess.CompletedProcess[str]
) -> None:
    heard: list[Node] = []

    class Listener(WalkObserver):
        def node_started(self, where: SettledNode) -> None:
            heard.append(where.node)

    changed = repository(tmp_path, ("clusters=5", "keep=('conv', 'pointwise', 'logits')"))
    found = in_process(changed, store, "ptq", "prune", "pqat", observer=Listener())
    assert [leaf.status for leaf in found.leaves] == [LeafStatus.MET, LeafStatus.FAILED, LeafStatus.FAILED]
    assert "prune would change no layer" in found.leaves[1].reason
    assert found.leaves[2].reason == found.leaves[1].reason
    assert heard == [(), ("prune",)]
    assert found.verdict.met
    assert found.winner is found.leaves[0]


def test_fvp_measures_what_sim_does(tmp_path: Path, store: Path, whole: subprocess.CompletedProcess[str]) -> None:
    arguments = ("--technique", "prune", "--target", "fvp", "--samples", "1", "--json")
    done = tree(repository(tmp_path), store, *arguments)
    assert done.returncode == 0, done.stderr
    assert figure(leaves(done)["prune"], "mismatches") == 0
    assert "--target fvp" in json.loads(done.stdout)["verdict"]["run"]
    assert json.loads(done.stdout)["identity"]["target"] == "fvp"


def test_without_qemu_nothing_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    done = tree(repository(tmp_path), tmp_path / "store", "--target", "fvp", "--json")
    assert done.returncode == 3, done.stderr
    assert done.stdout == ""
    assert "apt-get install qemu-system-arm" in done.stderr
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--policy", "luck"), "no policy luck (there are: first, all, best)"),
        (("--technique", "magic"), "unknown technique magic"),
        (("--max-sram", "12KB"), "'12KB' is no size"),
        (("--accelerator", "ethos-u99"), "no accelerator is called 'ethos-u99'"),
        (("--target", "nowhere"), "no target is called 'nowhere'"),
        (("--target", "host", "--max-latency-ms", "1"), "host measures no latency"),
    ],
)
def test_wrong_use_is_one_line(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    done = tree(repository(tmp_path), tmp_path / "store", *arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert message in line
    assert not (tmp_path / "store").exists()


def test_the_model_files_budget_holds_where_nothing_else_was_asked(tmp_path: Path) -> None:
    model = replace(load_model_file(repository(tmp_path) / "models/blobs.py"), budget=Budget(0.5, 1.0, 65536))
    assert limits_of(model, "sim", {"max_sram_bytes": parse_size("1.5 KiB")}).limits == Budget(0.5, 1.0, 1536)
    on_host = limits_of(model, "host", {})
    assert on_host.limits == Budget(0.5, max_sram_bytes=65536)
    assert "host measures no latency" in on_host.left_out
    for wrong in ({"max_sram": 1}, {"max_latency_ms": float("nan")}, {"max_latency_ms": "1"}):
        with pytest.raises(BadInputError):
            limits_of(model, "sim", wrong)  # type: ignore[arg-type]


def test_a_model_with_nothing_in_the_tree_says_so(tmp_path: Path) -> None:
    model = load_model_file(repository(tmp_path) / "models/blobs.py")
    with pytest.raises(BadInputError, match="has no leaf in the tree"):
        leaves_in_order(replace(model, techniques=("int16x8",)))
    every = replace(model, techniques=None)
    assert leaves_in_order(every, ["litert_ptq", "int16x8", "ptq"]) == ["ptq", "int16x8", "litert_ptq"]
    assert leaves_in_order(model) == LEVELS


def test_sizes_are_those_of_the_real_archives() -> None:
    content = bytes(range(256)) * 40 + os.urandom(500)

    def deflated(level: int) -> int:
        packer = zlib.compressobj(level, zlib.DEFLATED, -15)
        return len(packer.compress(content) + packer.flush())

    sizes = compressed_sizes(content)
    assert sizes.tflite == len(content)
    assert sizes.gzip == deflated(9) + 18  # header 10, checksum and length 8
    assert sizes.zip == deflated(6) + 30 + 46 + 22 + 2 * len(
        "model.tflite"
    )  # entry, directory, its end, the name twice
    assert compressed_sizes(content) == sizes


def test_in_pytest_the_mark_walks_and_asserts(
    tmp_path: Path, store: Path, whole: subprocess.CompletedProcess[str]
) -> None:
    latency = figure(leaves(whole)["prune"], "latency")
    tests = f"""
@pytest.mark.hil_tree(max_latency_ms={latency})
def test_some_leaf_is_fast(hil_tree):
    assert hil_tree.winner.name == "prune"

@pytest.mark.hil_tree(policy="all", max_latency_ms={latency / 1000})
def test_none_is_that_fast(hil_tree):
    raise AssertionError("never gets here")

@pytest.mark.hil_techniques("qat")
def test_the_fixture_alone_asserts_nothing(hil_tree):
    assert [leaf.name for leaf in hil_tree.leaves] == ["qat"]

def test_another():
    pass
"""
    done = run_pytest(repository(tmp_path), store, tests, "--target", "sim")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 failed, 2 passed, 1 deselected" in done.stdout
    assert "not met: no leaf meets every limit" in done.stdout
    assert "pcqat: missed: latency" in done.stdout
    assert "never gets here" not in done.stdout


@pytest.mark.parametrize(
    ("mark", "fixture", "message"),
    [('policy="luck"', "hil_tree", "no policy luck"), ("", "", "the fixture is not (take hil_tree)")],
)
def test_a_mark_that_cannot_be_meant_ends_the_run(
    tmp_path: Path, store: Path, mark: str, fixture: str, message: str
) -> None:
    test = f"@pytest.mark.hil_tree({mark})\ndef test_it({fixture}):\n    pass\n"
    done = run_pytest(repository(tmp_path), store, test)
    assert done.returncode == 4, done.stdout + done.stderr
    assert message in done.stderr
