"""Every technique on a small network: it does what it promises, and the int8 file still holds it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hil.core.errors import BadInputError, OptimizeError
from hil.harness.model import FineTune
from hil.harness.optimize import paths, steps, survival
from hil.harness.optimize.conversion import to_tflite
from hil.harness.optimize.keras.flat_graph import random_inputs
from hil.harness.optimize.keras.keras2 import import_keras, seeded
from hil.harness.optimize.layer_weights import measure_keras
from hil.harness.optimize.pruning import wrap_layers

NODES = sorted({paths.training_node(path) for path in paths.PATHS.values()} - {()})


@pytest.mark.parametrize("node", NODES, ids="-".join)
def test_a_step_holds_what_its_path_promises(tree: Any, node: paths.Node) -> None:
    rows = {row.layer: row for row in tree.check(node, tree.model(node))}
    expected = {("qat",): [], ("fold",): []}.get(
        node, ["conv", "pw"] if any("npu" in step for step in node) else ["conv", "pw", "logits"]
    )
    assert list(dict.fromkeys(promise.layer for promise in tree.promises(node))) == expected
    assert rows["dw"].zeros == 0  # depthwise: left as it is, by rule
    assert rows["dw"].unique > tree.recipe.clusters


@pytest.mark.parametrize("leaf", paths.PATHS)
def test_the_int8_file_still_holds_it(tree: Any, leaf: str) -> None:
    path = paths.path_of(leaf)
    model = tree.model(paths.training_node(path))
    content = to_tflite(model, paths.conversion(path), [tree.data.x[0][:50]])
    promises = tree.promises(paths.training_node(path))
    rows = survival.check_tflite(content, model, promises, path[-1])
    assert [row.layer for row in rows] == ["conv", "dw", "pw", "logits"]
    before = {row.layer: row for row in measure_keras(model)}
    for promise in promises:
        row = next(row for row in rows if row.layer == promise.layer)
        assert row.zeros >= before[row.layer].zeros  # a zero stays a zero


def test_training_learns_and_keeps_accuracy(tree: Any) -> None:
    for node in [(), *NODES]:
        outputs = tree.model(node).predict(tree.data.x[0], verbose=0)
        assert np.mean(outputs.argmax(axis=1) == tree.data.y[0]) > 0.85, node


@pytest.mark.parametrize("technique", ["prune", "cluster", "qat"])
def test_the_same_settings_give_the_same_weights_and_leave_the_model_alone(tree: Any, technique: str) -> None:
    before = [weight.copy() for weight in tree.model(()).get_weights()]
    first = tree.model((technique,)).get_weights()
    again = steps.apply(technique, tree.model(()), tree.data, tree.recipe).get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(before, tree.model(()).get_weights(), strict=True))


@pytest.fixture
def dense() -> Any:
    """Two layers, for what depends on no layer in particular."""
    keras = import_keras()
    layers = keras.layers
    return keras.Sequential(
        [layers.Flatten(input_shape=(8, 8, 1)), layers.Dense(16, name="pw"), layers.Dense(4, name="logits")]
    )


def test_settings_are_used(dense: Any, data: steps.Samples, tree: Any) -> None:
    recipe = replace(tree.recipe, sparsity=0.75, seed=3, prune=FineTune(1, 1e-3), keep=("logits",))
    rows = {row.layer: row for row in measure_keras(steps.apply("prune", dense, data, recipe))}
    assert rows["pw"].zeros == pytest.approx(0.75, abs=1 / rows["pw"].size)
    assert rows["logits"].zeros == 0


def test_progress_ends_at_its_total_and_names_the_step(dense: Any, data: steps.Samples, tree: Any) -> None:
    seen: list[tuple[int, int, str]] = []
    recipe = replace(tree.recipe, qat=FineTune(2, 1e-3, samples=128))
    steps.apply("qat", dense, data, recipe, progress=lambda *told: seen.append(told))
    assert seen[-1] == (8, 8, "qat")


def test_python_and_numpy_random_numbers_go_on_undisturbed(dense: Any, data: steps.Samples, tree: Any) -> None:
    np.random.seed(5)
    expected = np.random.rand()
    np.random.seed(5)
    steps.apply("prune", dense, data, replace(tree.recipe, prune=FineTune(1, 1e-3, samples=32)))
    assert np.random.rand() == expected


def test_frozen_layers_hold_what_their_path_promises(data: steps.Samples, tree: Any) -> None:
    """As in transfer learning; TFMOT clusters no frozen layer, and preserves neither its zeros nor its clusters."""
    keras = import_keras()
    brief = FineTune(1, 1e-3, samples=64)
    recipe = replace(tree.recipe, prune=brief, sparse_cluster=brief, pcqat=brief)
    network = keras.Sequential(
        [
            keras.layers.Flatten(input_shape=(8, 8, 1)),
            keras.layers.Dense(16, trainable=False, name="backbone"),
            keras.layers.Dense(4, name="head"),
        ]
    )
    made, promises = network, ()
    for step in ("prune", "sparse_cluster", "pcqat"):
        found = steps.apply_checked(step, made, data, recipe, promises)
        made, promises = found.model, found.promises
    assert {promise.kind for promise in promises if promise.layer == "backbone"} == {"zeros", "clusters"}
    assert not network.get_layer("backbone").trainable


@pytest.mark.parametrize("technique", steps.STEPS)
def test_a_model_that_is_repeated_is_one_clear_line(data: steps.Samples, technique: str) -> None:
    """TFMOT would prune and cluster none of its kernels, without a word."""
    keras = import_keras()
    inner = keras.Sequential([keras.layers.Flatten(input_shape=(8, 8, 1)), keras.layers.Dense(4)], name="inner")
    around = keras.Sequential([keras.layers.TimeDistributed(inner, input_shape=(2, 8, 8, 1), name="around")])
    with pytest.raises(OptimizeError, match=f"{technique}: around is a model inside the model"):
        steps.apply(technique, around, data, steps.Recipe())


@pytest.mark.parametrize("technique", ["prune", "cluster", "sparse_cluster"])
def test_a_step_that_would_change_nothing_is_an_error(tree: Any, technique: str) -> None:
    kept = replace(tree.recipe, keep=("conv", "pw", "logits"))
    with pytest.raises(OptimizeError, match=f"{technique} would change no layer of this model"):
        steps.apply(technique, tree.model(()), tree.data, kept)
    keras = import_keras()
    layers = keras.layers
    depthwise = keras.Sequential([layers.DepthwiseConv2D(3, input_shape=(8, 8, 1)), layers.Flatten()])
    with pytest.raises(OptimizeError, match=f"{technique} would change no layer of this model"):
        steps.apply(technique, depthwise, tree.data, tree.recipe)


def test_ptq_is_no_training_technique(tree: Any) -> None:
    with pytest.raises(BadInputError, match="ptq is no training technique"):
        steps.apply("ptq", tree.model(()), tree.data, tree.recipe)


def test_a_layer_that_is_not_there_is_named_before_the_training(tree: Any) -> None:
    for recipe, line in (
        (replace(tree.recipe, keep=("conv9",)), r"Recipe.keep names conv9, .* \(there are: conv, dw, pw, logits\)"),
        (replace(tree.recipe, sparsity_by={"image": 0.5}), "Recipe.sparsity_by names image, which is no layer"),
    ):
        with pytest.raises(BadInputError, match=line):
            steps.apply("prune", tree.model(()), tree.data, recipe)


def test_a_learning_rate_may_be_a_whole_number(tree: Any) -> None:
    steps.apply("prune", tree.model(()), tree.data, replace(tree.recipe, prune=FineTune(epochs=1, learning_rate=1)))


def test_a_layer_that_is_called_at_two_sizes_is_wrapped() -> None:
    """As the head of a feature pyramid."""
    layers = import_keras().layers
    with seeded(0):
        image = layers.Input((8, 8, 3))
        head = layers.Conv2D(4, 3, name="head")
        both = [layers.Flatten()(head(x)) for x in (image, layers.MaxPooling2D()(image))]
        network = import_keras().Model(image, layers.Concatenate()(both))
    made = wrap_layers(network, lambda layer: layer, "prune", ["head"])
    given = random_inputs(network)[0]
    assert np.array_equal(made(given), network(given))
