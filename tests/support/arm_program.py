"""Programs that answer as Arm's FVP is known to: real processes with Arm's words."""

from __future__ import annotations

from pathlib import Path

FAST_MODELS = "Fast Models [11.27.42 (Dec  9 2024)]"
STACK = "libarmctmodel.so: cannot enable executable stack as shared object requires: Invalid argument"
PYTHON = "error while loading shared libraries: libpython3.9.so.1.0: cannot open shared object file: No such file"


def program(path: Path, *lines: str) -> Path:
    """An executable shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)
    return path


def arm(path: Path) -> Path:
    """A program that answers as Arm's does, and runs nothing."""
    return program(path, f"echo '{FAST_MODELS}'", "echo 'Copyright 2000-2024 ARM Limited.'")
