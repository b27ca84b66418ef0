"""Tiny firmware made by hand: Thumb instructions as numbers, in an ELF that the Corstone-300 boots.

program = Program(stack=0x70001000)
program.set(0, UART0); program.code(0x6801)       # LDR r1, [r0]
program.end(); path.write_bytes(program.elf())
"""

from __future__ import annotations

import struct

UART0 = 0x5930_3000
RESET_HANDLER = 0x100


class Program:
    """Instructions from `RESET_HANDLER` on; the vector table has them as the only handler."""

    def __init__(self, stack: int = 0x7000_1000, entry: int = RESET_HANDLER | 1) -> None:
        self._vectors = struct.pack("<2I", stack, entry) + bytes(RESET_HANDLER - 8)
        self._code = bytearray()

    def code(self, *halfwords: int) -> None:
        """Appends instructions."""
        self._code += struct.pack(f"<{len(halfwords)}H", *halfwords)

    def set(self, register: int, value: int) -> None:
        """MOVW and MOVT: `register` = `value`."""
        for opcode, half in ((0xF240, value & 0xFFFF), (0xF2C0, value >> 16 & 0xFFFF)):
            high, low = half >> 12 | (half >> 11 & 1) << 10, half & 0xFF | (half >> 8 & 7) << 12
            self.code(opcode | high, low | register << 8)

    def send(self, text: bytes) -> None:
        """Sends `text` on UART 0 (changes r0 to r3)."""
        self.set(0, UART0)
        self.set(1, 16)
        self.code(0x6101)  # STR r1, [r0, #16]: the baud rate's divider
        self.set(1, 1)
        self.code(0x6081)  # STR r1, [r0, #8]: enable the transmitter
        for byte in text:
            self.set(2, byte)
            self.code(0x6843, 0x07DB, 0xD4FC, 0x6002)  # wait while STATE bit 0 is set; STR r2, [r0]

    def end(self) -> None:
        """Sends EOT and stands still."""
        self.send(b"\x04")
        self.code(0xE7FE)

    def elf(self) -> bytes:
        """The ELF file, loaded at address 0."""
        image = self._vectors + bytes(self._code)
        identity = b"\x7fELF\x01\x01\x01" + bytes(9)
        header = struct.pack("<HHIIIIIHHHHHH", 2, 40, 1, RESET_HANDLER | 1, 52, 0, 0x0500_0000, 52, 32, 1, 0, 0, 0)
        segment = struct.pack("<8I", 1, 84, 0, 0, len(image), len(image), 5, 4)
        return identity + header + segment + image
