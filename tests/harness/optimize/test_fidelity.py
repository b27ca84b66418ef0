"""Fidelity: an int8 file that is another function than its Keras model is refused, and the first such layer named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hil.core.errors import ConvertError
from hil.harness.model import REPAIRS, FineTune
from hil.harness.optimize import steps
from hil.harness.optimize.conversion import _converter, to_tflite
from hil.harness.optimize.fidelity import Fidelity, measure_fidelity, shortfall
from hil.harness.optimize.keras.flat_graph import LayerCopies, replay
from hil.harness.optimize.keras.keras2 import import_keras, quiet, seeded
from hil.harness.optimize.layer_fidelity import check_fidelity
from hil.harness.optimize.layers import weight_name
from hil.harness.optimize.quantization_aware import make_quantization_aware, with_default_quantizers
from hil.harness.optimize.training import LearningGoal, TrainingPlan, fit
from tests.harness.optimize.conftest import normalized, trained

CALIBRATION = 20


def residual() -> Any:
    """Convolutions that the converter fuses with batch normalization and ReLU, and a sum."""
    keras = import_keras()
    layers = keras.layers
    image = layers.Input((8, 8, 1), name="image")
    x = normalized(layers.Conv2D(16, 3, padding="same", use_bias=False, name="conv")(image), "conv")
    y = normalized(layers.Conv2D(16, 3, padding="same", use_bias=False, name="left")(x), "left")
    y = layers.Conv2D(16, 3, padding="same", name="right")(y)
    x = layers.ReLU(name="sum_relu")(layers.Add(name="sum")([x, y]))
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    return keras.Model(image, layers.Dense(4, name="logits")(x))


def dense(*outer: Any, units: int = 16) -> Any:
    """Dense layers on 16 numbers, with the given last layers."""
    keras = import_keras()
    hidden = [keras.layers.Dense(units, activation="relu", name="hidden", input_shape=(16,))]
    return keras.Sequential([*hidden, *outer])


@pytest.fixture(scope="module")
def base(data: steps.Samples) -> Any:
    with seeded(3):
        return trained(residual(), data)


@pytest.fixture(scope="module")
def ptq_db(base: Any, data: steps.Samples) -> float:
    int8 = to_tflite(base, "ptq", [data.x[0][:CALIBRATION]])
    return check_fidelity(int8, base, data.x, "ptq", None).sqnr_db


def altered(model: Any, skip: str = "") -> Any:
    """A copy of a model, without the layer `skip`."""
    copies = LayerCopies()
    with quiet():
        made = replay(
            model, lambda layer, name, given, more: given[0] if name == skip else copies(layer, name, given, more)
        )
        copies.fill()
    return made


def reweighted(model: Any, name: str, weight: str, change: Callable[[Any], Any]) -> Any:
    """A copy of a model with another weight in a layer."""
    made = altered(model)
    variable = next(v for v in made.get_layer(name).weights if weight_name(v) == weight)
    variable.assign(change(variable.numpy()))
    return made


BROKEN: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "ReLU dropped": ("conv_relu", lambda model: altered(model, "conv_relu")),
    "later ReLU dropped": ("sum_relu", lambda model: altered(model, "sum_relu")),
    # fused with its convolution, which comes first
    "normalization skipped": ("left", lambda model: altered(model, "left_bn")),
    "scale doubled": ("left", lambda model: reweighted(model, "left_bn", "gamma", lambda v: 2 * v)),
    "channels reversed": ("conv", lambda model: reweighted(model, "conv", "kernel", lambda v: v[..., ::-1])),
    "padding on the wrong side": (
        "conv",
        lambda model: reweighted(model, "conv", "kernel", lambda v: np.roll(v, 1, 1)),
    ),
    "sign lost": ("logits", lambda model: reweighted(model, "logits", "kernel", lambda v: -v)),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_is_refused_and_its_layer_named(base: Any, ptq_db: float, data: steps.Samples, kind: str) -> None:
    layer, broken = BROKEN[kind]
    int8 = to_tflite(broken(base), "ptq", [data.x[0][:CALIBRATION]])
    with pytest.raises(ConvertError, match=rf"prune: .* another function .*; first layer that differs: {layer}$"):
        check_fidelity(int8, base, data.x, "prune", ptq_db)


def test_ptq_itself_must_reach_the_floor(base: Any, data: steps.Samples) -> None:
    int8 = to_tflite(altered(base, "conv_relu"), "ptq", [data.x[0][:CALIBRATION]])
    with pytest.raises(ConvertError, match=r"ptq: .* dB, at least 6 are needed, of signal to noise"):
        check_fidelity(int8, base, data.x, "ptq", None)


def aware(network: Any, data: steps.Samples, loss: str = "logits") -> Any:
    """Stock quantization-aware training of a network."""
    with seeded(3):
        made = make_quantization_aware(network, "qat", REPAIRS)
        fit(made, data, TrainingPlan(FineTune(2, 1e-3), 32, 0, LearningGoal(loss)))
        return with_default_quantizers(made, REPAIRS)


def test_the_relu_that_tensorflow_drops_is_kept_and_its_loss_is_seen(data: steps.Samples) -> None:
    keras = import_keras()
    layers = keras.layers
    image = layers.Input((8, 8, 1))
    x = layers.Conv2D(16, 3, use_bias=False, name="conv")(image)
    x = layers.ReLU(name="relu")(layers.BatchNormalization(trainable=False, name="untouched")(x))
    network = keras.Model(image, layers.Dense(4)(layers.GlobalAveragePooling2D()(x)))
    model = aware(network, data)
    before = [value.copy() for value in model.get_weights()]
    kept = measure_fidelity(to_tflite(model, "qat", data.x), model, [data.x[0][:64]])
    assert kept.steps[0] < 1
    assert all(np.array_equal(one, other) for one, other in zip(before, model.get_weights(), strict=True))
    with quiet():
        dropped = bytes(_converter(model, "qat", data.x, None).convert())
    with pytest.raises(ConvertError, match=r"qat: .*, ptq has 40.0 dB, .* first layer that differs: relu$"):
        check_fidelity(dropped, model, data.x, "qat", 40.0)


def numbers() -> Any:
    return np.random.default_rng(0).normal(size=(320, 16)).astype(np.float32)


def test_a_bias_is_missed_where_the_outputs_have_a_large_mean() -> None:
    x = [numbers()[:64]]
    with seeded(0):
        network = dense(import_keras().layers.Dense(1, name="out"))
    network.get_layer("out").bias.assign([10.0])
    int8 = to_tflite(network, "ptq", x)
    healthy = check_fidelity(int8, network, x, "ptq", None)
    assert 20 < healthy.sqnr_db < 40, "the mean of 10 is no signal: with it, the figure were 20 dB higher"
    lost = to_tflite(reweighted(network, "out", "bias", np.zeros_like), "ptq", x)
    with pytest.raises(ConvertError, match=r"first layer that differs: out$"):
        check_fidelity(lost, network, x, "prune", healthy.sqnr_db)


def test_noise_within_a_step_is_no_other_function_however_small_the_signal() -> None:
    x = [numbers()]
    few = [x[0][:CALIBRATION]]
    layers = import_keras().layers
    many = dense(layers.Dense(300), layers.Softmax())  # 1/300 lies below the step of 1/256
    constant = dense(layers.Dense(4, kernel_initializer="zeros"))
    for network in (many, constant):
        int8 = to_tflite(network, "ptq", few)
        found = check_fidelity(int8, network, x, "ptq", None)
        assert found.steps[0] < 1
    found = check_fidelity(to_tflite(many, "int16x8", few), many, x, "int16x8", 0.0)
    assert found.steps[0] < 1


def test_stock_ranges_much_wider_than_the_values_are_no_other_function(data: steps.Samples) -> None:
    small = steps.Samples(data.x[0] * np.float32(0.02), data.y)
    model = aware(residual(), small)
    check_fidelity(to_tflite(model, "qat", small.x), model, small.x, "qat", 40.0)


@pytest.mark.parametrize("way", ["ptq", "npu_ptq", "int16x8", "litert_ptq", "litert_int16x8"])
def test_a_healthy_file_is_accepted(base: Any, ptq_db: float, data: steps.Samples, way: str) -> None:
    model = steps.apply("fold", base, data, None) if way == "npu_ptq" else base  # type: ignore[arg-type]
    found = check_fidelity(to_tflite(model, way, [data.x[0][:CALIBRATION]]), model, data.x, way, ptq_db)
    assert found.sqnr_db > 25
    assert found.samples == 64


def test_the_rule() -> None:
    def rule(db: float, ptq_db: float | None, steps: float = 10.0) -> str:
        return shortfall(Fidelity((50.0, db), (0.3, steps), 64), ptq_db)

    assert rule(5.9, None) == "5.9 dB, at least 6 are needed"
    assert rule(6.1, None) == ""
    assert rule(19.9, 40.0) == "19.9 dB, ptq has 40.0 dB"
    assert rule(20.1, 40.0) == ""
    assert rule(7.0, -23.8) == "", "where ptq's own noise is within a step, the floor holds"
    assert rule(5.0, -23.8) == "5.0 dB, at least 6 are needed"
    assert rule(-20.0, 40.0, steps=0.9) == ""
