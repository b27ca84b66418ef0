"""TensorFlow Lite's reference kernels, as TensorFlow's wheel has them, without the import of TensorFlow.

    interpreter = KernelInterpreter(model, every_tensor=False)
    interpreter.allocate_tensors()

An interpreter is one extension module of the wheel, and the schema one Python file.  Loaded by their paths they take a
tenth of a second, while `import tensorflow` takes several.  Methods and errors are those of `tf.lite.Interpreter`.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
from pathlib import Path
from types import ModuleType
from typing import Any

from hil.core.arrays import Array
from hil.core.tflite.model import view_model

_EXTENSION = "tensorflow.lite.python.interpreter_wrapper._pywrap_tensorflow_interpreter_wrapper"
_SCHEMA = "tensorflow.lite.python.schema_py_generated"
_REFERENCE = 2
"""The number that `tf.lite` gives to `OpResolverType.BUILTIN_REF`."""


class KernelInterpreter:
    """Interpreter of a model on the reference kernels, in one thread; `every_tensor` keeps the intermediate ones.

    Raises `ValueError` for a model that TensorFlow Lite does not read.
    """

    def __init__(self, model: bytes, every_tensor: bool) -> None:
        clustering, features = False, False  # both of delegates, of which there are none
        self._model = model  # TensorFlow Lite refers to its bytes
        self._native = _load(_EXTENSION).CreateWrapperFromBuffer(
            model, _REFERENCE, [], [], every_tensor, clustering, 1, features
        )

    def allocate_tensors(self) -> None:
        """Prepares the kernels; raises `RuntimeError` for an operator that there is no kernel for."""
        self._native.AllocateTensors()

    def reset_all_variables(self) -> None:
        """Sets variable tensors to zero."""
        self._native.ResetVariableTensors()

    def set_tensor(self, index: int, values: Array) -> None:
        """Copies the values of an input."""
        self._native.SetTensor(index, values)

    def invoke(self) -> None:
        """Runs the model."""
        self._native.Invoke()

    def get_tensor(self, index: int) -> Any:
        """Returns a copy of a tensor; raises `ValueError` for one that holds no values."""
        return self._native.GetTensor(index, 0)

    def get_input_details(self) -> list[dict[str, Any]]:
        """Index and shape of each input."""
        return [{"index": index, "shape": self._native.TensorSize(index, 0)} for index in self._native.InputIndices()]

    def get_output_details(self) -> list[dict[str, Any]]:
        """Index of each output."""
        return [{"index": index} for index in self._native.OutputIndices()]

    def get_tensor_details(self) -> list[dict[str, Any]]:
        """Index and name of each tensor of the model's graph.

        Behind them, an interpreter has its kernels' temporary memory, and crashes where a tensor is made of some.
        """
        count = view_model(self._model, "the model", lambda model: len(model.main.tensors))
        return [{"index": index, "name": self._native.TensorName(index, 0)} for index in range(count)]


def schema() -> ModuleType:
    """Returns the module that reads and writes TFLite files in object form."""
    return _load(_SCHEMA)


@functools.cache
def _load(name: str) -> ModuleType:
    """Loads a module of TensorFlow's wheel by its path; by its name where no file has it."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    wheel = importlib.util.find_spec("tensorflow")
    for folder in (wheel.submodule_search_locations if wheel else None) or ():
        file = Path(folder, *name.split(".")[1:])
        for path in sorted(file.parent.glob(f"{file.name}.*")):
            spec = importlib.util.spec_from_file_location(file.name, path)
            if spec is not None and spec.loader is not None:
                module = importlib.util.module_from_spec(spec)
                spec.loader.exec_module(module)
                return module
    return importlib.import_module(name)
