"""Cuts operators out of a `.tflite` into a model of their own.

Vela leaves what the NPU cannot do as ordinary TFLite operators between its `ethos-u` operators.  To run those on
the reference kernels, each maximal run of them becomes a model whose inputs are what the run reads and whose outputs
are what is read after it.  Nothing of an operator is interpreted: tensors, quantization, constants and options are
carried over as they are, through the schema's own object form, together with the other subgraphs, which control flow
calls.

This runs in the interpreter's child process, where the schema comes with the interpreter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Submodel:
    """Operators of the main graph by their index, and the input and output tensors of the model made of them."""

    operators: tuple[int, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def cut(model: bytes, piece: Submodel, schema: Any) -> bytes:
    """The `.tflite` of a piece; `schema` is the module `schema_py_generated` of an interpreter's distribution."""
    import flatbuffers

    whole = schema.ModelT.InitFromPackedBuf(bytearray(model), 0)
    graph = whole.subgraphs[0]
    graph.operators = [graph.operators[index] for index in piece.operators]
    graph.inputs, graph.outputs = list(piece.inputs), list(piece.outputs)
    _drop_unused_codes(whole)
    _drop_unused_data(whole)
    whole.metadata = whole.metadataBuffer = whole.signatureDefs = None  # they speak of the whole model
    builder = flatbuffers.Builder(len(model))
    builder.Finish(whole.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def alone(model: bytes, operator: int, schema: Any) -> bytes:
    """The `.tflite` of one operator of the main graph, which takes all of its inputs that are no constants."""
    whole = schema.ModelT.InitFromPackedBuf(bytearray(model), 0)
    graph = whole.subgraphs[0]
    found = graph.operators[operator]

    def is_given(index: int) -> bool:
        tensor = graph.tensors[index]
        data = whole.buffers[tensor.buffer].data
        return index >= 0 and not tensor.isVariable and (data is None or not len(data))

    inputs = tuple(dict.fromkeys(int(index) for index in found.inputs if is_given(index)))
    return cut(model, Submodel((operator,), inputs, tuple(map(int, found.outputs))), schema)


def _drop_unused_codes(whole: Any) -> None:
    """Removes operator codes without an operator: an interpreter refuses `ethos-u`, which it does not know."""
    operators = [operator for graph in whole.subgraphs for operator in graph.operators or ()]
    used = sorted({operator.opcodeIndex for operator in operators})
    for operator in operators:
        operator.opcodeIndex = used.index(operator.opcodeIndex)
    whole.operatorCodes = [whole.operatorCodes[index] for index in used]


def _drop_unused_data(whole: Any) -> None:
    """Empties buffers that no tensor uses: command streams and the NPU's weights are the bulk of the file."""
    used = {
        graph.tensors[index].buffer
        for graph in whole.subgraphs
        for operator in graph.operators or ()
        for index in operator.inputs
        if index >= 0
    }
    for number, buffer in enumerate(whole.buffers):
        if number not in used:
            buffer.data = None
