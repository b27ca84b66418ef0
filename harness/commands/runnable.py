"""The model file of `hil run`: a `.tflite`, or an ExecuTorch program (`.pte`), which some targets take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hil.core.errors import BadInputError
from hil.harness.commands import arguments
from hil.targets import registry
from hil.targets.declaration import Declaration, File

if TYPE_CHECKING:
    from hil.targets.execution.signature import Signature

SUFFIX = ".pte"


def read_runnable(path: Path) -> tuple[bytes, Signature, bool]:
    """The file's bytes and signature, and True for an ExecuTorch program.

    Raises `BadInputError` for what is neither, and for a program of which the NPU has no part.
    """
    from hil.core.executorch_program import is_program, read_program
    from hil.npu.executorch_delegate import check_delegates
    from hil.targets.execution.program_signature import program_signature
    from hil.targets.execution.signature import read_signature

    data = arguments.read_model(path)
    if not is_program(data) and path.suffix != SUFFIX:
        data = arguments.read_entry_point(path)
        return data, read_signature(data, str(path)), False
    check_delegates(read_program(data, str(path)), str(path))
    return data, program_signature(data, str(path)), True


def target_of(is_program: bool) -> str:
    """The target that runs a file where the user names none."""
    return _takers()[0] if is_program and _takers() else registry.DEFAULT


def check_takes_programs(declared: Declaration, path: Path) -> None:
    """Raises `BadInputError` for a target that runs no ExecuTorch programs."""
    if File.PROGRAM not in declared.takes:
        hint = f"take --target {arguments.one_of(_takers())}" if _takers() else ""
        raise BadInputError(f"{path} is an ExecuTorch program, and {declared.name} runs none", hint=hint)


def _takers() -> list[str]:
    return [name for name, declared in registry.registry().targets.items() if File.PROGRAM in declared.takes]
