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

MARK = "hil_budget"


def marked_limits(item: pytest.Item) -> dict[str, float]:
    """The limits of a test's marks by name, the closest mark's last; raises `BadInputError` for an unknown one."""
    from hil.harness.model import Budget

    found: dict[str, float] = {}
    for mark in reversed(list(item.iter_markers(MARK))):
        found |= mark.kwargs
    Budget().overridden(found)
    return found


def limits_of_test(item: pytest.Item, model: Model) -> Budget:
    """The limits of a test on a model."""
    return model.budget_with(marked_limits(item))


class DeploymentBudget:
    """The limits of one test on one deployment, as attributes by their names in `Budget`."""

    def __init__(self, limits: Budget, evaluator: Evaluator, deployment: Deployment) -> None:
        self._limits = limits
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
        self._is_empty_check = not self._limits.given()
        if missed := [format_check(check) for check in checks if not check.met]:
            pytest.fail(f"{self._deployment.name} on {self._evaluator.target_name}: {'; '.join(missed)}")


def checked_limits(budget: DeploymentBudget) -> dict[str, float]:
    """The limits that a test has checked so far, by name."""
    return {name: bound for name, bound in budget._limits.given().items() if name in budget._checked}


def is_empty_check(budget: DeploymentBudget) -> bool:
    """True if a test called `check` where no limit is set."""
    return budget._is_empty_check
