"""Tables of models as one HTML file with plots, which opens without a network and has no script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from typing import Any

from hil.core.measurement import Measurement, Trust
from hil.harness.drawing.canvas import style
from hil.harness.drawing.html import content_hash, environment
from hil.harness.drawing.palette import palette
from hil.harness.drawing.svg import inline
from hil.harness.model import Budget, Scale
from hil.harness.optimize.paths import path_of
from hil.harness.tables.columns import legend, tables_of
from hil.harness.tables.seed_run import FLASH_BOUND
from hil.harness.tables.summary import LeafRow, ModelTable
from hil.harness.tree.pictures.scatter import WEIGHTS, Cost, draw_scatter
from hil.harness.tree.result import Leaf, LeafStatus

CYCLES = Cost("cycles of an ethos-u55-128 with slow flash", ("cycles",), "thousand", 1e-3)
_PLOTTED = ("base_accuracy", "accuracy", "accuracy_drop_low", "accuracy_drop_high", "encoded_weights")


@dataclass(frozen=True)
class MeanLeaves:
    """Leaves with their means over seeds, as the scatter plot of a walk takes them."""

    leaves: tuple[Leaf, ...]
    scale: Scale
    target: str = "any NPU"
    limits: Budget = field(default_factory=Budget)
    front: tuple[str, ...] = ()
    winner: Leaf | None = None


def page(tables: Sequence[ModelTable], command: str) -> str:
    """Renders the page; the same tables give the same text."""
    from jinja2 import PackageLoader
    from markupsafe import Markup

    templates = environment(PackageLoader("hil.harness.tables", ""), trim_blocks=True)
    css = palette() + files("hil.harness.tables").joinpath("page.css").read_text(encoding="utf-8")
    with style():
        drawings = {table.model.name: [Markup(svg) for svg in _drawings(table)] for table in tables}
    parts = {table.model.name: tables_of(table) for table in tables}
    return templates.get_template("page.html.j2").render(
        css=Markup(css),
        policy=content_hash(css),
        tables=tables,
        parts=parts,
        drawings=drawings,
        legend=legend,
        command=command,
    )


def _drawings(table: ModelTable) -> list[str]:
    """Draws accuracy against encoded weights and against cycles; nothing without an accuracy."""
    if not table.has_accuracy:
        return []
    means = MeanLeaves(tuple(_leaf(table, row) for row in table.rows), table.scale)
    drawn: list[Any] = [draw_scatter(means, cost) for cost in (WEIGHTS, CYCLES)]
    return [inline(replace(one, name=f"{table.model.name}-{number}")) for number, one in enumerate(drawn)]


def _leaf(table: ModelTable, row: LeafRow) -> Leaf:
    figures = {name: row.figures[name].mean for name in _PLOTTED if name in row.figures}
    found = [Measurement(name, value, "", Trust.EXACT) for name, value in figures.items()]
    npu = next((npu for npu in row.cycles if npu.startswith("ethos-u55-128") and npu.endswith(FLASH_BOUND)), None)
    if npu is not None:
        found.append(Measurement("cycles", row.cycles[npu].mean, "cycles", Trust.MODELLED))
    return Leaf(row.leaf, path_of(row.leaf), LeafStatus.MET, measurements=tuple(found))
