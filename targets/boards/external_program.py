"""Runs the programs that a board's description names: power switches, resets, flashers.

    run(("uhubctl", "-a", "cycle", "-p", "{port}"), {"port": "1-2"}, limit_s=30)

Never through a shell.  A program, and what it starts, ends with its time limit, and with this process.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence

from hil.core import lifeline

_MOST_TEXT = 64 << 10
_LOOK_S = 0.02
_LINE_END = re.compile(r"[\r\n]+")
Say = Callable[[str], None]


class ProgramError(Exception):
    """The program did not start, failed, or did not end in time; `log` is what it printed."""

    def __init__(self, message: str, log: str = "") -> None:
        super().__init__(message)
        self.log = log


def run(words: Sequence[str], values: Mapping[str, str], limit_s: float, say: Say | None = None) -> str:
    """What the program printed, on either stream, the last 64 KB of it; `say` gets it line by line while it runs.

    `{name}` in a word is replaced by `values[name]`, if that is there.  Raises `ProgramError`.
    """
    command = [re.sub(r"\{(\w+)\}", lambda found: values.get(found[1], found[0]), word) for word in words]
    program = shutil.which(command[0])
    if program is None:
        raise ProgramError(f"{command[0]}: no such program")
    tied = lifeline.through(os.getpid(), [os.path.abspath(program), *command[1:]])  # noqa: PTH100
    process = subprocess.Popen(
        tied, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )
    said = _Said(say)
    try:
        over = _listen(process, time.monotonic() + limit_s, said)
    finally:
        _end(process)
    if over:
        raise ProgramError(f"{command[0]} did not end within {limit_s:g} s", said.text)
    if process.returncode:
        raise ProgramError(f"{command[0]} ended with {process.returncode}{_last(said.text)}", said.text)
    return said.text


class _Said:
    """What a program said; whole lines are passed on."""

    def __init__(self, say: Say | None) -> None:
        self.text = ""
        self._say = say
        self._rest = ""

    def take(self, data: bytes) -> None:
        text = data.decode(errors="replace")
        self.text = (self.text + text)[-_MOST_TEXT:]
        *lines, self._rest = _LINE_END.split((self._rest + text)[-_MOST_TEXT:])
        for line in filter(None, lines):
            if self._say:
                self._say(line)


def _listen(process: subprocess.Popen[bytes], end: float, said: _Said) -> bool:
    """Until the program has ended, though a child of it may still hold its output; True if its time is over."""
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while (left := end - time.monotonic()) > 0:
            ended = process.poll() is not None
            if selector.select(0 if ended else min(left, _LOOK_S)):
                data = os.read(process.stdout.fileno(), 4096)
                if data:
                    said.take(data)
                    continue
                selector.unregister(process.stdout)
            if ended:
                return False
    return True


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends the program and what it started; what made itself a session of its own is not ours any more."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def _last(said: str) -> str:
    lines = said.strip().splitlines()
    return f": {lines[-1]}" if lines else ""
