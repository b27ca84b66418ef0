"""Properties of the test cases in pytest's JUnit file: identity, figures and verdicts of their deployments.

<property name="hil_figure_npu_cycles" value="1678 cycles, modelled"/>
<property name="hil_identity_vela" value="5.2.0"/>
<property name="hil_verdict_npu_cycles" value="worse: 1,678 -> 1,758 cycles"/>
"""

from __future__ import annotations

from typing import Any

import pytest

from hil.harness.pytest_plugin.deployment_reports import DEPLOYED, records_of

VERDICT = "hil_verdict_"


class JunitProperties:
    """Adds the properties to the last report of a test, from which pytest takes them."""

    def __init__(self) -> None:
        self._found: dict[str, list[tuple[str, object]]] = {}  # by node id

    @pytest.hookimpl(tryfirst=True)  # before pytest's own
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for one in records_of(report, DEPLOYED):
            verdicts = [(name, value) for name, value in report.user_properties if name.startswith(VERDICT)]
            self._found[report.nodeid] = [*_properties(one), *verdicts]
        if report.when == "teardown":
            report.user_properties += self._found.pop(report.nodeid, [])


def _properties(one: dict[str, Any]) -> list[tuple[str, object]]:
    identity = {"deployment": one["deployment"]["name"], **one["deployment"]["identity"]}
    return [
        *((f"hil_identity_{name}", value) for name, value in identity.items()),
        *(
            (f"hil_figure_{figure['name']}", f"{figure['value']:.10g} {figure['unit']}, {figure['trust']}")
            for figure in one["figures"]
        ),
    ]
