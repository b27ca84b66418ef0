"""The NPU's counters: name and unit of the measurement, PMU event, label in the output of Arm's inference runner.

>>> BY_LABEL["NPU TOTAL"].name
'npu_cycles'
>>> counter_of(PmuEvent.AXI0_RD_TRANS_ACCEPTED)
Counter(name='axi0_rd_trans_accepted', unit='transactions', event=<PmuEvent.AXI0_RD_TRANS_ACCEPTED: 128>, label='')
>>> requested(["MAC_ACTIVE", "0x30"])
(<PmuEvent.MAC_ACTIVE: 48>,)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hil.core.measurement import Missing, MissingFigure
from hil.npu.pmu_events import PmuEvent, event_name, event_title, find_event
from hil.npu.timing.timing import MODELLED


@dataclass(frozen=True)
class Counter:
    """A counter of one inference; `label` is empty if the runner does not print it."""

    name: str
    unit: str
    event: int
    label: str = ""


TOTAL = Counter("npu_cycles", "cycles", PmuEvent.CYCLE, "NPU TOTAL")

COUNTERS = (
    TOTAL,
    Counter("npu_active_cycles", "cycles", PmuEvent.NPU_ACTIVE, "NPU ACTIVE"),
    Counter("npu_idle_cycles", "cycles", PmuEvent.NPU_IDLE, "NPU IDLE"),
    Counter("axi0_read_beats", "beats", PmuEvent.AXI0_RD_DATA_BEAT_RECEIVED, "NPU AXI0_RD_DATA_BEAT_RECEIVED"),
    Counter("axi0_write_beats", "beats", PmuEvent.AXI0_WR_DATA_BEAT_WRITTEN, "NPU AXI0_WR_DATA_BEAT_WRITTEN"),
    Counter("axi1_read_beats", "beats", PmuEvent.AXI1_RD_DATA_BEAT_RECEIVED, "NPU AXI1_RD_DATA_BEAT_RECEIVED"),
    Counter("axi1_write_beats", "beats", PmuEvent.AXI1_WR_DATA_BEAT_WRITTEN),
)

BY_EVENT = {counter.event: counter for counter in COUNTERS}
BY_LABEL = {counter.label: counter for counter in COUNTERS if counter.label}


def counter_of(event: int) -> Counter:
    """The counter of an event: one of `COUNTERS`, or one named by the event."""
    if event in BY_EVENT:
        return BY_EVENT[event]
    name = event_name(event)
    units = {"BEAT": "beats", "TRANS_": "transactions", "ECC": "errors", "AXI_LATENCY": "transactions"}
    known = event in PmuEvent._value2member_map_ and event != PmuEvent.NO_EVENT
    unit = next((unit for part, unit in units.items() if part in name), "cycles" if known else "events")
    return Counter(name.lower() if known or event == PmuEvent.NO_EVENT else f"pmu_event_{name}", unit, event)


def requested(names: Iterable[str]) -> tuple[int, ...]:
    """The events that a user named, by name or number, each once; raises `BadInputError` for a name that none has."""
    return tuple(dict.fromkeys(find_event(name) for name in names))


def missing_figures(events: Iterable[int], note: str, reason: Missing) -> tuple[MissingFigure, ...]:
    """A figure without a value for each event, for one reason."""
    return tuple(MissingFigure(counter_of(event).name, reason, f"{event_title(event)}: {note}") for event in events)


def not_modelled(events: Iterable[int]) -> tuple[MissingFigure, ...]:
    """Those of `events` that the timing model does not know."""
    unknown = [event for event in events if event not in MODELLED]
    return missing_figures(unknown, "not known to the timing model", Missing.NOT_MODELLED)
