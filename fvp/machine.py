"""The open Corstone-300 at work: lets the CPU run, serves the NPU, watches for the end.

    with Machine(line) as machine:
        end = machine.run()

The loop sleeps until the CPU stops at an NPU register, or for a few milliseconds; then it takes what the UARTs sent
and looks at the limits.  While the NPU works, or a register is served, the CPU stands still, so simulated time is the
time the CPU ran.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
import threading
import time
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from hil.fvp import qemu
from hil.fvp.contract import CommandLine, Data
from hil.fvp.errors import BootError, FaultError
from hil.fvp.files import Folder
from hil.fvp.gdb import PC, QemuEndedError
from hil.fvp.memory import CpuView, GuestMemory
from hil.fvp.options import CPU_HZ
from hil.fvp.semihosting import Semihosting
from hil.fvp.uart import UartSink, settings
from hil.npu.errors import BadInputError

if TYPE_CHECKING:
    from hil.fvp.device import Device
    from hil.npu.memory_system import MemorySystem

_TICK = 0.002
"""Seconds between looks at UARTs and limits."""

_ELF32, _ARM = b"\x7fELF\x01", b"\x28\x00"
"""Start of an ELF file of 32 bits, and its machine number at byte 18."""

_START_SECONDS, _STOP_SECONDS = 30.0, 10.0


class End(str, Enum):
    """Why a run ended."""

    UART = "a UART sent the sign to end"
    TIME_LIMIT = "the time limit on the host"
    SIM_LIMIT = "the limit of simulated time"
    CYCLE_LIMIT = "the limit of cycles"
    EXIT = "the firmware ended through semihosting"


class Machine:
    """One Corstone-300, from its start to its end; a context manager that leaves nothing running.

    `simulated_seconds` is the time the CPU ran, `accesses` how often it reached the NPU's registers, `exit_code` what
    the firmware gave to a semihosting exit.
    Raises `BadInputError` for files that cannot be read or written, `UnavailableError` without QEMU.
    """

    def __init__(self, line: CommandLine) -> None:
        application = _application(line)
        loads = [(data, _contents(data)) for data in line.data]
        self.simulated_seconds = 0.0
        self.accesses = self.exit_code = 0
        self._line = line
        with contextlib.ExitStack() as stack:
            self._sinks = {uart.number: UartSink(uart) for uart in settings(line)}
            for sink in self._sinks.values():
                stack.callback(sink.close)
            self._semihosting = line.flag("cpu0.semihosting-enable")
            cwd = line.text("cpu0.semihosting-cwd") if self._semihosting else ""
            folder = stack.enter_context(Folder(Path(cwd))) if cwd else None
            self._host = Semihosting(_print, _refused, folder)
            stack.callback(self._host.close)
            told = line.text("cpu0.semihosting-cmd_line") if self._semihosting else None
            self._qemu = stack.enter_context(qemu.start(application, list(self._sinks), told))
            self._load(loads)
            self._closing = stack.pop_all()

    def __enter__(self) -> Machine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()

    def _load(self, loads: list[tuple[Data, bytes]]) -> None:
        # NumPy and what else the NPU needs are imported while QEMU starts and the firmware boots.
        threading.Thread(target=importlib.import_module, args=["hil.fvp.device"]).start()
        self._memory = GuestMemory(self._qemu.ddr, self._qemu.qtest)
        self._memory_system = _memory_system(self._line)
        try:
            self._qemu.gdb.connect(_START_SECONDS)
            for data, contents in loads:
                self._memory.write(data.address, contents)
            for window in qemu.NPU_WINDOWS:
                self._qemu.gdb.watch(window, qemu.NPU_WINDOW)
        except QemuEndedError:
            raise BootError(f"QEMU did not start ({_how(*self._qemu.ended())})") from None

    def run(self) -> End:
        """Runs to the end; then the memory is saved as the command line asks.

        Raises `FaultError` if the CPU locked up, QEMU was killed, or the NPU met an error.
        """
        started = time.monotonic()
        end = self._loop(started)
        if self._line.dumps:
            self._dump(end)
        return end

    def _loop(self, started: float) -> End:
        gdb = self._qemu.gdb
        npu: Device | None = None
        looked = 0.0
        try:
            gdb.resume()
            resumed = time.monotonic()
            while True:
                stopped = gdb.stopped(_TICK)
                now = time.monotonic()
                if not stopped or now - looked > _TICK:  # Firmware that polls the NPU for ever must meet its limit too.
                    looked = now
                    if end := self._ended(now - started, self.simulated_seconds + now - resumed):
                        self.simulated_seconds += now - resumed
                        return end
                if stopped:
                    self.simulated_seconds += now - resumed
                    reason = gdb.reason()
                    if reason.startswith("F"):
                        gdb.answer(self._host.serve(reason, CpuView(self._memory, gdb)))
                    elif reason.startswith("W"):
                        return self._qemu_ended()
                    else:
                        npu = npu or self._npu()
                        registers, xpsr = gdb.registers()
                        gdb.resume(*npu.serve(gdb.read(registers[PC], 4), registers, xpsr))
                        self.accesses += 1
                    resumed = time.monotonic()
        except QemuEndedError:
            return self._qemu_ended()

    def _npu(self) -> Device:
        from hil.fvp.device import Device

        return Device(
            self._line.macs,
            self._memory_system,
            self._memory,
            lambda level: self._qemu.qtest.interrupt(qemu.NPU_INTERRUPT, level),
        )

    def _ended(self, elapsed: float, simulated: float) -> End | None:
        if self._drain():
            self._qemu.qtest.wake()
        if any(sink.ended for sink in self._sinks.values()):
            return End.UART
        if self._line.timelimit is not None and elapsed >= self._line.timelimit:
            return End.TIME_LIMIT
        if self._line.simlimit is not None and simulated >= self._line.simlimit:
            return End.SIM_LIMIT
        if self._line.cyclelimit is not None and simulated * CPU_HZ >= self._line.cyclelimit:
            return End.CYCLE_LIMIT
        return None

    def _drain(self) -> bool:
        """Whether input waits for a UART."""
        return any([sink.drain(self._qemu.uarts[number]) for number, sink in self._sinks.items()])

    def _qemu_ended(self) -> End:
        self._drain()
        code, messages = self._qemu.ended()
        if self._semihosting and code >= 0:
            self.exit_code = code
            return End.EXIT
        if "Lockup" in messages:
            raise FaultError("the CPU locked up: a fault inside a fault handler", log=messages)
        raise FaultError(f"QEMU ended by itself ({_how(code, messages)})", log=messages)

    def _dump(self, end: End) -> None:
        if end is not End.EXIT:
            self._qemu.gdb.interrupt(_STOP_SECONDS)
        for dump in self._line.dumps:
            if end is End.EXIT and not self._memory.is_mapped(dump.address, dump.size):
                raise FaultError(f"{dump.address:#010x} is not in DDR and is gone with the firmware's exit")
            try:
                dump.file.write_bytes(self._memory.read(dump.address, dump.size))
            except OSError as error:
                raise BadInputError(f"{dump.file} cannot be written: {error.strerror}") from None


def _application(line: CommandLine) -> Path:
    """The ELF to run; QEMU itself would take anything else as raw code."""
    path = line.application
    try:
        with (path or Path()).open("rb") as file:
            start = file.read(20)
    except OSError as error:
        raise BadInputError(f"the application {path} cannot be read: {error.strerror}") from None
    if start[:5] != _ELF32 or start[18:20] != _ARM:
        raise BadInputError(f"the application {path} is no ELF file for a 32-bit Arm CPU")
    return path or Path()


def _how(code: int, messages: str) -> str:
    """How QEMU ended, in a few words."""
    first = messages.splitlines()[0] if messages else ""
    return ": ".join(filter(None, [f"signal {-code}" if code < 0 else f"exit code {code}", first]))


def _print(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _refused(reason: str) -> None:
    print(f"Warning: {reason}", file=sys.stderr)


def _contents(data: Data) -> bytes:
    try:
        return data.file.read_bytes()
    except OSError as error:
        raise BadInputError(f"--data: {data.file} cannot be read: {error.strerror}") from None


def _memory_system(line: CommandLine) -> MemorySystem:
    from hil.npu.memory_system import MemorySystem

    path = line.text("open.vela_config")
    try:
        text = Path(path).read_text() if path else None
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"the Vela configuration {path} cannot be read: {error}") from None
    return MemorySystem.from_vela(text, line.system_config, line.memory_mode)
