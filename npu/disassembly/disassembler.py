"""Command stream disassembler: each operation with its registers and the tensors at its addresses.

    listing = disassemble(words, accelerator, StreamContext(constants={0: read_only}))
    listing[2].operation.kind, listing[2].inputs, listing[2].registers

A stream has addresses only.  Names come from its context: the compiled file has the addresses of the operator's inputs
and outputs, and Vela's debug database, for a model compiled here, has the tensor that each operation writes.  The other
names follow from the order of operations (`memory_contents`): an operation reads the tensor last written at its
address, `#12` for the unnamed result of operation 12.

`text` formats instructions as lines, `instruction.as_record` as plain values for JSON.

Source: Vela's `register_command_stream_generator.py`, for the order in which it sets registers before an operation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hil.npu.accelerator import Accelerator
from hil.npu.arithmetic.scaling import scale_records
from hil.npu.disassembly.instruction import Instruction, RecordFigures, WeightFigures
from hil.npu.disassembly.memory_contents import Contents, overlap
from hil.npu.disassembly.register_writes import RegisterWrite, register_writes
from hil.npu.disassembly.weight_values import weight_values
from hil.npu.stream.decoder import decode_operations
from hil.npu.stream.feature_map import FeatureMap
from hil.npu.stream.footprint import input_feature_maps
from hil.npu.stream.operations import (
    SCALE_RECORD,
    BlockOperation,
    Convolution,
    Dma,
    Kind,
    Operation,
    Range,
    Wait,
)
from hil.npu.stream.payload import Words

_FOLLOWED_PIECES = 64
"""Largest number of pieces of a DMA whose contents are tracked."""


@dataclass(frozen=True)
class NamedRange:
    """Name and byte range of a tensor."""

    name: str
    place: Range


@dataclass(frozen=True)
class StreamContext:
    """Contents of memory and names of tensors around a command stream.

    `constants` are the read-only regions, `inputs` the tensors in memory before the stream runs, `outputs` those after
    it.  `writes` maps the word offset of an operation to the tensor that it writes, `origins` to the operator of the
    model that it belongs to.
    """

    constants: Mapping[int, NDArray[np.uint8]] = field(default_factory=dict)
    inputs: Sequence[NamedRange] = ()
    outputs: Sequence[NamedRange] = ()
    writes: Mapping[int, str] = field(default_factory=dict)
    origins: Mapping[int, str] = field(default_factory=dict)


def disassemble(
    words: Words,
    accelerator: Accelerator,
    context: StreamContext | None = None,
    aliases: Mapping[int, int] | None = None,
) -> tuple[Instruction, ...]:
    """Disassembles every operation of a stream, in order; `aliases` as in `decode_operations`.

    Raises `StreamError` with the word offset for a command that is malformed or not modelled.
    """
    context = context or StreamContext()
    operations = decode_operations(words, accelerator, aliases)
    reader = _InstructionReader(context, operations)
    start, instructions = 0, []
    for index, operation in enumerate(operations):
        registers: tuple[RegisterWrite, ...] = ()
        if not isinstance(operation, Wait):
            registers = tuple(register_writes(words, start, operation.word_offset))
            start = operation.word_offset + 1
        instructions.append(reader.instruction(index, operation, registers))
    return tuple(instructions)


class _InstructionReader:
    """Makes instructions in stream order and tracks the tensors in memory."""

    def __init__(self, context: StreamContext, operations: Sequence[Operation]) -> None:
        self._context = context
        self._operations = operations
        self._output_names = _output_names(operations, context.outputs)
        self._contents = Contents()
        for tensor in context.inputs:
            self._contents.put(tensor.place, tensor.name)

    def instruction(self, index: int, operation: Operation, registers: tuple[RegisterWrite, ...]) -> Instruction:
        inputs: tuple[tuple[str, ...], ...] = ()
        output, used_by = "", None
        weights: tuple[WeightFigures, ...] = ()
        records: tuple[RecordFigures, ...] = ()
        at = operation.word_offset
        if isinstance(operation, BlockOperation):
            inputs = tuple(self._held(fm) for fm in input_feature_maps(operation))
            output = self._context.writes.get(at) or self._output_names.get(at) or ""
            records = tuple(self._record_figures(place) for place in _records_of(operation))
            weights = self._weight_figures(operation) if isinstance(operation, Convolution) else ()
            self._contents.put(byte_range(operation.ofm), output or f"#{index}")
        elif isinstance(operation, Dma):
            inputs = (self._copy(index, operation),)
            used_by = self._user(index, operation)
        part_of = self._context.origins.get(at, "")
        return Instruction(index, operation, registers, inputs, output, part_of, used_by, weights, records)

    def _held(self, feature_map: FeatureMap) -> tuple[str, ...]:
        """Names the contents of an input: tensors, or `constant`, with its value if it has one element."""
        place = byte_range(feature_map)
        data = self._bytes(place)
        if data is None:
            return self._contents.labels(place)
        if feature_map.elements != 1:
            return ("constant",)
        return (f"constant {int(np.frombuffer(data.tobytes(), feature_map.dtype)[0]):,}",)

    def _user(self, index: int, copy: Dma) -> int | None:
        targets = [
            Range(copy.destination_region, address, copy.length) for address in copy.destinations[:_FOLLOWED_PIECES]
        ]
        for later in range(index + 1, len(self._operations)):
            reads = _reads(self._operations[later])
            if any(overlap(read, target) for read in reads for target in targets):
                return later
        return None

    def _copy(self, index: int, operation: Dma) -> tuple[str, ...]:
        labels: dict[str, None] = {}
        pairs = list(zip(operation.sources, operation.destinations, strict=True))
        for start, end in pairs[:_FOLLOWED_PIECES]:
            source = Range(operation.source_region, start, operation.length)
            found = self._contents.labels(source)
            labels.update(dict.fromkeys(found))
            target = Range(operation.destination_region, end, operation.length)
            constant = operation.source_region in self._context.constants
            origin = source if constant else self._contents.origin(source)
            self._contents.put(target, found[0] if len(found) == 1 else f"#{index}", origin)
        return tuple(labels)

    def _bytes(self, wanted: Range) -> NDArray[np.uint8] | None:
        """Returns constants, also those that a DMA copied; None if not all of them are known."""
        origin = wanted if wanted.region in self._context.constants else self._contents.origin(wanted)
        if origin is None:
            return None
        data = self._context.constants[origin.region]
        return data[origin.address : origin.end] if origin.end <= len(data) else None

    def _weight_figures(self, operation: Convolution) -> tuple[WeightFigures, ...]:
        kernel, streams = operation.kernel, operation.weight_streams
        a_channel = kernel.height * kernel.width * (1 if operation.kind is Kind.DEPTHWISE else operation.ifm.shape[2])
        figures = []
        for core, place in enumerate(streams):
            elements = a_channel * len(range(core, operation.ofm.shape[2], len(streams)))
            data = self._bytes(place)
            values = None if data is None else weight_values(data.tobytes(), elements)
            zeros = None if values is None else values.zeros
            figures.append(WeightFigures(place, elements, zeros, self._contents.origin(place)))
        return tuple(figures)

    def _record_figures(self, place: Range) -> RecordFigures:
        data, count = self._bytes(place), place.length // SCALE_RECORD
        if data is None or not count:
            return RecordFigures(place, count)
        bias, factor, shift = scale_records(data)
        scales = factor / np.exp2(shift)
        ends = (float(scales.min()), float(scales.max())), (int(bias.min()), int(bias.max()))
        return RecordFigures(place, count, *ends)


def byte_range(feature_map: FeatureMap) -> Range:
    """Range from the first byte of a feature map to its last."""
    low, high = feature_map.extent()
    return Range(feature_map.region, low, high - low)


def _output_names(operations: Sequence[Operation], outputs: Sequence[NamedRange]) -> dict[int, str]:
    """Maps word offsets to output tensors, for the operations that last wrote their bytes.

    Goes backwards until all bytes of a tensor have been written; earlier operations that wrote there wrote another
    tensor, to which Vela gave the same part of the arena.
    """
    names: dict[int, str] = {}
    missing = {tensor: tensor.place.length for tensor in outputs}
    for operation in reversed(operations):
        if not isinstance(operation, BlockOperation):
            continue
        written = byte_range(operation.ofm)
        for tensor, left in missing.items():
            place = tensor.place
            inside = place.region == written.region and place.address <= written.address and written.end <= place.end
            if left > 0 and inside:
                names[operation.word_offset] = tensor.name
                missing[tensor] = left - operation.ofm.elements * operation.ofm.dtype.itemsize
    return names


def _reads(operation: Operation) -> list[Range]:
    """Byte ranges that an operation reads."""
    if isinstance(operation, Dma):
        return [
            Range(operation.source_region, address, operation.length)
            for address in operation.sources[:_FOLLOWED_PIECES]
        ]
    if not isinstance(operation, BlockOperation):
        return []
    parts = [byte_range(fm) for fm in input_feature_maps(operation)] + _records_of(operation)
    parts += operation.weight_streams if isinstance(operation, Convolution) else []
    return parts + ([] if operation.activation.lut is None else [operation.activation.lut])


def _records_of(operation: BlockOperation) -> list[Range]:
    """Byte ranges of the scale records, one per core."""
    if isinstance(operation, Convolution):
        return list(operation.record_streams)
    return [] if operation.records is None else [operation.records]
