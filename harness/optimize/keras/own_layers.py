"""Layer classes of the user's own, by their registration with Keras: `@tf_keras.saving.register_keras_serializable()`.

    register_layers(path, build)             # before `load_model(path)`

A file of the store names such a layer and holds none of its code.  A process that reads one finds the class where the
model file, or its `build`, registers it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hil.harness.optimize.keras.hard_swish import hard_swish_layer
from hil.harness.optimize.keras.keras2 import import_keras

_PACKAGES = ("keras", "tf_keras", "tensorflow_model_optimization", "hil")


def is_users_own(layer: Any) -> bool:
    """Returns whether a layer's class is neither Keras' nor this project's."""
    return type(layer).__module__.split(".")[0] not in _PACKAGES


def is_registered(layer: Any) -> bool:
    """Returns whether Keras finds the layer's class by its name."""
    saving = import_keras().saving
    return saving.get_registered_object(saving.get_registered_name(type(layer))) is type(layer)


def register_layers(path: Path, build: Callable[[], Any] | Path | str | None) -> None:
    """Calls `build`, if it is a function, for an HDF5 file with layers of classes that are not registered yet."""
    import h5py

    if not callable(build):
        return
    hard_swish_layer()
    with h5py.File(path, "r") as file:
        names = set(_registered_names(json.loads(file.attrs["model_config"])))
    if any(import_keras().saving.get_registered_object(name) is None for name in names):
        build()


def registered_layers(structure: Any) -> dict[str, Any]:
    """Returns class name -> class of the registered classes in a model's structure, as TFMOT's wrappers name them."""
    hard_swish_layer()
    found = {name: import_keras().saving.get_registered_object(name) for name in _registered_names(structure)}
    return {name.split(">")[1]: kind for name, kind in found.items() if kind is not None}


def _registered_names(value: Any) -> list[str]:
    """Returns the names "package>class" of a configuration."""
    if isinstance(value, dict):
        names = [str(value.get(key)) for key in ("class_name", "registered_name")]
        return [name for name in names if ">" in name] + [
            inner for part in value.values() for inner in _registered_names(part)
        ]
    return [inner for part in value for inner in _registered_names(part)] if isinstance(value, list) else []
