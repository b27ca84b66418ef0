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

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hil.core.arrays import Array
from hil.core.errors import BadInputError, OptimizeError
from hil.harness import builders
from hil.harness.builders import ARRAYS, FIDELITY, KERAS, NOTES, PROMISES, SPREAD, TFLITE, WEIGHTS, write_json
from hil.harness.compute import Compute, choose_compute, compute_of_process
from hil.harness.data.array_digest import digest_array
from hil.harness.data.held_out import held_out
from hil.harness.data.interface import Interface, interface
from hil.harness.data.loaded import joined
from hil.harness.data.samples import Samples
from hil.harness.data.samples_files import read_arrays, read_samples, write_arrays
from hil.harness.data.stratified import stratified
from hil.harness.leaves import GIVEN
from hil.harness.metrics.accuracy import AbsoluteAccuracy, Accuracy, accuracy_from_record, accuracy_of
from hil.harness.metrics.array_groups import flattened
from hil.harness.metrics.base_score import BaseScore, base_score
from hil.harness.metrics.int8_task import task_of_int8
from hil.harness.metrics.learning_task import LearningTask
from hil.harness.model import Dataset, Model, Recipe
from hil.harness.model.metric import metric_of_output, named_metric, takes_all_outputs, user_function
from hil.harness.optimize import litert
from hil.harness.optimize.fidelity import Fidelity
from hil.harness.optimize.layer_weights import LayerWeights
from hil.harness.optimize.paths import PRUNING, Node, conversion, path_of, training_node
from hil.harness.optimize.promises import Promise, read_promises
from hil.harness.run_in_parts import run_in_parts
from hil.harness.step_inputs import Say
from hil.harness.step_process import build_in_process, is_of_file
from hil.harness.store.code_version import code_version
from hil.harness.store.file_digests import digest_data
from hil.harness.store.source_digest import (
    NOT_LOADED,
    function_digest,
    source_digest,
    source_versions,
    train_digest,
    versions,
)
from hil.harness.store.store import UNKNOWN, Artifact, ArtifactRecipe, Origin, Store, digest, digest_files
from hil.harness.stored_run import read_run, write_run
from hil.harness.vela.compiler import Compiled, compile_model
from hil.harness.vela.settings import VelaSettings
from hil.harness.work_titles import run_title, step_title
from hil.targets import create, registry
from hil.targets.base import Deployable, Run
from hil.targets.declaration import Role
from hil.targets.execution.signature import Signature, quantize_samples, read_signature

if TYPE_CHECKING:
    from hil.harness.vela.other_versions import OtherVela

_CANONICAL = "hil.harness.optimize.canonical.network"
_HDF5_FILE = "hil.harness.optimize.keras.hdf5_file"
_CLIPPED = "hil.harness.optimize.clipped_outputs"
_SURVIVAL = "hil.harness.optimize.survival"
_SENSITIVITY = "hil.harness.optimize.sensitivity"
ENTRIES = {
    "base": ("hil.harness.optimize.trained_base",),
    "technique": ("hil.harness.optimize.steps", _CLIPPED, _SENSITIVITY, _HDF5_FILE),
    "sensitivity": (_SENSITIVITY, "hil.harness.optimize.selection", _CANONICAL, _HDF5_FILE),
    "learning_task": ("hil.harness.optimize.data_check",),
    "accuracy": ("hil.harness.metrics.accuracy",),
    "size": ("hil.harness.optimize.network_size",),
    "predictions": ("hil.harness.optimize.training", _HDF5_FILE),
    "tflite": (
        *("hil.harness.optimize.conversion", "hil.harness.optimize.layer_fidelity", "hil.harness.optimize.training"),
        *(_SURVIVAL, _HDF5_FILE),
    ),
    "vela": ("hil.harness.vela.compiler",),
    "other_vela": ("hil.harness.vela.other_versions",),
}
"""Arrow -> the modules that do its work; further modules on which its result depends follow from their imports."""
TRAINING = ("tensorflow", "tf_keras", "tensorflow-model-optimization", "numpy")
_KERAS_LIBRARIES = ("keras", "h5py")
_RUNNING = ("tensorflow", "tflite-micro", "ai-edge-litert", "numpy", "ethos-u-vela", "numba")
"""Packages on which outputs of `host` and `sim` depend, where installed: TensorFlow or what stands in for it, and Vela,
whose own configuration file gives `sim` its clocks and memory speeds."""


def _quiet(text: str, done: int, total: int) -> None:
    pass


class Pipeline:
    """The arrows, over one store.  `say` is called with the progress of everything that takes long.

    With `isolated`, what needs TensorFlow or runs the user's code is built in a process of its own, whose death fails
    one artifact; without, in this process.  A model that comes from no model file is always built in this process.
    `compute` is what that other process uses, by default what `choose_compute` finds.
    """

    def __init__(
        self, store: Store, say: Say = _quiet, *, isolated: bool = True, compute: Compute | None = None
    ) -> None:
        self.store = store
        self.say = say
        self._isolated = isolated
        self.compute = compute or (choose_compute() if isolated else compute_of_process())

    def _make(
        self,
        recipe: ArtifactRecipe,
        arrow: str,
        model: Model,
        arrays: Mapping[str, Array] | None = None,
        **arguments: Any,
    ) -> Artifact:
        """Returns the artifact of `recipe`, built by the builder of `arrow` if the store has none.

        The builder finds `arrays` in its folder.
        """

        def build(folder: Path) -> Mapping[str, Any] | None:
            if arrays is not None:
                np.savez(folder / ARRAYS, **arrays)
            if self._builds_elsewhere(model):
                return build_in_process(arrow, self, model, folder, arguments, self.compute)
            return builders.build(arrow, self, model, folder, arguments)

        title = step_title(arrow, model, arguments)
        origin = Origin(model.name, _technique(arrow, arguments))
        return self.store.make(recipe, build, lambda: self.say(f"{title}: another run makes it", 0, 0), origin)

    def _builds_elsewhere(self, model: Model) -> bool:
        """Returns whether what needs TensorFlow or the user's code is built in a process of its own."""
        return self._isolated and is_of_file(model)

    def compute_settings(self, model: Model) -> dict[str, Any]:
        """Settings of a recipe whose result depends on the threads that make it."""
        compute = self.compute if self._builds_elsewhere(model) or not self._isolated else compute_of_process()
        return compute.settings()

    # -- data

    def loaded_samples(self, model: Model, split: str) -> Samples:
        """The samples of a split as the loader gives them; `UnavailableError` if the data is not here.

        Those of a model file are files in the store, of which memory holds what is read.
        """
        if not is_of_file(model):
            return _loaded(model.data, split)
        libraries = {**versions("numpy"), **source_versions(model)}
        recipe = ArtifactRecipe(
            "data", {"data": self.loader_digest(model)}, {"split": split, "format": "files"}, versions=libraries
        )
        return read_samples(self._make(recipe, "data", model, split=split).folder)

    def samples(self, model: Model, split: str) -> Samples:
        """The samples of a split in the order of the network's inputs and outputs."""
        loaded = self.loaded_samples(model, split)
        if model.tflite is not None:
            return _arranged_for_int8(model, loaded)
        if split != "train" or "validation" in model.data.splits or not model.data.validation:
            return self.interface(model).arranged(loaded)
        return self.interface(model).arranged(held_out(loaded, model.data.validation, model.recipe.seed)[0])

    def validation(self, model: Model) -> Samples | None:
        """The samples that are evaluated after each epoch; None for a model without such samples."""
        if "validation" in model.data.splits:
            return self.samples(model, "validation")
        if not model.data.validation:
            return None
        loaded = self.loaded_samples(model, "train")
        return self.interface(model).arranged(held_out(loaded, model.data.validation, model.recipe.seed)[1])

    def calibration(self, model: Model) -> Samples:
        """The samples that set activation ranges: at most `Recipe.calibration`."""
        split = "calibration" if "calibration" in model.data.splits else "train"
        return stratified(self.samples(model, split), model.recipe.calibration, model.recipe.seed)

    def loader_digest(self, model: Model) -> str:
        """Identity of a model's samples: the files they come from, and the source without what loads nothing."""
        files = _files_digest(model.data, self.store.root)
        return digest(f"{files}{source_digest(model, NOT_LOADED)}".encode())

    def data_digest(self, model: Model) -> str:
        """Identity of a model's data: the files it comes from and the source of its loader."""
        return digest(f"{_files_digest(model.data, self.store.root)}{source_digest(model)}".encode())

    def test_inputs(self, model: Model, signature: Signature) -> list[Array]:
        """The test samples in the dtypes of an int8 file's inputs, as files in the store."""
        samples = self.samples(model, "test")
        if not is_of_file(model):
            return quantize_samples(signature, samples.x)
        specs = [[spec.name, spec.dtype.name, spec.scale, spec.zero_point] for spec in signature.inputs]
        recipe = ArtifactRecipe(
            "inputs",
            {"data": self.loader_digest(model)},
            {"split": "test", "tensors": specs, "names": list(samples.inputs.names)},
            code_version("hil.targets.execution.signature"),
            {**versions("numpy"), **source_versions(model)},
        )

        def build(folder: Path) -> None:
            write_arrays(folder, (tuple(quantize_samples(signature, part.x)) for part in samples.chunks()))

        return list(read_arrays(self.store.make(recipe, build, origin=Origin(model.name)).folder))

    # -- Keras

    def keras(self, model: Model, node: Node) -> Artifact:
        """The Keras model of a node of the deployment tree; () is the trained base."""
        recipe = self.recipe(model, node)
        if node:
            return self._make(recipe, "technique", model, node=list(node))
        return self._make(recipe, "base", model, trains="data" in recipe.inputs)

    def recipe(self, model: Model, node: Node) -> ArtifactRecipe:
        """The recipe of a node's Keras model.  A parent that is not in the store is made."""
        if not node:
            return self._base_recipe(model)
        return ArtifactRecipe(
            node[-1],
            {**self._parent(model, node[:-1]), **self._teacher(model), "data": self.data_digest(model)},
            {**model.recipe.settings_of(node[-1]), **self._training(model)},
            code_version(*ENTRIES["technique"]),
            versions(*TRAINING),
        )

    def _parent(self, model: Model, node: Node) -> dict[str, str]:
        """Digests of what a step takes from the node before: the Keras model, and the promises of its steps."""
        keras = self.keras(model, node)
        return {"parent": keras.digest(KERAS)} | ({"promises": keras.digest(PROMISES)} if node else {})

    def _training(self, model: Model) -> dict[str, Any]:
        """Settings of every training: the threads, and the digest of the user's own function."""
        own = {"train": train_digest(model.recipe.train)} if model.recipe.train else {}
        return {**self.compute_settings(model), **own}

    def _teacher(self, model: Model) -> dict[str, str]:
        """Digest of the float base, which the user's own training gets."""
        return {"teacher": self.keras(model, ()).digest(KERAS)} if model.recipe.train else {}

    def promises(self, model: Model, node: Node) -> tuple[Promise, ...]:
        """The promises of zeros and clusters that a node's Keras model keeps; the base has none."""
        return read_promises(self.keras(model, node).read(PROMISES)) if node else ()

    def _base_recipe(self, model: Model) -> ArtifactRecipe:
        inputs, settings = _network(model), {}
        if model.weights:
            inputs["weights"] = digest_files([model.file(model.weights)])
        elif model.keras_file is None:
            inputs["data"] = self.data_digest(model)
            settings = {**model.recipe.settings_of("base"), **self._training(model)}
        libraries = {**versions(*TRAINING, *_KERAS_LIBRARIES), **source_versions(model)}
        return ArtifactRecipe("base", inputs, settings, code_version(*ENTRIES["base"]), libraries)

    def settings(self, model: Model, node: Node) -> Recipe:
        """The recipe of a node's last step, with a sparsity for each layer if it prunes by "sensitivity"."""
        if model.recipe.sparsity_by != "sensitivity" or node[-1] not in PRUNING:
            return model.recipe
        found = json.loads(self.sensitivity(model, node).read(SPREAD))
        return replace(model.recipe, sparsity_by=found["sparsities"])

    def sensitivity(self, model: Model, node: Node) -> Artifact:
        """The loss by layer and sparsity of the last step of `node`, which prunes, and the sparsity chosen by layer."""
        recipe = ArtifactRecipe(
            "sensitivity",
            {"parent": self.keras(model, node[:-1]).digest(KERAS), "data": self.data_digest(model)},
            {"step": node[-1], **model.recipe.spread_by(), **self.compute_settings(model)},
            code_version(*ENTRIES["sensitivity"]),
            versions(*TRAINING),
        )
        return self._make(recipe, "sensitivity", model, node=list(node))

    def notes(self, model: Model, leaf: str) -> list[str]:
        """Notes on the layers from the base and the steps of a leaf that was made, in the order of the steps."""
        node = training_node(path_of(leaf))
        steps = [self.keras(model, node[:length]) for length in range(len(node) + 1)]
        return [str(line) for step in steps for line in json.loads(step.read(NOTES))]

    def size(self, model: Model) -> tuple[int, int]:
        """Parameters and multiply-accumulates of an inference, of the Keras network or of the int8 file."""
        if model.tflite is not None:
            int8 = model.file(model.tflite).read_bytes()
            summary = self.compiled(int8, VelaSettings(), Origin(model.name, GIVEN)).summary
            return summary.weights_original, summary.macs
        code = code_version(*ENTRIES["size"])
        libraries = {**versions(*TRAINING), **source_versions(model)}
        note = self._make(ArtifactRecipe("size", _network(model), {}, code, libraries), "size", model).note
        return int(note["params"]), int(note["macs"])

    def learning_task(self, model: Model, output: str = "") -> LearningTask:
        """The task of a model with its metric of `output`, if it names several, or of the one that decides.

        Raises `BadInputError` if data, loss, metric and network do not fit.
        """
        return LearningTask.from_json(
            self._checked_data(model, output)["task"], metric_of_output(model.metric, output)[1]
        )

    def interface(self, model: Model, output: str = "") -> Interface:
        """The names of a model's inputs and outputs, and the output of its metric; as `learning_task`."""
        return Interface.from_json(self._checked_data(model, output)["interface"])

    def _checked_data(self, model: Model, output: str) -> Mapping[str, Any]:
        """The learning task and the interface, as JSON."""
        if model.tflite is not None:
            return _of_int8(model, self.loaded_samples(model, "test"), output)
        settings = {"seed": model.recipe.seed, **_metric(model, output)}
        inputs = {**_network(model), "data": self.data_digest(model)}
        if model.weights is not None:
            inputs["weights"] = digest_files([model.file(model.weights)])
        code = code_version(*ENTRIES["learning_task"])
        libraries = {**versions(*TRAINING, *_KERAS_LIBRARIES), **source_versions(model)}
        recipe = ArtifactRecipe("learning_task", inputs, settings, code, libraries)
        return self._make(recipe, "learning_task", model, **_of_output(output)).note

    def predictions(self, model: Model, node: Node) -> tuple[Array, ...]:
        """Float outputs of a node's Keras model on the whole test set (n, ...)."""
        inputs = {"keras": self.keras(model, node).digest(KERAS), "data": self.data_digest(model)}
        recipe = ArtifactRecipe(
            "predictions",
            inputs,
            self.compute_settings(model),
            code_version(*ENTRIES["predictions"]),
            versions(*TRAINING),
        )
        return read_arrays(self._make(recipe, "predictions", model, node=list(node)).folder)

    def base_score(self, model: Model) -> BaseScore | None:
        """The score of the float base on the test set; None for an int8 file, and for a metric of the user's own."""
        task = self.learning_task(model)
        if model.build is None or task.user_function is not None:
            return None
        found, test = self.interface(model), self.samples(model, "test")
        x = found.samples(test.x) if task.takes_inputs else None
        return base_score(task, found.metric(test.y), found.metric(self.predictions(model, ())), x)

    def accuracy(
        self,
        model: Model,
        samples: Samples,
        *,
        candidate: Sequence[Array],
        on_target: Array,
        references: Mapping[str, Sequence[Array]],
        output: str = "",
    ) -> Accuracy | AbsoluteAccuracy:
        """The metric of float outputs (n, ...), by output, for `samples`; mAP and what calls the user's code is stored.

        `references` are the outputs `reference` and `keras` of `metrics.accuracy.compare`; empty for an int8 file.
        `output` is as in `learning_task`.
        """
        task, found = self.learning_task(model, output), self.interface(model, output)
        by_output = {"labels": samples.y, "candidate": candidate, **references}
        groups = {"on_target": on_target, **{name: found.metric(arrays) for name, arrays in by_output.items()}}
        if task.takes_inputs:
            groups["x"] = found.samples(samples.x)
        if task.user_function is None and task.kind != "detection":  # whose interval takes seconds
            return accuracy_of(task, groups)
        arrays = flattened(groups)
        recipe = ArtifactRecipe(
            "accuracy",
            {name: digest_array(array) for name, array in arrays.items()},
            {
                **_metric(model, output),
                "scale": asdict(task.scale),
                "shapes": {name: list(array.shape) for name, array in arrays.items()},
            },
            code_version(*ENTRIES["accuracy"]),
            {**versions("numpy"), **source_versions(model)},
        )
        return accuracy_from_record(self._make(recipe, "accuracy", model, arrays, **_of_output(output)).note)

    # -- TFLite and Vela

    def int8(self, model: Model, leaf: str) -> Artifact:
        """The quantized TFLite file of a leaf, with the zeros and clusters that survived, and its fidelity.

        Raises `BadInputError` if it needs a package that is not installed.
        """
        path = path_of(leaf)
        litert.check_installed(path)
        recipe = ArtifactRecipe(
            "tflite",
            {**self._parent(model, training_node(path)), "data": self.data_digest(model)},
            {**model.recipe.settings_of("ptq"), "seed": model.recipe.seed, "conversion": conversion(path)},
            code_version(*ENTRIES["tflite"]),
            versions(*TRAINING, *(litert.PACKAGES if conversion(path) in litert.RECIPES else ())),
        )
        if found := self.store.find(recipe):
            return found
        ptq_db = None if leaf == "ptq" else self._ptq_db(model)
        return self._make(recipe, "tflite", model, leaf=leaf, ptq_db=ptq_db)

    def fidelity(self, model: Model, leaf: str) -> Fidelity:
        """The fidelity of a leaf's int8 file to the Keras model that it was made from."""
        found = json.loads(self.int8(model, leaf).read(FIDELITY))
        return Fidelity(tuple(found["db"]), tuple(found["steps"]), found["samples"])

    def _ptq_db(self, model: Model) -> float | None:
        """The fidelity of `ptq` of a model in dB; None if it cannot be made."""
        try:
            return self.fidelity(model, "ptq").sqnr_db
        except OptimizeError:
            return None

    def compiled(
        self,
        int8: bytes,
        settings: VelaSettings,
        origin: Origin = UNKNOWN,
        vela: OtherVela | None = None,
        *,
        mapped: bool = False,
    ) -> Compiled:
        """Vela's output for a quantized TFLite file of a model and technique; `vela` None: of the installed Vela.

        `mapped`: with the mapping from commands to operators, which takes longer.
        """
        recipe = ArtifactRecipe(
            "vela",
            {"model": digest(int8)},
            {**asdict(settings), "mapped": mapped},
            code_version(*ENTRIES["vela" if vela is None else "other_vela"]),
            versions("ethos-u-vela") if vela is None else {"ethos-u-vela": vela.version},
        )

        def build(folder: Path) -> None:
            compiled = (compile_model if vela is None else vela.compile_model)(int8, settings, mapped=mapped)
            (folder / TFLITE).write_bytes(compiled.model)
            write_json(folder / "compiled.json", compiled.record())

        artifact = self.store.make(recipe, build, origin=origin)
        return Compiled.from_record(artifact.read(TFLITE), json.loads(artifact.read("compiled.json")))

    # -- outputs

    def outputs(
        self, target: str, model: Deployable, inputs: Sequence[Array], origin: Origin = UNKNOWN, **options: Any
    ) -> Run:
        """A run whose outputs depend on nothing but these arguments: `host` or `sim`.  `origin` is for people."""
        oracle = registry.declaration(target).role is Role.ORACLE  # which knows nothing of accelerators
        what = model.int8 if oracle else model.compiled or model.int8
        if what is None:
            raise BadInputError(f"{target} needs {'an int8 TFLite model' if oracle else 'a model'}")
        recipe = ArtifactRecipe(
            target,
            {"model": digest(what), "inputs": digest(b"".join(digest_array(x).encode() for x in inputs))},
            {
                "shapes": [list(x.shape) for x in inputs],
                "configuration": None if oracle else _configuration(model),
                **options,
            },
            code_version(target_module(target)),
            versions(*_RUNNING),
        )

        def build(folder: Path) -> None:
            text = run_title(origin, target)
            write_run(
                folder, run_in_parts(create(target, **options), model, inputs, lambda n, of: self.say(text, n, of))
            )

        return read_run(self.store.make(recipe, build, origin=origin))


def _technique(arrow: str, arguments: Mapping[str, Any]) -> str:
    """Technique of an artifact: a leaf, the last step of a node, or "base"; empty for data and what describes it."""
    node = arguments.get("node", [] if arrow == "base" else None)
    return str(arguments.get("leaf") or ("" if node is None else node[-1] if node else "base"))


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
        if model.keras_file.is_dir() and not inside:
            raise BadInputError(f"{model.keras_file} is no SavedModel: it is an empty folder")
        inputs["keras"] = digest_files(inside or [model.keras_file])
    return inputs


def _signature_of_int8(model: Model) -> Signature:
    return read_signature(model.file(model.tflite or "").read_bytes(), str(model.tflite))


def _arranged_for_int8(model: Model, samples: Samples) -> Samples:
    """The samples in the order of an int8 file's inputs and outputs."""
    signature = _signature_of_int8(model)
    return samples.arranged([spec.name for spec in signature.inputs], [spec.name for spec in signature.outputs])


def _of_int8(model: Model, samples: Samples, output: str) -> Mapping[str, Any]:
    """The learning task and the interface of an int8 file, as JSON."""
    signature = _signature_of_int8(model)
    output, metric = metric_of_output(model.metric, output)
    samples = _arranged_for_int8(model, samples)
    names = samples.inputs.names, samples.labels.names
    found = interface(names[0], names[1], samples, output, takes_all=takes_all_outputs(metric))
    task = task_of_int8(metric, samples.y, signature, found)
    return {"task": task.as_json(), "interface": found.as_json()}


def _of_output(output: str) -> dict[str, Any]:
    """Returns the argument of a builder for the metric of an output; none for the one that decides."""
    return {"output": output} if output else {}


def _metric(model: Model, output: str) -> dict[str, Any]:
    """Returns output and name of a model's metric for a recipe, and the hash of the user's function that it calls."""
    output, metric = metric_of_output(model.metric, output)
    function, named = user_function(metric), named_metric(metric)
    code = function_digest(function) if function else None
    return {"output": output, "metric": named.name if named else None, "function": code}


def surviving(artifact: Artifact) -> list[LayerWeights]:
    """Measurements of the kernels by a training or conversion step."""
    return [LayerWeights(**layer) for layer in json.loads(artifact.read(WEIGHTS))]


@lru_cache(maxsize=4)  # by the data, not by the model: one with other settings is another
def _loaded(data: Dataset, split: str) -> Samples:
    return joined(data.read(split))


@lru_cache(maxsize=64)
def _files_digest(data: Dataset, root: Path) -> str:
    return digest_data(data.present(), root)
