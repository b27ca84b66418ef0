"""Runs as JSON and CSV, for other programs.

JSON has no infinite numbers and none that is not a number: they are the texts `Infinity`, `-Infinity` and `NaN`.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from hil.harness.results.records import DeploymentFigures, StoredRun
from hil.harness.results.results import Results

VERSION = 1
"""Version of the form, which changes when a field is renamed or removed."""
CSV_COLUMNS = (
    *("run", "started", "state", "deployment", "model", "path", "target", "figure", "value", "unit", "trust"),
    *("repetitions", "note", "identity"),
)


def summary(run: StoredRun) -> dict[str, Any]:
    """Returns a run with the counts of what belongs to it."""
    return {
        "id": run.id,
        "kind": run.record.kind,
        "host": run.record.host,
        "command": list(run.record.command),
        "started": run.started.isoformat(),
        "finished": run.finished.isoformat() if run.finished else None,
        "state": run.state,
        "exit_code": run.exit_code,
        "counts": {
            "deployments": run.deployments,
            "figures": run.figures,
            "tests": dict(run.tests),
            "failures": run.failures,
            "infrastructure": run.infrastructure,
        },
    }


def document(results: Results, run: StoredRun) -> dict[str, Any]:
    """Returns a run with all that belongs to it."""
    content = {
        **summary(run),
        "version": VERSION,
        "identity": run.record.identity,
        "deployments": [_deployment(one) for one in results.figures(run.id)],
        "verdicts": [asdict(one) for one in results.verdicts(run.id)],
        "tests": [asdict(one) for one in results.tests(run.id)],
        "failures": [asdict(one) for one in results.failures(run.id)],
        "boards": [{"at": one.at, **asdict(one.record)} for one in results.board_events(run_id=run.id)],
    }
    return {name: _plain(value) for name, value in content.items()}


def table(results: Results, runs: Iterable[StoredRun]) -> str:
    """Returns the figures of runs as CSV, a row a figure; repetitions are separated by spaces, the identity is JSON."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for run in runs:
        for found in results.figures(run.id):
            record = found.record
            identity = json.dumps({**run.record.identity, **record.identity}, sort_keys=True)
            about = (run.id, run.started.isoformat(), run.state, record.name, record.model, record.path, record.target)
            for figure in found.figures.values():
                repetitions = " ".join(map(repr, figure.repetitions))
                own = (figure.name, repr(figure.value), figure.unit, figure.trust, repetitions, figure.note)
                writer.writerow((*about, *own, identity))
    return text.getvalue()


def _plain(value: Any) -> Any:
    """Returns a value as JSON has it, times in ISO 8601."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value.isoformat() if isinstance(value, datetime) else value


def _deployment(found: DeploymentFigures) -> dict[str, Any]:
    return {
        **asdict(found.record),
        "figures": [asdict(figure) for figure in found.figures.values()],
        "missing": [asdict(figure) for figure in found.missing],
    }
