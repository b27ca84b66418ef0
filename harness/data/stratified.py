"""Draw of samples with as many of each class.

    few = stratified(samples, 200, seed=0)      # 20 of each of ten classes, the same ones for the same seed

The classes are those of the first output whose labels are integers, bools or one-hot rows, one a sample; without such
labels every sample is as likely as any other.
"""

from __future__ import annotations

import numpy as np

from hil.core.arrays import Array, Integers
from hil.harness.data.samples import Samples


def stratified(samples: Samples, count: int, seed: int) -> Samples:
    """Draws at most `count` samples, in their order."""
    if count >= len(samples):
        return samples
    classes = next((found for array in samples.y if (found := _classes(array)) is not None), None)
    if classes is None:
        return samples.sample(count, seed)
    order = np.random.default_rng(seed).permutation(len(samples))
    turn = _number_within_class(classes[order])
    return samples.take(np.sort(order[np.argsort(turn, kind="stable")[:count]]))


def _classes(labels: Array) -> Integers | None:
    """Returns the class of each sample (n,), or None for other labels."""
    if labels.size == len(labels) and labels.dtype.kind in "biu":
        return np.asarray(labels.reshape(-1), np.int64)
    if labels.ndim == 2 and labels.shape[1] > 1 and labels.dtype.kind in "biuf":
        is_one_hot = bool(np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) == 1).all())
        return np.asarray(labels.argmax(axis=1), np.int64) if is_one_hot else None
    return None


def _number_within_class(classes: Integers) -> Integers:
    """Returns how many samples of the same class come before each."""
    turn = np.empty(len(classes), np.int64)
    for found in np.unique(classes):
        rows = np.flatnonzero(classes == found)
        turn[rows] = np.arange(len(rows))
    return turn
