"""The kinds of models that users bring, from Keras to `sim`: right on every leaf, with what its steps promised.

Two leaves of half of the kinds stand for all in a change's run: converted, and pruned, clustered and
quantization-aware, as TFMOT does it of one kind and as the NPU wants it of another.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from hil.core.errors import ConvertError
from hil.harness.evaluation.evaluator import Evaluator
from hil.harness.metrics.accuracy import Accuracy
from hil.harness.model.recipe import LEAVES
from hil.harness.optimize.paths import ON_REQUEST
from hil.harness.pipeline import Pipeline
from hil.harness.store.store import Store
from hil.harness.vela.settings import VelaSettings
from tests.support.kinds import KINDS
from tests.support.night import some_by_day

WAYS = {"two": "pcqat", "detector": "npu_pcqat", "u_net": "npu_pcqat", "gru": "pcqat", "mobilenet_v3": "npu_pcqat"}
LARGEST_DROP = 0.15
"""Of fractions and of r2: these networks are tiny and trained for seconds; a broken leaf loses far more."""

REFUSED_BY_LITERT = {"binary": "REDUCE_MAX"}
"""Operator that LiteRT's quantizer leaves in float, by kind (docs/techniques.md)."""


@pytest.mark.parametrize("kind", some_by_day(WAYS, WAYS.keys() - {"gru"}))
def test_a_converted_and_a_trained_leaf_are_right(kind: str, tmp_path: Path) -> None:
    check(kind, ("ptq", WAYS[kind]), tmp_path)


@pytest.mark.nightly
@pytest.mark.parametrize("kind", KINDS)
def test_every_leaf_is_right(kind: str, tmp_path: Path) -> None:
    check(kind, LEAVES, tmp_path)


def check(kind: str, leaves: Sequence[str], tmp_path: Path) -> None:
    evaluator = Evaluator(Pipeline(Store(tmp_path)), "sim", VelaSettings(), samples=16)
    model = KINDS[kind]()
    base = evaluator.pipeline.base_score(model)
    assert base is not None
    assert base.value > base.constant + 0.3 * (1 - base.constant)
    for leaf in leaves:
        if leaf in ON_REQUEST and kind in REFUSED_BY_LITERT:
            with pytest.raises(ConvertError, match=REFUSED_BY_LITERT[kind]):
                evaluator.deploy(model, leaf)
            continue
        deployment = evaluator.deploy(model, leaf)
        assert evaluator.parity(deployment).mismatches == 0, leaf
        found = evaluator.accuracy(deployment)
        assert isinstance(found, Accuracy)
        assert found.drop < LARGEST_DROP, leaf
        if leaf == "pcqat":
            assert max(layer.zeros for layer in deployment.weights) > 0.45
        if leaf == "pcqat" and kind in ("gru", "lstm"):
            rows = [row for row in deployment.weights if row.layer == "recurrent"]
            assert {row.kernel for row in rows if row.zeros > 0.45} == {"kernel", "recurrent_kernel"}
            assert max(row.unique_per_channel for row in rows) <= model.recipe.clusters
