"""Stock QEMU as a child process: the Corstone-300 but for its NPU.

    with start(firmware, uarts=[0]) as qemu:
        qemu.gdb, qemu.qtest, qemu.uarts[0], qemu.ddr, qemu.snapshot

QEMU's machine `mps3-an547` is Arm's FPGA image of the Corstone-300: a Cortex-M55 with Helium, its memories and UARTs.
Where the NPU is, it reads as zero.  Addresses and interrupt of the NPU are those of Arm's ml-embedded-evaluation-kit.

Nothing of a run is on disk: the connections are socket pairs, DDR is an anonymous file that QEMU and this process
both map, so there is nothing to be left behind.  QEMU itself is killed when the `with` ends, and by the kernel when
this process is killed (see `hil.core.lifeline`).
"""

from __future__ import annotations

import contextlib
import functools
import mmap
import os
import re
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING

from hil.core.errors import BootError, UnavailableError
from hil.core.lifeline import tie
from hil.fvp.machine.gdb import Gdb
from hil.fvp.machine.qemu_socket import QemuSocket
from hil.fvp.machine.qtest import Qtest

if TYPE_CHECKING:
    from hil.fvp.machine.qmp import QmpClient
    from hil.fvp.machine.snapshot import Snapshot

PROGRAM = "qemu-system-arm"
MACHINE = "mps3-an547"

DDR_BASE, DDR_SIZE = 0x6000_0000, 2 << 30
"""DDR; QEMU has it as one memory, whose parts at 0x7000_0000, 0x9000_0000... are the secure ones."""

NPU_WINDOWS, NPU_WINDOW = (0x5810_2000, 0x4810_2000), 0x1000
"""Addresses of the Ethos-U55's registers, secure and non-secure, and their size in bytes."""

NPU_INTERRUPT = 24
"""The NPU's expansion interrupt of the SSE-300, the CPU's interrupt 56."""

_TCG = "tcg,tb-size=32"
"""Room for translated code in MiB: a firmware needs less, and QEMU's default of a GiB costs time to set up."""

_HEAP_STEP, _HEAP_STEP_BYTES = "MALLOC_TOP_PAD_", 64 << 20
"""Variable of glibc: bytes by which the heap grows at a time.  QEMU needs 130 MiB of addresses, little of it memory,
and spends a fifth of its start in asking for them in the usual steps of 128 KiB."""

_START_SECONDS, _END_SECONDS = 30.0, 10.0

ANSWER_SECONDS = 30.0
"""Seconds that QEMU may compute, or wait, until it answers; it needs a millisecond."""

_UART_BUFFER = 1 << 20
"""Bytes asked for in a UART's socket, each byte of which costs nearly a KiB.  When it is full, the firmware waits."""


class Qemu:
    """A started QEMU, stopped at the CPU's reset.

    `uarts` are the connected sockets by UART number, `ddr` the DDR's bytes from `DDR_BASE`, `snapshot` saves its state
    and `qmp` reports resets, each None if it was not started for that.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        gdb: Gdb,
        qtest: Qtest,
        uarts: dict[int, socket.socket],
        ddr: mmap.mmap,
        snapshot: Snapshot | None,
        qmp: QmpClient | None,
        messages: IO[bytes],
        closing: contextlib.ExitStack,
    ) -> None:
        self.process = process
        self.gdb = gdb
        self.qtest = qtest
        self.uarts = uarts
        self.ddr = ddr
        self.snapshot = snapshot
        self.qmp = qmp
        self._messages = messages
        self._closing = closing

    def __enter__(self) -> Qemu:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        self._closing.close()

    def ended(self) -> tuple[int, str]:
        """Waits for QEMU's end; returns its exit code (negative: a signal) and its errors, without warnings."""
        try:
            code = self.process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:  # It has closed its connections and hangs.
            self.process.kill()
            code = self.process.wait()
        self._messages.seek(0)
        lines = self._messages.read().decode(errors="replace").splitlines()
        return code, "\n".join(line for line in lines if ": warning: " not in line)


def how_ended(code: int, messages: str) -> str:
    """A short description of an end: exit code and messages as `Qemu.ended` returned them."""
    first = messages.splitlines()[0] if messages else ""
    return ": ".join(filter(None, [f"signal {-code}" if code < 0 else f"exit code {code}", first]))


def why_ended(code: int, messages: str) -> str:
    """The same for a QEMU that was to go on."""
    if "Lockup" in messages:
        return "the CPU locked up: a fault inside a fault handler"
    return f"QEMU ended by itself ({how_ended(code, messages)})"


def program() -> Path:
    """QEMU's executable, found on PATH, behind links; raises `UnavailableError` if it is not installed."""
    for folder in os.get_exec_path():
        path = Path(folder, PROGRAM)
        if os.access(path, os.X_OK) and path.is_file():
            return path.resolve()
    raise _missing()


@functools.cache
def version() -> str:
    """QEMU's version, such as `7.2.22`; raises `UnavailableError` if it is not installed or does not start."""
    from hil.core import child_process  # A run asks QEMU itself.

    ended = child_process.run([str(program()), "--version"], _START_SECONDS, by_progress=True)
    found = re.search(r"version (\S+)", ended.output)
    if ended.code != 0 or found is None:
        why = ended.last_line or f"it ended with {ended.code}"
        raise UnavailableError(
            f"{PROGRAM} does not say its version: {why}", hint="apt-get install --reinstall qemu-system-arm"
        )
    return found[1]


def start(
    firmware: Path,
    uarts: Sequence[int],
    semihosting: str | None = None,
    *,
    snapshots: bool = False,
    reports_resets: bool = False,
    mac: str = "",
) -> Qemu:
    """Starts QEMU with `firmware` (an ELF) loaded and the CPU held; `gdb.connect` waits until it answers.

    `uarts` are the UARTs whose output is wanted.  With a command line for the firmware, `semihosting`, its semihosting
    calls come to the debugger; without, they are faults.  Only with `snapshots` can its state be saved, only with
    `reports_resets` does it report a reset.  `mac` is the address of its Ethernet chip, which is connected to nothing.
    Raises `UnavailableError` if QEMU is not installed, `BootError` if it cannot be started.
    """
    try:
        return _start(firmware, uarts, semihosting, mac, snapshots, reports_resets)
    except OSError as error:
        raise BootError(f"this machine has no room for a board: {error.strerror}") from None


def _start(
    firmware: Path, uarts: Sequence[int], semihosting: str | None, mac: str, snapshots: bool, reports_resets: bool
) -> Qemu:
    with contextlib.ExitStack() as ours, contextlib.ExitStack() as theirs:
        memory = _anonymous_file(DDR_SIZE)
        (ours if snapshots else theirs).callback(os.close, memory)
        messages = ours.enter_context(os.fdopen(_anonymous_file(0), "r+b"))
        ddr = mmap.mmap(memory, DDR_SIZE)
        sockets: dict[str, socket.socket] = {}
        given: dict[str, int] = {}
        control = ["qmp"] if snapshots or reports_resets else []
        for name in ["gdb", "qtest", *(f"uart{uart}" for uart in uarts), *control]:
            sockets[name], other = socket.socketpair()
            ours.enter_context(sockets[name])
            given[name] = theirs.enter_context(other).fileno()
            if name.startswith("uart"):
                other.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _UART_BUFFER)
        kept = _anonymous_file(0) if snapshots else None
        if kept is not None:
            ours.callback(os.close, kept)
        arguments = [*_arguments(firmware, memory, given, semihosting, mac)]
        process = _spawn(arguments, [memory, *given.values(), kept], messages)
        snapshot = qmp = None
        if control:
            from hil.fvp.machine.qmp import QmpClient  # Most runs have one sample and need neither.

            qmp = QmpClient(QemuSocket(sockets["qmp"], process.pid, ANSWER_SECONDS))
        if kept is not None and qmp is not None:
            from hil.fvp.machine.snapshot import Snapshot

            snapshot = Snapshot(qmp, kept, memory, ddr)
        connected = {uart: sockets[f"uart{uart}"] for uart in uarts}
        gdb, qtest = (QemuSocket(sockets[name], process.pid, ANSWER_SECONDS) for name in ("gdb", "qtest"))
        return Qemu(process, Gdb(gdb), Qtest(qtest), connected, ddr, snapshot, qmp, messages, ours.pop_all())


def _spawn(arguments: list[str], descriptors: Sequence[int | None], messages: IO[bytes]) -> subprocess.Popen[bytes]:
    import ctypes  # noqa: F401 - `tie` needs it, and it is imported faster here than after the fork.

    parent = os.getpid()
    try:
        return subprocess.Popen(
            [PROGRAM, *arguments],
            pass_fds=[descriptor for descriptor in descriptors if descriptor is not None],
            stdin=subprocess.DEVNULL,
            stderr=messages,
            preexec_fn=lambda: tie(parent),
            env={**os.environ, _HEAP_STEP: str(_HEAP_STEP_BYTES)},
        )
    except FileNotFoundError:
        raise _missing() from None
    except OSError as error:
        raise BootError(f"{PROGRAM} cannot be started: {error.strerror}") from None


def _missing() -> UnavailableError:
    return UnavailableError(f"{PROGRAM} is not installed", hint="apt-get install qemu-system-arm")


def _arguments(
    firmware: Path, memory: int, sockets: dict[str, int], semihosting: str | None, mac: str
) -> Iterator[str]:
    yield from ("-M", f"{MACHINE},memory-backend=ddr", "-S")
    yield from ("-nodefaults", "-no-user-config", "-display", "none")
    yield from ("-nic", f"hubport,hubid=0,model=lan9118,mac={mac}" if mac else "none")
    yield from ("-object", f"memory-backend-file,id=ddr,size={DDR_SIZE},mem-path=/dev/fd/{memory},share=on")
    for name, descriptor in sockets.items():
        yield from ("-chardev", f"socket,id={name},fd={descriptor}")
    if "qmp" in sockets:
        yield from ("-mon", "chardev=qmp,mode=control")
    yield from ("-gdb", "chardev:gdb", "-accel", _TCG, "-qtest", "chardev:qtest", "-qtest-log", os.devnull)
    connected = [int(name.removeprefix("uart")) for name in sockets if name.startswith("uart")]
    for uart in range(max(connected, default=0) + 1):
        yield from ("-serial", f"chardev:uart{uart}" if uart in connected else "null")
    if semihosting is not None:
        words = "".join(",arg=" + word.replace(",", ",,") for word in semihosting.split())
        # Not `native`: QEMU would open whatever file the firmware names.
        yield from ("-semihosting-config", f"enable=on,target=gdb{words}")
    yield from ("-kernel", str(firmware.absolute()))


def _anonymous_file(size: int) -> int:
    """A descriptor of a sparse file of `size` bytes without a name, in memory where the system can do that."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("corstone300")
    else:
        import tempfile

        descriptor, name = tempfile.mkstemp()
        os.unlink(name)  # noqa: PTH108 - the shortest time between having a name and not
    os.ftruncate(descriptor, size)
    return descriptor
