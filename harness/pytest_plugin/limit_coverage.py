"""Coverage of limits: the limits that were set for the deployments of a run, and those that no test checked.

A limit of the model file is checked if a test of the deployment checked it, by whatever bound; a limit of a mark if a
test with this bound did.  Limits of a deployment that failed anyway are not counted.  Both travel in the test reports,
so that they arrive from pytest-xdist's workers too.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from hil.harness.pytest_plugin.budget import MARK, checked_limits, is_empty_check, marked_layer_limits, marked_limits
from hil.harness.pytest_plugin.collection import names_tests
from hil.harness.pytest_plugin.options import OPTIONS

if TYPE_CHECKING:
    from hil.harness.vela.settings import VelaSettings

_SET = "hil_limits"
_CHECKED = "hil_limits_checked"
_DESELECTED = "hil_deselected"


class SetLimit(NamedTuple):
    """One limit of a test's deployment; `marked` if it comes from the test's mark instead of the model file."""

    model: str
    path: str
    accelerator: str
    limit: str
    bound: float
    marked: bool = False

    @property
    def deployment(self) -> str:
        return deployment_name(self.model, self.path, self.accelerator)


def deployment_name(model: str, path: str, accelerator: str) -> str:
    """Name of a deployment among those of a run, which may be for several accelerators."""
    return f"{model}-{path}-{accelerator}"


class LimitCoverage:
    """Listens to the reports of one session."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.failed: set[str] = set()  # names of deployments with a failed test
        self._names: dict[str, str] = {}  # node id -> name of its deployment
        self._set: dict[SetLimit, None] = {}
        self._checked: set[tuple[str, str, float]] = set()  # deployment, limit, bound
        self._without_limits: dict[str, None] = {}
        self._left_out: dict[str, None] = {}
        self._deselected: set[str] = set()  # deployments of tests that the user left out and that take `budget`

    # -- where the tests run

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if (chosen := _deployment_of(item)) is None:
            return report
        if call.when == "setup":
            report.user_properties.append((_SET, json.dumps(self._limits_of(item, *chosen))))
        elif call.when == "call" and (budget := getattr(item, "funcargs", {}).get("budget")) is not None:
            empty = f"{chosen[0].name}-{chosen[1]}" if is_empty_check(budget) else ""
            found = {"checked": checked_limits(budget), "empty": empty}
            report.user_properties.append((_CHECKED, json.dumps(found)))
        return report

    def _limits_of(self, item: pytest.Item, model: Any, path: str, vela: VelaSettings) -> dict[str, Any]:
        from hil.harness.evaluation.limits import checkable

        marked = marked_limits(item)
        found = checkable(model.budget_with(marked), self.config.stash[OPTIONS].target_name)
        limits = [
            SetLimit(model.name, path, vela.accelerator, name, bound, name in marked)
            for name, bound in found.limits.given().items()
        ]
        limits += [
            SetLimit(model.name, path, vela.accelerator, one.key, one.bound, True) for one in marked_layer_limits(item)
        ]
        name = deployment_name(model.name, path, vela.accelerator)
        return {"model": model.name, "deployment": name, "limits": limits, "left_out": found.left_out}

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        for item in items:
            chosen = _deployment_of(item)
            if chosen is not None and "budget" in getattr(item, "fixturenames", ()):
                model, path, vela = chosen
                self._deselected.add(deployment_name(model.name, path, vela.accelerator))

    def pytest_sessionfinish(self) -> None:
        if hasattr(self.config, "workeroutput"):
            self.config.workeroutput[_DESELECTED] = sorted(self._deselected)

    # -- where the run is reported

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Takes over what a worker of pytest-xdist deselected."""
        self._deselected |= set(getattr(node, "workeroutput", {}).get(_DESELECTED, ()))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        properties = dict(report.user_properties)
        if _SET in properties:
            found = json.loads(str(properties[_SET]))
            self._names[report.nodeid] = found["deployment"]
            self._set |= dict.fromkeys(SetLimit(*limit) for limit in found["limits"])
            if found["left_out"]:
                self._left_out[f"{found['model']}: {found['left_out']}"] = None
        name = self._names.get(report.nodeid)
        if name is not None and report.failed:
            self.failed.add(name)
        if _CHECKED in properties:
            self._count(self._names[report.nodeid], **json.loads(str(properties[_CHECKED])))

    def _count(self, name: str, checked: dict[str, float], empty: str) -> None:
        self._checked |= {(name, limit, bound) for limit, bound in checked.items()}
        if empty:
            self._without_limits[empty] = None

    def open_limits(self) -> list[SetLimit]:
        """The limits that the run must fail for: no test checked them, and none that would have was left out."""
        if names_tests(self.config):
            return []
        return [one for one in self._unchecked() if one.deployment not in self._deselected]

    def _unchecked(self) -> list[SetLimit]:
        by_any_bound = {(name, limit) for name, limit, _ in self._checked}
        return [
            one
            for one in self._set
            if one.deployment not in self.failed
            and (one.deployment, one.limit, one.bound) not in self._checked
            and (one.marked or (one.deployment, one.limit) not in by_any_bound)
        ]

    def lines(self) -> list[tuple[str, bool]]:
        """Lines for the end of the run, each with True if the run fails for it."""
        fails = self.open_limits()
        spared = [one for one in self._unchecked() if one not in fails]
        how = "call budget.check(), or assert on budget.max_latency_ms and its like"
        unset_of = ", ".join(self._without_limits)
        unset = f"no limit is set (Budget(...) in the model file, or the mark {MARK})"
        return [
            *((f"no test checked {line}: the run fails ({how})", True) for line in _by_limit(fails)),
            *((f"the tests that were chosen did not check {line}", False) for line in _by_limit(spared)),
            *((line, False) for line in self._left_out),
            *([(f"budget.check() had nothing to check on {unset_of}: {unset}", False)] if unset_of else []),
        ]


def _deployment_of(item: pytest.Item) -> tuple[Any, str, VelaSettings] | None:
    """(model, path, settings of Vela) of a test of a deployment."""
    callspec = getattr(item, "callspec", None)
    return callspec.params.get("deployment") if callspec is not None else None


def _by_limit(limits: Iterable[SetLimit]) -> list[str]:
    """Formats limits, a line for each bound and model."""
    from hil.harness.evaluation.limit_check import format_limit
    from hil.harness.profile.layer_limits import LayerLimit

    paths: dict[tuple[str, str], dict[str, None]] = {}
    for one in limits:
        of_layer = " " in one.limit
        text = str(LayerLimit.from_key(one.limit, one.bound)) if of_layer else format_limit(one.limit, one.bound)
        paths.setdefault((text, one.model), {})[one.path] = None
    return [f"{limit} of {model} ({', '.join(found)})" for (limit, model), found in paths.items()]
