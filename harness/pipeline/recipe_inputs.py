"""Parts of a model that recipes name: its network, its metric, its data files, as digests and settings."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from hil.core.errors import BadInputError
from hil.harness.model import Dataset, Model
from hil.harness.model.metric import metric_of_output, named_metric, user_function
from hil.harness.store.file_digests import digest_data
from hil.harness.store.source_digest import function_digest, source_digest
from hil.harness.store.store import digest_files


def network_digests(model: Model) -> dict[str, str]:
    """Inputs of an untrained network for its recipe: the model's source, and the Keras file that holds it."""
    inputs = {"source": source_digest(model)}
    if model.keras_file is not None:
        inside = sorted(file for file in model.keras_file.rglob("*") if file.is_file())  # of a SavedModel
        if model.keras_file.is_dir() and not inside:
            raise BadInputError(f"{model.keras_file} is no SavedModel: it is an empty folder")
        inputs["keras"] = digest_files(inside or [model.keras_file])
    return inputs


def metric_settings(model: Model, output: str) -> dict[str, Any]:
    """Returns output and name of a model's metric for a recipe, and the hash of the user's function that it calls."""
    output, metric = metric_of_output(model.metric, output)
    function, named = user_function(metric), named_metric(metric)
    code = function_digest(model, function) if function else None
    return {"output": output, "metric": named.name if named else None, "function": code}


def output_argument(output: str) -> dict[str, Any]:
    """Returns the argument of a builder for the metric of an output; none for the one that decides."""
    return {"output": output} if output else {}


@lru_cache(maxsize=64)
def files_digest(data: Dataset, root: Path) -> str:
    return digest_data(data.present(), root)
