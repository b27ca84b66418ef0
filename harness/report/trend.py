"""Trend of one series over the nights: its points, noise band, change points, marks and baselines."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from hil.harness import judgement
from hil.harness.comparison.retrospect import changes_of
from hil.harness.judgement.history import FEWEST_NIGHTS, WINDOW, spread
from hil.harness.report.cause import Causes
from hil.harness.report.content import ChangePoint, Mark, Point, Trend
from hil.harness.report.series import series_of_nights
from hil.harness.report.thinning import chosen_nights
from hil.harness.results.nights import Identity, NightlyFigure
from hil.harness.results.records import AcknowledgedRecord

Baselines = Sequence[tuple[str, int]]
"""Names of baselines, each with the position of its run."""


def trend_of(
    found: NightlyFigure,
    run_ids: Sequence[str],
    acknowledged: Sequence[AcknowledgedRecord],
    baselines: Baselines,
    causes: Causes,
    before: Identity | None = None,
) -> Trend:
    """Returns the trend of a series, thinned.

    `run_ids` are those of all nights, `before` the identity of the same deployment in the night before the first,
    where it was on another board.
    """
    runs = found.runs.tolist()
    changes = changes_of(found, run_ids, acknowledged)
    marks = _marks(found, runs, causes, before)
    at = {run: position for position, run in enumerate(runs)}
    named = tuple((name, run) for name, run in baselines if run in at)
    positions = [change.position for change, _ in changes]
    events = [*positions, *(at[mark.run] for mark in marks), *(at[run] for _, run in named)]
    shown = chosen_nights(found.values, is_exact=found.is_exact, events=events)
    values = found.values.tolist()
    points = [_point(found, runs[position], values[position]) for position in shown]
    return Trend(
        series_of_nights(found),
        tuple(points),
        len(runs),
        _band(found, positions),
        tuple(_change(found, runs, causes, change, is_known) for change, is_known in changes),
        tuple(marks),
        named,
    )


def _point(found: NightlyFigure, run: int, value: float) -> Point:
    several = found.repetitions.get(run)
    return Point(run, value, min(several), max(several)) if several else Point(run, value)


def _change(
    found: NightlyFigure, runs: Sequence[int], causes: Causes, change: judgement.ChangePoint, is_known: bool
) -> ChangePoint:
    earlier, first = runs[change.position - 1], runs[change.position]
    lines = causes.lines(found.figure, found.identities[earlier], found.identities[first])
    return ChangePoint(first, change.before, change.after, lines, is_known)


def _marks(found: NightlyFigure, runs: Sequence[int], causes: Causes, before: Identity | None) -> list[Mark]:
    marks = causes.marks(found.figure, runs[0], before, found.identities[runs[0]]) if before is not None else []
    for earlier, later in pairwise(runs):
        if (old := found.identities[earlier]) is not (new := found.identities[later]):
            marks += causes.marks(found.figure, later, old, new)
    return marks


def _band(found: NightlyFigure, changes: Sequence[int]) -> tuple[float, float] | None:
    """Range of noise around the level of the newest nights; None for an exact figure and a short history."""
    if found.is_exact or len(found.values) < FEWEST_NIGHTS:
        return None
    level = found.values[max([0, *changes]) :]
    middle = float(np.median(level[-WINDOW:]))
    size = float(spread(level if len(level) >= FEWEST_NIGHTS else found.values))  # a step is no noise
    return middle - size, middle + size


def on_any_board(found: NightlyFigure) -> tuple[str, ...]:
    """Returns what a series has in common with those of other boards."""
    return (found.model, found.path, found.target, *found.place[:2], found.figure, found.unit, found.trust)


def identity_before(found: NightlyFigure, others: Sequence[NightlyFigure]) -> Identity | None:
    """Returns the identity that the same deployment had on another board in the night before a series begins."""
    first = int(found.runs[0])
    earlier = [(int(run), one) for one in others for run in one.runs[one.runs < first][-1:]]
    if not earlier:
        return None
    run, one = max(earlier, key=lambda night: night[0])
    return one.identities[run]
