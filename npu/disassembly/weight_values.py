"""Values of an encoded weight stream: its zeros and its distinct weights.

Stripes of a cascade read the same weights again and again, so each stream is decoded once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from hil.core.errors import StreamError
from hil.npu.weights.codec import decode_weight_stream


@dataclass(frozen=True)
class WeightValues:
    """Number of `zeros` and set of `distinct` weights, without the zeros that only pad the stream."""

    zeros: int
    distinct: frozenset[int]


@lru_cache(maxsize=256)
def weight_values(data: bytes, elements: int) -> WeightValues | None:
    """Values of a stream with `elements` weights beside its padding; None if it cannot be decoded."""
    try:
        weights = decode_weight_stream(data)
    except StreamError:
        return None
    zeros = max(0, elements - int(np.count_nonzero(weights)))
    distinct = {int(value) for value in np.flatnonzero(np.bincount(weights.astype(np.int32) + _OFFSET)) - _OFFSET}
    return WeightValues(zeros, frozenset(distinct - {0} | ({0} if zeros else set())))


_OFFSET = 1 << 9
"""Makes every weight, of 9 bits with its sign, an index."""
