"""Findings: the verdicts on the figures of a run, each with its cause and the night since which it is so.

Verdicts that the run's session stored come first, for they are what was said, with the parts that it let vary; without
one the run is compared as `hil compare` does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hil.core.measurement import Trust
from hil.harness.comparison.comparison import Outcome
from hil.harness.comparison.pairing import Pair, pair_deployments
from hil.harness.comparison.stored_runs import ATTRIBUTION, compare_stored, verdict_records
from hil.harness.judgement.verdict import relative_change
from hil.harness.report.cause import Causes, share_lines
from hil.harness.report.content import Finding, Series
from hil.harness.report.log_text import first_line
from hil.harness.report.onset import onset
from hil.harness.report.series import series_of
from hil.harness.results.nights import Identity, NightlyFigure
from hil.harness.results.records import DeploymentFigures, DeploymentRecord, FailureRecord, StoredRun, VerdictRecord
from hil.harness.results.results import Results

_WITHOUT = (Outcome.MISSING.value, Outcome.NOT_RUN.value)


@dataclass(frozen=True)
class Judged:
    """A verdict with the deployment that it is on, in the baseline and in the run, and its series."""

    record: VerdictRecord
    pair: Pair
    series: Series


def judged_figures(
    results: Results, run: StoredRun, figures: Sequence[DeploymentFigures], against: str
) -> list[Judged]:
    """Returns the verdicts on the figures of a run against another, but for those that are the same."""
    records = [one for one in results.verdicts(run.id) if one.against == against]
    if not records:
        found = compare_stored(results, run.id, against, finished=run.finished is not None)
        records = verdict_records(found, against)
    pairs = {(pair.record.target, pair.name): pair for pair in pair_deployments(results.figures(against), figures)}
    judged = []
    for record in records:
        pair = pairs.get((record.target, record.deployment))
        if pair is not None and (series := _series(pair, record)) is not None and _is_shown(record, series):
            judged.append(Judged(record, pair, series))
    return judged


def finding_of(
    judged: Judged,
    nights: Mapping[str, NightlyFigure],
    positions: tuple[int, int | None],
    failures: Sequence[FailureRecord],
    causes: Causes,
) -> Finding:
    """Returns the finding of a verdict.

    `nights` are the figures over nights by the id of their series, `positions` those of run and baseline, `failures`
    those of the run.
    """
    record, (run, baseline) = judged.record, positions
    before, after = ({} if side is None else side.record.identity for side in (judged.pair.before, judged.pair.after))
    over_nights = nights.get(judged.series.id)
    since = None
    if over_nights is not None:
        since = onset(record.verdict, over_nights, run, (record.reference, record.value), (baseline, before))
    return Finding(
        judged.series,
        record.verdict,
        record.reference,
        record.value,
        _relative(record),
        record.message or record.rule,
        _cause(judged, causes, before, after, failures),
        since,
        bool(record.details.get("fails")),
    )


def _is_shown(record: VerdictRecord, series: Series) -> bool:
    """Of what is the same, exact figures that changed within their gate are shown; noise is not."""
    changed = record.value != record.reference and series.trust != Trust.MEASURED.value
    return record.verdict != Outcome.SAME.value or changed


def _series(pair: Pair, record: VerdictRecord) -> Series | None:
    for side in (pair.after, pair.before):
        if side is not None and (figure := side.figures.get(record.figure)) is not None:
            return series_of(side.record, figure.name, figure.unit, figure.trust)
    return None


def _relative(record: VerdictRecord) -> float | None:
    if record.value is None or record.reference is None:
        return None
    relative = relative_change(record.value - record.reference, record.reference)
    return relative if math.isfinite(relative) else None


def _cause(
    judged: Judged, causes: Causes, before: Identity, after: Identity, failures: Sequence[FailureRecord]
) -> tuple[str, ...]:
    record = judged.record
    if record.verdict in _WITHOUT:
        return _failure_lines(judged.pair.record, failures)
    shares = record.details.get(ATTRIBUTION)
    lines = causes.lines(record.figure, before, after) if before and after else ()
    return (*lines, *(share_lines(shares) if shares else ()))


def _failure_lines(record: DeploymentRecord, failures: Sequence[FailureRecord]) -> tuple[str, ...]:
    """A line a failure of a deployment that misses a figure."""
    of_deployment = (one for one in failures if one.deployment == record.name)
    return tuple(dict.fromkeys(f"{one.kind}: {first_line(one.message)}" for one in of_deployment))
