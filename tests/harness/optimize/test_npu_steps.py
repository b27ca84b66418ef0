"""NPU-aware techniques: few values in the whole int8 kernel, for every kind of layer; the controls that lose them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hil.core.errors import BadInputError, LostError, OptimizeError
from hil.harness.model import PALETTE, FineTune, Recipe
from hil.harness.optimize import npu_rules, paths, steps, survival
from hil.harness.optimize.clustering import centroids, cluster_kernel
from hil.harness.optimize.conversion import to_tflite
from hil.harness.optimize.keras.hdf5_file import load_model, save_model
from hil.harness.optimize.keras.keras2 import import_keras, seeded
from hil.harness.optimize.layer_weights import measure_tflite
from hil.harness.vela.compiler import compile_model
from hil.harness.vela.settings import VelaSettings

from .conftest import RECIPE

BRIEF = FineTune(epochs=1, learning_rate=1e-3, samples=64)
QUICK = replace(
    RECIPE, prune=BRIEF, cluster=BRIEF, sparse_cluster=BRIEF, qat=BRIEF, pqat=BRIEF, cqat=BRIEF, pcqat=BRIEF
)
NPU = ("npu_ptq", "npu_prune", "npu_cluster", "npu_sparse_cluster", "npu_pcqat")


def walked(model: Any, leaf: str, data: steps.Samples, recipe: Recipe) -> tuple[Any, bytes]:
    """The Keras model and the int8 file of a leaf, checked as the pipeline does."""
    path = paths.path_of(leaf)
    made = steps.Optimized(model, (), [])
    for step in paths.training_node(path):
        made = steps.apply_checked(step, made.model, data, recipe, made.promises)
    content = to_tflite(made.model, paths.conversion(path), [data.x[0][:50]])
    survival.check_tflite(content, made.model, made.promises, path[-1])
    return made.model, content


@pytest.mark.parametrize("leaf", NPU)
def test_the_whole_kernel_of_the_file_has_one_scale_and_few_values(tree: Any, leaf: str) -> None:
    path = paths.path_of(leaf)
    model = tree.model(paths.training_node(path))
    rows = measure_tflite(to_tflite(model, paths.conversion(path), [tree.data.x[0][:50]]), model)
    assert [row.scales for row in rows] == [1, 1, 1, 1]
    found = {row.layer: row for row in rows}
    if "cluster" in leaf or leaf == "npu_pcqat":
        assert max(found["conv"].unique, found["pw"].unique) <= tree.recipe.clusters
    if leaf in ("npu_prune", "npu_sparse_cluster", "npu_pcqat"):
        assert min(found["conv"].zeros, found["pw"].zeros) >= tree.recipe.sparsity
    assert found["dw"].unique > PALETTE  # left dense, by rule


def test_more_values_than_the_palette_holds_in_the_file_are_an_error(tree: Any) -> None:
    """With a scale for each channel, as TensorFlow gives by default, the channels do not agree."""
    node = ("npu_prune", "fold", "npu_sparse_cluster")
    content = to_tflite(tree.model(node), "ptq", [tree.data.x[0][:50]])
    with pytest.raises(LostError, match=r"layer conv of the int8 file lost its clusters .* [0-9]+ distinct .*, 5 were"):
        survival.check_tflite(content, tree.model(node), tree.promises(node), "npu_ptq")


@pytest.mark.nightly
def test_what_they_buy_in_encoded_weights(data: steps.Samples) -> None:
    """A pointwise kernel of 96 x 96, large enough for Vela's tables not to matter."""
    keras = import_keras()
    layers = keras.layers
    with seeded(5):
        image = x = layers.Input((8, 8, 1))
        for place, kernel in enumerate((3, 1, 1)):
            x = layers.Conv2D(96, kernel, strides=2 if kernel == 3 else 1, use_bias=False, name=f"c{place}")(x)
            x = layers.ReLU()(layers.BatchNormalization(momentum=0.5)(x))
        network = keras.Model(image, layers.Dense(4, name="logits")(layers.GlobalAveragePooling2D()(x)))
    recipe = replace(QUICK, clusters=16)
    sizes = {}
    for leaf in ("ptq", "sparse_cluster", "npu_sparse_cluster"):
        _, content = walked(network, leaf, data, recipe)
        sizes[leaf] = compile_model(content, VelaSettings()).summary.weights_encoded
    assert max(sizes["npu_sparse_cluster"], sizes["sparse_cluster"]) < 0.7 * sizes["ptq"]


@pytest.mark.nightly
def test_a_transposed_convolution_and_one_that_feeds_a_concatenation_keep_what_they_have(
    data: steps.Samples,
) -> None:
    """TFMOT refuses the first and drops the clusters of the second without a word; stock `pcqat` is mended for both."""
    keras = import_keras()
    layers = keras.layers
    with seeded(4):
        image = layers.Input((8, 8, 1))
        stem = layers.Conv2D(16, 3, activation="relu", name="stem")(image)
        arms = [layers.Conv2D(24, 1, activation="relu", name=name)(stem) for name in ("left", "right")]
        x = layers.Conv2DTranspose(12, 3, strides=2, name="up")(layers.Concatenate()(arms))
        network = keras.Model(image, layers.Dense(4, name="logits")(layers.GlobalAveragePooling2D()(x)))
    model, content = walked(network, "npu_pcqat", data, QUICK)
    rows = {row.layer: row for row in measure_tflite(content, model)}
    assert {name for name, row in rows.items() if row.unique <= QUICK.clusters} == {"left", "right", "up"}
    assert all(row.scales == 1 for row in rows.values())
    walked(network, "pcqat", data, QUICK)


def test_layers_that_no_technique_takes_are_left_with_a_line_and_the_others_are_done(data: steps.Samples) -> None:
    keras = import_keras()
    layers = keras.layers
    with seeded(4):
        inner = keras.Sequential([layers.Input((8, 8, 1)), layers.Conv2D(24, 3, name="first")], name="inner")
        image = layers.Input((8, 8, 1))
        x = layers.PReLU(shared_axes=[1, 2], name="prelu")(layers.Conv2D(40, 1, name="wide")(inner(image)))
        x = layers.LSTM(8, name="memory")(layers.Reshape((1, 36 * 40))(x))  # of one time step
        network = keras.Model(image, layers.Dense(4, name="logits")(x))
    made = steps.Optimized(network, (), [])
    for step in ("npu_prune", "fold", "npu_sparse_cluster"):
        made = steps.apply_checked(step, made.model, data, QUICK, made.promises)
    lines = npu_rules.step_notes("npu_prune", network, made.model, QUICK)
    assert "model inner: replaced by its own layers" in lines
    assert "layer first: only 216 weights, kept dense at 8 bits" in lines
    assert any(
        line.startswith("layer memory: LSTM, ") and line.endswith("neither pruned nor clustered") for line in lines
    )
    steps.apply_checked("npu_pcqat", made.model, data, QUICK, made.promises)


def test_rules_say_what_is_spared_and_why(tree: Any) -> None:
    found = {decision.layer: decision for decision in npu_rules.decide(tree.model(()), Recipe(clusters=40))}
    assert [name for name, decision in found.items() if decision.pruned] == ["conv", "pw"]
    assert found["pw"].clusters == PALETTE  # not 40
    assert found["dw"].line == "layer dw: depthwise, 20.0 % of the weights: kept dense at 8 bits"
    assert found["logits"].line == "layer logits: only 96 weights, kept dense at 8 bits"
    kept = {decision.layer: decision for decision in npu_rules.decide(tree.model(()), Recipe(keep=("pw",)))}
    assert kept["pw"].line == "layer pw: named in Recipe.keep, kept dense at 8 bits"


def test_a_model_of_which_the_rules_leave_nothing_is_one_clear_line(data: steps.Samples) -> None:
    keras = import_keras()
    tiny = keras.Sequential([keras.layers.Flatten(input_shape=(8, 8, 1)), keras.layers.Dense(3, name="out")])
    with pytest.raises(
        OptimizeError, match=r"npu_prune would change no layer of this model: layer out: only 192 weights"
    ):
        steps.apply("npu_prune", tiny, data, QUICK)


def test_dead_channels_are_found_and_cost_no_accuracy(data: steps.Samples) -> None:
    """With a scale for each channel such a channel's bias does not fit; with one scale it does."""
    keras = import_keras()
    layers = keras.layers
    with seeded(3):
        network = keras.Sequential(
            [
                layers.Conv2D(32, 3, activation="relu", input_shape=(8, 8, 1), name="conv"),
                layers.Conv2D(32, 1, activation="relu", name="pw"),
                layers.GlobalAveragePooling2D(),
                layers.Dense(4, name="logits"),
            ]
        )
    kernel, bias = network.get_layer("pw").get_weights()
    kernel[..., :4], bias[:4] = 0.0, 1.0
    network.get_layer("pw").set_weights([kernel, bias])
    recipe = replace(QUICK, repairs=())
    model, _ = walked(network, "npu_pcqat", data, recipe)
    assert "layer pw: 4 of 32 output channels have only zero weights" in npu_rules.step_notes(
        "npu_pcqat", model, model, recipe
    )


def test_what_was_clustered_is_the_same_after_saving(tree: Any, tmp_path: Any) -> None:
    node = ("npu_prune", "fold", "npu_sparse_cluster", "npu_pcqat")
    save_model(tree.model(node), tmp_path / "npu.h5")
    assert to_tflite(load_model(tmp_path / "npu.h5"), "qat", tree.data.x) == to_tflite(
        tree.model(node), "qat", tree.data.x
    )


def test_centroids_are_the_best_of_small_sets_and_zero_stays_alone() -> None:
    values = np.array([-1.0, -0.9, 0.0, 0.0, 0.1, 0.5, 0.52], np.float32)
    assert np.array_equal(cluster_kernel(values, 6, zero=False), values)
    assert np.allclose(centroids(np.repeat(values, 3), 3), [-0.95, 0.1 / 3, 0.51], atol=1e-6)
    made = cluster_kernel(values, 3, zero=True)
    assert np.array_equal(made == 0, values == 0)
    assert len(np.unique(made)) == 3
    assert (
        len(np.unique(cluster_kernel(np.random.default_rng(0).normal(size=(50, 9)).astype(np.float32), 16, zero=False)))
        == 16
    )


@pytest.mark.nightly
def test_the_control_rows_lose_what_they_must_and_are_caught(tree: Any) -> None:
    """Plain training after pruning or clustering, and clustering that does not know of zeros."""
    pruned = tree.model(("prune",))
    plain = steps.apply("qat", pruned, tree.data, QUICK)
    with pytest.raises(LostError, match="layer conv lost its zeros after pqat"):
        tree.check(("prune", "pqat"), plain)
    content = to_tflite(plain, "qat", tree.data.x)
    with pytest.raises(LostError, match="layer conv of the int8 file lost its zeros after pqat"):
        survival.check_tflite(content, plain, tree.promises(("prune", "pqat")), "pqat")
    blind = steps.apply("cluster", pruned, tree.data, QUICK)
    with pytest.raises(LostError, match="lost its zeros after sparse_cluster"):
        tree.check(("prune", "sparse_cluster"), blind)
    plain = steps.apply("qat", tree.model(("cluster",)), tree.data, QUICK)
    with pytest.raises(LostError, match="layer conv lost its clusters after cqat"):
        tree.check(("cluster", "cqat"), plain)


@pytest.mark.parametrize("settings", [{"schedule": "linear"}, {"sparsity_by": "size"}, {"sparsity_by": {"conv": 1.0}}])
def test_settings_that_cannot_be_meant_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(BadInputError, match=r"unknown (schedule|sparsity_by)|sparsity 1.0 of layer conv"):
        Recipe(**settings)


def test_zeros_at_once_or_as_a_mapping_says(tree: Any, data: steps.Samples) -> None:
    recipe = replace(QUICK, schedule="constant", sparsity=0.6, sparsity_by={"pw": 0.75, "conv": 0.0})
    made = steps.apply_checked("npu_prune", tree.model(()), data, recipe)
    rows = {row.layer: row for row in made.weights}
    assert rows["pw"].zeros == pytest.approx(0.75, abs=0.002)
    assert rows["conv"].zeros == 0
    assert [(promise.layer, promise.kind) for promise in made.promises] == [("pw", "zeros")]
