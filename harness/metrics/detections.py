"""Mean average precision of a detector, by COCO's rule.

    MeanPrecision(detections, truths, THRESHOLDS)()     # array([0.41]): detections (n, d, 6), truths (n, g, 5)

A box is four numbers, the corners (y, x, y, x) or (x, y, x, y), in any unit.  A detection is a box, its score and its
class; a true box is a box and its class.  Classes are whole numbers from 0; rows of a negative class are padding.

COCO's rule (`COCOeval` of pycocotools, areas "all", no crowds): of an image and a class, the 100 detections of the
largest scores; each, the largest first, takes the free true box of the largest intersection over union (IoU), if that
is at least the threshold.  Precision is interpolated at the 101 recalls 0, 0.01, ..., 1, and averaged over them, over
the classes that have a true box, and over the thresholds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hil.core.arrays import Array, Floats, Integers
from hil.core.errors import BadInputError
from hil.harness.model.metric import ArrayOrTuple

THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""IoU thresholds of COCO's mAP; the first alone is that of mAP50."""


def merge_detections(outputs: ArrayOrTuple) -> Array:
    """Detections (n, d, 6) from boxes (n, d, 4), scores (n, d) and classes (n, d), or as they are.

    Raises `BadInputError` for other shapes, and for classes that are no whole numbers.
    """
    if isinstance(outputs, tuple):
        shapes = ", ".join(str(part.shape[1:]) for part in outputs)
        fits = len(outputs) == 3 and outputs[0].shape == (*outputs[1].shape, 4) and outputs[1].shape == outputs[2].shape
        if not fits:
            raise BadInputError(f"mAP takes boxes (d, 4), scores (d,) and classes (d,), the outputs are {shapes}")
        boxes, scores, classes = outputs
        outputs = np.concatenate([boxes, scores[..., None], classes[..., None]], axis=-1)
    if outputs.ndim != 3 or outputs.shape[-1] != 6:
        line = f"mAP takes detections (d, 6) of four corners, a score and a class, the outputs are {outputs.shape[1:]}"
        raise BadInputError(line, hint="NamedMetric(..., decode=a function that makes them of a raw head)")
    if (np.rint(outputs[..., 5]) != outputs[..., 5]).any():
        raise BadInputError("mAP takes whole numbers as classes, the last column or output has others")
    return outputs


def merge_labels(labels: ArrayOrTuple) -> Array:
    """Labels of the one output that has any, or true boxes (n, g, 5) from boxes (n, g, 4) and classes (n, g).

    Raises `BadInputError` for the labels of several outputs that are neither.
    """
    if not isinstance(labels, tuple):
        return labels
    given = [part for part in labels if part.shape[1:] != (0,)]
    if len(given) == 1:
        return given[0]
    if len(given) == 2 and given[0].shape == (*given[1].shape, 4):
        return np.concatenate([given[0], given[1][..., None]], axis=-1)
    shapes = ", ".join(str(part.shape[1:]) for part in given)
    hint = "name the output, metric={'...': ...}; or give boxes (g, 4) and classes (g,)"
    raise BadInputError(f"the metric takes the labels of one output, these are of {len(given)}: {shapes}", hint=hint)


@dataclass(frozen=True, eq=False)
class _Ranked:
    """The detections of one class, the largest score first: their images, and which took a box (detections, t)."""

    images: Integers
    taken: Array
    truths: Integers
    """True boxes of the class in each image (n,)."""


class MeanPrecision:
    """mAP of `detections` (n, d, 6) against `truths` (n, g, 5), the mean over IoU `thresholds` (t,)."""

    def __init__(self, detections: Array, truths: Array, thresholds: Floats) -> None:
        self._detections = np.asarray(detections, np.float64)
        self._truths = np.asarray(truths, np.float64)
        self._thresholds = thresholds

    def __call__(self, weights: Floats | None = None) -> Floats:
        from hil.harness.metrics.detection_loops import average_precision

        weights = np.ones((1, len(self._truths))) if weights is None else np.ascontiguousarray(weights)
        total, classes = np.zeros(len(weights)), np.zeros(len(weights))
        for one in self._ranked:
            precision = average_precision(weights, one.images, one.taken, one.truths)
            known = ~np.isnan(precision)
            total += np.where(known, precision, 0)
            classes += known
        with np.errstate(invalid="ignore"):
            return total / classes

    @cached_property
    def _ranked(self) -> list[_Ranked]:
        from hil.harness.metrics.detection_loops import match

        scores, classes = self._detections[..., 4], self._detections[..., 5]
        order = np.argsort(-scores, axis=1, kind="stable")
        ordered = np.ascontiguousarray(np.take_along_axis(self._detections, order[..., None], axis=1))
        taken, counted = match(ordered, self._truths, self._thresholds)
        scores, classes = ordered[..., 4], ordered[..., 5]
        image = np.broadcast_to(np.arange(len(ordered))[:, None], scores.shape)
        found = []
        for name in np.unique(self._truths[self._truths[..., 4] >= 0][:, 4]):
            of_class = counted & (classes == name)
            ranks = np.argsort(-scores[of_class], kind="stable")
            truths = (self._truths[..., 4] == name).sum(axis=1)
            found.append(_Ranked(image[of_class][ranks], taken[of_class][ranks], truths))
        return found
