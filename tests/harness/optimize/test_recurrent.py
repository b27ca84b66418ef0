"""Recurrent layers: unrolled they compute the same, and every kind converts whole, also after QAT."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from hil.core.errors import BadInputError, OptimizeError
from hil.core.tflite.weights import read_tflite
from hil.harness.model import FineTune, Recipe
from hil.harness.optimize.conversion import to_tflite
from hil.harness.optimize.keras.keras2 import import_keras
from hil.harness.optimize.network_check import check_network
from hil.harness.optimize.recurrent import unquantized_notes, unrolled
from hil.harness.optimize.steps import Samples, apply

X = np.random.default_rng(0).normal(size=(64, 4, 6)).astype(np.float32)
LAYERS = {
    "GRU": {"return_sequences": True, "activation": "relu"},
    "GRU before": {"reset_after": False, "go_backwards": True},
    "GRU without bias": {"use_bias": False, "return_sequences": True},
    "SimpleRNN": {"go_backwards": True},
    "LSTM": {"activation": "relu", "return_sequences": True},
    "LSTM backwards": {"go_backwards": True, "use_bias": False},
}
BOTH = {"concat": True, "sum": False, "mul": True, "ave": False}


def network(*layers: Any) -> Any:
    """A model whose every weight is drawn."""
    keras = import_keras()
    made = keras.Sequential([keras.layers.Input(X.shape[1:]), *layers, keras.layers.Dense(3)])
    random = np.random.default_rng(1)
    made.set_weights([random.uniform(-0.6, 0.6, weight.shape) for weight in made.get_weights()])
    return made


def test_unrolled_layers_compute_the_same() -> None:
    layers = import_keras().layers
    every = [getattr(layers, name.split()[0])(5, **settings) for name, settings in LAYERS.items()]
    for merge, sequences in BOTH.items():
        inner = layers.GRU(5, return_sequences=sequences)
        every.append(layers.Bidirectional(inner, merge_mode=merge))
    for layer in every:
        with unrolled(network(layer), "ptq"):
            pass


def test_states_and_masks_are_named() -> None:
    keras = import_keras()
    layers = keras.layers
    x, state = keras.Input(X.shape[1:]), keras.Input((5,))
    given = keras.Model([x, state], layers.GRU(5, name="memory")(x, initial_state=state))
    handed = keras.Model(x, layers.GRU(5, return_state=True, name="memory")(x))
    masked = keras.Model(x, layers.GRU(5, name="memory")(layers.Masking(name="masking")(x)))
    for model in (given, handed):
        with pytest.raises(OptimizeError, match=r"^layer memory gets a state or hands it on"), unrolled(model, "ptq"):
            pass
    with pytest.raises(OptimizeError, match=r"^layer memory gets a mask from masking"), unrolled(masked, "ptq"):
        pass


@pytest.mark.parametrize("kind", ["GRU", "SimpleRNN", "LSTM", "Bidirectional"])
@pytest.mark.parametrize("conversion", ["ptq", "int16x8", "litert_ptq"])
def test_every_kind_converts_whole(kind: str, conversion: str) -> None:
    layers = import_keras().layers
    layer = layers.Bidirectional(layers.LSTM(4)) if kind == "Bidirectional" else getattr(layers, kind)(5)
    model = network(layer)
    check_network(model)
    kinds = Counter(operator.kind for operator in read_tflite(to_tflite(model, conversion, [X])))
    fused = kind == "LSTM" and conversion == "ptq"
    assert kinds["UNIDIRECTIONAL_SEQUENCE_LSTM"] == fused
    assert not kinds.keys() & {"SPLIT", "REVERSE_V2", "WHILE"}


def test_quantization_aware_training_leaves_them_in_float_and_says_so() -> None:
    """Before: TFMOT cannot quantize layer memory (GRU)."""
    layers = import_keras().layers
    model = network(layers.Dense(6, activation="relu", name="before"), layers.GRU(5, name="memory"))
    tune = FineTune(epochs=1)
    recipe = Recipe(
        base=tune, prune=tune, cluster=tune, sparse_cluster=tune, qat=tune, pqat=tune, cqat=tune, pcqat=tune
    )
    aware = apply("qat", model, Samples(X, np.arange(len(X)) % 3), recipe)
    names = {layer.name for layer in aware.layers}
    assert "quant_before" in names
    assert "memory" in names
    assert unquantized_notes("qat", aware) == ["layer memory (GRU): qat trains it in float, quantized after training"]
    operators = read_tflite(to_tflite(aware, "qat", [X]))
    assert {len(operator.scales) for operator in operators if operator.weights is not None} == {1}  # as it was trained


def test_a_loop_that_cannot_be_unrolled_is_named() -> None:
    layers = import_keras().layers
    model = network(layers.RNN(layers.LSTMCell(3), name="loop"))
    with pytest.raises(BadInputError, match="layer loop is a RNN, on whose loop TensorFlow's converter crashes"):
        check_network(model)
