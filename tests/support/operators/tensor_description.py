"""Shapes, types and quantization of a model's tensors, for arithmetic of the suite's own.

operator = first_operator(model)
x, y = operator.inputs[0], operator.outputs[0]
(samples - x.zero_point) * x.scale
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from hil.core.arrays import Array


@dataclass(frozen=True)
class TensorDescription:
    """One tensor; `scale` is 0 for one that is not quantized, `data` None for one that is no constant."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scale: float
    zero_point: int
    data: Array | None


@dataclass(frozen=True)
class OperatorDescription:
    """One operator; an input that was left out is None.  `options` is the schema's object."""

    inputs: tuple[TensorDescription | None, ...]
    outputs: tuple[TensorDescription, ...]
    intermediates: tuple[TensorDescription, ...]
    options: Any


def first_operator(model: bytes) -> OperatorDescription:
    """The first operator of a `.tflite`, with its tensors."""
    read = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model))
    graph = read.subgraphs[0]
    operator = graph.operators[0]

    def tensors(indices: Any) -> tuple[Any, ...]:
        numbers = [] if indices is None else indices
        return tuple(None if i < 0 else _described(graph.tensors[i], read.buffers) for i in numbers)

    inputs, outputs, held = (tensors(part) for part in (operator.inputs, operator.outputs, operator.intermediates))
    return OperatorDescription(inputs, outputs, held, operator.builtinOptions)


def _described(tensor: Any, buffers: Any) -> TensorDescription:
    names = {number: name.lower() for name, number in vars(schema.TensorType).items() if not name.startswith("_")}
    dtype = np.dtype(names[tensor.type])
    shape = tuple(int(length) for length in (() if tensor.shape is None else tensor.shape))
    raw = buffers[tensor.buffer].data
    data = None if raw is None else np.frombuffer(bytes(raw), dtype).reshape(shape)
    held = tensor.quantization
    if held is None or held.scale is None:
        return TensorDescription(shape, dtype, 0.0, 0, data)
    return TensorDescription(shape, dtype, float(held.scale[0]), int(held.zeroPoint[0]), data)
