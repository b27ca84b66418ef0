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
2       scratch_fast: the same memory as scratch, but for memory mode Dedicated_Sram, where it is
        a separate memory
======  ======================================================================================

Scratch and scratch_fast are one tensor if Vela's compiler Regor wrote the file, which is the default since 5.0.  Older
Velas and the legacy core write two, which are one memory if the stream does not address region 2.

Arena offsets of tensors are in the metadata `OfflineMemoryAllocation`: int32 `[version, subgraphs, count,
offsets...]`, one offset per tensor of all subgraphs in turn, -1 for a tensor outside the arena.  A model may have CPU
operators between NPU operators, variables (state that persists between runs) and more than one subgraph.

Source: Vela's `tflite_writer.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hil.core.arrays import Bytes
from hil.core.errors import StreamError
from hil.core.tflite import memory_plan
from hil.core.tflite.model import (
    IDENTIFIER,
    NPU_OPERATOR,
    Operator,
    Subgraph,
    Tensor,
    TfliteModel,
    read_model,
    read_operator_codes,
)
from hil.npu.accelerator import Accelerator
from hil.npu.program import OperationTrace, Program, decode
from hil.npu.stream import footprint
from hil.npu.stream.decoder import decode_operations
from hil.npu.stream.operations import SHRAM_REGION
from hil.npu.stream.payload import Words, parse_payload

READ_ONLY, SCRATCH, SCRATCH_FAST = 0, 1, 2
"""Memory regions of Vela's command streams."""

CpuOperator = Operator
"""An operator that Vela placed on the CPU."""


@dataclass(frozen=True)
class ArenaTensor(Tensor):
    """A tensor with its `offset` in the arena in bytes, None for tensors outside the arena."""

    offset: int | None


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

    def needs_fast_memory(self, tensors: Sequence[ArenaTensor]) -> bool:
        """True if the stream addresses a scratch_fast that is another tensor than scratch, as in Dedicated_Sram.

        `tensors` are those of the operator's subgraph.  Raises `StreamError` for a stream that is malformed or not
        modelled.
        """
        if self.scratch == self.scratch_fast:
            return False
        accelerator, words = self._payload(tensors)
        return SCRATCH_FAST in footprint.requirements(decode_operations(words, accelerator))

    def bind(self, model: CompiledModel, subgraph: int = 0) -> BoundOperator:
        """Decodes the command stream against the model's constants.

        Raises `StreamError` for a stream that is malformed, out of bounds or not modelled.
        """
        tensors = model.subgraphs[subgraph].tensors
        accelerator, words = self._payload(tensors)
        constants = tensors[self.read_only].data
        shared = self.scratch == self.scratch_fast
        program = decode(
            words,
            accelerator,
            {READ_ONLY: np.zeros(0, np.uint8) if constants is None else constants},
            {SCRATCH_FAST: SCRATCH} if shared else {},
        )
        scratch = tensors[self.scratch]
        fast = tensors[self.scratch_fast].bytes if not shared and SCRATCH_FAST in program.required else 0
        return BoundOperator(self, accelerator, program, scratch.offset or 0, scratch.bytes, fast)

    def _payload(self, tensors: Sequence[ArenaTensor]) -> tuple[Accelerator, Words]:
        stream = tensors[self.command_stream].data
        if stream is None:
            raise StreamError(f"operator {self.index} has no command stream")
        return parse_payload(stream)


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

    def check_memory(self) -> None:
        """Raises `StreamError` if the stream reaches beyond the memories that the file gives it."""
        sizes = {SCRATCH: self.scratch_bytes, SCRATCH_FAST: self.fast_bytes}
        for region, requirement in self.program.required.items():
            if region not in (READ_ONLY, SHRAM_REGION):  # which decoding has checked
                footprint.check_size(region, requirement, sizes.get(region, 0))

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
class CompiledSubgraph:
    """Tensors, operators in execution order, and the tensor indices of inputs and outputs in the model's order."""

    name: str
    tensors: tuple[ArenaTensor, ...]
    operators: tuple[NpuOperator | CpuOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class CompiledModel:
    """A model compiled by Vela; `subgraphs[0]` is the main one."""

    subgraphs: tuple[CompiledSubgraph, ...]
    arena_bytes: int

    @property
    def main(self) -> CompiledSubgraph:
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
        return NPU_OPERATOR in [code.custom for code in read_operator_codes(data)]
    except StreamError:
        return False


def read_compiled(data: bytes) -> CompiledModel:
    """Reads Vela's output file.

    Raises `StreamError` if it is no TFLite file, is damaged, or has no `ethos-u` operator.
    """
    if data[4:8] != IDENTIFIER:
        raise StreamError("not a TFLite file", hint="give a .tflite file that Vela wrote")
    model = read_model(data)
    offsets = iter(_offsets(model))
    subgraphs = tuple(_subgraph(graph, offsets) for graph in model.subgraphs)
    operators = [operator for subgraph in subgraphs for operator in subgraph.operators]
    if not any(isinstance(operator, NpuOperator) for operator in operators):
        raise StreamError("the model has no ethos-u operator", hint="compile it with Vela first")
    tensors = [tensor for subgraph in subgraphs for tensor in subgraph.tensors if tensor.offset is not None]
    return CompiledModel(subgraphs, max((t.bytes + (t.offset or 0) for t in tensors), default=0))


def _offsets(model: TfliteModel) -> list[int | None]:
    """Arena offset of every tensor of all subgraphs, None for tensors outside the arena."""
    count = sum(len(graph.tensors) for graph in model.subgraphs)
    words = model.metadata(memory_plan.NAME)
    if words is None:
        return [None] * count
    planned = int.from_bytes(words[8:12].tobytes(), "little")
    if len(words) >= 12 and planned != count:
        raise StreamError(
            f"the metadata OfflineMemoryAllocation has {planned} tensors and the file {count}: it is of another file",
            hint="compile the int8 model again with hil compile, which leaves an older plan out",
        )
    if len(words) < 12 + 4 * count:
        raise StreamError("the metadata OfflineMemoryAllocation is cut short")
    values = np.frombuffer(words[12 : 12 + 4 * count].tobytes(), "<i4").tolist()
    if any(value < -1 for value in values):
        raise StreamError("the metadata OfflineMemoryAllocation has negative offsets")
    return [None if value < 0 else value for value in values]


def _subgraph(graph: Subgraph, offsets: Iterator[int | None]) -> CompiledSubgraph:
    tensors = tuple(ArenaTensor(**vars(tensor), offset=next(offsets)) for tensor in graph.tensors)
    operators = tuple(_npu_operator(found) if found.code.is_npu else found for found in graph.operators)
    return CompiledSubgraph(graph.name, tensors, operators, graph.inputs, graph.outputs)


def _npu_operator(operator: Operator) -> NpuOperator:
    inputs, outputs = operator.inputs, operator.outputs
    if len(inputs) < 4 or min((*inputs, *outputs)) < 0:
        raise StreamError(f"operator {operator.index}: an ethos-u operator needs four memories")
    stream, read_only, scratch, scratch_fast = inputs[:4]
    return NpuOperator(operator.index, stream, read_only, scratch, scratch_fast, inputs[4:], outputs)
