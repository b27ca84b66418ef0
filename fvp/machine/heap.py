"""SYS_HEAPINFO with the user's values: semihosting's answer about the addresses of heap and stack.

    heap = HeapInfo(gdb, memory, Path("app.axf"), (0, 0, 0x20080000, 0))
    if heap.is_hit(reason): changed = heap.serve(registers)

QEMU answers this one call itself, with memory that it finds free, and asks nobody.  So where the user gives addresses
the CPU is stopped at every `BKPT #0xAB` of the firmware, at the addresses it is loaded and linked at.  The call in
question is answered here; for any other the CPU goes on, and stops again behind it to have the place watched again.

Source: Arm's "Semihosting for AArch32 and AArch64" (SYS_HEAPINFO).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

from hil.core.errors import BadInputError
from hil.fvp.command_line import elf
from hil.fvp.command_line.contract import CommandLine
from hil.fvp.machine.gdb import PC, Gdb
from hil.fvp.machine.semihosting import CpuMemory

_NAMES = tuple(f"cpu0.semihosting-{name}" for name in ("heap_base", "heap_limit", "stack_base", "stack_limit"))
"""Parameters, in the order of the call's answer."""

_CALL, _BREAKPOINT = 0x16, b"\xab\xbe"
_SIZE = len(_BREAKPOINT)


def asked(line: CommandLine) -> tuple[int, ...] | None:
    """The four addresses, if the command line has any of them; 0 leaves one to the firmware's library.

    Raises `BadInputError` for one that is none.
    """
    given = line.flag("cpu0.semihosting-enable") and any(name in line.parameters for name in _NAMES)
    if not given:
        return None
    addresses = {name: int(line.parameter(name)) for name in _NAMES}
    for name, address in addresses.items():
        if not 0 <= address < 1 << 32:
            raise BadInputError(f"{name}={address:#x} is no address of 32 bits")
    return tuple(addresses.values())


class HeapInfo:
    """Answers the call of the firmware `application` with `addresses`; the CPU that `gdb` holds has `memory`."""

    def __init__(self, gdb: Gdb, memory: CpuMemory, application: Path, addresses: Sequence[int]) -> None:
        self._gdb = gdb
        self._memory = memory
        self._addresses = addresses
        self._behind: int | None = None
        for place in sorted(set(_breakpoints(application))):
            gdb.stop_at(place)

    @staticmethod
    def is_hit(reason: str) -> bool:
        """True if the CPU stopped at a breakpoint and not at a watched access."""
        return reason.startswith("T05") and "watch:" not in reason

    def serve(self, registers: Sequence[int]) -> dict[int, int]:
        """Does what the CPU stopped for; gives the registers that change."""
        place = registers[PC]
        if place == self._behind:
            self._gdb.pass_by(place)
            self._gdb.stop_at(place - _SIZE)
            self._behind = None
            return {}
        if registers[0] == _CALL:
            (block,) = struct.unpack("<I", self._memory.read(registers[1], 4))
            self._memory.write(block, struct.pack("<4I", *self._addresses))
            return {0: 0, PC: place + _SIZE}
        self._gdb.pass_by(place)
        self._behind = place + _SIZE
        self._gdb.stop_at(self._behind)
        return {}


def _breakpoints(path: Path) -> Iterator[int]:
    """Addresses at which the ELF's memory holds a semihosting call, or something that looks like one."""
    for segment in elf.segments(path):
        at = segment.data.find(_BREAKPOINT)
        while at >= 0:
            for start in (segment.virtual, segment.physical):
                if (start + at) % _SIZE == 0:
                    yield start + at
            at = segment.data.find(_BREAKPOINT, at + 1)
