"""Layers with an einsum convert behind quantized layers, after quantization-aware training, too."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hil.harness.optimize.dense_einsum import contracted_axes, dense_einsums
from hil.harness.optimize.keras.keras2 import import_keras, seeded
from tests.support.layer_table import Walk
from tests.support.night import some_by_day

BEFORE = ("nothing", "convolution", "sum", "concatenation", "pooling")
"""Layers that a Reshape reads, whose values are quantized."""


def network(before: str, layer: str) -> Any:
    """A network in which `layer` reads quantized values through a Reshape."""
    layers = import_keras().layers
    given = layers.Input((4, 4, 3))
    pair = [layers.Conv2D(8, 3, padding="same", activation="relu")(given) for _ in range(2)]
    x = {
        "nothing": lambda: given,
        "convolution": lambda: pair[0],
        "sum": lambda: layers.Add()(pair),
        "concatenation": lambda: layers.Concatenate()(pair),
        "pooling": lambda: layers.AveragePooling2D()(pair[0]),
    }[before]()
    x = layers.Reshape((x.shape[1] * x.shape[2], x.shape[3]))(x)
    if layer == "attention":
        x = layers.MultiHeadAttention(2, 4)(x, x)
    else:
        x = layers.EinsumDense("abc,cd->abd", output_shape=(None, 8), bias_axes="d", activation="relu")(x)
    return import_keras().Model(given, layers.Dense(3)(layers.Flatten()(x)))


@pytest.mark.parametrize(
    ("before", "layer"),
    some_by_day(product(BEFORE, ("attention", "einsum")), [*product(BEFORE, ("einsum",)), ("nothing", "attention")]),
)
def test_what_reads_quantized_values_through_a_reshape_converts(tmp_path: Path, before: str, layer: str) -> None:
    with seeded(0):
        made = network(before, layer)
    Walk(made, tmp_path).untrained_qat()


@pytest.mark.parametrize(
    ("equation", "axes"),
    [
        ("abc,cde->abde", 1),
        ("abcd,cde->abe", 2),
        ("ab, bc -> ac", 1),
        ("ab,bc->ca", 0),
        ("ab,cb->ac", 0),
        ("...c,cd->...d", 1),
        ("abc,cb->ab", 0),
    ],
)
def test_the_axes_that_a_product_of_matrices_contracts(equation: str, axes: int) -> None:
    assert contracted_axes(equation) == axes


@pytest.mark.parametrize("equation", ["abc,cd->abd", "abc,bcd->ad", "abc,cd->adb"])
def test_a_layer_gives_what_it_gave(equation: str) -> None:
    layers, x = import_keras().layers, np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    shape = {"abd": (None, 5), "ad": (5,), "adb": (5, None)}[equation.partition("->")[2]]
    layer = layers.EinsumDense(equation, output_shape=shape, bias_axes="d", bias_initializer="ones", activation="relu")
    plain = layer(x).numpy()
    with dense_einsums():
        np.testing.assert_allclose(layer(x).numpy(), plain, rtol=1e-5, atol=1e-6)
    assert np.array_equal(layer(x).numpy(), plain)
