"""Candidates: leaves under settings other than the recipe's, and the settings that each node on their path uses.

    candidate = Candidate("pcqat", (("clusters", 8), ("sparsity", 0.7)))
    settled_node(model, ("prune",), candidate.settings)  # SettledNode(("prune",), (("sparsity", 0.7),)): no clusters

Settings are fields of `Recipe` that differ from the model's.  Candidates with the same values of all settings that a
node uses share the node.
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
    """A leaf of the tree with the settings that differ from the model's recipe."""

    leaf: str
    settings: Settings = ()

    @property
    def title(self) -> str:
        """Name in tables and lines: "pcqat sparsity=0.7 clusters=8"."""
        return title(self.leaf, self.settings)

    @property
    def node(self) -> Node:
        """Node of its last training."""
        return training_node(path_of(self.leaf))


@dataclass(frozen=True)
class SettledNode:
    """A node with the settings that it uses; `used` holds all settings of its trainings, as JSON."""

    node: Node
    settings: Settings = field(default=(), compare=False)
    used: str = ""

    @property
    def title(self) -> str:
        """The techniques of its path, and the settings."""
        return title(" > ".join(self.node) or "base", self.settings)


def title(name: str, settings: Settings) -> str:
    """Formats a name followed by settings."""
    return " ".join([name, *(f"{key}={value}" for key, value in settings)])


def with_settings(model: Model, settings: Settings | Mapping[str, Any]) -> Model:
    """Returns `model` with other settings in its recipe; raises `BadInputError` for an invalid value."""
    return replace(model, recipe=replace(model.recipe, **dict(settings)))


def settled_node(model: Model, node: Node, settings: Settings = ()) -> SettledNode:
    """Returns a node with those of `settings` that it uses."""
    used = _used(replace(model.recipe, **dict(settings)), node)
    return SettledNode(node, _relevant(model.recipe, node, settings), used)


def candidate_of(model: Model, leaf: str, settings: Settings) -> Candidate:
    """Returns the candidate of a leaf with those of `settings` that its path uses."""
    return Candidate(leaf, _relevant(model.recipe, path_of(leaf), settings))


def _relevant(recipe: Recipe, node: Node, settings: Settings) -> Settings:
    plain = _used(recipe, node)
    return tuple(sorted(one for one in settings if _used(replace(recipe, **dict([one])), node) != plain))


def _used(recipe: Recipe, node: Node) -> str:
    """Returns all settings that a node's trainings use, as JSON."""
    steps = [recipe.settings_of(step) for step in node]
    return json.dumps(steps if node else recipe.settings_of("base"), sort_keys=True)
