"""The pytest plugin: `pytest --target fvp` runs the tests that ask for a deployment, on every model and technique.

    def test_fits_and_holds(parity, budget):
        assert parity.mismatches == 0
        budget.check()

A test that uses the fixture `deployment`, or one that is made of it, runs once for each model of the models folder and
each leaf of the deployment tree, on the target of the command line (`sim` without one).  With `--target`, only such
tests run.  Nothing is imported here that a pytest run without deployments would have to wait for.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from hil.core.errors import BadInputError
from hil.harness.pytest_plugin import options, tree_walk
from hil.harness.pytest_plugin.breakdown import BREAKDOWN, Breakdown
from hil.harness.pytest_plugin.fixtures import accuracy, bench, budget, deployment, latency, memory, parity, profile
from hil.harness.pytest_plugin.marks import MARKS, check_marks
from hil.harness.pytest_plugin.options import BASELINE, OPTIONS
from hil.harness.pytest_plugin.recorder import LEFT_OUT, Recorder
from hil.harness.pytest_plugin.root_folder import check_root_folder
from hil.harness.pytest_plugin.tree_walk import hil_tree

__all__ = ["accuracy", "bench", "budget", "deployment", "hil_tree", "latency", "memory", "parity", "profile"]

WRONG_USE = pytest.StashKey[str]()
"""The usage error that was found while tests were collected."""


def pytest_addoption(parser: pytest.Parser) -> None:
    options.register(parser)
    parser.addini("hil_testpaths", "as testpaths, with --target", type="args")


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, parser: pytest.Parser, args: list[str]
) -> Iterator[None]:
    known = early_config.known_args_namespace
    values = options.values_of_short(args)
    check_root_folder(early_config, args)
    known.file_or_dir = [path for path in known.file_or_dir if path not in values]
    breakdown = early_config.stash[BREAKDOWN] = Breakdown(early_config, args)
    try:
        yield
    except Exception as error:
        breakdown.end_start(error)
        raise
    options.register_short(parser)


def pytest_configure(config: pytest.Config) -> None:
    for mark in MARKS:
        config.addinivalue_line("markers", mark)
    try:
        config.stash[OPTIONS] = options.read(config)
    except BadInputError as error:
        raise pytest.UsageError(str(error)) from error
    config.stash[LEFT_OUT] = {}
    paths = config.getini("hil_testpaths")
    if paths and config.stash[OPTIONS].target and config.args_source is not pytest.Config.ArgsSource.ARGS:
        config.args = [str(config.rootpath / path) for path in paths]
    config.pluginmanager.register(Recorder(config), "hil-recorder")
    url, report = config.stash[OPTIONS].results, config.stash[OPTIONS].report
    if url or report or config.getoption("xmlpath", None):
        from hil.harness.pytest_plugin.junit_properties import JunitProperties

        config.pluginmanager.register(JunitProperties(), "hil-junit")
        known = getattr(config, "workerinput", {}).get(BASELINE, "")
        if (url or report) and not hasattr(config, "workerinput"):
            known = _keep_results(config, url, report)
        _report_deployments(config, url, known)


def _report_deployments(config: pytest.Config, url: str | None, baseline: str) -> None:
    """Registers the reports of deployments; with the id of a baseline, what a comparison needs is measured again."""
    from hil.harness.pytest_plugin.deployment_reports import DeploymentReports
    from hil.harness.pytest_plugin.further_sessions import FurtherSessions

    further = FurtherSessions(url, baseline, config.stash[OPTIONS].vary) if url and baseline else None
    config.pluginmanager.register(DeploymentReports(further), "hil-reports")


def _keep_results(config: pytest.Config, url: str | None, report: Path | None) -> str:
    """Registers the recorder of results, which opens the database, and the report; returns the id of the baseline.

    Without a database the run is recorded in one of its own, for the report alone.
    """
    from hil.harness.pytest_plugin.results_recorder import ResultsRecorder

    recorder = ResultsRecorder(config, url)
    if not config.option.collectonly:
        try:
            recorder.open()
        except BadInputError as error:
            raise pytest.UsageError(str(error)) from error
    config.pluginmanager.register(recorder, "hil-results")
    if report is not None and not config.option.collectonly:
        from hil.harness.pytest_plugin.report_file import ReportFile

        config.pluginmanager.register(ReportFile(report, recorder), "hil-report")
    return recorder.baseline


def pytest_sessionstart(session: pytest.Session) -> None:
    """Ends the run before it starts for unknown names on the command line."""
    chosen = session.config.stash[OPTIONS]
    if chosen.target or chosen.models or chosen.techniques or chosen.settings[0].options:
        from hil.harness.pytest_plugin.selection import check

        try:
            check(chosen)
        except BadInputError as error:
            raise pytest.UsageError(str(error)) from error


def pytest_report_header(config: pytest.Config) -> list[str]:
    if config.stash[OPTIONS].target is None:
        return []
    from hil.harness.pytest_plugin.summary import header

    return header(config.stash[OPTIONS])


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if collector.config.stash[OPTIONS].target and report.failed:
        from hil.harness.pytest_plugin.collection import missing_library

        if library := missing_library(collector, report):
            report.outcome, report.longrepr, report.result = "passed", None, []
            why = "it is not installed, and none of them tests a deployment"
            collector.config.stash[LEFT_OUT][f"test files that need {library}"] = why
    return report


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    config = metafunc.config
    try:
        parameters, left_out = _parameters(config, metafunc.definition, metafunc.fixturenames)
    except BadInputError as error:
        if hasattr(config, "workerinput"):  # a worker of pytest-xdist cannot end the run
            pytest.fail(str(error), pytrace=False)
        config.stash[WRONG_USE] = str(error)
        return
    config.stash[LEFT_OUT].update(left_out)
    for fixture, found in parameters.items():
        if not found:
            found = [pytest.param(None, id="none", marks=pytest.mark.skip(reason=_why_none(left_out)))]
        metafunc.parametrize(fixture, found, indirect=True, scope="session" if fixture == "deployment" else None)


def _parameters(
    config: pytest.Config, definition: pytest.Item, fixtures: Collection[str]
) -> tuple[dict[str, list[Any]], Mapping[str, str]]:
    """Fixture -> its parameters, one a run of the test; and the left-out models with the reason."""
    check_marks(definition, fixtures)
    trees = tree_walk.NAME in fixtures
    if not trees and "deployment" not in fixtures:
        return {}, {}
    config.stash[BREAKDOWN].has_deployments = True
    from hil.harness.pytest_plugin.selection import select

    options = config.stash[OPTIONS]
    selection = select(options, definition)
    several = len(options.settings) > 1
    npus = {f"-{vela.accelerator}" if several else "": vela for vela in options.settings}
    found = {}
    if "deployment" in fixtures:
        found["deployment"] = [
            _parameter(config, f"{model.name}-{path}{suffix}", (model, path, vela))
            for model, path in selection.chosen
            for suffix, vela in npus.items()
        ]
    if trees:
        chosen = tree_walk.leaves_by_model(selection, options, definition)
        found[tree_walk.NAME] = [
            _parameter(config, f"{model.name}-tree{suffix}", (model, leaves, vela))
            for model, leaves in chosen.items()
            for suffix, vela in npus.items()
        ]
    return found, selection.left_out


def _why_none(left_out: Mapping[str, str]) -> str:
    reasons = "; ".join(f"{name}: {reason}" for name, reason in sorted(left_out.items()))
    return f"no deployment to run on: {reasons or 'options and marks leave none'}"


def _parameter(config: pytest.Config, name: str, value: object) -> Any:
    """A parameter; its tests stay on one worker of pytest-xdist (`--dist loadgroup`), which then measures it once."""
    marks = [pytest.mark.xdist_group(name)] if config.pluginmanager.hasplugin("xdist") else []
    return pytest.param(value, id=name, marks=marks)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Ends the run before its first test on wrong use; with `--target`, keeps only tests of deployments."""
    if wrong := config.stash.get(WRONG_USE, ""):
        raise pytest.UsageError(wrong)
    if config.stash[OPTIONS].target is None:
        return
    ours = {"deployment", tree_walk.NAME}
    unwanted = [item for item in items if ours.isdisjoint(getattr(item, "fixturenames", ()))]
    if unwanted:
        config.hook.pytest_deselected(items=unwanted)
        items[:] = [item for item in items if item not in set(unwanted)]


def pytest_collection_finish(session: pytest.Session) -> None:
    """Tells where pytest-xdist cannot keep the tests of a deployment on one worker."""
    if session.config.stash[OPTIONS].target and hasattr(session.config, "workerinput"):
        from hil.harness.pytest_plugin.worker_groups import UNGROUPED, groups_are_lost

        if groups_are_lost(session.items):
            warnings.warn(pytest.PytestWarning(UNGROUPED), stacklevel=1)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    tree_walk.require_winner(item)
