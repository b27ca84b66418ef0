"""Settings of a recipe as parts of their own: the model is trained by the baseline's recipe with some of the run's.

    retraining = Retraining(pipeline, model, "pqat", before, after)
    retraining.parts                                       # (Part("prune sparsity", "0.5", "0.8"),)
    int8 = retraining.int8(frozenset({"prune sparsity"}))

What the store holds is not trained again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from functools import cached_property
from typing import Any

from hil.harness.attribution.parts import Part
from hil.harness.comparison.recipe_changes import SettingChange, recipe_changes, settings_of
from hil.harness.evaluation.identity import data_identity, training_identity
from hil.harness.model import FineTune, Model, Recipe
from hil.harness.optimize.paths import PATHS, PRUNING
from hil.harness.pipeline import Pipeline
from hil.harness.pipeline.builders import TFLITE

_OF_STEP = frozenset(field.name for field in fields(FineTune))
"""Settings that a step has of its own; the others are the recipe's, and the same in each step that uses them."""
_LISTS = ("keep", "repairs")


class Retraining:
    """The recipes between those of two identities, for a model that differs in nothing else."""

    def __init__(
        self, pipeline: Pipeline, model: Model, leaf: str, before: Mapping[str, str], after: Mapping[str, str]
    ) -> None:
        self._pipeline = pipeline
        self._model = model
        self._leaf = leaf
        self._before, self._after = (settings_of(identity["recipe"]) for identity in (before, after))
        self._changes = recipe_changes(before["recipe"], after["recipe"])

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The settings that differ; one that several steps use is one part."""
        found = {_part_name(one): one for one in self._changes}
        return tuple(Part(name, json.dumps(one.before), json.dumps(one.after)) for name, one in found.items())

    def int8(self, chosen: frozenset[str]) -> bytes:
        """Returns the int8 file that the baseline's recipe makes with the run's settings in `chosen`."""
        settings: dict[str, dict[str, Any]] = {step: dict(values) for step, values in self._before.items()}
        for one in self._changes:
            if _part_name(one) in chosen:
                settings[one.step][one.name] = self._after[one.step][one.name]
        model = replace(self._model, recipe=with_settings(self._model.recipe, settings))
        return self._pipeline.int8(model, self._leaf).read(TFLITE)


def why_not_retrained(
    pipeline: Pipeline, model: Model, leaf: str, before: Mapping[str, str], after: Mapping[str, str]
) -> str:
    """Returns the reason for which the recipes of two identities cannot be mixed; empty if they can."""
    recipes = [identity.get("recipe", "") for identity in (before, after)]
    if not all(recipes) or leaf not in PATHS:
        return "no recipe is recorded" if leaf in PATHS else f"{leaf} is no path of the deployment tree"
    if recipes[0] == recipes[1]:
        return "the recipes are the same"
    if settings_of(recipes[0]).keys() != settings_of(recipes[1]).keys():
        return "the recipes have different steps"
    current = {**training_identity(pipeline, model, leaf), "data": data_identity(pipeline, model)}
    for name in sorted(current.keys() - {"recipe"}):
        if len({identity.get(name, "") for identity in (before, after, current)}) > 1:
            return f"{name} is not the same in both runs and here"
    return ""


def with_settings(recipe: Recipe, settings: Mapping[str, Mapping[str, Any]]) -> Recipe:
    """Returns `recipe` with the values that `Recipe.settings_of` gave for each step.

    Of the steps that prune, what they name beside their own comes first: by sensitivity, they name the clusters as
    these are bounded for the NPU.
    """
    found: dict[str, Any] = {}
    for step in sorted(settings, key=lambda step: step not in PRUNING):
        tune = {name: value for name, value in settings[step].items() if name in _OF_STEP}
        if tune:
            found[step.removeprefix("npu_")] = FineTune(**tune)
        found |= {name: value for name, value in settings[step].items() if name not in _OF_STEP}
    return replace(recipe, **{name: _value(name, value) for name, value in found.items()})


def _value(name: str, value: Any) -> Any:
    return tuple(value) if name in _LISTS else value


def _part_name(one: SettingChange) -> str:
    return f"{one.step} {one.name}" if one.name in _OF_STEP else one.name
