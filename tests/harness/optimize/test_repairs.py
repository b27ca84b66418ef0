"""Each silent defect of TFMOT: shown with its repair switched off (and caught), gone with it switched on."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from hil.core.errors import ConvertError, LostError
from hil.harness.model import REPAIRS, FineTune, Recipe
from hil.harness.optimize import steps, survival
from hil.harness.optimize.clipped_outputs import clipped_outputs
from hil.harness.optimize.conversion import to_tflite
from hil.harness.optimize.keras.keras2 import import_keras, import_tfmot, seeded
from hil.harness.optimize.layer_weights import measure_tflite
from hil.harness.optimize.layers import kernels
from hil.harness.optimize.repairs import repairs
from hil.harness.optimize.training import LearningGoal, TrainingPlan, fit
from hil.targets import create
from hil.targets.base import Deployable
from hil.targets.execution.signature import dequantize, quantize, read_signature

from .conftest import RECIPE, trained

BRIEF = FineTune(epochs=1, learning_rate=1e-3, samples=64)


def without(recipe: Recipe, repair: str) -> Recipe:
    """All repairs but one; two training steps are enough for a defect to show."""
    recipe = replace(recipe, pqat=BRIEF, cqat=BRIEF, pcqat=BRIEF)
    return replace(recipe, repairs=tuple(name for name in REPAIRS if name != repair))


def test_cqat_takes_a_layer_clustered_as_a_whole_for_one_clustered_per_channel(tree: Any) -> None:
    node, parent = ("cluster", "cqat"), tree.model(("cluster",))
    broken = steps.apply("cqat", parent, tree.data, without(tree.recipe, "per_channel_guess"))
    recipe = without(tree.recipe, "per_channel_guess")
    with pytest.raises(
        LostError, match=r"layer pw lost its clusters after cqat: [0-9]{2,} distinct weights, 5 .*per_channel_guess is"
    ) as error:
        tree.check(node, broken, recipe)
    assert (error.value.layer, error.value.step) == ("pw", "cqat")
    tree.check(node, tree.model(node))


def test_one_layer_without_zeros_switches_off_the_zeros_of_all_others(tree: Any) -> None:
    node = ("prune", "sparse_cluster", "pcqat")
    recipe = replace(tree.recipe, keep=("conv",), pcqat=BRIEF)
    clustered = import_keras().models.clone_model(tree.model(node[:-1]))
    clustered.set_weights(tree.model(node[:-1]).get_weights())
    (kernel,) = clustered.get_layer("conv").get_weights()
    clustered.get_layer("conv").set_weights([np.where(kernel == 0, kernel.max(), kernel)])
    broken = steps.apply("pcqat", clustered, tree.data, without(recipe, "shared_quantizer"))
    pw = [promise for promise in tree.promises(node) if promise.layer == "pw"]
    with pytest.raises(
        LostError, match=r"layer pw lost its zeros after pcqat: .*; layer conv has no zeros, and the re"
    ):
        survival.check_keras(clustered, broken, pw, "pcqat", without(recipe, "shared_quantizer"))
    survival.check_keras(clustered, steps.apply("pcqat", clustered, tree.data, recipe), pw, "pcqat", recipe)


@pytest.fixture(scope="module")
def relu_network(data: steps.Samples) -> Any:
    """A pruned network whose convolutions are followed by a separate ReLU, without batch normalization."""
    keras = import_keras()
    layers = keras.layers
    with seeded(2):
        network = keras.Sequential(
            [
                layers.Conv2D(16, 3, strides=2, input_shape=(8, 8, 1), name="conv"),
                layers.ReLU(name="relu"),
                layers.Conv2D(32, 1, name="pw"),
                layers.Activation("relu", name="activation"),
                layers.GlobalAveragePooling2D(),
                layers.Dense(4, name="logits"),
            ]
        )
    return steps.apply_checked("prune", network, data, replace(RECIPE, prune=BRIEF))


def test_a_separate_relu_takes_the_weight_quantizer_away(relu_network: Any, data: steps.Samples) -> None:
    pruned, promises = relu_network.model, relu_network.promises
    lost = (
        "layer conv lost its zeros after pqat: .*; a separate ReLU reads it, and the repair relu_layer is switched off"
    )
    with pytest.raises(LostError, match=lost):
        steps.apply_checked("pqat", pruned, data, without(RECIPE, "relu_layer"), promises)
    repaired = steps.apply_checked("pqat", pruned, data, replace(RECIPE, pqat=BRIEF), promises)
    survival.check_tflite(to_tflite(repaired.model, "qat", data.x), repaired.model, repaired.promises, "pqat")


@pytest.fixture(scope="module")
def dead_network(data: steps.Samples) -> Any:
    """A network with four channels whose weights are all zero but whose bias is not."""
    keras = import_keras()
    layers = keras.layers
    with seeded(3):
        network = keras.Sequential(
            [
                layers.Conv2D(12, 3, strides=2, activation="relu", input_shape=(8, 8, 1), name="conv"),
                layers.GlobalAveragePooling2D(),
                layers.Dense(4, name="logits"),
            ]
        )
    kernel, bias = trained(network, data, epochs=1).get_layer("conv").get_weights()
    kernel[..., :4], bias[:4] = 0.0, 1.0
    network.get_layer("conv").set_weights([kernel, bias])
    return network


def test_an_all_zero_channel_gets_a_bias_that_does_not_fit(dead_network: Any, data: steps.Samples, tree: Any) -> None:
    broken = steps.apply("pqat", dead_network, data, without(tree.recipe, "dead_channels"))
    with pytest.raises(ConvertError, match=r"a bias of .*conv.* does not fit 32 bits"):
        to_tflite(broken, "qat", data.x)
    repaired = steps.apply("pqat", dead_network, data, replace(without(tree.recipe, ""), repairs=REPAIRS))
    assert np.array_equal(repaired.predict(data.x[0], verbose=0), broken.predict(data.x[0], verbose=0))
    rows = measure_tflite(to_tflite(repaired, "qat", data.x), repaired)
    assert rows[0].layer == "conv"
    assert rows[0].zeros >= 4 / 12


@dataclass(frozen=True)
class Regression:
    """A trained network whose targets lie between 5 and 95, with its data; the last 200 samples are the test set."""

    network: Any
    data: steps.Samples

    def error(self, model: Any, conversion: str) -> float:
        """Mean absolute error of the int8 file on the test set."""
        int8 = to_tflite(model, conversion, [self.data.x[0][:50]])
        signature, x = read_signature(int8), self.data.x[0][-200:]
        run = create("host").run(Deployable(int8, None), [quantize(signature.inputs[0], x)])
        return float(np.mean(np.abs(dequantize(signature.outputs[0], run.outputs[0]) - self.data.y[0][-200:])))


@pytest.fixture(scope="module")
def regression() -> Regression:
    keras = import_keras()
    layers = keras.layers
    random = np.random.default_rng(0)
    x = random.normal(size=(600, 8)).astype(np.float32)
    y = (50 + 45 * np.tanh(x @ random.normal(size=(8, 1)) / 2)).astype(np.float32)
    with seeded(6):
        hidden = [layers.Dense(24, activation="relu", name=name) for name in ("first", "second")]
        network = keras.Sequential([layers.Input((8,)), *hidden, layers.Dense(1, name="target")])
        fit(network, steps.Samples(x[:400], y[:400]), TrainingPlan(FineTune(60, 1e-2), 32, 0, LearningGoal("mse")))
    return Regression(network, steps.Samples(x, y))


def test_an_output_is_cut_off_at_the_first_range(regression: Regression) -> None:
    data = regression.data.take(slice(0, 400))
    recipe = replace(without(RECIPE, "calibrated_ranges"), qat=BRIEF)
    ptq = regression.error(regression.network, "ptq")
    broken = steps.apply("qat", regression.network, data, recipe, LearningGoal("mse"))
    assert regression.error(broken, "qat") > 3 * ptq
    (line,) = clipped_outputs(broken, data.x)
    assert re.fullmatch(r"output target: 9\d % of its values .* lie outside its range -\d.* to \d.*", line)
    repaired = steps.apply("qat", regression.network, data, replace(recipe, repairs=REPAIRS), LearningGoal("mse"))
    assert regression.error(repaired, "qat") < 1.5 * ptq
    assert clipped_outputs(repaired, data.x) == []


def test_small_activations_have_few_steps_of_the_first_range(tree: Any) -> None:
    """The layers before the logits divided by 100, the logits multiplied: the same function, activations below 0.1."""
    network = import_keras().models.clone_model(tree.model(()))
    network.set_weights(tree.model(()).get_weights())
    for name, factor in (("pw_bn", 0.01), ("logits", 100.0)):
        first, second, *rest = network.get_layer(name).get_weights()
        network.get_layer(name).set_weights([first * factor, second * (factor if name == "pw_bn" else 1), *rest])
    still = FineTune(epochs=1, learning_rate=1e-9)

    def accuracy(repairs: tuple[str, ...]) -> float:
        aware = steps.apply("qat", network, tree.data, replace(RECIPE, qat=still, repairs=repairs))
        return float(np.mean(aware.predict(tree.data.x[0], verbose=0).argmax(axis=1) == tree.data.y[0]))

    base = float(np.mean(network.predict(tree.data.x[0], verbose=0).argmax(axis=1) == tree.data.y[0]))
    assert accuracy(without(RECIPE, "calibrated_ranges").repairs) < base - 0.2
    assert accuracy(REPAIRS) > base - 0.02


def test_a_kernels_regularizer_moves_weights_that_changed_their_cluster(tree: Any) -> None:
    keras = import_keras()
    layers = keras.layers
    recipe = replace(tree.recipe, cqat=FineTune(epochs=4, learning_rate=3e-3, samples=256))
    with seeded(4):
        network = keras.Sequential(
            [
                layers.Conv2D(16, 3, activation="relu", input_shape=(8, 8, 1), kernel_regularizer="l2", name="conv"),
                layers.Flatten(),
                layers.Dense(4, name="logits"),
            ]
        )
    clustered = steps.apply("cluster", network, tree.data, recipe)

    def distinct(repairs: tuple[str, ...]) -> int:
        made = steps.apply("cqat", clustered, tree.data, replace(recipe, repairs=repairs))
        return max(len(np.unique(values)) for layer, _, values in kernels(made) if layer.name.endswith("conv"))

    assert distinct(without(recipe, "kernel_regularizer").repairs) > recipe.clusters >= distinct(REPAIRS)


def test_tfmot_is_as_it_was_after_the_block() -> None:
    import_tfmot()
    from tensorflow_model_optimization.python.core.quantization.keras.collab_opts.cluster_preserve import (
        cluster_preserve_quantize_registry as registry,
    )
    from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import default_8bit_transforms

    owner = registry.ClusterPreserveQuantizeRegistry
    before = (registry.get_centroids, owner.apply_cluster_preserve_quantize_config)
    inherited = default_8bit_transforms.LayerReluActivationQuantize.replacement
    with repairs():
        assert registry.get_centroids is not before[0]
    assert (registry.get_centroids, owner.apply_cluster_preserve_quantize_config) == before
    assert default_8bit_transforms.LayerReluActivationQuantize.replacement is inherited
