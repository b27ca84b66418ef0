"""A leaf under certain settings, and which of them a node on its way depends on.

    candidate = Candidate("pcqat", (("clusters", 8), ("sparsity", 0.7)))
    place(model, ("prune",), candidate.settings)  # SettledNode(("prune",), (("sparsity", 0.7),), ...): no clusters

Settings are those of the model's `Recipe` by name, and only what differs from it.  Candidates that agree in what a
node depends on share the node.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hil.harness.model import Model, Recipe
from hil.harness.optimize.paths import Node, path_of, training_node

Settings = tuple[tuple[str, Any], ...]
"""(name in `Recipe`, value), sorted by name."""


@dataclass(frozen=True)
class Candidate:
    """A leaf of the tree with what its recipe differs in from the model's."""

    leaf: str
    settings: Settings = ()

    @property
    def title(self) -> str:
        """As tables and lines call it: "pcqat sparsity=0.7 clusters=8"."""
        return title(self.leaf, self.settings)

    @property
    def node(self) -> Node:
        """Its last training."""
        return training_node(path_of(self.leaf))


@dataclass(frozen=True)
class SettledNode:
    """A node under the settings that matter there; `used` is all that its trainings depend on, as JSON."""

    node: Node
    settings: Settings = field(default=(), compare=False)
    used: str = ""

    @property
    def title(self) -> str:
        """The techniques on its way, and the settings."""
        return title(" > ".join(self.node) or "base", self.settings)


def title(name: str, settings: Settings) -> str:
    """A name with its settings behind it."""
    return " ".join([name, *(f"{key}={value}" for key, value in settings)])


def with_settings(model: Model, settings: Settings | Mapping[str, Any]) -> Model:
    """`model` with other settings in its recipe; raises `BadInputError` for a value that cannot be."""
    return replace(model, recipe=replace(model.recipe, **dict(settings)))


def place(model: Model, node: Node, settings: Settings = ()) -> SettledNode:
    """Where the node lies under `settings`."""
    used = _used(replace(model.recipe, **dict(settings)), node)
    return SettledNode(node, _relevant(model.recipe, node, settings), used)


def candidate(model: Model, leaf: str, settings: Settings) -> Candidate:
    """The candidate without the settings that change nothing on its way."""
    return Candidate(leaf, _relevant(model.recipe, path_of(leaf), settings))


def _relevant(recipe: Recipe, node: Node, settings: Settings) -> Settings:
    plain = _used(recipe, node)
    return tuple(sorted(one for one in settings if _used(replace(recipe, **dict([one])), node) != plain))


def _used(recipe: Recipe, node: Node) -> str:
    """All settings that a node's trainings depend on."""
    steps = [[recipe.settings_of(node[n]), recipe.promised(node[: n + 1])] for n in range(len(node))]
    return json.dumps(steps if node else recipe.settings_of("base"), sort_keys=True)
