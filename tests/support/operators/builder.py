"""Small `.tflite` models, described and not converted: any operator, type and quantization, within a millisecond.

    x = Tensor((1, 8, 8, 3), "int8", scale=0.05, zero_point=-3)
    w = Tensor((16, 3, 3, 3), "int8", scale=(0.01,) * 16, data=weights)      # per channel along axis 0
    b = Tensor((16,), "int32", scale=tuple(0.05 * s for s in w.scales), data=bias)
    y = Tensor((1, 8, 8, 16), "int8", scale=0.1, zero_point=5)
    model = build(Op("CONV_2D", (x, w, b), (y,), padding="SAME", stride_w=1, stride_h=1))

A tensor is the object itself: operators that name the same object are connected.  What no operator writes and has no
data is an input of the model, what no operator reads is an output.  Options are the fields of the operator's table in
TFLite's schema, in the schema's spelling (`stride_w`); enumerations are given by name (`"SAME"`, `"RELU6"`).

The schema's object form comes from ai-edge-litert, which loads without TensorFlow.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from hil.core.arrays import Array

Numbers = float | Sequence[float]

_OPTIONS = {
    "MAX_POOL_2D": "Pool2DOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "MEAN": "ReducerOptions",
    "SUM": "ReducerOptions",
    "REDUCE_MAX": "ReducerOptions",
    "REDUCE_MIN": "ReducerOptions",
    "MAXIMUM": "MaximumMinimumOptions",
    "MINIMUM": "MaximumMinimumOptions",
    "PADV2": "PadV2Options",
}
"""Operators whose table of options has another name than the operator."""

_ENUMS = {
    "padding": schema.Padding,
    "fusedActivationFunction": schema.ActivationFunctionType,
    "mode": schema.MirrorPadMode,
    "outputType": schema.TensorType,
    "inDataType": schema.TensorType,
    "outDataType": schema.TensorType,
    "quantizedBiasType": schema.TensorType,
    "weightsFormat": schema.FullyConnectedOptionsWeightsFormat,
}

_VERSIONS = {
    "ADD": {"int8": 2, "int16": 4},
    "AVERAGE_POOL_2D": {"int8": 2, "int16": 3},
    "CONCATENATION": {"int8": 2, "int16": 3},
    "CONV_2D": {"int8": 3, "int16": 4},
    "DEPTHWISE_CONV_2D": {"int8": 3, "int16": 5},
    "FULLY_CONNECTED": {"int8": 4, "int16": 7},
    "MAX_POOL_2D": {"int8": 2, "int16": 3},
    "MUL": {"int8": 2, "int16": 4},
    "SUB": {"int8": 2, "int16": 5},
    "TRANSPOSE_CONV": {"int8": 3, "int16": 3},
}
"""Versions of operators by the type of the first input, 1 where none is named (TFLite's `op_version.cc`)."""


@dataclass(frozen=True, eq=False)
class Tensor:
    """One tensor, known by its identity.

    `dtype` is NumPy's name, or `int4` (data as int8, packed on writing).  `scale` and `zero_point` are numbers or one
    number an index of `axis`; without a scale the tensor is not quantized.  `data` makes it a constant, `variable` a
    state that starts as its zero point and lives from run to run, `sparse` a constant in TFLite's sparse encoding.
    `signature` is the shape with -1 for sizes that the model leaves open.
    """

    shape: tuple[int, ...]
    dtype: str = "int8"
    scale: Numbers = ()
    zero_point: int | Sequence[int] = 0
    data: Array | None = None
    axis: int = 0
    variable: bool = False
    sparse: bool = False
    signature: tuple[int, ...] = ()
    name: str = ""

    @property
    def scales(self) -> tuple[float, ...]:
        """The scales, one or one a channel; none if not quantized."""
        return tuple(np.atleast_1d(np.asarray(self.scale, np.float64)).tolist())


@dataclass(frozen=True, eq=False, init=False)
class Op:
    """One operator: TFLite's name, the tensors it reads (None: an optional one that is left out) and writes."""

    name: str
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    options: dict[str, Any]
    version: int
    intermediates: tuple[Tensor, ...]

    def __init__(
        self,
        name: str,
        inputs: Sequence[Tensor | None],
        outputs: Sequence[Tensor],
        *,
        version: int = 0,
        intermediates: Sequence[Tensor] = (),
        **options: Any,
    ) -> None:
        first = next((tensor.dtype for tensor in inputs if tensor is not None), "")
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "inputs", tuple(inputs))
        object.__setattr__(self, "outputs", tuple(outputs))
        object.__setattr__(self, "options", options)
        object.__setattr__(self, "version", version or _VERSIONS.get(name, {}).get(first, 1))
        object.__setattr__(self, "intermediates", tuple(intermediates))


def build(*operators: Op, inputs: Sequence[Tensor] = (), outputs: Sequence[Tensor] = ()) -> bytes:
    """The `.tflite` of `operators`, given in order of execution.

    `inputs` and `outputs` say which tensors are the model's, and in which order, where the default is not wanted.
    """
    read = _unique(t for op in operators for t in op.inputs if t is not None)
    written = _unique(t for op in operators for t in op.outputs)
    held = _unique(t for op in operators for t in op.intermediates)
    free = [t for t in read if t.data is None and not t.variable and t not in written]
    tensors = _unique([*read, *written, *held])
    index = {id(tensor): number for number, tensor in enumerate(tensors)}
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.description, model.buffers = 3, "conformance case", [schema.BufferT()]
    graph.name = "main"
    graph.tensors = [_tensor(number, tensor, model.buffers) for number, tensor in enumerate(tensors)]
    codes = sorted({(op.name, op.version) for op in operators})
    model.operatorCodes = [_code(name, version) for name, version in codes]
    graph.operators = [_operator(op, codes.index((op.name, op.version)), index) for op in operators]
    graph.inputs = [index[id(tensor)] for tensor in inputs or free]
    graph.outputs = [index[id(tensor)] for tensor in outputs or [t for t in written if t not in read]]
    model.subgraphs = [graph]
    writer = flatbuffers.Builder(1024)
    writer.Finish(model.Pack(writer), b"TFL3")
    return bytes(writer.Output())


def _unique(tensors: Iterable[Tensor]) -> list[Tensor]:
    return list(dict.fromkeys(tensors))


def _tensor(number: int, tensor: Tensor, buffers: list[Any]) -> Any:
    made = schema.TensorT()
    made.name = tensor.name or f"t{number}"
    made.shape, made.hasRank = list(tensor.shape), True
    made.type = getattr(schema.TensorType, tensor.dtype.upper())
    made.isVariable = tensor.variable
    made.sparsity = schema.SparsityParametersT() if tensor.sparse else None
    made.shapeSignature = list(tensor.signature) or None
    made.buffer = 0
    if tensor.data is not None:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(_packed(tensor), np.uint8)
        made.buffer = len(buffers)
        buffers.append(buffer)
    if tensor.scales:
        made.quantization = schema.QuantizationParametersT()
        zeros = np.broadcast_to(np.asarray(tensor.zero_point, np.int64), (len(tensor.scales),))
        made.quantization.scale = np.asarray(tensor.scales, np.float32)
        made.quantization.zeroPoint = zeros.copy()
        made.quantization.quantizedDimension = tensor.axis
    return made


def _packed(tensor: Tensor) -> bytes:
    assert tensor.data is not None
    if tuple(tensor.data.shape) != tensor.shape:
        raise ValueError(f"data of shape {tensor.data.shape} for a tensor of shape {tensor.shape}")
    if tensor.dtype != "int4":
        return np.ascontiguousarray(tensor.data, np.dtype(tensor.dtype).newbyteorder("<")).tobytes()
    nibbles = np.append(tensor.data.ravel().astype(np.uint8) & 15, np.zeros(tensor.data.size % 2, np.uint8))
    return (nibbles[::2] | nibbles[1::2] << 4).tobytes()


def _code(name: str, version: int) -> Any:
    made = schema.OperatorCodeT()
    made.builtinCode = getattr(schema.BuiltinOperator, name)
    made.deprecatedBuiltinCode = min(made.builtinCode, 127)
    made.version = version
    return made


def _operator(op: Op, code: int, index: dict[int, int]) -> Any:
    made = schema.OperatorT()
    made.opcodeIndex = code
    made.inputs = [-1 if tensor is None else index[id(tensor)] for tensor in op.inputs]
    made.outputs = [index[id(tensor)] for tensor in op.outputs]
    made.intermediates = [index[id(tensor)] for tensor in op.intermediates]
    kind = _options_kind(op.name)
    if kind:
        made.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
        made.builtinOptions = getattr(schema, f"{kind}T")()
        for name, value in op.options.items():
            _set(made.builtinOptions, _camel(name), value)
    elif op.options:
        raise ValueError(f"{op.name} has no options")
    return made


def _options_kind(operator: str) -> str:
    """Name of the schema's table of options, empty if the operator has none."""
    wanted = _OPTIONS.get(operator, f"{operator}Options").replace("_", "").lower()
    names = {name.lower(): name for name in vars(schema.BuiltinOptions) if not name.startswith("_")}
    return names.get(wanted, "")


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def _set(options: Any, field: str, value: Any) -> None:
    if not hasattr(options, field):
        raise ValueError(f"{type(options).__name__} has no field {field}")
    setattr(options, field, getattr(_ENUMS[field], value) if isinstance(value, str) else value)
