"""Shapes, types and quantization of a model's tensors, for arithmetic of the suite's own.

operator = first_operator(model)
x, y = operator.inputs[0], operator.outputs[0]
(samples - x.zero_point) * x.scale
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hil.core.arrays import Array
from hil.core.tflite.flatbuffer import Table
from hil.core.tflite.model import Subgraph, Tensor, read_model


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
    """One operator; an input that was left out is None.  `options` is the table of its kind's options, if any."""

    inputs: tuple[TensorDescription | None, ...]
    outputs: tuple[TensorDescription, ...]
    intermediates: tuple[TensorDescription, ...]
    options: Table | None


def first_operator(model: bytes) -> OperatorDescription:
    """The first operator of a `.tflite`, with its tensors."""
    graph = read_model(model).main
    operator = graph.operators[0]
    return OperatorDescription(
        tuple(None if index < 0 else _described(graph.tensors[index]) for index in operator.inputs),
        _all(graph, operator.outputs),
        _all(graph, operator.intermediates),
        operator.options,
    )


def _all(graph: Subgraph, indices: Sequence[int]) -> tuple[TensorDescription, ...]:
    return tuple(_described(graph.tensor(index)) for index in indices)


def _described(tensor: Tensor) -> TensorDescription:
    assert tensor.dtype is not None
    held = tensor.quantization
    scale, zero_point = (held.scales[0], held.zero_points[0]) if held.scales else (0.0, 0)
    return TensorDescription(tensor.shape, tensor.dtype, scale, zero_point, tensor.constant())
