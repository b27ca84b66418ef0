"""A user's firmware, and its description in TOML: which ELF, where it wants its data, what it prints.

    firmware = load(Path("my_runner.toml"))

The TOML:

    elf = "my_runner.elf"                                # beside the TOML
    npu = "ethos-u55"                                    # whose driver it has; this is the default
    memory_modes = ["Shared_Sram", "Sram_Only"]          # of Vela's; this is the default
    metrics = true                                       # it prints the <metrics> record
    completed = "Inference completed."                   # what it prints when all went well; "" if its end says so
    runtime = "tflm"                                     # or "executorch", for .pte files; this is the default
    model   = { address = 0x90000000, size = 0x2000000 }
    inputs  = { address = 0x92000000, size = 0x1000000 }
    outputs = { address = 0x93000000, size = 0x1000000 }
    arena   = { address = 0x31000000, size = 0x200000 }
    fast    = { address = 0x31200000, size = 0x60000 }   # only if its driver has memory for Dedicated_Sram

`elf`, `model`, `inputs`, `outputs` and `arena` must be there.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

from hil.core.errors import BadInputError
from hil.core.toml_table import TomlTable, parse_toml
from hil.fvp.command_line import elf
from hil.fvp.inference.firmware import (
    RUNNERS,
    RUNTIMES,
    TFLM,
    Firmware,
    FirmwareLayout,
    MemoryRange,
    known_runner,
    sha256_of,
)

_REGIONS, _OPTIONAL = ("model", "inputs", "outputs", "arena"), "fast"
_ADDRESSES = 1 << 32


def load(path: Path, npu: str = "ethos-u55", runtime: str = TFLM) -> Firmware:
    """The user's firmware: a TOML that describes it, or an ELF with the addresses of Arm's runner for `npu`.

    Raises `BadInputError` for a file that is neither, or describes memory that cannot be.
    """
    if elf.is_elf(path, "the firmware"):
        beside = path.with_suffix(".toml")
        if not beside.is_file():
            elf.check(path, "the firmware")
            return replace(known_runner(npu, runtime), path=path, sha256=sha256_of(path))
        path = beside
    elif path.suffix != ".toml":
        raise BadInputError(f"{path} is no ELF file for a 32-bit Arm CPU", hint="give an ELF, or a TOML about one")
    described = read(path)
    program = described.path
    if not program.is_file():
        raise BadInputError(f"{path}: there is no file {program}")
    elf.check(program, f"{path}: the firmware")
    return replace(described, sha256=sha256_of(program))


def read(path: Path) -> Firmware:
    """The firmware that the TOML at `path` describes; raises `BadInputError` that names file and key."""
    top = TomlTable(parse_toml(path, "firmware's description"), str(path))
    usual = RUNNERS["ethos-u55"]
    program = top.text("elf", None)
    npu = top.text("npu", usual.npu, RUNNERS)
    memory_modes = top.words("memory_modes", usual.memory_modes)
    metrics = top.switch("metrics", usual.metrics)
    completed = top.text("completed", usual.completed)
    runtime = top.text("runtime", usual.runtime, RUNTIMES)
    names = (*_REGIONS, _OPTIONAL) if _OPTIONAL in top else _REGIONS
    regions = {name: _region(top, name) for name in names}
    top.end()
    _check_overlap(path, regions)
    layout = FirmwareLayout(**regions)
    return Firmware(path.parent / program, "", layout, npu, memory_modes, metrics, completed, runtime)


def _region(top: TomlTable, name: str) -> MemoryRange:
    if name not in top:
        raise top.error(name, "is missing: { address = ..., size = ... }")
    table = top.table(name)
    address = table.whole("address", 0, _ADDRESSES - 1)
    size = table.whole("size", 1, _ADDRESSES - address)
    table.end()
    return MemoryRange(address, size)


def _check_overlap(path: Path, regions: dict[str, MemoryRange]) -> None:
    ordered = sorted(regions.items(), key=lambda item: item[1].address)
    for (name, lower), (other, upper) in itertools.pairwise(ordered):
        if lower.address + lower.size > upper.address:
            raise BadInputError(f"{path}: {name} and {other} overlap")
