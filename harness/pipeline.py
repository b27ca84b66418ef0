"""The pipeline: Keras model -> path of techniques -> int8 TFLite -> Vela -> outputs, each arrow in the store.

    from hil.harness.store.store import default_root

    pipeline = Pipeline(Store(default_root()))
    int8 = pipeline.int8(model, "pcqat")                 # trains only what is not there yet
    compiled = pipeline.compiled(int8.read("model.tflite"), VelaSettings())

Each method is one arrow: it names everything its result depends on as a recipe, and builds only when the store has no
artifact of that recipe.  Nothing here imports TensorFlow until a step has to be built, so a second run starts at once.
Runs on `fvp` and `serial` are not stored: they always run.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from hil.core.arrays import Array
from hil.core.errors import BadInputError
from hil.core.measurement import Measurement, Trust
from hil.harness.model import Dataset, Model, Recipe
from hil.harness.optimize.paths import PRUNING, Node, conversion, path_of, training_node
from hil.harness.optimize.survival import LayerWeights
from hil.harness.store.code_version import code_version
from hil.harness.store.source_digest import source_digest, source_versions, versions
from hil.harness.store.store import Artifact, ArtifactRecipe, Store, digest, digest_files
from hil.harness.vela.compiler import Compiled, compile_model
from hil.harness.vela.settings import VelaSettings
from hil.targets import create, registry
from hil.targets.base import Deployable, Run
from hil.targets.declaration import Role

KERAS = "model.h5"
TFLITE = "model.tflite"
WEIGHTS = "weights.json"
ARRAYS = "arrays.npz"
NOTES = "notes.json"
SPREAD = "sensitivity.json"

_HDF5_FILE = "hil.harness.optimize.keras.hdf5_file"
_SURVIVAL = "hil.harness.optimize.survival"
_SENSITIVITY = "hil.harness.optimize.sensitivity"
ENTRIES = {
    "base": ("hil.harness.optimize.trained_base",),
    "technique": ("hil.harness.optimize.steps", _SURVIVAL, _SENSITIVITY, _HDF5_FILE),
    "sensitivity": (_SENSITIVITY, "hil.harness.optimize.pruning", _HDF5_FILE),
    "size": ("hil.harness.optimize.network_size",),
    "predictions": ("hil.harness.optimize.training", _HDF5_FILE),
    "tflite": ("hil.harness.optimize.conversion", "hil.harness.optimize.training", _SURVIVAL, _HDF5_FILE),
    "vela": ("hil.harness.vela.compiler",),
}
"""Arrow -> the modules that do its work; further modules on which its result depends follow from their imports."""
TRAINING = ("tensorflow", "tf_keras", "tensorflow-model-optimization", "numpy")
_KERAS_LIBRARIES = ("keras", "h5py")
_RUNNING = ("tensorflow", "numpy", "ethos-u-vela", "numba")
"""Vela's own configuration file gives `sim` its clocks and memory speeds."""

Say = Callable[[str, int, int], None]
"""Progress: name of the work, steps done, steps in all (0 = unknown)."""


def _quiet(text: str, done: int, total: int) -> None:
    pass


class Pipeline:
    """The arrows, over one store.  `say` is called with the progress of everything that takes long."""

    def __init__(self, store: Store, say: Say = _quiet) -> None:
        self.store = store
        self.say = say

    # -- data

    def samples(self, model: Model, split: str) -> tuple[Array, Array]:
        """(x float32 (n, ...), y (n, ...)) of "train" or "test"; `UnavailableError` if the data is not here."""
        if not model.data.cache:
            return _loaded(model.data, split)
        libraries = {**versions("numpy"), **source_versions(model)}
        recipe = ArtifactRecipe("data", {"data": self.data_digest(model)}, {"split": split}, versions=libraries)

        def build(folder: Path) -> None:
            self.say(f"{model.name}: reading the {split} data", 0, 0)
            x, y = model.data.read(split)
            np.savez(folder / ARRAYS, x=x, y=y)

        with np.load(self.store.make(recipe, build).path(ARRAYS), allow_pickle=False) as arrays:
            return arrays["x"], arrays["y"]

    def data_digest(self, model: Model) -> str:
        """Identity of a model's data: the files it comes from and the source of its loader."""
        return digest(f"{_files_digest(model.data)}{source_digest(model)}".encode())

    # -- Keras

    def keras(self, model: Model, node: Node) -> Artifact:
        """The Keras model of a node of the deployment tree; () is the trained base."""
        recipe = self.recipe(model, node)
        return self.store.make(recipe, self._optimized(model, node) if node else self._base(model, recipe))

    def recipe(self, model: Model, node: Node) -> ArtifactRecipe:
        """The recipe of a node's Keras model.  A parent that is not in the store is made."""
        if not node:
            return self._base_recipe(model)
        return ArtifactRecipe(
            node[-1],
            {"parent": self.keras(model, node[:-1]).digest(KERAS), "data": self.data_digest(model)},
            {**model.recipe.settings_of(node[-1]), "promised": model.recipe.promised(node)},
            code_version(*ENTRIES["technique"]),
            versions(*TRAINING),
        )

    def _base_recipe(self, model: Model) -> ArtifactRecipe:
        inputs, settings = _network(model), {}
        if model.weights:
            inputs["weights"] = digest_files([model.file(model.weights)])
        elif model.keras_file is None:
            inputs["data"] = self.data_digest(model)
            settings = model.recipe.settings_of("base")
        libraries = {**versions(*TRAINING, *_KERAS_LIBRARIES), **source_versions(model)}
        return ArtifactRecipe("base", inputs, settings, code_version(*ENTRIES["base"]), libraries)

    def _base(self, model: Model, recipe: ArtifactRecipe) -> Callable[[Path], None]:
        def build(folder: Path) -> None:
            from hil.harness.optimize.keras.hdf5_file import save_model
            from hil.harness.optimize.steps import TrainingData
            from hil.harness.optimize.trained_base import base_model

            data = None if "data" not in recipe.inputs else TrainingData(*self.samples(model, "train"))
            save_model(base_model(model, data, self._progress(f"{model.name}: base")), folder / KERAS)

        return build

    def _optimized(self, model: Model, node: Node) -> Callable[[Path], None]:
        def build(folder: Path) -> None:
            from hil.harness.optimize.keras.hdf5_file import load_model, save_model
            from hil.harness.optimize.npu_rules import step_notes
            from hil.harness.optimize.steps import TrainingData, apply
            from hil.harness.optimize.survival import check_keras

            settings = self.settings(model, node)
            text = f"{model.name}: {' > '.join(node)}"
            data = TrainingData(*self.samples(model, "train"))
            before = load_model(self.keras(model, node[:-1]).path(KERAS))
            after = apply(node[-1], before, data, settings, model.loss, self._progress(text))
            weights = check_keras(after, node, settings)
            save_model(after, folder / KERAS)
            _write_json(folder / NOTES, step_notes(node[-1], before, after, settings))
            _write_json(folder / WEIGHTS, [asdict(layer) for layer in weights])

        return build

    def settings(self, model: Model, node: Node) -> Recipe:
        """The model's recipe, with a sparsity for each layer where `sparsity_by` is "sensitivity"."""
        place = next((at for at, step in enumerate(node) if step in PRUNING), None)
        if model.recipe.sparsity_by != "sensitivity" or place is None:
            return model.recipe
        found = json.loads(self.sensitivity(model, node[: place + 1]).read(SPREAD))
        return replace(model.recipe, sparsity_by=found["sparsities"])

    def sensitivity(self, model: Model, node: Node) -> Artifact:
        """The loss by layer and sparsity of the last step of `node`, which prunes, and the sparsity chosen by layer."""
        parent = self.keras(model, node[:-1])
        recipe = ArtifactRecipe(
            "sensitivity",
            {"parent": parent.digest(KERAS), "data": self.data_digest(model)},
            {"step": node[-1], **model.recipe.spread_by()},
            code_version(*ENTRIES["sensitivity"]),
            versions(*TRAINING),
        )

        def build(folder: Path) -> None:
            from hil.harness.optimize.keras.hdf5_file import load_model
            from hil.harness.optimize.pruning import prunable_layers
            from hil.harness.optimize.sensitivity import allocate_sparsity
            from hil.harness.optimize.training import TrainingData

            self.say(f"{model.name}: what each layer bears", 0, 0)
            network, data = load_model(parent.path(KERAS)), TrainingData(*self.samples(model, "train"))
            layers = prunable_layers(network, model.recipe, node[-1])
            found = allocate_sparsity(network, data, model.recipe, layers, model.loss)
            _write_json(folder / SPREAD, asdict(found))

        return self.store.make(recipe, build)

    def notes(self, model: Model, leaf: str) -> list[str]:
        """Notes on the layers from the steps of a leaf that was made, in the order of the steps."""
        node = training_node(path_of(leaf))
        steps = [self.keras(model, node[: length + 1]) for length in range(len(node))]
        return [str(line) for step in steps for line in json.loads(step.read(NOTES))]

    def size(self, model: Model) -> tuple[int, int]:
        """Parameters and multiply-accumulates of an inference, of the Keras network or of the int8 file."""
        if model.tflite is not None:
            int8 = model.file(model.tflite).read_bytes()
            summary = self.compiled(int8, VelaSettings()).summary
            return summary.weights_original, summary.macs
        code = code_version(*ENTRIES["size"])
        libraries = {**versions(*TRAINING), **source_versions(model)}
        recipe = ArtifactRecipe("size", _network(model), {}, code, libraries)

        def build(folder: Path) -> dict[str, int]:
            from hil.harness.optimize.network_size import count_params_and_macs

            params, macs = count_params_and_macs(model)
            return {"params": params, "macs": macs}

        note = self.store.make(recipe, build).note
        return int(note["params"]), int(note["macs"])

    def predictions(self, model: Model, node: Node) -> Array:
        """Float outputs of a node's Keras model on the whole test set (n, ...)."""
        keras = self.keras(model, node)
        inputs = {"keras": keras.digest(KERAS), "data": self.data_digest(model)}
        recipe = ArtifactRecipe("predictions", inputs, {}, code_version(*ENTRIES["predictions"]), versions(*TRAINING))

        def build(folder: Path) -> None:
            from hil.harness.optimize.keras.hdf5_file import load_model
            from hil.harness.optimize.training import check_samples

            self.say(f"{model.name}: Keras outputs of {' > '.join(node) or 'base'}", 0, 0)
            x, _ = self.samples(model, "test")
            network = load_model(keras.path(KERAS))
            check_samples(network, x)
            np.savez(folder / ARRAYS, y=network.predict(x, batch_size=256, verbose=0))

        return _arrays(self.store.make(recipe, build))["y"]

    # -- TFLite and Vela

    def int8(self, model: Model, leaf: str) -> Artifact:
        """The quantized TFLite file of a leaf, with the zeros and clusters that survived."""
        path = path_of(leaf)
        node = training_node(path)
        keras = self.keras(model, node)
        recipe = ArtifactRecipe(
            "tflite",
            {"keras": keras.digest(KERAS), "data": self.data_digest(model)},
            {
                **model.recipe.settings_of("ptq"),
                "seed": model.recipe.seed,
                "conversion": conversion(path),
                "promised": model.recipe.promised(path),
            },
            code_version(*ENTRIES["tflite"]),
            versions(*TRAINING),
        )

        def build(folder: Path) -> None:
            from hil.harness.optimize.conversion import to_tflite
            from hil.harness.optimize.keras.hdf5_file import load_model
            from hil.harness.optimize.steps import TrainingData
            from hil.harness.optimize.survival import check_tflite

            self.say(f"{model.name}: converting {leaf}", 0, 0)
            loaded = load_model(keras.path(KERAS))
            calibration = (
                TrainingData(*self.samples(model, "train")).sample(model.recipe.calibration, model.recipe.seed).x
            )
            tflite = to_tflite(loaded, conversion(path), calibration)
            (folder / TFLITE).write_bytes(tflite)
            weights = check_tflite(tflite, loaded, path, self.settings(model, node))
            _write_json(folder / WEIGHTS, [asdict(layer) for layer in weights])

        return self.store.make(recipe, build)

    def compiled(self, int8: bytes, settings: VelaSettings) -> Compiled:
        """Vela's output for a quantized TFLite file."""
        recipe = ArtifactRecipe(
            "vela",
            {"model": digest(int8)},
            asdict(settings),
            code_version(*ENTRIES["vela"]),
            versions("ethos-u-vela"),
        )

        def build(folder: Path) -> None:
            compiled = compile_model(int8, settings)
            (folder / TFLITE).write_bytes(compiled.model)
            _write_json(folder / "compiled.json", compiled.record())

        artifact = self.store.make(recipe, build)
        return Compiled.from_record(artifact.read(TFLITE), json.loads(artifact.read("compiled.json")))

    # -- outputs

    def outputs(self, target: str, model: Deployable, inputs: Sequence[Array], label: str = "", **options: Any) -> Run:
        """A run whose outputs depend on nothing but these arguments: `host` or `sim`.  `label` is for people."""
        oracle = registry.declaration(target).role is Role.ORACLE  # which knows nothing of accelerators
        what = model.int8 if oracle else model.compiled or model.int8
        if what is None:
            raise BadInputError(f"{target} needs {'an int8 TFLite model' if oracle else 'a model'}")
        recipe = ArtifactRecipe(
            target,
            {"model": digest(what), "inputs": digest(b"".join(digest(x.tobytes()).encode() for x in inputs))},
            {
                "shapes": [list(x.shape) for x in inputs],
                "configuration": None if oracle else _configuration(model),
                **options,
            },
            code_version(target_module(target)),
            versions(*_RUNNING),
        )

        def build(folder: Path) -> None:
            text = f"{label} on {target}"
            run = create(target, **options).run(model, inputs, progress=lambda n, of: self.say(text, n, of))
            _write_run(folder, run)

        return _read_run(self.store.make(recipe, build))

    def _progress(self, text: str) -> Callable[[int, int, str], None]:
        return lambda done, total, what: self.say(text, done, total)


def target_module(target: str) -> str:
    """The module that does the work of a target."""
    return registry.declaration(target).implementation.partition(":")[0]


def _configuration(model: Deployable) -> list[str]:
    """The configuration that `sim` takes from a deployment beside the model: it decides clocks and memory speeds."""
    npu = model.npu
    return [npu.accelerator, npu.memory_mode, npu.system_config, digest(npu.config_text.encode())]


def _network(model: Model) -> dict[str, str]:
    """Inputs of an untrained network for its recipe: the model's source, and the Keras file that holds it."""
    inputs = {"source": source_digest(model)}
    if model.keras_file is not None:
        inside = sorted(file for file in model.keras_file.rglob("*") if file.is_file())  # of a SavedModel
        inputs["keras"] = digest_files(inside or [model.keras_file])
    return inputs


def surviving(artifact: Artifact) -> list[LayerWeights]:
    """Measurements of the kernels by a training or conversion step."""
    return [LayerWeights(**layer) for layer in json.loads(artifact.read(WEIGHTS))]


@lru_cache(maxsize=4)  # by the data, not by the model: one with other settings is another
def _loaded(data: Dataset, split: str) -> tuple[Array, Array]:
    return data.read(split)


@lru_cache(maxsize=64)
def _files_digest(data: Dataset) -> str:
    return digest_files(data.present())


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1))


def _arrays(artifact: Artifact) -> dict[str, Array]:
    with np.load(io.BytesIO(artifact.read(ARRAYS)), allow_pickle=False) as arrays:
        return dict(arrays)


def _write_run(folder: Path, run: Run) -> None:
    np.savez(folder / ARRAYS, **{str(number): output for number, output in enumerate(run.outputs)})
    measurements = [{**asdict(m), "trust": m.trust.value} for m in run.measurements]
    _write_json(folder / "run.json", {"measurements": measurements, "identity": run.identity, "log": run.log})


def _read_run(artifact: Artifact) -> Run:
    arrays = _arrays(artifact)
    record = json.loads(artifact.read("run.json"))
    measurements = tuple(Measurement(**{**m, "trust": Trust(m["trust"])}) for m in record["measurements"])
    return Run(tuple(arrays[str(n)] for n in range(len(arrays))), measurements, record["identity"], record["log"])
