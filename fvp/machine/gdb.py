"""QEMU's debugger connection: the few packets of gdb's remote protocol that the open Corstone-300 needs.

    gdb = Gdb(QemuSocket(sock, pid, patience_s)); gdb.connect(); gdb.watch(0x58102000, 0x1000)
    gdb.resume()
    if gdb.stopped(0.002): gdb.reason(); registers, xpsr = gdb.registers()

A packet is `$data#checksum`.  QEMU takes several in one write and needs no acknowledgement, so what follows an access
(registers, PC, go on) is one round trip.  Two traps: writing registers works only after `target.xml` was read, and
while the machine runs any byte stops it, so *go on* is the last packet of a write.

Source: "Debugging with GDB", appendix E; QEMU's `gdbstub.c` for the traps.
"""

from __future__ import annotations

import re
import select
import struct
import time

from hil.core.child_output import wait_for_output
from hil.core.errors import BootError, FaultError
from hil.fvp.machine.qemu_socket import QemuSocket

_PACKET = re.compile(rb"\$([^#]*)#..", re.DOTALL)
PC = 15
"""Number of the program counter."""

_XPSR = 25
"""Number that gdb gives to xPSR."""


_PIECE = 1 << 10
"""Bytes of memory moved by one packet; QEMU takes a little less than 2 KiB."""


_STOP_SECONDS = 10.0
"""Seconds that QEMU may compute, or wait, until it stops its CPU."""


def _packet(text: str) -> bytes:
    data = text.encode()
    return b"$" + data + b"#%02x" % (sum(data) & 0xFF)


class Gdb:
    """The debugger's side of a connection."""

    def __init__(self, connection: QemuSocket) -> None:
        self._connection = connection
        self._buffer = b""
        self._unconfirmed: list[str] = []

    def fileno(self) -> int:
        """The descriptor to wait on while the CPU runs."""
        return self._connection.fileno()

    def connect(self) -> None:
        """Waits until QEMU answers; raises `BootError` if it hangs."""
        self._send(_packet("qXfer:features:read:target.xml:0,ffb"))
        if why := self._why_silent(self._connection.patience_s):
            raise BootError(f"QEMU did not start: it is {why}")
        self._reply()

    def watch(self, address: int, size: int) -> None:
        """Stops the CPU before every access to `size` bytes at `address`."""
        self._ask(f"Z4,{address:x},{size:x}")

    def unwatch(self, address: int, size: int) -> None:
        """Undoes `watch`."""
        self._ask(f"z4,{address:x},{size:x}")

    def stop_at(self, address: int) -> None:
        """Stops the CPU before every instruction at `address`."""
        self._ask(f"Z1,{address:x},2")

    def pass_by(self, address: int) -> None:
        """Undoes `stop_at`."""
        self._ask(f"z1,{address:x},2")

    def resume(self, changed: dict[int, int] | None = None, xpsr: int | None = None) -> None:
        """Sets registers by number (and xPSR) and lets the CPU run."""
        packets = [f"P{number:x}={struct.pack('<I', value).hex()}" for number, value in (changed or {}).items()]
        if xpsr is not None:
            packets.append(f"P{_XPSR:x}={struct.pack('<I', xpsr).hex()}")
        self._send(b"".join(map(_packet, [*packets, "c"])))
        self._unconfirmed = packets  # Their answers are read with what comes next: one wait fewer an access.

    def step(self, changed: dict[int, int]) -> None:
        """Sets registers by number and lets the CPU do one instruction, which no interrupt precedes."""
        for number, value in changed.items():
            self._ask(f"P{number:x}={struct.pack('<I', value).hex()}")
        self._ask_raw("s")

    def interrupt(self) -> None:
        """Stops the CPU; raises `FaultError` if QEMU hangs."""
        self._send(b"\x03")
        if why := self._why_silent(_STOP_SECONDS):
            raise FaultError(f"QEMU did not stop: it is {why}")
        self.reason()

    def _why_silent(self, patience_s: float) -> str:
        """Waits for a packet; returns why QEMU hangs, or an empty text."""
        while not self._packet():
            if why := wait_for_output(self._connection, self._connection.pid, patience_s):
                return why
            self._receive()
        return ""

    def stopped(self, timeout: float) -> bool:
        """True if a packet (of a running CPU: that it stopped) comes within `timeout` seconds; it is not read yet."""
        until = time.monotonic() + timeout
        while not self._packet():
            if not select.select([self._connection], [], [], max(until - time.monotonic(), 0))[0]:
                return False
            self._receive()
        return True

    def _packet(self) -> re.Match[bytes] | None:
        """The first packet that is no answer to `resume`; such answers are taken off and checked."""
        while (found := _PACKET.search(self._buffer)) and self._unconfirmed:
            self._buffer = self._buffer[found.end() :]
            self._expect_ok(self._unconfirmed.pop(0), found[1].decode("latin1"))
        return found

    def reason(self) -> str:
        """Why the CPU stopped: `T...` at a watchpoint, `F...` for a semihosting call, `W...` when it ended itself."""
        return self._reply()

    def answer(self, packet: str) -> None:
        """Answers a semihosting call, after which the CPU goes on."""
        self._send(_packet(packet))

    def registers(self) -> tuple[list[int], int]:
        """r0 to r15 and xPSR of the CPU that has stopped."""
        values = struct.unpack("<17I", bytes.fromhex(self._ask_raw("g")[: 17 * 8]))
        return list(values[:16]), values[16]

    def register(self, number: int) -> bytes:
        """Any one register of the CPU that has stopped, by gdb's number."""
        return bytes.fromhex(self._ask_raw(f"p{number:x}"))

    def read(self, address: int, size: int) -> bytes:
        """`size` bytes of memory as the CPU sees it; raises `FaultError` where there is none."""
        data = b""
        for at in range(0, size, _PIECE):
            reply = self._ask_raw(f"m{address + at:x},{min(_PIECE, size - at):x}")
            if reply.startswith("E"):
                raise FaultError(f"there is no memory at {address + at:#010x}")
            data += bytes.fromhex(reply)
        return data

    def write(self, address: int, data: bytes) -> None:
        """Puts `data` into memory as the CPU sees it."""
        for at in range(0, len(data), _PIECE):
            piece = data[at : at + _PIECE]
            self._ask(f"M{address + at:x},{len(piece):x}:{piece.hex()}")

    def _ask(self, packet: str) -> None:
        self._expect_ok(packet, self._ask_raw(packet))

    def _ask_raw(self, packet: str) -> str:
        self._send(_packet(packet))
        return self._reply()

    def _reply(self) -> str:
        while not (found := self._packet()):
            self._receive()
        self._buffer = self._buffer[found.end() :]
        return found[1].decode("latin1")

    def _send(self, data: bytes) -> None:
        self._connection.send(data)

    def _receive(self) -> None:
        self._buffer += self._connection.receive()

    @staticmethod
    def _expect_ok(packet: str, reply: str) -> None:
        if reply != "OK":
            raise FaultError(f"QEMU answered {reply!r} to the debugger's {packet.split('=')[0]!r}")
