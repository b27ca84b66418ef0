"""Refusal of a `.tflite` that no target runs: a float model, sparse weights, shapes that are open or contradict.

    found = refusal(model)
    found.reason            # "is a float model: CONV_2D 0 ('conv') computes in float32"

Float operators beside quantized ones are no reason: QUANTIZE and DEQUANTIZE at the edges, or what follows a detector's
network, run on the CPU of the chip and of every target.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hil.core.tflite.model import Operator, Subgraph, Tensor, TfliteModel
from hil.core.tflite.weights import WEIGHTED

EDGES = ("QUANTIZE", "DEQUANTIZE")
"""Operators between real and quantized numbers."""
_KEEP_BATCH = ("CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D", "AVERAGE_POOL_2D")
_KEEP_SIZE = ("TRANSPOSE", "RESHAPE", *EDGES)

_QUANTIZE_IT = (
    "quantize it: a model file makes int8 leaves of a Keras model, or give TFLiteConverter optimizations, "
    "a representative_dataset and supported_ops TFLITE_BUILTINS_INT8"
)
_NEEDS_SAMPLES = "give TFLiteConverter a representative_dataset and supported_ops TFLITE_BUILTINS_INT8"


@dataclass(frozen=True)
class Refusal:
    """`reason`, of which the model's name is the subject, and a hint."""

    reason: str
    hint: str


def refusal(model: TfliteModel) -> Refusal | None:
    """The reason for which no target runs the model; None for one that they run."""
    graph = model.main
    if any(operator.code.is_npu for operator in graph.operators):
        return None
    return _sparse(model) or _dynamic(graph) or _in_float(graph) or _contradicting(graph)


def _sparse(model: TfliteModel) -> Refusal | None:
    for tensor in (tensor for graph in model.subgraphs for tensor in graph.tensors if tensor.is_sparse):
        return Refusal(
            f"has sparse weights, {tensor.name!r}, which neither Vela nor TFLite Micro unpacks",
            "convert it without EXPERIMENTAL_SPARSITY: Vela compresses the zeros of dense weights",
        )
    return None


def _dynamic(graph: Subgraph) -> Refusal | None:
    for tensor in (graph.tensor(index) for index in graph.inputs):
        axes = [axis for axis, size in enumerate(tensor.shape_signature) if axis and size < 0]
        if axes:
            return Refusal(
                f"has a dynamic shape: axis {', '.join(map(str, axes))} of its input {tensor.name!r} has no size",
                "convert it with a fixed input shape",
            )
    return None


def _contradicting(graph: Subgraph) -> Refusal | None:
    """The refusal of a batch that changes on the way: litert-torch writes an open batch as 1, then as 2.

    The reference kernels infer the shapes anew; Vela and the chip take them as they stand.
    """
    for operator in graph.operators:
        ends = [graph.tensors[index] for index in (*operator.inputs[:1], *operator.outputs[:1]) if index >= 0]
        if len(ends) == 2 and not _fit(graph, operator, ends[0], ends[1]):
            where = f"{operator.kind} {operator.index} ({ends[1].name!r})"
            return Refusal(
                f"has shapes that contradict each other: {where} makes {list(ends[1].shape)} of {list(ends[0].shape)}",
                "convert it with a fixed batch of 1",
            )
    return None


def _fit(graph: Subgraph, operator: Operator, before: Tensor, after: Tensor) -> bool:
    """Returns whether an operator that keeps batch, size or rows keeps them; True for other operators."""
    if operator.kind in _KEEP_BATCH:
        return before.shape[:1] == after.shape[:1]
    if operator.kind in _KEEP_SIZE:
        return math.prod(before.shape) == math.prod(after.shape)
    if operator.kind == "FULLY_CONNECTED" and len(operator.inputs) > 1 and operator.inputs[1] >= 0:
        weights = graph.tensors[operator.inputs[1]].shape
        if len(weights) == 2:
            return math.prod(before.shape) * weights[0] == math.prod(after.shape) * weights[1]
    return True


def _in_float(graph: Subgraph) -> Refusal | None:
    """The refusal of a model that computes something, and all of it in floating point."""
    written = [graph.tensor(index) for operator in graph.operators for index in operator.outputs if index >= 0]
    in_float = [
        operator for operator in graph.operators if operator.kind not in EDGES and _writes_float(graph, operator)
    ]
    if not in_float or any(_is_quantized(tensor) for tensor in written):
        return None
    first = in_float[0]
    output = graph.tensor(first.outputs[0])
    where = f"{first.kind} {first.index} ({output.name!r}) computes in {output.dtype}"
    if any(_is_hybrid(graph, operator) for operator in in_float):
        return Refusal(f"has int8 weights and float activations (dynamic range quantization): {where}", _NEEDS_SAMPLES)
    return Refusal(f"is a float model: {where}", _QUANTIZE_IT)


def _writes_float(graph: Subgraph, operator: Operator) -> bool:
    return bool(operator.outputs) and operator.outputs[0] >= 0 and graph.tensors[operator.outputs[0]].is_float


def _is_quantized(tensor: Tensor) -> bool:
    return not tensor.is_float and bool(tensor.quantization.scales)


def _is_hybrid(graph: Subgraph, operator: Operator) -> bool:
    weights = [graph.tensors[index] for index in operator.inputs[1:2] if index >= 0]
    return operator.kind in WEIGHTED and any(_is_quantized(tensor) for tensor in weights)
