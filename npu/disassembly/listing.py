"""Disassembles all command streams of a file, with the memories and tensors that the file lists.

    from hil.npu.vela_output import read_compiled

    for listing in list_compiled(read_compiled(data)):
        print(listing.accelerator.name, listing.regions, len(listing.instructions))

`list_payload` disassembles a bare driver payload, which has neither memories nor tensors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hil.core.errors import StreamError
from hil.npu.accelerator import Accelerator
from hil.npu.disassembly.disassembler import NamedRange, StreamContext, disassemble
from hil.npu.disassembly.instruction import Instruction
from hil.npu.stream.operations import Range
from hil.npu.stream.payload import parse_payload
from hil.npu.vela_output import READ_ONLY, SCRATCH, SCRATCH_FAST, CompiledModel, CompiledSubgraph, NpuOperator


@dataclass(frozen=True)
class StreamMemory:
    """One memory region of a stream: its number, its purpose, and its size in bytes."""

    number: int
    name: str
    bytes: int


@dataclass(frozen=True)
class NamedTensor:
    """An input or output of a stream: the file's tensor and its byte range."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    place: Range


@dataclass(frozen=True)
class StreamNames:
    """Names from Vela's debug database: by word offset, the tensor that an operation writes and its operator."""

    writes: Mapping[int, str]
    origins: Mapping[int, str]


@dataclass(frozen=True)
class Listing:
    """A disassembled command stream; `operator` is the index of its `ethos-u` operator in its graph, -1 if none."""

    stream: int
    operator: int
    accelerator: Accelerator
    words: int
    regions: tuple[StreamMemory, ...]
    inputs: tuple[NamedTensor, ...]
    outputs: tuple[NamedTensor, ...]
    instructions: tuple[Instruction, ...]


def list_payload(payload: bytes) -> Listing:
    """Disassembles a driver payload (`COP1` ...); raises `StreamError` for any other data."""
    accelerator, words = parse_payload(payload)
    return Listing(0, -1, accelerator, len(words), (), (), (), disassemble(words, accelerator))


def list_compiled(model: CompiledModel, sources: Sequence[StreamNames] = ()) -> tuple[Listing, ...]:
    """Disassembles the streams of a compiled model in the order of its operators; `sources` has names by stream.

    Raises `StreamError` for a stream that is malformed or not modelled.
    """
    pairs = [(graph, op) for graph in model.subgraphs for op in graph.operators if isinstance(op, NpuOperator)]
    return tuple(
        _listing(number, graph, operator, sources[number] if number < len(sources) else StreamNames({}, {}))
        for number, (graph, operator) in enumerate(pairs)
    )


def _listing(number: int, graph: CompiledSubgraph, operator: NpuOperator, names: StreamNames) -> Listing:
    tensors = graph.tensors
    stream = tensors[operator.command_stream].data
    if stream is None:
        raise StreamError(f"operator {operator.index} has no command stream")
    accelerator, words = parse_payload(stream)
    constants = tensors[operator.read_only].data
    shared = not operator.needs_fast_memory(tensors)
    regions = [
        StreamMemory(READ_ONLY, "constants", 0 if constants is None else len(constants)),
        StreamMemory(SCRATCH, "arena", tensors[operator.scratch].bytes),
    ]
    if not shared:
        regions.append(StreamMemory(SCRATCH_FAST, "fast memory", tensors[operator.scratch_fast].bytes))
    inputs, outputs = _tensors(graph, operator, operator.inputs), _tensors(graph, operator, operator.outputs)
    context = StreamContext(
        {READ_ONLY: np.zeros(0, np.uint8) if constants is None else constants},
        [NamedRange(tensor.name, tensor.place) for tensor in inputs],
        [NamedRange(tensor.name, tensor.place) for tensor in outputs],
        names.writes,
        names.origins,
    )
    aliases = {SCRATCH_FAST: SCRATCH} if shared else {}
    instructions = disassemble(words, accelerator, context, aliases)
    return Listing(number, operator.index, accelerator, len(words), tuple(regions), inputs, outputs, instructions)


def _tensors(graph: CompiledSubgraph, operator: NpuOperator, indices: Sequence[int]) -> tuple[NamedTensor, ...]:
    base = graph.tensors[operator.scratch].offset or 0
    found = []
    for index in indices:
        tensor = graph.tensors[index]
        if tensor.offset is not None:
            dtype = tensor.dtype.name if tensor.dtype else ""
            place = Range(SCRATCH, tensor.offset - base, tensor.bytes)
            found.append(NamedTensor(tensor.name, tensor.shape, dtype, place))
    return tuple(found)
