"""Outputs that their quantization range clips are reported; what the network itself cuts off is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hil.core.arrays import Array
from hil.harness.model import REPAIRS
from hil.harness.optimize.activation_ranges import set_activation_ranges
from hil.harness.optimize.clipped_outputs import clipped_outputs
from hil.harness.optimize.keras.keras2 import import_keras
from hil.harness.optimize.quantization_aware import make_quantization_aware

SAMPLES = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)


def scaled(factor: float, *behind: Any, activation: str = "linear") -> Any:
    """A quantized network whose last dense layer gives the four inputs, times a factor; its range is -6 to 6."""
    keras = import_keras()
    layers = keras.layers
    dense = layers.Dense(4, activation=activation, name="dense")
    network = keras.Sequential([layers.Input((4,)), dense, *behind])
    dense.set_weights([factor * np.eye(4), np.zeros(4)])
    return make_quantization_aware(network, "qat", REPAIRS)


def lines(network: Any, samples: Array = SAMPLES) -> list[str]:
    return clipped_outputs(network, [samples])


def test_an_output_that_leaves_its_range_is_named_with_its_share() -> None:
    share = round(100 * float(np.mean(np.abs(20 * SAMPLES) > 6)))
    told = f"{share} % of its values on the calibration samples lie outside its range -6 to 6"
    assert lines(scaled(20)) == [f"output dense: {told}"]
    flat = import_keras().layers.Reshape((2, 2), name="image")
    assert lines(scaled(20, flat)) == [f"output image: {told}"]


def test_rare_values_that_matter_are_reported() -> None:
    samples = np.concatenate([SAMPLES, [[95, 95, 95, 95]]]).astype(np.float32)
    (line,) = lines(scaled(1), samples)
    assert line.startswith("output dense: less than 1 % of its values")


def test_an_output_within_its_range_or_hardly_outside_is_no_line() -> None:
    assert lines(scaled(1)) == []
    assert lines(scaled(2.5)) == []  # 2 % of the values, an error of 5 % of the standard deviation
    calibrated = scaled(20)
    set_activation_ranges(calibrated, [SAMPLES])
    assert lines(calibrated) == []


@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
def test_a_squashing_activation_wants_to_be_clipped(activation: str) -> None:
    layers = import_keras().layers
    assert lines(scaled(20, activation=activation)) == []
    assert lines(scaled(20, layers.Activation(activation))) == []


def test_a_relu6_wants_to_be_clipped() -> None:
    assert lines(scaled(20, import_keras().layers.ReLU(6.0))) == []


def test_scores_that_the_range_makes_equal_are_reported() -> None:
    for network in (scaled(20, import_keras().layers.Softmax(name="scores")), scaled(20, activation="softmax")):
        (line,) = lines(network)
        assert "of its values before the activation on the calibration samples lie outside its range -6 to 6" in line


def test_each_of_several_outputs_is_judged_by_its_own_range() -> None:
    keras = import_keras()
    layers = keras.layers
    given = layers.Input((4,))
    fine, wide = layers.Dense(4, name="fine"), layers.Dense(4, name="wide")
    network = keras.Model(given, [fine(given), wide(given)])
    for layer, factor in ((fine, 1), (wide, 20)):
        layer.set_weights([factor * np.eye(4), np.zeros(4)])
    (line,) = lines(make_quantization_aware(network, "qat", REPAIRS))
    assert line.startswith("output wide: ")


def test_a_network_without_quantization_has_no_ranges() -> None:
    keras = import_keras()
    assert lines(keras.Sequential([keras.layers.Dense(4, input_shape=(4,))])) == []
