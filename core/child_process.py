"""A program run to its end as a child process: never through a shell, with a time limit and bounded output.

    ended = run(["pyocd", "flash", "app.elf"], limit_s=300, say=print)
    ended.code, ended.output

The program, and what it started, ends with its time limit and with this process.  Programs that are talked to while
they run are no case for this module.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hil.core import lifeline

Say = Callable[[str], None]
"""Called with each line of output, without its end."""

_LOOK_S = 0.02
_PROGRESS_LOOK_S = 1.0
_LINE_END = re.compile(r"[\r\n]+")


@dataclass(frozen=True)
class EndedProgram:
    """The exit code (None: the time limit was reached) and the last bytes of the output, both streams together."""

    code: int | None
    output: str

    @property
    def last_line(self) -> str:
        """The last line of the output that is not blank; empty if there is none."""
        lines = self.output.strip().splitlines()
        return lines[-1] if lines else ""


def run(
    command: Sequence[str],
    limit_s: float,
    say: Say | None = None,
    *,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    most_text: int = 64 << 10,
    by_progress: bool = False,
) -> EndedProgram:
    """Runs `command`, whose first word is a path, in `folder`; `environment` is added to this process's own.

    A program that speaks with hardware has `limit_s` on the clock.  With `by_progress` it may compute for `limit_s`, or
    wait for as long, which takes longer on a loaded machine.
    `say` gets the output line by line; of all of it the last `most_text` characters are returned.  A program that
    cannot be started ends with 127, as in a shell.
    """
    process = subprocess.Popen(
        lifeline.through(os.getpid(), command),
        cwd=folder,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    output = _Output(say, most_text)
    try:
        is_over = _progress_limit(process.pid, limit_s) if by_progress else _wall_limit(limit_s)
        in_time = _listen(process, is_over, output)
    finally:
        _end(process)
    return EndedProgram(process.returncode if in_time else None, output.text)


class _Output:
    """The end of a program's output; whole lines are passed on."""

    def __init__(self, say: Say | None, most: int) -> None:
        self.text = ""
        self._say = say
        self._most = most
        self._rest = ""

    def take(self, data: bytes) -> None:
        text = data.decode(errors="replace")
        self.text = (self.text + text)[-self._most :]
        *lines, self._rest = _LINE_END.split((self._rest + text)[-self._most :])
        for line in filter(None, lines):
            if self._say:
                self._say(line)


def _wall_limit(limit_s: float) -> Callable[[], bool]:
    end = time.monotonic() + limit_s
    return lambda: time.monotonic() >= end


def _progress_limit(pid: int, limit_s: float) -> Callable[[], bool]:
    from hil.core.progress_watch import ProgressWatch

    watch, next_look = ProgressWatch(pid, limit_s, strict=True), 0.0

    def is_over() -> bool:
        nonlocal next_look
        if time.monotonic() < next_look:
            return False
        next_look = time.monotonic() + min(_PROGRESS_LOOK_S, limit_s / 4)
        return bool(watch.why_hanging())

    return is_over


def _listen(process: subprocess.Popen[bytes], is_over: Callable[[], bool], output: _Output) -> bool:
    """Reads until the program has ended, though a child of it may still hold its output; False if its time is over."""
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while not is_over():
            ended = process.poll() is not None
            if selector.select(0 if ended else _LOOK_S):
                data = os.read(process.stdout.fileno(), 4096)
                if data:
                    output.take(data)
                    continue
                selector.unregister(process.stdout)
            if ended:
                return True
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends the program and its descendants, but for those that made a session of their own."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()
