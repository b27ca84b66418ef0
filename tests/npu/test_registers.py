"""The registers behave as Arm's driver expects."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from hil.core.errors import StreamError
from hil.npu import registers as r
from hil.npu.accelerator import ALL, Accelerator
from hil.npu.registers import BusError, NpuJob, Registers

U55 = Accelerator.from_name("ethos-u55-128")


@dataclass
class Counts:
    total: int

    def events(self):
        return {0x11: self.total, 0x23: 90, 0x82: 7, 0x87: (1 << 32) - 1, 0x182: 5}


class Board:
    """An NPU whose jobs and interrupt line are written down."""

    def __init__(self, outcome=None):
        self.jobs: list[NpuJob] = []
        self.line: list[bool] = []
        self.outcome = outcome or Counts(100)
        self.registers = Registers(U55, self._run, self.line.append)

    def _run(self, job):
        self.jobs.append(job)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    def read(self, offset):
        return self.registers.read(offset, 4)

    def write(self, offset, value):
        self.registers.write(offset, 4, value)

    def start(self):
        """Register writes of the driver that run a stream of 64 bytes."""
        self.write(r.QBASE, 0x7000_0010)
        self.write(r.QBASE + 4, 1)
        self.write(r.QSIZE, 64)
        self.write(r.QCONFIG, 2)
        self.write(r.REGIONCFG, 0x5553)
        for i in range(4):
            self.write(r.AXI_LIMIT[i], 0x0F1F_0000)
        for i in range(8):
            self.write(r.BASEP[i], 0x1000 * i)
            self.write(r.BASEP[i] + 4, i)
        self.write(r.CMD, 1)


def test_numbers_equal_velas():
    from ethosu.vela.ethos_u55_regs import ethos_u55_regs as regs

    for enum in (regs.BASE, regs.PMU):
        for register in enum:
            ours = getattr(r, register.name, None)
            if isinstance(ours, int):
                assert ours == register.value, register
    assert [regs.BASE_POINTERS[f"BASEP{2 * i}"].value for i in range(8)] == list(r.BASEP)
    assert [regs.PMU[f"PMEVCNTR{i}"].value for i in range(4)] == list(r.PMEVCNTR)
    assert [regs.PMU[f"PMEVTYPER{i}"].value for i in range(4)] == list(r.PMEVTYPER)
    status = regs.status_r()
    for field, bit in (("irq_raised", r.IRQ_RAISED), ("bus_status", r.BUS_ERROR), ("pmu_irq_raised", r.PMU_IRQ),
                       ("cmd_parse_error", r.PARSE_ERROR), ("cmd_end_reached", r.END_REACHED)):  # fmt: skip
        status.word = bit
        assert getattr(status.bits, field) == 1


@pytest.mark.parametrize("accelerator", ALL, ids=lambda a: a.name)
def test_configuration(accelerator):
    from ethosu.vela.ethos_u55_regs.ethos_u55_regs import config_r

    config = config_r()
    config.word = Registers(accelerator, lambda job: Counts(0), lambda level: None).read(r.CONFIG)
    shram = accelerator.shram_bytes * accelerator.cores
    assert (1 << config.bits.macs_per_cc, config.bits.shram_size * 1024) == (accelerator.macs, shram)
    assert config.bits.product == (1 if "u65" in accelerator.name else 0)
    assert Accelerator.from_config_word(config.word) is accelerator


def test_reset_sets_protection_and_clears():
    board = Board()
    board.write(r.QSIZE, 64)
    board.write(r.RESET, 1)
    assert board.read(r.PROT) == 1
    assert board.read(r.STATUS) == 0
    assert board.read(r.QSIZE) == 0
    assert board.read(r.ID) >> 28 == 1


def test_a_job():
    board = Board()
    board.write(r.RESET, 1)
    board.start()
    (job,) = board.jobs
    assert job.queue_address == 0x1_7000_0010
    assert job.queue_bytes == 64
    assert job.base_pointers == tuple(i << 32 | 0x1000 * i for i in range(8))
    assert [job.port(region) for region in range(4)] == [1, 0, 0, 0]
    assert board.read(r.STATUS) == r.IRQ_RAISED | r.END_REACHED
    assert board.read(r.QREAD) == 64
    assert board.line == [True]
    board.write(r.CMD, 2)
    assert board.read(r.STATUS) == r.END_REACHED
    assert board.line == [True, False]


@pytest.mark.parametrize(
    ("error", "status", "position"),
    [(StreamError("bad", word_offset=5), r.PARSE_ERROR, 20), (BusError("unreachable"), r.BUS_ERROR, 0)],
)
def test_faults_raise_the_interrupt(error, status, position):
    board = Board(error)
    board.start()
    assert board.read(r.STATUS) == status | r.IRQ_RAISED
    assert board.read(r.QREAD) == position
    assert board.registers.fault is error
    assert board.line == [True]


def _count(board, events=(0x23, 0x82, 0x87, 0x182)):
    board.write(r.PMCR, 7)
    board.write(r.PMCNTENSET, 0x8000_000F)
    for select, event in zip(r.PMEVTYPER, events, strict=True):
        board.write(select, event)


def test_counters():
    board = Board()
    _count(board)
    board.start()
    assert board.read(r.PMCCNTR) == 100
    assert [board.read(at) for at in r.PMEVCNTR] == [90, 7, (1 << 32) - 1, 5]
    board.write(r.PMCNTENCLR, 1 << 31 | 1)
    board.start()
    assert board.read(r.PMCCNTR) == 100
    assert [board.read(at) for at in r.PMEVCNTR] == [90, 14, (1 << 32) - 2, 10]
    assert board.read(r.PMOVSSET) == 1 << 2
    board.write(r.PMOVSCLR, 1 << 2)
    assert board.read(r.PMOVSSET) == 0
    board.write(r.PMCR, 3)
    assert [board.read(at) for at in r.PMEVCNTR] == [0, 0, 0, 0]
    assert board.read(r.PMCCNTR) == 100
    board.write(r.PMCR, 5)
    assert board.read(r.PMCCNTR) == 0
    assert board.read(r.PMCR) >> 11 == 4


def test_the_cycle_counter_has_48_bits():
    board = Board(Counts(0x2_0000))
    _count(board)
    board.write(r.PMCCNTR, 0xFFFF_0000)
    board.write(r.PMCCNTR_HI, 0x1_FFFF)
    assert board.read(r.PMCCNTR_HI) == 0xFFFF
    board.write(r.PMINTSET, 1 << 31)
    board.start()
    board.write(r.CMD, 2)
    assert (board.read(r.PMCCNTR_HI), board.read(r.PMCCNTR)) == (0, 0x1_0000)
    assert board.read(r.PMOVSSET) == 1 << 31
    assert board.read(r.STATUS) & r.PMU_IRQ
    assert board.line[-1]
    board.write(r.PMOVSCLR, 1 << 31)
    assert not board.line[-1]


def test_nothing_counts_when_off():
    board = Board()
    board.start()
    assert board.read(r.PMCCNTR) == 0


def test_access_sizes():
    board = Board()
    board.write(r.BASEP[1], 0x1234_5678)
    registers = board.registers
    assert [registers.read(r.BASEP[1] + i, 1) for i in range(4)] == [0x78, 0x56, 0x34, 0x12]
    assert registers.read(r.BASEP[1] + 2, 2) == 0x1234
    registers.write(r.BASEP[1] + 2, 2, 0xABCD)
    registers.write(r.BASEP[1], 1, 0xEF)
    assert board.read(r.BASEP[1]) == 0xABCD_56EF
    assert board.read(0xF00) == 0
    registers.write(0xF00, 4, 1)
    assert board.read(0xF00) == 0
