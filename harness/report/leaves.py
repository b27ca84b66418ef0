"""Leaves of a run, compared: the figures of every technique of a model at one place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hil.harness.comparison.comparison import SESSION
from hil.harness.optimize.paths import PATHS
from hil.harness.report.content import Finding, Leaf, Leaves
from hil.harness.results.nights import PLACE
from hil.harness.results.records import DeploymentFigures


def leaves_of(run: Sequence[DeploymentFigures], findings: Sequence[Finding]) -> tuple[Leaves, ...]:
    """Returns the leaves by model and place, techniques in the order of the tree; `findings` are those of the run."""
    fails: dict[tuple[str, ...], list[str]] = {}
    for finding in findings:
        if finding.fails:
            of = finding.series
            key = (of.model, of.target, of.accelerator, of.memory_mode, of.board, of.path)
            fails.setdefault(key, []).append(of.figure)
    places: dict[tuple[str, ...], list[DeploymentFigures]] = {}
    for one in run:
        place = (one.record.identity.get(name, "") for name in PLACE)
        places.setdefault((one.record.model, one.record.target, *place), []).append(one)
    return tuple(_leaves(key, places[key], fails) for key in sorted(places))


def _leaves(
    key: tuple[str, ...], deployments: Sequence[DeploymentFigures], fails: Mapping[tuple[str, ...], Sequence[str]]
) -> Leaves:
    model, target, accelerator, memory_mode, board = key
    ordered = sorted(deployments, key=lambda one: (_rank(one.record.path), one.record.path))
    leaves = (
        Leaf(
            one.record.path,
            tuple(
                (name, figure.value, figure.unit)
                for name, figure in one.figures.items()
                if _is_shown(name, figure.value)
            ),
            tuple(fails.get((*key, one.record.path), ())),
        )
        for one in ordered
    )
    return Leaves(model, target, accelerator, tuple(leaves), memory_mode, board)


def _is_shown(name: str, value: float) -> bool:
    return SESSION not in name and value == value  # NaN: no figure


def _rank(path: str) -> int:
    return [*PATHS, path].index(path)
