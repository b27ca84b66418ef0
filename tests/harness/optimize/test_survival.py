"""Zeros and clusters are measured and their loss is caught: in Keras models, in int8 files, planted and TFMOT's own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hil.core.errors import BadInputError, LostError
from hil.core.tflite.weights import read_tflite
from hil.harness.model import FineTune
from hil.harness.optimize import steps, survival
from hil.harness.optimize.conversion import to_tflite
from hil.harness.optimize.keras.hdf5_file import load_model, save_model
from hil.harness.optimize.keras.keras2 import import_keras, seeded
from hil.harness.optimize.layer_weights import LayerWeights, measure_keras, measure_tflite
from hil.harness.optimize.promises import Promise

from .conftest import RECIPE

BRIEF = FineTune(epochs=1, learning_rate=1e-3, samples=64)
QUICK = replace(RECIPE, prune=BRIEF, cluster=BRIEF, sparse_cluster=BRIEF, pqat=BRIEF, pcqat=BRIEF)
HALF = Promise("fc", "zeros", 20, "prune")
TEN = Promise("fc", "clusters", 10, "cluster")


def one_layer(kernel: Any) -> Any:
    """A model of one Dense layer "fc" with this kernel."""
    keras = import_keras()
    network = keras.Sequential(
        [keras.layers.Dense(kernel.shape[1], use_bias=False, input_shape=kernel.shape[:1], name="fc")]
    )
    network.set_weights([np.asarray(kernel, np.float32)])
    return network


def check(kernel: Any, promise: Promise, before: Any = None) -> None:
    after = one_layer(kernel)
    survival.check_keras(after if before is None else one_layer(before), after, [promise], promise.step, RECIPE)


def test_a_kernel_is_counted_as_it_is() -> None:
    kernel = np.array([[0, 1, 2], [0, 1, 3], [0, 0, 4], [5, 1, 5]], np.float32)
    (row,) = measure_keras(one_layer(kernel))
    assert row == LayerWeights("fc", "kernel", 12, zeros=4 / 12, unique=6, unique_per_channel=4)


def test_the_last_zero_and_the_first_weight_too_many_are_errors() -> None:
    kernel = np.zeros((10, 4), np.float32)
    kernel[:5] = np.arange(1, 21).reshape(5, 4)
    check(kernel, HALF)
    kernel[9, 3] = 0.001
    with pytest.raises(
        LostError, match=r"fc lost its zeros after prune: 47.5% .* 50.0% were promised by prune$"
    ) as error:
        check(kernel, HALF)
    assert (error.value.layer, error.value.step) == ("fc", "prune")
    many = np.arange(40).reshape(10, 4) % 10
    check(many, TEN)
    many[0, 0] = 77
    with pytest.raises(LostError, match=r"fc lost its clusters after cluster: 11 distinct weights, 10 .* by cluster$"):
        check(many, TEN)


def test_a_loss_says_why_where_the_kernel_shows_it() -> None:
    kernel = np.zeros((10, 4), np.float32)
    kernel[:6] = 0.5
    with pytest.raises(LostError, match=r"40.0% .*; 24 of its weights have the same magnitude"):
        check(kernel, HALF)
    kernel[0, 0] = np.nan
    with pytest.raises(LostError, match=r"; its weights are NaN: the training diverged \(lower .* of Recipe.prune"):
        check(kernel, HALF)


def test_a_layer_that_is_gone_is_an_error() -> None:
    with pytest.raises(LostError, match="layer fc2 is not in the model after prune"):
        check(np.zeros((10, 4)), replace(HALF, layer="fc2"))


def test_a_loss_in_the_file_alone_names_the_layer(tree: Any) -> None:
    pruned, dense = tree.model(("prune",)), tree.model(())
    content = to_tflite(dense, "ptq", [tree.data.x[0][:20]])
    with pytest.raises(LostError, match=r"layer conv of the int8 file lost its zeros after ptq: .* by prune$"):
        survival.check_tflite(content, pruned, tree.promises(("prune",)), "ptq")
    with pytest.raises(LostError, match="; the Keras model that was converted had lost them already"):
        survival.check_tflite(content, dense, tree.promises(("prune",)), "ptq")


@pytest.mark.parametrize("technique", ["pqat", "pcqat"])
def test_a_layer_that_feeds_a_concatenation_keeps_what_was_promised(data: steps.Samples, technique: str) -> None:
    """TFMOT gives such layers its default quantizer, which preserves nothing, without a word."""
    keras = import_keras()
    layers = keras.layers
    with seeded(4):
        image = layers.Input((8, 8, 1))
        left = layers.Conv2D(8, 3, activation="relu", name="left")(image)
        right = layers.Conv2D(8, 3, activation="relu", name="right")(image)
        pooled = layers.GlobalAveragePooling2D()(layers.Concatenate()([left, right]))
        network = keras.Model(image, layers.Dense(4, name="logits")(pooled))
    made = steps.apply_checked("prune", network, data, QUICK)
    if technique == "pcqat":
        made = steps.apply_checked("sparse_cluster", made.model, data, QUICK, made.promises)
    made = steps.apply_checked(technique, made.model, data, QUICK, made.promises)
    assert {"left", "right"} <= {promise.layer for promise in made.promises}
    assert all(layer.zeros >= 0.5 for layer in made.weights if layer.layer in ("left", "right"))
    survival.check_tflite(to_tflite(made.model, "qat", data.x), made.model, made.promises, technique)


def test_branches_of_the_same_shape_keep_their_names(data: steps.Samples) -> None:
    keras = import_keras()
    layers = keras.layers
    image = layers.Input((8, 8, 1))
    stem = layers.Conv2D(8, 3, name="stem")(image)
    arms = [layers.ReLU()(layers.Conv2D(8, 1, name=name)(stem)) for name in ("third", "first", "second")]
    network = keras.Model(image, layers.Dense(4, name="fc")(layers.Flatten()(layers.Add()(arms))))
    for place, name in enumerate(("first", "second", "third")):
        kernel, bias = network.get_layer(name).get_weights()
        kernel.ravel()[: 8 * place] = 0
        network.get_layer(name).set_weights([kernel, bias])
    rows = measure_tflite(to_tflite(network, "ptq", [data.x[0][:10]]), network)
    zeros = {row.layer: round(row.zeros * row.size / 8) for row in rows if row.size == 64}
    assert zeros == {"first": 0, "second": 1, "third": 2}


@pytest.mark.parametrize("name", ["wide", "last", "model"])
def test_a_model_named_like_one_of_its_layers_takes_no_operator_from_another(name: str) -> None:
    keras = import_keras()
    layers = keras.layers
    network = keras.Sequential(
        [layers.Dense(6, input_shape=(6,), name=one) for one in ("wide", "first/inner", "last")], name=name
    )
    for place, layer in enumerate(network.layers):
        kernel, bias = layer.get_weights()
        kernel.ravel()[: 6 * place] = 0
        layer.set_weights([kernel, bias])
    rows = measure_tflite(to_tflite(network, "ptq", [np.ones((10, 6), np.float32)]), network)
    assert [row.layer for row in rows] == ["wide", "first/inner", "last"]


def test_every_operator_of_a_shared_layer_is_measured(data: steps.Samples) -> None:
    keras = import_keras()
    layers = keras.layers
    with seeded(2):
        image = layers.Input((8, 8, 1))
        shared = layers.Dense(4, name="shared")
        x = shared(shared(layers.Dense(4, name="first")(layers.Flatten()(image))))
        network = keras.Model(image, layers.Dense(4, name="other")(x))
    made = steps.Optimized(network, (), [])
    for step in ("prune", "pqat"):
        made = steps.apply_checked(step, made.model, data, QUICK, made.promises)
    content = to_tflite(made.model, "qat", [data.x[0][:10]])
    rows = survival.check_tflite(content, made.model, made.promises, "pqat")
    assert [row.layer for row in rows] == ["first", "shared", "shared", "other"]


def test_a_layer_on_which_no_output_depends_is_missing_with_its_reason(data: steps.Samples) -> None:
    keras = import_keras()
    layers = keras.layers
    image = layers.Input((8, 8, 1))
    flat = layers.Flatten()(image)
    nothing = layers.Dense(5, name="dead")(flat)[:, :0]
    network = keras.Model(image, layers.Dense(4, name="logits")(layers.Concatenate()([flat, nothing])))
    content = to_tflite(network, "ptq", [data.x[0][:10]])
    with pytest.raises(LostError, match="layer dead is not in the int8 file; TensorFlow's converter removed it"):
        survival.check_tflite(content, network, [Promise("dead", "zeros", 1, "prune")], "ptq")


def test_what_is_saved_is_what_was_checked(tree: Any, tmp_path: Any) -> None:
    """The preserving schemes hold masks outside the kernels; a saved model must not need them."""
    node = ("prune", "sparse_cluster", "pcqat")
    save_model(tree.model(node), tmp_path / "pcqat.h5")
    again = load_model(tmp_path / "pcqat.h5")
    tree.check(node, again)
    assert np.array_equal(again.predict(tree.data.x[0], verbose=0), tree.model(node).predict(tree.data.x[0], verbose=0))
    assert to_tflite(again, "qat", tree.data.x) == to_tflite(tree.model(node), "qat", tree.data.x)


@pytest.mark.parametrize(
    "content",
    [b"", b"a text file, and a long one", b"\x1c\x00\x00\x00TFL3" + b"\xff" * 64],
    ids=["empty", "text", "head"],
)
def test_what_is_no_tflite_file_is_one_clear_line(content: bytes) -> None:
    with pytest.raises(BadInputError, match="TFLite"):
        read_tflite(content)


def test_a_file_cut_short_is_read_or_refused_and_never_a_traceback(tree: Any) -> None:
    content = to_tflite(tree.model(()), "ptq", [tree.data.x[0][:10]])
    lines = []
    for length in range(8, len(content), len(content) // 40):
        try:
            measure_tflite(content[:length], tree.model(()))
        except BadInputError as error:
            lines.append(str(error))
    assert lines
    assert all(line.startswith("the file is a damaged TFLite file") and len(line.splitlines()) == 1 for line in lines)
