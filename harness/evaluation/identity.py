"""Identity of a deployment: every input that can change one of its figures, as flat texts by name.

    deployment_identity(evaluator, deployment)
    # {"target": "sim", "accelerator": "ethos-u55-128", "vela": "5.2.0", "int8_sha256": "3f0c...", "recipe": "...", ...}

What the target reports of itself (engine, firmware, board) is as it was when the deployment ran, or where nothing ran,
when the session began.  `hil.harness.comparison.dependencies` says which of it a figure depends on.
"""

from __future__ import annotations

import importlib.metadata
import json
from typing import TYPE_CHECKING

from hil.core.artifact_manifest import digest
from hil.core.errors import HilError
from hil.harness.comparison.direction import METRIC, metric_field, output_figure
from hil.harness.leaves import GIVEN
from hil.harness.model.metric import other_outputs
from hil.harness.optimize.paths import path_of
from hil.harness.pipeline import TRAINING, target_module
from hil.harness.store.code_version import code_version
from hil.harness.store.source_digest import source_digest, source_versions, train_digest, versions
from hil.harness.store.store import digest_files
from hil.harness.vela.compiler import vela_version

if TYPE_CHECKING:
    from hil.harness.evaluation.evaluator import Deployment, Evaluator
    from hil.harness.model import Model
    from hil.harness.pipeline import Pipeline

_DIGITS = 16
"""Digits of a hash that only has to differ where its source does."""


def deployment_identity(evaluator: Evaluator, deployment: Deployment) -> dict[str, str]:
    """Returns the identity by name, without what is empty."""
    outcome = evaluator.results(deployment).outcome
    of_target = evaluator.target_identity if outcome is None else outcome.run.identity
    found = {
        **of_target,
        "target": evaluator.target_name,
        "harness": importlib.metadata.version("ethosu-hil"),
        "target_code": code_version(target_module(evaluator.target_name))[:_DIGITS],
        "vela": vela_version(),
        **deployment.vela.identity(),
        "int8_sha256": digest(deployment.int8),
        "data": data_identity(evaluator.pipeline, deployment.model),
        METRIC: _metric(evaluator.pipeline, deployment.model),
        **(
            training_identity(evaluator.pipeline, deployment.model, deployment.path) if deployment.path != GIVEN else {}
        ),
    }
    return {name: str(value) for name, value in found.items() if value}


def _metric(pipeline: Pipeline, model: Model) -> str:
    """Returns the model's metrics with their directions; empty where the data of an int8 file fit none."""
    try:
        task = pipeline.learning_task(model)
        further = {output: pipeline.learning_task(model, output) for output in other_outputs(model.metric)}
    except HilError:  # a test that asks for the accuracy fails with it
        return ""
    beside = {output_figure(output, one.metric): one.scale.lower_is_better for output, one in further.items()}
    return metric_field(task.metric, task.scale.lower_is_better, beside)


def data_identity(pipeline: Pipeline, model: Model) -> str:
    """Returns the hash of a model's data."""
    return pipeline.data_digest(model)[:_DIGITS]


def training_identity(pipeline: Pipeline, model: Model, path: str) -> dict[str, str]:
    """Returns source and weights of the network, the settings of its steps, libraries and threads."""
    settings = {step: model.recipe.settings_of(step) for step in ("base", *path_of(path))}
    files = [model.file(model.weights)] if model.weights else [model.keras_file] if model.keras_file else []
    return {
        "network": source_digest(model)[:_DIGITS],
        "weights": digest_files([file for file in files if file.is_file()])[:_DIGITS] if files else "",
        "recipe": json.dumps(settings, sort_keys=True),
        **{name: str(value) for name, value in pipeline.compute_settings(model).items()},
        **({"train": train_digest(model, model.recipe.train)[:_DIGITS]} if model.recipe.train else {}),
        **versions(*TRAINING),
        **source_versions(model),
    }
