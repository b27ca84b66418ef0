"""Processes of a walk, and their end."""

from __future__ import annotations

import time
from pathlib import Path


def children(pid: int) -> list[int]:
    """Processes that `pid` started and that are not zombies."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = status.read_text().rpartition(")")[2].split()[:2]
        except OSError:  # it ended in the meantime
            continue
        if int(parent) == pid and state != "Z":
            found.append(int(status.parent.name))
    return found


def descendants(pid: int) -> list[int]:
    return [one for child in children(pid) for one in (child, *descendants(child))]


def gone(pids: list[int]) -> bool:
    """True if all end within a few seconds."""
    for _ in range(100):
        alive = [pid for pid in pids if Path(f"/proc/{pid}").exists() and _state(pid) != "Z"]
        if not alive:
            return True
        time.sleep(0.05)
    return False


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"
