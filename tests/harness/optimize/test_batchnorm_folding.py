"""Models made flat and folded: the same outputs, the same weights elsewhere, and a line for what is left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hil.core.errors import OptimizeError
from hil.harness.optimize import batchnorm_folding, npu_rules, steps
from hil.harness.optimize.batchnorm_folding import fold
from hil.harness.optimize.equalization import equalize
from hil.harness.optimize.keras.flat_graph import flatten_model, random_inputs
from hil.harness.optimize.keras.keras2 import import_keras, seeded
from hil.harness.optimize.quantization_aware import make_quantization_aware


def unsettled(model: Any) -> Any:
    """Statistics, scales and biases as a training leaves them; those that Keras begins with would hide mistakes."""
    random = np.random.default_rng(1)
    for layer in model.layers:
        if hasattr(layer, "layers"):
            unsettled(layer)
        elif type(layer).__name__ == "BatchNormalization":
            layer.set_weights([random.uniform(0.1, 3.0, weight.shape) for weight in layer.get_weights()])
        elif getattr(layer, "use_bias", False):
            *kernels, bias = layer.get_weights()
            layer.set_weights([*kernels, random.normal(size=bias.shape)])
    return model


def outputs(model: Any) -> Any:
    return np.asarray(model(random_inputs(model)[0], training=False))


def kinds(model: Any) -> list[str]:
    return [type(layer).__name__ for layer in model.layers]


def two(shape: tuple[int, ...], *layers: Any) -> Any:
    keras = import_keras()
    with seeded(0):
        return unsettled(keras.Sequential([keras.layers.Input(shape), *layers]))


def test_every_kind_of_layer_takes_its_batch_normalization() -> None:
    layers = import_keras().layers
    normalized = layers.BatchNormalization
    cases = {
        "Conv2D": two((9, 8, 3), layers.Conv2D(5, 3, strides=2, name="a"), normalized(), layers.ReLU()),
        "DepthwiseConv2D": two((9, 8, 3), layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False), normalized()),
        "Conv2DTranspose": two((5, 4, 3), layers.Conv2DTranspose(6, 3, strides=2), normalized(scale=False)),
        "Conv1D": two((12, 3), layers.Conv1D(4, 3), normalized(center=False), layers.Activation("relu")),
        "Dense": two((7,), layers.Dense(4), normalized(), layers.ReLU()),
    }
    for kind, model in cases.items():
        folded = fold(model)
        assert kinds(folded) == ["InputLayer", *({"Conv1D": ["Reshape", "Conv2D", "Reshape"]}.get(kind, [kind]))], kind
        assert np.allclose(outputs(folded), outputs(model), atol=1e-5), kind


def test_a_separable_convolution_is_split_so_that_its_pointwise_half_can_be_pruned() -> None:
    layers = import_keras().layers
    separable = layers.SeparableConv2D(300, 3, depth_multiplier=2, name="sep")
    model = two((9, 8, 3), separable, layers.BatchNormalization(), layers.ReLU())
    folded = fold(model)
    assert [layer.name for layer in folded.layers[1:]] == ["sep_depthwise", "sep"]
    assert np.allclose(outputs(folded), outputs(model), atol=1e-5)
    assert npu_rules.pruned_layers(folded, steps.Recipe()) == {"sep"}
    assert "layer sep: split into a depthwise and a pointwise convolution" in npu_rules.step_notes(
        "fold", model, folded, steps.Recipe()
    )


def test_what_cannot_be_folded_is_left_and_said() -> None:
    keras = import_keras()
    layers = keras.layers
    image = layers.Input((8, 8, 3))
    before = layers.BatchNormalization(axis=1, name="before")(image)
    shared = layers.Conv2D(4, 3, name="shared")(before)
    after = layers.BatchNormalization(name="after")(shared)
    x = layers.Add()([shared, layers.ReLU(6.0, name="six")(after)])
    x = layers.ReLU(6.0, name="limited")(layers.BatchNormalization(name="folds")(layers.Conv2D(4, 1, name="c")(x)))
    model = unsettled(keras.Model(image, x))
    folded = fold(model)
    assert [layer.name for layer in folded.layers if "Batch" in type(layer).__name__] == ["before"]
    assert "limited" in [layer.name for layer in folded.layers]  # a ReLU6 stays a layer of its own
    lines = npu_rules.step_notes("fold", model, folded, steps.Recipe())
    assert "2 of 3 batch normalizations folded" in lines
    assert "layer before: batch normalization with no convolution or dense layer of its own before it, left" in lines
    assert np.allclose(outputs(folded), outputs(model), atol=1e-5)


def test_a_wrong_fold_is_an_error_that_names_the_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = import_keras().layers
    model = two((9, 8, 3), layers.Conv2D(5, 3, name="conv"), layers.BatchNormalization())
    right = batchnorm_folding._fill

    def wrong(found: Any, copy: Any) -> None:
        right(found, copy)
        kernel, bias = copy.get_weights()
        copy.set_weights([kernel * 1.001, bias])

    monkeypatch.setattr(batchnorm_folding, "_fill", wrong)
    with pytest.raises(OptimizeError, match="layer conv, folded: on random inputs the output differs by"):
        fold(model)


def test_models_inside_a_model_become_its_layers() -> None:
    keras = import_keras()
    layers = keras.layers
    with seeded(0):
        inner = keras.Sequential([layers.Input((8, 8, 3)), layers.Conv2D(4, 3, name="conv")], name="first")
        image = layers.Input((6, 6, 4))
        skip = keras.Model(image, layers.Add()([image, layers.Conv2D(4, 1, name="conv")(image)]), name="skip")
        outer = layers.Input((8, 8, 3), name="image")
        model = keras.Model(outer, layers.Dense(2)(layers.Flatten()(skip(skip(inner(outer))))), name="outer")
    made = flatten_model(unsettled(model))
    assert not any(hasattr(layer, "layers") for layer in made.layers)
    names = [layer.name for layer in made.layers]
    assert names.count("conv") == names.count("skip_conv") == 1  # called twice, one layer all the same
    assert np.array_equal(outputs(made), outputs(model))
    assert "model skip: replaced by its own layers" in npu_rules.step_notes("fold", model, made, steps.Recipe())


TOWERS: dict[str, Callable[[Any], list[Any]]] = {
    "norm first": lambda layers: [layers.BatchNormalization(), layers.Conv2D(4, 3)],
    "convolution, norm, ReLU": lambda layers: [layers.Conv2D(4, 3), layers.BatchNormalization(), layers.ReLU()],
    "depthwise, norm": lambda layers: [layers.DepthwiseConv2D(3), layers.BatchNormalization()],
    "convolution, ReLU, norm": lambda layers: [layers.Conv2D(4, 3), layers.ReLU(), layers.BatchNormalization()],
    "dense, norm": lambda layers: [layers.Flatten(), layers.Dense(4), layers.BatchNormalization()],
}


@pytest.mark.parametrize("tower", TOWERS)
@pytest.mark.parametrize("technique", ["qat", "pcqat"])
def test_batch_normalization_that_two_inputs_share_is_quantized(tower: str, technique: str) -> None:
    """As in a Siamese network.  TFMOT matches no layer that is called twice, and refuses the normalization there."""
    keras = import_keras()
    layers = keras.layers
    with seeded(0):
        shared = keras.Sequential([layers.Input((8, 8, 3)), *TOWERS[tower](layers)])
        left, right = layers.Input((8, 8, 3)), layers.Input((8, 8, 3))
        apart = layers.Flatten()(layers.Subtract()([shared(left), shared(right)]))
        model = unsettled(keras.Model([left, right], layers.Dense(2)(apart)))
    start = steps.starting_network(model, technique)
    given = random_inputs(model)
    assert np.allclose(start(given, training=False), model(given, training=False), atol=1e-5)
    make_quantization_aware(start, technique, steps.Recipe().repairs)


def test_equal_ranges_change_no_output_and_stop_where_a_scale_cannot_pass() -> None:
    keras = import_keras()
    layers = keras.layers
    spread = np.geomspace(0.01, 1, 8).astype(np.float32)
    with seeded(0):
        model = keras.Sequential(
            [
                layers.Input((8, 8, 3)),
                layers.Conv2D(8, 3, activation="relu", name="a"),
                layers.Dropout(0.1),
                layers.DepthwiseConv2D(3, depth_multiplier=2, activation="relu", name="b"),
                layers.MaxPooling2D(),
                layers.Conv2DTranspose(6, 3, name="c"),
                layers.ReLU(6.0),
                layers.Conv2D(8, 1, activation="relu", name="d"),
                layers.GlobalAveragePooling2D(),
                layers.Dense(4, name="e"),
            ]
        )
    kernel, bias = model.get_layer("a").get_weights()
    model.get_layer("a").set_weights([kernel * spread, bias + 0.1])
    expected = outputs(model)
    assert equalize(model) == [("a", "b"), ("b", "c"), ("d", "e")]  # c gives to a ReLU6
    assert np.array_equal(outputs(model), expected)
    ranges = np.abs(model.get_layer("a").get_weights()[0]).max(axis=(0, 1, 2))
    assert ranges.max() / ranges.min() < 10 < (spread.max() / spread.min())
