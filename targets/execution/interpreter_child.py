"""The reference kernels in the child process (see `hil.targets.execution.interpreter`)."""

from __future__ import annotations

import functools
import hashlib
import importlib
import struct
from collections import OrderedDict
from typing import Any

import numpy as np

from hil.core.arrays import Array
from hil.core.errors import BadInputError, InfrastructureError
from hil.core.tflite.model import TfliteModel, view_model
from hil.targets.execution import bias_types, tensorflow_kernels, tflite_micro_kernels
from hil.targets.execution.signature import read_signature
from hil.targets.execution.submodel import Submodel, alone, cut

_PACKAGES = {"litert": "ai_edge_litert", "tflite-runtime": "tflite_runtime"}
"""Interpreters beside TensorFlow's own and TFLite Micro's."""
MICRO = "tflite-micro"
_DAMAGE = (struct.error, IndexError, ValueError, TypeError, AttributeError, OverflowError, MemoryError, KeyError)
"""Errors of flatbuffers, struct and NumPy when `submodel` rewrites a file whose offsets or lengths are wild."""
_KEPT = 64  # interpreters that stay prepared: the pieces of a graph are called again for every batch
_prepared: OrderedDict[str, Prepared] = OrderedDict()


class Prepared:
    """A model with its tensors allocated."""

    def __init__(self, model: bytes, name: str, every_tensor: bool) -> None:
        self._make = functools.partial(_new, model, name, every_tensor)
        # `reset_all_variables` leaves resources (VAR_HANDLE) as they are; only a new interpreter has fresh ones.
        self._resources = "VAR_HANDLE" in read_signature(model).operators
        self._arrays = view_model(model, "the model", _arrays)
        self._interpreter = self._make()
        self._used = False

    def fresh(self) -> None:
        """Resets the model to its initial state."""
        if self._resources and self._used:
            self._interpreter = self._make()
        self._interpreter.reset_all_variables()
        self._used = False

    def invoke(self, inputs: list[Array]) -> list[Array]:
        """Runs one sample; arrays are in the model's order and without a sample axis."""
        interpreter = self._interpreter
        for detail, array in zip(interpreter.get_input_details(), inputs, strict=True):
            interpreter.set_tensor(detail["index"], array.reshape(detail["shape"]))
        interpreter.invoke()
        self._used = True
        return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]

    def tensors(self) -> dict[str, Array]:
        """Values after the last sample of every tensor that holds numbers."""
        found: dict[str, Array] = {}
        for detail in self._interpreter.get_tensor_details():
            if detail["index"] not in self._arrays:
                continue  # TensorFlow Lite reads a resource as texts, at whatever address its bytes make
            try:
                array = self._interpreter.get_tensor(detail["index"])
            except ValueError:  # a tensor that nothing wrote
                continue
            if array.dtype.kind in "biuf":
                found.setdefault(detail["name"], array)
        return found


def _arrays(model: TfliteModel) -> frozenset[int]:
    """Indices of the tensors that are arrays of numbers."""
    return frozenset(tensor.index for tensor in model.main.tensors if tensor.dtype is not None)


def run(header: dict[str, Any], blobs: list[bytes]) -> tuple[dict[str, Any], list[bytes]]:
    """Handler: `blobs` are the model and one array an input, whose dtype and shape `header["inputs"]` has.

    With `alone` in the header, the model of that one operator is the answer.
    """
    try:
        if "alone" in header:
            return {}, [alone(blobs[0], header["alone"], _schema(header["interpreter"]))]
        inputs = [
            np.frombuffer(blob, described["dtype"]).reshape(described["shape"])
            for described, blob in zip(header["inputs"], blobs[1:], strict=True)
        ]
        named = _run(header, blobs[0], inputs)
    except (RuntimeError, *_DAMAGE) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise BadInputError(f"TFLite's reference kernels do not take the model: {reason}") from error
    described = [{"key": key, "dtype": array.dtype.str, "shape": array.shape} for key, array in named.items()]
    return {"outputs": described}, [np.ascontiguousarray(named.pop(key)).tobytes() for key in [*named]]


def _run(header: dict[str, Any], model: bytes, inputs: list[Array]) -> dict[str, Array]:
    resume = header.get("resume", False)
    prepared = _get(model, header["interpreter"], header.get("piece"), header["every_tensor"], resume=resume)
    if header["every_tensor"]:
        prepared.fresh()
        prepared.invoke([array[0] for array in inputs])
        return prepared.tensors()
    if not resume:
        prepared.fresh()
    rows = []
    for index in range(header["samples"]):
        if index and not header["keep_state"]:
            prepared.fresh()
        rows.append(prepared.invoke([array[index] for array in inputs]))
    columns = [np.stack([_sample(array) for array in column]) for column in zip(*rows, strict=True)]
    return {str(position): column for position, column in enumerate(columns)}


def _sample(output: Array) -> Array:
    """An output without its leading batch of 1."""
    return output[0] if output.shape[:1] == (1,) else output


def _get(model: bytes, name: str, piece: dict[str, list[int]] | None, every_tensor: bool, *, resume: bool) -> Prepared:
    key = f"{hashlib.sha256(model).hexdigest()} {name} {piece} {every_tensor}"
    if key not in _prepared:
        if resume:
            raise InfrastructureError("the model's state is lost: its process was started anew in between")
        if piece is not None:
            model = cut(model, Submodel(**{part: tuple(indices) for part, indices in piece.items()}), _schema(name))
        _prepared[key] = Prepared(bias_types.readable(model, _schema(name)), name, every_tensor)
        if len(_prepared) > _KEPT:
            _prepared.popitem(last=False)
    _prepared.move_to_end(key)
    return _prepared[key]


def _schema(name: str) -> Any:
    if name == MICRO:
        return tflite_micro_kernels.schema()
    if name in _PACKAGES:
        return importlib.import_module(f"{_PACKAGES[name]}.schema_py_generated")
    return tensorflow_kernels.schema()


def _new(model: bytes, name: str, every_tensor: bool) -> Any:
    made = _interpreter(model, name, every_tensor)
    made.allocate_tensors()
    return made


def _interpreter(model: bytes, name: str, every_tensor: bool) -> Any:
    if name == MICRO:
        return tflite_micro_kernels.MicroInterpreter(model, every_tensor)
    if name not in _PACKAGES:
        return tensorflow_kernels.KernelInterpreter(model, every_tensor)
    module = importlib.import_module(f"{_PACKAGES[name]}.interpreter")
    return module.Interpreter(
        model_content=model,
        experimental_op_resolver_type=module.OpResolverType.BUILTIN_REF,
        experimental_preserve_all_tensors=every_tensor,
    )
