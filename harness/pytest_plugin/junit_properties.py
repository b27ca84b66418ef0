"""Properties of the test cases in pytest's JUnit file: identity, figures and verdicts of their deployments.

<property name="hil_figure_npu_cycles" value="1678 cycles, modelled"/>
<property name="hil_identity_vela" value="5.2.0"/>
<property name="hil_verdict_npu_cycles" value="worse: 1,678 -> 1,758 cycles"/>
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

from hil.harness.pytest_plugin.deployment_reports import deployments_of

if TYPE_CHECKING:
    from hil.harness.results.records import DeploymentFigures

VERDICT = "hil_verdict_"


class JunitProperties:
    """Adds the properties to the last report of a test, from which pytest takes them."""

    def __init__(self) -> None:
        self._found: dict[str, list[tuple[str, object]]] = {}  # by node id

    @pytest.hookimpl(tryfirst=True)  # before pytest's own
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if found := deployments_of(report):
            verdicts = [(name, value) for name, value in report.user_properties if name.startswith(VERDICT)]
            of_each = (pair for one in found for pair in _properties(one, found))
            self._found[report.nodeid] = [*of_each, *verdicts]
        if report.when == "teardown":
            report.user_properties += self._found.pop(report.nodeid, [])


def property_name(kind: str, name: str, deployment: str, found: Sequence[DeploymentFigures]) -> str:
    """Returns the name of a property; of a test with several deployments, such as a walk, it has the deployment's."""
    return f"{kind}{name}" if len(found) == 1 else f"{kind}{deployment}_{name}"


def _properties(one: DeploymentFigures, found: Sequence[DeploymentFigures]) -> list[tuple[str, object]]:
    deployment = one.record.name
    identity = {"deployment": deployment, **one.record.identity}
    figures = {figure.name: f"{figure.value:.10g} {figure.unit}, {figure.trust}" for figure in one.figures.values()}
    return [
        (property_name(kind, name, deployment, found), value)
        for kind, values in (("hil_identity_", identity), ("hil_figure_", figures))
        for name, value in values.items()
    ]
