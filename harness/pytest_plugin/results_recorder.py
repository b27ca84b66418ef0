"""Results of a session in the results database, as each test ends, and the session's verdict against a baseline.

    pytest --target fvp --results nightly.db --baseline main

Figures, identity and failures travel in the test reports (`deployment_reports`), and the process that reports the run
writes them: there is one writer, whatever number of workers pytest-xdist starts.  A database that fails is reported
once; the tests go on, and pytest ends with 6 if they pass.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hil.core.errors import BadInputError, ResultsError
from hil.harness.pytest_plugin.board_reports import QUARANTINED, records_of_boards, share_quarantine
from hil.harness.pytest_plugin.collection import names_tests
from hil.harness.pytest_plugin.deployment_reports import FAILURE, deployments_of, records_of
from hil.harness.pytest_plugin.junit_properties import VERDICT, property_name
from hil.harness.pytest_plugin.options import BASELINE, OPTIONS, QUARANTINE
from hil.harness.pytest_plugin.recorder import EXIT_ONLY_INFRASTRUCTURE

if TYPE_CHECKING:
    from hil.harness.comparison.comparison import Comparison
    from hil.harness.results.quarantine import Rule
    from hil.harness.results.records import BoardRecord, DeploymentFigures
    from hil.harness.results.results import Results
    from hil.harness.results.writer import Run

KIND = "pytest"
_WHOLE = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, EXIT_ONLY_INFRASTRUCTURE)
"""Exit codes of a session that came to its end; one that did not misses figures for no fault of the models."""


class ResultsRecorder:
    """Writes one session into the database at `url`; compares it with the baseline that the options name.

    `url` None: into a temporary database, for what reads the session at its end.
    """

    def __init__(self, config: pytest.Config, url: str | None) -> None:
        self.config = config
        self._chosen = config.stash[OPTIONS]
        self._url = url
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._results: Results | None = None
        self._run: Run | None = None
        self.baseline = ""
        """Id of the run."""
        self._error: ResultsError | None = None
        self._comparison: Comparison | None = None
        self._unknown_gates: list[str] = []
        self._rule: Rule | None = None

    def open(self) -> None:
        """Opens the database, finds the baseline and the boards in quarantine.

        Raises `BadInputError` for a wrong URL, name or rule.
        """
        from hil.harness.results import open_results
        from hil.harness.results.quarantine import parse_rule, quarantined

        chosen = self._chosen
        self._rule = parse_rule(self.config.getini(QUARANTINE))
        if chosen.update_baseline:
            from hil.harness.results.results import check_baseline_name

            check_baseline_name(chosen.baseline or "")
        try:
            self._results = open_results(self._url or self._temporary())
            self.config.stash[QUARANTINED] = quarantined(self._results) if self._rule else {}
            if chosen.baseline:
                self.baseline = self._results.run(chosen.baseline).id
        except ResultsError as error:
            self._broke(error)
        except BadInputError:
            if self._results is None or not chosen.update_baseline:
                raise

    def recorded(self) -> tuple[Results, str] | None:
        """Returns the database and the id of the session's run; None where nothing was tested, or it failed."""
        if self._results is None or self._run is None or self._error is not None:
            return None
        return self._results, self._run.id

    @property
    def is_temporary(self) -> bool:
        """Returns whether the database ends with the session."""
        return self._url is None

    @property
    def failure(self) -> str:
        """Returns why the results are not in the database; empty where they are."""
        return "" if self._error is None else f"the results are not in the database: {self._error}"

    def _temporary(self) -> str:
        self._folder = tempfile.TemporaryDirectory(prefix="hil-report-", ignore_cleanup_errors=True)
        return str(Path(self._folder.name) / "session.db")

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Gives the baseline and the boards in quarantine to a worker of pytest-xdist."""
        node.workerinput[BASELINE] = self.baseline
        share_quarantine(self.config, node)

    @pytest.hookimpl(tryfirst=True)  # before `JunitProperties`, which was registered before
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        found, failures = deployments_of(report), records_of(report, FAILURE)
        events = records_of_boards(report)
        if not (found or failures or events) or self._results is None or self._error is not None:
            return
        try:
            if found or failures:
                self._write(report, found, failures if report.failed else [])
            self._write_events(events)
            if self.baseline and self.config.getoption("xmlpath", None):
                report.user_properties += self._verdicts(found)
        except ResultsError as error:
            self._broke(error)

    def _write(
        self, report: pytest.TestReport, found: Sequence[DeploymentFigures], failures: Sequence[dict[str, Any]]
    ) -> None:
        from hil.harness.results.records import FailureRecord, TestRecord

        run = self._begun()
        with run.transaction():
            for one in found:
                deployment = run.deployment(one.record)
                run.measurements(deployment, [*one.figures.values()])
                if one.layers:
                    run.layers(deployment, one.layers)
                if one.missing:
                    run.missing(deployment, one.missing)
            for failure in failures:
                run.failure(FailureRecord(**failure))
            run.test(TestRecord(report.nodeid, report.outcome, report.duration))

    def _write_events(self, events: Sequence[BoardRecord]) -> None:
        """Writes what happened to boards, and puts those into quarantine that failed too often."""
        from hil.harness.results.quarantine import quarantine

        if not events:
            return
        assert self._results is not None
        run = self._begun()
        with run.transaction():
            for event in events:
                run.board(event)
        quarantine(self._results, run, self._rule)

    def _verdicts(self, found: Sequence[DeploymentFigures]) -> list[tuple[str, object]]:
        """A property of the test for each figure with a gate, for the JUnit file."""
        from hil.harness.comparison.comparison_table import format_figure
        from hil.harness.comparison.stored_runs import compare_deployments

        assert self._results is not None
        compared = compare_deployments(self._results, found, self.baseline, vary=self._chosen.vary)
        return [
            (property_name(VERDICT, one.figure, one.deployment, found), format_figure(one))
            for one in compared.figures
            if one.gate is not None
        ]

    def _begun(self) -> Run:
        if self._run is None:
            from hil.harness.results import RunRecord
            from hil.harness.results.origin import origin
            from hil.harness.results.records import SELECTION

            assert self._results is not None
            command = (KIND, *map(str, self.config.invocation_params.args))
            chosen = {SELECTION: "some tests"} if self._is_narrowed() else {}
            self._run = self._results.begin(RunRecord(KIND, {**origin(self.config.rootpath), **chosen}, command))
        return self._run

    def _broke(self, error: ResultsError) -> None:
        self._error = error

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Compares the run with its baseline, and marks it as finished; after the other plugins set the exit code."""
        try:
            self._finish(session)
        except ResultsError as error:
            self._broke(error)
        if self._error is not None and not self.is_temporary and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = EXIT_ONLY_INFRASTRUCTURE

    def _finish(self, session: pytest.Session) -> None:
        from hil.harness.comparison.stored_runs import verdict_records

        if self._results is None or self._error is not None:
            return
        is_whole = session.exitstatus in _WHOLE and not session.shouldstop and not session.shouldfail
        if is_whole and self.baseline and not self._is_narrowed():
            self._begun()  # where no deployment was tested, the baseline's figures are missing
        if self._run is None or not is_whole:
            return  # a session that was stopped stays unfinished, as one that was killed
        self._unknown_gates = self._gates_of_no_figure()
        if self._unknown_gates:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        if self.baseline:
            self._comparison = self._compared()
            with self._run.transaction():
                for record in verdict_records(self._comparison, self.baseline):
                    self._run.verdict(record)
            fails = self._comparison.exit_code(strict=self._chosen.strict) == 1
            if fails and not self._chosen.update_baseline:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
        if self._chosen.update_baseline and session.exitstatus == pytest.ExitCode.OK:
            self._results.set_baseline(self._chosen.baseline or "", self._run.id)
        self._run.finish(int(session.exitstatus))

    def _compared(self) -> Comparison:
        from hil.harness.comparison.stored_runs import compare_stored

        assert self._results is not None
        assert self._run is not None
        return compare_stored(self._results, self._run.id, self.baseline, vary=self._chosen.vary)

    def _gates_of_no_figure(self) -> list[str]:
        """Figures that a gate names and no deployment of the run has: most likely misspelled, and never checked."""
        from hil.harness.comparison.gates import OFF, USUAL

        assert self._results is not None
        assert self._run is not None
        deployed = self._results.figures(self._run.id)
        named = {figure for one in deployed for figure, text in one.record.gates.items() if text != OFF}
        return sorted(named - {figure for one in deployed for figure in one.figures} - set(USUAL))

    def _is_narrowed(self) -> bool:
        """Returns whether the user chose some tests: then what the baseline has beside them is not missing."""
        chosen, option = self._chosen, self.config.option
        by_option = chosen.models or chosen.techniques or option.keyword or option.markexpr
        return bool(by_option) or names_tests(self.config)

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.is_temporary or (self._run is None and self._error is None):
            return
        terminalreporter.section("results")
        if self._error is not None:
            terminalreporter.write_line(self.failure, red=True)
        if self._run is None or self._results is None:
            return
        terminalreporter.write_line(f"run {self._run.id} in {self._results.name}")
        for figure in self._unknown_gates:
            terminalreporter.write_line(f"a gate names the figure {figure}, which no deployment has", red=True)
        if self._comparison is not None:
            from hil.harness.comparison.comparison_table import format_comparison
            from hil.harness.pytest_plugin.github_summary import append_comparison

            width, colour = terminalreporter._tw.fullwidth, terminalreporter._tw.hasmarkup
            if self._is_narrowed():
                terminalreporter.write_line("compared is what the chosen tests measured")
            shown = format_comparison(
                self._comparison, "this run", self._chosen.baseline or "", width=width, colour=colour
            )
            terminalreporter.write_line(shown)
            append_comparison(self._comparison, self._chosen.baseline or "")

    def pytest_unconfigure(self) -> None:
        """Closes the database, which leaves one whole file of SQLite's."""
        if self._results is not None:
            self._results.close()
        if self._folder is not None:
            self._folder.cleanup()
