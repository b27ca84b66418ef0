"""The kinds of a TFLite file's operators and their weights, read without running it and without TensorFlow.

for operator in read_tflite(content):
    print(operator.kind, operator.output_name, None if operator.weights is None else operator.weights.shape)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hil.core.arrays import Array
from hil.core.errors import StreamError
from hil.core.tflite.model import Operator, Subgraph, Tensor, TfliteModel, view_model

WEIGHTED = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0, "TRANSPOSE_CONV": 0}
"""Operators that have weights -> the axis of the weights with one quantization scale each (or one for all)."""


@dataclass(frozen=True)
class OperatorWeights:
    """One operator, in execution order.

    `weights` are the quantized weights (int8) and `bias` (int32 or int64) of a weighted operator, `channel_axis` their
    output channels' axis, `scales` the weights' scales (one, or one a channel).  `names` are those of weights, bias and
    output: the converter keeps the names of the layers it fused there.  `float_tensors` are the names of tensors that
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


def read_tflite(content: bytes) -> list[OperatorWeights]:
    """The operators of every subgraph; raises `BadInputError` if `content` is no TFLite file or a damaged one."""
    return view_model(content, "the file", _operators)


@dataclass(frozen=True)
class Constant:
    """Quantized weights of two axes: int8 values (outputs, inputs), and one scale or one for each output."""

    name: str
    values: Array
    scales: tuple[float, ...]


def read_constants(content: bytes) -> list[Constant]:
    """The int8 constants of two axes in every subgraph; raises `BadInputError` as `read_tflite` does."""
    return view_model(content, "the file", _constants)


def _constants(model: TfliteModel) -> list[Constant]:
    return [
        Constant(tensor.name, values, tensor.quantization.scales)
        for graph in model.subgraphs
        for tensor in graph.tensors
        if tensor.dtype == np.int8 and len(tensor.shape) == 2 and tensor.quantization.scales
        if (values := tensor.constant()) is not None and len(tensor.quantization.scales) in (1, len(values))
    ]


def _operators(model: TfliteModel) -> list[OperatorWeights]:
    return [_operator(graph, operator) for graph in model.subgraphs for operator in graph.operators]


def _operator(graph: Subgraph, operator: Operator) -> OperatorWeights:
    inputs = [graph.tensors[index] if index >= 0 else None for index in operator.inputs]
    output = graph.tensor(operator.outputs[0]) if operator.outputs else None
    weights, bias = _weights_and_bias(operator, inputs)
    return OperatorWeights(
        kind=operator.kind,
        output_name="" if output is None else output.name,
        names=tuple(tensor.name for tensor in (weights, bias, output) if tensor is not None),
        weights=None if weights is None else weights.constant(),
        bias=None if bias is None else bias.constant(),
        channel_axis=WEIGHTED.get(operator.kind, 0),
        scales=() if weights is None else weights.quantization.scales,
        float_tensors=tuple(tensor.name for tensor in [*inputs, output] if tensor is not None and tensor.is_float),
    )


def _weights_and_bias(operator: Operator, inputs: list[Tensor | None]) -> tuple[Tensor | None, Tensor | None]:
    if operator.kind not in WEIGHTED:
        return None, None
    place = 3 if operator.kind == "TRANSPOSE_CONV" else 2
    if len(inputs) < 2:
        raise StreamError(f"operator {operator.index} has no weights")
    return inputs[1], inputs[place] if len(inputs) > place else None
