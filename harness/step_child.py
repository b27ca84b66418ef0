"""The worker's side of `hil.harness.step_process`: builds one artifact of a model file's model."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from hil.core.errors import InfrastructureError
from hil.core.worker_child import tell
from hil.harness.builders import build
from hil.harness.model import Model, load_model_file
from hil.harness.pipeline import Pipeline
from hil.harness.step_process import recipe_of_json, take_over
from hil.harness.store.source_digest import source_digest
from hil.harness.store.store import Store
from hil.harness.tree.candidates import with_settings


def build_in_child(header: dict[str, Any], blobs: list[bytes]) -> tuple[dict[str, Any], list[bytes]]:
    """Handler: builds the artifact in `header["folder"]`, reports progress, answers the builder's note."""
    take_over(header["surroundings"])
    model = with_settings(_model(header["model"]["file"]), recipe_of_json(header["model"]["recipe"]))
    if source_digest(model) != header["source"]:
        raise InfrastructureError(f"{model.path} was changed during the run", hint="run it again")
    say = lambda text, done, total: tell({"text": text, "done": done, "total": total})  # noqa: E731
    pipeline = Pipeline(Store(Path(header["store"])), say, isolated=False)
    return {"note": build(header["arrow"], pipeline, model, Path(header["folder"]), header["arguments"])}, []


@lru_cache
def _model(path: str) -> Model:
    return load_model_file(path)
