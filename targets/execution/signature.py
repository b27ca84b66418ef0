"""What a model takes and gives: names, shapes, dtypes, quantization, read from the `.tflite` itself.

    signature = read_signature(Path("resnet8_int8.tflite").read_bytes())
    arrays = take_inputs(signature, np.load("x.npz"))      # by tensor name; floats are quantized
    check_inputs(signature, arrays)                        # one clear line for whatever does not fit

A `.tflite` is a flatbuffer: tables that point to each other by offsets.  Vela's generated classes read it without
TensorFlow, and without any check of those offsets: `verification` does that first.  Whatever they still stumble over
in a damaged file becomes one `BadInputError` here.  A quantized value q stands for the real number
`(q - zero_point) * scale`.
"""

from __future__ import annotations

import functools
import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from hil.core.arrays import Array
from hil.core.errors import BadInputError, StreamError
from hil.core.tflite.verification import verify

DTYPES: dict[int, np.dtype[Any]] = {
    0: np.dtype(np.float32),
    1: np.dtype(np.float16),
    2: np.dtype(np.int32),
    3: np.dtype(np.uint8),
    4: np.dtype(np.int64),
    6: np.dtype(np.bool_),
    7: np.dtype(np.int16),
    9: np.dtype(np.int8),
    10: np.dtype(np.float64),
    15: np.dtype(np.uint32),
    16: np.dtype(np.uint16),
}
"""TFLite's `TensorType` numbers that NumPy has."""

NPU_OPERATOR = "ethos-u"
"""The custom operator in which Vela puts what runs on the NPU."""

_T = TypeVar("_T")
DAMAGE = (struct.error, IndexError, ValueError, TypeError, AttributeError, OverflowError, MemoryError, KeyError)
"""What flatbuffers, struct and NumPy raise when an offset or a length is wild."""


@dataclass(frozen=True)
class TensorSpec:
    """One tensor of a model's interface; `scale` is 0 for a tensor without quantization.

    `dynamic` lists the axes, other than the first, whose size the model leaves open.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scale: float = 0.0
    zero_point: int = 0
    dynamic: tuple[int, ...] = ()

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of one sample: the tensor's without a leading batch of 1."""
        return self.shape[1:] if self.shape[:1] == (1,) else self.shape

    def __str__(self) -> str:
        return f"{self.name!r} {self.dtype.name}{list(self.shape)}"


@dataclass(frozen=True)
class Signature:
    """A model's interface and its operators in order of execution.

    `operators` are kinds (CONV_2D ..., `ethos-u` for what Vela placed), `operator_inputs` the names of the tensors that
    each reads, `operator_outputs` of the one that it writes (the first one, where it writes several: `all_outputs` has
    them all).
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    operators: tuple[str, ...]
    operator_inputs: tuple[tuple[str, ...], ...]
    operator_outputs: tuple[str, ...]
    all_outputs: tuple[tuple[str, ...], ...]

    @property
    def compiled(self) -> bool:
        """Whether this is a Vela output."""
        return NPU_OPERATOR in self.operators

    @property
    def cpu_operators(self) -> tuple[str, ...]:
        """The operators that are not the NPU's."""
        return tuple(name for name in self.operators if name != NPU_OPERATOR)


def read_signature(model: bytes, name: str = "the model") -> Signature:
    """The signature of a `.tflite`; `name` is how errors call it.  Raises `BadInputError` for anything else."""
    return guarded(model, name, _signature)


def guarded(model: bytes, name: str, read: Callable[[Any], _T]) -> _T:
    """`read(Model)`, with every stumble over a file that is no TFLite or a damaged one as a `BadInputError`."""
    from ethosu.vela.tflite.Model import Model

    if len(model) < 8 or model[4:8] != b"TFL3":
        raise BadInputError(f"{name} is no TFLite model", hint="give a .tflite file")
    try:
        verify(model)
    except StreamError as error:
        raise BadInputError(f"{name} is a damaged TFLite file: {error.args[0]}") from error
    try:
        return read(Model.GetRootAsModel(bytearray(model), 0))
    except DAMAGE as error:
        raise BadInputError(f"{name} is a damaged TFLite file: {error or type(error).__name__}") from error


def operator_name(model: Any, operator: Any) -> str:
    """TFLite's name of an operator's kind, such as CONV_2D; a custom operator's own name."""
    code = model.OperatorCodes(operator.OpcodeIndex())
    builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    names = _builtin_names()
    if names[builtin] == "CUSTOM":
        return str(code.CustomCode().decode())
    return names[builtin]


def require_quantized(signature: Signature, name: str = "the model") -> None:
    """Raises `BadInputError` for a float model, or one whose inputs have no fixed shape."""
    for kind, specs in (("input", signature.inputs), ("output", signature.outputs)):
        for spec in specs:
            if spec.dtype.kind == "f":
                raise BadInputError(
                    f"{name} is no fully quantized model: its {kind} {spec.name!r} is {spec.dtype.name}",
                    hint="convert it with full integer quantization, inference_input_type and _output_type int8",
                )
    for spec in signature.inputs:
        if spec.dynamic:
            axes = ", ".join(map(str, spec.dynamic))
            raise BadInputError(
                f"{name} has a dynamic shape: axis {axes} of its input {spec.name!r} has no size",
                hint="convert it with a fixed input shape",
            )


def check_inputs(signature: Signature, inputs: Sequence[Array]) -> int:
    """The number of samples in `inputs`; raises `BadInputError` naming the tensor that does not fit."""
    if len(inputs) != len(signature.inputs):
        names = ", ".join(repr(spec.name) for spec in signature.inputs)
        raise BadInputError(f"the model takes {len(signature.inputs)} inputs ({names}), {len(inputs)} were given")
    samples = len(inputs[0]) if inputs and np.ndim(inputs[0]) else 0
    for spec, array in zip(signature.inputs, inputs, strict=True):
        if np.ndim(array) == 0 or array.shape[1:] != spec.sample_shape:
            wanted = ", ".join(map(str, ("samples", *spec.sample_shape)))
            raise BadInputError(f"input {spec.name!r} wants the shape ({wanted}), {array.shape} was given")
        if array.dtype != spec.dtype:
            raise BadInputError(f"input {spec.name!r} wants {spec.dtype.name}, {array.dtype.name} was given")
        if len(array) != samples:
            raise BadInputError(
                f"input {spec.name!r} has {len(array)} samples, {signature.inputs[0].name!r} has {samples}"
            )
    if not samples:
        raise BadInputError("the inputs hold no sample")
    return samples


def quantize(spec: TensorSpec, values: Array) -> Array:
    """Real numbers as the tensor's dtype, as TFLite's QUANTIZE does: rounded half away from zero, saturated.

    Raises `BadInputError` for a tensor without a scale and for values that are not finite.
    """
    if spec.dtype.kind == "f":
        return np.asarray(values, spec.dtype)
    if not spec.scale:
        raise BadInputError(f"input {spec.name!r} has no scale to quantize floats with", hint=f"give {spec.dtype.name}")
    if not np.isfinite(values).all():
        raise BadInputError(f"input {spec.name!r} holds a value that is not finite")
    limits = np.iinfo(spec.dtype)
    steps = (np.asarray(values, np.float32) / np.float32(spec.scale)).astype(np.float64)
    quantized = np.trunc(steps + np.copysign(0.5, steps)) + spec.zero_point
    result: Array = np.clip(quantized, limits.min, limits.max).astype(spec.dtype)
    return result


def dequantize(spec: TensorSpec, values: Array) -> Array:
    """The real numbers (float32) that quantized values stand for."""
    if not spec.scale:
        return np.asarray(values, np.float32)
    return ((np.asarray(values, np.float64) - spec.zero_point) * spec.scale).astype(np.float32)


def take_inputs(signature: Signature, given: Array | Mapping[str, Array]) -> list[Array]:
    """Arrays in the model's order, from one array or arrays by tensor name; floats are quantized, all are checked."""
    specs = signature.inputs
    if isinstance(given, np.ndarray):
        arrays = [given]
    elif len(given) == 1 and len(specs) == 1:
        arrays = [next(iter(given.values()))]
    else:
        missing = [spec.name for spec in specs if spec.name not in given]
        unknown = sorted(set(given) - {spec.name for spec in specs})
        if missing or unknown:
            names = ", ".join(repr(spec.name) for spec in specs)
            raise BadInputError(f"the model's inputs are {names}; missing {missing}, not known {unknown}")
        arrays = [given[spec.name] for spec in specs]
    if len(arrays) == len(specs):
        arrays = [
            quantize(spec, array) if array.dtype.kind == "f" else array
            for spec, array in zip(specs, arrays, strict=True)
        ]
    check_inputs(signature, arrays)
    return arrays


def tensor_spec(tensor: Any) -> TensorSpec:
    """What a flatbuffer `Tensor` says of itself."""
    shape = tuple(tensor.Shape(axis) for axis in range(tensor.ShapeLength()))
    if any(size < 0 for size in shape) or math.prod(shape) >= 1 << 40:
        raise ValueError(f"a tensor of shape {shape}")
    open_axes = tuple(axis for axis in range(1, tensor.ShapeSignatureLength()) if tensor.ShapeSignature(axis) < 0)
    scale, zero_point = 0.0, 0
    quantization = tensor.Quantization()
    if quantization is not None and quantization.ScaleLength() == 1:
        scale = float(quantization.Scale(0))
        zero_point = int(quantization.ZeroPoint(0)) if quantization.ZeroPointLength() else 0
    if tensor.Type() not in DTYPES:
        raise ValueError(f"a tensor of type {tensor.Type()}")
    name = (tensor.Name() or b"").decode()
    return TensorSpec(name, shape, DTYPES[tensor.Type()], scale, zero_point, open_axes)


def _signature(model: Any) -> Signature:
    graph = model.Subgraphs(0)
    if graph is None:
        raise ValueError("it has no graph")
    operators = [graph.Operators(i) for i in range(graph.OperatorsLength())]
    names = [(graph.Tensors(i).Name() or b"").decode() for i in range(graph.TensorsLength())]
    read = [[op.Inputs(i) for i in range(op.InputsLength())] for op in operators]
    return Signature(
        tuple(tensor_spec(graph.Tensors(graph.Inputs(i))) for i in range(graph.InputsLength())),
        tuple(tensor_spec(graph.Tensors(graph.Outputs(i))) for i in range(graph.OutputsLength())),
        tuple(operator_name(model, operator) for operator in operators),
        tuple(tuple(names[index] for index in indices if index >= 0) for indices in read),
        tuple(names[op.Outputs(0)] if op.OutputsLength() else "" for op in operators),
        tuple(tuple(names[op.Outputs(i)] for i in range(op.OutputsLength())) for op in operators),
    )


@functools.cache
def _builtin_names() -> dict[int, str]:
    from ethosu.vela.tflite.BuiltinOperator import BuiltinOperator

    return {value: name for name, value in vars(BuiltinOperator).items() if not name.startswith("_")}
