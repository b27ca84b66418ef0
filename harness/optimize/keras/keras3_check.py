"""Security checks of a Keras 3 file before Keras reads it: no code, no external references, bounded sizes.

    from hil.harness.optimize.keras.keras3 import construct

    content = read_archive(Path("net.keras"))          # zip members, bounded; nothing is unpacked to disk
    check_config(content.config, path)                 # only allowed classes; an error names any other
    weights = check_hdf5(content.weights, path)        # plain numbers only: no links, no storage elsewhere
    check_size(lambda: construct(entry).network, weights, path)

Keras' own `safe_mode` refuses Lambda layers; files have run code all the same, by naming importable functions (like
CVE-2025-1550), by vocabularies read from any path, and in HDF5, where `safe_mode` did not apply.  So the checks use
lists of what is allowed, and refuse everything else.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from hil.core.errors import BadInputError
from hil.harness.optimize.keras.keras2 import import_tensorflow, quiet
from hil.harness.optimize.keras.keras3_graph import CONSTANTS
from hil.harness.optimize.keras.keras3_layers import (
    CONSTRAINTS,
    LAYERS,
    MODELS,
    REGULARIZERS,
    label,
    refuse,
)
from hil.harness.optimize.keras.keras3_operations import OPERATIONS

MAX_CONFIG = 64 << 20
MAX_WEIGHTS = 1 << 30
MAX_OUTPUT = 1 << 26
"""Bytes of a configuration, bytes of weights, elements of one layer's output for one sample."""
_ANY_SIZE = 32
_MEMBERS = ("metadata.json", "config.json", "model.weights.h5")
_MODULES = (
    *("keras", "keras.layers", "keras.models", "keras.initializers", "keras.regularizers", "keras.constraints"),
    *("keras.src.models.functional", "keras.src.models.sequential", "keras.src.ops.numpy", "keras.src.ops.nn"),
    "keras.src.ops.core",
)
_INITIALIZERS = (
    *("Zeros", "Ones", "Constant", "RandomNormal", "RandomUniform", "TruncatedNormal", "VarianceScaling"),
    *(
        "GlorotUniform",
        "GlorotNormal",
        "HeNormal",
        "HeUniform",
        "LecunNormal",
        "LecunUniform",
        "Orthogonal",
        "Identity",
    ),
    *("IdentityInitializer", "OrthogonalInitializer"),
)
_PARTS = ("InputLayer", "DTypePolicy", "__keras_tensor__", *CONSTANTS)
_ALLOWED = frozenset((*LAYERS, *OPERATIONS, *MODELS, *REGULARIZERS, *CONSTRAINTS, *_INITIALIZERS, *_PARTS))
_CODE = ("Lambda", "__lambda__", "function")
_HINT = "build it of Keras' own layers"


@dataclass(frozen=True)
class KerasArchive:
    """Content of a `.keras` file: the model's configuration, the version of Keras that wrote it, weights as HDF5."""

    config: dict[str, Any]
    version: str
    weights: bytes


def read_archive(path: Path) -> KerasArchive:
    """Reads a `.keras` file in memory; raises `BadInputError` unless it has exactly the three known members."""
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {entry.filename: entry.file_size for entry in archive.infolist() if not entry.is_dir()}
            if set(sizes) - set(_MEMBERS):
                raise BadInputError(f"{path} is not loaded: it carries {sorted(set(sizes) - set(_MEMBERS))[0]}")
            if any(size > (MAX_WEIGHTS if name.endswith(".h5") else MAX_CONFIG) for name, size in sizes.items()):
                raise BadInputError(f"{path} is not loaded: it is larger than a model for a microcontroller can be")
            metadata, config, weights = (archive.read(name) for name in _MEMBERS)
        return KerasArchive(
            _uncompiled(parse_object(config, path)), str(parse_object(metadata, path).get("keras_version")), weights
        )
    except (KeyError, OSError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        raise BadInputError(f"{path} is no Keras model: {error}") from None


def _uncompiled(value: Any) -> Any:
    """Removes the training configuration, which is not needed and is not checked."""
    if isinstance(value, dict):
        return {key: _uncompiled(inner) for key, inner in value.items() if key != "compile_config"}
    return [_uncompiled(inner) for inner in value] if isinstance(value, list) else value


def parse_object(text: str | bytes, path: Path) -> dict[str, Any]:
    """Parses a JSON object; raises `BadInputError` for anything else."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{path} is no Keras model: {type(error).__name__} in its configuration") from None
    if not isinstance(value, dict):
        raise BadInputError(f"{path} is no Keras model: its configuration is no object")
    return value


def check_config(config: dict[str, Any], path: Path) -> None:
    """Raises `BadInputError` if a Keras 3 configuration carries code, `OptimizeError` if it has an unknown layer."""
    try:
        for layer, module, name in _strangers(config, str(config.get("class_name"))):
            if name not in _CODE and ">" not in name and module in _MODULES:  # ">": registered by a user's package
                refuse(label([layer]), f"{name} is none of the layers it knows", "replace it by usual ones")
            raise BadInputError(f"{path} is not loaded: {label([layer])} carries code ({module}.{name})", hint=_HINT)
    except RecursionError:
        raise BadInputError(f"{path} is no Keras model: RecursionError in its configuration") from None
    if config.get("class_name") not in MODELS:
        raise BadInputError(f"{path} holds no functional or sequential model but {config.get('class_name')}")


def _strangers(value: Any, layer: str) -> Iterator[tuple[str, str, str]]:
    """Iterates over (layer, module, class) of all entries of a configuration that are not allowed."""
    if isinstance(value, dict):
        if "class_name" in value or "registered_name" in value:
            name, module = str(value.get("class_name")), value.get("module")
            config = value.get("config")
            layer = str(config.get("name", layer)) if isinstance(config, dict) else layer
            registered = value.get("registered_name")
            if name not in _ALLOWED or module not in (None, *_MODULES) or registered not in (None, name):
                yield layer, str(module), name if registered in (None, name) else str(registered)
        for inner in value.values():
            yield from _strangers(inner, layer)
    elif isinstance(value, list):
        for inner in value:
            yield from _strangers(inner, layer)


def check_hdf5(content: bytes, path: Path) -> int:
    """Counts the weights in an HDF5 file; raises `BadInputError` unless all are numeric arrays stored in the file."""
    import h5py

    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            sizes = list(_arrays(file, set(), h5py))
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, RecursionError) as error:
        raise BadInputError(f"{path} holds no weights that can be read: {str(error).splitlines()[0]}") from None
    if None in sizes or sum(size for size in sizes if size) * 4 > MAX_WEIGHTS:
        raise BadInputError(f"{path} is not loaded: its weights are links, stored elsewhere, no numbers, or too many")
    return sum(size for size in sizes if size)


def _arrays(group: Any, seen: set[int], h5py: Any) -> Iterator[int | None]:
    """Iterates over the sizes of all arrays below a group; None for anything but a numeric array in this file."""
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            yield None
            continue
        item = group[name]
        address = h5py.h5o.get_info(item.id).addr
        if address in seen:
            yield None
            continue
        seen.add(address)
        if isinstance(item, h5py.Group):
            yield from _arrays(item, seen, h5py)
        elif not isinstance(item, h5py.Dataset) or item.dtype.kind not in "fiu" or item.external or item.is_virtual:
            yield None
        else:
            yield int(item.size)


def check_size(build: Callable[[], Any], weights: int, path: Path) -> None:
    """Raises `BadInputError` if the network of `build` has more weights than the file, or an output above `MAX_OUTPUT`.

    The network is built in a graph of its own, where nothing is allocated.
    """
    with quiet(), import_tensorflow().Graph().as_default():
        network = build()
        if network.count_params() > weights:
            raise BadInputError(f"{path} holds {weights} weights, its network has {network.count_params()}")
        for layer in network.layers:
            for tensor in import_tensorflow().nest.flatten(layer.output):
                if prod(_ANY_SIZE if size is None else int(size) for size in tensor.shape[1:]) > MAX_OUTPUT:
                    raise BadInputError(f"{path} is not loaded: the output of {label([layer.name])} is too large")
