"""Zeros and clusters are measured and their loss is caught: in Keras models, in int8 files, planted and TFMOT's own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hil.core.errors import BadInputError, LostError
from hil.core.tflite.weights import read_tflite
from hil.harness.model import FineTune, Recipe
from hil.harness.optimize import steps, survival
from hil.harness.optimize.conversion import to_tflite
from hil.harness.optimize.keras.hdf5_file import load_model, save_model
from hil.harness.optimize.keras.keras2 import import_keras, seeded

from .conftest import RECIPE

TEN = Recipe(sparsity=0.5, clusters=10)


def one_layer(kernel: Any) -> Any:
    """A model of one Dense layer "fc" with this kernel."""
    keras = import_keras()
    network = keras.Sequential(
        [keras.layers.Dense(kernel.shape[1], use_bias=False, input_shape=kernel.shape[:1], name="fc")]
    )
    network.set_weights([np.asarray(kernel, np.float32)])
    return network


def test_a_kernel_is_counted_as_it_is() -> None:
    kernel = np.array([[0, 1, 2], [0, 1, 3], [0, 0, 4], [5, 1, 5]], np.float32)
    (row,) = survival.measure_keras(one_layer(kernel))
    assert row == survival.LayerWeights("fc", "kernel", 12, zeros=4 / 12, unique=6, unique_per_channel=4)


def test_the_last_zero_and_the_first_weight_too_many_are_errors() -> None:
    kernel = np.zeros((10, 4), np.float32)
    kernel[:5] = 1.0
    survival.check_keras(one_layer(kernel), ("prune",), TEN)
    kernel[9, 3] = 0.001
    with pytest.raises(LostError, match=r"layer fc lost its zeros after prune: 47.5% .* 50.0% were promised") as error:
        survival.check_keras(one_layer(kernel), ("prune",), TEN)
    assert error.value.layer == "fc"
    many = np.arange(40).reshape(10, 4) % 10
    survival.check_keras(one_layer(many), ("cluster",), TEN)
    many[0, 0] = 77
    with pytest.raises(LostError, match="layer fc lost its clusters after cluster: 11 distinct weights, 10"):
        survival.check_keras(one_layer(many), ("cluster",), TEN)


@pytest.mark.parametrize(
    ("path", "zeros", "clusters"),
    [
        (("qat",), None, None),
        (("prune",), 20, None),
        (("prune", "ptq"), 20, None),
        (("prune", "pqat"), 20, None),
        (("cluster", "cqat"), None, 10),
        (("prune", "sparse_cluster", "pcqat"), 20, 10),
        (("prune", "qat"), None, None),
        (("prune", "cluster"), None, 10),
        (("cluster", "qat"), None, None),
    ],
)
def test_what_each_path_promises(path: tuple[str, ...], zeros: int | None, clusters: int | None) -> None:
    network = one_layer(np.ones((10, 4)))
    expected = [] if zeros is clusters is None else [survival.Promise("fc", zeros, clusters)]
    assert survival.promises(network, path, TEN) == expected


def test_kept_layers_and_tiny_kernels_promise_nothing() -> None:
    network = one_layer(np.ones((10, 4)))
    assert survival.promises(network, ("prune",), Recipe(keep=("fc",))) == []
    assert survival.promises(network, ("cluster",), Recipe(clusters=40)) == []


def test_a_loss_in_the_file_alone_names_the_layer(tree: Any) -> None:
    pruned, dense = tree.model(("prune",)), tree.model(())
    content = to_tflite(dense, "ptq", tree.data.x[:20])
    with pytest.raises(LostError, match="layer conv of the int8 file lost its zeros after ptq"):
        survival.check_tflite(content, pruned, ("prune", "ptq"), RECIPE)


def test_a_layer_that_feeds_a_concatenation_is_caught(data: steps.TrainingData) -> None:
    """TFMOT gives such layers its default quantizer, without a word."""
    keras = import_keras()
    layers = keras.layers
    with seeded(4):
        image = layers.Input((8, 8, 1))
        left = layers.Conv2D(8, 3, activation="relu", name="left")(image)
        right = layers.Conv2D(8, 3, activation="relu", name="right")(image)
        pooled = layers.GlobalAveragePooling2D()(layers.Concatenate()([left, right]))
        network = keras.Model(image, layers.Dense(4, name="logits")(pooled))
    brief = FineTune(epochs=1, learning_rate=1e-3, samples=64)
    recipe = replace(RECIPE, prune=brief, pqat=brief)
    pruned = steps.apply("prune", network, data, recipe)
    with pytest.raises(LostError, match=r"layer left lost its zeros after pqat.*Concatenate"):
        survival.check_keras(steps.apply("pqat", pruned, data, recipe), ("prune", "pqat"), recipe)


def test_branches_of_the_same_shape_keep_their_names(data: steps.TrainingData) -> None:
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
    rows = survival.measure_tflite(to_tflite(network, "ptq", data.x[:10]), network)
    zeros = {row.layer: round(row.zeros * row.size / 8) for row in rows if row.size == 64}
    assert zeros == {"first": 0, "second": 1, "third": 2}


def test_what_is_saved_is_what_was_checked(tree: Any, tmp_path: Any) -> None:
    """The preserving schemes hold masks outside the kernels; a saved model must not need them."""
    node = ("prune", "sparse_cluster", "pcqat")
    save_model(tree.model(node), tmp_path / "pcqat.h5")
    again = load_model(tmp_path / "pcqat.h5")
    survival.check_keras(again, node, tree.recipe)
    assert np.array_equal(again.predict(tree.data.x, verbose=0), tree.model(node).predict(tree.data.x, verbose=0))
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
    content = to_tflite(tree.model(()), "ptq", tree.data.x[:10])
    lines = []
    for length in range(8, len(content), len(content) // 40):
        try:
            survival.measure_tflite(content[:length], tree.model(()))
        except BadInputError as error:
            lines.append(str(error))
    assert lines
    assert all(line.startswith("the file is a damaged TFLite file") and len(line.splitlines()) == 1 for line in lines)
