"""Processes of this machine: those below another, those with a text in their command line, and their end."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from pathlib import Path


def children_of(pid: int) -> list[int]:
    """Ids of the living processes below `pid`."""
    parents = {int(stat.parent.name): _parent(stat) for stat in Path("/proc").glob("[0-9]*/stat")}
    below = {pid}
    for _ in range(4):
        below |= {child for child, parent in parents.items() if parent in below}
    return sorted(below - {pid})


def _parent(stat: Path) -> int:
    try:
        return int(stat.read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return -1


def running_with(text: str) -> list[int]:
    """Ids of the living processes in whose command line `text` stands."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if text.encode() in file.read_bytes():
                found.append(int(file.parent.name))
        except OSError:
            continue
    return found


def wait_until_gone(text: str, seconds: float = 60.0) -> list[int]:
    """Waits until no process has `text` in its command line; gives those that stayed."""
    until = time.monotonic() + seconds
    while (left := running_with(text)) and time.monotonic() < until:
        time.sleep(0.02)
    return left


def code_after(child: subprocess.Popen[bytes], sign: signal.Signals) -> int:
    """The exit code of a child that gets the signal.  Python itself may lose a SIGINT while it starts, but not two."""
    try:
        for _ in range(2 if sign == signal.SIGINT else 1):
            child.send_signal(sign)
            with contextlib.suppress(subprocess.TimeoutExpired):
                return child.wait(10)
        raise AssertionError(f"it goes on after {sign.name}")
    finally:
        child.kill()
        child.wait()
