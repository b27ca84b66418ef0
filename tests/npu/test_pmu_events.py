"""Every event number that a driver may write into PMEVTYPER has a defined value; those without a count are named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hil.core.errors import BadInputError
from hil.core.npu_config import NpuConfig
from hil.npu import registers as r
from hil.npu.accelerator import Accelerator
from hil.npu.pmu_events import EVENT_BITS, PmuEvent, event_name, find_event
from hil.npu.pmu_record import PmuRecord
from hil.npu.program import Program, decode
from hil.npu.registers import Registers
from hil.npu.stream.commands import Op
from hil.npu.timing.cycles import cycles
from hil.npu.timing.memory_system import MemorySystem
from hil.npu.timing.timing import MODELLED, Timing

U55 = Accelerator.from_name("ethos-u55-128")
TIMING = Timing(1000, 1000, 0, 11, 12, 13, 14, (), (15, 16), (17, 18))


def counted(timing: Timing, *events: int) -> tuple[list[int], Registers]:
    """The counters after a job, and the registers."""
    registers = Registers(U55, lambda job: timing, lambda level: None)
    registers.write(r.PMCR, 4, 7)
    registers.write(r.PMCNTENSET, 4, 0x8000_000F)
    for at, event in zip(r.PMEVTYPER, events, strict=False):
        registers.write(at, 4, event)
    registers.write(r.CMD, 4, 1)
    return [registers.read(at) for at in r.PMEVCNTR], registers


def test_the_list_is_velas() -> None:
    from ethosu.vela.ethos_u55_regs.ethos_u55_regs import pmu_event_type

    assert {event.name: int(event) for event in PmuEvent} == {event.name: event.value for event in pmu_event_type}


def test_every_number_counts_or_is_named() -> None:
    known = TIMING.events()
    for first in range(0, 1 << EVENT_BITS, 4):
        events = range(first, first + 4)
        counts, registers = counted(TIMING, *events)
        assert counts == [known.get(event, 0) for event in events]
        assert registers.pmu_record.not_modelled == {event for event in events if event not in MODELLED}
    assert known[PmuEvent.AXI1_WR_TRANS_COMPLETED_S] == 18
    assert known[PmuEvent.AXI0_RD_TRANS_ACCEPTED] == 15
    assert PmuEvent.WD_STALLED not in MODELLED


def test_an_event_is_named_only_where_it_was_counted() -> None:
    registers = Registers(U55, lambda job: TIMING, lambda level: None)
    registers.write(r.PMEVTYPER[0], 4, PmuEvent.WD_STALLED)
    registers.write(r.CMD, 4, 1)  # the PMU is off
    registers.write(r.PMCR, 4, 1)
    registers.write(r.PMCNTENSET, 4, 1 << 1)  # another counter
    registers.write(r.CMD, 4, 1)
    assert registers.pmu_record.not_modelled == frozenset()
    registers.write(r.PMCNTENSET, 4, 1)
    registers.write(r.CMD, 4, 1)
    registers.write(r.RESET, 4, 1)
    assert registers.pmu_record.warnings() == ["PMU event 0x51 (WD_STALLED) is not modelled: its counter reads 0"]


def test_an_overflow_is_named_and_the_cycle_counter_goes_on() -> None:
    long = replace(TIMING, total=(1 << 32) + 5, active=(1 << 32) + 5)
    counts, registers = counted(long, PmuEvent.NPU_ACTIVE, PmuEvent.CYCLE, PmuEvent.AXI0_RD_DATA_BEAT_RECEIVED)
    assert counts[:3] == [5, 5, 11]
    assert registers.read(r.PMOVSSET) == 0b011
    assert registers.read(r.PMCCNTR) | registers.read(r.PMCCNTR_HI) << 32 == long.total
    assert registers.pmu_record.overflowed == {PmuEvent.NPU_ACTIVE, PmuEvent.CYCLE}
    assert "overflowed" in registers.pmu_record.warnings()[0]


def test_a_record_survives_json() -> None:
    _, registers = counted(TIMING, PmuEvent.WD_STALLED, 0x99)
    record = registers.pmu_record
    assert PmuRecord.from_json(record.as_json()) == record
    assert record.counts[PmuEvent.AXI1_RD_DATA_BEAT_RECEIVED] == 13
    with pytest.raises((KeyError, TypeError, ValueError)):
        PmuRecord.from_json({"not_modelled": [1], "overflowed": []})


def test_transactions_of_a_copy_are_its_bursts() -> None:
    words = np.array(
        [0x130, 0x131 | 1 << 16, 0x30 | 1 << 14, 0, 0x31 | 1 << 14, 0, 0x32 | 1 << 14, 1024, Op.DMA_START, Op.STOP],
        np.uint32,
    )
    program: Program = decode(words, U55, {}, {2: 1})
    counts = cycles(program, MemorySystem.of(NpuConfig())).events()
    assert counts[PmuEvent.AXI1_RD_TRANS_ACCEPTED] == counts[PmuEvent.AXI1_RD_TRANS_COMPLETED] == 16 + 1  # the stream
    assert counts[PmuEvent.AXI0_WR_TRANS_ACCEPTED] == counts[PmuEvent.AXI0_WR_TRANS_COMPLETED_M] == 16
    assert counts[PmuEvent.MAC_ACTIVE] == counts[PmuEvent.AO_ACTIVE] == 0


def test_names_and_numbers() -> None:
    assert [event_name(find_event(text)) for text in ("npu_active", "0x23", "35", "0x99")] == [
        *("NPU_ACTIVE", "NPU_ACTIVE", "NPU_ACTIVE", "0x099")
    ]
    with pytest.raises(BadInputError, match="MAC_ACTIV") as caught:
        find_event("MAC_ACTIV")
    assert "MAC_ACTIVE" in caught.value.hint
    with pytest.raises(BadInputError, match="10 bits"):
        find_event("1024")
