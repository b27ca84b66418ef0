"""The tree walk in pytest: a mark that walks and asserts, a fixture that returns the walk.

    @pytest.mark.hil_tree(max_latency_ms=0.1, max_accuracy_drop=0.01)
    def test_some_leaf_fits(hil_tree):
        assert hil_tree.winner.level < 3

The test runs once for each model of the models folder, and fails before its own first line where no leaf meets the
limits.  Without the mark, the fixture walks with the model file's budget and asserts nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pytest

from hil.harness.pytest_plugin.options import OPTIONS, Options

if TYPE_CHECKING:
    from hil.harness.evaluation.evaluator import Evaluator
    from hil.harness.model import Model
    from hil.harness.pytest_plugin.selection import Selection
    from hil.harness.tree.result import Walk

NAME = "hil_tree"


def leaves_by_model(selection: Selection, options: Options, definition: pytest.Item) -> dict[Model, tuple[str, ...]]:
    """The leaves of each model that a test walks to; raises `BadInputError` for an invalid mark."""
    from hil.harness.evaluation.limits import limits_of
    from hil.harness.leaves import GIVEN
    from hil.harness.optimize.paths import OUTSIDE_TREE
    from hil.harness.tree.walk import check_policy

    how, given = _marked(definition)
    check_policy(how["policy"], how["effort"])
    found: dict[Model, tuple[str, ...]] = {}
    for model, leaf in selection.chosen:
        if leaf == GIVEN:
            selection.left_out[model.name] = "it came as an int8 file and has no tree"
        elif leaf not in OUTSIDE_TREE or leaf in options.techniques:
            limits_of(model, options.target_name, given)
            found[model] = (*found.get(model, ()), leaf)
    return found


@pytest.fixture
def hil_tree(request: pytest.FixtureRequest, bench: Evaluator) -> Walk:
    """The walk of one model's tree, with the limits of the mark `hil_tree` in place of the model file's."""
    from hil.harness.evaluation.limits import limits_of
    from hil.harness.tree.walk import walk

    model, leaves, vela = request.param
    how, given = _marked(request.node)
    asked = limits_of(model, bench.target_name, given)
    config = request.config
    options = config.stash[OPTIONS]
    return walk(
        *(model, bench.with_vela(vela), asked.limits),
        **how,
        leaves=leaves,
        failures=config.rootpath,
        vela_config=options.vela_config,
    )


def require_winner(item: pytest.Item) -> None:
    """Fails a marked test whose walk found no leaf."""
    walked = getattr(item, "funcargs", {}).get(NAME)
    if walked is None or item.get_closest_marker(NAME) is None or walked.verdict.met:
        return
    from hil.harness.tree.text_report import format_walk

    pytest.fail(format_walk(walked), pytrace=False)


def _marked(item: pytest.Item) -> tuple[dict[str, Any], Mapping[str, Any]]:
    """Arguments of `walk`, and the limits, from the test's marks; the closest mark wins."""
    from hil.harness.tree.settings_search import Effort

    merged: dict[str, Any] = {"policy": "first"}
    for mark in reversed(list(item.iter_markers(NAME))):
        merged |= mark.kwargs
    how = {name: merged.pop(name) for name in ("policy", "jobs", "scheduler") if name in merged}
    return how | {"effort": Effort(merged.pop("max_trainings", None), merged.pop("max_minutes", None))}, merged
