"""A tiny network for each row of the table of layers in docs/techniques.md.

    row = ROWS["Conv1D"]
    network = row_network(row)

A row's body maps a tensor to a tensor; rows of the same input can be chained, so that few networks cover them all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from hil.harness.optimize.keras.keras2 import import_keras, import_tensorflow

SEQUENCE, FRAMES, IMAGE, VECTOR = (16, 4), (12, 4), (8, 8, 3), (12,)


@dataclass(frozen=True)
class Row:
    """Body of a network, and the shape of its input (without the batch)."""

    shape: tuple[int, ...]
    body: Callable[[Any], Any]


def row_network(*rows: Row) -> Any:
    """Returns the network of one row, or of several with the same input, with three outputs."""
    layers = import_keras().layers
    x = given = layers.Input(rows[0].shape, name="given")
    for row in rows:
        x = row.body(x)
    x = layers.Flatten()(x) if len(x.shape) > 2 else x
    x = layers.Dense(40, activation="relu", name="wide")(x)  # with weights enough for the rules of the NPU
    return import_keras().Model(given, layers.Dense(3, name="logits")(x), name="row")


def _layers() -> Any:
    return import_keras().layers


def _conv(x: Any, **settings: Any) -> Any:
    return _layers().Conv2D(6, 3, padding="same", **settings)(x)


def _norm(x: Any) -> Any:
    return _layers().ReLU()(_layers().BatchNormalization()(x))


def _behind_conv(*names: str, **settings: Any) -> Callable[[Any], Any]:
    """The layers of these names, one behind the other, behind a convolution."""

    def body(x: Any) -> Any:
        x = _conv(x)
        for name in names:
            x = getattr(_layers(), name)(**settings)(x)
        return x

    return body


def _fused(name: Any) -> Callable[[Any], Any]:
    return lambda x: _layers().Activation(name)(_conv(_conv(x, activation=name)))


def _merged(name: str) -> Callable[[Any], Any]:
    return lambda x: getattr(_layers(), name)()([_conv(x), _conv(x)])


def _conv1d(x: Any) -> Any:
    x = _norm(_layers().Conv1D(6, 3, padding="causal", dilation_rate=2)(x))
    return _layers().Conv1D(6, 3, strides=2, activation="relu")(x)


def _depthwise1d(x: Any) -> Any:
    return _norm(_layers().DepthwiseConv1D(3, padding="same", strides=2)(x))


def _padding1d(x: Any) -> Any:
    layers = _layers()
    return layers.Cropping1D((2, 1))(layers.Conv1D(4, 1)(layers.ZeroPadding1D(3)(x)))


def _norm_elsewhere(x: Any) -> Any:
    layers = _layers()
    x = layers.BatchNormalization()(x)
    x = _norm(layers.Add()([_conv(x), _conv(x)]))
    return _norm(layers.MaxPooling2D()(_conv(x, activation="relu")))


def _padding(x: Any) -> Any:
    layers = _layers()
    return layers.Cropping2D(1)(layers.UpSampling2D()(_conv(layers.ZeroPadding2D(1)(x))))


def _pooling(x: Any) -> Any:
    layers = _layers()
    x = layers.AveragePooling2D(2)(_conv(layers.MaxPooling2D(2)(_conv(x))))
    return layers.Multiply()(
        [layers.Conv2D(4, 1)(layers.GlobalAveragePooling2D(keepdims=True)(x)), layers.Conv2D(4, 1)(x)]
    )


def _reshaped(x: Any) -> Any:
    layers = _layers()
    x = _conv(layers.Permute((2, 1, 3))(_conv(x)))
    return layers.Reshape(tuple(x.shape[1:]))(x)


def _augmented(x: Any) -> Any:
    layers = _layers()
    return _conv(layers.GaussianNoise(0.1)(layers.RandomTranslation(0.1, 0.1)(layers.RandomFlip("horizontal")(x))))


def _dropouts(x: Any) -> Any:
    layers = _layers()
    x = layers.SpatialDropout2D(0.1)(layers.Dropout(0.1)(_conv(x)))
    return _conv(layers.AlphaDropout(0.1)(layers.GaussianDropout(0.1)(x)))


def _operators(x: Any) -> Any:
    tf = import_tensorflow()
    a, b = _conv(x), _conv(x)
    return tf.nn.relu6(tf.concat([a + b, a - b, tf.maximum(a, b) * 0.5 + 1.0], -1))


def _hard_swish(x: Any) -> Any:
    tf, layers = import_tensorflow(), _layers()
    x = layers.BatchNormalization()(_conv(x))
    x = _conv(x * tf.nn.relu6(x + 3.0) / 6.0)
    return layers.Multiply()([x, layers.ReLU(6.0)(x + 3.0) * (1.0 / 6.0)])


def _normalization(x: Any) -> Any:
    return _conv(_layers().Normalization(mean=0.1, variance=2.0)(x))


def _own(x: Any) -> Any:
    return _conv(own_layer()()(_conv(x)))


def _dense_norm(x: Any) -> Any:
    layers = _layers()
    return _norm(layers.Dense(16, use_bias=False)(x))


@cache
def own_layer() -> type[Any]:
    """A layer class of a user's own, registered with Keras; its `build` calls no `super().build`, as many do not."""
    keras = import_keras()

    @keras.saving.register_keras_serializable("tests")  # type: ignore[untyped-decorator]
    class OwnScale(keras.layers.Layer):  # type: ignore[misc, name-defined]
        def build(self, shape: Any) -> None:
            self.scale = self.add_weight("scale", shape=(shape[-1],), initializer="ones")

        def call(self, inputs: Any) -> Any:
            return inputs * self.scale

    return OwnScale


def _layer(kind: str, *arguments: Any, **settings: Any) -> Callable[[Any], Any]:
    return lambda x: getattr(_layers(), kind)(*arguments, **settings)(x)


def _with_input_convolution(kind: str, *arguments: Any, **settings: Any) -> Callable[[Any], Any]:
    return lambda x: _conv(getattr(_layers(), kind)(*arguments, **settings)(_conv(x)))


ROWS = {
    "`Conv1D`": Row(SEQUENCE, _conv1d),
    "`SeparableConv1D`": Row(SEQUENCE, lambda x: _norm(_layers().SeparableConv1D(6, 3, padding="causal")(x))),
    "`DepthwiseConv1D`": Row(SEQUENCE, _depthwise1d),
    "`Conv1DTranspose`": Row(SEQUENCE, lambda x: _layers().Conv1D(4, 3)(_layers().Conv1DTranspose(6, 3, strides=2)(x))),
    "`MaxPooling1D`, `AveragePooling1D`": Row(
        SEQUENCE, lambda x: _layers().AveragePooling1D(2)(_layers().Conv1D(6, 1)(_layers().MaxPooling1D(2, 1)(x)))
    ),
    "`UpSampling1D`": Row(SEQUENCE, lambda x: _layers().Conv1D(4, 3, padding="same")(_layers().UpSampling1D(2)(x))),
    "`ZeroPadding1D`, `Cropping1D`": Row(SEQUENCE, _padding1d),
    "`TimeDistributed` of a `Dense`": Row(SEQUENCE, lambda x: _layers().TimeDistributed(_layers().Dense(6))(x)),
    "`GlobalAveragePooling1D`, `GlobalMaxPooling1D`": Row(
        SEQUENCE,
        lambda x: _layers().Concatenate()([_layers().GlobalAveragePooling1D()(x), _layers().GlobalMaxPooling1D()(x)]),
    ),
    "`RepeatVector`": Row(VECTOR, lambda x: _layers().Conv1D(4, 1)(_layers().RepeatVector(3)(_layers().Dense(8)(x)))),
    "`Dense`": Row(VECTOR, _layer("Dense", 16, activation="relu")),
    "`Dense` with `BatchNormalization`": Row(VECTOR, _dense_norm),
    "`Conv2D`, also grouped": Row(IMAGE, lambda x: _conv(_conv(x), groups=2, activation="relu")),
    "`DepthwiseConv2D`": Row(IMAGE, lambda x: _norm(_layers().DepthwiseConv2D(3, padding="same")(x))),
    "`SeparableConv2D`": Row(IMAGE, lambda x: _norm(_layers().SeparableConv2D(6, 3, padding="same")(x))),
    "`Conv2DTranspose`": Row(IMAGE, lambda x: _norm(_layers().Conv2DTranspose(6, 3, strides=2, padding="same")(x))),
    "`BatchNormalization` behind a convolution": Row(IMAGE, lambda x: _norm(_conv(x))),
    "`BatchNormalization` behind anything else": Row(IMAGE, _norm_elsewhere),
    "`Rescaling`": Row(IMAGE, lambda x: _conv(_layers().Rescaling(0.5, offset=-0.1)(x))),
    "`Normalization`": Row(IMAGE, _normalization),
    "`RandomFlip` and other augmentation, `GaussianNoise`": Row(IMAGE, _augmented),
    "`Dropout`, `SpatialDropout2D`, `GaussianDropout`, `AlphaDropout`": Row(IMAGE, _dropouts),
    "pooling in two dimensions": Row(IMAGE, _pooling),
    "`ZeroPadding2D`, `Cropping2D`, `UpSampling2D`": Row(IMAGE, _padding),
    "`Resizing`": Row(IMAGE, _with_input_convolution("Resizing", 4, 4)),
    "`Flatten`, `Reshape`, `Permute`": Row(IMAGE, _reshaped),
    "`Add`, `Concatenate`": Row(
        IMAGE, lambda x: _layers().Concatenate()([_merged("Add")(x), _layers().MaxPooling2D(1)(x)])
    ),
    "`Subtract`": Row(IMAGE, _merged("Subtract")),
    "`Multiply`": Row(IMAGE, _merged("Multiply")),
    "`Maximum`, `Minimum`": Row(IMAGE, lambda x: _merged("Minimum")(_merged("Maximum")(x))),
    "`Average`": Row(IMAGE, _merged("Average")),
    "`+`, `-`, `*`, `tf.maximum`, `tf.concat`, `tf.nn.relu6`, ... between tensors": Row(IMAGE, _operators),
    "`x * relu6(x + 3) / 6` (hard-swish)": Row(IMAGE, _hard_swish),
    "`relu6`": Row(IMAGE, lambda x: _layers().ReLU(6.0)(_conv(_fused(import_tensorflow().nn.relu6)(x)))),
    "`sigmoid`, `tanh`, `softmax`": Row(
        IMAGE, lambda x: _layers().Softmax()(_fused("tanh")(_layers().Activation("sigmoid")(_conv(x))))
    ),
    "`swish`, `gelu`": Row(IMAGE, lambda x: _fused("gelu")(_fused("swish")(x))),
    "`hard_sigmoid`": Row(IMAGE, _fused("hard_sigmoid")),
    "`ReLU` with a limit or a slope": Row(
        IMAGE, lambda x: _layers().ReLU(negative_slope=0.1)(_conv(_layers().ReLU(max_value=2.0)(_conv(x))))
    ),
    "`LeakyReLU`": Row(IMAGE, _with_input_convolution("LeakyReLU", 0.1)),
    "`PReLU`": Row(IMAGE, _with_input_convolution("PReLU", shared_axes=[1, 2])),
    "a registered layer of your own": Row(IMAGE, _own),
    "`elu`": Row(
        IMAGE, lambda x: _with_input_convolution("ELU", 0.5)(import_tensorflow().nn.elu(_conv(x, activation="elu")))
    ),
    "`selu`, `softplus`, `mish`": Row(IMAGE, lambda x: _conv(x, activation="softplus")),
    "`softsign`": Row(IMAGE, lambda x: _conv(x, activation="softsign", name="refused")),
    "`ThresholdedReLU`": Row(IMAGE, _with_input_convolution("ThresholdedReLU", 0.1, name="refused")),
    "`LayerNormalization`, `UnitNormalization`": Row(IMAGE, _with_input_convolution("LayerNormalization")),
    "`MultiHeadAttention`": Row(FRAMES, lambda x: _layers().MultiHeadAttention(2, 4)(x, x)),
    "`LocallyConnected1D`": Row(FRAMES, _layer("LocallyConnected1D", 4, 3)),
    "slices, such as `x[:, 1:]`": Row(IMAGE, lambda x: _conv(_conv(x)[:, 1:, ::2])),
    "other operators between tensors": Row(IMAGE, lambda x: import_tensorflow().math.reduce_sum(_conv(x), axis=-1)),
    "`LSTM`, `GRU`, `SimpleRNN`, `Bidirectional`": Row(FRAMES, _layer("GRU", 10, return_sequences=True)),
}
"""Row of the table -> its network."""


def chains(names: Sequence[str], length: int = 8) -> list[list[str]]:
    """Divides rows into chains of rows with the same input."""
    found: list[list[str]] = []
    for shape in (SEQUENCE, FRAMES, IMAGE, VECTOR):
        rows = [name for name in names if ROWS[name].shape == shape]
        found += [rows[start : start + length] for start in range(0, len(rows), length)]
    return found
