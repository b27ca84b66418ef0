"""Search for Arm's executables of a Corstone-300 on this machine.

    first(named=None, npu="ethos-u55")      # Found(path, "on PATH"), or None

A program that the user names, by option or environment variable, is the only one that counts: that it is missing is an
error and never a reason to take another.  Then PATH, then the folders that Arm's installer, Arm Virtual Hardware, MLIA
and the scripts of TensorFlow Lite Micro and TVM install to.

Sources of names and folders: Arm's archive (`FVP_*`), Arm Virtual Hardware (`VHT_*`, `/opt/VHT`), Zephyr
(`ARMFVP_BIN_PATH`), TVM (`/opt/arm`), MLIA (`.mlia` in the virtual environment, or at home).
"""

from __future__ import annotations

import os
import platform
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hil.core.errors import BadInputError, UnavailableError

VARIABLES = ("FVP_CORSTONE300", "ARMFVP_BIN_PATH")
"""Environment variables that name Arm's executable, or the folder it is in; the first is this project's own."""

EXECUTABLES = {
    "ethos-u55": (
        "FVP_Corstone_SSE-300_Ethos-U55",
        "FVP_Corstone_SSE-300",
        "VHT_Corstone_SSE-300_Ethos-U55",
        "VHT_MPS3_Corstone_SSE-300",
    ),
    "ethos-u65": ("FVP_Corstone_SSE-300_Ethos-U65", "VHT_Corstone_SSE-300_Ethos-U65"),
}
"""Arm's names of a Corstone-300, by its NPU."""

_BASES = (
    "~/FVP_Corstone_SSE-300",
    "/opt/FVP_Corstone_SSE-300",
    "/opt/arm/FVP_Corstone_SSE-300",
    "/opt/arm",
    "/usr/local/FVP_Corstone_SSE-300",
    "/opt/VHT",
    "~/.mlia/backends/corstone_300",
    "$VIRTUAL_ENV/.mlia/backends/corstone_300",
)

_MODELS = {"x86_64": r"Linux64_GCC-[\d.]+", "aarch64": r"Linux64_armv8l_GCC-[\d.]+"}
"""Folders below `models` in Arm's installation, by the machine they are built for."""


@dataclass(frozen=True)
class Found:
    """An executable, in words where it was found, and whether the user named it."""

    path: Path
    where: str
    named: bool = False


def first(named: Path | None = None, npu: str = "ethos-u55") -> Found | None:
    """The executable for `npu` that counts on this machine; None if there is none.

    Raises `UnavailableError` if what the user or a variable names is no executable, `BadInputError` for an unknown NPU.
    """
    names = names_of(npu)
    if named is not None:
        return Found(_named(named, names, "what was named"), "as it was named", True)
    for variable in VARIABLES:
        if value := os.environ.get(variable):
            return Found(_named(Path(value), names, variable), f"named by {variable}", True)
    for name in names:
        if program := shutil.which(name):
            return Found(Path(program), "on PATH")
    for folder in folders():
        for name in names:
            if is_executable(folder / name):
                return Found(folder / name, f"in {folder}")
    return None


def names_of(npu: str) -> tuple[str, ...]:
    """Arm's names of the executable with that NPU; raises `BadInputError` if there is none."""
    if npu not in EXECUTABLES:
        raise BadInputError(f"no Corstone-300 has an {npu}", hint=f"there are {', '.join(EXECUTABLES)}")
    return EXECUTABLES[npu]


def folders() -> Iterator[Path]:
    """The usual install folders that exist, those for this machine's processor alone, newest compiler first."""
    for base in _BASES:
        yield from below(Path(os.path.expandvars(base)).expanduser())


def below(folder: Path) -> Iterator[Path]:
    """`folder` and the folders below it in which Arm's installations hold their executables."""
    if folder.is_dir():
        yield from (folder, folder / "bin")
        pattern = _MODELS.get(platform.machine(), "")
        built = [found for found in folder.glob("models/*") if re.fullmatch(pattern, found.name)]
        yield from sorted(built, key=lambda found: list(map(int, re.findall(r"\d+", found.name))), reverse=True)


def is_executable(path: Path) -> bool:
    """True if `path` is a file that may be executed."""
    return path.is_file() and os.access(path, os.X_OK)


def _named(named: Path, names: tuple[str, ...], by: str) -> Path:
    path = named.expanduser().absolute()
    if path.is_dir():
        for folder in below(path):
            for name in names:
                if is_executable(folder / name):
                    return folder / name
        raise UnavailableError(f"{named} has no executable of Arm's", hint=f"{by} should be one of {', '.join(names)}")
    if path.is_file() and not is_executable(path):
        raise UnavailableError(f"{named} is not executable", hint=f"chmod +x {named}")
    if not path.is_file():
        raise UnavailableError(f"{named} is no executable", hint=f"{by} names Arm's FVP or its folder")
    return path
