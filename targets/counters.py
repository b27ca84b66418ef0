"""The NPU's counters: name and unit of the measurement, PMU event, label in the output of Arm's inference runner.

>>> BY_LABEL["NPU TOTAL"].name
'npu_cycles'
"""

from __future__ import annotations

from dataclasses import dataclass

from hil.npu.timing import cycles


@dataclass(frozen=True)
class Counter:
    """A counter of one inference; `label` is empty if the runner does not print it."""

    name: str
    unit: str
    event: int
    label: str = ""


TOTAL = Counter("npu_cycles", "cycles", cycles.CYCLE, "NPU TOTAL")

COUNTERS = (
    TOTAL,
    Counter("npu_active_cycles", "cycles", cycles.NPU_ACTIVE, "NPU ACTIVE"),
    Counter("npu_idle_cycles", "cycles", cycles.NPU_IDLE, "NPU IDLE"),
    Counter("axi0_read_beats", "beats", cycles.AXI0_READ_BEAT, "NPU AXI0_RD_DATA_BEAT_RECEIVED"),
    Counter("axi0_write_beats", "beats", cycles.AXI0_WRITE_BEAT, "NPU AXI0_WR_DATA_BEAT_WRITTEN"),
    Counter("axi1_read_beats", "beats", cycles.AXI1_READ_BEAT, "NPU AXI1_RD_DATA_BEAT_RECEIVED"),
    Counter("axi1_write_beats", "beats", cycles.AXI1_WRITE_BEAT),
)

BY_EVENT = {counter.event: counter for counter in COUNTERS}
BY_LABEL = {counter.label: counter for counter in COUNTERS if counter.label}
