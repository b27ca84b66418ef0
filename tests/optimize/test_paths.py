"""The deployment tree: which leaves there are and which nodes they share."""

from __future__ import annotations

import pytest

from hil.harness.optimize import paths
from hil.npu.errors import BadInputError


def test_all_eight_leaves_and_one_outside_the_tree() -> None:
    assert list(paths.PATHS) == [
        "ptq", "qat", "prune", "pqat", "cluster", "cqat", "sparse_cluster", "pcqat", "int16x8",
    ]  # fmt: skip


def test_leaves_share_the_base_and_seven_trainings() -> None:
    nodes = {paths.training_node(path) for path in paths.PATHS.values()}
    assert len(nodes) == 8
    assert all(node[:-1] in nodes for node in nodes if node)


def test_leaves_that_only_convert_train_nothing() -> None:
    assert {paths.training_node(paths.path_of(leaf)) for leaf in ("ptq", "int16x8")} == {()}


@pytest.mark.parametrize(
    ("leaf", "conversion"), [("prune", "ptq"), ("qat", "qat"), ("pcqat", "qat"), ("int16x8", "int16x8")]
)
def test_how_a_leaf_is_converted(leaf: str, conversion: str) -> None:
    assert paths.conversion(paths.path_of(leaf)) == conversion


def test_an_unknown_leaf_is_one_clear_line() -> None:
    with pytest.raises(BadInputError, match=r"unknown technique pruned.*pcqat"):
        paths.path_of("pruned")
