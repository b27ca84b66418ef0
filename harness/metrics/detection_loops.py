"""Inner loops of mean average precision, compiled with numba.

Importing this module imports numba.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

from hil.core.arrays import Array, Floats, Integers

_F = TypeVar("_F", bound=Callable[..., Any])
MOST_DETECTIONS = 100
"""Detections of an image and a class that COCO's rule counts."""
RECALLS = np.linspace(0.0, 1.0, 101)


def _compiled(function: _F) -> _F:
    """Compiles `function` at its first call; caches the machine code on disk if numba finds a writable folder."""
    try:
        return cast(_F, numba.njit(cache=True)(function))
    except RuntimeError:  # no folder can be written
        return cast(_F, numba.njit(function))


@_compiled
def match(detections: Floats, truths: Floats, thresholds: Floats) -> tuple[Array, Array]:
    """Matches `detections` (n, d, 6), the largest score of an image first, to `truths` (n, g, 5).

    Returns which took a true box at each threshold (n, d, t), and which count at all (n, d).
    """
    images, most = detections.shape[:2]
    boxes = truths.shape[1]
    taken = np.zeros((images, most, len(thresholds)), np.bool_)
    counted = np.zeros((images, most), np.bool_)
    overlap = np.zeros(boxes)
    for image in range(images):
        free = np.ones((boxes, len(thresholds)), np.bool_)
        for row in range(most):
            one = detections[image, row]
            if one[5] < 0 or np.isnan(one[4]):
                continue
            earlier = 0
            for other in range(row):
                earlier += counted[image, other] and detections[image, other, 5] == one[5]
            if earlier >= MOST_DETECTIONS:
                continue
            counted[image, row] = True
            for n in range(boxes):
                true = truths[image, n]
                width = min(one[2], true[2]) - max(one[0], true[0])
                height = min(one[3], true[3]) - max(one[1], true[1])
                both = max(width, 0.0) * max(height, 0.0)
                area = (one[2] - one[0]) * (one[3] - one[1]) + (true[2] - true[0]) * (true[3] - true[1])
                overlap[n] = both / (area - both) if true[4] == one[5] and both > 0 else 0.0
            for step in range(len(thresholds)):
                best, place = min(thresholds[step], 1 - 1e-10), -1
                for n in range(boxes):
                    if free[n, step] and overlap[n] >= best:
                        best, place = overlap[n], n
                if place >= 0:
                    free[place, step] = False
                    taken[image, row, step] = True
    return taken, counted


@_compiled
def average_precision(weights: Floats, images: Integers, taken: Array, truths: Integers) -> Floats:
    """Mean over thresholds of the average precision of one class in each resample (r,); NaN where it has no true box.

    `weights` (r, n) of images; `images` (d,) and `taken` (d, t) of the detections, the largest score first; `truths`
    (n,) are the true boxes in each image.
    """
    found = np.full(len(weights), np.nan)
    best = np.zeros((taken.shape[1], len(RECALLS)))
    right = np.zeros(taken.shape[1])
    bucket = np.zeros(taken.shape[1], np.int64)
    for resample in range(len(weights)):
        wanted = 0.0
        for image in range(len(truths)):
            wanted += weights[resample, image] * truths[image]
        if wanted == 0:
            continue
        best[:] = 0
        right[:] = 0
        bucket[:] = 0
        given = 0.0
        for row in range(len(images)):
            weight = weights[resample, images[row]]
            if weight == 0:
                continue
            given += weight
            for step in range(taken.shape[1]):
                if taken[row, step]:
                    right[step] += weight
                    recall = right[step] / wanted
                    while bucket[step] + 1 < len(RECALLS) and RECALLS[bucket[step] + 1] <= recall:
                        bucket[step] += 1
                    precision = right[step] / given
                    if precision > best[step, bucket[step]]:
                        best[step, bucket[step]] = precision
        total = 0.0
        for step in range(taken.shape[1]):
            highest = 0.0
            for place in range(len(RECALLS) - 1, -1, -1):  # precision at a recall: the best at that or a larger one
                highest = max(highest, best[step, place])
                total += highest
        found[resample] = total / (taken.shape[1] * len(RECALLS))
    return found
