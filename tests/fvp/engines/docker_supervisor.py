"""Starts a Docker daemon, and ends it with all that it leaves when its standard input ends.

    python docker_supervisor.py FOLDER dockerd OPTION...      # until standard input ends

The tests hold the other end of standard input, so it ends with them, however they end; this process stays to clean up.
"""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
from pathlib import Path

_TIED = """
import os, signal, sys
from hil.core import lifeline
lifeline.tie(int(sys.argv[1]), signal.SIGTERM)
os.execvp(sys.argv[2], sys.argv[2:])
"""
"""Starts a program that the kernel ends when this one is killed."""


def keep(folder: Path, command: list[str]) -> None:
    """Runs `command`, which works in `folder`, while standard input lasts; then nothing is left of either."""
    process = subprocess.Popen([sys.executable, "-c", _TIED, str(os.getpid()), *command], stdin=subprocess.DEVNULL)
    while process.poll() is None and not select.select([sys.stdin], [], [], 0.1)[0]:
        pass
    process.terminate()
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for mount in reversed(mounts_below(folder)):  # dockerd leaves its network namespace mounted
        subprocess.run(["umount", "--lazy", mount], check=False)
    if select.select([sys.stdin], [], [], 0)[0]:  # Otherwise it did not start, and its log is still to be read.
        shutil.rmtree(folder, ignore_errors=True)


def mounts_below(folder: Path) -> list[str]:
    """Mount points below `folder`."""
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return [point for line in lines if (point := line.split(" ")[1]).startswith(f"{folder}/")]


if __name__ == "__main__":
    keep(Path(sys.argv[1]), sys.argv[2:])
