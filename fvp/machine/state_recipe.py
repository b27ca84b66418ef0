"""Everything that a kept state of the machine depends on, as the recipe of an artifact.

    from hil.core.artifact_manifest import key_of

    key_of(recipe_of(line, inputs))     # another for any other firmware, model, setting, QEMU or code of this project

The inputs are not in it: only their address and size, because the state is that before the firmware first reads them.
"""

from __future__ import annotations

import os
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

from hil.core.artifact_manifest import digest
from hil.fvp.command_line import elf
from hil.fvp.command_line.contract import CommandLine
from hil.fvp.command_line.parameters import PARAMETERS, UARTS
from hil.fvp.machine import file_transfer, qemu
from hil.fvp.machine.samples import SampleInputs

STEP = "fvp-state"
"""The kind of artifact that a kept state is."""

_FORM = 1
"""Of the files of a state; other numbers are of other forms."""

_FLOORS = ("core", "npu", "fvp")
_FREE = frozenset(
    ["open.samples", "open.pmu_file", "open.store", "open.vela_config"]
    + [name for p in PARAMETERS if (name := p.name).endswith((".out_file", ".unbuffered_output"))]
)
"""Parameters that say what becomes of outputs, how many samples there are, or name a file whose content counts."""


def recipe_of(line: CommandLine, inputs: SampleInputs) -> dict[str, Any]:
    """The recipe of the state in which the application of `line` first looks at `inputs`.

    Raises `UnavailableError` without QEMU, `OSError` for files that cannot be read.
    """
    assert line.application is not None
    assert inputs.watched is not None
    vela_config = line.text("open.vela_config")
    program = qemu.program()
    found = program.stat()
    return {
        "step": STEP,
        "inputs": {
            "application": elf.loaded_digest(line.application),
            "vela_config": digest(file_transfer.contents(Path(vela_config))) if vela_config else "",
            **{f"{address:#010x}": digest(data) for address, data in inputs.first if address != inputs.watched[0]},
        },
        "settings": {
            "form": _FORM,
            "inputs": list(inputs.watched),
            "uarts": [n for n in UARTS if line.text(f"mps3_board.uart{n}.out_file")],
            **{p.name: line.parameter(p.name) for p in PARAMETERS if not p.ignored and p.name not in _FREE},
        },
        "code": code_digest(),
        "versions": {
            "qemu": f"{program} {found.st_size} {found.st_mtime_ns}",
            "machine": f"{os.uname().machine} {sys.byteorder}",
        },
    }


def code_digest() -> str:
    """The hash of all files of the floors that make a state, compiled ones included."""
    total = sha256()
    for floor in _FLOORS:
        for file in _code(str(Path(__file__).parents[2] / floor)):
            with open(file, "rb") as opened:  # noqa: PTH123 - a hundred files, before the machine can start
                total.update(b"%s\0%s\0" % (os.path.basename(file).encode(), sha256(opened.read()).digest()))  # noqa: PTH119
    return total.hexdigest()


def _code(folder: str) -> list[str]:
    """The source and compiled files below a folder, in order."""
    found: list[str] = []
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.name != "__pycache__" and entry.is_dir():
                found += _code(entry.path)
            elif entry.name.endswith((".py", ".so")):
                found.append(entry.path)
    return found
