"""Figures from a board's counters: medians, percentiles and spread over repetitions, each with its trust.

    figures(Series(repetitions, more, warmups=5), Clocks(32e6, 32e6, "the board"), virtual=False)

Cycles are PMCCNTR's, of the NPU's clock; wall time is the board's own timer round each job, from the write that starts
the NPU to the CPU's seeing its end.  Percentiles are by nearest rank: a value that was measured, none in between.
Spread is largest minus smallest.  A virtual board's cycles come from the timing model behind its PMU, its timer runs
with the host's clock.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from hil.core.measurement import Measurement, Trust
from hil.npu.pmu_events import PmuEvent
from hil.targets.counters import BY_EVENT, TOTAL
from hil.targets.serial.monitor.board_npu import Counts

EVENTS = (
    PmuEvent.NPU_ACTIVE,
    PmuEvent.AXI0_RD_DATA_BEAT_RECEIVED,
    PmuEvent.AXI0_WR_DATA_BEAT_WRITTEN,
    PmuEvent.AXI1_RD_DATA_BEAT_RECEIVED,
)
"""PMU events counted beside the cycles in every repetition: an Ethos-U has four event counters."""

MORE_EVENTS = (PmuEvent.NPU_IDLE, PmuEvent.AXI1_WR_DATA_BEAT_WRITTEN)
"""PMU events counted in one more repetition."""


@dataclass(frozen=True)
class Clocks:
    """Frequencies in Hz of the NPU's clock, whose cycles are counted, and of the board's timer.

    `source` names the origin of the first.
    """

    npu_hz: float
    timer_hz: float
    source: str


@dataclass(frozen=True)
class Series:
    """Counts of `EVENTS` by repetition, counts of `MORE_EVENTS` once, and the number of warm-ups before them."""

    repetitions: Sequence[Counts]
    more: Counts
    warmups: int


def figures(series: Series, clocks: Clocks, *, virtual: bool) -> tuple[Measurement, ...]:
    """Figures of one inference, NPU operators alone."""
    counted, timed = (Trust.MODELLED, Trust.UNTRUSTED) if virtual else (Trust.MEASURED, Trust.MEASURED)
    cycles = [counts.cycles for counts in series.repetitions]
    wall = [counts.ticks / clocks.timer_hz * 1e3 for counts in series.repetitions]
    clock = f"NPU operators alone, at {clocks.npu_hz / 1e6:g} MHz"
    ran = f"{clock}, median of {len(cycles)} runs after {series.warmups} warm-ups"
    made = [*_statistics(TOTAL.name, cycles, TOTAL.unit, counted, ran)]
    columns = [*zip(*(counts.events for counts in series.repetitions), strict=True)]
    for event, values in [*zip(EVENTS, columns, strict=True), *((e, (v,)) for e, v in _more(series))]:
        counter = BY_EVENT[event]
        made.append(Measurement(counter.name, statistics.median_low(values), counter.unit, counted, clock))
    milliseconds = [count / clocks.npu_hz * 1e3 for count in cycles]
    made.append(Measurement("npu_ms", statistics.median_low(milliseconds), "ms", counted, clock, tuple(milliseconds)))
    made.append(Measurement("npu_clock", clocks.npu_hz, "Hz", counted, clocks.source))
    return (*made, *_statistics("wall_ms", wall, "ms", timed, f"by the board's timer, {ran}"))


def _more(series: Series) -> zip[tuple[int, int]]:
    return zip(MORE_EVENTS, series.more.events, strict=True)


def _statistics(name: str, values: Sequence[float], unit: str, trust: Trust, note: str) -> list[Measurement]:
    ordered = sorted(values)
    return [
        Measurement(name, statistics.median_low(ordered), unit, trust, note, tuple(values)),
        *(Measurement(f"{name}_p{share}", _rank(ordered, share), unit, trust, "nearest rank") for share in (95, 99)),
        Measurement(f"{name}_spread", ordered[-1] - ordered[0], unit, trust, "largest minus smallest"),
    ]


def _rank(ordered: Sequence[float], percent: int) -> float:
    """The percentile by nearest rank."""
    return ordered[math.ceil(len(ordered) * percent / 100) - 1]
