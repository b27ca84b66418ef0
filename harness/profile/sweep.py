"""Sweep: the modelled cost of a model on every accelerator, memory mode and system configuration.

    for row in sweep(int8, settings, "resnet8.tflite"):      # as they are done
        print(row.settings.title, row.outcome)
    front(rows)                                                           # places of the Pareto front

Every setting is compiled: Vela's schedule depends on clocks and memories as well.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hil.harness.pareto_front import pareto_front
from hil.harness.profile.modelled_cost import ModelledCost, Outcome, Setting, costs
from hil.harness.vela.settings import VelaSettings
from hil.npu.timing.error_table import error_sentence


@dataclass(frozen=True)
class SweepRow:
    """A setting and its outcome; `place` is its place among the settings of the sweep."""

    place: int
    settings: VelaSettings
    outcome: Outcome

    @property
    def cost(self) -> ModelledCost | None:
        """The cost; None if the setting cannot be compiled."""
        return self.outcome if isinstance(self.outcome, ModelledCost) else None

    @property
    def options(self) -> str:
        """Vela's options as one text."""
        return " ".join(self.settings.options)


def sweep(int8: bytes, settings: Sequence[VelaSettings], name: str, jobs: int = 0) -> Iterator[SweepRow]:
    """Yields a row for each setting as it is done."""
    for place, outcome in costs([Setting(int8, one) for one in settings], name, jobs):
        yield SweepRow(place, settings[place], outcome)


def front(rows: Sequence[SweepRow]) -> frozenset[int]:
    """Places of the rows that no other beats in latency, SRAM, and flash with DRAM.

    Operators on the CPU are part of the work, so only rows with as few of them as any are considered.
    """
    fewest = min((row.cost.cpu_operators for row in rows if row.cost), default=0)
    points = [_point(row, fewest) for row in rows]
    return frozenset(rows[number].place for number in pareto_front(points))


def _point(row: SweepRow, fewest: int) -> tuple[float, float, float]:
    if row.cost is None or row.cost.cpu_operators > fewest:
        return (math.inf, math.inf, math.inf)
    return (row.cost.ms, row.cost.sram_bytes, row.cost.flash_bytes + row.cost.dram_bytes)


def sweep_record(name: str, rows: Sequence[SweepRow]) -> dict[str, Any]:
    """JSON values of a sweep."""
    best = front(rows)
    return {"format": "hil-sweep-1", "name": name, "rows": [row_record(row, row.place in best) for row in rows]}


def row_record(row: SweepRow, on_front: bool) -> dict[str, Any]:
    """JSON values of a row; without a cost it has the reason."""
    settings = row.settings
    figures: dict[str, Any] = {"reason": row.outcome}
    if row.cost:
        held = error_sentence(settings.accelerator, settings.memory_mode, settings.system_config)
        figures = {"ms": row.cost.ms, **asdict(row.cost), "trust": "modelled", "held_against": held}
    return {
        "accelerator": settings.accelerator,
        "memory_mode": settings.memory_mode,
        "system_config": settings.system_config,
        "vela_options": list(settings.options),
        "front": on_front,
        **figures,
    }
