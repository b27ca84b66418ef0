"""TFLite Micro's kernels, as its wheel `tflite-micro` has them, with the methods of `KernelInterpreter`.

They are those of the chip's firmware without CMSIS-NN, and compute what TensorFlow's reference kernels compute, but for
LSTMs.  They look at no operator's version, and have resource variables.  TFLite Micro ends the process where its arena
is too small, so it gets room for every tensor at once.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

import numpy as np

from hil.core.arrays import Array
from hil.core.tflite.memory_plan import without_plan
from hil.core.tflite.model import TfliteModel, view_model

_RUNTIME = "tflite_micro.python.tflite_micro.runtime"
_SCHEMA = "tflite_micro.tensorflow.lite.micro.python.schema_py_generated"
_SPARE = 8 << 20
"""Bytes of the arena beside tensors: the kernels' temporary memory and the graph itself."""


class MicroInterpreter:
    """Interpreter of a model on TFLite Micro's kernels; `every_tensor` keeps the intermediate ones.

    Raises `RuntimeError` for an operator that there is no kernel for.
    """

    def __init__(self, model: bytes, every_tensor: bool) -> None:
        runtime: Any = importlib.import_module(_RUNTIME)
        modes = runtime.InterpreterConfig
        self._graph = view_model(model, "the model", lambda found: found.main)
        self._native = runtime.Interpreter.from_bytes(
            without_plan(model),
            arena_size=2 * view_model(model, "the model", _bytes) + _SPARE,
            intrepreter_config=modes.kPreserveAllTensors if every_tensor else modes.kAllocationRecording,
        )

    def allocate_tensors(self) -> None:
        """Does nothing: the kernels are prepared."""

    def reset_all_variables(self) -> None:
        """Sets variable tensors to their initial values."""
        self._native.reset()

    def set_tensor(self, index: int, values: Array) -> None:
        """Copies the values of an input."""
        self._native.set_input(np.ascontiguousarray(values), self._graph.inputs.index(index))

    def invoke(self) -> None:
        """Runs the model."""
        self._native.invoke()

    def get_tensor(self, index: int) -> Any:
        """Returns a copy of an output, or of any tensor if they are kept."""
        if index in self._graph.outputs:
            return np.array(self._native.get_output(self._graph.outputs.index(index)))
        return np.array(self._native.GetTensor(index, 0)["tensor_data"])

    def get_input_details(self) -> list[dict[str, Any]]:
        """Index and shape of each input."""
        return [{"index": index, "shape": self._graph.tensors[index].shape} for index in self._graph.inputs]

    def get_output_details(self) -> list[dict[str, Any]]:
        """Index of each output."""
        return [{"index": index} for index in self._graph.outputs]

    def get_tensor_details(self) -> list[dict[str, Any]]:
        """Index and name of each tensor that an operator writes or the model takes."""
        given = {*self._graph.inputs, *(index for operator in self._graph.operators for index in operator.outputs)}
        return [{"index": index, "name": self._graph.tensors[index].name} for index in sorted(given)]


def schema() -> ModuleType:
    """Returns the module that reads and writes TFLite files in object form."""
    return importlib.import_module(_SCHEMA)


def _bytes(model: TfliteModel) -> int:
    return sum(tensor.bytes + 64 for graph in model.subgraphs for tensor in graph.tensors if tensor.data is None)
