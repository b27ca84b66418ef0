"""Origin of a run: the commit of the user's repository, the programs and the machine.

    origin(Path.cwd())    # {"commit": "3f0c...", "branch": "main", "changed": "yes", "harness": "0.9.0", ...}

It is for people and for the attribution of a change; no figure is refused for it.
"""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from pathlib import Path

_PATIENCE_S = 20.0


def origin(folder: Path) -> dict[str, str]:
    """Returns the origin by name, without what is not known."""
    found = {
        "commit": _git(folder, "rev-parse", "HEAD"),
        "branch": _git(folder, "branch", "--show-current"),
        "changed": "yes" if _git(folder, "status", "--porcelain", "--untracked-files=no") else "",
        "harness": importlib.metadata.version("ethosu-hil"),
        "python": platform.python_version(),
        "system": platform.platform(terse=True),
        "cpu": cpu_name(),
    }
    return {name: value for name, value in found.items() if value}


def _git(folder: Path, *words: str) -> str:
    """Returns what git prints about a folder; empty without git or a repository."""
    command = ["git", "-C", str(folder), "--no-optional-locks", *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def cpu_name() -> str:
    """Returns the processor's name, on Linux; else its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
