"""Reader of Vela's output: a TFLite model whose `ethos-u` operators hold command streams.

    model = read_compiled(data)
    for operator in model.main.operators:
        if isinstance(operator, NpuOperator):
            operator.bind(model).run(arena)          # arena: uint8 (batch, model.arena_bytes)

An `ethos-u` operator has the inputs `[command stream, read-only, scratch, scratch_fast, feature maps...]`.  Regions:

======  ======================================================================================
region  memory
======  ======================================================================================
0       the read-only tensor: weights, scales, tables, and command-stream constants
1       scratch, the arena
2       scratch_fast: the same tensor as scratch, but for memory mode Dedicated_Sram, where it is
        a separate memory
======  ======================================================================================

Arena offsets of tensors are in the metadata `OfflineMemoryAllocation`: int32 `[version, subgraphs, count,
offsets...]`, one offset per tensor of all subgraphs in turn, -1 for a tensor outside the arena.  A model may have CPU
operators between NPU operators, variables (state that persists between runs) and more than one subgraph.

Sources: TensorFlow's `schema.fbs` (field numbers), Vela's `tflite_writer.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from hil.core.arrays import Bytes
from hil.core.errors import StreamError
from hil.core.tflite.flatbuffer import Table, root_table
from hil.npu.accelerator import Accelerator
from hil.npu.program import OperationTrace, Program, decode
from hil.npu.stream.payload import parse_payload

CUSTOM_CODE = "ethos-u"
READ_ONLY, SCRATCH, SCRATCH_FAST = 0, 1, 2
"""Memory regions of Vela's command streams."""

_DTYPES = {
    0: "float32", 1: "float16", 2: "int32", 3: "uint8", 4: "int64", 6: "bool", 7: "int16", 9: "int8", 10: "float64",
    15: "uint32", 16: "uint16",
}  # fmt: skip
"""NumPy names of TFLite's TensorType; other types are no arrays (string, resource, variant) or unknown to NumPy."""

_CUSTOM_BUILTIN = 32


@dataclass(frozen=True)
class Quantization:
    """Real value = scale * (quantized - zero point); one pair, or one per index of `axis`; empty if not quantized."""

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int


@dataclass(frozen=True)
class Tensor:
    """A tensor: `dtype` None if it is no array of numbers; `offset` in the arena in bytes, None if not in it.

    `data` are the bytes of a constant, None of a variable or activation.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any] | None
    quantization: Quantization
    offset: int | None
    data: Bytes | None
    is_variable: bool

    @property
    def bytes(self) -> int:
        """Size in memory; 0 if it is no array of numbers."""
        size = self.dtype.itemsize if self.dtype else 0
        for length in self.shape:
            size *= max(length, 0)
        return size


@dataclass(frozen=True)
class CpuOperator:
    """An operator that Vela placed on the CPU: its index in the subgraph, its TFLite builtin code."""

    index: int
    builtin: int
    custom: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class NpuOperator:
    """An `ethos-u` operator: tensor indices of its four memories, its feature maps and outputs."""

    index: int
    command_stream: int
    read_only: int
    scratch: int
    scratch_fast: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def bind(self, model: CompiledModel, subgraph: int = 0) -> BoundOperator:
        """Decodes the command stream against the model's constants.

        Raises `StreamError` for a stream that is malformed, out of bounds or not modelled.
        """
        tensors = model.subgraphs[subgraph].tensors
        stream = tensors[self.command_stream].data
        if stream is None:
            raise StreamError(f"operator {self.index} has no command stream")
        accelerator, words = parse_payload(stream)
        constants = tensors[self.read_only].data
        shared = self.scratch == self.scratch_fast
        program = decode(
            words,
            accelerator,
            {READ_ONLY: np.zeros(0, np.uint8) if constants is None else constants},
            {SCRATCH_FAST: SCRATCH} if shared else {},
        )
        scratch = tensors[self.scratch]
        fast = 0 if shared else tensors[self.scratch_fast].bytes
        return BoundOperator(self, accelerator, program, scratch.offset or 0, scratch.bytes, fast)


@dataclass(frozen=True)
class BoundOperator:
    """An `ethos-u` operator ready to run on an arena.

    `scratch_offset` and `scratch_bytes`: region 1 in the arena; `fast_bytes`: size of region 2 if that is a separate
    memory (Dedicated_Sram), else 0.
    """

    operator: NpuOperator
    accelerator: Accelerator
    program: Program
    scratch_offset: int
    scratch_bytes: int
    fast_bytes: int

    def run(
        self, arena: Bytes, trace: OperationTrace | None = None, fast: Bytes | None = None, threads: int = 1
    ) -> None:
        """Runs on `arena`, shape (batch, bytes), in place; `threads` threads share the samples.

        `fast` is the memory of region 2, at least (batch, `fast_bytes`); its default is zeros.
        """
        memory = {SCRATCH: arena[:, self.scratch_offset : self.scratch_offset + self.scratch_bytes]}
        if self.fast_bytes:
            given = np.zeros((len(arena), self.fast_bytes), np.uint8) if fast is None else fast
            memory[SCRATCH_FAST] = given[:, : self.fast_bytes]
        self.program.run(memory, trace, threads)


@dataclass(frozen=True)
class Subgraph:
    """Tensors, operators in execution order, and the tensor indices of inputs and outputs in the model's order."""

    name: str
    tensors: tuple[Tensor, ...]
    operators: tuple[NpuOperator | CpuOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class CompiledModel:
    """A model compiled by Vela; `subgraphs[0]` is the main one."""

    subgraphs: tuple[Subgraph, ...]
    arena_bytes: int

    @property
    def main(self) -> Subgraph:
        """The subgraph that an inference runs."""
        return self.subgraphs[0]

    @property
    def accelerator(self) -> Accelerator:
        """Accelerator that the model's first command stream was compiled for."""
        for subgraph in self.subgraphs:
            for operator in subgraph.operators:
                if isinstance(operator, NpuOperator):
                    stream = subgraph.tensors[operator.command_stream].data
                    return parse_payload(b"" if stream is None else stream)[0]
        raise StreamError("the model has no ethos-u operator")


def is_compiled(data: bytes) -> bool:
    """True if `data` is a TFLite model with an `ethos-u` operator.  Never raises."""
    try:
        return CUSTOM_CODE in [code.string(1) for code in root_table(data, b"TFL3").tables(1)]
    except (StreamError, RecursionError):
        return False


def read_compiled(data: bytes) -> CompiledModel:
    """Reads Vela's output file.

    Raises `StreamError` if it is no TFLite file, is damaged, or has no `ethos-u` operator.
    """
    if data[4:8] != b"TFL3":
        raise StreamError("not a TFLite file", hint="give a .tflite file that Vela wrote")
    model = root_table(data, b"TFL3")
    buffers = model.tables(4)
    codes = [_operator_code(code) for code in model.tables(1)]
    graphs = model.tables(2)
    counts = [len(graph.tables(0)) for graph in graphs]
    offsets = _offsets(model, buffers, sum(counts))
    subgraphs = []
    for number, graph in enumerate(graphs):
        first = sum(counts[:number])
        subgraphs.append(_subgraph(graph, codes, buffers, offsets[first : first + counts[number]]))
    operators = [operator for subgraph in subgraphs for operator in subgraph.operators]
    if not any(isinstance(operator, NpuOperator) for operator in operators):
        raise StreamError("the model has no ethos-u operator", hint="compile it with Vela first")
    tensors = [tensor for subgraph in subgraphs for tensor in subgraph.tensors if tensor.offset is not None]
    return CompiledModel(tuple(subgraphs), max((t.bytes + (t.offset or 0) for t in tensors), default=0))


def _operator_code(code: Table) -> tuple[int, str]:
    return max(code.scalar(0, "<b"), code.scalar(3, "<i")), code.string(1)


def _offsets(model: Table, buffers: list[Table], count: int) -> list[int | None]:
    """Arena offset of every tensor of all subgraphs, None for tensors outside the arena."""
    for metadata in model.tables(6):
        if metadata.string(0) == "OfflineMemoryAllocation":
            buffer = _item(buffers, metadata.scalar(1, "<I"), "buffer")
            words = buffer.array(0, "u1")
            if len(words) < 12 + 4 * count:
                raise StreamError("the metadata OfflineMemoryAllocation is cut short")
            values = np.frombuffer(words[12 : 12 + 4 * count].tobytes(), "<i4").tolist()
            if any(value < -1 for value in values):
                raise StreamError("the metadata OfflineMemoryAllocation has negative offsets")
            return [None if value < 0 else value for value in values]
    return [None] * count


def _subgraph(graph: Table, codes: list[tuple[int, str]], buffers: list[Table], offsets: list[int | None]) -> Subgraph:
    tensors = tuple(
        _tensor(index, table, buffers, offset)
        for index, (table, offset) in enumerate(zip(graph.tables(0), offsets, strict=True))
    )

    def indices(table: Table, number: int) -> tuple[int, ...]:
        values: tuple[int, ...] = tuple(table.array(number, "<i4").tolist())
        for value in values:
            if not -1 <= value < len(tensors):
                raise StreamError(f"the file is damaged: tensor {value} of {len(tensors)}")
        return values

    operators = tuple(_operator(i, table, codes, indices) for i, table in enumerate(graph.tables(3)))
    return Subgraph(graph.string(4), tensors, operators, indices(graph, 1), indices(graph, 2))


def _operator(
    index: int, table: Table, codes: list[tuple[int, str]], indices: Callable[[Table, int], tuple[int, ...]]
) -> NpuOperator | CpuOperator:
    builtin, custom = _item(codes, table.scalar(0, "<I"), "operator code")
    inputs, outputs = indices(table, 1), indices(table, 2)
    if builtin != _CUSTOM_BUILTIN or custom != CUSTOM_CODE:
        return CpuOperator(index, builtin, custom, inputs, outputs)
    if len(inputs) < 4 or min((*inputs, *outputs), default=-1) < 0:
        raise StreamError(f"operator {index}: an ethos-u operator needs four memories")
    stream, read_only, scratch, scratch_fast = inputs[:4]
    return NpuOperator(index, stream, read_only, scratch, scratch_fast, inputs[4:], outputs)


def _tensor(index: int, table: Table, buffers: list[Table], offset: int | None) -> Tensor:
    data = _item(buffers, table.scalar(2, "<I"), "buffer").array(0, "u1")
    kind = table.scalar(1, "<b")
    quantization = table.table(4)
    return Tensor(
        index,
        table.string(3),
        tuple(table.array(0, "<i4").tolist()),
        np.dtype(_DTYPES[kind]) if kind in _DTYPES else None,
        _quantization(quantization) if quantization else Quantization((), (), 0),
        offset,
        data if len(data) else None,
        bool(table.scalar(5, "<b")),
    )


def _quantization(table: Table) -> Quantization:
    scales, zero_points = table.array(2, "<f4").tolist(), table.array(3, "<i8").tolist()
    return Quantization(tuple(scales), tuple(zero_points), table.scalar(6, "<i"))


def _item(items: list[Any], index: int, what: str) -> Any:
    if not 0 <= index < len(items):
        raise StreamError(f"the file is damaged: {what} {index} of {len(items)}")
    return items[index]
