"""Keras 3 models: a converted model computes the same under Keras 2; an unsupported one is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hil.core.errors import OptimizeError
from hil.core.tflite.weights import read_tflite
from hil.harness.optimize.conversion import to_tflite
from hil.harness.optimize.keras import keras3
from hil.harness.optimize.keras.any_format import read_network
from hil.harness.optimize.keras.keras2 import import_keras, import_tensorflow
from hil.harness.optimize.network_check import check_network

from .keras3_models import RANDOM, SHAPE, L, X, chain, keras, same, settled


def residual() -> Any:
    """Models inside models, one of them called twice and once with frozen statistics; a sum by `+`; two outputs."""
    block = keras.Sequential([L.Input((8, 8, 4)), L.Conv2D(4, 3, padding="same", name="conv"), L.BatchNormalization()])
    inside = L.Input((8, 8, 4))
    outer = keras.Model(inside, L.Concatenate()([block(inside, training=False), inside]), name="outer")
    image = L.Input(SHAPE, name="image")
    x = L.Conv2D(4, 1, name="conv", activation="relu6", kernel_regularizer="l2")(image)
    x = keras.ops.relu(block(x) + x)
    x = L.GlobalAveragePooling2D()(outer(x))
    return settled(keras.Model(image, [L.Dense(4, name="logits")(x), L.Softmax()(x)], name="residual"))


def test_models_inside_the_model_vanish_and_the_outputs_stay() -> None:
    model = residual()
    network = keras3.rebuild(model)
    for expected, given in zip(model.predict(X, verbose=0), network.predict(X, verbose=0), strict=True):
        assert np.allclose(expected, given, rtol=2**-21, atol=1e-5)  # some ulps of float32: logits are around 50
    assert isinstance(network, import_keras().Model)
    assert not any(hasattr(layer, "layers") for layer in network.layers)
    assert {"conv", "conv_relu6", "logits"} < {layer.name for layer in network.layers}
    assert sum("conv" in layer.name and bool(layer.weights) for layer in network.layers) == 2
    assert len(network.losses) == 1
    assert network.count_params() == model.count_params()


def test_frozen_statistics_stay_frozen() -> None:
    """`block(x, training=False)`, as in transfer learning, holds for the layers of the block."""
    block = keras.Sequential([L.Input(SHAPE), L.BatchNormalization()])
    network = keras3.rebuild(settled(on_image(lambda x: block(x, training=False))))
    assert np.array_equal(network(X, training=True), network(X, training=False))


def test_augmentation_that_keras2_lacks_is_noted_and_the_rest_trains() -> None:
    network = keras3.rebuild(chain(L.RandomErasing(name="erase"), L.RandomFlip(name="flip"), L.Dense(2)))
    assert keras3.rebuilding_notes(network) == [
        "layer erase (RandomErasing): Keras 2 has no such augmentation, left out"
    ]
    many = np.repeat(X, 20, axis=0)  # of few samples a drawn flip may turn none
    assert not np.array_equal(network(many, training=True), network(many, training=False))


AROUND = ((0, 0), (1, 1), (1, 1), (0, 0))
OPERATIONS: dict[str, Callable[[Any], Any]] = {
    "numbers": lambda x: (2 - x * 3) / 4 + (1 / (x * x + 1)) ** 2 - np.array([1, 2, 3], "float32"),
    "ranks": lambda x: x * keras.ops.mean(x, axis=(1, 2), keepdims=True) + keras.ops.max(x, axis=-1)[..., None],
    "slices": lambda x: x[:, 1:, ::2, 0],
    "joined": lambda x: keras.ops.concatenate([x, keras.ops.flip(x, 1), keras.ops.tile(x, (1, 1, 1, 2))], axis=-1),
    "split": lambda x: keras.ops.stack([*keras.ops.split(x, [2, 4], axis=2)[:2], x[:, :, 6:]], axis=1),
    "padded": lambda x: keras.ops.pad(
        keras.ops.pad(x, ((0, 0), (1, 0), (0, 2), (0, 0))), ((0, 0), (1, 1), (1, 1), (0, 0)), "reflect"
    ),
    "axes": lambda x: keras.ops.moveaxis(keras.ops.swapaxes(keras.ops.transpose(x, (0, 2, 1, 3)), 1, 3), 1, 2),
    "shapes": lambda x: keras.ops.squeeze(keras.ops.expand_dims(keras.ops.reshape(x, (-1, 64, 3)), 1), 1),
    "samples": lambda x: keras.ops.reshape(keras.ops.transpose(x, (1, 0, 2, 3)), (-1, 8, 3)),
    "pooled": lambda x: keras.ops.average_pool(keras.ops.max_pool(x, 3, 1, "same"), 2),
    "clipped": lambda x: keras.ops.clip(keras.ops.relu6(x) - 1, -0.5, 0.7),
    "activated": lambda x: keras.ops.hard_silu(keras.ops.gelu(keras.ops.leaky_relu(x, 0.1))) + keras.ops.hard_tanh(x),
    "products": lambda x: keras.ops.matmul(x, keras.ops.swapaxes(x, 2, 3)) + keras.ops.cast(1, "float32"),
    "roots": lambda x: keras.ops.sqrt(keras.ops.exp(-keras.ops.square(x))) + keras.ops.softmax(keras.ops.absolute(x)),
}


@pytest.mark.parametrize("kind", OPERATIONS)
def test_functions_of_keras_ops_compute_the_same_and_stay_in_files(kind: str, tmp_path: Path) -> None:
    model = on_image(lambda x: OPERATIONS[kind](L.Dense(3)(x)))
    network = keras3.rebuild(model)
    assert same(model, network)
    assert network.output_names == model.output_names
    check_network(network)
    model.save(tmp_path / "net.keras")
    assert same(model, read_network(tmp_path / "net.keras"))


def test_hard_silu_becomes_one_operator() -> None:
    network = keras3.rebuild(chain(L.Conv2D(4, 3, activation="hard_silu"), L.Flatten(), L.Dense(2)))
    assert "HARD_SWISH" in [operator.kind for operator in read_tflite(to_tflite(network, "ptq", [X]))]


def test_layers_of_ones_own_become_what_they_call() -> None:
    """Also one inside another, inside a model, and called twice: the weights are those of the layers inside."""

    class Block(keras.layers.Layer):  # type: ignore[misc]
        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            self.conv, self.norm = L.Conv2D(3, 3, padding="same"), L.BatchNormalization()

        def call(self, x: Any, training: Any = None) -> Any:
            y = self.norm(self.conv(x), training=training)
            return keras.ops.relu6(y) + (keras.random.normal(keras.ops.shape(y)) if training else x)

    class Pair(keras.layers.Layer):  # type: ignore[misc]
        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            self.block = Block()

        def call(self, values: Any) -> Any:
            return keras.ops.concatenate([self.block(x) for x in values], axis=-1)

    inside = keras.Sequential([L.Input(SHAPE), Block(), L.Conv2D(3, 1)])
    model = settled(on_image(lambda x: Pair(name="pair")([inside(x), x + x])))
    network = keras3.rebuild(model)
    assert same(model, network)
    assert network.count_params() == model.count_params()


def test_outputs_and_inputs_keep_their_names_and_order() -> None:
    first, second = L.Input((8,), name="second"), L.Input((8,), name="first")
    head = keras.Sequential([L.Input((3,)), L.Dense(2, name="logits")], name="head")
    x = L.Dense(3, name="one")(keras.ops.concatenate([first, second], axis=-1))
    model = keras.Model([first, second], [head(x), keras.ops.relu(x), x])
    network = keras3.rebuild(model)
    assert network.input_names == ["second", "first"]
    assert network.output_names == model.output_names
    assert network.output_names[::2] == ["head", "one"]
    keyed = keras3.rebuild(keras.Model({"second": first, "first": second}, {"score": x, "box": head(x)}))
    assert keyed.input_names == ["first", "second"]
    assert keyed.output_names == ["box", "score"]


def test_a_functional_model_inside_may_give_the_output() -> None:
    inside = L.Input(SHAPE)
    base = keras.Model(inside, L.Conv2D(2, 1)(inside), name="base")
    model = on_image(base)
    assert same(model, keras3.rebuild(model))


def test_a_network_of_keras_applications() -> None:
    settings = {"input_shape": (32, 32, 3), "weights": None, "classes": 4, "classifier_activation": None}
    model = keras.applications.MobileNetV3Small(**settings, alpha=0.35)
    assert keras3.rebuild(model).count_params() == model.count_params()


LAYERS: dict[str, Callable[[], list[Any]]] = {
    "convolutions": lambda: [L.Conv2D(6, 3, groups=3, dilation_rate=2), L.Conv2D(4, 2, strides=2, padding="same")],
    "separable": lambda: [
        L.DepthwiseConv2D(3, depth_multiplier=2, activation="leaky_relu"),
        L.SeparableConv2D(4, 3, activation="silu"),
    ],
    "transposed": lambda: [L.Conv2DTranspose(4, 3, strides=2), L.Conv2DTranspose(4, 2, strides=3)],
    "normalizations": lambda: [L.BatchNormalization(scale=False), L.LayerNormalization(axis=[1, 2])],
    "groups": lambda: [L.GroupNormalization(3), L.UnitNormalization()],
    "by name": lambda: [
        *map(L.Activation, ("hard_silu", "hard_sigmoid", "mish", "log_softmax", "softplus")),
        *(L.Dense(3, activation="hard_swish"), L.Dense(3, activation=L.ReLU(2.0)), L.Activation(L.ELU())),
    ],
    "augmentation": lambda: [
        *(L.RandomFlip(), L.RandomRotation(0.1), L.RandomZoom(0.1), L.RandomTranslation(0.1, 0.1)),
        *(L.RandomContrast(0.1), L.RandomBrightness(0.1), L.RandomErasing(), L.RandomHue(0.5), L.Dense(2)),
    ],
    "activations": lambda: [L.ReLU(6, negative_slope=0.1, threshold=0.2), L.LeakyReLU(0.3), L.ELU(0.7), L.Softmax()],
    "named": lambda: [*map(L.Activation, ("relu6", "silu", "leaky_relu", "gelu")), L.PReLU(shared_axes=[1, 2])],
    "pooling": lambda: [L.MaxPooling2D(3, 2, padding="same"), L.AveragePooling2D(2), L.GlobalMaxPooling2D()],
    "shapes": lambda: [L.ZeroPadding2D(((1, 0), (2, 3))), L.Cropping2D(1), L.UpSampling2D(2, interpolation="bilinear")],
    "resizing": lambda: [L.Resizing(5, 9), L.Resizing(7, 4, interpolation="nearest", crop_to_aspect_ratio=True)],
    "preprocessing": lambda: [L.Rescaling(1 / 3, -0.5), L.Normalization(mean=[1, 2, 3], variance=[1, 2, 3])],
    "recurrent": lambda: [
        L.Reshape((8, 24)),
        L.Bidirectional(L.LSTM(3, return_sequences=True)),
        L.GRU(3, return_sequences=True),
        L.GRU(2, reset_after=False, go_backwards=True),
    ],
    "repeated": lambda: [L.TimeDistributed(L.Dense(4, activation="tanh")), L.Dropout(0.5), L.GaussianNoise(1.0)],
    "one dimension": lambda: [
        *(L.Permute((3, 1, 2)), L.Reshape((8, 24)), L.Conv1D(4, 3, padding="causal"), L.DepthwiseConv1D(2)),
        *(L.SeparableConv1D(3, 2), L.MaxPooling1D(), L.Flatten(), L.RepeatVector(2), L.SimpleRNN(3)),
    ],
}


@pytest.mark.parametrize("kind", LAYERS)
def test_the_usual_layers_compute_the_same(kind: str) -> None:
    model = chain(*LAYERS[kind]())
    assert same(model, keras3.rebuild(model))


def test_a_setting_that_keras_does_not_write_is_refused_and_never_left_out() -> None:
    """Keras 3.12, the last for Python 3.10, leaves `output_padding` out of configurations, and so out of files."""
    layer = L.Conv2DTranspose(4, 3, strides=2, output_padding=1)
    model = chain(layer)
    if "output_padding" in layer.get_config():
        assert same(model, keras3.rebuild(model))
    else:
        with pytest.raises(OptimizeError, match=r"conv2d_transpose.* cannot be rebuilt under tf_keras: its output has"):
            keras3.rebuild(model)


def test_what_a_normalization_learned_outlives_a_copy() -> None:
    """Techniques copy a model and set its weights; Keras 2 would then compute with the statistics of before."""
    layer = L.Normalization()
    layer.adapt(X * 3 + 1)
    model = keras.Sequential([L.Input(SHAPE), layer])
    network = keras3.rebuild(model)
    copy = import_keras().models.clone_model(network)
    copy.set_weights(network.get_weights())
    assert same(model, copy)


def test_words_and_several_inputs() -> None:
    words, number = L.Input((6,), dtype="int32"), L.Input((3,))
    x, state = L.GRU(3, return_state=True)(L.Embedding(11, 4)(words))
    model = settled(keras.Model([words, number], L.Dot(1)([L.Average()([x, state]), number])))
    assert same(model, keras3.rebuild(model), [RANDOM.integers(0, 11, (4, 6)), RANDOM.normal(size=(4, 3))])


def of_its_own(
    kind: str,
    function: Callable[[Any], Any] = lambda x: 2 * x,
    build: Callable[..., None] | None = None,
    **settings: Any,
) -> Any:
    """A layer or model of a user's own class, that computes `function`."""
    methods = {"call": lambda self, x: function(x)} | ({"build": build} if build else {})
    return type("Mine", (getattr(keras, kind),), methods)(**settings)


def on_image(function: Callable[[Any], Any]) -> Any:
    image = L.Input(SHAPE)
    return keras.Model(image, function(image))


REFUSED: dict[str, Callable[[], Any]] = {
    "layer scale cannot be rebuilt under tf_keras: Lambda is none": lambda: chain(L.Lambda(abs, name="scale")),
    "layer mine cannot .* Mine is a class of its own with a weight of its own, w": lambda: chain(
        of_its_own("Layer", name="mine", build=lambda self, input_shape: self.add_weight(shape=(3,), name="w"))
    ),
    "layer mine .* Mine is a class of its own, whose call cannot be followed: A KerasTensor": lambda: chain(
        of_its_own("Layer", lambda x: import_tensorflow().nn.relu(x), name="mine")
    ),
    "the model mine .* Mine is a class of its own": lambda: of_its_own("Model"),
    "has no input": lambda: keras.Sequential([L.Dense(3)]),
    "layer reshape.* Keras 3 itself cannot call it": lambda: on_image(
        lambda x: keras.ops.reshape(x, (keras.ops.shape(x)[0], -1))
    ),
    "layer look .* Attention is none": lambda: on_image(lambda x: L.Attention(name="look")([x, x])),
    "layer arctan .* Arctan is a function of keras.ops": lambda: on_image(keras.ops.arctan),
    "layer r .* its activation is hard_sigmoid": lambda: chain(
        L.Reshape((8, 24)), L.LSTM(3, name="r", recurrent_activation="hard_sigmoid")
    ),
    "layer d .* its activation is glu": lambda: chain(L.Dense(4, name="d", activation="glu")),
    "layer d .* it has activity_regularizer L2": lambda: chain(L.Dense(3, name="d", activity_regularizer="l2")),
    "layer d .* it computes in mixed_float16": lambda: chain(L.Dense(3, name="d", dtype="mixed_float16")),
    "layer r .* it has antialias True": lambda: chain(L.Resizing(4, 4, antialias=True, name="r")),
    "layer p .* it has data_format channels_first": lambda: chain(
        L.UpSampling2D(name="p", data_format="channels_first")
    ),
    "layer n .* called with training=True": lambda: on_image(lambda x: L.Dropout(0.5, name="n")(x, training=True)),
}


@pytest.mark.parametrize("line", REFUSED)
def test_what_cannot_be_rebuilt_is_named(line: str) -> None:
    with pytest.raises(OptimizeError, match=line) as error:
        keras3.rebuild(REFUSED[line]())
    assert len(str(error.value).splitlines()) == 1


def test_the_proof_names_the_layer_that_differs() -> None:
    model = chain(L.ReLU(), keras.Sequential([L.Input(SHAPE), L.Dense(3, name="off")], name="block"))
    entry = keras3.describe(model)
    built = keras3.construct(entry)  # with weights of its own
    with pytest.raises(OptimizeError, match=r"layer block/off cannot .* its output differs by [0-9.]+ from Keras 3's"):
        keras3.check_equivalence(model, entry, built)
    built.layers["block", "off"][0].set_weights([np.full((3, 3), np.nan), np.zeros(3)])
    with pytest.raises(OptimizeError, match="differs by nan"):
        keras3.check_equivalence(model, entry, built)
