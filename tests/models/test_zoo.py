"""The zoo: networks of the published size, and bases and budgets that fit them."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hil.harness.leaves import unavailable
from hil.harness.model import Model, discover, sibling
from hil.harness.optimize.keras.keras2 import import_keras
from hil.harness.optimize.network_size import count_params_and_macs
from hil.harness.optimize.training import TrainingPlan
from tests.support.night import some_by_day

from .conftest import FOLDER

ZOO = FOLDER / "zoo"
mobilenet_v1 = sibling(str(FOLDER / "x"), "networks/mobilenet_v1.py")
mobilenet_v2 = sibling(str(FOLDER / "x"), "networks/mobilenet_v2.py")
dscnn = sibling(str(FOLDER / "x"), "networks/dscnn.py")

EXACT, ROUNDED = 0.0, 0.03
PUBLISHED = {
    "cifar10_resnet8": (78_666, 12_501_632, EXACT),  # MLPerf Tiny
    "machine_autoencoder": (269_992, 264_192, EXACT),
    "vww_mobilenet_v1": (221_794, 7_489_664, EXACT),
    "mobilenet_v1_224": (4.2e6, 569e6, ROUNDED),  # the papers' tables
    "mobilenet_v2_224": (3.5e6, 300e6, ROUNDED),
    "kws_dscnn_s": (24_000, 5.4e6 / 2, ROUNDED),  # Hello Edge counts two operations for a MAC
    "kws_dscnn_m": (139_000, 19.8e6 / 2, ROUNDED),
    "kws_dscnn_l": (420_000, 56.9e6 / 2, ROUNDED),
    "digits_gru": (78_800, 49 / 25 * 3.8e6 / 2, ROUNDED),  # its 3.8 million operations are for 25 frames
}
"""Model -> parameters, MACs, and how far off they may be."""

SAMPLES = {
    "digits": 8_000,
    "cifar10": 50_000,
    "kws": 85_511,
    "vww": 82_000,  # about: its techniques take 20,000
    "machine": 400_000,  # about: its techniques take 200,000
    "mobilenet": 32,
}
"""Training samples by the first word of a model's name, as the loaders say."""
TABLES = FOLDER.parent / "docs" / "tables.md"


@pytest.fixture(scope="module")
def zoo() -> dict[str, Model]:
    """The models by name, trained bases of others left aside."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("HIL_TEST_DATA", raising=False)
        return {model.name: model for model in discover(ZOO)}


def test_the_zoo_is_asked_for_by_name_and_the_default_models_are_two(zoo: dict[str, Model]) -> None:
    assert {model.name for model in discover(FOLDER)} == {"digits_dscnn", "fashion_cnn"}
    assert zoo.keys() >= PUBLISHED.keys()
    assert all(model.path.stem == name for name, model in zoo.items())


def test_the_page_has_every_models_training_steps(zoo: dict[str, Model]) -> None:
    section = TABLES.read_text().partition("\n## The zoo\n")[2]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if line.startswith("| `")]
    said = {name: row[2:] for row in rows for name in re.findall(r"`(\w+)`", row[0])}
    assert said.keys() == zoo.keys()
    for name, (base, prune, other) in said.items():
        others = {steps_of(zoo[name], technique) for technique in ("sparse_cluster", "qat", "pqat", "pcqat")}
        assert (number(prune), {number(other)}) == (steps_of(zoo[name], "prune"), others), name
        trained = re.search(r"([\d,]+)( epochs)?$", base)  # none: as in the row above
        expected = zoo[name].recipe.base.epochs if trained and trained[2] else steps_of(zoo[name], "base")
        assert number(trained[1]) == expected if trained else base == "as above", name


def steps_of(model: Model, technique: str) -> int:
    plan = TrainingPlan(model.recipe.fine_tune(technique), model.recipe.batch_size, seed=0)
    return plan.steps(SAMPLES[model.name.partition("_")[0]])


def number(text: str) -> int:
    return int(text.replace(",", ""))


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_network_has_the_published_parameters_and_macs(zoo: dict[str, Model], name: str) -> None:
    *expected, tolerance = PUBLISHED[name]
    assert count_params_and_macs(zoo[name]) == pytest.approx(tuple(expected), rel=tolerance)


@pytest.mark.parametrize(("alpha", "macs"), some_by_day([(0.25, 41e6), (0.5, 149e6), (0.75, 325e6)], [(0.5, 149e6)]))
def test_a_narrower_mobilenet_has_the_papers_macs(zoo: dict[str, Model], alpha: float, macs: float) -> None:
    found = sized(zoo, partial(mobilenet_v1.build, alpha=alpha, size=224, classes=1000))
    assert found[1] == pytest.approx(macs, rel=ROUNDED)


@pytest.mark.parametrize(("alpha", "size"), [(0.25, 96), pytest.param(1.0, 160, marks=pytest.mark.nightly)])
def test_both_mobilenets_are_those_of_keras(zoo: dict[str, Model], alpha: float, size: int) -> None:
    of_keras = import_keras().applications
    settings = {"weights": None, "classes": 7, "input_shape": (size, size, 3)}
    for ours, theirs in ((mobilenet_v1, of_keras.MobileNet), (mobilenet_v2, of_keras.MobileNetV2)):
        width = max(alpha, 0.35) if ours is mobilenet_v2 else alpha
        mine = sized(zoo, partial(ours.build, alpha=width, size=size, classes=7))
        assert mine == sized(zoo, partial(theirs, alpha=width, **settings))


def test_spared_strides_leave_larger_maps() -> None:
    network = mobilenet_v2.build(alpha=0.35, size=32, classes=10, spared=2)
    assert network.get_layer("last").output_shape[1:3] == (4, 4)
    assert mobilenet_v1.build(alpha=0.25, size=32, classes=10).get_layer("pw13").output_shape[1:3] == (1, 1)


def sized(zoo: dict[str, Model], build: Any) -> tuple[int, int]:
    return count_params_and_macs(replace(zoo["mobilenet_v1_224"], build=build))


@pytest.mark.parametrize(("name", "file"), [("cifar10_resnet8", "resnet8.h5"), ("machine_autoencoder", "ad01.h5")])
def test_a_published_network_has_the_weights_of_ours(
    shared_models: Path, zoo: dict[str, Model], name: str, file: str
) -> None:
    path = shared_models / "keras" / file
    if not path.exists():
        pytest.skip(f"HIL_TEST_DATA names no folder with models/keras/{file}")
    published = import_keras().models.load_model(path, compile=False)
    build: Any = zoo[name].build
    assert shapes(published) == shapes(build())


def shapes(network: Any) -> list[tuple[int, ...]]:
    """Shapes of all weights, sorted: branches may stand in another order."""
    return sorted(tuple(weight.shape) for weight in network.weights)


def test_a_published_base_is_taken_where_it_is(monkeypatch: Any, tmp_path: Path) -> None:
    published = sibling(str(FOLDER / "x"), "networks/published.py").published
    monkeypatch.setenv("HIL_TEST_DATA", str(tmp_path))
    assert published("net.h5", shapes) is shapes
    (tmp_path / "models" / "keras").mkdir(parents=True)
    (tmp_path / "models" / "keras" / "net.h5").touch()
    assert published("net.h5", shapes) == tmp_path / "models" / "keras" / "net.h5"


def test_data_that_is_missing_says_how_to_get_it(zoo: dict[str, Model], monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.delenv("HIL_TEST_DATA", raising=False)
    for name, variable in (
        ("cifar10_resnet8", "HIL_CIFAR10"),
        ("vww_mobilenet_v1", "HIL_VWW"),
        ("kws_dscnn_s", "HIL_SPEECH_COMMANDS"),
        ("machine_autoencoder", "HIL_TOY_CAR"),
    ):
        monkeypatch.setenv(variable, str(tmp_path / variable))
        assert f"set {variable}" in unavailable(zoo[name])


def test_statistics_keep_an_untrained_network_awake() -> None:
    with_statistics = sibling(str(FOLDER / "x"), "networks/statistics.py").with_statistics
    network = with_statistics(dscnn.build("s", classes=3))
    normalizing = network.get_layer("pw4_bn")
    assert normalizing.momentum == 0.9
    assert abs(normalizing.moving_mean.numpy()).max() > 0
