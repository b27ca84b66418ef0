"""What a TFLite file says about its operators and weights, read without running it.

for operator in read_tflite(content):
    print(operator.kind, operator.output_name, None if operator.weights is None else operator.weights.shape)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hil.harness.model import Array
from hil.harness.optimize.keras2 import import_tensorflow
from hil.npu.errors import BadInputError

WEIGHTED = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0, "TRANSPOSE_CONV": 0}
"""Operators that have weights -> the axis of the weights with one quantization scale each (or one for all)."""


@dataclass(frozen=True)
class Operator:
    """One operator, in execution order.

    `weights` are the quantized weights (int8) and `bias` (int32 or int64) of a weighted operator, `channel_axis` their
    output channels' axis, `scales` the weights' scales (one, or one a channel), `zero_points` likewise.  `names` are
    those of weights, bias and output: the converter keeps the names of the layers it fused there.  `float_tensors`
    are the names of tensors that are not quantized.
    """

    kind: str
    output_name: str
    names: tuple[str, ...]
    weights: Array | None
    bias: Array | None
    channel_axis: int
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    float_tensors: tuple[str, ...]


def read_tflite(content: bytes) -> list[Operator]:
    """The operators of every subgraph; raises `BadInputError` if `content` is no TFLite file."""
    import_tensorflow()
    from tensorflow.lite.python import schema_py_generated as schema

    if content[4:8] != b"TFL3":
        raise BadInputError("not a TFLite file")
    try:
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
        names = {value: name for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
        kinds = [names[max(code.builtinCode, code.deprecatedBuiltinCode)] for code in model.operatorCodes]
        return [
            _operator(schema, model, graph, op, kinds[op.opcodeIndex])
            for graph in model.subgraphs
            for op in graph.operators
        ]
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise BadInputError(f"damaged TFLite file: {type(error).__name__}: {error}") from None
    except Exception as error:  # struct.error and flatbuffers' own family
        raise BadInputError(f"damaged TFLite file: {error}") from None


def _operator(schema: Any, model: Any, graph: Any, op: Any, kind: str) -> Operator:
    inputs = [graph.tensors[index] if index >= 0 else None for index in op.inputs]
    output = graph.tensors[op.outputs[0]]
    weights = inputs[1] if kind in WEIGHTED else None
    bias = None
    if weights is not None:
        place = 3 if kind == "TRANSPOSE_CONV" else 2
        bias = inputs[place] if len(inputs) > place else None
    floats = (schema.TensorType.FLOAT32, schema.TensorType.FLOAT16, schema.TensorType.FLOAT64)
    tensors = [tensor for tensor in [*inputs, output] if tensor is not None]
    quantization = weights.quantization if weights is not None else None
    return Operator(
        kind=kind,
        output_name=_text(output.name),
        names=tuple(_text(tensor.name) for tensor in (weights, bias, output) if tensor is not None),
        weights=_values(schema, model, weights),
        bias=_values(schema, model, bias),
        channel_axis=WEIGHTED.get(kind, 0),
        scales=tuple(float(v) for v in _listed(quantization and quantization.scale)),
        zero_points=tuple(int(v) for v in _listed(quantization and quantization.zeroPoint)),
        float_tensors=tuple(_text(tensor.name) for tensor in tensors if tensor.type in floats),
    )


def _values(schema: Any, model: Any, tensor: Any) -> Array | None:
    """A constant tensor's values, None for one that is computed or of a type that weights do not have."""
    if tensor is None or model.buffers[tensor.buffer].data is None:
        return None
    types = {
        schema.TensorType.INT8: np.int8,
        schema.TensorType.UINT8: np.uint8,
        schema.TensorType.INT16: np.int16,
        schema.TensorType.INT32: np.int32,
        schema.TensorType.INT64: np.int64,
        schema.TensorType.FLOAT32: np.float32,
    }
    if tensor.type not in types:
        return None
    data = np.asarray(model.buffers[tensor.buffer].data, np.uint8)
    return data.view(types[tensor.type]).reshape(tuple(tensor.shape))


def _listed(values: Any) -> list[Any]:
    return [] if values is None else list(values)


def _text(name: Any) -> str:
    return name.decode(errors="replace") if isinstance(name, bytes) else str(name or "")
