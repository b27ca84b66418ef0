"""Noise of a measured figure, from the history of its own nights.

    >>> history = np.array([100.0, 103, 99, 101, 104, 98, 100, 102, 97, 101, 103, 99])
    >>> f"{spread(history):.2f}"
    '12.00'

The rule is that of rustc-perf (rust-lang/rustc-perf, docs/comparison-analysis.md): a change is noise up to the third
quartile + 3 interquartile ranges of the history's changes.  Taken are the changes from one night to the next, so
neither a step nor a creep in the history widens the noise, and a single outlier, which makes two large changes of them,
does so little.  They are too narrow, though, where the noise is slow, such as a lab's temperature: the changes over
`SLOW` nights (a third of a shorter history), less their median (the creep), count too where they are wider.

Three things are not in the quartiles:

- two levels that take turns (bimodal noise) have wide quartiles but no tail: no more than `LONGEST` times the largest
  change counts;
- a rare second level has a tail but narrow quartiles: no less than `RECURRENT` times the third largest change counts,
  for one outlier makes two;
- a counter with few distinct values: no less than its resolution, the smallest gap of two values, counts.

All arrays have the nights, oldest first, as their last axis, and any number of axes before it.
"""

from __future__ import annotations

import numpy as np

from hil.core.arrays import Floats

FEWEST_NIGHTS = 12
"""Nights from which on a history shows its own spread."""

ENOUGH_NIGHTS = 30
"""Nights before which a calibrated pair counts too, where it is wider: few nights have too few tails."""

WINDOW = 60
"""Latest nights that count, so that no outlier counts for ever."""

SLOW = 7
"""Nights over which slow noise shows."""

LONGEST = 1.5
"""Largest noise, in the largest change of one night."""

RECURRENT = 1.2
"""Least noise, in the third largest change of one night."""


def spread(history: Floats) -> Floats:
    """Returns the size up to which a change of one night is noise, in the figure's unit, without the last axis.

    `history` has at least `FEWEST_NIGHTS` nights; the latest `WINDOW` count.
    """
    latest = history[..., -WINDOW:]
    nightly = np.sort(np.abs(np.diff(latest, axis=-1)), axis=-1)
    lag = min(SLOW, latest.shape[-1] // 3)
    slow = latest[..., lag:] - latest[..., :-lag]
    slow = np.sort(np.abs(slow - np.median(slow, axis=-1, keepdims=True)), axis=-1)
    sizes = [_fence(nightly), _fence(slow), RECURRENT * nightly[..., -3], _resolution(latest)]
    return np.asarray(np.max(sizes, axis=0))


def _fence(changes: Floats) -> Floats:
    """Returns the third quartile + 3 interquartile ranges of sorted changes, at most `LONGEST` times the largest."""
    first, third = np.quantile(changes, (0.25, 0.75), axis=-1)
    return np.minimum(third + 3 * (third - first), LONGEST * changes[..., -1])


def _resolution(values: Floats) -> Floats:
    """Returns the smallest gap of two values that differ, 0 where all are equal."""
    gaps = np.diff(np.sort(values, axis=-1), axis=-1)
    smallest = np.where(gaps > 0, gaps, np.inf).min(axis=-1)
    return np.where(np.isfinite(smallest), smallest, 0.0)
