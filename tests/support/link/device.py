"""The board's library as a program of this machine, built and running.

with Device(build_device(folder), "pty", window=4) as device:
    link = Link(open_channel(device.url))
    device.ram[0:4]                     # the board's memory, by another way than the link
"""

from __future__ import annotations

import importlib.util
import mmap
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType

from hil.core.errors import UnavailableError

PROTOCOL = Path(__file__).parents[3] / "targets" / "firmware" / "protocol"
RAM = 0x70000000
HOLE = 0x90000000
FAULTY = HOLE + 48
STATE = 0xFFFFFF00

WARNINGS = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror")


def compiler() -> list[str]:
    """A C compiler for this machine: its own, else the wheel `ziglang`."""
    if found := shutil.which("cc"):
        return [found]
    if importlib.util.find_spec("ziglang"):
        return [sys.executable, "-m", "ziglang", "cc"]
    raise UnavailableError("no C compiler", hint="apt-get install gcc, or pip install ziglang")


def build(folder: Path, *sources: Path, checked: bool) -> Path:
    """Builds the library with `sources` around it; `checked`: wrong accesses and undefined behaviour end it."""
    program, command = folder / sources[0].stem, compiler()
    sanitizers = "undefined" if "ziglang" in command else "address,undefined"  # the wheel has no address sanitizer
    extra = ["-O1", "-g", f"-fsanitize={sanitizers}", "-fno-sanitize-recover=all"] if checked else ["-O2"]
    command = [*command, *WARNINGS, *extra, "-I", str(PROTOCOL), *map(str, sources)]
    subprocess.run([*command, *map(str, sorted(PROTOCOL.glob("*.c"))), "-o", str(program)], check=True)
    return program


def build_device(folder: Path, checked: bool = False) -> Path:
    """The program of `device.c`."""
    return build(folder, Path(__file__).with_name("device.c"), checked=checked)


class Device:
    """A board with `ram_bytes` at `RAM`; ends with the `with` block, or with this process."""

    def __init__(
        self, program: Path, kind: str, *, ram_bytes: int = 1 << 20, window: int = 1, largest_frame: int = 4096
    ) -> None:
        self._kind = kind
        with tempfile.NamedTemporaryFile() as file:
            file.truncate(ram_bytes)
            self.ram = mmap.mmap(file.fileno(), ram_bytes)
            arguments = [str(program), kind, file.name, str(window), str(largest_frame)]
            self._process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            self._place = self._line()

    @property
    def url(self) -> str:
        """The port, as it is called now."""
        return self._place if self._kind == "pty" else f"socket://127.0.0.1:{self._place}"

    @property
    def tcp_port(self) -> int:
        """Of loopback."""
        return int(self._place)

    def tell(self, order: str) -> None:
        """Sends the command `reset`, `silent` or `port` of `device.c`."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{order}\n")
        self._process.stdin.flush()
        answer = self._line()
        if order == "port":
            self._place = answer

    def __enter__(self) -> Device:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if kind is None and self._process.returncode != 0:
            raise RuntimeError(f"the device ended with {self._process.returncode}")

    def stop(self) -> None:
        """Ends the program; the system gives the name of its pty to whoever opens the next one, so it is not ours."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(600)
        self._process.stdout.close()
        if self._kind == "pty":
            self._place = "/dev/no-such-port"

    def _line(self) -> str:
        assert self._process.stdout is not None
        if not (line := self._process.stdout.readline()):
            raise RuntimeError("the device did not start, or ended")
        return line.strip()
