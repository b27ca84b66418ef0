"""Zeros by sensitivity: shares that add up, less where it hurts, found again in the store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hil.harness.model import load_model_file
from hil.harness.optimize.sensitivity import LEVELS, allocate_sparsity, encoded_bytes, greedy_shares
from hil.harness.pipeline import Pipeline, surviving
from hil.harness.pipeline.builders import SPREAD
from hil.harness.store.store import Store
from tests.support.blobs import model_file, write


def test_the_layer_that_bears_it_worse_keeps_more() -> None:
    flat = dict.fromkeys(LEVELS, 1.0)
    steep = {level: 1.0 + level for level in LEVELS}
    sizes = {"easy": 1000, "hard": 1000}
    found = greedy_shares({"easy": flat, "hard": steep}, sizes, 0.6, 16)
    assert found["easy"] == LEVELS[-1]
    assert found["hard"] < 0.3
    assert sum(found[name] * sizes[name] for name in sizes) == pytest.approx(0.6 * 2000)
    assert greedy_shares({"easy": flat, "hard": flat}, sizes, 0.999, 16) == {"easy": 0.95, "hard": 0.95}  # no further


def test_zeros_and_few_values_take_fewer_bytes() -> None:
    assert encoded_bytes(800, 0.0, 256) == 800
    assert encoded_bytes(800, 0.0, 16) == 400
    assert encoded_bytes(800, 0.5, 16) == 300
    assert encoded_bytes(800, 0.9, 16) < 90


def test_shares_of_a_model_add_up_and_the_model_is_as_it_was(tree: Any) -> None:
    model, before = tree.model(()), tree.model(()).get_weights()
    found = allocate_sparsity(model, tree.data, tree.recipe, {"conv", "pw"})
    sizes = {name: model.get_layer(name).kernel.shape.num_elements() for name in found.sparsities}
    assert list(found.sparsities) == ["conv", "pw"]
    wanted = tree.recipe.sparsity * sum(sizes.values())
    assert sum(found.sparsities[name] * size for name, size in sizes.items()) == pytest.approx(wanted, abs=0.01)
    assert found == allocate_sparsity(model, tree.data, tree.recipe, {"conv", "pw"})
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_it_is_an_artifact_that_the_leaves_promises_stand_on(tmp_path: Path) -> None:
    text = model_file().replace("recipe=Recipe(", 'recipe=Recipe(sparsity_by="sensitivity", sparsity=0.6, ')
    text = text.replace('techniques=("ptq", "pqat")', "techniques=None")
    model = load_model_file(write(tmp_path, {"models/blobs.py": text}) / "models/blobs.py")
    pipeline = Pipeline(Store(tmp_path / "store"))
    artifact = pipeline.int8(model, "prune")
    shares = json.loads(pipeline.sensitivity(model, ("prune",)).read(SPREAD))["sparsities"]
    rows = {row.layer: row for row in surviving(artifact)}
    assert len(set(shares.values())) > 1
    for name, share in shares.items():
        assert rows[name].zeros >= share - 1 / rows[name].size
