"""Results of a session in the results database, as each test ends, and the session's verdict against a baseline.

    pytest --target fvp --results nightly.db --baseline main

Figures, identity and failures travel in the test reports, and the process that reports the run writes them: there is
one writer, whatever number of workers pytest-xdist starts.  A database that fails is told once; the tests go on, and
pytest ends with 6 if they pass.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest

from hil.core.errors import HilError, InfrastructureError, ResultsError
from hil.core.machine_limits import machine_error
from hil.harness.pytest_plugin.marks import marked_gates
from hil.harness.pytest_plugin.options import OPTIONS
from hil.harness.pytest_plugin.tree_walk import NAME as TREE

if TYPE_CHECKING:
    from hil.harness.comparison.comparison import Comparison
    from hil.harness.evaluation.evaluator import Deployment, Evaluator
    from hil.harness.results.results import Results
    from hil.harness.results.writer import Run

_DEPLOYED = "hil_deployed"
_FAILURE = "hil_failure"
KIND = "pytest"
EXIT_DATABASE = 6


class ResultsRecorder:
    """Writes one session into the database at `url`; compares it with the run that `baseline` names.

    Without `reports`, in a worker of pytest-xdist, records are only put into the reports.
    """

    def __init__(self, config: pytest.Config, url: str) -> None:
        self.config = config
        self._chosen = config.stash[OPTIONS]
        self._url = url
        self._results: Results | None = None
        self._run: Run | None = None
        self._baseline = ""  # the id of the run
        self._names: dict[str, str] = {}  # node id -> deployment
        self._gates: dict[str, dict[str, str]] = {}  # deployment -> figure -> gate
        self._error: ResultsError | None = None
        self._comparison: Comparison | None = None

    # -- where the tests run

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        fixtures = getattr(item, "funcargs", {})
        if call.when == "call" or report.failed:
            report.user_properties += [(_DEPLOYED, json.dumps(one)) for one in _deployed(item, fixtures)]
        if report.failed and call.excinfo is not None and _is_ours(item):
            report.user_properties.append((_FAILURE, json.dumps(_failure(item, call.excinfo.value))))
        return report

    # -- where the run is reported

    def open(self) -> None:
        """Opens the database and finds the baseline; raises `BadInputError` for a wrong URL or name."""
        from hil.core.errors import BadInputError
        from hil.harness.results import open_results

        chosen = self._chosen
        try:
            self._results = open_results(self._url)
            if chosen.baseline:
                self._baseline = self._results.run(chosen.baseline).id
        except ResultsError as error:
            self._broke(error)
        except BadInputError:
            if self._results is None or not chosen.update_baseline:
                raise

    @pytest.hookimpl(tryfirst=True)  # before the JUnit file takes the properties
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        found = [json.loads(str(value)) for name, value in report.user_properties if name == _DEPLOYED]
        failures = [json.loads(str(value)) for name, value in report.user_properties if name == _FAILURE]
        if not (found or failures) or self._results is None or self._error is not None:
            return
        try:
            self._write(report, found, failures if report.failed else [])
            report.user_properties += self._verdicts(found)
        except ResultsError as error:
            self._broke(error)

    def _write(self, report: pytest.TestReport, found: Sequence[Any], failures: Sequence[Any]) -> None:
        from hil.harness.results.records import DeploymentRecord, FailureRecord, FigureRecord, TestRecord

        run = self._begun()
        with run.transaction():
            for one in found:
                key = run.deployment(DeploymentRecord(**one["deployment"]))
                run.measurements(key, [FigureRecord(**figure) for figure in one["figures"]])
            for failure in failures:
                run.failure(FailureRecord(**failure))
            run.test(TestRecord(report.nodeid, report.outcome, report.duration))

    def _verdicts(self, found: Sequence[Any]) -> list[tuple[str, object]]:
        """A property of the test for each figure with a gate, for the JUnit file."""
        if not self._baseline or self._results is None:
            return []
        from hil.harness.comparison.comparison_table import format_figure
        from hil.harness.comparison.stored_runs import compare_deployments
        from hil.harness.results.records import DeploymentFigures, DeploymentRecord, FigureRecord

        deployments = [
            DeploymentFigures("", DeploymentRecord(**one["deployment"]), {figure.name: figure for figure in figures})
            for one in found
            for figures in [[FigureRecord(**figure) for figure in one["figures"]]]
        ]
        known, vary = self._results.figures(self._baseline), self._chosen.vary
        compared = compare_deployments(self._results, self._begun().id, deployments, known, vary=vary)
        return [(f"hil_verdict_{one.figure}", format_figure(one)) for one in compared.figures if one.gate is not None]

    def _begun(self) -> Run:
        if self._run is None:
            from hil.harness.results import RunRecord
            from hil.harness.results.origin import origin

            assert self._results is not None
            command = (KIND, *map(str, self.config.invocation_params.args))
            self._run = self._results.begin(RunRecord(KIND, origin(self.config.rootpath), command))
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
        if self._error is not None and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = EXIT_DATABASE

    def _finish(self, session: pytest.Session) -> None:
        from hil.harness.comparison.stored_runs import verdict_records

        if self._results is None or self._run is None or self._error is not None:
            return
        if self._baseline:
            self._comparison = self._compared()
            with self._run.transaction():
                for record in verdict_records(self._comparison, self._baseline):
                    self._run.verdict(record)
            code = self._comparison.exit_code(strict=self._chosen.strict)
            if code == 1 and session.exitstatus == pytest.ExitCode.OK and not self._chosen.update_baseline:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
        if self._chosen.update_baseline and session.exitstatus == pytest.ExitCode.OK:
            self._results.set_baseline(self._chosen.baseline or "", self._run.id)
        self._run.finish(int(session.exitstatus))

    def _compared(self) -> Comparison:
        from hil.harness.comparison.stored_runs import compare_stored

        assert self._results is not None
        assert self._run is not None
        return compare_stored(self._results, self._run.id, self._baseline, vary=self._chosen.vary, only=None)

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._run is None and self._error is None:
            return
        terminalreporter.section("results")
        if self._error is not None:
            terminalreporter.write_line(f"the results are not in the database: {self._error}", red=True)
        if self._run is None or self._results is None:
            return
        terminalreporter.write_line(f"run {self._run.id} in {self._results.name}")
        if self._comparison is not None:
            from hil.harness.comparison.comparison_table import format_comparison
            from hil.harness.pytest_plugin.github_summary import append_comparison

            width, colour = terminalreporter._tw.fullwidth, terminalreporter._tw.hasmarkup
            shown = format_comparison(
                self._comparison, "this run", self._chosen.baseline or "", width=width, colour=colour
            )
            terminalreporter.write_line(shown)
            append_comparison(self._comparison, self._chosen.baseline or "")

    def pytest_unconfigure(self) -> None:
        """Closes the database, which leaves one whole file of SQLite's."""
        if self._results is not None:
            self._results.close()


def _is_ours(item: pytest.Item) -> bool:
    return not {"bench", TREE}.isdisjoint(getattr(item, "fixturenames", ()))


def _deployed(item: pytest.Item, fixtures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The deployments of a test with the figures so far, as JSON of their records."""
    if {"bench", "deployment"} <= fixtures.keys():
        return [_of_deployment(item, fixtures["bench"], fixtures["deployment"])]
    if (walk := fixtures.get(TREE)) is not None:
        from hil.harness.tree.recorded_walk import leaf_record

        of_walk = walk.model, str(walk.identity["target"])
        records = [leaf_record(leaf, *of_walk) for leaf in walk.leaves if leaf.measurements]
        return [{"deployment": asdict(one), "figures": [*map(asdict, figures)]} for one, figures in records]
    return []


def _of_deployment(item: pytest.Item, bench: Evaluator, deployment: Deployment) -> dict[str, Any]:
    from hil.harness.evaluation.figures import requested_figures
    from hil.harness.evaluation.identity import deployment_identity
    from hil.harness.results.records import DeploymentRecord, FigureRecord

    gates = {**item.config.stash[OPTIONS].gates, **deployment.model.gates, **marked_gates(item)}
    identity = deployment_identity(bench, deployment)
    named = (deployment.name, deployment.model.name, deployment.path, deployment.target)
    figures = [asdict(FigureRecord.of(one)) for one in requested_figures(bench, deployment)]
    return {"deployment": asdict(DeploymentRecord(*named, identity, gates)), "figures": figures}


def _failure(item: pytest.Item, error: BaseException) -> dict[str, Any]:
    """A failure as JSON of its record: the class of its error, and the deployment that it belongs to."""
    if isinstance(error, Exception) and not isinstance(error, AssertionError):
        error = machine_error(error) or error
    chosen = getattr(getattr(item, "callspec", None), "params", {}).get("deployment")
    return {
        "test": item.nodeid,
        "deployment": f"{chosen[0].name}-{chosen[1]}" if chosen else "",
        "kind": type(error).__name__,
        "infrastructure": isinstance(error, InfrastructureError),
        "message": str(error),
        "log": error.log if isinstance(error, HilError) else "",
        "board": str(getattr(error, "lost", "") or ""),
    }
