"""The deployment tree: which leaves there are and which nodes they share."""

from __future__ import annotations

import pytest

from hil.harness.optimize import paths
from hil.npu.errors import BadInputError


def test_all_eight_leaves_and_one_outside_the_tree() -> None:
    assert list(paths.PATHS) == [
        "ptq", "qat", "prune", "pqat", "cluster", "cqat", "sparse_cluster", "pcqat", "int16x8",
    ]  # fmt: skip


def test_shared_nodes_are_listed_once_parents_first() -> None:
    nodes = paths.training_nodes(paths.PATHS)
    assert len(nodes) == len(set(nodes)) == 8  # the base and seven trainings
    assert all(node[:-1] in nodes[:place] for place, node in enumerate(nodes) if node)


def test_leaves_that_only_convert_train_nothing() -> None:
    assert paths.training_nodes(["ptq", "int16x8"]) == [()]


@pytest.mark.parametrize(
    ("leaf", "conversion"), [("prune", "ptq"), ("qat", "qat"), ("pcqat", "qat"), ("int16x8", "int16x8")]
)
def test_how_a_leaf_is_converted(leaf: str, conversion: str) -> None:
    assert paths.conversion(paths.path_of(leaf)) == conversion


def test_an_unknown_leaf_is_one_clear_line() -> None:
    with pytest.raises(BadInputError, match=r"unknown technique pruned.*pcqat"):
        paths.path_of("pruned")
