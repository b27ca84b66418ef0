"""The signature of a model: names, shapes, dtypes and quantization of its tensors, read from the `.tflite` itself.

    signature = read_signature(Path("resnet8_int8.tflite").read_bytes())
    arrays = take_inputs(signature, np.load("x.npz"))      # by tensor name; floats are quantized
    check_inputs(signature, arrays)                        # one clear line for whatever does not fit

A quantized value q stands for the real number `(q - zero_point) * scale`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hil.core.arrays import Array
from hil.core.errors import BadInputError, StreamError
from hil.core.tflite.model import NPU_OPERATOR, Operator, Subgraph, Tensor, TfliteModel, view_model
from hil.targets.execution.quantization import Refusal, refusal

_MOST_STEPS = float(1 << 30)
"""QUANTIZE converts to int32 before it saturates, which C leaves undefined beyond."""


@dataclass(frozen=True)
class TensorSpec:
    """One tensor of a model's interface; `scale` is 0 for a tensor without quantization.

    `quantized` of a float input is the tensor that a QUANTIZE makes of it, of a float output the one that a DEQUANTIZE
    makes it from.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scale: float = 0.0
    zero_point: int = 0
    quantized: TensorSpec | None = None

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
    them all).  `refusal` is the reason for which no target runs it.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    operators: tuple[str, ...]
    operator_inputs: tuple[tuple[str, ...], ...]
    operator_outputs: tuple[str, ...]
    all_outputs: tuple[tuple[str, ...], ...]
    refusal: Refusal | None = None

    @property
    def compiled(self) -> bool:
        """True for a Vela output."""
        return NPU_OPERATOR in self.operators

    @property
    def cpu_operators(self) -> tuple[str, ...]:
        """The operators that are not the NPU's."""
        return tuple(name for name in self.operators if name != NPU_OPERATOR)


def read_signature(model: bytes, name: str = "the model") -> Signature:
    """The signature of a `.tflite`; errors use `name` for it.  Raises `BadInputError` for anything else."""
    return view_model(model, name, _signature)


def require_runnable(signature: Signature, name: str = "the model") -> None:
    """Raises `BadInputError` for a float model, and for what else no target runs (`quantization`)."""
    if signature.refusal is not None:
        raise BadInputError(f"{name} {signature.refusal.reason}", hint=signature.refusal.hint)


def check_inputs(signature: Signature, inputs: Sequence[Array]) -> int:
    """The number of samples in `inputs`; raises `BadInputError` naming the tensor that does not fit."""
    if len(inputs) != len(signature.inputs):
        names = ", ".join(repr(spec.name) for spec in signature.inputs)
        raise BadInputError(f"the model takes {len(signature.inputs)} inputs ({names}), {len(inputs)} were given")
    samples = len(inputs[0]) if inputs and np.ndim(inputs[0]) else 0
    for spec, array in zip(signature.inputs, inputs, strict=True):
        if np.ndim(array) == 0 or array.shape[1:] != spec.sample_shape:
            wanted = ", ".join(map(str, ("samples", *spec.sample_shape)))
            batch = np.ndim(array) > 0 and array.shape[1:] == spec.shape[1:]
            hint = f"each sample is a batch of {spec.shape[0]}: convert it with a batch of 1" if batch else ""
            raise BadInputError(f"input {spec.name!r} wants the shape ({wanted}), {array.shape} was given", hint=hint)
        if array.dtype != spec.dtype:
            raise BadInputError(f"input {spec.name!r} wants {spec.dtype.name}, {array.dtype.name} was given")
        _check_reals(spec, array)
        if len(array) != samples:
            raise BadInputError(
                f"input {spec.name!r} has {len(array)} samples, {signature.inputs[0].name!r} has {samples}"
            )
    if not samples:
        raise BadInputError("the inputs hold no sample")
    return samples


def _check_reals(spec: TensorSpec, array: Array) -> None:
    """Raises `BadInputError` for real numbers of which processors make different integers: NaN, and beyond int32."""
    if spec.dtype.kind != "f":
        return
    if not np.isfinite(array).all():
        raise BadInputError(f"input {spec.name!r} holds a value that is not finite")
    if spec.quantized is not None and np.abs(array).max(initial=0) >= _MOST_STEPS * spec.quantized.scale:
        raise BadInputError(f"input {spec.name!r} holds {np.abs(array).max():g}, too large for its QUANTIZE")


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


def quantize_samples(signature: Signature, samples: Sequence[Array]) -> list[Array]:
    """Real numbers (n, ...) by input as the tensors' dtypes; an input without a scale takes whole numbers as they are.

    Raises `BadInputError` for values that an input does not hold.
    """
    if len(samples) != len(signature.inputs):
        names = ", ".join(spec.name for spec in signature.inputs)
        raise BadInputError(f"the model takes {len(signature.inputs)} inputs ({names}), the data has {len(samples)}")
    return [_whole_or_quantized(spec, array) for spec, array in zip(signature.inputs, samples, strict=True)]


def _whole_or_quantized(spec: TensorSpec, values: Array) -> Array:
    if spec.scale or spec.dtype.kind not in "iub":
        return quantize(spec, values)
    whole: Array = values.astype(spec.dtype)
    if not np.array_equal(whole, values):
        raise BadInputError(f"input {spec.name!r} takes {spec.dtype.name}, and the data has other values")
    return whole


def dequantize(spec: TensorSpec, values: Array) -> Array:
    """The real numbers (float32) that quantized values stand for."""
    if not spec.scale:
        return np.asarray(values, np.float32)
    return ((np.asarray(values, np.float64) - spec.zero_point) * spec.scale).astype(np.float32)


def order_inputs(signature: Signature, given: Array | Mapping[str, Array]) -> list[Array]:
    """Arrays in the model's order, from one array or arrays by tensor name, unchanged.

    Raises `BadInputError` for names that are not the model's.
    """
    specs = signature.inputs
    if isinstance(given, np.ndarray):
        return [given]
    if len(given) == 1 and len(specs) == 1:
        return [next(iter(given.values()))]
    missing = [spec.name for spec in specs if spec.name not in given]
    unknown = sorted(set(given) - {spec.name for spec in specs})
    if missing or unknown:
        names = ", ".join(repr(spec.name) for spec in specs)
        wrong = {"missing": missing, "unknown": unknown}
        found = ", ".join(f"{what}: {', '.join(map(repr, of))}" for what, of in wrong.items() if of)
        raise BadInputError(f"the model's inputs are {names}; {found}")
    return [given[spec.name] for spec in specs]


def take_inputs(signature: Signature, given: Array | Mapping[str, Array]) -> list[Array]:
    """Arrays in the model's order, from one array or arrays by tensor name; floats are quantized, all are checked."""
    specs, arrays = signature.inputs, order_inputs(signature, given)
    if len(arrays) == len(specs):
        arrays = [
            quantize(spec, array) if array.dtype.kind == "f" else array
            for spec, array in zip(specs, arrays, strict=True)
        ]
    check_inputs(signature, arrays)
    return arrays


def _tensor_spec(tensor: Tensor, quantized: Tensor | None = None) -> TensorSpec:
    if any(size < 0 for size in tensor.shape) or math.prod(tensor.shape) >= 1 << 40:
        raise StreamError(f"a tensor of shape {tensor.shape}")
    if tensor.dtype is None:
        raise StreamError(f"a tensor of type {tensor.type}")
    scale, zero_point = 0.0, 0
    if len(tensor.quantization.scales) == 1:
        scale = tensor.quantization.scales[0]
        zero_point = next(iter(tensor.quantization.zero_points), 0)
    of = None if quantized is None or quantized.dtype is None else _tensor_spec(quantized)
    return TensorSpec(tensor.name, tensor.shape, tensor.dtype, scale, zero_point, of)


def _quantized(graph: Subgraph, index: int, operator: Operator) -> Tensor | None:
    """The other tensor of a QUANTIZE that reads tensor `index`, or of a DEQUANTIZE that writes it."""
    ends = {"QUANTIZE": (operator.inputs, operator.outputs), "DEQUANTIZE": (operator.outputs, operator.inputs)}
    float_end, other = ends.get(operator.kind, ((), ()))
    found = graph.tensors[other[0]] if index in float_end and other and other[0] >= 0 else None
    return found if graph.tensor(index).is_float and found is not None and found.quantization.scales else None


def _interface(graph: Subgraph, indices: Sequence[int]) -> tuple[TensorSpec, ...]:
    found = {index: [_quantized(graph, index, operator) for operator in graph.operators] for index in indices}
    return tuple(_tensor_spec(graph.tensor(i), next((of for of in found[i] if of is not None), None)) for i in indices)


def _signature(model: TfliteModel) -> Signature:
    graph = model.main
    names = {-1: "", **{tensor.index: tensor.name for tensor in graph.tensors}}
    outputs = [tuple(names[index] for index in operator.outputs) for operator in graph.operators]
    return Signature(
        _interface(graph, graph.inputs),
        _interface(graph, graph.outputs),
        tuple(operator.kind for operator in graph.operators),
        tuple(tuple(names[index] for index in operator.inputs if index >= 0) for operator in graph.operators),
        tuple(next(iter(written), "") for written in outputs),
        tuple(outputs),
        refusal(model),
    )
