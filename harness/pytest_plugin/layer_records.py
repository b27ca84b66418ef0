"""Layers of a deployment for the results database, where a test asked for its profile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hil.harness.results.records import LayerRecord

if TYPE_CHECKING:
    from hil.harness.evaluation.evaluator import Deployment, Evaluator


def requested_layers(bench: Evaluator, deployment: Deployment) -> tuple[LayerRecord, ...]:
    """Returns the layers that the NPU runs, in order; empty where no test asked for the profile."""
    profile = bench.results(deployment).profile
    if profile is None:
        return ()
    return tuple(
        LayerRecord(layer.title, layer.name, layer.cycles, layer.bound.value if layer.bound else "")
        for layer in profile.layers
        if layer.cycles
    )
