"""Read-only data of a Vela output: weights, scales and tables of its NPU operators.

read_only_bytes(compiled)      # 1_088

It is read from the file alone, so that a change of the executable NPU compiles nothing again.
"""

from __future__ import annotations

from hil.core.tflite.model import read_model

_READ_ONLY = 1
"""Place of the read-only tensor among the inputs of an `ethos-u` operator, after the command stream."""


def read_only_bytes(compiled: bytes) -> int:
    """Returns the bytes of the read-only tensors, which several operators may share; 0 without an NPU operator."""
    tensors = {
        (number, operator.inputs[_READ_ONLY]): graph.tensors[operator.inputs[_READ_ONLY]].data
        for number, graph in enumerate(read_model(compiled).subgraphs)
        for operator in graph.operators
        if operator.code.is_npu
    }
    return sum(len(data) for data in tensors.values() if data is not None)
