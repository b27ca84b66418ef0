"""Anomalies, segmentation and detection from a Keras network to its int8 model on `sim`, with their own metrics."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from hil.core.arrays import Array
from hil.core.errors import BadInputError
from hil.harness.comparison.direction import lower_is_better
from hil.harness.evaluation.evaluator import Deployment, Evaluator
from hil.harness.evaluation.figures import requested_figures
from hil.harness.evaluation.limit_check import check_limits, format_check
from hil.harness.metrics.accuracy import Accuracy, lines_by_output
from hil.harness.metrics.detections import MeanPrecision
from hil.harness.model import Budget, Dataset, FineTune, Metric, Model, NamedMetric, Recipe
from hil.harness.pipeline import Pipeline
from hil.harness.pytest_plugin.summary import format_summary, row
from hil.harness.store.store import Store
from hil.harness.tree.text_report import format_walk
from hil.harness.tree.walk import walk
from hil.harness.vela.settings import VelaSettings
from hil.targets.execution.signature import dequantize

N = 120


def rng(split: str) -> np.random.Generator:
    return np.random.default_rng(int(split == "train"))


def anomalies(split: str) -> tuple[Array, Array]:
    """Sines, of which every second one of the test set is noisy; the training set has itself as labels."""
    x, y = np.sin(rng(split).uniform(0, 6, (N, 1)) + np.arange(16)).astype("float32"), np.arange(N) % 2
    x[y == 1] += (split == "test") * rng(split).normal(0, 0.4, (N // 2, 16)).astype("float32")
    return (x, x) if split == "train" else (x, y)


def pixels(split: str) -> tuple[Array, Array]:
    """Squares of three shades."""
    y = np.kron(rng(split).integers(0, 3, (N, 4, 4)), np.ones((1, 2, 2), int))
    return (np.eye(3)[y] + rng(split).normal(0, 0.4, (N, 8, 8, 3))).astype("float32"), y


def stripes(split: str) -> tuple[Array, Array]:
    """A stripe at one of four places, dark or bright; in training the labels are those of the raw head."""
    place, kind = rng(split).integers(0, 4, (2, N))
    x = rng(split).normal(0, 0.1, (N, 8, 8, 1)).astype("float32")
    for image, stripe, shade in zip(x, place, kind % 2, strict=True):
        image[2 * stripe : 2 * stripe + 2] += 2 * shade - 1
    edges = np.stack([place / 4, 0 * place, (place + 1) / 4, 1 + 0 * place], axis=1)
    if split == "train":
        return x, np.concatenate([edges, np.eye(2)[kind % 2]], axis=1)
    return x, np.concatenate([edges, kind[:, None] % 2], axis=1)[:, None]


def stripes_of_two(split: str) -> tuple[Array, tuple[Array, Array]]:
    """The same with labels by output: places and kinds in training, true boxes and classes in the test set."""
    x, y = stripes(split)
    return (x, (y[:, :4], y[:, 4:])) if split == "train" else (x, (y[..., :4], y[..., 4]))


def two_heads() -> Any:
    from tf_keras import Model, layers

    image = layers.Input((8, 8, 1))
    inside = layers.Flatten()(layers.Conv2D(8, 3, padding="same", activation="relu")(image))
    return Model(image, [layers.Dense(4, name="place")(inside), layers.Dense(2, name="kind")(inside)])


def boxes_of_two(outputs: tuple[Array, Array]) -> tuple[Array, Array, Array]:
    return boxes(np.concatenate(outputs, axis=-1))


def farthest(outputs: tuple[Array, Array], labels: tuple[Array, Array], x: Array) -> float:
    """Largest distance of a place from its label, of the images that are bright."""
    bright = x.max(axis=(1, 2, 3)) > 0.5
    return float(np.abs(outputs[0][:, None] - labels[0])[bright].max())


def boxes(outputs: Array) -> tuple[Array, Array, Array]:
    scores = outputs[:, None, 4:]
    return outputs[:, None, :4], scores.max(axis=-1), scores.argmax(axis=-1)


def network(*hidden: Callable[[Any], Any], inputs: tuple[int, ...]) -> Callable[[], Any]:
    def build() -> Any:
        import tf_keras as keras

        return keras.Sequential([keras.layers.Input(inputs), *(layer(keras.layers) for layer in hidden)])

    return build


DENSE = [lambda k, n=n: k.Dense(n, activation="relu") for n in (16, 6, 16)]
CONV = [lambda k: k.Conv2D(8, 3, padding="same", activation="relu")]
MODELS = {
    "autoencoder": (network(*DENSE, lambda k: k.Dense(16), inputs=(16,)), anomalies, None),
    "segmentation": (network(*CONV, lambda k: k.Conv2D(3, 1), inputs=(8, 8, 3)), pixels, "mean_iou"),
    "detector": (
        network(*CONV, lambda k: k.Flatten(), lambda k: k.Dense(6), inputs=(8, 8, 1)),
        stripes,
        NamedMetric("map50", decode=boxes),
    ),
    "two heads": (two_heads, stripes_of_two, NamedMetric("map50", decode=boxes_of_two)),
}


def model(name: str, metric: Any = "default") -> Model:
    build, load, named = MODELS[name]
    return Model(
        name,
        build=build,
        data=Dataset(load, lambda: [Path(__file__)]),
        metric=named if metric == "default" else metric,
        loss="logits" if name == "segmentation" else "mse",
        recipe=Recipe(base=FineTune(epochs=25, learning_rate=1e-2), batch_size=32, calibration=50),
        techniques=("ptq",),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stores")


def measured(of: Model, folder: Path) -> tuple[Evaluator, Deployment, Accuracy, Array]:
    """The evaluator, the deployment of `ptq`, its accuracy, and its float outputs on `sim`."""
    evaluator = Evaluator(Pipeline(Store(folder / of.name)), "sim", VelaSettings())
    deployment = evaluator.deploy(of, "ptq")
    found = evaluator.accuracy(deployment)
    assert isinstance(found, Accuracy)
    assert found.low <= found.drop <= found.high
    assert evaluator.parity(deployment).mismatches == 0
    outputs = dequantize(deployment.signature.outputs[0], evaluator.outcome(deployment).sim.outputs[0])
    return evaluator, deployment, found, outputs


def test_the_anomalies_of_an_autoencoder_are_ranked_by_their_error(folder: Path) -> None:
    _, _, found, outputs = measured(model("autoencoder"), folder)
    x, y = anomalies("test")
    assert found.metric == "reconstruction_auc"
    assert found.value == pytest.approx(roc_auc_score(y, ((outputs - x) ** 2).mean(axis=1)))
    assert found.reference > 0.8


def test_an_error_that_grows_is_a_drop_with_its_own_unit(folder: Path) -> None:
    evaluator, deployment, found, outputs = measured(model("autoencoder", "reconstruction_error"), folder)
    assert found.value == pytest.approx(float(((outputs - anomalies("test")[0]) ** 2).mean()))
    assert found.drop == found.value - found.reference
    limits = Budget(max_accuracy_drop=found.drop / 2 if found.drop > 0 else found.drop - 1, min_accuracy=1.0)
    drop, least = check_limits(evaluator, deployment, limits)
    assert (drop.met, least.met) == (False, True)
    assert format_check(least) == f"accuracy {found.value:.4g}"
    (largest,) = check_limits(evaluator, deployment, Budget(min_accuracy=found.value / 2))
    assert "too much" in format_check(largest)
    report = format_walk(walk(model("autoencoder", "reconstruction_error"), evaluator, Budget(max_accuracy_drop=2)))
    assert report.startswith("autoencoder on sim: drop at most 2\n")


def test_pixels_are_segmented(folder: Path) -> None:
    evaluator, _, found, outputs = measured(model("segmentation"), folder)
    _, y = pixels("test")
    answers = outputs.argmax(axis=-1)
    ious = [((answers == c) & (y == c)).sum() / ((answers == c) | (y == c)).sum() for c in range(3)]
    assert found.value == pytest.approx(np.mean(ious))
    assert found.reference > 0.6
    report = format_walk(walk(model("segmentation"), evaluator, Budget(max_accuracy_drop=0.5)))
    assert "drop at most 50.00 points" in report


def test_a_raw_head_is_decoded_and_its_boxes_matched(folder: Path) -> None:
    evaluator, _, found, outputs = measured(model("detector"), folder)
    place, scores, classes = boxes(outputs)
    detections = np.concatenate([place, scores[..., None], classes[..., None]], axis=-1)
    assert found.value == pytest.approx(MeanPrecision(detections, stripes("test")[1], np.array([0.5]))()[0])
    assert found.reference > 0.5
    assert evaluator.pipeline.base_score(model("detector")) is None  # which would call the user's function here


def test_boxes_and_classes_of_two_outputs_are_decoded_together(folder: Path) -> None:
    evaluator, deployment, found, place = measured(model("two heads"), folder)
    spec, given = deployment.signature.outputs[1], evaluator.outcome(deployment).sim.outputs[1]
    corners, scores, classes = boxes_of_two((place, dequantize(spec, given)))
    detections = np.concatenate([corners, scores[..., None], classes[..., None]], axis=-1)
    assert found.value == pytest.approx(MeanPrecision(detections, stripes("test")[1], np.array([0.5]))()[0])
    assert found.reference > 0.5


def test_a_function_of_all_outputs_also_takes_the_samples(folder: Path) -> None:
    own = Metric(farthest, lower_is_better=True, takes_inputs=True)
    _, _, found, place = measured(model("two heads", own), folder)
    x, labels = stripes_of_two("test")
    assert found.value == farthest((place, place), labels, x)
    assert (found.metric, found.samples) == ("farthest", N)


def test_further_outputs_are_measured_beside_the_one_that_decides(folder: Path) -> None:
    two = model("two heads", {"kind": "top1", "place": "rmse"})
    evaluator, deployment, found, place = measured(two, folder)
    other = found.by_output["place"]
    assert (found.metric, other.metric) == ("top1", "rmse")
    assert other.value == pytest.approx(np.sqrt(((place - stripes_of_two("test")[1][0][:, 0]) ** 2).mean()))
    assert other.low <= other.drop == other.value - other.reference <= other.high
    line = (
        f"place: rmse {other.value:.4g}, drop {other.drop:+.4g} (95 % interval {other.low:+.4g} to {other.high:+.4g})"
    )
    assert lines_by_output(found) == [line]
    (leaf,) = walk(two, evaluator, Budget()).leaves
    assert leaf.notes[-1] == f"ptq: {line}"
    figures = {one.name: one.value for one in leaf.measurements}
    names = ("place.rmse", "place.rmse_base", "place.rmse_keras", "place.rmse_drop", "place.rmse_drop_low")
    values = (other.value, other.reference, other.keras, other.drop, other.low)
    assert [figures[name] for name in names] == pytest.approx(values)
    assert {"place.rmse", "place.rmse_drop_high"} <= {one.name for one in requested_figures(evaluator, deployment)}
    directions = [lower_is_better(name, leaf.identity) for name in ("accuracy", *names)]
    assert directions == [False, True, True, True, True, True]
    assert f"ptq: {line}" in format_summary([row(deployment, evaluator.results(deployment))], {}, 200, colour=False)


def test_an_int8_file_has_the_metric_of_its_leaf(folder: Path, tmp_path: Path) -> None:
    _, deployment, found, _ = measured(model("autoencoder"), folder)
    (tmp_path / "leaf.tflite").write_bytes(deployment.int8)
    file = Model("file", tflite=tmp_path / "leaf.tflite", data=model("autoencoder").data)
    evaluator = Evaluator(Pipeline(Store(tmp_path / "store")), "sim", VelaSettings())
    absolute = evaluator.accuracy(evaluator.deploy(file, "int8"))
    assert (absolute.metric, absolute.value) == (found.metric, found.value)


@pytest.mark.parametrize(
    ("name", "metric", "line"),
    [
        ("autoencoder", "mse", "the labels do not have the shape of the outputs"),
        ("segmentation", "reconstruction_auc", "the labels are not one 0 or 1 a sample"),
        ("detector", "map", "map takes detections"),
        ("detector", NamedMetric("map", decode=lambda outputs: outputs["boxes"]), "the decode function <lambda>"),
        (
            "two heads",
            "map",
            r"mAP takes boxes \(d, 4\), scores \(d,\) and classes \(d,\), the outputs are \(4,\), \(2,\)",
        ),
        ("two heads", {"kind": "top1", "place": "mean_iou"}, "the labels are no classes"),
        ("two heads", "mae", "the outputs place, kind have labels: say of which the metric is"),
    ],
)
def test_a_metric_that_does_not_fit_is_a_line_before_anything_trains(
    tmp_path: Path, name: str, metric: Any, line: str
) -> None:
    store = Store(tmp_path)
    with pytest.raises(BadInputError, match=line):
        Pipeline(store).keras(model(name, metric), ())
    assert {artifact.step for artifact in store.artifacts()} <= {"data", "learning_task"}
