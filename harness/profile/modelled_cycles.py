"""Modelled cycles of a Vela output, without decoding its weights."""

from __future__ import annotations

from hil.core.npu_config import NpuConfig
from hil.npu.program import Program
from hil.npu.stream import footprint
from hil.npu.stream.decoder import decode_operations
from hil.npu.stream.payload import parse_payload
from hil.npu.timing.cycles import cycles
from hil.npu.timing.memory_system import MemorySystem
from hil.npu.vela_output import SCRATCH, SCRATCH_FAST, NpuOperator, is_compiled, read_compiled


def modelled_cycles(compiled: bytes, npu: NpuConfig) -> int:
    """Modelled cycles of all command streams of a Vela output; weights are not decoded."""
    if not is_compiled(compiled):
        return 0
    memory, total = MemorySystem.of(npu), 0
    for graph in read_compiled(compiled).subgraphs:
        for operator in graph.operators:
            if isinstance(operator, NpuOperator):
                stream = graph.tensors[operator.command_stream].data
                accelerator, words = parse_payload(b"" if stream is None else stream)
                aliases = {SCRATCH_FAST: SCRATCH} if operator.scratch == operator.scratch_fast else {}
                operations = decode_operations(words, accelerator, aliases)
                program = Program(accelerator, operations, footprint.requirements(operations), {}, len(words))
                total += cycles(program, memory).total
    return total
