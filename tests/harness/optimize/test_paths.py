"""The deployment tree: its leaves and the nodes that they share."""

from __future__ import annotations

import json

import pytest

from hil.core.errors import BadInputError
from hil.harness.model import Recipe
from hil.harness.model.recipe import LEAVES, STEPS
from hil.harness.optimize import paths


def test_all_eight_leaves_those_that_know_the_npu_and_those_outside_the_tree() -> None:
    assert list(paths.PATHS) == [
        "ptq", "qat", "prune", "pqat", "cluster", "cqat", "sparse_cluster", "pcqat",
        "npu_ptq", "npu_prune", "npu_cluster", "npu_sparse_cluster", "npu_pcqat",
        "int16x8", "litert_ptq", "litert_int16x8",
    ]  # fmt: skip


def test_leaves_share_the_base_and_trainings() -> None:
    nodes = {paths.training_node(path) for path in paths.PATHS.values()}
    assert len([node for node in nodes if not any("npu" in step or step == "fold" for step in node)]) == 8
    assert len(nodes) == 8 + 5
    inside = {node[:length] for node in nodes for length in range(len(node))}
    assert inside - nodes == {("npu_prune",)}  # what it gives is folded before it is converted


def test_leaves_that_only_convert_train_nothing() -> None:
    assert {paths.training_node(paths.path_of(leaf)) for leaf in ("ptq", *paths.OUTSIDE_TREE)} == {()}
    assert paths.training_node(paths.path_of("npu_ptq")) == ("fold",)


@pytest.mark.parametrize(
    ("leaf", "conversion"),
    [
        ("prune", "ptq"),
        ("qat", "qat"),
        ("pcqat", "qat"),
        ("int16x8", "int16x8"),
        ("litert_ptq", "litert_ptq"),
        ("npu_prune", "npu_ptq"),
        ("npu_pcqat", "qat"),
    ],
)
def test_how_a_leaf_is_converted(leaf: str, conversion: str) -> None:
    assert paths.conversion(paths.path_of(leaf)) == conversion


def test_an_unknown_leaf_is_one_clear_line() -> None:
    with pytest.raises(BadInputError, match=r"unknown technique pruned.*pcqat"):
        paths.path_of("pruned")


def test_a_setting_of_a_technique_that_the_recipe_does_not_know_makes_it_anew() -> None:
    assert tuple(paths.PATHS) == LEAVES
    assert {step for path in paths.PATHS.values() for step in path} | {"base"} == STEPS
    few, many = Recipe(sparsity=0.4), Recipe(sparsity=0.8)
    assert few.settings_of("half_prune") != many.settings_of("half_prune")
    assert json.dumps(few.settings_of("half_prune"))
    assert few.settings_of("qat") == many.settings_of("qat")
