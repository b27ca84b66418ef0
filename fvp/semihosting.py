"""Semihosting: the calls by which firmware asks the debugger's host for a console, files, or its own end.

    console = Console(write=sys.stdout.buffer.write)
    console.serve("Fwrite,1,71000000,c", read_memory)       # -> "Fc": all 12 bytes were written

With `target=gdb` QEMU does none of it itself: it sends each call to its debugger, which is this program, as a File-I/O
packet `F<call>,<argument>,...`, and waits for `F<result>` or `F-1,<errno>`.  So nothing but what is here is served:
firmware may write to its console and, without a packet, end itself, ask for the time, its heap or its command line.
Every call that would reach a file or run a program is refused, and the firmware sees an error like any other.

Source: "Debugging with GDB", appendix E.13 (File-I/O); Arm's "Semihosting for AArch32 and AArch64".
"""

from __future__ import annotations

from collections.abc import Callable

_STDIN, _STDOUT, _STDERR = 0, 1, 2

_EACCES, _EBADF = 13, 9
"""Error numbers of the protocol."""

MAX_WRITE = 1 << 20
"""Bytes that one call may write; the rest is the firmware's to send again."""


class Console:
    """Serves the calls; `write` gets what the firmware prints, `refused` the name of each call that was refused."""

    def __init__(self, write: Callable[[bytes], object], refused: Callable[[str], None]) -> None:
        self._write = write
        self._refused = refused

    def serve(self, packet: str, memory: Callable[[int, int], bytes]) -> str:
        """The answer to `packet`; `memory` reads (address, bytes) as the CPU sees them."""
        call, *arguments = packet.removeprefix("F").split(",")
        numbers = [int(argument, 16) for argument in arguments if "/" not in argument]
        match call, numbers:
            case "write", [(1 | 2), address, size]:
                data = memory(address, min(size, MAX_WRITE))
                self._write(data)
                return f"F{len(data):x}"
            case "read", [0, _, _]:
                return "F0"  # Nobody types: the end of the input.
            case "isatty", [handle]:
                return f"F{int(handle <= _STDERR):x}"
            case "close", [(0 | 1 | 2)]:
                return "F0"
            case (("read" | "write" | "close" | "lseek" | "fstat"), _):
                return f"F-1,{_EBADF:x}"
        self._refused(call)
        return f"F-1,{_EACCES:x}"
