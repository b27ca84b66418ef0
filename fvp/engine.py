"""Which program plays the FVP.

    engine = find("auto")
    engine.name, engine.version, engine.command

======= =====================================================================================================
name    program
======= =====================================================================================================
open    `corstone300`: stock QEMU and the modelled NPU; runs everywhere QEMU does
arm     Arm's own FVP or AVH model, if this machine has it: `FVP_CORSTONE300`, PATH, the usual folders
auto    `arm` if it is found, else `open`
======= =====================================================================================================

All take the same command line.  An open executable that bears Arm's name (other tools' scripts look for one) says
itself what it is: it is started as it was found, and called `open`.  The `arm` engine's detection and start are written
to Arm's documentation; Arm's program itself was not at hand to try them with.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from hil.fvp import contract
from hil.npu.errors import BadInputError, UnavailableError

NAMES = ("open", "arm", "auto")

VARIABLE = "FVP_CORSTONE300"
"""Environment variable that names Arm's executable, or the folder it is in."""

EXECUTABLES = (
    "FVP_Corstone_SSE-300_Ethos-U55",
    "FVP_Corstone_SSE-300",
    "VHT_Corstone_SSE-300_Ethos-U55",
    "VHT_MPS3_Corstone_SSE-300",
)
"""Arm's names of a Corstone-300 with an Ethos-U55."""

_FOLDERS = (
    "~/FVP_Corstone_SSE-300/models/Linux64_GCC-*",
    "~/FVP_Corstone_SSE-300/models/Linux64_armv8l_GCC-*",
    "/opt/FVP_Corstone_SSE-300/models/Linux64_GCC-*",
    "/opt/arm/FVP_Corstone_SSE-300/models/Linux64_GCC-*",
    "/opt/VHT/bin",
)
_VERSION_SECONDS = 60

OPEN_COMMAND = (sys.executable, "-m", "hil.fvp.corstone300")
"""How it is started where no other executable is named."""


@dataclass(frozen=True)
class Engine:
    """A program that takes the FVP's command line: `command` is what its arguments are appended to.

    `version` identifies program and version in records; `modelled` says that cycles are our timing model's.
    """

    name: str
    version: str
    command: tuple[str, ...]
    modelled: bool


def find(name: str = "auto", executable: Path | None = None) -> Engine:
    """The engine called `name`; `executable` is Arm's program if the user named it.

    Raises `BadInputError` for a name that is none, `UnavailableError` if it is not on this machine.
    """
    if name not in NAMES:
        raise BadInputError(f"no engine is called {name!r}", hint=f"known are {', '.join(NAMES)}")
    arm = None if name == "open" else find_arm(executable)
    if arm is not None:
        said = _said_version(arm)
        if contract.OPEN_NAME in said:
            return Engine("open", said.splitlines()[0], (str(arm),), modelled=True)
        return Engine("arm", _arm_version(arm, said), (str(arm),), modelled=False)
    if name == "arm":
        raise UnavailableError(
            "Arm's Corstone-300 FVP is not on this machine",
            hint=f"download it from developer.arm.com and put it on PATH, or name it in {VARIABLE}",
        )
    return Engine("open", _open_version(), OPEN_COMMAND, modelled=True)


def find_arm(executable: Path | None = None) -> Path | None:
    """Arm's executable: what the user named, `FVP_CORSTONE300`, PATH, or the usual folders; None if there is none.

    Raises `UnavailableError` if what the user or the variable names is not there.
    """
    named = str(executable) if executable else os.environ.get(VARIABLE, "")
    if named:
        path = Path(named).expanduser()
        for candidate in [path, *(path / program for program in EXECUTABLES)]:
            if candidate.is_file() and os.access(candidate, os.X_OK):
                return candidate
        raise UnavailableError(f"{named} is no executable", hint=f"{VARIABLE} names Arm's FVP or its folder")
    for program in EXECUTABLES:
        if found := shutil.which(program):
            return Path(found)
    for pattern in _FOLDERS:
        expanded = Path(pattern).expanduser()
        for folder in sorted(Path(expanded.anchor).glob(str(expanded.relative_to(expanded.anchor))), reverse=True):
            for program in EXECUTABLES:
                if os.access(folder / program, os.X_OK):
                    return folder / program
    return None


def _open_version() -> str:
    from hil.fvp.corstone300 import version

    return version()


@functools.cache
def _said_version(path: Path) -> str:
    """What the program prints as its version; raises `UnavailableError` with its own words if it does not start."""
    try:
        done = subprocess.run(
            [path, "--version"], capture_output=True, text=True, errors="replace", timeout=_VERSION_SECONDS
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise UnavailableError(f"{path} does not start: {error}") from None
    text = (done.stdout + done.stderr).strip()
    if done.returncode:
        raise UnavailableError(f"{path} does not start: {text[:300]}", hint=_remedy(text))
    return text


def _arm_version(path: Path, said: str) -> str:
    match = re.search(r"\[(\d[\w.]*) ", said)
    return f"{path.name} {match[1] if match else said.partition(chr(10))[0]}"


def _remedy(text: str) -> str:
    """What is known to help when Arm's program does not start."""
    if "executable stack" in text:
        return "this C library refuses its executable stack: set GLIBC_TUNABLES=glibc.rtld.execstack=2"
    if "libpython" in text:
        return "add the folder python/lib of its installation to LD_LIBRARY_PATH"
    return ""
