"""Onset of a finding: the night since which a figure is as the newest run has it.

An exact figure is worse since the first of the unbroken nights that are worse than the baseline, a measured one since
the first of those that are nearer to the newest level than to the baseline's.  Where the nights of the report do not
reach back to the change, the onset is not known.
"""

from __future__ import annotations

from collections.abc import Callable

from hil.harness.comparison.comparison import Outcome
from hil.harness.comparison.dependencies import differences
from hil.harness.results.nights import Identity, NightlyFigure

_CHANGED = (Outcome.WORSE.value, Outcome.BETTER.value, Outcome.SAME.value)


def onset(
    outcome: str,
    found: NightlyFigure,
    run: int,
    values: tuple[float | None, float | None],
    baseline: tuple[int | None, Identity],
) -> int | None:
    """Returns the position of the night; None where it is not known.

    `values` are the baseline's and the run's; `baseline` is the position and the identity of its deployment.
    """
    after = -1 if baseline[0] is None else baseline[0]
    if outcome in (Outcome.MISSING.value, Outcome.NOT_RUN.value):
        had = found.runs[found.runs < run]
        return int(had[-1]) + 1 if len(had) else None
    if outcome == Outcome.NOT_COMPARABLE.value and not baseline[1]:
        return None  # the run of the baseline was pruned
    if outcome == Outcome.NOT_COMPARABLE.value:
        return _since(found, run, after, lambda at: bool(differences(found.figure, baseline[1], _identity(found, at))))
    old, new = values
    if outcome not in _CHANGED or old is None or new is None or old == new:
        return None
    least = 0.0 if found.is_exact else abs(new - old) / 2
    sign = 1 if new > old else -1
    return _since(found, run, after, lambda at: sign * (float(found.values[at]) - old) > least)


def _identity(found: NightlyFigure, at: int) -> Identity:
    return found.identities[int(found.runs[at])]


def _since(found: NightlyFigure, run: int, after: int, holds: Callable[[int], bool]) -> int | None:
    """The first of the nights up to `run`, and after the baseline, for which `holds` without a break."""
    nights = [at for at, night in enumerate(found.runs) if after < night <= run]
    first = None
    for at in reversed(nights):
        if not holds(at):
            return first
        first = int(found.runs[at])
    reaches_back = bool(nights) and (nights[0] > 0 or after >= 0)
    return first if reaches_back else None
