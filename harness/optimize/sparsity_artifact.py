"""Sparsity by sensitivity as an artifact in the store.

settings = with_spread(pipeline, model, ("prune", "pqat"))      # its sparsity_by maps every layer to its sparsity
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

from hil.harness.model import Model, Recipe
from hil.harness.optimize.paths import PRUNING, Node
from hil.harness.pipeline import ENTRIES, KERAS, TRAINING, Pipeline
from hil.harness.store.code_version import code_version
from hil.harness.store.source_digest import versions
from hil.harness.store.store import Artifact, ArtifactRecipe

SPREAD = "sensitivity.json"


def with_spread(pipeline: Pipeline, model: Model, node: Node) -> Recipe:
    """Returns the model's recipe, with a sparsity for each layer where `sparsity_by` is "sensitivity"."""
    place = next((at for at, step in enumerate(node) if step in PRUNING), None)
    if model.recipe.sparsity_by != "sensitivity" or place is None:
        return model.recipe
    found = json.loads(sensitivity(pipeline, model, node[: place + 1]).read(SPREAD))
    return replace(model.recipe, sparsity_by=found["sparsities"])


def sensitivity(pipeline: Pipeline, model: Model, node: Node) -> Artifact:
    """Makes or finds the artifact with the loss by layer and sparsity, and the sparsity chosen for each layer.

    The last step of `node` is the one that prunes.
    """
    parent = pipeline.keras(model, node[:-1])
    recipe = ArtifactRecipe(
        "sensitivity",
        {"parent": parent.digest(KERAS), "data": pipeline.data_digest(model)},
        {"step": node[-1], **model.recipe.spread_by()},
        code_version(*ENTRIES["sensitivity"]),
        versions(*TRAINING),
    )

    def build(folder: Path) -> None:
        from hil.harness.optimize.keras.hdf5_file import load_model
        from hil.harness.optimize.pruning import prunable_layers
        from hil.harness.optimize.sensitivity import allocate_sparsity
        from hil.harness.optimize.training import TrainingData

        pipeline.say(f"{model.name}: what each layer bears", 0, 0)
        network, data = load_model(parent.path(KERAS)), TrainingData(*pipeline.samples(model, "train"))
        found = allocate_sparsity(
            network, data, model.recipe, prunable_layers(network, model.recipe, node[-1]), model.loss
        )
        (folder / SPREAD).write_text(json.dumps(asdict(found), indent=1))

    return pipeline.store.make(recipe, build)
