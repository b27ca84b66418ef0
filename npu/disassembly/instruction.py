"""Instruction: one disassembled operation with its registers, tensor names, weights and scale records.

as_record(instruction)          # plain values, for JSON
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
    """One core's encoded weights at `place`: their number of `elements`, and of `zeros` if they could be unpacked.

    `origin` is the source of the DMA that copied them, None if there was none.
    """

    place: Range
    elements: int
    zeros: int | None
    origin: Range | None


@dataclass(frozen=True)
class RecordFigures:
    """Scale records of `count` channels at `place`: smallest and largest scale (as a real number) and bias.

    Both are None if the records are known only at run time.
    """

    place: Range
    count: int
    scale: tuple[float, float] | None = None
    bias: tuple[int, int] | None = None


@dataclass(frozen=True)
class Instruction:
    """One operation: its number in the stream, the registers set since the previous one, and its tensors.

    A register write belongs to the next operation that uses registers, which waits do not.  `inputs` has the names of
    the tensors in each input (IFM, IFM2 or the source of a DMA), `output` the name of the OFM.  `part_of` is the
    operator of the model, empty if unknown; `used_by` the first operation that reads the bytes a DMA copied.  `weights`
    and `records` are by core.
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
    """Converts an instruction to plain values for JSON; keys are the names of the dataclass fields."""
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
