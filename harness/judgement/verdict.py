"""A verdict on one figure of a run against its baseline, and the numbers it was reached by."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Verdict(str, Enum):
    """Outcome of a comparison; `UNKNOWN` is neither a regression nor a pass: the samples do not decide."""

    WORSE = "worse"
    BETTER = "better"
    SAME = "same"
    UNKNOWN = "unknown"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Judgement:
    """A verdict with its effect, interval, threshold and rule.

    `change` is candidate minus baseline in the figure's unit, `relative` the same as a fraction of the baseline's size
    (0 where nothing changed, infinite where the baseline is 0).  `low`..`high` is the interval of `change` that the
    noise leaves, None of an exact figure or of unknown noise.  `threshold` is the size, in the figure's unit, that a
    change for the worse must exceed to be called worse.  `rule` is one short sentence for people.  `more_samples` is
    the number of further sessions that an unknown verdict asks for; 0 where none would help or none is left.
    """

    verdict: Verdict
    change: float
    relative: float
    low: float | None
    high: float | None
    threshold: float
    rule: str
    more_samples: int = 0


def relative_change(change: float, baseline: float) -> float:
    """Returns a change as a fraction of the baseline's size; infinite, with the change's sign, of a baseline of 0."""
    if change == 0:
        return 0.0
    if baseline == 0:
        return float("inf") if change > 0 else float("-inf")
    return change / abs(baseline)
