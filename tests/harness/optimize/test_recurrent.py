"""Recurrent layers: unrolled they compute the same, and every kind converts whole, also after QAT."""

from __future__ import annotations

from collections import Counter
from itertools import product
from typing import Any

import numpy as np
import pytest

from hil.core.errors import BadInputError, LostError, OptimizeError
from hil.core.tflite.weights import read_tflite
from hil.harness.model import FineTune, Recipe
from hil.harness.optimize.conversion import to_tflite
from hil.harness.optimize.fidelity import measure_fidelity
from hil.harness.optimize.float_layers import float_notes
from hil.harness.optimize.keras.keras2 import import_keras
from hil.harness.optimize.network_check import check_network
from hil.harness.optimize.paths import PATHS
from hil.harness.optimize.promises import Promise
from hil.harness.optimize.quantization_aware import make_quantization_aware, with_default_quantizers
from hil.harness.optimize.recurrent import unrolled
from hil.harness.optimize.selection import sparsities
from hil.harness.optimize.steps import Optimized, Samples, apply, apply_checked
from hil.harness.optimize.survival import check_tflite
from tests.support.night import some_by_day

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


@pytest.mark.parametrize(
    ("kind", "conversion"),
    some_by_day(
        product(("GRU", "SimpleRNN", "LSTM", "Bidirectional"), ("ptq", "int16x8", "litert_ptq")),
        {("SimpleRNN", "ptq"), ("LSTM", "ptq"), ("Bidirectional", "int16x8"), ("GRU", "litert_ptq")},
    ),
)
def test_every_kind_converts_whole(kind: str, conversion: str) -> None:
    layers = import_keras().layers
    layer = layers.Bidirectional(layers.LSTM(4)) if kind == "Bidirectional" else getattr(layers, kind)(5)
    model = network(layer)
    check_network(model)
    kinds = Counter(operator.kind for operator in read_tflite(to_tflite(model, conversion, [X])))
    fused = kind == "LSTM" and conversion == "ptq"
    assert kinds["UNIDIRECTIONAL_SEQUENCE_LSTM"] == fused
    assert not kinds.keys() & {"SPLIT", "REVERSE_V2", "WHILE", "RELU_N1_TO_1"}


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
    assert float_notes("qat", aware) == ["layer memory (GRU): qat trains it in float, quantized after training"]
    operators = read_tflite(to_tflite(aware, "qat", [X]))
    assert {len(operator.scales) for operator in operators if operator.weights is not None} == {1}  # as it was trained


def test_both_directions_have_their_own_weights_after_quantization_aware_training() -> None:
    """Before: the forward layer got the weights of the backward one, which have the same names."""
    layers = import_keras().layers
    aware = make_quantization_aware(network(layers.Bidirectional(layers.SimpleRNN(5))), "qat", ())
    plain = with_default_quantizers(aware, ())
    assert np.array_equal(aware(X, training=False), plain(X, training=False))


def test_a_loop_that_cannot_be_unrolled_is_named() -> None:
    layers = import_keras().layers
    model = network(layers.RNN(layers.LSTMCell(3), name="loop"))
    with pytest.raises(BadInputError, match="layer loop is a RNN, on whose loop TensorFlow's converter crashes"):
        check_network(model)


def test_an_lstm_that_a_concatenate_or_an_add_reads_has_the_scale_of_its_state() -> None:
    """Before: the converter gave its output the scale of the other branch, -1 to 6 dB."""
    keras = import_keras()
    layers = keras.layers
    x = keras.Input(X.shape[1:])
    memory, beside = layers.LSTM(5, return_sequences=True)(x), layers.Dense(5)(x)
    ends = [layers.Concatenate()([memory, beside]), layers.Add()([memory, beside])]
    model = keras.Model(x, [layers.Dense(3)(end) for end in ends])
    random = np.random.default_rng(1)
    model.set_weights([random.uniform(-2, 2, weight.shape) for weight in model.get_weights()])
    int8 = to_tflite(model, "ptq", [X])
    assert measure_fidelity(int8, model, [X]).sqnr_db > 25
    assert Counter(operator.kind for operator in read_tflite(int8))["RELU_N1_TO_1"] == 1
    assert not any("call" in vars(layer) for layer in model.layers)


def test_a_gru_that_an_average_and_a_maximum_read_is_quantized_whole() -> None:
    """Before: of the ranges of both, the converter left a step of the unrolled layer without one."""
    keras = import_keras()
    layers = keras.layers
    x = keras.Input(X.shape[1:])
    states = layers.GRU(5, return_sequences=True, name="memory")(x)
    ends = [layers.GlobalAveragePooling1D()(states), layers.GlobalMaxPooling1D()(states)]
    model = keras.Model(x, layers.Dense(3)(layers.Concatenate()(ends)))
    tune = FineTune(epochs=1, learning_rate=1e-3)
    aware = apply("qat", model, Samples(X, np.arange(64) % 3), Recipe(batch_size=16, qat=tune))
    int8 = to_tflite(aware, "qat", [X])
    assert measure_fidelity(int8, aware, [X]).sqnr_db > 20


def test_zeros_and_clusters_of_every_kernel_survive_pcqat() -> None:
    """Before: pruning and clustering spared recurrent layers.  `test_kinds` has an LSTM and a GRU."""
    layers = import_keras().layers
    tune = FineTune(epochs=1, learning_rate=1e-3)
    recipe = Recipe(batch_size=16, clusters=8, prune=tune, sparse_cluster=tune, pcqat=tune)
    base = network(layers.Bidirectional(layers.SimpleRNN(8), name="both"))
    data, made = Samples(X, np.arange(len(X)) % 3), Optimized(base, (), [])
    for step in PATHS["pcqat"]:
        made = apply_checked(step, made.model, data, recipe, made.promises)
    kernels = {"forward_kernel", "forward_recurrent_kernel", "backward_kernel", "backward_recurrent_kernel"}
    promised = {(found.kernel, found.kind) for found in made.promises if found.layer == "both"}
    assert promised == {(kernel, kind) for kernel in kernels for kind in ("zeros", "clusters")}
    rows = check_tflite(to_tflite(made.model, "qat", [X]), made.model, made.promises, "pcqat")
    measured = {row.kernel: row for row in rows if row.layer == "both"}
    assert measured.keys() == kernels
    assert min(row.zeros for row in measured.values()) >= 0.5
    assert max(row.unique for row in measured.values()) <= 8


def test_a_changed_gate_is_not_found_in_the_file() -> None:
    model = network(import_keras().layers.LSTM(8, name="fused"))
    int8 = to_tflite(model, "ptq", [X])
    promise = Promise("fused", "clusters", 1000, "cluster", "recurrent_kernel")
    check_tflite(int8, model, (promise,), "ptq")
    kernel = model.get_layer("fused").cell.recurrent_kernel
    kernel.assign(kernel.numpy() * np.repeat([1, 1.1, 1, 1], 8).astype(np.float32))
    with pytest.raises(LostError, match=r"^layer fused \(recurrent_kernel\) is not in the int8 file; .* of each gate"):
        check_tflite(int8, model, (promise,), "ptq")


def test_a_layer_of_one_time_step_is_spared() -> None:
    layers = import_keras().layers
    model = import_keras().Sequential([layers.Input((1, 6)), layers.LSTM(8, name="memory"), layers.Dense(3)])
    assert "memory" not in sparsities("prune", model, Recipe())
    assert "memory" in sparsities("prune", network(layers.LSTM(8, name="memory")), Recipe())
