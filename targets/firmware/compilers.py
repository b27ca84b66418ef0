"""The C compilers that can build the firmware: `zig cc` of the wheel `ziglang`, and Arm's GCC.

    compiler = find_compiler()              # zig if it is installed: a pinned wheel, so the same ELF on every machine
    compiler.run([*flags, "-c", "npu.c", "-o", "npu.o"], folder)

Neither needs a C library.  The firmware is built without floating point or Helium: it computes nothing that needs them,
and a handler's stack frame then has one form.
"""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hil.core import child_process
from hil.core.errors import BadInputError, BuildError, InfrastructureError, UnavailableError

COMPILERS = ("zig", "gcc")
"""In the order in which they are looked for."""

_SECONDS = 120.0
_MOST_TEXT = 1 << 20
_GCC = "arm-none-eabi-gcc"
_ZIG_TARGET = ("-target", "thumb-freestanding-eabi", "-mfloat-abi=soft")
_GCC_TARGET = ("-mthumb", "-mfloat-abi=soft")
_GCC_EXTENSIONS_OFF = {
    "cortex-m4": "+nofp",
    "cortex-m7": "+nofp",
    "cortex-m33": "+nofp",
    "cortex-m52": "+nomve+nofp",
    "cortex-m55": "+nomve+nofp",
    "cortex-m85": "+nomve+nofp",
}
CPUS = tuple(_GCC_EXTENSIONS_OFF)
"""CPUs that the firmware can be built for: Armv7E-M, and Armv8-M with the Main Extension."""
DEFAULT_CPU = "cortex-m55"
_HINT = "pip install ziglang, or apt-get install gcc-arm-none-eabi"


@dataclass(frozen=True)
class Compiler:
    """`command` is the program with the flags that name the CPU, `version` what it calls itself."""

    name: str
    command: tuple[str, ...]
    version: str

    def run(self, arguments: Sequence[str], folder: Path) -> None:
        """Runs it within `folder`, where its own cache is too; raises `BuildError`, `InfrastructureError`."""
        _run([*self.command, *arguments], folder)


def find_compiler(name: str | None = None, cpu: str = DEFAULT_CPU) -> Compiler:
    """The compiler `name`, or the first of `COMPILERS` that is here, for one of `CPUS`.

    Raises `BadInputError` for another name, `UnavailableError` if it, or all of them, are missing.
    """
    if name is not None and name not in COMPILERS:
        raise BadInputError(f"no compiler {name}", hint=f"one of {', '.join(COMPILERS)}")
    if cpu not in CPUS:
        raise BadInputError(f"the firmware does not run on a CPU {cpu}", hint=f"one of {', '.join(CPUS)}")
    for candidate in COMPILERS if name is None else (name,):
        compiler = _zig(cpu) if candidate == "zig" else _gcc(cpu)
        if compiler is not None:
            return compiler
    raise UnavailableError(f"{name or 'a C compiler for Cortex-M'} is not installed", hint=_HINT)


def zig() -> Path | None:
    """The program in the wheel `ziglang`, if that is installed."""
    spec = importlib.util.find_spec("ziglang")
    if spec is None or spec.origin is None:
        return None
    program = Path(spec.origin).parent / "zig"
    return program if program.is_file() else None


def _zig(cpu: str) -> Compiler | None:
    program = zig()
    if program is None:
        return None
    version = _output([str(program), "version"])
    return Compiler("zig", (str(program), "cc", *_ZIG_TARGET, f"-mcpu={cpu.replace('-', '_')}"), f"zig {version}")


def _gcc(cpu: str) -> Compiler | None:
    program = shutil.which(_GCC)
    if program is None:
        return None
    version = _output([program, "--version"]).splitlines()[0]
    return Compiler("gcc", (program, *_GCC_TARGET, f"-mcpu={cpu}{_GCC_EXTENSIONS_OFF[cpu]}"), version)


def _output(command: list[str]) -> str:
    ended = child_process.run(command, _SECONDS, by_progress=True)
    if ended.code != 0:
        raise UnavailableError(f"{command[0]} does not start: {ended.last_line or ended.code}", hint=_HINT)
    return ended.output.strip()


def _run(command: list[str], folder: Path) -> None:
    caches = {"ZIG_GLOBAL_CACHE_DIR": str(folder / "zig"), "ZIG_LOCAL_CACHE_DIR": str(folder / "zig")}
    ended = child_process.run(
        command,
        _SECONDS,
        folder=folder,
        environment={**caches, "LC_ALL": "C"},
        most_text=_MOST_TEXT,
        by_progress=True,
    )
    if ended.code is None:
        raise InfrastructureError(
            f"the compiler failed: {command[0]} did not end, computing or waiting for {_SECONDS:g} s"
        )
    if ended.code:
        first = next((line for line in ended.output.splitlines() if "error" in line), "").strip()
        raise BuildError(f"the firmware does not compile: {first}", log=ended.output)
