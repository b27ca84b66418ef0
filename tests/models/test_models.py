"""The models of this repository on their real data: trained bases that leave room, small files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hil.core.errors import UnavailableError
from hil.harness.model import Model, discover
from hil.harness.optimize import steps, trained_base

from .conftest import FOLDER


def accuracy(model: Model) -> float:
    x, y = model.data.load("test")
    return float(
        np.mean(trained_base.base_model(model, None).predict(x, batch_size=500, verbose=0).argmax(axis=1) == y)
    )


def test_both_models_are_found_and_their_weights_are_small() -> None:
    models = discover(FOLDER)
    assert [model.name for model in models] == ["digits_dscnn", "fashion_cnn"]
    weights = [model.file(str(model.weights)) for model in models]
    assert sum(path.stat().st_size for path in weights) < 1_000_000


def test_the_image_classifier_is_good_and_not_saturated(fashion: Model) -> None:
    assert 0.90 <= accuracy(fashion) <= 0.93


def test_the_keyword_spotter_understands_strangers(digits: Model) -> None:
    assert 0.88 <= accuracy(digits) <= 0.96


@pytest.mark.parametrize("name", ["fashion_cnn", "digits_dscnn"])
def test_weights_fit_the_network_without_any_data(name: str) -> None:
    (model,) = [model for model in discover(FOLDER) if model.name == name]
    network = trained_base.base_model(model, None)
    assert network.count_params() < 100_000
    assert {type(layer).__name__ for layer in network.layers} >= {"DepthwiseConv2D", "BatchNormalization"}


def test_every_leaf_has_settings() -> None:
    for model in discover(FOLDER):
        for technique in steps.STEPS:
            assert model.recipe.fine_tune(technique).epochs > 0


def test_data_that_is_missing_says_how_to_get_it(monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setenv("HIL_FASHION_MNIST", str(tmp_path))
    monkeypatch.setenv("HIL_FSDD", str(tmp_path))
    hints = ("git clone .*HIL_FSDD", "apt-get install dataset-fashion-mnist")
    for model, hint in zip(discover(FOLDER), hints, strict=True):
        with pytest.raises(UnavailableError, match=hint):
            model.data.files()
        with pytest.raises(UnavailableError, match=hint):
            model.data.load("test")
