"""A process with mounts of its own: small disks and read-only folders that no other process sees.

done = run_with_mounts("mount -t tmpfs -o size=8k tmpfs disk", ["hil", "tree", "net", "--store", "disk"], folder)
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

_ALONE = ["unshare", "--map-root-user", "--mount"]


@functools.cache
def _permitted() -> bool:
    if shutil.which("unshare") is None:
        return False
    script = "mount -t tmpfs tmpfs /mnt"
    return subprocess.run([*_ALONE, "sh", "-c", script], capture_output=True, check=False).returncode == 0


def run_with_mounts(
    mounts: str, command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs a command in `folder` after the shell's commands `mounts`; skips where a user may mount nothing."""
    if not _permitted():
        pytest.skip("this system lets no user mount a folder (unshare --map-root-user --mount)")
    return subprocess.run(
        [*_ALONE, "sh", "-c", f'{mounts} && exec "$@"', "sh", *command],
        cwd=folder,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
