"""Content of a report, read from the results database.

    content = read_content(results, baseline="main", since=timedelta(days=90))

Without the name of a baseline, the run is compared with the run of its stored verdicts; where there are none, with the
newest run before it that finished and has a deployment in common with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import partial

from hil.core.errors import BadInputError
from hil.harness.report.board_health import boards_of
from hil.harness.report.cause import Causes
from hil.harness.report.content import Content, Night, Trend
from hil.harness.report.failures import failures_of
from hil.harness.report.findings import Judged, finding_of, judged_figures
from hil.harness.report.layers import profiles_of
from hil.harness.report.leaves import leaves_of
from hil.harness.report.series import series_of_nights
from hil.harness.report.thinning import RULE
from hil.harness.report.trend import identity_before, on_any_board, trend_of
from hil.harness.report.verdict import EMPTY, Counts, verdict_of
from hil.harness.results.board_health import board_health
from hil.harness.results.nights import NightlyFigure, NightRun, Nights
from hil.harness.results.records import StoredRun
from hil.harness.results.results import LATEST, Results

TRENDS = ("latency", "npu_latency", "npu_cycles", "sram", "flash", "encoded_weights", "accuracy")
"""Figures whose trends are shown, beside those that have a finding."""


def read_content(
    results: Results, run: str = LATEST, baseline: str = "", since: timedelta | None = None, database: str | None = None
) -> Content:
    """Reads the report of a run, with the trends of the period before it (None: of all nights).

    `run` and `baseline` are ids, `latest`, or names of baselines; `database` is the name that is shown, if not the
    database's own.  Raises `BadInputError` for a run that is none, and `ResultsError` where the database fails.
    """
    name = results.name if database is None else database
    if run == LATEST and not results.runs(1):
        return Content(EMPTY, "The results database has no runs.", _now(), name, baseline)
    shown = results.run(run)
    figures = results.figures(shown.id)
    against = _against(results, shown, baseline)
    judged = judged_figures(results, shown, figures, against) if against else []
    nights = _nights(results, shown, against, judged, since)
    at = {one.id: position for position, one in enumerate(nights.runs)}
    named = _baselines(results, at)
    names_of_it = [one for one, position in named if position == at.get(against)]
    compared = baseline if baseline in names_of_it else next(iter(names_of_it), against)
    failures = results.failures(shown.id)
    by_id = {series_of_nights(one).id: one for one in nights.figures}
    causes = Causes()
    positions = at[shown.id], at.get(against)
    findings = tuple(finding_of(one, by_id, positions, failures, causes) for one in judged)
    of_failures, of_nights = failures_of(failures), tuple(map(_night, nights.runs))
    verdict, sentence = verdict_of(findings, of_failures, _counts(shown), of_nights, compared)
    trends = _trends(results, nights, judged, named, causes)
    return Content(
        verdict=verdict,
        sentence=sentence,
        made=_now(),
        database=name,
        baseline=compared,
        runs=of_nights,
        run=at[shown.id],
        findings=findings,
        trends=trends,
        leaves=leaves_of(figures, findings),
        profiles=profiles_of(results.figures(against) if against else (), figures),
        failures=of_failures,
        boards=boards_of(board_health(results), at),
        identity=tuple(sorted(shown.record.identity.items())),
        thinning=RULE if any(len(trend.points) < trend.nights for trend in trends) else "",
    )


def _nights(
    results: Results, shown: StoredRun, against: str, judged: Sequence[Judged], since: timedelta | None
) -> Nights:
    """The nights of the period with the figures of `TRENDS`, and further ones of models that have a finding on them."""
    start = None if since is None else shown.started - since
    period = partial(results.nights, start=start, until=shown.started, also=[shown.id, *([against] if against else [])])
    nights = period(TRENDS)
    changed = [one for one in judged if one.record.figure not in TRENDS and one.record.value is not None]
    if not changed:
        return nights
    further = period({one.record.figure for one in changed}, models={one.pair.record.model for one in changed})
    return replace(nights, figures=(*nights.figures, *further.figures))


def _against(results: Results, run: StoredRun, baseline: str) -> str:
    """The id of the run to compare with; empty where there is none."""
    if baseline:
        return results.run(baseline).id
    given = sorted({one.against for one in results.verdicts(run.id)} - {""}, reverse=True)
    there = [run_id for run_id in given if _is_there(results, run_id)]
    return next(iter([*there, *given]), results.run_before(run.id) or "")  # verdicts outlive a run that was pruned


def _is_there(results: Results, run_id: str) -> bool:
    try:
        results.run(run_id)
    except BadInputError:
        return False
    return True


def _baselines(results: Results, at: dict[str, int]) -> list[tuple[str, int]]:
    return [(one.name, at[one.run_id]) for one in results.baselines() if one.run_id in at]


def _counts(run: StoredRun) -> Counts:
    failed = sum(run.tests.get(outcome, 0) for outcome in ("failed", "error"))
    return Counts(run.deployments, run.tests.get("passed", 0), failed, run.finished is not None)


def _night(run: NightRun) -> Night:
    state = "unfinished" if run.finished is None else "finished"
    return Night(run.id, run.started, run.kind, run.host, state, run.exit_code)


def _trends(
    results: Results,
    nights: Nights,
    judged: Sequence[Judged],
    baselines: Sequence[tuple[str, int]],
    causes: Causes,
) -> tuple[Trend, ...]:
    wanted = {one.series.id for one in judged}
    shown = [one for one in nights.figures if one.figure in TRENDS or series_of_nights(one).id in wanted]
    families: dict[tuple[str, ...], list[NightlyFigure]] = {}
    for one in shown:
        families.setdefault(on_any_board(one), []).append(one)
    run_ids, acknowledged = [run.id for run in nights.runs], results.acknowledged()
    return tuple(
        trend_of(one, run_ids, acknowledged, baselines, causes, identity_before(one, families[on_any_board(one)]))
        for one in shown
    )


def _now() -> datetime:
    return datetime.now(timezone.utc)
