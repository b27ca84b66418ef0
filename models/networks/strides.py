"""Strides of a network for images that are smaller than those it was made for."""

from __future__ import annotations

from collections.abc import Sequence


def spare(strides: Sequence[int], spared: int) -> list[int]:
    """Returns the strides with one in place of the first `spared` that are larger.

    >>> spare([2, 1, 2, 2], 2)
    [1, 1, 1, 2]
    """
    larger = [place for place, stride in enumerate(strides) if stride > 1][:spared]
    return [1 if place in larger else stride for place, stride in enumerate(strides)]
