"""Vector and floating-point loads and stores of the NPU's registers, which QEMU's CPU does itself on a copy of them.

    stepped = Stepped(device, gdb, memory)
    if is_stepped(code): changed = stepped.serve(code, registers)

They come in too many forms to be decoded: contiguous, widening, interleaving, gathering, predicated.  But all have
their base register in the same place.  So it is moved by `_AWAY`, to where there is memory instead of the NPU, and the
CPU does the one instruction there.  A load finds a copy of the registers.  A store finds a byte that is in none of the
CPU's registers everywhere, so what it has written is known by being different.  Then memory and base register are put
back.

Sources: Armv8-M Architecture Reference Manual (DDI 0553), C2.3 (encodings of the coprocessor and MVE space).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hil.core.errors import FaultError
from hil.fvp.machine.gdb import PC, Gdb
from hil.fvp.machine.memory import GuestMemory
from hil.fvp.machine.npu_window import Device
from hil.fvp.machine.qemu import NPU_WINDOW, NPU_WINDOWS

_AWAY = 0x8000_0000
"""From the NPU to memory: DDR, of the same security, for both of its addresses."""

_MARGIN = 512
"""Bytes beside the NPU's registers that one instruction could reach, too."""

_VECTORS, _LAST = 26, 43
"""Numbers that gdb gives to d0 and, last of the registers that can be stored, VPR."""


def serve(device: Device, gdb: Gdb, memory: GuestMemory) -> tuple[dict[int, int], int | None]:
    """Does the access to the NPU's registers that the CPU has stopped for, of whatever kind; gives what `Gdb.resume`
    takes.  Raises as `Device.serve` and `Stepped.serve`.
    """
    registers, xpsr = gdb.registers()
    code = gdb.read(registers[PC], 4)
    if is_stepped(code):
        return Stepped(device, gdb, memory).serve(code, registers), None
    return device.serve(code, registers, xpsr)


def is_stepped(code: bytes) -> bool:
    """True if the instruction `code` is in the coprocessor and MVE space, which this module serves."""
    return code[1] in (0xEC, 0xED, 0xFC, 0xFD)


class Stepped:
    """Serves one `device`; the CPU that `gdb` holds has `memory`."""

    def __init__(self, device: Device, gdb: Gdb, memory: GuestMemory) -> None:
        self._device = device
        self._gdb = gdb
        self._memory = memory

    def serve(self, code: bytes, registers: Sequence[int]) -> dict[int, int]:
        """Lets the CPU do `code` and gives the registers to set; raises `FaultError` if it cannot."""
        base, is_load = _base(code), bool(code[0] & 0x10)
        places = [window + _AWAY - _MARGIN for window in NPU_WINDOWS]
        size = NPU_WINDOW + 2 * _MARGIN
        kept = [self._memory.read(place, size) for place in places]
        before = bytes(_MARGIN) + self._device.contents() + bytes(_MARGIN) if is_load else self._strange() * size
        try:
            for place in places:
                self._memory.write(place, before)
            after = self._step(code, registers, base)
            found = [self._memory.read(place, size) for place in places]
        finally:
            for place, contents in zip(places, kept, strict=True):
                self._memory.write(place, contents)
        for contents in found:
            for start, data in _differences(before, contents):
                if not _MARGIN <= start <= start + len(data) <= _MARGIN + NPU_WINDOW:
                    raise FaultError(f"the instruction at {registers[PC]:#010x} reaches beyond the NPU's registers")
                self._device.put(start - _MARGIN, data)
        return {base: after}

    def _step(self, code: bytes, registers: Sequence[int], base: int) -> int:
        """Does the instruction away from the NPU; gives the base register as it would be."""
        self._gdb.step({base: registers[base] + _AWAY & 0xFFFF_FFFF})
        after, _ = self._gdb.registers()
        if after[PC] != registers[PC] + 4:
            raise FaultError(f"the instruction {code.hex()} at {registers[PC]:#010x} faulted where it reaches the NPU")
        return after[base] - _AWAY & 0xFFFF_FFFF

    def _strange(self) -> bytes:
        """A byte that no register holds."""
        held = set().union(*(self._gdb.register(number) for number in range(_VECTORS, _LAST + 1)))
        return bytes([next(byte for byte in range(256) if byte not in held)])


def _base(code: bytes) -> int:
    """The number of the base register; raises `FaultError` if each lane has its own address."""
    first, second = int.from_bytes(code[:2], "little"), int.from_bytes(code[2:], "little")
    vector = second & 0xE00 == 0xE00
    if first >> 8 == 0xFD and vector and second & 0x1000:
        raise FaultError(f"the instruction {code.hex()} takes its addresses from a vector, which is not modelled")
    # Loads that widen and stores that narrow have a bit of their size there, but for those with offsets in a vector.
    widens = vector and not second & 0x1000 and second >> 7 & 3 != 3 and first & 0x120
    return first & (7 if widens else 15)


def _differences(before: bytes, after: bytes) -> Iterator[tuple[int, bytes]]:
    """(start, bytes) of the runs of `after` that are not as `before`."""
    start = None
    for at in range(len(after) + 1):
        differs = at < len(after) and before[at] != after[at]
        if differs and start is None:
            start = at
        elif not differs and start is not None:
            yield start, after[start:at]
            start = None
