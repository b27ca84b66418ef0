"""Modelled timing of an inference, and what the PMU counts of it; what the model does not know is in no count.

    >>> PmuEvent.MAC_ACTIVE in MODELLED, PmuEvent.WD_STALLED in MODELLED
    (True, False)

* CYCLE and NPU_ACTIVE are all cycles of a job, NPU_IDLE is 0: outside of jobs the model has no time.
* MAC_ACTIVE are the cycles in which the MAC units compute, with their waits for accumulators; by bits of the IFM, too.
  AO_ACTIVE are those of the output unit, without its waits for scale records.
* Transactions are bursts, and complete when they are accepted: a job ends after its last one.
* ECC events are 0: the memory of a simulated machine makes no errors.

Cycles and beats were compared with an FVP's (see `cycles`), units and transactions with nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hil.npu.pmu_events import PmuEvent
from hil.npu.stream.operations import BlockOperation, Operation

_READS = (
    (PmuEvent.AXI0_RD_TRANS_ACCEPTED, PmuEvent.AXI0_RD_TRANS_COMPLETED),
    (PmuEvent.AXI1_RD_TRANS_ACCEPTED, PmuEvent.AXI1_RD_TRANS_COMPLETED),
)
_WRITES = (
    (PmuEvent.AXI0_WR_TRANS_ACCEPTED, PmuEvent.AXI0_WR_TRANS_COMPLETED_M, PmuEvent.AXI0_WR_TRANS_COMPLETED_S),
    (PmuEvent.AXI1_WR_TRANS_ACCEPTED, PmuEvent.AXI1_WR_TRANS_COMPLETED_M, PmuEvent.AXI1_WR_TRANS_COMPLETED_S),
)
"""Events of transactions, by port."""

_MAC_BY_BYTES = {1: PmuEvent.MAC_ACTIVE_8BIT, 2: PmuEvent.MAC_ACTIVE_16BIT, 4: PmuEvent.MAC_ACTIVE_32BIT}
"""Events of the MAC units by the size of an IFM's element."""

_NEVER = (PmuEvent.NO_EVENT, PmuEvent.ECC_DMA, PmuEvent.ECC_SB0, PmuEvent.ECC_SB1)


@dataclass(frozen=True)
class OperationTiming:
    """Start and end of an operation in cycles from the program's start, and its beats.

    `compute` are the cycles of the MAC and output units, `transfer` those of the busier port, `fill` those before the
    first block is computed, `drain` those of the output unit after `end`, which an operation that reads the OFM waits
    for.  Beats and bursts are by port; `mac` and `output` are the cycles in which each unit works.
    """

    operation: Operation
    start: int
    end: int
    compute: int
    transfer: int
    read_beats: tuple[int, int]
    write_beats: tuple[int, int]
    fill: int = 0
    drain: int = 0
    read_bursts: tuple[int, int] = (0, 0)
    write_bursts: tuple[int, int] = (0, 0)
    mac: int = 0
    output: int = 0

    @property
    def cycles(self) -> int:
        """Cycles from start to end."""
        return self.end - self.start


@dataclass(frozen=True)
class Timing:
    """Modelled cycles, beats (of 8 bytes, U65: 16) and bursts of one inference.

    `active` and `idle` add up to `total`; outside the program the model has no time, so `idle` is 0.  Bursts, of at
    most 64 bytes, are by port.
    """

    total: int
    active: int
    idle: int
    axi0_read_beats: int
    axi0_write_beats: int
    axi1_read_beats: int
    axi1_write_beats: int
    per_operation: tuple[OperationTiming, ...] = ()
    read_bursts: tuple[int, int] = (0, 0)
    write_bursts: tuple[int, int] = (0, 0)

    def events(self) -> Mapping[int, int]:
        """Returns counts by PMU event number, of each event in `MODELLED`."""
        counts: dict[int, int] = dict.fromkeys(_NEVER, 0)
        counts |= {
            PmuEvent.CYCLE: self.total,
            PmuEvent.NPU_IDLE: self.idle,
            PmuEvent.NPU_ACTIVE: self.active,
            PmuEvent.MAC_ACTIVE: sum(one.mac for one in self.per_operation),
            PmuEvent.AO_ACTIVE: sum(one.output for one in self.per_operation),
            PmuEvent.AXI0_RD_DATA_BEAT_RECEIVED: self.axi0_read_beats,
            PmuEvent.AXI0_WR_DATA_BEAT_WRITTEN: self.axi0_write_beats,
            PmuEvent.AXI1_RD_DATA_BEAT_RECEIVED: self.axi1_read_beats,
            PmuEvent.AXI1_WR_DATA_BEAT_WRITTEN: self.axi1_write_beats,
        }
        for port in (0, 1):
            counts |= dict.fromkeys(_READS[port], self.read_bursts[port])
            counts |= dict.fromkeys(_WRITES[port], self.write_bursts[port])
        for size, event in _MAC_BY_BYTES.items():
            counts[event] = sum(one.mac for one in self.per_operation if _ifm_bytes(one.operation) == size)
        return counts


def _ifm_bytes(operation: Operation) -> int:
    """Bytes of an element that the MAC units read; 0 for an operation without an IFM."""
    return operation.ifm.dtype.itemsize if isinstance(operation, BlockOperation) else 0


MODELLED = frozenset(Timing(0, 0, 0, 0, 0, 0, 0).events())
"""Events that have a count."""
