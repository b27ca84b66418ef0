"""Keras models of the deployment tree: the trained base and each technique's, and what they predict."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hil.core.arrays import Array
from hil.harness.data.samples_files import read_arrays
from hil.harness.metrics.base_score import BaseScore, base_score
from hil.harness.model import Model, Recipe
from hil.harness.optimize.layer_weights import LayerWeights
from hil.harness.optimize.paths import PRUNING, Node, path_of, training_node
from hil.harness.optimize.promises import Promise, read_promises
from hil.harness.pipeline.builders import KERAS, NOTES, PROMISES, SPREAD, WEIGHTS
from hil.harness.pipeline.entries import ENTRIES, KERAS_LIBRARIES, TRAINING
from hil.harness.pipeline.model_data import ModelData
from hil.harness.pipeline.recipe_inputs import network_digests
from hil.harness.store.code_version import code_version
from hil.harness.store.source_digest import source_versions, train_digest, versions
from hil.harness.store.store import Artifact, ArtifactRecipe, digest_files


class KerasModels(ModelData):
    """The arrows from a model file to the Keras models of its deployment tree."""

    def keras(self, model: Model, node: Node) -> Artifact:
        """The Keras model of a node of the deployment tree; () is the trained base."""
        recipe = self.recipe(model, node)
        if node:
            return self.make(recipe, "technique", model, node=list(node))
        return self.make(recipe, "base", model, trains="data" in recipe.inputs)

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
        own = {"train": train_digest(model, model.recipe.train)} if model.recipe.train else {}
        return {**self.compute_settings(model), **own}

    def _teacher(self, model: Model) -> dict[str, str]:
        """Digest of the float base, which the user's own training gets."""
        return {"teacher": self.keras(model, ()).digest(KERAS)} if model.recipe.train else {}

    def promises(self, model: Model, node: Node) -> tuple[Promise, ...]:
        """The promises of zeros and clusters that a node's Keras model keeps; the base has none."""
        return read_promises(self.keras(model, node).read(PROMISES)) if node else ()

    def _base_recipe(self, model: Model) -> ArtifactRecipe:
        inputs, settings = network_digests(model), {}
        if model.weights:
            inputs["weights"] = digest_files([model.file(model.weights)])
        elif model.keras_file is None:
            inputs["data"] = self.data_digest(model)
            settings = {**model.recipe.settings_of("base"), **self._training(model)}
        libraries = {**versions(*TRAINING, *KERAS_LIBRARIES), **source_versions(model)}
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
        return self.make(recipe, "sensitivity", model, node=list(node))

    def notes(self, model: Model, leaf: str) -> list[str]:
        """Notes on the layers from the base and the steps of a leaf that was made, in the order of the steps."""
        node = training_node(path_of(leaf))
        steps = [self.keras(model, node[:length]) for length in range(len(node) + 1)]
        return [str(line) for step in steps for line in json.loads(step.read(NOTES))]

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
        return read_arrays(self.make(recipe, "predictions", model, node=list(node)).folder)

    def base_score(self, model: Model) -> BaseScore | None:
        """The score of the float base on the test set; None for an int8 file, and for a metric of the user's own."""
        task = self.learning_task(model)
        if model.build is None or task.user_function is not None:
            return None
        found, test = self.interface(model), self.samples(model, "test")
        x = found.samples(test.x) if task.takes_inputs else None
        return base_score(task, found.metric(test.y), found.metric(self.predictions(model, ())), x)


def surviving(artifact: Artifact) -> list[LayerWeights]:
    """Measurements of the kernels by a training or conversion step."""
    return [LayerWeights(**layer) for layer in json.loads(artifact.read(WEIGHTS))]
