"""QEMU's test connection: physical memory in bulk, and the level of interrupt lines.

    qtest = Qtest(QemuSocket(sock, pid, patience_s))
    qtest.write(0x31000000, data); qtest.read(0x31000000, 1000); qtest.interrupt(24, True)

Beside the debugger it is needed because that cannot drive an interrupt line, and moves memory in pieces of 2 KB.

Source: QEMU's `softmmu/qtest.c` (its comment describes the commands).
"""

from __future__ import annotations

import base64

from hil.core.errors import FaultError
from hil.fvp.machine.qemu_socket import QemuSocket

_SUBSYSTEM = "/machine/iotkit"
"""QEMU's object of the SSE-300, whose input EXP_IRQ n is interrupt 32 + n."""

_PIECE = 1 << 20
"""Bytes moved by one command."""


class Qtest:
    """One side of a connection."""

    def __init__(self, connection: QemuSocket) -> None:
        self._connection = connection

    def interrupt(self, line: int, level: bool) -> None:
        """Sets the subsystem's expansion interrupt `line` (0 is interrupt 32 of the CPU)."""
        self._ask(f"set_irq_in {_SUBSYSTEM} EXP_IRQ {line} {int(level)}")

    def wake(self) -> None:
        """Makes QEMU look at its UARTs' input: it does not when firmware enables a receiver, and sleeps."""
        self._ask("endianness")

    def read(self, address: int, size: int) -> bytes:
        """`size` bytes of physical memory."""
        pieces = [
            base64.b64decode(self._ask(f"b64read {address + at:#x} {min(_PIECE, size - at):#x}"))
            for at in range(0, size, _PIECE)
        ]
        return b"".join(pieces)

    def write(self, address: int, data: bytes) -> None:
        """Writes physical memory."""
        for at in range(0, len(data), _PIECE):
            piece = data[at : at + _PIECE]
            self._ask(f"b64write {address + at:#x} {len(piece):#x} {base64.b64encode(piece).decode()}")

    def _ask(self, command: str) -> str:
        self._connection.send(command.encode() + b"\n")
        answer = bytearray()
        while not answer.endswith(b"\n"):
            answer += self._connection.receive()
        status, _, rest = answer.decode("latin1").strip().partition(" ")
        if status != "OK":
            raise FaultError(f"QEMU refused {command[:40]!r}: {answer.decode('latin1').strip()}")
        return rest
