"""The monitor's C parts against registers that Python plays: the project's own NPU, and NPUs that fail."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pytest

from hil.core.errors import StreamError
from hil.npu import registers
from hil.npu.accelerator import Accelerator
from hil.npu.registers import BusError, Registers
from hil.targets.link.wire import Outcome

from .monitor_parts import TICK_HZ, WRAP, Hardware

IN_RESET, WEIGHT_FAULT = 1 << 3, 1 << 7
LIMIT_MS = 50
FIELDS = {
    "stream_address": 0x7000_0000,
    "stream_bytes": 64,
    "bases": (ctypes.c_uint64 * 8)(*(0x1_0000_0000 * i + 0x3100_0000 for i in range(8))),
    "region_config": 0x5553,
    "qconfig": 2,
    "axi_limits": (ctypes.c_uint32 * 4)(0x0F1F0000, 1, 2, 3),
    "events": (ctypes.c_uint16 * 4)(0x23, 0x82, 0x87, 0x182),
    "limit_ms": LIMIT_MS,
}


@dataclass(frozen=True)
class Counted:
    """Counters of a job."""

    total: int
    active: int = 11

    def events(self) -> Mapping[int, int]:
        return {0x23: self.active, 0x82: 22, 0x87: 33, 0x182: 44}


def _npu(run: Callable[[registers.NpuJob], Counted]) -> Registers:
    return Registers(Accelerator.from_name("ethos-u55-128"), run, lambda level: None)


def test_a_counter_that_wrapped_is_reported_once(parts: ctypes.CDLL) -> None:
    counts = iter([Counted((1 << 32) + 7, (1 << 32) + 7), Counted(7, 7)])
    hardware = Hardware(parts, _npu(lambda job: next(counts)))
    result = hardware.run(**FIELDS)
    assert (result.events[0], result.overflow, result.cycles) == (7, 1, (1 << 32) + 7)
    assert hardware.run(**FIELDS).overflow == 0


def _silent(status: int) -> Callable[[int], int]:
    """An NPU whose STATUS never changes."""
    return lambda offset: {registers.STATUS: status, registers.PROT: 1, registers.CONFIG: 0x1807}.get(offset, 0)


def test_a_job_gets_the_addresses_and_gives_the_counters(parts: ctypes.CDLL) -> None:
    jobs: list[registers.NpuJob] = []

    def run(job: registers.NpuJob) -> Counted:
        jobs.append(job)
        return Counted(0x1234_5678_9ABC)

    hardware = Hardware(parts, _npu(run))
    result = hardware.run(**FIELDS)
    assert jobs == [registers.NpuJob(0x7000_0000, 64, tuple(FIELDS["bases"]), 0x5553)]
    assert (result.outcome, result.cycles, tuple(result.events)) == (Outcome.DONE, 0x1234_5678_9ABC, (11, 22, 33, 44))
    assert (result.npu_status, result.qread) == (registers.IRQ_RAISED | registers.END_REACHED, 64)
    again = hardware.run(**FIELDS)  # counts from 0, and the interrupt of the first run is gone
    assert (again.outcome, again.cycles) == (Outcome.DONE, result.cycles)


def test_counters_may_count_when_the_job_starts(parts: ctypes.CDLL) -> None:
    """Clock and power must not be offered while the PMU counts, or the cycles of a run are too few."""
    hardware = Hardware(parts, _npu(lambda job: Counted(1)))
    hardware.run(**FIELDS)
    commands = [(place, value) for place, (offset, value) in enumerate(hardware.log) if offset == registers.CMD]
    started = next(place for place, value in commands if value & 1)
    enabled = hardware.log.index((registers.PMCR, 7))
    stopped = hardware.log.index((registers.PMCR, 0))
    assert hardware.log[0] == (registers.RESET, 1)
    assert enabled < started < stopped
    assert not [value for place, value in commands if place < stopped and value & 0b1100]
    assert [value for place, value in commands if place < enabled] == [0]
    assert (registers.QCONFIG, 2) in hardware.log
    assert [value for offset, value in hardware.log if offset in registers.AXI_LIMIT] == [0x0F1F0000, 1, 2, 3]


def _raises(error: Exception) -> Callable[[registers.NpuJob], Counted]:
    def run(job: registers.NpuJob) -> Counted:
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "outcome", "qread"),
    [
        (StreamError("no command", word_offset=3), Outcome.NPU_PARSE_ERROR, 12),
        (BusError("nothing there"), Outcome.NPU_BUS_FAULT, 0),
    ],
)
def test_an_error_of_the_npu_is_told_and_it_is_reset(
    parts: ctypes.CDLL, error: Exception, outcome: Outcome, qread: int
) -> None:
    hardware = Hardware(parts, _npu(_raises(error)))
    result = hardware.run(**FIELDS)
    assert (result.outcome, result.qread) == (outcome, qread)
    assert hardware.log[-1] == (registers.RESET, 1)


def test_a_fault_in_the_weights_is_told(parts: ctypes.CDLL) -> None:
    assert Hardware(parts, _silent(WEIGHT_FAULT)).run(**FIELDS).outcome == Outcome.NPU_OTHER_FAULT


def test_a_stuck_npu_costs_the_time_limit_and_a_reset(parts: ctypes.CDLL) -> None:
    hardware = Hardware(parts, _silent(registers.RUNNING), step=10)
    result = hardware.run(**FIELDS)
    limit = LIMIT_MS * TICK_HZ // 1000
    assert (result.outcome, result.npu_status) == (Outcome.TIME_LIMIT, registers.RUNNING)
    assert limit < result.ticks <= limit + 10
    assert hardware.log[-1] == (registers.RESET, 1)


def test_an_interrupt_in_the_middle_of_a_stream_is_cleared_and_waited_on(parts: ctypes.CDLL) -> None:
    hardware = Hardware(parts, _silent(registers.RUNNING | registers.IRQ_RAISED), step=1000)
    assert hardware.run(**FIELDS).outcome == Outcome.TIME_LIMIT
    assert (registers.CMD, 2) in hardware.log


def test_a_reset_that_never_ends_is_told(parts: ctypes.CDLL) -> None:
    hardware = Hardware(parts, _silent(IN_RESET), step=100)
    result = hardware.run(**FIELDS)
    assert (result.outcome, result.npu_status) == (Outcome.NPU_STUCK, IN_RESET)
    assert not [offset for offset, _ in hardware.log if offset == registers.CMD]
    assert hardware.elapsed < 2 * TICK_HZ


def test_an_npu_that_stays_non_secure_is_not_started(parts: ctypes.CDLL) -> None:
    hardware = Hardware(parts, lambda offset: 0x1807 if offset == registers.CONFIG else 0)
    assert hardware.run(**FIELDS).outcome == Outcome.NPU_STUCK
    assert hardware.log == [(registers.RESET, 1)]


def test_the_clock_has_64_bits_and_never_goes_back(parts: ctypes.CDLL) -> None:
    """SysTick has 24 bits; a wrap that is missed or counted twice would be half a second at 32 MHz."""
    parts.timer_now.restype = ctypes.c_uint64
    hardware = Hardware(parts, _silent(0), step=WRAP // 7 + 1)
    for _ in range(100):
        assert parts.timer_now() == hardware.elapsed
    hardware = Hardware(parts, _silent(0), step=WRAP // 2)  # every other look at a wrap's very moment
    times = [parts.timer_now() for _ in range(10)]
    assert times == sorted(set(times))
    assert times[-1] == hardware.elapsed


def test_the_ring_loses_what_it_has_no_room_for_and_nothing_else(parts: ctypes.CDLL) -> None:
    parts.start_ring_at(ctypes.c_uint32(-5))  # its counters wrap soon
    assert parts.take() == -1
    size = 32768
    for index in range(size + 3):
        parts.put(index % 251)
    assert [parts.take() for _ in range(size)] == [index % 251 for index in range(size)]
    assert parts.take() == -1
    parts.put(7)
    assert (parts.take(), parts.take()) == (7, -1)
