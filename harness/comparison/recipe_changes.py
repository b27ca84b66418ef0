"""Changes of a recipe: the settings in which two of an identity's recipes differ, step by step.

>>> [str(one) for one in recipe_changes('{"prune": {"sparsity": 0.5}}', '{"prune": {"sparsity": 0.8}}')]
['prune sparsity 0.5 -> 0.8']
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class SettingChange:
    """A setting of a step, by its name in `Recipe.settings_of`; None where a recipe does not have it."""

    step: str
    name: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.step} {self.name} {json.dumps(self.before)} -> {json.dumps(self.after)}"


def recipe_changes(before: str, after: str) -> tuple[SettingChange, ...]:
    """Returns every setting that differs between two recipes, the field `recipe` of an identity."""
    return tuple(_changes(settings_of(before), settings_of(after), "recipe"))


def settings_of(recipe: str) -> dict[str, Any]:
    """Returns step -> settings of a recipe; a text that is none, as another program wrote it, is one setting."""
    try:
        found = json.loads(recipe or "{}")
    except ValueError:
        found = recipe
    return found if isinstance(found, dict) else {"text": found}


def _changes(before: Mapping[str, Any], after: Mapping[str, Any], step: str) -> Iterator[SettingChange]:
    for name in {**before, **after}:
        old, new = before.get(name), after.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _changes(old, new, name)
        elif old != new:
            yield SettingChange(step, name, old, new)
