"""Selection of a test's deployments: models of the folder x leaves of the tree, narrowed by marks and command line.

    selection = select(options, item)
    selection.chosen        # [(Model, "pcqat"), ...]
    selection.left_out      # {"digits_dscnn": "no recordings (set HIL_FSDD ...)"}

The command line chooses for the run (an unknown name is a usage error), marks choose for the test, a model file for the
model.  A model whose data is not on this machine is left out with the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import pytest

from hil.core.errors import BadInputError
from hil.harness.leaves import GIVEN, leaves_of, unavailable
from hil.harness.model import Model, discover
from hil.harness.optimize.litert import check_installed
from hil.harness.optimize.paths import PATHS
from hil.harness.pytest_plugin.budget import marked_layer_limits, marked_limits
from hil.harness.pytest_plugin.options import Options
from hil.harness.vela.compiler import check_options


@dataclass(frozen=True)
class Selection:
    """Pairs of model and path, and by name the reason for each left-out model."""

    chosen: list[tuple[Model, str]]
    left_out: dict[str, str] = field(default_factory=dict)


def check(options: Options) -> None:
    """Raises `BadInputError` for an unknown name on the command line, or options that Vela does not know."""
    options.make_target()  # looks at the target's options, and starts nothing
    for settings in options.settings:
        check_options(settings)
    models = _models(options.folder)
    _known("model", options.models, [model.name for model in models])
    _known("technique", options.techniques, [*PATHS, GIVEN])
    check_installed(options.techniques)
    asked = [model for model in models if not options.models or model.name in options.models]
    for model in asked:
        if options.models and (reason := unavailable(model)):
            raise BadInputError(f"--model {model.name}: {reason}")
    for technique in options.techniques:
        if not any(technique in leaves_of(model, options.techniques) for model in asked):
            leaves = "; ".join(f"{model.name} has {', '.join(leaves_of(model))}" for model in asked)
            raise BadInputError(f"--technique {technique}: no model here takes it", hint=leaves)


def select(options: Options, item: pytest.Item) -> Selection:
    """The deployments of one test function; raises `BadInputError` for an invalid mark."""
    limits = marked_limits(item)
    marked_layer_limits(item)
    models = _models(options.folder)
    marked_models, marked_leaves = _marked(item, "hil_models"), _marked(item, "hil_techniques")
    _known("model", marked_models, [model.name for model in models])
    _known("technique", marked_leaves, [*PATHS, GIVEN])
    selection = Selection([])
    for model in models:
        if (options.models and model.name not in options.models) or (marked_models and model.name not in marked_models):
            continue
        if reason := unavailable(model):
            selection.left_out[model.name] = reason
            continue
        model.budget_with(limits)
        leaves = leaves_of(model, (*options.techniques, *marked_leaves))
        if options.techniques and not set(leaves) & set(options.techniques):
            selection.left_out[model.name] = f"it has only {', '.join(leaves)}"
        wanted = [set(names) for names in (options.techniques, marked_leaves) if names]
        selection.chosen.extend((model, leaf) for leaf in leaves if all(leaf in names for names in wanted))
    check_installed(leaf for _, leaf in selection.chosen)
    return selection


@lru_cache
def _models(folder: Path) -> tuple[Model, ...]:
    return tuple(discover(folder))


def _marked(item: pytest.Item, mark: str) -> tuple[str, ...]:
    return tuple(str(name) for found in item.iter_markers(mark) for name in found.args)


def _known(what: str, names: Sequence[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            raise BadInputError(f"no {what} {name}", hint=f"there are: {', '.join(known) or 'none'}")
