"""A store that makes nothing: for what is there already, such as leaves that an earlier walk trained.

    from hil.harness.pipeline import Pipeline

    pipeline = Pipeline(FoundStore(root))
    pipeline.int8(model, "qat")        # NotStoredError if it, or a step before it, is not in the store

The builders of `Pipeline` are never called; reading is as in `Store`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hil.core.errors import NotStoredError
from hil.harness.store.store import UNKNOWN, Artifact, ArtifactRecipe, Origin, Store


class FoundStore(Store):
    """As `Store`, but `make` builds nothing."""

    def make(
        self,
        recipe: ArtifactRecipe,
        build: Callable[[Path], Mapping[str, Any] | None],
        waits: Callable[[], None] = lambda: None,
        origin: Origin = UNKNOWN,
    ) -> Artifact:
        """Returns the artifact of `recipe`; raises `NotStoredError` if the store has none."""
        if found := self.find(recipe):
            return found
        raise NotStoredError(f"{recipe.step} of {origin} is not in the store")
