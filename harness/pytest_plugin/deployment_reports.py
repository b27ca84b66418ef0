"""Reports of tests with their deployment: identity, figures so far, and the failure, as JSON of the database's records.

They travel in the properties of the reports, so that they arrive from pytest-xdist's workers too; the process that
reports the run writes them into the results database (`results_recorder`) and the JUnit file (`junit_properties`).
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest

from hil.core.errors import HilError, InfrastructureError
from hil.core.machine_limits import machine_error
from hil.harness.pytest_plugin.board_reports import take_events
from hil.harness.pytest_plugin.marks import marked_gates
from hil.harness.pytest_plugin.options import OPTIONS
from hil.harness.pytest_plugin.tree_walk import NAME as TREE

if TYPE_CHECKING:
    from hil.harness.evaluation.evaluator import Deployment, Evaluator, MismatchReport
    from hil.harness.pytest_plugin.further_sessions import FurtherSessions
    from hil.harness.results.records import DeploymentFigures

DEPLOYED = "hil_deployed"
"""Property with a deployment and its figures."""
FAILURE = "hil_failure"
"""Property with a failure."""


class DeploymentReports:
    """Adds the properties where the tests run; `further` measures again what a comparison needs."""

    def __init__(self, further: FurtherSessions | None = None) -> None:
        self._further = further

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        fixtures = getattr(item, "funcargs", {})
        if call.when == "call" or report.failed:
            further = self._further if report.passed else None
            report.user_properties += [(DEPLOYED, json.dumps(one)) for one in _deployed(item, fixtures, further)]
        if report.failed and call.excinfo is not None and _is_ours(item):
            report.user_properties.append((FAILURE, json.dumps(_failure(item, call.excinfo.value))))
        if call.when != "teardown":  # whose properties are pytest's JUnit file's
            report.user_properties += take_events(item.config)
        return report

    def pytest_unconfigure(self) -> None:
        """Closes the database of the comparison."""
        if self._further is not None:
            self._further.close()


def records_of(report: pytest.TestReport, name: str) -> list[dict[str, Any]]:
    """Returns the values of the properties `name` of a report."""
    return [json.loads(str(value)) for key, value in report.user_properties if key == name]


def deployments_of(report: pytest.TestReport) -> list[DeploymentFigures]:
    """Returns the deployments of a report with their figures."""
    found = records_of(report, DEPLOYED)
    if not found:
        return []
    from hil.harness.results.records import (
        DeploymentFigures,
        DeploymentRecord,
        FigureRecord,
        LayerRecord,
        MissingRecord,
    )

    return [
        DeploymentFigures(
            "",
            DeploymentRecord(**one["deployment"]),
            {figure["name"]: FigureRecord(**figure) for figure in one["figures"]},
            tuple(LayerRecord(**layer) for layer in one.get("layers", ())),
            tuple(MissingRecord(**figure) for figure in one.get("missing", ())),
        )
        for one in found
    ]


def _is_ours(item: pytest.Item) -> bool:
    return not {"bench", TREE}.isdisjoint(getattr(item, "fixturenames", ()))


def _deployed(item: pytest.Item, fixtures: Mapping[str, Any], further: FurtherSessions | None) -> list[dict[str, Any]]:
    """The deployments of a test with the figures so far, as JSON of their records."""
    if {"bench", "deployment"} <= fixtures.keys():
        return [_of_deployment(item, fixtures["bench"], fixtures["deployment"], further)]
    if (walk := fixtures.get(TREE)) is not None:
        from hil.harness.tree.recorded_walk import leaf_record

        of_walk = walk.model, str(walk.identity["target"])
        records = [leaf_record(leaf, *of_walk) for leaf in walk.leaves if leaf.measurements]
        return [{"deployment": asdict(one), "figures": [*map(asdict, figures)]} for one, figures in records]
    return []


def _of_deployment(
    item: pytest.Item, bench: Evaluator, deployment: Deployment, further: FurtherSessions | None
) -> dict[str, Any]:
    from hil.harness.evaluation.figures import requested_figures
    from hil.harness.evaluation.identity import deployment_identity
    from hil.harness.pytest_plugin.layer_records import requested_layers
    from hil.harness.results.records import DeploymentRecord, FigureRecord, MissingRecord

    gates = {**item.config.stash[OPTIONS].gates, **deployment.model.gates, **marked_gates(item)}
    identity = deployment_identity(bench, deployment)
    named = (deployment.name, deployment.model.name, deployment.path, deployment.target)
    record = DeploymentRecord(*named, identity, gates)
    figures = [FigureRecord.of(one) for one in requested_figures(bench, deployment)]
    figures += [] if further is None else further.figures(bench, deployment, record, figures)
    outcome = bench.results(deployment).outcome
    parts: dict[str, Sequence[Any]] = {
        "figures": figures,
        "layers": requested_layers(bench, deployment),
        "missing": [] if outcome is None else [MissingRecord.of(one) for one in outcome.run.missing],
    }
    return {"deployment": asdict(record)} | {name: [asdict(one) for one in found] for name, found in parts.items()}


def _failure(item: pytest.Item, error: BaseException) -> dict[str, Any]:
    """A failure as JSON of its record: the class of its error, and the deployment that it belongs to."""
    if isinstance(error, Exception) and not isinstance(error, AssertionError):
        error = machine_error(error) or error
    chosen = getattr(getattr(item, "callspec", None), "params", {}).get("deployment")
    log = error.log if isinstance(error, HilError) else ""
    mismatch = _mismatch(getattr(item, "funcargs", {}))
    return {
        "test": item.nodeid,
        "deployment": f"{chosen[0].name}-{chosen[1]}" if chosen else "",
        "kind": type(error).__name__,
        "infrastructure": isinstance(error, InfrastructureError),
        "message": str(error),
        "log": log or (mismatch.text if mismatch else ""),
        "board": str(getattr(error, "lost", "") or ""),
        "operator": mismatch.operator if mismatch else "",
    }


def _mismatch(fixtures: Mapping[str, Any]) -> MismatchReport | None:
    """The report on the outputs that differ, in a test that asked for the parity."""
    if not {"bench", "deployment", "parity"} <= fixtures.keys():
        return None
    found: MismatchReport | None = fixtures["bench"].results(fixtures["deployment"]).mismatch
    return found
