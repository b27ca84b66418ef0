"""The policy `best`: other settings than the recipe's, within a number of trainings, and the winner made again."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from hil.core.errors import BadInputError
from hil.harness.evaluation.evaluator import Evaluator
from hil.harness.model import Budget, load_model_file
from hil.harness.pipeline import Pipeline
from hil.harness.store.store import Store
from hil.harness.tree import Effort, Walk, walk
from hil.harness.vela.settings import VelaSettings
from tests.support.forked import hil

from .blob_tree import figure, repository, run_pytest, tree

MOST = 3
FIGURES = ("accuracy_drop", "npu_cycles", "encoded_weights")
LEAVES = ("ptq", "prune")
NAMED = [word for leaf in LEAVES for word in ("--technique", leaf)]
BEST = ["--policy", "best", *NAMED, "--json"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the blobs, where pruning and clustering do no harm that a limit would forbid."""
    return repository(tmp_path_factory.mktemp("best"))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Not that of the other tests: what is in the store costs a search no training, and decides how far it comes."""
    return tmp_path_factory.mktemp("best-store")


@pytest.fixture(scope="module")
def best(folder: Path, store: Path) -> dict[str, Any]:
    """A search as `--json` gives it."""
    done = tree(folder, store, *BEST, "--max-trainings", MOST)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_search_begins_with_the_tree_and_keeps_within_its_trainings(best: dict[str, Any]) -> None:
    assert [leaf["name"] for leaf in best["leaves"]][: len(LEAVES)] == list(LEAVES)
    others = [leaf for leaf in best["leaves"] if leaf["settings"]]
    assert others
    nodes = [(tuple(one["node"]), json.dumps(one["settings"])) for one in best["trained"] if one["node"]]
    assert len(nodes) == len(set(nodes))
    assert sum(one["anew"] for one in best["trained"] if one["node"]) <= MOST
    assert best["ended"].startswith(f"the limit of {MOST} trainings: ")
    assert best["not_walked"] == []
    for leaf in others:
        if "sparsity" in leaf["settings"]:
            assert figure(leaf, "zeros") == pytest.approx(leaf["settings"]["sparsity"], abs=0.02)


def test_the_front_is_what_nothing_beats_and_the_winner_the_fastest(best: dict[str, Any]) -> None:
    points = {leaf["name"]: [figure(leaf, name) for name in FIGURES] for leaf in best["leaves"]}

    def beaten(one: str) -> bool:
        return any(
            other != points[one] and all(a <= b for a, b in zip(other, points[one], strict=True))
            for other in points.values()
        )

    assert best["front"] == [name for name in points if not beaten(name)]
    assert best["verdict"]["winner"] in best["front"]
    assert points[best["verdict"]["winner"]][1] == min(cycles for _, cycles, _ in points.values())


def test_the_commands_of_a_winner_under_other_settings_make_it_again(
    best: dict[str, Any], folder: Path, store: Path, tmp_path: Path
) -> None:
    (winner,) = (leaf for leaf in best["leaves"] if leaf["name"] == best["verdict"]["winner"])
    assert winner["settings"], "else this shows nothing"
    optimize, run = (shlex.split(best["verdict"][name]) for name in ("optimize", "run"))
    assert "--sparsity" in optimize or "--clusters" in optimize
    own = Store(shutil.copytree(store, tmp_path / "store"))
    before = {artifact.folder for artifact in own.artifacts()}
    words = [str(own.root) if word == str(store) else word for word in optimize[1:]]
    made = hil(*words, cwd=folder)
    assert made.returncode == 0, made.stderr
    assert {artifact.folder for artifact in own.artifacts()} == before, "it is the very file of the search"
    assert str(own.root) in words
    ran = hil(*run[1:], "--json", cwd=folder)
    assert ran.returncode == 0, ran.stderr
    cycles = next(m["value"] for m in json.loads(ran.stdout)["measurements"] if m["name"] == "npu_cycles")
    assert cycles == figure(winner, "npu_cycles")


def test_what_is_in_the_store_costs_no_training(best: dict[str, Any], folder: Path, store: Path) -> None:
    again = searched(folder, store, Effort(max_trainings=1))
    assert {leaf["name"] for leaf in best["leaves"]} <= {leaf.name for leaf in again.leaves}
    assert sum(node.anew for node in again.trained) <= 1


def test_the_search_finds_what_the_policy_first_finds(best: dict[str, Any], folder: Path, tmp_path: Path) -> None:
    least = min(figure(leaf, "flash") for leaf in best["leaves"] if not leaf["settings"])
    found = searched(folder, tmp_path / "empty", Effort(max_trainings=1), Budget(max_flash_bytes=least))
    assert [leaf.name for leaf in found.leaves] == list(LEAVES)
    assert found.verdict.winner == "prune"
    assert found.ended.startswith("the limit of 1 training: 1 was not in the store, ")


def test_from_leaves_that_drop_too_much_the_search_goes_back(tmp_path: Path) -> None:
    """With 5 % of the weights left, `prune` loses most of what the base knows."""
    folder, store = repository(tmp_path, ("recipe=Recipe(", "recipe=Recipe(sparsity=0.95, ")), tmp_path / "store"
    leaves = searched(folder, store, Effort(max_trainings=2)).leaves
    drops = {leaf.name: float(leaf.figure("accuracy_drop") or 0.0) for leaf in leaves if not leaf.settings}
    most = (drops["ptq"] + drops["prune"]) / 2
    assert drops["ptq"] < most
    found = searched(folder, store, Effort(max_trainings=4), Budget(max_accuracy_drop=most))
    met = {leaf.name for leaf in found.leaves if leaf.status.value == "met"}
    assert "ptq" in met
    assert "prune" not in met
    assert set(found.front) <= met
    first, *_ = [
        dict(leaf.settings) for leaf in found.leaves if leaf.settings
    ]  # later rounds begin at leaves that meet
    assert first.get("sparsity", 0) < 0.95
    assert first.get("clusters", 6) > 5


def searched(folder: Path, store: Path, effort: Effort, limits: Budget | None = None) -> Walk:
    bench = Evaluator(Pipeline(Store(store)), "sim", VelaSettings())
    model = load_model_file(folder / "models/blobs.py")
    return walk(model, bench, limits, policy="best", leaves=LEAVES, effort=effort)


def test_when_the_minutes_are_over_nothing_is_begun(folder: Path, store: Path, tmp_path: Path) -> None:
    done = tree(folder, tmp_path / "store", *BEST, "--max-minutes", "0.000001")
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout)["leaves"] == []
    assert "no leaf was measured" in json.loads(done.stdout)["verdict"]["reason"]
    assert json.loads(done.stdout)["ended"] == "the 1e-06 minutes are over"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--policy", "best"), "best needs a bound"),
        (("--policy", "all", "--max-trainings", "3"), "bound the policy best, this is all"),
        (("--policy", "best", "--max-minutes", "-1"), "max_minutes -1.0: a number above 0"),
        (("--jobs", "2", "--scheduler", "tcp://127.0.0.1:1"), "one or the other"),
    ],
)
def test_wrong_use_is_one_line(folder: Path, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    done = tree(folder, tmp_path / "store", *arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_settings_that_cannot_be_are_one_line(folder: Path, store: Path) -> None:
    words = ("--technique", "prune", "--sparsity", "1.5", "--store", store)
    done = hil("optimize", "blobs", *words, cwd=folder)
    assert done.returncode == 2
    assert "sparsity 1.5 is not between 0 and 1" in done.stderr
    with pytest.raises(BadInputError, match="best needs a bound"):
        searched(folder, store, Effort())


@pytest.mark.nightly
def test_in_pytest_the_mark_takes_policy_and_bound(best: dict[str, Any], folder: Path, store: Path) -> None:
    names = ", ".join(repr(leaf) for leaf in LEAVES)
    test = f"""
@pytest.mark.hil_techniques({names})
@pytest.mark.hil_tree(policy="best", max_trainings={MOST})
def test_best(hil_tree):
    assert hil_tree.policy == "best" and hil_tree.front
    assert {set(LEAVES)!r} < {{leaf.name for leaf in hil_tree.leaves}}
"""
    done = run_pytest(folder, store, test, "--target", "sim")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
