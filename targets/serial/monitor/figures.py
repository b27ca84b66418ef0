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
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hil.core.measurement import Measurement, Missing, MissingFigure, Trust
from hil.npu.pmu_events import PmuEvent, event_title
from hil.npu.timing.timing import MODELLED
from hil.targets.counters import BY_EVENT, TOTAL, counter_of
from hil.targets.serial.monitor.board_npu import Counts

EVENTS = (
    PmuEvent.NPU_ACTIVE,
    PmuEvent.AXI0_RD_DATA_BEAT_RECEIVED,
    PmuEvent.AXI0_WR_DATA_BEAT_WRITTEN,
    PmuEvent.AXI1_RD_DATA_BEAT_RECEIVED,
)
"""PMU events counted beside the cycles in every repetition: an Ethos-U has four event counters."""

COUNTERS = len(EVENTS)
"""Event counters of an Ethos-U."""

_USUAL_PASSES = 2

_NOTES = {
    Missing.NOT_MODELLED: "not known to the timing model",
    Missing.OVERFLOWED: "its counter of 32 bits wrapped, or may have",
}

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
class EventPass:
    """Inferences in which the PMU's counters were set to `events`, four at most: the counts of each of them."""

    events: tuple[int, ...]
    counts: Sequence[Counts]


@dataclass(frozen=True)
class Series:
    """Counts of `EVENTS` by repetition, counts of `MORE_EVENTS` once, and the number of warm-ups before them.

    `passes` are those of events that were asked for beside them.
    """

    repetitions: Sequence[Counts]
    more: Counts
    warmups: int
    passes: Sequence[EventPass] = ()

    @property
    def event_passes(self) -> tuple[EventPass, ...]:
        """All events with their counts."""
        return EventPass(EVENTS, self.repetitions), EventPass(MORE_EVENTS, [self.more]), *self.passes


def passes_of(events: Iterable[int]) -> tuple[tuple[int, ...], ...]:
    """The events of each inference that counts `events` beside the usual ones, by fours."""
    asked = [event for event in events if event not in BY_EVENT]
    return tuple(tuple(asked[first : first + COUNTERS]) for first in range(0, len(asked), COUNTERS))


def figures(series: Series, clocks: Clocks, *, virtual: bool) -> tuple[Measurement, ...]:
    """Figures of one inference, NPU operators alone."""
    counted, timed = (Trust.MODELLED, Trust.UNTRUSTED) if virtual else (Trust.MEASURED, Trust.MEASURED)
    cycles = [counts.cycles for counts in series.repetitions]
    wall = [counts.ticks / clocks.timer_hz * 1e3 for counts in series.repetitions]
    clock = f"NPU operators alone, at {clocks.npu_hz / 1e6:g} MHz"
    ran = f"{clock}, median of {len(cycles)} runs after {series.warmups} warm-ups"
    made = [*_statistics(TOTAL.name, cycles, TOTAL.unit, counted, ran)]
    for number, one in enumerate(series.event_passes):
        for place, event in enumerate(one.events):
            counter, values = counter_of(event), [counts.events[place] for counts in one.counts]
            if _reason(event, place, one, virtual=virtual):
                continue
            median = statistics.median_low(values)
            if number < _USUAL_PASSES:
                made.append(Measurement(counter.name, median, counter.unit, counted, clock))
                continue
            note = f"PMU event {event:#x}, pass {number - _USUAL_PASSES + 1} of {len(series.passes)}"
            made.append(Measurement(counter.name, median, counter.unit, counted, note, tuple(values)))
    milliseconds = [count / clocks.npu_hz * 1e3 for count in cycles]
    made.append(Measurement("npu_ms", statistics.median_low(milliseconds), "ms", counted, clock, tuple(milliseconds)))
    made.append(Measurement("npu_clock", clocks.npu_hz, "Hz", counted, clocks.source))
    return (*made, *_statistics("wall_ms", wall, "ms", timed, f"by the board's timer, {ran}"))


def missing_figures(series: Series, *, virtual: bool) -> tuple[MissingFigure, ...]:
    """Events that were counted and have no figure: a counter wrapped, or a virtual board's NPU does not model them."""
    found = []
    for one in series.event_passes:
        for place, event in enumerate(one.events):
            if reason := _reason(event, place, one, virtual=virtual):
                note = f"{event_title(event)}: {_NOTES[reason]}"
                found.append(MissingFigure(counter_of(event).name, reason, note))
    return tuple(found)


def _reason(event: int, place: int, one: EventPass, *, virtual: bool) -> Missing | None:
    """The reason why the event at `place` of a pass has no figure, None if it has one."""
    if virtual and event not in MODELLED:
        return Missing.NOT_MODELLED
    return Missing.OVERFLOWED if any(place in counts.wrapped for counts in one.counts) else None


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
