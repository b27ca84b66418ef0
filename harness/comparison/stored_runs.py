"""Comparison of two runs of the results database, with the gates that the run was made with.

    compare_stored(results, run_id, baseline_id, vary=["vela"])

The noise of a measured figure comes from the database as well: its calibration from earlier runs of the same build,
its history from all earlier runs that may be compared.  Runs that did not finish are no part of either.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hil.core.measurement import Trust
from hil.harness.comparison.comparison import SESSION, Comparison, Outcome, Past, PastOf, compare, is_number
from hil.harness.comparison.dependencies import differences
from hil.harness.comparison.gates import Gate, gates_of
from hil.harness.comparison.pairing import Pair, pair_deployments
from hil.harness.judgement import Noise, calibrate
from hil.harness.judgement.noise import FEWEST_SESSIONS
from hil.harness.results.records import SELECTION, DeploymentFigures, DeploymentRecord, HistoryPoint, VerdictRecord

if TYPE_CHECKING:
    from hil.harness.results.results import Results

ATTRIBUTION = "attribution"
"""Key of a verdict's details with the shares that `hil bisect` found, as `attribution_table.figure_json`."""
_BUILD = "int8_sha256"


def compare_stored(
    results: Results,
    run_id: str,
    baseline_id: str,
    *,
    vary: Collection[str] = (),
    finished: bool = True,
) -> Comparison:
    """Compares the run with the baseline; `vary` and `finished` as for `compare`.

    Of a run of some chosen tests, what these measured is compared.
    """
    failures = results.failures(run_id)
    after, before = results.figures(run_id), results.figures(baseline_id)
    if SELECTION in results.run(run_id).record.identity:
        before = _measured_too(before, after)
    past = past_of(results, run_id, baseline_id, vary)
    return compare(after, before, gates=_gates, vary=vary, failures=failures, past=past, finished=finished)


def compare_deployments(
    results: Results,
    deployments: Sequence[DeploymentFigures],
    baseline_id: str,
    *,
    vary: Collection[str] = (),
) -> Comparison:
    """Compares some deployments of a run that has not finished; what it has not measured yet is no figure."""
    past = past_of(results, "", baseline_id, vary)
    known = _measured_too(results.figures(baseline_id), deployments)
    return compare(deployments, known, gates=_gates, vary=vary, past=past)


def _measured_too(
    before: Sequence[DeploymentFigures], after: Sequence[DeploymentFigures]
) -> tuple[DeploymentFigures, ...]:
    """Returns the figures of a baseline that others have, too."""
    return tuple(
        replace(
            pair.before, figures={name: one for name, one in pair.before.figures.items() if name in pair.after.figures}
        )
        for pair in pair_deployments(before, after)
        if pair.before and pair.after
    )


def verdict_records(found: Comparison, baseline_id: str) -> list[VerdictRecord]:
    """Returns the verdicts on the figures with a gate, for the database."""
    return [
        VerdictRecord(
            deployment=one.deployment,
            target=one.target,
            figure=one.figure,
            verdict=one.outcome.value,
            against=baseline_id,
            value=one.after,
            reference=one.before,
            unit=one.unit,
            rule="" if one.judgement is None else one.judgement.rule,
            message=one.reason,
            details={"differs": {field: list(values) for field, values in one.differs.items()}, "fails": one.fails},
        )
        for one in found.figures
        if one.gate is not None
    ]


def _gates(record: DeploymentRecord) -> Mapping[str, Gate]:
    return gates_of(record.gates)


def past_of(results: Results, run_id: str, baseline_id: str, vary: Collection[str] = ()) -> PastOf:
    """Returns the noise and the nights of measured figures, from all finished runs but `run_id`."""
    frozen = results.run(baseline_id).started

    def of(pair: Pair, figure: str) -> Past:
        record = pair.record
        points = [one for one in comparable_points(results, record, figure, vary) if one.run_id != run_id]
        worse = results.judged(pair.name, record.target, figure, Outcome.WORSE.value)
        nights = [one for one in points if one.run_id not in worse]
        sessions = sessions_of_build(points, record)
        return Past(
            calibrate(sessions) if len(sessions) >= FEWEST_SESSIONS else None,
            [one.figure.value for one in nights],
            sum(one.started > frozen for one in nights),
        )

    return of


def comparable_points(
    results: Results, record: DeploymentRecord, figure: str, vary: Collection[str] = ()
) -> list[HistoryPoint]:
    """Returns a figure of all finished runs that may be compared with a deployment, the oldest first."""
    points = results.history(record.model, record.path, record.target, figure)
    known = [one for one in points if one.finished and is_number(one.figure)]
    return [one for one in known if not differences(figure, one.identity, record.identity, vary)]


def sessions_of_build(points: Sequence[HistoryPoint], record: DeploymentRecord) -> list[tuple[float, ...]]:
    """Returns the repetitions of each point that measured the same int8 file, which calibrate its noise."""
    build = record.identity.get(_BUILD)
    return [_repetitions(one) for one in points if one.identity.get(_BUILD) == build]


@dataclass(frozen=True)
class Calibration:
    """Noise of a measured figure of a deployment; None below the sessions of the same build that it takes."""

    deployment: str
    figure: str
    unit: str
    sessions: int
    noise: Noise | None


def calibrations(results: Results, run_id: str) -> list[Calibration]:
    """Returns the noise of every measured figure of a run, from all sessions of its builds, its own among them."""
    found = []
    for deployed in results.figures(run_id):
        for name, figure in deployed.figures.items():
            if figure.trust == Trust.MEASURED.value and SESSION not in name:
                sessions = sessions_of_build(comparable_points(results, deployed.record, name), deployed.record)
                noise = calibrate(sessions) if len(sessions) >= FEWEST_SESSIONS else None
                found.append(Calibration(deployed.record.name, name, figure.unit, len(sessions), noise))
    return found


def _repetitions(point: HistoryPoint) -> tuple[float, ...]:
    return point.figure.repetitions or (point.figure.value,)
