"""A virtual board to work with: a process that plays one, with its port's name and its power switch.

    import serial

    with VirtualBoard(elf) as board:
        serial.serial_for_url(board.url)
        board.power_cycle()

The process ends with the `with`; where nobody closes it, when it is forgotten or this process ends, however it does.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import threading
import weakref
from pathlib import Path
from types import TracebackType
from typing import IO

from hil.core.child_output import wait_for_output
from hil.core.errors import BadInputError, BootError, FaultError
from hil.core.npu_config import DEFAULT_NPU, NpuConfig
from hil.fvp.inference.launch import anonymous, path_of
from hil.fvp.virtual_board.board import WARNING
from hil.npu.accelerator import Accelerator
from hil.npu.timing.memory_system import MemorySystem

_PATIENCE_SECONDS, _END_SECONDS = 60.0, 5.0
_SERIAL_NUMBER = re.compile(r"(?!0{12})[0-9a-f][02468ace][0-9a-f]{10}")
"""The MAC address of one device: not 0, and of no group."""
_EXAMPLE = "020000000017"
# An empty entry of sys.path is the current folder: a user's own `json.py` or `hil/` there is not for the child to run.
_BOOT = (
    "import sys; sys.path[:] = [p for p in sys.path if p]; "
    "from hil.fvp.virtual_board.child import main; sys.exit(main())"
)


class VirtualBoard:
    """A board that runs `firmware` (an ELF) with the NPU `npu`, whose memories make the cycles of its counters.

    `url` is its serial port: a pty's path, or, with a TCP port `tcp` (0: any free one), `socket://127.0.0.1:PORT`.
    `serial_number`, twelve hexadecimal digits, is what the firmware reads from the board's Ethernet chip (empty: QEMU's
    own, the same for all).  Raises `BadInputError` for an unknown accelerator, serial number or a missing file,
    `UnavailableError` without QEMU, `BootError` if it does not start.
    """

    def __init__(
        self,
        firmware: Path,
        npu: NpuConfig = DEFAULT_NPU,
        *,
        tcp: int | None = None,
        serial_number: str = "",
    ) -> None:
        if serial_number and not _SERIAL_NUMBER.fullmatch(serial_number):
            raise BadInputError(f"serial number {serial_number}", hint=f"12 hexadecimal digits, such as {_EXAMPLE}")
        Accelerator.from_name(npu.accelerator)
        MemorySystem.of(npu)
        words = [str(firmware), "--accelerator", npu.accelerator, "--system-config", npu.system_config]
        words += ["--memory-mode", npu.memory_mode]
        words += [] if tcp is None else ["--tcp", str(tcp)]
        words += ["--serial-number", serial_number] if serial_number else []
        self._messages = anonymous(b"")
        self._asking = threading.Lock()
        self._child = _start(words, npu.config_text, self._messages)
        self.close = weakref.finalize(self, _end, self._child, self._messages)
        """Ends the board; more than once does nothing."""
        try:
            self.url = self._answer()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> VirtualBoard:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._child.pid

    @property
    def is_alive(self) -> bool:
        """True while the process runs; it is never restarted."""
        return self._child.poll() is None

    @property
    def warnings(self) -> tuple[str, ...]:
        """A line for each event of the PMU that the firmware counted and whose counter misleads (see `PmuRecord`)."""
        number = self._messages.fileno()
        said = os.pread(number, os.fstat(number).st_size, 0).decode(
            errors="replace"
        )  # The child goes on writing there.
        return tuple(line.removeprefix(WARNING) for line in said.splitlines() if line.startswith(WARNING))

    def wait(self) -> None:
        """Waits for the board's end and raises the reason as an error; never returns."""
        self._child.wait()
        self._answer()

    def switch(self, *, on: bool) -> None:
        """Gives the board power, or takes it away, and all that its memory held; raises `FaultError` if it is dead."""
        assert self._child.stdin is not None
        with self._asking:
            with contextlib.suppress(BrokenPipeError):
                self._child.stdin.write(b"on\n" if on else b"off\n")
                self._child.stdin.flush()
            self._answer()

    def power_cycle(self) -> None:
        """Off and on again: the firmware boots, and clients of the port stay connected."""
        self.switch(on=False)
        self.switch(on=True)

    def _answer(self) -> str:
        """The child's next line; raises what it ended with if it did."""
        assert self._child.stdout is not None
        if why := wait_for_output(self._child.stdout, self._child.pid, _PATIENCE_SECONDS):
            raise BootError(f"the virtual board gave no answer: it is {why}")
        if line := self._child.stdout.readline().decode().strip():
            return line
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(_END_SECONDS)
        self._messages.seek(0)
        said = self._messages.read().decode(errors="replace").strip()
        message = said.rpartition("\n")[2].removeprefix("Error: virtual board: ") or "it said nothing"
        if self._child.returncode == BadInputError.exit_code:
            raise BadInputError(message)
        raise FaultError(f"the virtual board ended: {message}", log=said)


def _start(words: list[str], config_text: str, messages: IO[bytes]) -> subprocess.Popen[bytes]:
    with anonymous(config_text.encode()) as file:
        words = [*words, "--vela-config", str(path_of(file))] if config_text else words
        try:
            return subprocess.Popen(
                [sys.executable, "-c", _BOOT, *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=messages,
                pass_fds=[file.fileno()],
                start_new_session=True,
            )
        except OSError as error:
            messages.close()
            raise BootError(f"the virtual board cannot be started: {error.strerror}") from None


def _end(child: subprocess.Popen[bytes], messages: IO[bytes]) -> None:
    """Closes the child's input, on which it ends, and kills it if it does not."""
    assert child.stdin is not None
    assert child.stdout is not None
    with contextlib.suppress(OSError):
        child.stdin.close()
    try:
        child.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    child.stdout.close()
    messages.close()
