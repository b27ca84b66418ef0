"""Thinning of a trend: the nights of a series that a report shows.

>>> chosen_nights(np.array([5.0, 5, 5, 5, 7, 7, 7, 7, 7]), is_exact=True, events=[4], newest=2)
[0, 3, 4, 5, 7, 8]
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from hil.core.arrays import Floats

NEWEST = 14
"""Newest nights of a series, which are all shown."""
_BLOCK = 7
RULE = (
    f"Of each series the newest {NEWEST} nights are shown; of older ones the first, each with a change point, a "
    "baseline or a mark, and the nights beside these; of measured figures also the lowest and the highest of every "
    f"{_BLOCK} nights. An exact figure is the same in the nights between."
)


def chosen_nights(values: Floats, *, is_exact: bool, events: Iterable[int], newest: int = NEWEST) -> list[int]:
    """Returns the positions of the nights that are shown, ascending; `events` are those of what must be seen."""
    count = len(values)
    chosen = {0, *range(max(0, count - newest), count)}
    for event in events:
        chosen.update(range(max(0, event - 1), min(count, event + 2)))
    if not is_exact:
        for start in range(0, count - newest, _BLOCK):
            block = values[start : start + _BLOCK]
            chosen |= {start + int(np.argmin(block)), start + int(np.argmax(block))}
    return sorted(chosen)
