"""Launchers with Arm's names that start the open executable, for tools that look for Arm's.

    write(Path("fvp"))      # fvp/FVP_Corstone_SSE-300_Ethos-U55 and others; the same in fvp/models/Linux64_GCC-9.3

The folder is laid out as Arm's installation is, so that it does for tools that want it on PATH and for those that want
to be given the installation's folder.  The launchers name the started program in their `--version`.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from hil.core.errors import BadInputError
from hil.fvp.command_line import contract
from hil.fvp.engines.engine import OPEN_COMMAND
from hil.fvp.engines.search import EXECUTABLES

LAYOUT = "models/Linux64_GCC-9.3"
"""Folder of the executables in Arm's installation for x86-64; MLIA looks nowhere else."""

_MARK = f"# Starts {contract.OPEN_NAME} under Arm's name; written by `hil fvp shim`."


def write(folder: Path) -> list[Path]:
    """Writes a launcher for each of Arm's names into `folder`; gives their paths.

    Raises `BadInputError` if a file of that name is there that is no launcher, or the folder cannot be written.
    """
    wanted = [
        (place / name, npu)
        for place in (folder, folder / LAYOUT)
        for npu, names in EXECUTABLES.items()
        for name in names
    ]
    try:
        for path, _ in wanted:
            if path.is_symlink() or (path.exists() and _MARK.encode() not in path.read_bytes()[:4096]):
                raise BadInputError(f"{path} is there already, and is no launcher", hint="name another DIR")
        for path, npu in wanted:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(launcher(npu))
            path.chmod(0o755)
    except OSError as error:
        raise BadInputError(f"{folder} cannot be written: {error.strerror}") from None
    return [path for path, _ in wanted]


def launcher(npu: str) -> str:
    """The text of a launcher: the open executable of this Python, with the NPU that the name stands for."""
    start = shlex.join([*OPEN_COMMAND, "-C", f"open.npu={npu}"])
    return f'#!/bin/sh\n{_MARK}\nexec {start} "$@"\n'
