"""A virtual board: a firmware on QEMU's Corstone-300 with the NPU behind it, for as long as somebody wants it.

    from hil.fvp.virtual_board.serial_port import TcpPort

    with SimulatedBoard(Hardware(elf, accelerator, memory), TcpPort(5000)) as board:
        board.serve()                # for ever

Unlike the machine of the FVP (`machine`) it has no limits and no end of its own: it sleeps until the CPU stops at an
NPU register, the firmware or a client has sent something, or the firmware has reset the machine.  A byte's way from
client to firmware and back takes about a millisecond.  A reset keeps memory and resets the NPU, too; a power cycle is a
new QEMU.  The UART's outer end stays the same through both.
"""

from __future__ import annotations

import contextlib
import socket
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from select import select
from types import TracebackType
from typing import TYPE_CHECKING

from hil.core.errors import BootError, FaultError, QemuEndedError, QemuHangsError
from hil.fvp.machine import qemu, stepped_access
from hil.fvp.machine.memory import GuestMemory
from hil.fvp.machine.npu_window import Device
from hil.fvp.machine.preparation import Preparation
from hil.fvp.machine.uart import unread
from hil.fvp.virtual_board.serial_port import OuterPort
from hil.npu.accelerator import VIRTUAL_ID_WORD, Accelerator
from hil.npu.registers import BusError, NpuJob
from hil.npu.timing.memory_system import MemorySystem

if TYPE_CHECKING:
    from hil.fvp.machine.npu_jobs import NpuJobs
    from hil.npu.timing.timing import Timing


_WAKE_SECONDS = 0.02
"""Longest wait of input for a firmware that has just switched its receiver on: QEMU does not look by itself."""

_MOST_BYTES = 1 << 16

WARNING = "Warning: virtual board: "
"""Start of a line on standard error that names an event of the NPU's PMU whose counter misleads."""

_UART_BUFFER = 1 << 12
"""Bytes asked for of what is on its way to the firmware: a client that sends faster waits, as it would for a UART."""


@dataclass(frozen=True)
class Hardware:
    """A board's parts: `firmware` is an ELF, `memory` determines the NPU's cycles.

    `serial_number` is that of its Ethernet chip, twelve hexadecimal digits (empty: QEMU's own).
    """

    firmware: Path
    accelerator: Accelerator
    memory: MemorySystem
    serial_number: str = ""


class SimulatedBoard:
    """A board whose UART 0 is connected to `port`; a context manager, in which it has power.

    Raises `UnavailableError` without QEMU, `BootError` if it does not start.
    """

    def __init__(self, hardware: Hardware, port: OuterPort) -> None:
        self._hardware = hardware
        self._port = port
        self._preparation = Preparation(hardware.accelerator, [])
        self._powered: _Powered | None = None

    def __enter__(self) -> SimulatedBoard:
        self.switch(on=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.switch(on=False)

    def switch(self, *, on: bool) -> None:
        """Gives the board power or takes it away; what its memory held is gone then."""
        if on and self._powered is None:
            self._powered = _Powered(self._hardware, self._port, self._preparation)
        elif not on and self._powered is not None:
            self._powered.close()
            self._powered = None

    def serve(self, control: int | None = None) -> None:
        """Goes on until something comes on the descriptor `control`; without one, for ever.

        Raises `FaultError` if the CPU locked up, or QEMU ended or hangs.
        """
        own = [] if control is None else [control]
        while True:
            if self._powered is None:  # What is sent to a board without power is lost.
                ready = select([*own, *self._port.readers()], [], [], self._port.patience)[0]
                self._port.receive()
            else:
                ready = self._powered.turn(own)
            if control in ready:
                return


class _Powered:
    """A board from power on to power off."""

    def __init__(self, hardware: Hardware, port: OuterPort, preparation: Preparation) -> None:
        self._hardware = hardware
        self._port = port
        self._preparation = preparation
        self._to_uart = b""
        self._warned: set[str] = set()
        with contextlib.ExitStack() as stack:
            mac = ":".join(hardware.serial_number[at : at + 2] for at in range(0, len(hardware.serial_number), 2))
            self._qemu = stack.enter_context(qemu.start(hardware.firmware, [0], reports_resets=True, mac=mac))
            self._uart: socket.socket = self._qemu.uarts[0]
            self._uart.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _UART_BUFFER)
            self._memory = GuestMemory(self._qemu.ddr, self._qemu.qtest)
            assert self._qemu.qmp is not None
            self._qmp = self._qemu.qmp
            self._device = self._new_device()
            self._start()
            self.close = stack.pop_all().close

    def _start(self) -> None:
        try:
            self._qemu.gdb.connect()
            self._qmp.ask("query-status")
            for window in qemu.NPU_WINDOWS:
                self._qemu.gdb.watch(window, qemu.NPU_WINDOW)
            self._qemu.gdb.resume()
        except QemuEndedError:
            raise BootError(f"QEMU did not start ({qemu.how_ended(*self._qemu.ended())})") from None

    def turn(self, others: list[int]) -> list[int]:
        """Waits until there is something to do, does it, and gives those of the descriptors `others` that are ready."""
        try:
            return self._turn(others)
        except QemuHangsError:
            raise
        except QemuEndedError:
            raise FaultError(f"the board died: {qemu.why_ended(*self._qemu.ended())}") from None

    def _turn(self, others: list[int]) -> list[int]:
        gdb, port, uart = self._qemu.gdb, self._port, self._uart
        readers = [*others, gdb.fileno(), self._qmp.fileno(), uart.fileno()]
        writers = port.writers()
        if self._to_uart:
            writers.append(uart.fileno())
        else:
            readers += port.readers()
        waiting = unread(uart)
        patience = _WAKE_SECONDS if waiting else port.patience
        ready, _, _ = select(readers, writers, [], patience)
        if waiting and not ready:
            self._qemu.qtest.wake()
        self._exchange()
        while gdb.stopped(0):
            self._serve(gdb.reason())
        self._look_for_reset()
        return [other for other in others if other in ready]

    def _exchange(self) -> None:
        """Moves what can be moved between UART and port."""
        if not self._to_uart:
            self._to_uart = self._port.receive()
        with contextlib.suppress(BlockingIOError, ConnectionError):
            if self._to_uart:
                self._to_uart = self._to_uart[self._uart.send(self._to_uart, socket.MSG_DONTWAIT) :]
        data = b""
        with contextlib.suppress(BlockingIOError, ConnectionError):
            data = self._uart.recv(_MOST_BYTES, socket.MSG_DONTWAIT)
        self._port.send(data)

    def _serve(self, reason: str) -> None:
        """Lets the NPU do what the CPU has stopped for."""
        if reason.startswith("W"):
            raise QemuEndedError(reason)
        self._look_for_reset()
        changed = stepped_access.serve(self._device, self._qemu.gdb, self._memory)
        for text in self._device.pmu_record.warnings():
            if text not in self._warned:
                self._warned.add(text)
                print(f"{WARNING}{text}", file=sys.stderr, flush=True)
        self._qemu.gdb.resume(*changed)

    def _look_for_reset(self) -> None:
        """Resets the NPU after a reset of the machine, which QEMU reports before the CPU runs again."""
        if "RESET" in self._qmp.events():
            self._interrupt(False)
            self._device = self._new_device()

    def _new_device(self) -> Device:
        accelerator = self._hardware.accelerator
        return Device(accelerator, self._job, self._interrupt, tolerant=True, id_word=VIRTUAL_ID_WORD)

    def _interrupt(self, level: bool) -> None:
        self._qemu.qtest.interrupt(qemu.NPU_INTERRUPT, level)

    def _job(self, job: NpuJob) -> Timing:
        try:
            return self._jobs.run(job)
        except (QemuEndedError, QemuHangsError):
            raise
        except FaultError as error:  # No memory there: hardware would meet that on its bus.
            raise BusError(str(error)) from None

    @cached_property
    def _jobs(self) -> NpuJobs:
        from hil.fvp.machine.npu_jobs import NpuJobs

        return NpuJobs(self._preparation.programs(), self._hardware.memory, self._memory)
