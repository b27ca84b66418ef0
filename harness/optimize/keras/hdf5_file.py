"""HDF5 files of Keras models, structure and weights, without pickle; also of quantization-aware models.

    save_model(model, Path("pqat.h5"))
    loaded = load_model(Path("pqat.h5"))

The steps return quantization-aware models with TFMOT's default quantizers (`with_default_quantizers`), so TFMOT's
`quantize_scope` is enough to read one.

A store may be shared, and Keras runs code that an HDF5 file carries: its `safe_mode` is for another format.  So the
structure is read first, and a file is refused that names a Lambda layer, a class of another package that this process
has not registered (`own_layers`), or a function of TensorFlow that does more than compute.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hil.core.errors import BadInputError
from hil.harness.optimize.keras.keras2 import import_keras, import_tfmot, quiet
from hil.harness.optimize.keras.own_layers import registered_layers

_CODE = ("Lambda", "__lambda__", "function", "__typespec__", "ClassMethod", "InstanceMethod")
"""Classes of a Keras configuration that hold code or name an importable object."""
_PACKAGES = ("keras", "tf_keras", "tensorflow_model_optimization", "builtins")
_COMPUTING = ("math", "nn", "linalg", "image", "signal", "quantization", "__operators__", "dtypes")
"""Namespaces of TensorFlow whose functions only compute."""
_SHAPING = (
    *("broadcast_to", "cast", "clip_by_value", "concat", "expand_dims", "fill", "gather", "identity", "one_hot"),
    *(
        "norm",
        "ones_like",
        "pad",
        "repeat",
        "reshape",
        "reverse",
        "roll",
        "shape",
        "slice",
        "split",
        "squeeze",
        "stack",
    ),
    *("strided_slice", "tile", "transpose", "unstack", "where", "zeros_like"),
)
"""Functions outside these namespaces that only compute."""
_HINT = "build it of Keras' own layers"


def save_model(model: Any, path: Path) -> None:
    """Writes a Keras model, structure and weights, without its optimizer; raises `BadInputError` if it holds code.

    HDF5 works in memory: its library crashes where a disk is full.
    """
    import h5py

    with h5py.File(path.name, "w", driver="core", backing_store=False) as file:
        with quiet():
            model.save(file, save_format="h5", include_optimizer=False)
        if carried := next(code_in(_structure(file)), None):
            raise BadInputError(f"{model.name} cannot be kept in a file: it holds code ({carried})", hint=_HINT)
        file.attrs["model_config"] = json.dumps(_without_arrays(_structure(file)))
        file.flush()
        path.write_bytes(file.id.get_file_image())


def load_model(path: Path) -> Any:
    """Reads a file of `save_model`; raises `BadInputError` for any other file, and for one that carries code."""
    import h5py

    keras, tfmot = import_keras(), import_tfmot()
    if not path.is_file():
        raise BadInputError(f"no Keras model {path}")
    try:
        with h5py.File(path, "r") as file:
            structure = _structure(file)
        carried = next(code_in(structure), None)
        if carried is None:
            with quiet(), tfmot.quantization.keras.quantize_scope(registered_layers(structure)):
                return keras.models.load_model(str(path), compile=False)
    except Exception as error:
        first_line = (str(error).splitlines() or [""])[0]
        raise BadInputError(f"{path} is no Keras HDF5 model: {type(error).__name__}: {first_line}") from None
    raise BadInputError(f"{path} is not loaded: it carries code ({carried})", hint=_HINT)


def _structure(file: Any) -> Any:
    """Reads the model's configuration that Keras wrote into the open HDF5 file."""
    return json.loads(file.attrs["model_config"])


def _without_arrays(value: Any) -> Any:
    """Returns a configuration with zeros in place of initializers that hold an array, which Keras cannot read back.

    The file has the weights themselves.
    """
    if isinstance(value, list):
        return [_without_arrays(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    if value.get("class_name") == "Constant" and isinstance(value["config"].get("value"), dict | list):
        return {**value, "class_name": "Zeros", "config": {}}
    return {key: _without_arrays(inner) for key, inner in value.items()}


def code_in(value: Any) -> Iterator[str]:
    """Iterates over the names of all entries of a configuration that would run code outside Keras and TFMOT."""
    if isinstance(value, dict):
        name, config = value.get("class_name"), value.get("config")
        module = value.get("module")
        if name in _CODE:
            yield str(name)
        elif name in ("TFOpLambda", "SlicingOpLambda") and not _computes(config):
            yield f"{name} {config.get('function') if isinstance(config, dict) else config}"
        elif name is not None and module is not None and not _is_known(str(module), value.get("registered_name")):
            yield f"{module}.{name}"
        for inner in value.values():
            yield from code_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from code_in(inner)


def _is_known(module: str, registered: Any) -> bool:
    """Returns whether Keras makes an object of a library's class, or of one that this process has registered."""
    if module.split(".")[0] in _PACKAGES:
        return True
    return registered is not None and import_keras().saving.get_registered_object(registered) is not None


def _computes(config: Any) -> bool:
    function = str(config.get("function")) if isinstance(config, dict) else ""
    function = function.removeprefix("compat.v1.")  # as Keras 2 writes a few of them
    return function.split(".")[0] in _COMPUTING if "." in function else function in _SHAPING
