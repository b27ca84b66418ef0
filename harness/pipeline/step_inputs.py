"""Inputs of the pipeline's builders: the artifacts before a step, which `hil.harness.pipeline.Pipeline` gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from hil.harness.say import Say

if TYPE_CHECKING:
    from hil.harness.data.samples import Samples
    from hil.harness.metrics.learning_task import LearningTask
    from hil.harness.model import Model, Recipe
    from hil.harness.optimize.paths import Node
    from hil.harness.optimize.promises import Promise
    from hil.harness.store.store import Artifact, Store


class StepInputs(Protocol):
    """The part of the pipeline that builders use; its methods are documented there."""

    store: Store
    say: Say

    def loaded_samples(self, model: Model, split: str) -> Samples: ...
    def samples(self, model: Model, split: str) -> Samples: ...
    def calibration(self, model: Model) -> Samples: ...
    def validation(self, model: Model) -> Samples | None: ...
    def learning_task(self, model: Model, output: str = "") -> LearningTask: ...
    def keras(self, model: Model, node: Node) -> Artifact: ...
    def promises(self, model: Model, node: Node) -> tuple[Promise, ...]: ...
    def settings(self, model: Model, node: Node) -> Recipe: ...
