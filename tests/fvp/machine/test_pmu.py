"""The PMU of the open FVP: every event has a defined value, and what misleads is named to whoever starts it."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hil.core.npu_config import NpuConfig
from hil.fvp.inference.firmware import Firmware
from hil.fvp.inference.inference import run_inference
from hil.npu.accelerator import Accelerator
from hil.npu.pmu_events import PmuEvent, event_title
from hil.npu.program import decode
from hil.npu.registers import CMD, PMCNTENSET, PMCR, PMEVCNTR, PMEVTYPER, QBASE, QSIZE
from hil.npu.stream.commands import Op
from hil.npu.timing.cycles import cycles
from hil.npu.timing.memory_system import MemorySystem
from tests.support.corstone300 import UART_OUT, Launch
from tests.support.thumb import Program

Compile = Callable[..., tuple[bytes, bytes]]
NPU, STREAM, OUT = 0x5810_2000, 0x7000_2000, 0x9300_0000
COPY = np.array(
    [0x130, 0x131 | 1 << 16, 0x30 | 1 << 14, 0, 0x31 | 1 << 14, 0x800, 0x32 | 1 << 14, 1024, Op.DMA_START, Op.STOP],
    np.uint32,
)
"""A stream that copies 1 KiB within the memory of regions 0 and 1."""
EVENTS = (*PmuEvent, 0x99, 0x3FF)
"""All documented events, and two numbers without one."""


def _store(program: Program, address: int, value: int) -> None:
    program.set(0, address)
    program.set(1, value)
    program.code(0x6001)  # STR r1, [r0]


def _counting() -> Program:
    """Counts each event in a job, four at a time, and writes the counters to `OUT`."""
    program = Program()
    for offset, value in ((QBASE, STREAM), (QSIZE, 4 * len(COPY)), (PMCNTENSET, 0xF)):
        _store(program, NPU + offset, value)
    for region in range(2):
        _store(program, NPU + 0x80 + 8 * region, 0x7001_0000)
    for first in range(0, len(EVENTS), 4):
        for at, event in zip(PMEVTYPER, EVENTS[first : first + 4], strict=False):
            _store(program, NPU + at, event)
        _store(program, NPU + PMCR, 3)
        _store(program, NPU + CMD, 1)
        for place in range(first, min(first + 4, len(EVENTS))):
            program.set(0, NPU + PMEVCNTR[place - first])
            program.set(2, OUT + 4 * place)
            program.code(0x6801, 0x6011)  # LDR r1, [r0]; STR r1, [r2]
    program.end()
    return program


def test_all_events_of_the_list(fvp: Launch, tmp_path: Path) -> None:
    (tmp_path / "a.elf").write_bytes(_counting().elf())
    (tmp_path / "stream").write_bytes(COPY.astype("<u4").tobytes())
    dump = f"out@{OUT:#x},{4 * len(EVENTS)}"
    done = fvp("-a", "a.elf", "-q", *UART_OUT, "--data", f"stream@{STREAM:#x}", "--dump", dump,
               "-C", "open.pmu_file=pmu.json", "--timelimit", "600")  # fmt: skip
    assert done.returncode == 0, done.stderr
    counts = dict(zip(EVENTS, struct.unpack(f"<{len(EVENTS)}I", (tmp_path / "out").read_bytes()), strict=True))
    memory = MemorySystem.of(NpuConfig()).with_region_ports(dict.fromkeys(range(8), 0))
    modelled = cycles(decode(COPY, Accelerator.from_name("ethos-u55-128"), {}, {1: 0}), memory).events()
    assert counts == {event: modelled.get(event, 0) for event in EVENTS}
    assert counts[PmuEvent.AXI0_WR_TRANS_ACCEPTED] == 16
    (record,) = json.loads((tmp_path / "pmu.json").read_text())
    assert record["not_modelled"] == sorted(event for event in EVENTS if event not in modelled)
    said = done.stderr.decode()
    for event in EVENTS:
        assert (f"{event_title(event)} is not modelled" in said) == (event not in modelled)
    assert "PMU event 0x51 (WD_STALLED) is not modelled: its counter reads 0" in said
    assert "PMU event 0x99 is not modelled" in said


def test_a_counter_that_wraps_in_arms_firmware_is_named(
    runner: Firmware, compiled: Compile, glacier: NpuConfig
) -> None:
    """An operation that reads its weights from such a flash takes most of 2^32 cycles."""
    _, model = compiled("kws_ref_int8")
    data = np.zeros((49, 10, 1), np.int8).tobytes()
    found = run_inference(model, [data], [12], npu=glacier)
    assert found.pmu is not None
    assert PmuEvent.NPU_ACTIVE in found.pmu.overflowed
    assert PmuEvent.AXI0_RD_DATA_BEAT_RECEIVED not in found.pmu.overflowed
    assert found.counters["NPU TOTAL"] == found.pmu.counts[PmuEvent.CYCLE] > 1 << 32
    assert "NPU ACTIVE" in found.overflowed


def test_nothing_is_named_where_nothing_misleads(runner: Firmware, compiled: Compile) -> None:
    _, model = compiled("kws_ref_int8")
    found = run_inference(model, [np.zeros((49, 10, 1), np.int8).tobytes()], [12])
    assert found.pmu is not None
    assert (found.pmu.not_modelled, found.pmu.overflowed, found.overflowed) == (frozenset(), frozenset(), ())
    assert found.pmu.counts[PmuEvent.CYCLE] == pytest.approx(found.counters["NPU TOTAL"])
