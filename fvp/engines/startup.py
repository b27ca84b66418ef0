"""Start of an FVP executable: its version, and the cures of known start failures.

    started = start(Path("/opt/arm/.../FVP_Corstone_SSE-300_Ethos-U55"))
    started.version, started.environment       # "11.27.42", {"LD_LIBRARY_PATH": ".../python/lib"}

=============================================== ==========================================================
the program says, or the system                  what is done
=============================================== ==========================================================
`cannot enable executable stack`                 started with `GLIBC_TUNABLES=glibc.rtld.execstack=2`
`libpython3.9.so.1.0: cannot open shared object` started with its installation's `python/lib`
exec format error                                the hint names both processors
not executable, a library or licence missing     the hint says what to install or to set
=============================================== ==========================================================

A cure is tried once each, and only if it was asked for by the program's own words.

Sources: glibc 2.41's notes (executable stacks, `glibc.rtld.execstack`); public scripts of FVP 11.27 users, whose
archive brings a `python/lib`; Arm's `--version` prints `Fast Models [11.27.42 (Dec  9 2024)]`.  The wording of Arm's
licence errors is not known: any that speak of a licence are taken for one.
"""

from __future__ import annotations

import errno
import functools
import os
import platform
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hil.core.errors import UnavailableError
from hil.fvp.command_line import contract

_VERSION_SECONDS = 60
_MACHINES = {0x3E: "x86_64", 0xB7: "aarch64", 0x28: "arm", 0x03: "i386"}
"""ELF's numbers of processors (`e_machine`)."""

_EXECSTACK = "GLIBC_TUNABLES"
_LIBRARIES = "LD_LIBRARY_PATH"


@dataclass(frozen=True)
class Started:
    """A program that starts: what it said to `--version`, and what its environment needs beside this process's own.

    `version` is the simulator's own number, such as `11.27.42`; empty for the open executable (`is_open`).
    """

    said: str
    version: str
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """True for this project's executable, whatever its name."""
        return contract.OPEN_NAME in self.said


def start(path: Path) -> Started:
    """Asks the program for its version, with the known cures where it needs one.

    Raises `UnavailableError` with the program's own words and a hint if it does not start, or is no FVP.
    """
    return _start(path, path.stat().st_mtime_ns)


@functools.cache
def _start(path: Path, changed: int) -> Started:
    """`changed` is the file's time of change, for the cache alone."""
    environment: dict[str, str] = {}
    while True:
        code, said = _ask(path, environment)
        if code == 0 and not _refused(said):
            return _read(path, said, environment)
        cure = {name: value for name, value in _cure(path, said).items() if name not in environment}
        if not cure:
            raise UnavailableError(f"{path} does not start: {_last_line(said)}", hint=hint(said), log=said)
        environment |= cure


def _read(path: Path, said: str, environment: Mapping[str, str]) -> Started:
    if contract.OPEN_NAME in said:
        return Started(said, "", environment)
    if not (version := number(said)):
        raise UnavailableError(
            f"{path} is no FVP: it answers {_last_line(said) or 'nothing'!r} to --version",
            hint="Arm's programs answer 'Fast Models [version (date)]'",
        )
    return Started(said, version, environment)


def number(said: str) -> str:
    """The simulator's version in what it says to `--version`; empty if it says none."""
    match = re.search(r"\[(\d[\w.]*) ", said)
    return match[1] if match else ""


def _ask(path: Path, environment: Mapping[str, str]) -> tuple[int, str]:
    """Exit code and words of `--version`; raises `UnavailableError` where there is nothing to be asked."""
    try:
        done = subprocess.run(
            [path, "--version"], capture_output=True, text=True, errors="replace", timeout=_VERSION_SECONDS,
            stdin=subprocess.DEVNULL, env={**os.environ, **environment},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"{path} did not tell its version in {_VERSION_SECONDS} s") from None
    except OSError as error:
        if error.errno == errno.ENOEXEC:
            raise UnavailableError(f"{path} {_wrong_machine(path)}", hint=_MACHINE_HINT) from None
        raise UnavailableError(f"{path} does not start: {error.strerror}", hint=_os_hint(path, error)) from None
    return done.returncode, (done.stdout + done.stderr).strip()


_MACHINE_HINT = "Arm has an archive for each; `hil fvp install` takes this machine's"


def _wrong_machine(path: Path) -> str:
    header = path.open("rb").read(20)
    if header[:4] != b"\x7fELF":
        return "is no program that this machine can run"
    built = _MACHINES.get(int.from_bytes(header[18:20], "little"), "another processor")
    return f"is built for {built} and this machine is {platform.machine()}"


def _os_hint(path: Path, error: OSError) -> str:
    if error.errno == errno.EACCES:
        return f"chmod +x {path}"
    if error.errno == errno.ENOENT and path.exists():
        return "its interpreter or loader is missing: a 64-bit GNU/Linux system is needed"
    return ""


def _refused(said: str) -> bool:
    """True if the output is of a start that failed, whatever the exit code was."""
    return "error while loading shared libraries" in said or "cannot enable executable stack" in said


def _cure(path: Path, said: str) -> dict[str, str]:
    """Environment variables that cure the failure in the program's output; empty if no cure is known."""
    cure = {}
    if "cannot enable executable stack" in said:
        before = os.environ.get(_EXECSTACK)
        cure[_EXECSTACK] = f"{before}:glibc.rtld.execstack=2" if before else "glibc.rtld.execstack=2"
    if library := _missing_library(said):
        for root in path.resolve().parents[:4]:
            if (root / "python" / "lib" / library).exists():
                before = os.environ.get(_LIBRARIES)
                cure[_LIBRARIES] = f"{root / 'python' / 'lib'}{os.pathsep + before if before else ''}"
                break
    return cure


def _missing_library(said: str) -> str:
    match = re.search(r"(\S+\.so[\w.]*): cannot open shared object file", said)
    return Path(match[1]).name if match else ""


def hint(said: str) -> str:
    """Advice for the failure in a program's output where no cure helped; empty if none is known."""
    if "executable stack" in said:
        return "this C library refuses its executable stack: patchelf --clear-execstack on libarmctmodel.so beside it"
    library = _missing_library(said)
    if library.startswith("libpython"):
        return f"install {library.partition('.so')[0]}, or add its installation's python/lib to {_LIBRARIES}"
    if library:
        return f"install what has {library}, such as Debian's libatomic1 for libatomic.so.1"
    if re.search(r"licen[cs]e", said, re.IGNORECASE):
        return "it asks for a licence: the Ecosystem FVP needs none; `hil fvp install` fetches that one"
    if re.search(r"version `GLIBC\w*_[\d.]+' not found", said):
        return "this system's C library is too old for it; use --engine docker"
    return ""


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].strip()[:300] if lines else ""
