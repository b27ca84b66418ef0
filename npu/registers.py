"""Register interface of the NPU: control, status, base pointers and PMU, as Arm's driver uses them.

    registers = Registers(accelerator, run=run_job, irq=set_line)
    registers.write(CMD, 4, 1)           # a driver that has set QBASE, QSIZE and BASEP starts the NPU
    registers.read(STATUS, 4)

`run` takes an `NpuJob` (addresses of the command stream and of the regions) and returns the `Timing` of the run; it
raises `StreamError` for a stream that the NPU cannot parse, and `BusError` for one that it cannot fetch.  A job has
finished when the write to CMD returns; `irq` is called with the level of the interrupt line.

Arm's driver accesses the registers in this order: RESET with the requested security and privilege, until STATUS shows
no reset and PROT has the requested value; QCONFIG, REGIONCFG, AXI_LIMITs, QBASE, QSIZE, BASEP; CMD = 1; on the
interrupt it checks that STATUS shows the stream's end and no fault, and that QREAD = QSIZE; CMD = 2 clears the
interrupt.

The PMU has one 48-bit cycle counter and four 32-bit event counters.  They count a job's modelled events; between jobs
they do not change, as the model has no time outside jobs.  A counter of an event that is not modelled, or of a number
without an event, stays as it is.  Overflow sets PMOVS and, where PMINT allows, raises the interrupt.  `pmu_record`
names the events of both kinds.

Sources: Vela's `ethos_u55_regs` (offsets, fields, event numbers; a test compares), the accesses of Arm's driver in the
firmware of `mlia-ethos-u`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from hil.core.errors import StreamError
from hil.npu.accelerator import ID_WORD, Accelerator
from hil.npu.pmu_events import COUNTER_BITS, EVENT_BITS, PmuEvent
from hil.npu.pmu_record import PmuRecord

ID, STATUS, CMD, RESET = 0x00, 0x04, 0x08, 0x0C
QBASE, QREAD, QCONFIG, QSIZE = 0x10, 0x18, 0x1C, 0x20
PROT, CONFIG, LOCK, REGIONCFG = 0x24, 0x28, 0x2C, 0x3C
AXI_LIMIT = (0x40, 0x44, 0x48, 0x4C)
BASEP = tuple(0x80 + 8 * i for i in range(8))
"""Offsets of the low words of the eight base pointers; each is followed by its high word."""

PMCR, PMCNTENSET, PMCNTENCLR = 0x180, 0x184, 0x188
PMOVSSET, PMOVSCLR, PMINTSET, PMINTCLR = 0x18C, 0x190, 0x194, 0x198
PMCCNTR, PMCCNTR_HI, PMCCNTR_CFG, PMCAXI_CHAN = 0x1A0, 0x1A4, 0x1A8, 0x1AC
PMEVCNTR = tuple(0x300 + 4 * i for i in range(4))
PMEVTYPER = tuple(0x380 + 4 * i for i in range(4))

WINDOW = 0x1000
"""Size of the register window in bytes."""

RUNNING, IRQ_RAISED, BUS_ERROR, PARSE_ERROR, END_REACHED, PMU_IRQ = 1 << 0, 1 << 1, 1 << 2, 1 << 4, 1 << 5, 1 << 6
"""Bits of STATUS."""

CYCLE_COUNTER = 1 << 31
"""Bit of the cycle counter in PMCNTEN, PMOVS and PMINT; bits 0 to 3 are the event counters."""

_CYCLE_BITS = 48
"""Width of the cycle counter."""

_COUNTERS = CYCLE_COUNTER | 0xF
_ALL = 0xFFFF_FFFF
_STORED = frozenset(
    [QBASE, QBASE + 4, QCONFIG, QSIZE, LOCK, REGIONCFG, *AXI_LIMIT, *BASEP, *(at + 4 for at in BASEP),
     PMCCNTR_CFG, PMCAXI_CHAN, *PMEVTYPER]
)  # fmt: skip
"""Offsets of the registers that read the value last written."""

_WIRING = ("accelerator", "_id_word", "_run", "_irq", "fault")
"""Attributes of `Registers` that `state` leaves out."""


class BusError(Exception):
    """An address of a job's command stream or regions is not mapped."""


class Events(Protocol):
    """Cycles and PMU event counts of a job (`timing.timing.Timing` implements it)."""

    @property
    def total(self) -> int:
        """Cycles from start to end."""
        ...

    def events(self) -> Mapping[int, int]:
        """Returns counts by PMU event number, of the events that are modelled."""
        ...


class NpuJob(NamedTuple):
    """One run of the NPU: the stream's address and size in bytes, the regions' base addresses, and REGIONCFG.

    REGIONCFG has two bits per region, which select the memory attributes of its accesses: 0 and 1 use AXI port 0, 2 and
    3 use port 1.
    """

    queue_address: int
    queue_bytes: int
    base_pointers: tuple[int, ...]
    region_config: int

    def port(self, region: int) -> int:
        """Returns the AXI port (0 or 1) of `region`."""
        return self.region_config >> (2 * region + 1) & 1


class Registers:
    """The register file of one NPU.  Not thread-safe.

    `fault` holds the error of the last job, None if it succeeded; `pmu_record` is of all jobs, also over resets.
    Register ID reads as `id_word`.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        run: Callable[[NpuJob], Events],
        irq: Callable[[bool], None],
        id_word: int = ID_WORD,
    ) -> None:
        self.accelerator = accelerator
        self._id_word = id_word
        self.fault: Exception | None = None
        self.pmu_record = PmuRecord()
        self._run = run
        self._irq = irq
        self._line = False
        self._protection = 0
        self._reset()

    def read(self, offset: int, size: int = 4) -> int:
        """Reads `size` bytes (1, 2 or 4) at byte `offset`; an offset without a register reads as 0."""
        word = self._read_word(offset & ~3)
        return word >> (8 * (offset & 3)) & ((1 << (8 * size)) - 1)

    def write(self, offset: int, size: int, value: int) -> None:
        """Writes `size` bytes (1, 2 or 4) at byte `offset`; an offset without a register ignores the write.

        The other bytes of the word keep their value in registers that store one, and are 0 for all others.
        """
        shift = 8 * (offset & 3)
        mask = ((1 << (8 * size)) - 1) << shift & _ALL
        aligned = offset & ~3
        unwritten = self._words.get(aligned, 0) & ~mask if aligned in _STORED else 0
        self._write_word(aligned, unwritten | (value << shift & mask))

    def state(self) -> dict[str, Any]:
        """Returns a copy of everything that a driver can change, for `restore`, as plain values for JSON."""
        plain = {name: copy.copy(value) for name, value in vars(self).items() if name not in _WIRING}
        return plain | {"_words": [*self._words.items()], "pmu_record": self.pmu_record.as_json()}

    def restore(self, state: dict[str, Any]) -> None:
        """Restores a `state`, of an NPU without a fault, and does not call `irq`."""
        found = {name: copy.copy(value) for name, value in state.items()}
        found |= {"_words": dict(state["_words"]), "pmu_record": PmuRecord.from_json(state["pmu_record"])}
        vars(self).update(found)
        self.fault = None

    def _reset(self) -> None:
        self._words: dict[int, int] = {}
        self._status = 0
        self._read_position = 0
        self._enabled = self._counters_enabled = self._overflow = self._interrupts = 0
        self._cycles = 0
        self._counters = [0, 0, 0, 0]
        self._update_line()

    def _read_word(self, offset: int) -> int:
        fixed = {
            ID: self._id_word,
            STATUS: self._status | (PMU_IRQ if self._overflow & self._interrupts else 0),
            QREAD: self._read_position,
            PROT: self._protection,
            CONFIG: self.accelerator.config_word,
            PMCR: self._enabled | len(PMEVCNTR) << 11,
            PMCNTENSET: self._counters_enabled,
            PMCNTENCLR: self._counters_enabled,
            PMOVSSET: self._overflow,
            PMOVSCLR: self._overflow,
            PMINTSET: self._interrupts,
            PMINTCLR: self._interrupts,
            PMCCNTR: self._cycles & _ALL,
            PMCCNTR_HI: self._cycles >> 32,
        }
        if offset in PMEVCNTR:
            return self._counters[PMEVCNTR.index(offset)]
        return fixed[offset] if offset in fixed else self._words.get(offset, 0)

    def _write_word(self, offset: int, value: int) -> None:
        if offset in _STORED:
            self._words[offset] = value
        elif offset == RESET:
            self._protection = value & 3
            self._reset()
        elif offset == CMD:
            self._command(value)
        elif offset == PMCR:
            self._enabled = value & 1
            if value & 2:
                self._counters = [0, 0, 0, 0]
            if value & 4:
                self._cycles = 0
        elif offset == PMCCNTR:
            self._cycles = self._cycles >> 32 << 32 | value
        elif offset == PMCCNTR_HI:
            self._cycles = (value & 0xFFFF) << 32 | self._cycles & _ALL
        elif offset in PMEVCNTR:
            self._counters[PMEVCNTR.index(offset)] = value
        else:
            self._write_sets(offset, value & _COUNTERS)

    def _write_sets(self, offset: int, bits: int) -> None:
        if offset == PMCNTENSET:
            self._counters_enabled |= bits
        elif offset == PMCNTENCLR:
            self._counters_enabled &= ~bits
        elif offset == PMOVSSET:
            self._overflow |= bits
        elif offset == PMOVSCLR:
            self._overflow &= ~bits
        elif offset == PMINTSET:
            self._interrupts |= bits
        elif offset == PMINTCLR:
            self._interrupts &= ~bits
        self._update_line()

    def _command(self, value: int) -> None:
        if value & 2:
            self._status &= ~IRQ_RAISED
        if value & 1:
            self._start()
        self._update_line()

    def _start(self) -> None:
        words = self._words
        job = NpuJob(
            words.get(QBASE, 0) | words.get(QBASE + 4, 0) << 32,
            words.get(QSIZE, 0),
            tuple(words.get(at, 0) | words.get(at + 4, 0) << 32 for at in BASEP),
            words.get(REGIONCFG, 0),
        )
        self.fault = None
        self._status = IRQ_RAISED | END_REACHED
        self._read_position = job.queue_bytes
        try:
            self._count(self._run(job))
        except StreamError as error:
            self.fault = error
            self._status = IRQ_RAISED | PARSE_ERROR
            self._read_position = 4 * (error.word_offset or 0)
        except BusError as error:
            self.fault = error
            self._status = IRQ_RAISED | BUS_ERROR
            self._read_position = 0

    def _count(self, events: Events) -> None:
        if not self._enabled:
            return
        overflowed = []
        if self._counters_enabled & CYCLE_COUNTER:
            self._cycles += events.total
            if self._cycles >> _CYCLE_BITS:
                self._overflow |= CYCLE_COUNTER
                self._cycles &= (1 << _CYCLE_BITS) - 1
                overflowed.append(int(PmuEvent.CYCLE))
        counts, selected = events.events(), []
        for index, register in enumerate(PMEVTYPER):
            if self._counters_enabled >> index & 1:
                selected.append(self._words.get(register, 0) & ((1 << EVENT_BITS) - 1))
                self._counters[index] += counts.get(selected[-1], 0)
                if self._counters[index] >> COUNTER_BITS:
                    self._overflow |= 1 << index
                    self._counters[index] &= _ALL
                    overflowed.append(selected[-1])
        self.pmu_record = self.pmu_record.with_job(counts, selected, overflowed)

    def _update_line(self) -> None:
        level = bool(self._status & IRQ_RAISED or self._overflow & self._interrupts)
        if level != self._line:
            self._line = level
            self._irq(level)
