"""Tables of models as JSON: means, deviations and the values of every seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from hil.harness.tables.summary import LeafRow, ModelTable, Statistic


def record(tables: Sequence[ModelTable], command: str) -> dict[str, Any]:
    """Returns the tables as JSON values; `command` makes them again."""
    return {"command": command, "models": [_model(table) for table in tables]}


def _model(table: ModelTable) -> dict[str, Any]:
    return {
        "name": table.model.name,
        "caption": table.caption,
        "command": table.command,
        "seeds": list(table.seeds),
        "metric": {"name": table.metric, **asdict(table.scale)},
        "has_accuracy": table.has_accuracy,
        "base": table.base,
        "made_on": list(table.machines),
        "trained_s": table.trained_s,
        "leaves": [_leaf(row) for row in table.rows],
        "published": [asdict(row) for row in table.published],
    }


def _leaf(row: LeafRow) -> dict[str, Any]:
    return {
        "leaf": row.leaf,
        "seeds": list(row.seeds),
        "steps": row.steps,
        "figures": _statistics(row.figures),
        "cycles": _statistics(row.cycles),
        "remarks": list(row.remarks),
        "stale": row.stale,
    }


def _statistics(found: Mapping[str, Statistic]) -> dict[str, Any]:
    return {
        name: {"mean": one.mean, "deviation": one.deviation, "values": list(one.values)} for name, one in found.items()
    }
