"""Tables of layers: modelled cycles of the run beside the baseline's, those that changed marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hil.harness.report.content import LayerChange, LayerChanges

MOST_TABLES, MOST_LAYERS = 30, 150


@dataclass(frozen=True)
class LayerTable:
    """Rows of (layer, before, now, change, bound by, is slower); `is_compared`: the baseline has the deployment."""

    title: str
    rows: tuple[tuple[str, str, str, str, str, bool], ...]
    hidden: int
    is_compared: bool
    changed: int


def layer_tables(profiles: Sequence[LayerChanges]) -> list[LayerTable]:
    """Returns the tables, those of deployments with a layer that changed first."""
    tables = [_table(one) for one in profiles]
    return sorted(tables, key=lambda table: not table.changed)


def _table(of: LayerChanges) -> LayerTable:
    compared = any(one.before is not None for one in of.layers)
    total = LayerChange("total", _sum([one.before for one in of.layers]), _sum([one.after for one in of.layers]), "")
    shown = list(of.layers)
    if len(shown) > MOST_LAYERS:
        shown.sort(key=lambda one: one.before == one.after)
    rows = [*map(_row, shown[:MOST_LAYERS]), _row(total)]
    changed = sum(one.before != one.after for one in of.layers) if compared else 0
    return LayerTable(
        f"{of.deployment} on {of.target}", tuple(rows), max(0, len(of.layers) - MOST_LAYERS), compared, changed
    )


def _row(one: LayerChange) -> tuple[str, str, str, str, str, bool]:
    change = (one.after or 0) - (one.before or 0)
    return one.layer, _cycles(one.before), _cycles(one.after), f"{change:+,}" if change else "", one.bound, change > 0


def _cycles(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _sum(values: Sequence[int | None]) -> int | None:
    found = [value for value in values if value is not None]
    return sum(found) if found else None
