"""Runs the programs that a board's description names: power switches, resets, flashers.

    run(("uhubctl", "-a", "cycle", "-p", "{port}"), {"port": "1-2"}, limit_s=30)

Never through a shell.  A program, and what it starts, ends with its time limit, and with this process.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence

from hil.core import child_process
from hil.core.child_process import Say


class ProgramError(Exception):
    """The program did not start, failed, or did not end in time; `log` is its output."""

    def __init__(self, message: str, log: str = "") -> None:
        super().__init__(message)
        self.log = log


def run(words: Sequence[str], values: Mapping[str, str], limit_s: float, say: Say | None = None) -> str:
    """Runs a program and returns its output, the last 64 KB of it; `say` gets it line by line.

    `{name}` in a word is replaced by `values[name]`, if that is there.  Raises `ProgramError`.
    """
    name, *arguments = [re.sub(r"\{(\w+)\}", lambda found: values.get(found[1], found[0]), word) for word in words]
    program = shutil.which(name)
    if program is None:
        raise ProgramError(f"{name}: no such program")
    ended = child_process.run([os.path.abspath(program), *arguments], limit_s, say)  # noqa: PTH100
    if ended.code is None:
        raise ProgramError(f"{name} did not end within {limit_s:g} s", ended.output)
    if ended.code:
        last = f": {ended.last_line}" if ended.last_line else ""
        raise ProgramError(f"{name} ended with {ended.code}{last}", ended.output)
    return ended.output
