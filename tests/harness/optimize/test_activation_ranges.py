"""Ranges with which quantization-aware training begins: those of the float activations, wherever they are quantized."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hil.core.arrays import Array
from hil.core.errors import BadInputError
from hil.harness.model import REPAIRS
from hil.harness.optimize.activation_ranges import BATCH, ActivationRange, run_in_float, set_activation_ranges
from hil.harness.optimize.batchnorm_folding import fold
from hil.harness.optimize.keras.keras2 import import_keras, import_tfmot, seeded
from hil.harness.optimize.layers import unwrap, weight_name
from hil.harness.optimize.quantization_aware import make_quantization_aware
from tests.support.night import some_by_day

IMAGES = 3 * np.random.default_rng(0).normal(size=(3 * BATCH + 5, 8, 8, 2)).astype(np.float32)
VECTORS = IMAGES[:, 0, :3].reshape(-1, 6)


def ranges(aware: Any) -> dict[str, tuple[float, float]]:
    """Layer -> its activation range, by the variables' names, not by the code under test; "input" for an input."""
    found: dict[str, tuple[float, float]] = {}
    for outer in aware.layers:
        values = {weight_name(v): float(np.max(v.numpy())) for v in outer.weights if "kernel" not in v.name}
        name = "input" if type(outer).__name__ == "QuantizeLayer" else unwrap(outer).name
        places = [place.removesuffix("_min") for place in values if place.endswith("_min")]
        if places:
            (place,) = places
            found[name] = values[f"{place}_min"], values[f"{place}_max"]
    return found


def calibrated(network: Any, samples: Array, technique: str = "qat") -> dict[str, tuple[float, float]]:
    aware = make_quantization_aware(network, technique, REPAIRS)
    set_activation_ranges(aware, [samples])
    return ranges(aware)


def extremes(*values: Array) -> tuple[float, float]:
    return min(0.0, *(float(x.min()) for x in values)), max(0.0, *(float(x.max()) for x in values))


def every_kind() -> Any:
    """A network with each kind of layer that TFMOT quantizes, fused and separate activations, and three outputs."""
    keras = import_keras()
    layers = keras.layers
    with seeded(1):
        x = image = layers.Input((8, 8, 2), name="image")
        x = layers.Conv2D(8, 3, use_bias=False, name="normalized")(x)
        x = layers.ReLU(name="normalized_relu")(layers.BatchNormalization(name="bn")(x))
        x = layers.ReLU(6.0, name="dw_relu6")(layers.DepthwiseConv2D(3, padding="same", name="dw")(x))
        x = layers.Conv2D(8, 1, activation="relu", name="fused")(x)
        bare = layers.Conv2D(8, 1, use_bias=False, name="bare")(x)
        x = layers.Add(name="add")([layers.BatchNormalization(name="alone")(bare), x])
        y = layers.Activation("relu", name="sum_relu")(layers.Add(name="sum")([x, layers.Conv2D(8, 1, name="arm")(x)]))
        x = layers.Concatenate(name="joined")([x, layers.Conv2D(4, 1, name="left")(y), y])
        x = layers.LeakyReLU(0.1, name="leaky")(layers.UpSampling2D(name="larger")(x))
        x = layers.Conv2DTranspose(4, 3, name="transposed")(layers.MaxPooling2D()(x))
        x = layers.AveragePooling2D(name="pooled")(layers.ZeroPadding2D()(x))
        mean = layers.GlobalAveragePooling2D(name="mean")(x)
        scores = layers.Softmax()(layers.Dense(3, name="scores")(layers.Dropout(0.2)(layers.Flatten()(x))))
        hidden = layers.Dense(6, name="hidden")(mean)
        gate = layers.Dense(2, activation="sigmoid", name="gate")(layers.ReLU(name="hidden_relu")(hidden))
        return keras.Model(image, [scores, gate, layers.Dense(2, activation="tanh", name="squashed")(mean)])


FUSED_BEHIND = {"bare": "alone", "normalized": "normalized_relu", "hidden": "hidden_relu", "sum": "sum_relu"}
"""Layer whose output TFMOT does not quantize -> the layer behind it whose output it does."""


@pytest.mark.parametrize("technique", [pytest.param("qat", marks=pytest.mark.nightly), "pqat"])
def test_ranges_are_those_of_the_float_activations_for_every_kind_of_layer(technique: str) -> None:
    network = every_kind()
    if technique == "pqat":  # which does not take a transposed convolution
        network = import_keras().Model(network.inputs, network.get_layer("leaky").output)
    probe = import_keras().Model(network.inputs, [layer.output for layer in network.layers])
    values = dict(zip([layer.name for layer in network.layers], probe.predict(IMAGES, verbose=0), strict=True))
    found = calibrated(network, IMAGES, technique)
    for layer in network.layers:
        if layer.name in FUSED_BEHIND:
            assert layer.name not in found
            assert FUSED_BEHIND[layer.name] in found
    for name, (low, high) in found.items():
        expected = values["image" if name == "input" else name].astype(np.float64)
        if name == "gate":  # the quantization is before its sigmoid, as is that before a tanh
            expected = np.log(expected / (1 - expected))
        if name == "squashed":
            expected = np.arctanh(expected)
        assert (low, high) == pytest.approx(extremes(expected), rel=1e-4, abs=1e-6), name
    quantized = {
        "input",
        "normalized_relu",
        "dw_relu6",
        "fused",
        "alone",
        "add",
        "sum_relu",
        "joined",
        "larger",
        "leaky",
    }
    assert quantized <= found.keys()


def test_the_halves_of_a_separable_convolution_that_tfmot_splits_have_ranges_of_their_own() -> None:
    keras = import_keras()
    with seeded(2):
        network = keras.Sequential(
            [keras.layers.SeparableConv2D(4, 3, activation="relu", input_shape=(8, 8, 2), name="separable")]
        )
    depthwise, pointwise, bias = network.get_weights()
    first = keras.layers.DepthwiseConv2D(3, use_bias=False, weights=[depthwise])(IMAGES).numpy()
    second = keras.layers.Conv2D(4, 1, activation="relu", weights=[pointwise, bias])(first).numpy()
    _, *found = calibrated(network, IMAGES).values()
    assert found == [pytest.approx(extremes(values), rel=1e-5) for values in (first, second)]


@pytest.mark.parametrize("technique", some_by_day(("qat", "pqat", "cqat", "pcqat", "npu_pcqat"), ("qat", "npu_pcqat")))
def test_every_scheme_gives_the_same_ranges_and_changes_nothing_else(tree: Any, technique: str) -> None:
    network = tree.model(("fold",)) if technique.startswith("npu_") else tree.model(())
    aware = make_quantization_aware(network, technique, REPAIRS)
    before = {v.name: v.numpy() for v in aware.weights}
    trainable = [v.name for v in aware.trainable_variables]
    set_activation_ranges(aware, tree.data.x)
    assert [v.name for v in aware.weights] == list(before)
    assert [v.name for v in aware.trainable_variables] == trainable
    changed = {v.name for v in aware.weights if not np.array_equal(v.numpy(), before[v.name])}
    assert all(name.endswith(("_min:0", "_max:0")) and "kernel" not in name for name in changed)
    assert len(changed) >= 2 + 3 + 1 + 2  # both ends of the input and the logits, the upper one of ReLUs and their mean
    logits = network.predict(tree.data.x[0], verbose=0)
    assert ranges(aware)["logits"] == pytest.approx(extremes(logits), rel=1e-4)


def test_a_layer_that_is_called_twice_and_several_inputs() -> None:
    keras = import_keras()
    layers = keras.layers
    left, right = (layers.Input((6,), name=name) for name in ("left", "right"))
    shared = layers.Dense(5, activation="relu", name="shared")
    network = keras.Model([left, right], layers.Dense(2)(layers.Concatenate()([shared(left), shared(right)])))
    given = [VECTORS, 5 * VECTORS]
    aware = make_quantization_aware(network, "qat", REPAIRS)
    set_activation_ranges(aware, given)
    assert ranges(aware)["shared"] == pytest.approx(extremes(*(shared(x).numpy() for x in given)), rel=1e-5)
    entries = [layer for layer in aware.layers if type(layer).__name__ == "QuantizeLayer"]
    found = [tuple(float(v) for v in layer.get_weights() if v.dtype == np.float32) for layer in entries]
    assert found == [pytest.approx(extremes(x)) for x in given]


def test_a_constant_includes_zero_and_zeros_alone_stay_as_they_were() -> None:
    keras = import_keras()
    layers = keras.layers
    network = keras.Sequential([layers.Input((6,)), layers.Dense(3, name="constant"), layers.Dense(3, name="zeros")])
    network.get_layer("constant").set_weights([np.zeros((6, 3)), np.full(3, 7.0)])
    network.get_layer("zeros").set_weights([np.zeros((3, 3)), np.zeros(3)])
    found = calibrated(network, VECTORS)
    assert found["constant"] == (0.0, 7.0)
    assert found["zeros"] == (-6.0, 6.0)


@pytest.mark.parametrize(("value", "layer"), [(np.nan, "given"), (np.inf, "given"), (None, "wild")])
def test_a_value_that_is_not_finite_names_its_layer(value: float | None, layer: str) -> None:
    keras = import_keras()
    layers = keras.layers
    network = keras.Sequential([layers.Input((6,), name="given"), layers.Dense(3, name="wild"), layers.Dense(3)])
    samples = VECTORS.copy()
    if value is None:
        network.get_layer("wild").set_weights([np.full((6, 3), 3e38), np.zeros(3)])
    else:
        samples[-1, 2] = value
    with pytest.raises(BadInputError, match=f"layer {layer}: its values on the calibration samples are not all finite"):
        calibrated(network, samples)


def test_the_network_runs_in_float_batch_by_batch_and_tfmot_is_as_it_was() -> None:
    import_tfmot()
    from tensorflow_model_optimization.python.core.quantization.keras import quantizers

    before = quantizers.MovingAverageQuantizer.__call__
    network = fold(every_kind())
    aware = make_quantization_aware(network, "npu_pcqat", REPAIRS)
    sizes = []

    def observe(at: ActivationRange, values: Array) -> Array:
        sizes.append(len(values))
        return values

    batches = list(run_in_float(aware, [IMAGES], observe))
    assert {len(batch[0]) for batch in batches} == set(sizes) == {BATCH, 5}
    for place, expected in enumerate(network.predict(IMAGES, verbose=0)):
        assert np.concatenate([batch[place] for batch in batches]) == pytest.approx(expected, abs=1e-5)
    assert quantizers.MovingAverageQuantizer.__call__ is before
