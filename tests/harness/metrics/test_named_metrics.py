"""Named metrics against scikit-learn, Keras and figures computed by hand; and what each of them refuses."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import interp1d
from scipy.optimize import brentq
from sklearn import metrics as sklearn

from hil.core.errors import BadInputError
from hil.harness.metrics.accuracy import compare
from hil.harness.metrics.base_score import base_score
from hil.harness.metrics.labels import Labels
from hil.harness.metrics.learning_task import LearningTask, learning_task
from hil.harness.metrics.loss_kind import LossKind
from hil.harness.metrics.resamples import value_of
from hil.harness.metrics.scores import statistic_of
from hil.harness.model import METRICS, Metric, NamedMetric, Scale
from hil.harness.model.metric import SCALES

N = 80
DRAW = np.random.default_rng(3)
CLASSES = DRAW.integers(0, 4, N)
YES = DRAW.integers(0, 2, N)
ROWS = np.round(np.eye(4)[CLASSES] + DRAW.normal(0, 0.7, (N, 4)), 1)  # with ties, as int8 outputs have
SCORES = np.round(YES + DRAW.normal(0, 0.8, N), 1)[:, None]
NUMBERS = DRAW.random((N, 3))
NEAR = NUMBERS + DRAW.normal(0, 0.1, (N, 3))
PIXELS = DRAW.integers(0, 3, (10, 4, 4))
MASKS = np.eye(3)[PIXELS] + DRAW.normal(0, 0.6, (10, 4, 4, 3))
LOSSES = {"classes": LossKind("classes"), "binary": LossKind("binary"), "numbers": LossKind("regression")}


def task_of(metric: Any, y: Any, outputs: Any, loss: str = "numbers", inputs: tuple[int, ...] = ()) -> LearningTask:
    return learning_task(metric, Labels(y, outputs.shape[1:]), LOSSES[loss], inputs)


def score(metric: Any, y: Any, outputs: Any, loss: str = "numbers", x: Any = None) -> float:
    task = task_of(metric, y, outputs, loss, () if x is None else x.shape[1:])
    assert LearningTask.from_json(task.as_json(), metric) == task
    return value_of(statistic_of(task, outputs, task.labels(y), x))


def eer_of(y: Any, scores: Any) -> float:
    """The usual recipe: where the ROC curve crosses the line of equal errors."""
    false, true, _ = sklearn.roc_curve(y, scores)
    return float(brentq(lambda rate: 1.0 - rate - interp1d(false, true)(rate), 0.0, 1.0))


def test_metrics_of_classes_are_those_of_scikit_learn() -> None:
    answers = ROWS.argmax(axis=1)
    f1, recall = (sklearn.f1_score, sklearn.recall_score)
    assert score("top1", CLASSES, ROWS, "classes") == np.mean(answers == CLASSES)
    assert score("f1_macro", CLASSES, ROWS, "classes") == pytest.approx(f1(CLASSES, answers, average="macro"))
    assert score("worst_recall", CLASSES, ROWS, "classes") == min(recall(CLASSES, answers, average=None))
    untied = ROWS + np.arange(4) * 1e-6  # scikit-learn takes the later of equal outputs, argmax the earlier
    for k in (2, 3):
        expected = sklearn.top_k_accuracy_score(CLASSES, untied, k=k)
        assert score(f"top{k}", CLASSES, untied, "classes") == pytest.approx(expected)


def test_of_equal_outputs_the_first_is_in_the_top() -> None:
    same, last_of_three = np.zeros((1, 5)), np.array([[9, 1, 1, 1, 0]])
    assert [score("top3", np.array([n]), same, "classes") for n in range(5)] == [1, 1, 1, 0, 0]
    assert [score("top3", np.array([n]), last_of_three, "classes") for n in range(5)] == [1, 1, 1, 0, 0]


def test_metrics_of_yes_and_no_are_those_of_scikit_learn() -> None:
    yes, two = SCORES[:, 0] > 0.5, np.concatenate([1 - SCORES, SCORES], axis=1)
    for outputs, loss in ((SCORES, "binary"), (two, "classes")):
        assert score("f1", YES, outputs, loss) == pytest.approx(sklearn.f1_score(YES, yes))
        assert score("f1_macro", YES, outputs, loss) == pytest.approx(sklearn.f1_score(YES, yes, average="macro"))
        assert score("auc", YES, outputs, loss) == pytest.approx(sklearn.roc_auc_score(YES, SCORES))
        assert score("eer", YES, outputs, loss) == pytest.approx(eer_of(YES, SCORES[:, 0]))


def test_an_eer_between_two_steps_is_on_the_line_of_the_roc() -> None:
    scores, y = np.array([[0.9], [0.8], [0.7], [0.6], [0.5]]), np.array([1, 0, 1, 0, 1])
    assert score("eer", y, scores, "binary") == pytest.approx(0.5)
    assert score("eer", np.array([1, 1, 0, 0, 0]), scores, "binary") == 0.0
    assert score("eer", np.array([0, 0, 0, 1, 1]), scores, "binary") == 1.0


def test_mean_iou_is_that_of_keras() -> None:
    import keras

    for classes in (3, 5):  # of which two occur nowhere: they do not count
        outputs = np.concatenate([MASKS, np.full((10, 4, 4, classes - 3), -9.0)], axis=-1)
        of_keras = keras.metrics.MeanIoU(num_classes=classes)
        of_keras.update_state(PIXELS, outputs.argmax(axis=-1))
        assert score("mean_iou", PIXELS, outputs, "classes") == pytest.approx(float(of_keras.result()))
    mask, near = (PIXELS[..., None] > 0).astype(int), MASKS[..., 1:2]
    of_two = keras.metrics.BinaryIoU(target_class_ids=[0, 1], threshold=0.5)
    of_two.update_state(mask, near)
    assert score("mean_iou", mask, near, "binary") == pytest.approx(float(of_two.result()))


def test_errors_are_those_of_scikit_learn_and_keras() -> None:
    import tensorflow as tf

    assert score("mae", NUMBERS, NEAR) == pytest.approx(sklearn.mean_absolute_error(NUMBERS, NEAR))
    assert score("mse", NUMBERS, NEAR) == pytest.approx(sklearn.mean_squared_error(NUMBERS, NEAR))
    assert score("rmse", NUMBERS, NEAR) == pytest.approx(math.sqrt(sklearn.mean_squared_error(NUMBERS, NEAR)))
    images, noisy = DRAW.random((6, 8, 8, 1)), DRAW.random((6, 8, 8, 1))
    for scale, offset, peak in ((1, 0, 1), (2, -1, 2), (255, 0, 255)):
        pair = [scale * part + offset for part in (images, noisy)]
        expected = float(tf.reduce_mean(tf.image.psnr(*pair, max_val=peak)))
        assert score("psnr", *pair) == pytest.approx(expected, rel=1e-5)


def test_the_snr_is_that_of_all_samples() -> None:
    y = np.array([[3.0, 1.0], [0.0, 0.0]])
    assert score("snr", y, y + np.array([[0.1, 0.0], [0.0, 0.0]])) == pytest.approx(30.0)


def test_reconstruction_compares_outputs_with_inputs() -> None:
    errors = ((NEAR - NUMBERS) ** 2).mean(axis=1)
    assert score("reconstruction_error", YES, NEAR, x=NUMBERS) == pytest.approx(errors.mean())
    expected = sklearn.roc_auc_score(YES, errors)
    assert score("reconstruction_auc", YES, NEAR, x=NUMBERS) == pytest.approx(expected)
    assert task_of(None, YES, NEAR, inputs=(3,)).metric == "reconstruction_auc"
    assert task_of(None, NUMBERS, NEAR, inputs=(3,)).metric == "r2"


def test_a_metric_of_the_users_own_takes_the_samples() -> None:
    own = Metric(lambda outputs, y, x: float(np.abs(outputs - x).max()), "V", lower_is_better=True, takes_inputs=True)
    task = task_of(own, YES, NEAR)
    assert task.takes_inputs
    same = {"reference": NUMBERS, "keras": NEAR, "candidate": NEAR, "on_target": np.array([2])}
    found = compare(task, YES, **same, x=NUMBERS)
    worst = np.abs(NEAR - NUMBERS)
    assert (found.reference, found.value, found.on_target) == (0, worst.max(), worst[2].max())
    assert found.low <= found.drop == found.high


def test_outputs_are_decoded_first() -> None:
    last = NamedMetric("top1", decode=lambda outputs: outputs[..., 1:])
    both = np.stack([CLASSES, ROWS[:, 0]], axis=1)
    assert score(last, np.zeros(N, int), both[:, [0, 0, 1]], "classes") == np.mean(ROWS[:, 0] <= CLASSES)
    for wrong, line in (
        (lambda outputs: 1, "gives no row for each sample but int64 ()"),
        (lambda outputs: {}["a"], "fails"),
    ):
        task = task_of(NamedMetric("top1", decode=wrong), CLASSES, ROWS, "classes")
        with pytest.raises(BadInputError, match=re.escape(line)):
            statistic_of(task, ROWS, CLASSES)
    with pytest.raises(BadInputError, match="unknown metric top0"):
        NamedMetric("top0")


@pytest.mark.parametrize(
    ("metric", "y", "outputs", "loss", "line"),
    [
        ("top5", CLASSES, ROWS, "classes", "top5 of 4 classes is always right"),
        ("top3", YES, SCORES, "binary", "one output is no class count"),
        ("f1", CLASSES, ROWS, "classes", "the labels do not have the shape of the outputs"),
        ("f1", np.zeros(N), SCORES, "binary", "f1 needs labels of 1"),
        ("f1_macro", NUMBERS, NEAR, "numbers", "the labels are no classes"),
        ("mean_iou", PIXELS[:, :2], MASKS, "classes", "the labels are no classes"),
        ("eer", CLASSES, ROWS, "classes", "eer needs one score a sample and labels 0 and 1"),
        ("eer", np.ones(N), SCORES, "binary", "eer needs samples of both classes"),
        ("mae", CLASSES, ROWS, "numbers", "the labels do not have the shape of the outputs"),
        ("snr", np.zeros((N, 3)), NEAR, "numbers", "snr is not defined for labels that are all 0"),
        ("psnr", 300 * NUMBERS, NEAR, "numbers", "psnr takes labels from 0 to 1, -1 to 1 or 0 to 255"),
        ("reconstruction_auc", YES, NEAR, "numbers", "reconstruction_auc compares outputs with inputs, which are ()"),
        ("map", CLASSES, ROWS, "classes", "map takes detections (d, 6) of four corners, a score and a class"),
    ],
)
def test_what_is_not_defined_is_a_line_with_both_shapes(
    metric: str, y: Any, outputs: Any, loss: str, line: str
) -> None:
    with pytest.raises(BadInputError, match=re.escape(line)) as caught:
        task_of(metric, y, outputs, loss)
    assert f"the network gives {outputs.shape[1:]} a sample, the test labels are {y.dtype} {y.shape[1:]}" in str(
        caught.value
    )


@pytest.mark.parametrize("labels", [CLASSES, NUMBERS])
def test_labels_of_anomalies_are_one_a_sample(labels: Any) -> None:
    with pytest.raises(BadInputError, match="the labels are not one 0 or 1 a sample"):
        task_of("reconstruction_auc", labels, NEAR, inputs=(3,))


def test_every_name_has_a_unit_and_a_direction() -> None:
    lower = {name for name in METRICS if SCALES[name].lower_is_better}
    assert lower == {"eer", "mae", "mse", "rmse", "reconstruction_error"}
    assert {name for name in METRICS if not SCALES[name].is_share} == lower - {"eer"} | {"r2", "snr", "psnr"}
    assert SCALES["snr"] == SCALES["psnr"] == Scale("dB")


CONSTANT: list[tuple[str, Any, Any, str]] = [
    ("top3", CLASSES, np.tile(np.bincount(CLASSES), (N, 1)), "classes"),
    ("f1", YES, np.ones((N, 1)), "binary"),
    ("f1_macro", CLASSES, np.tile(np.eye(4)[np.bincount(CLASSES).argmax()], (N, 1)), "classes"),
    ("worst_recall", CLASSES, np.tile(np.eye(4)[0], (N, 1)), "classes"),
    ("mean_iou", PIXELS, np.tile(np.eye(3)[np.bincount(PIXELS.ravel()).argmax()], (10, 4, 4, 1)), "classes"),
    ("eer", YES, np.zeros((N, 1)), "binary"),
    ("mae", NUMBERS, np.tile(np.median(NUMBERS, axis=0), (N, 1)), "numbers"),
    *((name, NUMBERS, np.tile(NUMBERS.mean(axis=0), (N, 1)), "numbers") for name in ("mse", "rmse", "snr", "psnr")),
]


@pytest.mark.parametrize(("metric", "y", "outputs", "loss"), CONSTANT, ids=[case[0] for case in CONSTANT])
def test_the_constant_answer_scores_what_base_score_says(metric: str, y: Any, outputs: Any, loss: str) -> None:
    found = base_score(task_of(metric, y, outputs, loss), y, outputs)
    assert found is not None
    assert found.value == pytest.approx(found.constant)
    perfect = np.eye(outputs.shape[-1])[y] if loss == "classes" else y.reshape(outputs.shape) + 1e-9
    right = base_score(task_of(metric, y, outputs, loss), y, perfect)
    assert right is not None
    assert not right.learned_nothing
    assert right.remark == ""


def test_a_base_that_reconstructs_its_mean_learned_nothing() -> None:
    mean = np.tile(NUMBERS.mean(axis=0), (N, 1))
    found = base_score(task_of("reconstruction_error", YES, mean, inputs=(3,)), YES, mean, NUMBERS)
    assert found is not None
    assert found.value == found.constant
    assert f"no better than the mean of the samples ({NUMBERS.var(axis=0).mean():.4g}): nothing" in found.remark


@given(st.integers(0, 2**32 - 1), st.sampled_from(["auc", "eer"]))
def test_ranks_alone_count(seed: int, metric: str) -> None:
    draw = np.random.default_rng(seed)
    y, scores = np.arange(30) % 2, np.round(draw.normal(size=(30, 1)), 1)
    found = score(metric, y, scores, "binary")
    assert found == score(metric, y, np.exp(scores), "binary")
    assert found == pytest.approx(1 - score(metric, y, -scores, "binary"))
