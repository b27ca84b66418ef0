"""Boards of the MLPerf Tiny protocol as programs of this machine, on a pty or a TCP port of loopback.

`own` is `device.c`; `mlcommons` is the benchmark's own device code, unmodified, from the checkout of mlcommons/tiny
that `HIL_MLPERF_TINY` names (its folder `benchmark/api` and file `benchmark/main.cpp`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
import tty
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hil.targets.firmware.compilers import zig

HERE = Path(__file__).parent
INPUT_BYTES = 70
"""Of a sample: more than two `db` commands."""
CHECKOUT = os.environ.get("HIL_MLPERF_TINY", "")
PROGRAMS = ("own", "mlcommons") if CHECKOUT else ("own",)


def build(program: str, folder: Path) -> Path:
    """The board `program`, compiled by zig."""
    compiler = zig()
    assert compiler is not None
    out, model = folder / program, HERE / "model.c"
    common = ["-O1", "-Wall", "-Wextra", "-Werror", "-I", HERE]
    _run([compiler, "cc", *common, "-c", model, "-o", folder / "model.o"])
    if program == "own":
        _run([compiler, "cc", *common, HERE / "device.c", folder / "model.o", "-o", out])
        return out
    theirs = Path(CHECKOUT) / "benchmark"
    flags = ["-O1", "-w", "-I", theirs, "-I", HERE, '-DTH_MODEL_VERSION="kws01"']
    sources = [theirs / "main.cpp", theirs / "api/internally_implemented.cpp", HERE / "submitter.cpp"]
    _run([compiler, "c++", *flags, *sources, folder / "model.o", "-o", out])
    return out


def checksum(data: bytes) -> int:
    """FNV-1a, as the board makes it of an input."""
    value = 2166136261
    for byte in data:
        value = (value ^ byte) * 16777619 % (1 << 32)
    return value


def write_book(path: Path, answers: dict[bytes, Sequence[str]]) -> Path:
    """The answers of a model: input bytes -> outputs as they are printed."""
    inputs, outputs = len(next(iter(answers))), len(next(iter(answers.values())))
    lines = [f"{inputs} {outputs}", *(f"{checksum(data):08x} {' '.join(words)}" for data, words in answers.items())]
    path.write_text("\n".join(lines) + "\n")
    return path


@dataclass
class Device:
    """A board that runs: `port` is what pyserial opens."""

    port: str
    pids: list[int]

    def kill(self) -> None:
        """The board dies at once."""
        for pid in self.pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def on_pty(program: Path, book: Path, **settings: object) -> Iterator[Device]:
    """A board on a pty."""
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    with _started(program, book, ours, settings) as process:
        try:
            yield Device(os.ttyname(theirs), [process.pid])
        finally:
            os.close(ours)
            os.close(theirs)


@contextlib.contextmanager
def on_tcp(program: Path, book: Path, **settings: object) -> Iterator[Device]:
    """A board behind TCP, which starts anew for each client as boards do whose reset hangs on DTR."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        device = Device(f"socket://127.0.0.1:{listener.getsockname()[1]}", [])

        def serve() -> None:
            with contextlib.suppress(OSError):  # the listener was closed
                while True:
                    client, _ = listener.accept()
                    with client, _started(program, book, client.fileno(), settings) as process:
                        device.pids.append(process.pid)
                        process.wait()

        server = threading.Thread(target=serve)
        server.start()
        try:
            yield device
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            device.kill()
            server.join()


@contextlib.contextmanager
def _started(program: Path, book: Path, line: int, settings: dict[str, object]) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, "BOARD_BOOK": str(book), **{name: str(value) for name, value in settings.items()}}
    process = subprocess.Popen([program, book], stdin=line, stdout=line, env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _run(command: Sequence[object]) -> None:
    subprocess.run([str(word) for word in command], check=True)
