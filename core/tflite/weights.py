"""Reader of a TFLite file's operators and weights, without running it and without TensorFlow.

for operator in read_tflite(content):
    print(operator.kind, operator.output_name, None if operator.weights is None else operator.weights.shape)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hil.core.arrays import Array
from hil.targets.execution.signature import DTYPES, guarded, operator_name

WEIGHTED = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0, "TRANSPOSE_CONV": 0}
"""Operators that have weights -> the axis of the weights with one quantization scale each (or one for all)."""


@dataclass(frozen=True)
class Operator:
    """One operator, in execution order.

    `weights` are the quantized weights (int8) and `bias` (int32 or int64) of a weighted operator, `channel_axis` their
    output channels' axis, `scales` the weights' scales (one, or one a channel).  `names` are those of weights, bias and
    output: the converter puts the names of fused layers there.  `float_tensors` are the names of tensors that
    are not quantized.
    """

    kind: str
    output_name: str
    names: tuple[str, ...]
    weights: Array | None
    bias: Array | None
    channel_axis: int
    scales: tuple[float, ...]
    float_tensors: tuple[str, ...]


def read_tflite(content: bytes) -> list[Operator]:
    """The operators of every subgraph; raises `BadInputError` if `content` is no TFLite file or a damaged one."""
    return guarded(content, "the file", _operators)


def _operators(model: Any) -> list[Operator]:
    graphs = [model.Subgraphs(place) for place in range(model.SubgraphsLength())]
    return [_operator(model, graph, graph.Operators(i)) for graph in graphs for i in range(graph.OperatorsLength())]


def _operator(model: Any, graph: Any, operator: Any) -> Operator:
    kind = operator_name(model, operator)
    indices = [operator.Inputs(place) for place in range(operator.InputsLength())]
    inputs = [graph.Tensors(index) if index >= 0 else None for index in indices]
    output = graph.Tensors(operator.Outputs(0))
    weights = bias = None
    if kind in WEIGHTED:
        place = 3 if kind == "TRANSPOSE_CONV" else 2
        weights, bias = inputs[1], inputs[place] if len(inputs) > place else None
    tensors = [tensor for tensor in [*inputs, output] if tensor is not None]
    return Operator(
        kind=kind,
        output_name=_name(output),
        names=tuple(_name(tensor) for tensor in (weights, bias, output) if tensor is not None),
        weights=_values(model, weights),
        bias=_values(model, bias),
        channel_axis=WEIGHTED.get(kind, 0),
        scales=_scales(weights),
        float_tensors=tuple(_name(tensor) for tensor in tensors if _dtype(tensor).kind == "f"),
    )


def _values(model: Any, tensor: Any) -> Array | None:
    """A constant tensor's values, None for one that is computed."""
    buffer = None if tensor is None else model.Buffers(tensor.Buffer())
    if buffer is None or buffer.DataLength() == 0:
        return None
    shape = tuple(tensor.Shape(axis) for axis in range(tensor.ShapeLength()))
    return np.asarray(buffer.DataAsNumpy()).view(_dtype(tensor)).reshape(shape)


def _scales(tensor: Any) -> tuple[float, ...]:
    quantization = None if tensor is None else tensor.Quantization()
    if quantization is None:
        return ()
    return tuple(quantization.Scale(place) for place in range(quantization.ScaleLength()))


def _dtype(tensor: Any) -> np.dtype[Any]:
    if tensor.Type() not in DTYPES:
        return np.dtype(np.void)
    return DTYPES[tensor.Type()]


def _name(tensor: Any) -> str:
    return (tensor.Name() or b"").decode(errors="replace")
