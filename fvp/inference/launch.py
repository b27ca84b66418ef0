"""An FVP as a child process: started, listened to, ended, and judged by how it ended.

    with anonymous(data) as file:
        uart = launch(program, line, [file.fileno()], limit_s=60)

Files are anonymous and in memory, so a full disk hinders nothing.  The FVP may compute for its time limit, or wait for
as long, until a sample is done: on a loaded machine both take longer on the clock on the wall.  It also ends with this
process.
"""

from __future__ import annotations

import math
import os
import select
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from hil.core import lifeline
from hil.core.errors import BadInputError, BootError, FaultError, FvpError, HangError, StoppedError
from hil.fvp.command_line import contract
from hil.fvp.engines.engine import Engine
from hil.fvp.inference import report
from hil.fvp.inference.uart_log import Logs

_ELSEWHERE_SECONDS = 60.0
"""Time beyond its time limit that an FVP on another machine may take for its start and end."""

_FAULT_SECONDS = 0.5
"""Time for which a fault handler may still print before it is ended."""

_LOOK_SECONDS = 0.2
"""Longest time until a cancelled run ends."""

_CLOSED_SECONDS = 0.01
"""Time between two looks at an FVP that has closed its output and not ended."""

_LINE = 512
"""Bytes of a line that are looked at for a fault handler's, or quoted."""

_MESSAGES = 1 << 20
"""Bytes of its standard error that go into the log, its last ones."""


def launch(
    program: Engine,
    line: contract.CommandLine,
    descriptors: list[int],
    *,
    limit_s: float,
    samples: int = 1,
    stop: threading.Event | None = None,
    finished: Callable[[int], None] | None = None,
) -> list[str]:
    """Runs the FVP to its end and returns its UART's output per sample; `finished` is called with how many are done.

    `limit_s` is the time limit of one sample, in seconds of computing or of waiting.  Raises what it ended with if that
    was no ordinary end, with the log of the sample that it was at, `StoppedError` once another thread has set `stop`.
    """
    stop = stop or threading.Event()
    command = [*program.command, *contract.arguments(line)]
    environment = {**os.environ, **program.environment}
    if program.tied:
        environment[contract.OPEN_PARENT] = str(os.getpid())
        command.append("-q")
    else:
        command = lifeline.through(os.getpid(), command)
    with anonymous(b"") as messages:
        try:
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=messages, pass_fds=descriptors,
                env=environment,
            )  # fmt: skip
        except OSError as error:
            raise BootError(f"{command[0]} cannot be started: {error.strerror}") from None
        try:
            logs = Logs(samples)
            patience_s = limit_s + (_ELSEWHERE_SECONDS if program.elsewhere else 0.0)
            hung = _listen(child, logs, patience_s, stop, finished)
        finally:
            _end(child)
        messages.seek(max(0, messages.seek(0, os.SEEK_END) - _MESSAGES))
        said = messages.read().decode(errors="replace")
    texts = logs.texts()
    if stop.is_set():
        raise StoppedError("the run was ended by who started it", log=texts[-1])
    _judge(texts[-1], child.returncode, said, hung)
    return texts


def _listen(
    child: subprocess.Popen[bytes],
    logs: Logs,
    patience_s: float,
    stop: threading.Event,
    finished: Callable[[int], None] | None,
) -> str:
    """Adds what `child` prints to `logs` until it ends or `stop`; returns why it hangs, or an empty text."""
    from hil.core.progress_watch import ProgressWatch

    assert child.stdout is not None
    watch, look_s = ProgressWatch(child.pid, patience_s, strict=True), min(_LOOK_SECONDS, patience_s / 4)
    fault_ends, next_look = math.inf, 0.0
    recent, is_open = b"", True
    while not stop.is_set() and (now := time.monotonic()) < fault_ends:
        if now >= next_look:
            if why := watch.why_hanging():
                return why
            next_look = now + look_s
        ended = child.poll() is not None  # what it printed until then is read
        if is_open and select.select([child.stdout], [], [], 0 if ended else look_s)[0]:
            chunk = os.read(child.stdout.fileno(), 1 << 16)
            is_open, complete = bool(chunk), logs.complete
            logs.take(chunk)
            if logs.complete > complete:
                watch.progressed()
                if finished:
                    finished(logs.complete)
            recent += chunk
            if report.FAULT.search(recent.decode(errors="replace")):
                fault_ends = min(fault_ends, now + _FAULT_SECONDS)
            recent = recent[-_LINE:]
        elif ended:
            return ""
        elif not is_open:
            time.sleep(_CLOSED_SECONDS)
    return ""


def _end(child: subprocess.Popen[bytes]) -> None:
    """Ends the child, politely and then not."""
    if child.stdout:
        child.stdout.close()
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(2)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _judge(uart: str, code: int, said: str, hung: str) -> None:
    """Raises the error that `code`, UART log and standard error show, or that it `hung`, if it was no ordinary end."""
    log = uart + ("\n" + said if said else "")
    if fault := report.FAULT.search(uart):
        raise FaultError(f"the firmware faulted: {fault[0].strip()[:_LINE]}", log=log)
    if hung or contract.LIMIT_REACHED in said + uart:
        why = f"the FVP is {hung}" if hung else "its time is over"
        if not uart.strip():
            raise BootError(f"the firmware printed nothing: {why}", log=log)
        last = uart.strip().splitlines()[-1].strip()[:_LINE]
        raise HangError(f"the firmware did not end: {why}; its last line: {last}", log=log)
    if code:
        message = said.strip().splitlines()[-1][:_LINE] if said.strip() else "it said nothing"
        message = message.removeprefix("Error: ").removeprefix("corstone300-open: ")
        if code == contract.EXIT_USAGE:
            raise BadInputError(f"the FVP refused its command line: {message}", log=log)
        kind: type[FvpError] = FaultError if uart.strip() else BootError
        raise kind(f"the FVP ended with {f'signal {-code}' if code < 0 else f'exit code {code}'}: {message}", log=log)


def anonymous(data: bytes) -> IO[bytes]:
    """A file without a name that holds `data`; in memory where the system can do that."""
    in_memory = hasattr(os, "memfd_create")
    file: IO[bytes] = os.fdopen(os.memfd_create("fvp"), "r+b") if in_memory else tempfile.TemporaryFile()  # noqa: SIM115
    file.write(data)
    file.seek(0)
    return file


def path_of(file: IO[bytes]) -> Path:
    """The name under which a child that inherits `file` can open it."""
    return Path(f"/dev/fd/{file.fileno()}")
