"""Leaves compared, with the table and the pictures of `hil tree`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hil.core.measurement import Measurement, Trust
from hil.harness.drawing.canvas import style
from hil.harness.drawing.svg import inline
from hil.harness.model import Budget, Scale
from hil.harness.model.metric import FRACTION
from hil.harness.pareto_front import pareto_front
from hil.harness.report import content as report
from hil.harness.tree.legend import legend
from hil.harness.tree.pictures.leaf_rows import LEAF_HEADINGS, leaf_rows
from hil.harness.tree.pictures.scatter import LATENCY, WEIGHTS, draw_scatter
from hil.harness.tree.result import Leaf, LeafStatus, speed_figure

MOST_PICTURES = 12
"""Groups that have pictures; each takes half a second to draw."""
_MISMATCHES = ("mismatches", "sim_mismatches")


@dataclass(frozen=True)
class LeafGroup:
    """Leaves of one model at one place; a `hil.harness.tree.result.ComparedLeaves`."""

    title: str
    target: str
    leaves: tuple[Leaf, ...]
    scale: Scale
    front: tuple[str, ...]
    limits: Budget
    winner: Leaf | None = None


@dataclass(frozen=True)
class LeafTable:
    """A group as the page shows it: columns that have any value, rows, legend; `missed` counts leaves."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[dict[str, Any], ...]
    legend: tuple[str, ...]
    missed: int


def leaf_groups(content: report.Content) -> list[LeafGroup]:
    """Returns the groups, those with a failing leaf first."""
    trusts = _Trusts(content)
    ordered = sorted(content.leaves, key=lambda group: not any(leaf.fails for leaf in group.leaves))
    return [_group(group, trusts) for group in ordered]


def leaf_table(group: LeafGroup) -> LeafTable:
    """Returns a group's table without the columns that have no value."""
    rows = leaf_rows(group)
    used = [n for n in range(len(LEAF_HEADINGS)) if any(row["cells"][n] for row in rows)]
    headings = tuple(LEAF_HEADINGS[n] for n in used)
    return LeafTable(
        group.title,
        headings,
        tuple(
            {**row, "cells": [row["cells"][n] for n in used], "why": leaf.reason}
            for row, leaf in zip(rows, group.leaves, strict=True)
        ),
        tuple(legend(group, headings)),
        sum(leaf.status is not LeafStatus.MET for leaf in group.leaves),
    )


def leaf_pictures(groups: Sequence[LeafGroup]) -> list[list[str]]:
    """Draws the first groups, each as SVG elements."""
    with style():
        return [
            [
                inline(replace(drawing, name=f"leaves-{number}-{drawing.name}"))
                for drawing in (draw_scatter(group, cost) for cost in (LATENCY, WEIGHTS))
            ]
            for number, group in enumerate(groups[:MOST_PICTURES])
        ]


class _Trusts:
    """Trust of a figure as the trends have it."""

    def __init__(self, content: report.Content) -> None:
        series = [trend.series for trend in content.trends] + [one.series for one in content.findings]
        self._found: Mapping[tuple[str, str], str] = {(one.target, one.figure): one.trust for one in series}
        self._lower: Mapping[tuple[str, str], bool] = {(one.model, one.figure): one.lower_is_better for one in series}

    def of(self, target: str, figure: str, unit: str) -> Trust:
        """Returns the trust of a figure on a target; of a time that no trend has, that of the latency there."""
        is_time = unit in ("ms", "cycles")
        usual = self._found.get((target, "latency"), Trust.UNTRUSTED) if is_time else Trust.EXACT
        return Trust(self._found.get((target, figure), usual))

    def lower_is_better(self, model: str, figure: str) -> bool:
        return self._lower.get((model, figure), False)


def _group(group: report.Leaves, trusts: _Trusts) -> LeafGroup:
    leaves = tuple(_leaf(leaf, group.target, trusts) for leaf in group.leaves)
    units = (found.unit for leaf in leaves for found in leaf.measurements if found.name == "accuracy")
    scale = Scale(next(units, FRACTION), trusts.lower_is_better(group.model, "accuracy"))
    place = ", ".join(filter(None, (group.target, group.accelerator, group.memory_mode, group.board)))
    return LeafGroup(f"{group.model} on {place}", group.target, leaves, scale, _front(leaves), Budget())


def _leaf(leaf: report.Leaf, target: str, trusts: _Trusts) -> Leaf:
    figures = tuple(Measurement(name, value, unit, trusts.of(target, name, unit)) for name, value, unit in leaf.figures)
    differs = any(found.name in _MISMATCHES and found.value for found in figures)
    status = LeafStatus.MISMATCH if differs else LeafStatus.MISSED if leaf.fails else LeafStatus.MET
    reason = "; ".join(leaf.fails) or ("outputs differ from the reference" if differs else "")
    return Leaf(leaf.path, (leaf.path,), status, measurements=figures, reason=reason)


def _front(leaves: Sequence[Leaf]) -> tuple[str, ...]:
    """Returns the names of the leaves that no other beats in drop, speed and encoded weights, where all have these."""
    names = ("accuracy_drop", speed_figure(leaves), "encoded_weights")
    known = [leaf for leaf in leaves if all(leaf.figure(name) is not None for name in names)]
    points = [[leaf.figure(name) or 0.0 for name in names] for leaf in known]
    return tuple(known[place].name for place in pareto_front(points)) if len(known) > 1 else ()
