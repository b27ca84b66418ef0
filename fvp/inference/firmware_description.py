"""A firmware described in TOML: which ELF, where it wants its data, what it prints.

    elf = "my_runner.elf"                                # beside the TOML
    npu = "ethos-u55"                                    # whose driver it has; this is the default
    memory_modes = ["Shared_Sram", "Sram_Only"]          # of Vela's; this is the default
    metrics = true                                       # it prints the <metrics> record
    completed = "Inference completed."                   # what it prints when all went well; "" if its end says so
    model   = { address = 0x90000000, size = 0x2000000 }
    inputs  = { address = 0x92000000, size = 0x1000000 }
    outputs = { address = 0x93000000, size = 0x1000000 }
    arena   = { address = 0x31000000, size = 0x200000 }
    fast    = { address = 0x31200000, size = 0x60000 }   # only if its driver has memory for Dedicated_Sram

`elf`, `model`, `inputs`, `outputs` and `arena` must be there.
"""

from __future__ import annotations

import itertools
import sys
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from hil.core.errors import BadInputError
from hil.fvp.inference.firmware import RUNNERS, Firmware, FirmwareLayout, MemoryRange

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_REGIONS, _OPTIONAL = ("model", "inputs", "outputs", "arena"), "fast"
_TYPES: dict[str, type] = {
    "elf": str, "npu": str, "memory_modes": list, "metrics": bool, "completed": str,
    **dict.fromkeys((*_REGIONS, _OPTIONAL), dict),
}  # fmt: skip
_ADDRESSES = 1 << 32


def read(path: Path) -> Firmware:
    """The firmware that the TOML at `path` describes; raises `BadInputError` naming the entry that is wrong."""
    try:
        found = tomllib.loads(path.read_text())
    except OSError as error:
        raise BadInputError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # ValueError: also a number of thousands of digits.
        raise BadInputError(f"{path} is no TOML: {error}") from None
    for name, value in found.items():
        _check_entry(path, name, value)
    missing = [name for name in ("elf", *_REGIONS) if name not in found]
    if missing:
        raise BadInputError(f"{path} lacks {', '.join(missing)}")
    regions = {name: _region(path, name, found[name]) for name in (*_REGIONS, _OPTIONAL) if name in found}
    _check_overlap(path, regions)
    npu = found.get("npu", "ethos-u55")
    if npu not in RUNNERS:
        raise BadInputError(f"{path}: npu is one of {', '.join(RUNNERS)}, not {npu!r}")
    usual = RUNNERS["ethos-u55"]
    return Firmware(
        path.parent / found["elf"],
        "",
        FirmwareLayout(**regions),
        npu,
        tuple(found.get("memory_modes", usual.memory_modes)),
        found.get("metrics", usual.metrics),
        found.get("completed", usual.completed),
    )


def _check_entry(path: Path, name: str, value: object) -> None:
    if name not in _TYPES:
        near = get_close_matches(name, _TYPES)
        raise BadInputError(f"{path}: there is no entry {name!r}", hint=f"did you mean {near[0]}?" if near else "")
    if not isinstance(value, _TYPES[name]):
        raise BadInputError(f"{path}: {name} = {value!r} is no {_TYPES[name].__name__}")
    if isinstance(value, list) and not all(isinstance(mode, str) for mode in value):
        raise BadInputError(f"{path}: memory_modes = {value!r} are no names")


def _region(path: Path, name: str, value: dict[str, Any]) -> MemoryRange:
    if set(value) != {"address", "size"} or not all(type(number) is int for number in value.values()):
        raise BadInputError(f"{path}: {name} takes {{ address = ..., size = ... }}, not {value!r}")
    address, size = value["address"], value["size"]
    if address < 0 or size <= 0 or address + size > _ADDRESSES:
        raise BadInputError(f"{path}: {name} is not within 32 bits of address")
    return MemoryRange(address, size)


def _check_overlap(path: Path, regions: dict[str, MemoryRange]) -> None:
    ordered = sorted(regions.items(), key=lambda item: item[1].address)
    for (name, lower), (other, upper) in itertools.pairwise(ordered):
        if lower.address + lower.size > upper.address:
            raise BadInputError(f"{path}: {name} and {other} overlap")
