"""The worker's side of `hil.harness.pipeline.step_process`: builds one artifact of a model file's model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hil.core.errors import InfrastructureError
from hil.harness.compute import compute_of_json
from hil.harness.pipeline import Pipeline
from hil.harness.pipeline.builders import build
from hil.harness.pipeline.step_process import model_of_json, report, take_over
from hil.harness.store.source_digest import source_digest
from hil.harness.store.store import Store


def build_in_child(header: dict[str, Any], blobs: list[bytes]) -> tuple[dict[str, Any], list[bytes]]:
    """Handler: builds the artifact in `header["folder"]`, reports progress, answers the builder's note."""
    take_over(header["surroundings"])
    model = model_of_json(header["model"])
    if source_digest(model) != header["source"]:
        raise InfrastructureError(f"{model.path} was changed during the run", hint="run it again")
    pipeline = Pipeline(
        Store(Path(header["store"])), report, isolated=False, compute=compute_of_json(header["compute"])
    )
    return {"note": build(header["arrow"], pipeline, model, Path(header["folder"]), header["arguments"])}, []
