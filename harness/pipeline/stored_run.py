"""A run of a target as the files of an artifact: the outputs in an `.npz`, the rest as JSON."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np

from hil.core.measurement import Measurement
from hil.harness.pipeline.builders import ARRAYS, write_json
from hil.harness.store.store import Artifact
from hil.targets.base import Run

_RECORD = "run.json"


def write_run(folder: Path, run: Run) -> None:
    """Writes a run into an empty folder."""
    np.savez(folder / ARRAYS, **{str(number): output for number, output in enumerate(run.outputs)})
    measurements = [found.as_json() for found in run.measurements]
    write_json(folder / _RECORD, {"measurements": measurements, "identity": run.identity, "log": run.log})


def read_run(artifact: Artifact) -> Run:
    """Reads what `write_run` wrote."""
    with np.load(io.BytesIO(artifact.read(ARRAYS)), allow_pickle=False) as file:
        arrays = dict(file)
    record = json.loads(artifact.read(_RECORD))
    measurements = tuple(Measurement.from_json(found) for found in record["measurements"])
    return Run(tuple(arrays[str(n)] for n in range(len(arrays))), measurements, record["identity"], record["log"])
