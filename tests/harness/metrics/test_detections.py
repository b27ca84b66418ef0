"""Mean average precision against pycocotools, the reference implementation of COCO's rule."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from hil.core.errors import BadInputError
from hil.harness.metrics.detections import THRESHOLDS, MeanPrecision
from hil.harness.metrics.labels import Labels
from hil.harness.metrics.learning_task import learning_task
from hil.harness.metrics.loss_kind import LossKind
from hil.harness.metrics.resamples import value_of
from hil.harness.metrics.scores import statistic_of
from hil.harness.model import NamedMetric

CLASSES = 3


def draw(seed: int, images: int = 16, most: int = 12, boxes: int = 5, digits: int = 8) -> tuple[Any, Any]:
    """Detections (images, most, 6) near some of the true boxes (images, boxes, 5), both padded with rows of -1."""
    rng = np.random.default_rng(seed)
    found, truths = np.full((images, most, 6), -1.0), np.full((images, boxes, 5), -1.0)
    for image in range(images):
        for row in range(rng.integers(0, boxes + 1)):
            corner = 0.6 * rng.random(2)
            truths[image, row] = [*corner, *(corner + 0.05 + 0.3 * rng.random(2)), rng.integers(0, CLASSES)]
        known = truths[image][truths[image, :, 4] >= 0]
        for row in range(rng.integers(0, most + 1)):
            box = np.array([0.1, 0.1, 0.4, 0.4])
            kind = rng.integers(0, CLASSES + 1)  # one of which no true box has
            if len(known) and rng.random() < 0.8:
                *near, kind = known[rng.integers(0, len(known))]
                box = np.array(near) + rng.normal(0, 0.01, 4)
            found[image, row] = [*box, round(rng.random(), digits), kind]
    return found, truths


def of_pycocotools(found: Any, truths: Any) -> tuple[float, float]:
    """mAP and mAP50."""
    images = range(len(truths))
    sized = [(image, *box[:2], *(box[2:4] - box[:2]), *box[4:]) for image in images for box in truths[image]]
    given = [(image, *box[:2], *(box[2:4] - box[:2]), *box[4:]) for image in images for box in found[image]]
    coco = COCO()
    coco.dataset = {
        "images": [{"id": image} for image in images],
        "categories": [{"id": number} for number in range(CLASSES)],
        "annotations": [
            {"id": n + 1, "image_id": i, "bbox": list(box), "category_id": kind, "area": 1.0, "iscrowd": 0}
            for n, (i, *box, kind) in enumerate(sized)
            if kind >= 0
        ],
    }
    coco.createIndex()
    results = coco.loadRes(np.array([(i, *box, score, kind) for i, *box, score, kind in given if kind >= 0]))
    evaluation = COCOeval(coco, results, "bbox")
    evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
    evaluation.evaluate()
    evaluation.accumulate()
    precision = evaluation.eval["precision"][..., 0, -1]
    at_half = precision[0]
    return float(precision[precision > -1].mean()), float(at_half[at_half > -1].mean())


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("digits", [8, 1])
def test_map_is_that_of_pycocotools(seed: int, digits: int) -> None:
    found, truths = draw(seed, digits=digits)
    expected = of_pycocotools(found, truths)
    assert MeanPrecision(found, truths, THRESHOLDS)()[0] == pytest.approx(expected[0])
    assert MeanPrecision(found, truths, THRESHOLDS[:1])()[0] == pytest.approx(expected[1])


def test_more_than_100_detections_of_an_image_do_not_count() -> None:
    found, truths = np.tile([0.5, 0.5, 0.6, 0.6, 0.9, 1], (1, 130, 1)), np.array([[[0.0, 0.0, 0.2, 0.2, 1]]])
    for place, expected in ((99, 1 / 100), (100, 0.0)):
        found[0, :, 4] = np.linspace(0.9, 0.1, 130)
        found[0, :, :4] = [0.5, 0.5, 0.6, 0.6]
        found[0, place, :4] = truths[0, 0, :4]
        assert MeanPrecision(found, truths, THRESHOLDS)()[0] == pytest.approx(expected)
        assert of_pycocotools(found, truths)[0] == pytest.approx(expected)


def test_weights_count_images_as_often_as_they_say() -> None:
    found, truths = draw(5)
    weights = np.random.default_rng(0).integers(0, 4, (3, len(truths))).astype(float)
    weights[2] = 0
    values = MeanPrecision(found, truths, THRESHOLDS)(weights)
    for row, value in zip(weights[:2].astype(int), values, strict=False):
        picked = np.repeat(np.arange(len(row)), row)
        assert value == pytest.approx(MeanPrecision(found[picked], truths[picked], THRESHOLDS)()[0])
    assert np.isnan(values[2])  # no true box is left


def test_boxes_scores_and_classes_may_be_three_outputs_of_the_decode_function() -> None:
    found, truths = draw(2)
    named = NamedMetric("map", decode=lambda outputs: (outputs[..., :4], outputs[..., 4], outputs[..., 5]))
    task = learning_task(named, Labels(truths, (12, 6)), LossKind("unknown"))
    statistic = statistic_of(task, found, task.labels(truths))
    assert value_of(statistic) == MeanPrecision(found, truths, THRESHOLDS)()[0]
    assert (task.kind, task.metric, task.scale.is_share) == ("detection", "map", True)
    other = NamedMetric("map", decode=lambda outputs: (outputs[..., :4], outputs[..., 4:]))
    with pytest.raises(
        BadInputError, match=re.escape("mAP takes boxes (d, 4), scores (d,) and classes (d,), the outp")
    ):
        statistic_of(learning_task(other, Labels(truths, (12, 6)), LossKind()), found, truths)


@pytest.mark.parametrize(
    ("truths", "line"),
    [
        (np.zeros((4, 3)), "the labels are no boxes (g, 5)"),
        (np.full((4, 3, 5), -1.0), "has no classes from 0"),
        (np.full((4, 3, 5), 0.5), "has no classes from 0"),
        (np.tile([0.5, 0.5, 0.2, 0.2, 1], (4, 3, 1)), "the second corner of a box is before its first"),
    ],
)
def test_labels_that_are_no_boxes_are_refused(truths: Any, line: str) -> None:
    with pytest.raises(BadInputError, match=re.escape(line)) as caught:
        learning_task("map", Labels(truths, (12, 6)), LossKind())
    assert "the network gives (12, 6) a sample" in str(caught.value)
