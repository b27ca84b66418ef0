"""The marks of the plugin, and their check while tests are collected."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from hil.core.errors import BadInputError
from hil.harness.comparison.gates import check_gates
from hil.harness.pytest_plugin.tree_walk import NAME as TREE

GATE = "hil_gate"
"""The mark with gates."""

_LIMITS = "max_accuracy_drop=, min_accuracy=, max_latency_ms=, max_sram_bytes=, max_flash_bytes=, max_model_bytes="
_OF_LAYERS = "max_cycles=, max_share=, max_sram_bytes=, max_encoded_bytes="
MARKS = (
    "hil_models(*names): run this test on these models only",
    "hil_techniques(*names): run this test on these leaves of the deployment tree only",
    f"hil_budget({_LIMITS}): limits for this test, which its budget.check() checks; "
    f"with layer='CONV_2D *' of these layers alone: {_OF_LAYERS}",
    "hil_gate(latency=, sram=, ...): gates of this test's deployments against a baseline, such as latency='2 %'",
    f"hil_tree(policy=, max_trainings=, max_minutes=, jobs=, scheduler=, {_LIMITS}): "
    "walk the deployment tree, and fail where no leaf meets the limits",
)
"""Lines for `pytest --markers`."""
_FIXTURES = {
    "hil_models": ("deployment", TREE),
    "hil_techniques": ("deployment", TREE),
    "hil_budget": ("deployment",),
    GATE: ("deployment",),
    TREE: (TREE,),
}
"""Mark -> the fixtures of which a test must take one, or it has no effect."""
_NAMED = ("hil_models", "hil_techniques")
"""Marks that take names; the others take keywords."""


def marked_gates(item: pytest.Item) -> dict[str, str]:
    """The gates of a test's marks, figure -> text, the closest mark's last."""
    found: dict[str, str] = {}
    for mark in reversed(list(item.iter_markers(GATE))):
        found |= mark.kwargs
    return found


def check_marks(definition: pytest.Item, fixtures: Collection[str]) -> None:
    """Raises `BadInputError` for a mark of a test that has no effect, or not the form that `MARKS` shows.

    A mark of a class or module may stand over tests that have nothing to do with it.
    """
    for mark in definition.own_markers:
        needed = _FIXTURES.get(mark.name, ())
        if needed and not set(needed) & set(fixtures):
            hint = f"take {' or '.join(needed)}"
            raise BadInputError(f"{definition.name}: the mark {mark.name} is there, the fixture is not", hint=hint)
    for mark in definition.iter_markers():
        if mark.name == GATE:
            check_gates(mark.kwargs)
        wrong = (mark.kwargs or not mark.args) if mark.name in _NAMED else mark.name in _FIXTURES and mark.args
        if wrong:
            takes = "names" if mark.name in _NAMED else "keywords"
            line = next(line for line in MARKS if line.startswith(mark.name))
            raise BadInputError(f"{definition.name}: the mark {mark.name} takes {takes}", hint=line)
