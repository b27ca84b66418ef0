"""One operation of a disassembled stream, with all that is known of it: what `disassembly` makes.

print(json.dumps(as_record(instruction)))
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

import numpy as np

from hil.npu.disassembly.register_writes import RegisterWrite
from hil.npu.stream.operations import Operation, Range


@dataclass(frozen=True)
class WeightFigures:
    """One core's encoded weights at `place`: `elements` when unpacked, `zeros` among them if they could be unpacked.

    `origin` is where a DMA brought them from, if one did.
    """

    place: Range
    elements: int
    zeros: int | None
    origin: Range | None


@dataclass(frozen=True)
class RecordFigures:
    """Records of `count` channels at `place`: smallest and largest scale (as a real number) and bias.

    Both are None where the records are known only when the stream runs.
    """

    place: Range
    count: int
    scale: tuple[float, float] | None = None
    bias: tuple[int, int] | None = None


@dataclass(frozen=True)
class Instruction:
    """One operation: its number in the stream, the registers set since the one before, and what lies at its addresses.

    Registers count to the next operation that takes them: waits take none.  `inputs` has the names of what each input
    (IFM, IFM2 or the source of a DMA) holds, `output` that of the output.  `part_of` is the operator of the model,
    empty if that is not known; `used_by` the operation that first reads what a DMA brings.  `weights` and `records` are
    those of each core.
    """

    index: int
    operation: Operation
    registers: tuple[RegisterWrite, ...]
    inputs: tuple[tuple[str, ...], ...]
    output: str
    part_of: str
    used_by: int | None = None
    weights: tuple[WeightFigures, ...] = ()
    records: tuple[RecordFigures, ...] = ()


def as_record(instruction: Instruction) -> dict[str, Any]:
    """All that is known of an operation, as JSON can hold it; names of fields are those of the dataclasses."""
    record = {"index": instruction.index, **asdict(instruction.operation)}
    for part in ("inputs", "output", "part_of", "used_by"):
        record[part] = getattr(instruction, part)
    record["registers"] = [asdict(write) for write in instruction.registers]
    record["weight_figures"] = [asdict(figures) for figures in instruction.weights]
    record["record_figures"] = [asdict(figures) for figures in instruction.records]
    plain: dict[str, Any] = _plain(record)
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.dtype):
        return value.name
    if isinstance(value, Enum):
        return value.value if isinstance(value.value, str) else value.name.lower()
    return value
