"""Ties a child process to its parent's life, so that a killed parent leaves nothing running.

A parent that ends in an orderly way ends its children itself.  One that is killed (SIGKILL, out of memory) cannot;
Linux can be asked to send a process a signal when the thread that started it ends (`PR_SET_PDEATHSIG`).  Elsewhere
there is no such thing and `tie` does nothing.

A program that is not ours is started through this file:  `python lifeline.py PARENT_PID PROGRAM ARGUMENT...`
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1

_NOT_STARTED = 127
"""Exit code for a program that cannot be started, as shells have it."""


def tie(parent: int, sign: signal.Signals = signal.SIGKILL) -> None:
    """Has the kernel send `sign` to this process when its parent ends; ends it now if the parent has ended already."""
    if sys.platform != "linux":
        return
    import ctypes

    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(sign), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(128 + sign)


def through(parent: int, command: Sequence[str]) -> list[str]:
    """`command` started so that it ends with process `parent`."""
    if sys.platform != "linux":
        return list(command)
    return [sys.executable, "-I", "-S", str(Path(__file__)), str(parent), *command]


def main(argv: Sequence[str]) -> None:
    """Ties this process to `argv[0]` (a process id) and becomes the program `argv[1:]`."""
    tie(int(argv[0]))
    try:
        os.execv(argv[1], list(argv[1:]))
    except OSError as error:
        print(f"Error: {argv[1]} cannot be started: {error.strerror}", file=sys.stderr)
        sys.exit(_NOT_STARTED)


if __name__ == "__main__":
    main(sys.argv[1:])
