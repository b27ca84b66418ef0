"""Promises belong to the layers that a step touched, and later steps and the conversion keep them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hil.core.errors import LostError
from hil.harness.model import FineTune, Recipe, load_model_file
from hil.harness.optimize import paths, steps, survival
from hil.harness.optimize.conversion import to_tflite
from hil.harness.optimize.keras.any_format import read_network
from hil.harness.optimize.keras.keras2 import import_keras, seeded
from hil.harness.optimize.layer_weights import LayerWeights, measure_keras
from hil.harness.optimize.npu_rules import decide
from hil.harness.optimize.promises import PRESERVED, Promise, promises_after, read_promises
from hil.harness.optimize.training import DEFAULT_GOAL, LearningGoal
from hil.harness.pipeline import Pipeline
from hil.harness.pipeline.builders import PROMISES
from hil.harness.store.store import Store
from tests.support.blobs import model_file, write

from .conftest import RECIPE

BRIEF = FineTune(epochs=2, learning_rate=1e-2, samples=128)
QUICK = replace(
    RECIPE, prune=BRIEF, cluster=BRIEF, sparse_cluster=BRIEF, qat=BRIEF, pqat=BRIEF, cqat=BRIEF, pcqat=BRIEF
)


def walked(
    network: Any,
    path: paths.Node,
    data: steps.Samples,
    recipe: Recipe | Mapping[str, Recipe] = QUICK,
    goal: LearningGoal = DEFAULT_GOAL,
) -> tuple[steps.Optimized, list[LayerWeights]]:
    """The result of the last training of a path, and the kernels of its int8 file, both checked."""
    made = steps.Optimized(network, (), [])
    for step in paths.training_node(path):
        settings = recipe if isinstance(recipe, Recipe) else recipe.get(step, QUICK)
        made = steps.apply_checked(step, made.model, data, settings, made.promises, goal)
    content = to_tflite(made.model, paths.conversion(path), [data.x[0][:50]])
    return made, survival.check_tflite(content, made.model, made.promises, path[-1])


def told(made: steps.Optimized) -> set[tuple[str, str, str]]:
    return {(promise.layer, promise.kind, promise.step) for promise in made.promises}


def with_layers(*middle: Any) -> Any:
    """A classifier of 8x8 images: these layers, a mean over the image, and a Dense "logits"."""
    layers = import_keras().layers
    with seeded(3):
        last = [layers.GlobalAveragePooling2D(), layers.Dense(4, name="logits")]
        return import_keras().Sequential([layers.Input((8, 8, 1)), *middle, *last])


def test_every_step_says_what_it_preserves() -> None:
    assert {steps.FOLD, *steps.STEPS} == set(PRESERVED)


@pytest.mark.parametrize("leaf", ["npu_prune", "npu_pcqat"])
def test_a_separable_convolution_that_the_fold_splits_is_promised_what_is_done_after_the_fold(
    data: steps.Samples, leaf: str
) -> None:
    """The canonical form has both halves before anything is pruned, so the pointwise one is pruned as well."""
    layers = import_keras().layers
    network = with_layers(
        layers.SeparableConv2D(48, 3, use_bias=False, name="first"),
        layers.BatchNormalization(momentum=0.8),
        layers.ReLU(),
        layers.Conv2D(24, 3, activation="relu", name="wide"),
        layers.SeparableConv2D(32, 3, activation="relu", name="last"),
    )
    made, rows = walked(network, paths.path_of(leaf), data)
    zeros = {layer for layer, kind, _ in told(made) if kind == "zeros"}
    assert zeros == {"wide", "last"}
    assert {decision.layer for decision in decide(made.model, QUICK) if decision.pruned} == {"wide", "last"}
    if leaf == "npu_pcqat":
        assert ("last", "clusters", "npu_sparse_cluster") in told(made)
        assert max(row.unique for row in rows if row.layer == "last" and row.kind == "CONV_2D") <= QUICK.clusters


@pytest.mark.parametrize("leaf", [pytest.param("pcqat", marks=pytest.mark.nightly), "npu_pcqat"])
def test_layers_of_a_nested_model_are_promised_by_their_names_in_the_flat_one(data: steps.Samples, leaf: str) -> None:
    layers = import_keras().layers
    inner = import_keras().Sequential(
        [layers.Input((8, 8, 1)), layers.Conv2D(32, 3, name="conv"), layers.ReLU(name="relu")], name="inner"
    )
    network = with_layers(inner, layers.Conv2D(24, 3, name="conv"), layers.ReLU(name="relu"))
    made, _ = walked(network, paths.path_of(leaf), data)
    assert {"conv", "conv_2"} <= {promise.layer for promise in made.promises}


@pytest.mark.parametrize(
    "sparsity", [0.97, *(pytest.param(share, marks=pytest.mark.nightly) for share in (0.9, 0.995))]
)
def test_a_layer_with_fewer_weights_left_than_clusters_is_clustered_to_these(
    data: steps.Samples, sparsity: float
) -> None:
    layers = import_keras().layers
    network = with_layers(layers.Conv2D(8, 3, name="few"), layers.Conv2D(32, 3, name="wide"))
    made, _ = walked(network, paths.path_of("pcqat"), data, replace(QUICK, clusters=16, sparsity=sparsity))
    few = next(row for row in made.weights if row.layer == "few")
    assert few.unique <= max(2, round(72 * (1 - sparsity)) + 1)


def test_a_kernel_too_small_to_cluster_keeps_the_zeros_that_pruning_promised(data: steps.Samples) -> None:
    layers = import_keras().layers
    network = with_layers(layers.Conv2D(4, 1, name="tiny"), layers.Conv2D(24, 3, name="wide"))
    made, rows = walked(network, paths.path_of("pcqat"), data)
    assert ("tiny", "zeros", "prune") in told(made)
    assert ("tiny", "clusters", "sparse_cluster") not in told(made)
    assert next(row.zeros for row in rows if row.layer == "tiny") >= 0.5
    pruned, promises = steps.apply_checked("prune", network, data, QUICK), made.promises
    trained = steps.apply("sparse_cluster", pruned.model, data, QUICK)  # knows of no promise
    lost = "layer tiny lost its zeros after sparse_cluster: 0.0% of its weights are zero, 50.0% were promised by prune"
    with pytest.raises(LostError, match=lost):
        survival.check_keras(pruned.model, trained, promises, "sparse_cluster", QUICK)


def test_a_layer_that_one_step_keeps_has_what_another_promised(data: steps.Samples) -> None:
    layers = import_keras().layers
    network = with_layers(layers.Conv2D(16, 3, activation="relu", name="a"), layers.Conv2D(24, 3, name="b"))
    recipes = {"prune": replace(QUICK, keep=("logits",)), "sparse_cluster": replace(QUICK, keep=("b",))}
    made, _ = walked(network, paths.path_of("pcqat"), data, recipes)
    assert told(made) == {
        *(("a", "zeros", "prune"), ("a", "clusters", "sparse_cluster"), ("b", "zeros", "prune")),
        ("logits", "clusters", "sparse_cluster"),
    }


def test_a_share_of_zero_promises_nothing_and_spares_what_was_promised(data: steps.Samples) -> None:
    layers = import_keras().layers
    network = with_layers(layers.Conv2D(16, 3, activation="relu", name="a"), layers.Conv2D(24, 3, name="b"))
    first = steps.apply_checked("prune", network, data, replace(QUICK, sparsity_by={"b": 0.0}))
    assert {layer for layer, _, _ in told(first)} == {"a", "logits"}
    second = steps.apply_checked(
        "prune", first.model, data, replace(QUICK, sparsity_by={"a": 0.0, "b": 0.75}), first.promises
    )
    bounds = {promise.layer: promise.bound for promise in second.promises}
    assert bounds == {"a": 72, "logits": 48, "b": 2592}


def test_what_a_step_makes_and_preserves(tree: Any) -> None:
    """Of a node's promises, `qat` carries none, and each preserving step its own kind."""
    model, recipe = tree.model(("prune",)), tree.recipe
    both = (Promise("pw", "zeros", 384, "prune"), Promise("pw", "clusters", 5, "cluster"))

    def after(step: str) -> list[tuple[str, str]]:
        carried = promises_after(step, model, both, recipe)
        return [(promise.kind, promise.step) for promise in carried if promise.layer == "pw"]

    assert after("qat") == []
    assert after("pqat") == after("fold") == [("zeros", "prune")]
    assert after("cqat") == [("clusters", "cluster")]
    assert after("pcqat") == after("npu_pcqat") == [("zeros", "prune"), ("clusters", "cluster")]
    assert after("sparse_cluster") == [("zeros", "prune"), ("clusters", "sparse_cluster")]
    assert after("cluster") == [("clusters", "cluster")]
    assert after("npu_cluster") == [("clusters", "npu_cluster")]
    assert after("prune") == [("zeros", "prune")]
    dw = (Promise("dw", "zeros", 1, "prune"),)  # which no clustering touches
    assert promises_after("cluster", model, dw, recipe)[0] == dw[0]


def test_promises_are_the_same_after_writing(tree: Any) -> None:
    promises = tree.promises(("prune", "sparse_cluster", "pcqat"))
    assert read_promises(json.dumps([asdict(promise) for promise in promises])) == promises


def test_zeros_overwritten_by_a_later_step_are_caught_there_and_in_the_file(tree: Any) -> None:
    node = ("prune", "sparse_cluster", "pcqat")
    broken = import_keras().models.clone_model(tree.model(("prune", "sparse_cluster")))
    broken.set_weights(tree.model(("prune", "sparse_cluster")).get_weights())
    kernel, *rest = broken.get_layer("pw").get_weights()
    broken.get_layer("pw").set_weights([np.where(kernel == 0, kernel.max(), kernel), *rest])
    with pytest.raises(LostError, match=r"layer pw lost its zeros after pcqat: 0.0% .* promised by prune$") as error:
        tree.check(node, broken)
    assert (error.value.layer, error.value.step) == ("pw", "pcqat")
    content = to_tflite(broken, "ptq", [tree.data.x[0][:20]])
    with pytest.raises(LostError, match=r"layer pw of the int8 file lost its zeros after ptq: .* by prune; the Keras"):
        survival.check_tflite(content, broken, tree.promises(node), "ptq")


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("name", "leaf"),
    [
        ("resnet8", "pcqat"),
        ("resnet8", "npu_pcqat"),
        ("ad01", "npu_pcqat"),
    ],
)
def test_published_models_keep_what_is_promised(shared_models: Path, name: str, leaf: str) -> None:
    """MLPerf Tiny's ResNet8 and autoencoder, fine-tuned for two batches of noise."""
    file = shared_models / "keras" / f"{name}.h5"
    network = read_network(file)
    random = np.random.default_rng(0)
    x = random.normal(size=(64, *network.input_shape[1:])).astype(np.float32)
    tune = FineTune(epochs=1, learning_rate=1e-4)
    recipe = Recipe(batch_size=32, prune=tune, sparse_cluster=tune, pqat=tune, pcqat=tune)
    made, _ = walked(
        network, paths.path_of(leaf), steps.Samples(x, network.predict(x, verbose=0)), recipe, LearningGoal("mse")
    )
    assert {promise.kind for promise in made.promises} == {"zeros", "clusters"}
    assert len({row.layer for row in measure_keras(made.model)}) >= 10


def test_promises_are_artifacts_that_the_next_step_and_the_conversion_depend_on(tmp_path: Path) -> None:
    model = load_model_file(write(tmp_path, {"models/blobs.py": model_file()}) / "models/blobs.py")
    pipeline, node = Pipeline(Store(tmp_path / "store")), ("prune", "pqat")
    pipeline.int8(model, "pqat")
    assert {promise.step for promise in pipeline.promises(model, node)} == {"prune"}
    assert {promise.layer for promise in pipeline.promises(model, node)} == {"conv", "pointwise", "logits"}
    assert pipeline.recipe(model, node).inputs["promises"] == pipeline.keras(model, ("prune",)).digest(PROMISES)
    sparser = replace(model, recipe=replace(model.recipe, sparsity=0.7))
    assert pipeline.recipe(sparser, node).inputs["promises"] != pipeline.recipe(model, node).inputs["promises"]


def test_a_loss_comes_out_of_the_pipeline_with_its_layer_and_cause(tmp_path: Path) -> None:
    arms = """
    x = layers.ReLU()(layers.Conv2D(8, 1, name="left")(x))
    return"""
    text = model_file().replace("    return keras.Model", arms.strip("\n") + " keras.Model")
    text = text.replace("recipe=Recipe(", "recipe=Recipe(repairs=(), ")
    model = load_model_file(write(tmp_path, {"models/blobs.py": text}) / "models/blobs.py")
    with pytest.raises(
        LostError, match=r"layer left lost its zeros after pqat: .*; a separate ReLU reads it, and the repair"
    ) as error:
        Pipeline(Store(tmp_path / "store")).int8(model, "pqat")
    assert (error.value.layer, error.value.step) == ("left", "pqat")
