"""A step leaves nothing in its process: neither its network nor its samples nor the graphs that it was traced in."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import pytest

from hil.harness.model import FineTune
from hil.harness.optimize import steps
from hil.harness.optimize.keras.keras2 import import_keras

from .conftest import RECIPE, small_network

BRIEF = FineTune(epochs=1, learning_rate=1e-3, samples=64)


def _graphs() -> int:
    """Graphs that functions were traced in; Keras keeps one for all networks."""
    return sum(type(thing).__name__ == "FuncGraph" for thing in gc.get_objects())


@pytest.mark.nightly
@pytest.mark.parametrize("technique", ["qat", "prune", "cluster", "npu_cluster"])
def test_what_a_step_made_ends_with_it(data: steps.Samples, technique: str) -> None:
    recipe = replace(RECIPE, prune=BRIEF, cluster=BRIEF, qat=BRIEF)

    def made() -> list[weakref.ref[object]]:
        samples, network = data.take(range(64)), small_network()
        result = steps.apply(technique, network, samples, recipe)
        return [weakref.ref(thing) for thing in (samples, network, result, *network.layers, *result.layers)]

    made()  # what is imported and registered once
    import_keras().backend.clear_session()
    gc.collect()
    before = _graphs()
    things = made()
    gc.collect()
    import_keras().backend.clear_session()
    gc.collect()
    assert [thing for thing in things if thing() is not None] == []
    assert _graphs() <= before
