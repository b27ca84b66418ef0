"""Nights of the blobs: runs on a target, recorded in a results database as the pytest plugin does, in one process."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hil.harness.attribution.attribution import Attribution, Attributor, FindModel
from hil.harness.attribution.exchange_target import ExchangeTarget, StandInTarget
from hil.harness.attribution.noise import NoiseOf, stored_noise
from hil.harness.attribution.selection import select
from hil.harness.attribution.stored_inputs import StoredInputs
from hil.harness.evaluation.evaluator import Evaluator
from hil.harness.evaluation.figures import requested_figures
from hil.harness.evaluation.identity import deployment_identity
from hil.harness.model import Model, load_model_file
from hil.harness.pipeline import Pipeline
from hil.harness.results import DeploymentRecord, FigureRecord, RunRecord, open_results
from hil.harness.results.results import Results
from hil.harness.store.store import Store
from hil.harness.vela.other_versions import OtherVela
from hil.harness.vela.settings import VelaSettings
from hil.targets import registry
from tests.support.blobs import model_file, write

LEAF = "prune"
NAME = f"blobs-{LEAF}"

Place = tuple[str, Mapping[str, Any]]
"""A target's name and options."""
SIM: Place = ("sim", {})
CORSTONE: Place = ("fvp", {"engine": "open"})
VIRTUAL: Place = ("serial", {"board": "virtual"})


@dataclass(frozen=True)
class Nights:
    """A repository with the blobs, its store and its results database `nightly.db`."""

    folder: Path
    store: Store

    @property
    def results(self) -> Results:
        return open_results(str(self.folder / "nightly.db"))

    def model(self, **recipe: Any) -> Model:
        found = load_model_file(self.folder / "models" / "blobs.py")
        return replace(found, recipe=replace(found.recipe, **recipe))

    def record(
        self,
        vela: VelaSettings | None = None,
        by: OtherVela | None = None,
        changed: dict[str, float] | None = None,
        target: str = "",
        on: Place = SIM,
        **recipe: Any,
    ) -> str:
        """Runs one night, and returns its id.

        `by` compiles in place of the installed Vela; `changed` are figures of another value, as if something unrecorded
        had changed them, or the `target` that the record names.
        """
        vela, pipeline = vela or VelaSettings(), Pipeline(self.store, isolated=False)
        options = registry.declaration(on[0]).options(**on[1])
        evaluator = Evaluator(pipeline, on[0], vela, samples=1 if on[1] else None, options=options)
        with contextlib.closing(evaluator.target):
            deployment = evaluator.deploy(self.model(**recipe), LEAF)
            if by is not None:
                deployment = replace(deployment, compiled=by.compile_model(deployment.int8, vela))
            evaluator.latency(deployment)
            identity = deployment_identity(evaluator, deployment) | ({} if by is None else {"vela": by.version})
            figures = [FigureRecord.of(one) for one in requested_figures(evaluator, deployment)]
        figures = [replace(one, value=(changed or {}).get(one.name, one.value)) for one in figures]
        run = self.results.begin(RunRecord("pytest"))
        key = run.deployment(DeploymentRecord(deployment.name, "blobs", LEAF, target or deployment.target, identity))
        run.measurements(key, figures)
        run.finish(0)
        return run.id

    def attribute(
        self,
        run: str,
        baseline: str,
        find_model: FindModel | None = None,
        *folders: Path,
        target: ExchangeTarget | None = None,
        noise_of: NoiseOf | None = None,
    ) -> Attribution:
        """Attributes the change between two nights, from the store as it is; on `sim` where no target is given."""
        (pair,) = select(self.results, run, baseline)
        pipeline, noise = Pipeline(self.store, isolated=False), noise_of or stored_noise(self.results, run, baseline)
        inputs, target = StoredInputs(self.store, folders), target or StandInTarget(pipeline)
        return Attributor(pipeline, inputs, target, find_model, noise).attribute(pair)

    def figure(self, run: str, name: str) -> float:
        (found,) = self.results.figures(run)
        return found.figures[name].value

    def forget(self, step: str, file: str, sha256: str) -> None:
        """Removes the artifacts of a step that hold a file of this hash."""
        for artifact in list(self.store.artifacts()):
            if artifact.step == step and artifact.digest(file) == sha256:
                self.store.remove(artifact)


def make(folder: Path, store: Path | None = None) -> Nights:
    """Writes the repository; `store` is the folder of its store (None: within)."""
    return Nights(write(folder, {"models/blobs.py": model_file()}), Store(store or folder / "store"))
