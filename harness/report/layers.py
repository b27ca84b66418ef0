"""Layers of a run beside those of its baseline, where a test asked for the profile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hil.harness.comparison.pairing import Pair, pair_deployments
from hil.harness.report.content import LayerChange, LayerChanges
from hil.harness.results.records import DeploymentFigures, LayerRecord


def profiles_of(before: Sequence[DeploymentFigures], run: Sequence[DeploymentFigures]) -> tuple[LayerChanges, ...]:
    """Returns the layers of the deployments of a run that have any, beside those of the run before."""
    pairs = pair_deployments(before, run)
    return tuple(
        LayerChanges(pair.name, pair.record.target, tuple(_changes(pair)))
        for pair in pairs
        if pair.after is not None and pair.after.layers
    )


def _changes(pair: Pair) -> Iterator[LayerChange]:
    assert pair.after is not None
    old = list(pair.before.layers) if pair.before else []
    for layer in pair.after.layers:
        other = next((one for one in old if (one.title, one.name) == (layer.title, layer.name)), None)
        if other is not None:
            old.remove(other)
        yield LayerChange(_shown(layer), None if other is None else other.cycles, layer.cycles, layer.bound)
    for layer in old:
        yield LayerChange(_shown(layer), layer.cycles, None, layer.bound)


def _shown(layer: LayerRecord) -> str:
    output, _, _ = layer.name.partition(";")  # TFLite joins the names of what it fused
    return f"{layer.title} {output}".rstrip()
