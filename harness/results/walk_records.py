"""Records of a walk for the results database: a deployment for each leaf that was measured."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from hil.harness.results.records import DeploymentRecord, FigureRecord

if TYPE_CHECKING:
    from hil.harness.tree.result import Walk


def walk_records(walk: Walk) -> Iterator[tuple[DeploymentRecord, list[FigureRecord]]]:
    """Iterates over the leaves of a walk with their figures."""
    for leaf in walk.leaves:
        if leaf.measurements:
            name, target = f"{walk.model}-{leaf.name}", str(walk.identity["target"])
            figures = [FigureRecord.of(one) for one in leaf.measurements]
            yield DeploymentRecord(name, walk.model, leaf.name, target, dict(leaf.identity)), figures
