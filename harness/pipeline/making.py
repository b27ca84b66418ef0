"""Making of an artifact: found in the store or built there, in a process of its own where the user's code runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hil.core.arrays import Array
from hil.harness.compute import Compute, choose_compute, compute_of_process
from hil.harness.model import Model
from hil.harness.pipeline import builders
from hil.harness.pipeline.builders import ARRAYS
from hil.harness.pipeline.step_inputs import StepInputs
from hil.harness.pipeline.step_process import build_in_process, is_of_file
from hil.harness.say import Say
from hil.harness.store.store import Artifact, ArtifactRecipe, Origin, Store
from hil.harness.work_titles import step_title


def _quiet(text: str, done: int, total: int) -> None:
    pass


class Maker(StepInputs):
    """The store, and the process that builds what it has not.  `say` is called with the progress of what takes long.

    With `isolated`, what needs TensorFlow or runs the user's code is built in a process of its own, whose death fails
    one artifact; without, in this process.  A model that comes from no model file is always built in this process.
    `compute` is what that other process uses, by default what `choose_compute` finds.
    """

    def __init__(
        self, store: Store, say: Say = _quiet, *, isolated: bool = True, compute: Compute | None = None
    ) -> None:
        self.store = store
        self.say = say
        self._isolated = isolated
        self.compute = compute or (choose_compute() if isolated else compute_of_process())

    def make(
        self,
        recipe: ArtifactRecipe,
        arrow: str,
        model: Model,
        arrays: Mapping[str, Array] | None = None,
        **arguments: Any,
    ) -> Artifact:
        """Returns the artifact of `recipe`, built by the builder of `arrow` if the store has none.

        The builder finds `arrays` in its folder.
        """

        def build(folder: Path) -> Mapping[str, Any] | None:
            if arrays is not None:
                np.savez(folder / ARRAYS, **arrays)
            if self._builds_elsewhere(model):
                return build_in_process(arrow, self, model, folder, arguments, self.compute)
            return builders.build(arrow, self, model, folder, arguments)

        title = step_title(arrow, model, arguments)
        origin = Origin(model.name, _technique(arrow, arguments))
        return self.store.make(recipe, build, lambda: self.say(f"{title}: another run makes it", 0, 0), origin)

    def _builds_elsewhere(self, model: Model) -> bool:
        """Returns whether what needs TensorFlow or the user's code is built in a process of its own."""
        return self._isolated and is_of_file(model)

    def compute_settings(self, model: Model) -> dict[str, Any]:
        """Settings of a recipe whose result depends on the threads that make it."""
        compute = self.compute if self._builds_elsewhere(model) or not self._isolated else compute_of_process()
        return compute.settings()


def _technique(arrow: str, arguments: Mapping[str, Any]) -> str:
    """Technique of an artifact: a leaf, the last step of a node, or "base"; empty for data and what describes it."""
    node = arguments.get("node", [] if arrow == "base" else None)
    return str(arguments.get("leaf") or ("" if node is None else node[-1] if node else "base"))
