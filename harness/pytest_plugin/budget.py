"""The limits of a test on its deployment: the model file's budget, with those of the mark `hil_budget` in their place.

    def test_holds(budget, latency):
        budget.check()                              # fails: "latency 0.1193 ms, limit 0.0800, 0.0393 too much"
        assert latency.ms <= budget.max_latency_ms  # an assert of the user's own

`check` counts as a check of every limit, the reading of one as a check of that one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from hil.harness.evaluation.evaluator import Deployment, Evaluator
    from hil.harness.model import Budget, Model
    from hil.harness.profile.layer_limits import LayerLimit

MARK = "hil_budget"
LAYER = "layer"
"""Keyword of a mark whose limits are those of some layers."""


def marked_limits(item: pytest.Item) -> dict[str, float]:
    """The limits of a test's marks by name, the closest mark's last; raises `BadInputError` for an unknown one."""
    from hil.harness.model import Budget

    found: dict[str, float] = {}
    for mark in reversed(list(item.iter_markers(MARK))):
        if LAYER not in mark.kwargs:
            found |= mark.kwargs
    Budget().overridden(found)
    return found


def marked_layer_limits(item: pytest.Item) -> tuple[LayerLimit, ...]:
    """The limits of layers of a test's marks, the closest mark's in place of others; raises as `layer_limits`."""
    from hil.harness.profile.layer_limits import layer_limits

    found: dict[str, LayerLimit] = {}
    for mark in reversed(list(item.iter_markers(MARK))):
        if LAYER in mark.kwargs:
            found |= {limit.key: limit for limit in layer_limits(mark.kwargs)}
    return tuple(found.values())


def limits_of_test(item: pytest.Item, model: Model) -> Budget:
    """The limits of a test on a model."""
    return model.budget_with(marked_limits(item))


class DeploymentBudget:
    """The limits of one test on one deployment, as attributes by their names in `Budget`."""

    def __init__(
        self, limits: Budget, evaluator: Evaluator, deployment: Deployment, of_layers: tuple[LayerLimit, ...] = ()
    ) -> None:
        self._limits = limits
        self._of_layers = of_layers
        self._evaluator = evaluator
        self._deployment = deployment
        self._checked: set[str] = set()
        self._is_empty_check = False

    def __getattr__(self, name: str) -> float:
        if name.startswith("_"):
            raise AttributeError(name)
        value = float(getattr(self._limits, name))
        self._checked.add(name)
        return value

    def __repr__(self) -> str:
        return repr(self._limits)

    def check(self) -> None:
        """Fails the test with a line on every limit that is missed, or that the target cannot tell.

        A latency limit on a target without latency is left out; a line at the end of the run says so.
        """
        __tracebackhide__ = True
        from hil.harness.evaluation.limit_check import check_limits, format_check
        from hil.harness.evaluation.limits import checkable

        limits = checkable(self._limits, self._evaluator.target_name).limits
        checks = check_limits(self._evaluator, self._deployment, limits)
        self._checked |= {check.limit for check in checks}
        self._is_empty_check = not (self._limits.given() or self._of_layers)
        missed = [format_check(check) for check in checks if not check.met] + self._missed_of_layers()
        if missed:
            pytest.fail(f"{self._deployment.name} on {self._evaluator.target_name}: {'; '.join(missed)}")

    def _missed_of_layers(self) -> list[str]:
        if not self._of_layers:
            return []
        from hil.harness.profile.layer_limits import missed_limits

        self._checked |= {limit.key for limit in self._of_layers}
        return missed_limits(self._evaluator.profile(self._deployment), self._of_layers)


def checked_limits(budget: DeploymentBudget) -> dict[str, float]:
    """The limits that a test has checked so far, by name."""
    bounds = budget._limits.given() | {limit.key: limit.bound for limit in budget._of_layers}
    return {name: bound for name, bound in bounds.items() if name in budget._checked}


def is_empty_check(budget: DeploymentBudget) -> bool:
    """True if a test called `check` where no limit is set."""
    return budget._is_empty_check
