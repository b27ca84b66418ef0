"""Records of a run: a row a deployment, the left-out models, and the exit code that tells failure from breakdown.

Rows travel in the test reports, so that they arrive from pytest-xdist's workers too.  When every failed report was an
`InfrastructureError`, pytest ends with 6 instead of 1: the target broke down, the models did not.  It ends with 1
instead of 0 when a limit was set and no test checked it (`limit_coverage`).  A device that is lost is reported once,
with the first test that lost it and the number of tests that had no device because of it.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

import pytest

from hil.core.errors import HilError, InfrastructureError
from hil.core.machine_limits import machine_error
from hil.harness.pytest_plugin.limit_coverage import LimitCoverage

EXIT_ONLY_INFRASTRUCTURE = 6
ROW = "hil_row"
INFRASTRUCTURE = "hil_infrastructure"
LOST = "hil_lost"
LEFT_OUT = pytest.StashKey[dict[str, str]]()
"""Models that no test ran on, with the reason."""


class Recorder:
    """Listens to the reports of one session."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.rows: dict[str, dict[str, Any]] = {}
        self.failures: list[bool] = []  # of each failed report, whether it was infrastructure
        self.lost: dict[str, list[str]] = {}  # device -> the tests that it was lost to, the first with why
        self.coverage = LimitCoverage(config)
        config.pluginmanager.register(self.coverage, "hil-limits")
        self._told: HilError | None = None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        error = call.excinfo.value if call.excinfo else None
        ours = not {"bench", "hil_tree"}.isdisjoint(getattr(item, "fixturenames", ()))
        if ours and isinstance(error, Exception) and not isinstance(error, AssertionError):
            error = machine_error(error) or error
        if isinstance(error, HilError):
            _explain(report, error, again=error is self._told)
            self._told = error
        fixtures = getattr(item, "funcargs", {})
        if (call.when == "call" or report.failed) and {"bench", "deployment"} <= fixtures.keys():
            from hil.harness.pytest_plugin.summary import row

            deployment = fixtures["deployment"]
            results = fixtures["bench"].results(deployment)
            report.user_properties.append((ROW, json.dumps(row(deployment, results))))
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        properties = dict(report.user_properties)
        if ROW in properties:
            found = json.loads(str(properties[ROW]))
            known = self.rows.setdefault(found["name"], {})
            known.update({key: value for key, value in found.items() if value is not None})
        if LOST in properties:
            where = self.lost.setdefault(str(properties[LOST]), [])
            where.append(report.nodeid if where else f"{report.nodeid}: {report.longrepr}")
        if report.failed:
            self.failures.append(INFRASTRUCTURE in properties)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(self.config, "workeroutput"):
            self.config.workeroutput["hil_left_out"] = self.config.stash[LEFT_OUT]
            return
        is_open = bool(self.coverage.open_limits())
        if session.exitstatus == pytest.ExitCode.OK and is_open:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        elif session.exitstatus == pytest.ExitCode.TESTS_FAILED and self.failures and all(self.failures):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED if is_open else EXIT_ONLY_INFRASTRUCTURE

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Takes over the left-out models of a worker of pytest-xdist that ended."""
        self.config.stash[LEFT_OUT].update(getattr(node, "workeroutput", {}).get("hil_left_out", {}))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        left_out, limits = self.config.stash[LEFT_OUT], self.coverage.lines()
        if not self.rows and not left_out and not self.lost and not limits:
            return
        from hil.harness.pytest_plugin.github_summary import append_tables
        from hil.harness.pytest_plugin.summary import render
        from hil.harness.text_table import wrap

        terminalreporter.section("hardware in the loop")
        if self.rows or left_out:
            rows = [{**row, "failed": name in self.coverage.failed} for name, row in self.rows.items()]
            terminalreporter.write_line(render(rows, left_out, terminalreporter))
            append_tables(rows, left_out)
        width = terminalreporter._tw.fullwidth
        for text, fails in limits:
            for line in wrap(text, width):
                terminalreporter.write_line(line, red=fails, yellow=not fails)
        for device, (first, *others) in self.lost.items():
            for line in wrap(f"{device} is out of order since {first}", width):
                terminalreporter.write_line(line)
            if others:
                terminalreporter.write_line(
                    f"  {len(others)} more tests were not run on it; none of them is a regression"
                )


def _explain(report: Any, error: HilError, again: bool) -> None:
    """Replaces a traceback by one line, with the target's log the first time; marks infrastructure errors."""
    report.longrepr = f"{type(error).__name__}: {error}"
    if error.log and not again:
        report.sections.append(("log of the target", error.log))
    if isinstance(error, InfrastructureError):
        report.user_properties.append((INFRASTRUCTURE, True))
        if error.lost:
            report.user_properties.append((LOST, error.lost))
