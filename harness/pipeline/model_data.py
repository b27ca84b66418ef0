"""Data of a model: samples by split, their identity, and the task and interface to which data and network fit."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from hil.core.arrays import Array
from hil.core.artifact_manifest import digest
from hil.harness.data.held_out import held_out
from hil.harness.data.interface import Interface, interface
from hil.harness.data.loaded import joined
from hil.harness.data.samples import Samples
from hil.harness.data.samples_files import read_arrays, read_samples, write_arrays
from hil.harness.data.stratified import stratified
from hil.harness.metrics.int8_task import task_of_int8
from hil.harness.metrics.learning_task import LearningTask
from hil.harness.model import Dataset, Model
from hil.harness.model.metric import metric_of_output, takes_all_outputs
from hil.harness.pipeline.entries import ENTRIES, KERAS_LIBRARIES, TRAINING
from hil.harness.pipeline.making import Maker
from hil.harness.pipeline.recipe_inputs import files_digest, metric_settings, network_digests, output_argument
from hil.harness.pipeline.step_process import is_of_file
from hil.harness.store.code_version import code_version
from hil.harness.store.source_digest import NOT_LOADED, source_digest, source_versions, versions
from hil.harness.store.store import ArtifactRecipe, Origin, digest_files
from hil.targets.execution.signature import Signature, quantize_samples, read_signature


class ModelData(Maker):
    """The arrows from a model file's data."""

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
        return read_samples(self.make(recipe, "data", model, split=split).folder)

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
        files = files_digest(model.data, self.store.root)
        return digest(f"{files}{source_digest(model, NOT_LOADED)}".encode())

    def data_digest(self, model: Model) -> str:
        """Identity of a model's data: the files it comes from and the source of its loader."""
        return digest(f"{files_digest(model.data, self.store.root)}{source_digest(model)}".encode())

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
        settings = {"seed": model.recipe.seed, **metric_settings(model, output)}
        inputs = {**network_digests(model), "data": self.data_digest(model)}
        if model.weights is not None:
            inputs["weights"] = digest_files([model.file(model.weights)])
        code = code_version(*ENTRIES["learning_task"])
        libraries = {**versions(*TRAINING, *KERAS_LIBRARIES), **source_versions(model)}
        recipe = ArtifactRecipe("learning_task", inputs, settings, code, libraries)
        return self.make(recipe, "learning_task", model, **output_argument(output)).note


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


@lru_cache(maxsize=4)  # by the data, not by the model: one with other settings is another
def _loaded(data: Dataset, split: str) -> Samples:
    return joined(data.read(split))
