"""Reader of users' Keras files, in every format: no code in the file runs, nothing is unpickled.

    network = read_network(Path("net.keras"))        # also net.h5, or the folder of a SavedModel

| file | written by | what happens |
|---|---|---|
| `.keras`, `.h5` | Keras 3 | checked (`keras3_check`), loaded by Keras 3 in safe mode, rebuilt, compared (`keras3`) |
| `.keras`, `.h5` | Keras 2 | checked, loaded by tf_keras |
| SavedModel | Keras 2, `model.save(FOLDER)` | rebuilt from the layers beside the graph, weights from the checkpoint |
| SavedModel | `model.export(FOLDER)` and others | refused: a graph has no layers |

A SavedModel's graph is never loaded: it may read and write files.
"""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hil.core.errors import BadInputError, HilError
from hil.harness.blame import first_cause
from hil.harness.optimize.keras.hdf5_file import code_in, load_model
from hil.harness.optimize.keras.keras2 import import_keras, import_tensorflow, quiet
from hil.harness.optimize.keras.keras3 import construct, import_keras3, rebuild
from hil.harness.optimize.keras.keras3_check import (
    MAX_CONFIG,
    MAX_WEIGHTS,
    KerasArchive,
    check_config,
    check_hdf5,
    check_size,
    parse_object,
    read_archive,
)

_GRAPH_HINT = 'save the model itself: model.save("net.keras"), and name that file'


WRAPPERS = {
    "PruneLowMagnitude": "strip it first: tfmot.sparsity.keras.strip_pruning",
    "ClusterWeights": "strip it first: tfmot.clustering.keras.strip_clustering",
    **dict.fromkeys(
        ("QuantizeWrapper", "QuantizeWrapperV2", "QuantizeLayer", "QuantizeAnnotate"), "give the float model"
    ),
}
"""Layer of TFMOT -> what to do about it in a model to optimize."""


def read_network(path: Path) -> Any:
    """Reads a Keras file as a tf_keras model; raises `BadInputError` or `OptimizeError` with one line if it cannot."""
    if path.is_dir():
        return _from_saved_model(path)
    if not path.is_file():
        raise BadInputError(f"no Keras model {path}")
    if path.stat().st_size > MAX_CONFIG + MAX_WEIGHTS:
        raise BadInputError(f"{path} is not loaded: it is larger than a model for a microcontroller can be")
    import h5py

    if zipfile.is_zipfile(path):
        return _from_archive(path)
    if h5py.is_hdf5(path):
        return _from_hdf5(path)
    raise BadInputError(f"{path} is no Keras model", hint="a .keras or .h5 file, or the folder of a SavedModel")


def _from_archive(path: Path) -> Any:
    archive = read_archive(path)
    weights = check_hdf5(archive.weights, path)
    if archive.version.startswith("3."):
        return _by_keras3(path, archive.config, weights, _rewritten(archive), ".keras")
    _check_keras2(archive.config, weights, path)
    models = import_keras().models
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "model.keras"
        copy.write_bytes(_rewritten(archive))
        return _loaded(path, lambda: models.load_model(str(copy), compile=False, safe_mode=True))


def _from_hdf5(path: Path) -> Any:
    """Reads HDF5 of Keras 2 or 3; the file's attributes name the version."""
    import h5py

    content = path.read_bytes()
    weights = check_hdf5(content, path)
    with h5py.File(path, "r") as file:
        version, text = file.attrs.get("keras_version", ""), file.attrs.get("model_config")
    if text is None:
        raise BadInputError(f"{path} holds weights but no model", hint='write it by model.save("net.keras")')
    config = parse_object(text, path)
    if (version.decode() if isinstance(version, bytes) else str(version)).startswith("3."):
        return _by_keras3(path, config, weights, content, ".h5")
    _check_keras2(config, weights, path)
    return load_model(path)


def _by_keras3(path: Path, config: dict[str, Any], weights: int, content: bytes, suffix: str) -> Any:
    """Loads `content`, which was checked, by Keras 3, and rebuilds it under tf_keras."""
    check_config(config, path)
    entry = {"class_name": config["class_name"], "config": config.get("config")}
    check_size(lambda: _loaded(path, lambda: construct(entry).network), weights, path)
    keras = import_keras3()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / f"model{suffix}"
        copy.write_bytes(content)
        model = _loaded(path, lambda: keras.models.load_model(str(copy), compile=False, safe_mode=True))
    return _loaded(path, lambda: rebuild(model))


def _rewritten(archive: KerasArchive) -> bytes:
    """Writes a `.keras` archive that holds only the checked members."""
    with tempfile.SpooledTemporaryFile() as file:
        with zipfile.ZipFile(file, "w") as made:
            made.writestr("config.json", json.dumps(archive.config))
            made.writestr("metadata.json", json.dumps({"keras_version": archive.version}))
            made.writestr("model.weights.h5", archive.weights)
        file.seek(0)
        return file.read()


def _loaded(path: Path, load: Callable[[], Any]) -> Any:
    """Calls `load` without output; raises `BadInputError` with one line about the file for any exception."""
    try:
        with quiet():
            return load()
    except HilError:
        raise
    except Exception as error:
        line = first_cause(error).partition(". Please ensure")[0]
        hint = "build it of Keras' own layers" if line.startswith("Unknown ") else ""
        raise BadInputError(f"{path} is no Keras model: {type(error).__name__}: {line}", hint=hint) from None


def _check_keras2(config: dict[str, Any], weights: int, path: Path) -> Callable[[], Any]:
    """Returns the function that builds a Keras 2 configuration, after checking it.

    Raises `BadInputError` for code, or a network with more weights than the file has.
    """
    if carried := next(code_in(config), None):
        raise BadInputError(f"{path} is not loaded: it carries code ({carried})", hint="build it of Keras' own layers")
    if own := next(own_classes(config), None):
        message = f"{path}: layer {own[0]} is of the class {own[1]}, which is not Keras' own"
        raise BadInputError(message, hint="build it of Keras' own layers")
    if found := next(wrapped_in(config), None):
        raise BadInputError(f"{path}: layer {found[0]} is TFMOT's {found[1]}", hint=WRAPPERS[found[1]])
    text = json.dumps({key: config.get(key) for key in ("class_name", "config")})

    def build() -> Any:
        return _loaded(path, lambda: import_keras().models.model_from_json(text))

    check_size(build, weights, path)
    return build


def own_classes(config: Any) -> Iterator[tuple[str, str]]:
    """Iterates over (name, class) of the layers of a Keras 2 configuration whose classes Keras does not have."""
    inner = config.get("config") if isinstance(config, dict) else None
    for layer in inner.get("layers", ()) if isinstance(inner, dict) else ():
        kind = str(layer.get("class_name")) if isinstance(layer, dict) else ""
        if kind in ("Functional", "Sequential", "Model"):
            yield from own_classes(layer)
        elif kind and kind not in (*WRAPPERS, *_GRAPH_LAYERS) and not hasattr(import_keras().layers, kind):
            named = layer.get("name") or (layer.get("config") or {}).get("name", "")
            yield str(named), kind


_GRAPH_LAYERS = ("TFOpLambda", "SlicingOpLambda", "ClassMethod", "InstanceMethod", "InstanceProperty", "Lambda")
"""Layers of Keras 2 that its public names leave out, and code, which is refused by `code_in`."""


def wrapped_in(value: Any) -> Iterator[tuple[str, str]]:
    """Iterates over (name, class) of the layers of a configuration that are TFMOT's."""
    if isinstance(value, dict):
        if value.get("class_name") in WRAPPERS:
            config = value.get("config")
            yield str(config.get("name") if isinstance(config, dict) else ""), str(value["class_name"])
        value = list(value.values())
    for inner in value if isinstance(value, list) else ():
        yield from wrapped_in(inner)


def _from_saved_model(folder: Path) -> Any:
    if not (folder / "saved_model.pb").is_file():
        raise BadInputError(f"{folder} is no SavedModel: it has no saved_model.pb")
    metadata = folder / "keras_metadata.pb"
    if not metadata.is_file():
        raise BadInputError(f"{folder} holds a graph, and none of the layers that made it", hint=_GRAPH_HINT)
    if metadata.stat().st_size > MAX_CONFIG:
        raise BadInputError(f"{folder} is not loaded: it is larger than a model for a microcontroller can be")
    held = sum(file.stat().st_size for file in folder.glob("variables/variables.data-*"))
    network = _check_keras2(_root(metadata), min(held, MAX_WEIGHTS) // 4, folder)()
    prefix = str(folder / "variables" / "variables")
    _loaded(folder, lambda: network.load_weights(prefix).assert_existing_objects_matched())
    return network


def _root(metadata: Path) -> dict[str, Any]:
    """Reads the model's configuration that Keras 2 wrote beside the graph; raises `BadInputError` without one."""
    import_tensorflow()
    from tf_keras.protobuf import saved_metadata_pb2

    nodes = _loaded(metadata, lambda: saved_metadata_pb2.SavedMetadata.FromString(metadata.read_bytes())).nodes
    root = next((node.metadata for node in nodes if node.node_id == 0), None)
    described = parse_object(root, metadata) if root else {}
    if described.get("class_name") not in ("Functional", "Sequential") or not described.get("config"):
        raise BadInputError(f"{metadata.parent} holds no functional or sequential model", hint=_GRAPH_HINT)
    return described
