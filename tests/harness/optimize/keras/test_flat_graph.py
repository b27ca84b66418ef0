"""Flattening of nested models in Keras 2."""

from __future__ import annotations

import numpy as np

from hil.harness.optimize.keras.flat_graph import flatten_model
from hil.harness.optimize.keras.keras2 import import_keras

X = np.random.default_rng(0).normal(size=(5, 8, 8, 3)).astype(np.float32)


def test_a_model_called_with_training_false_keeps_its_statistics_in_training() -> None:
    """`base(x, training=False)`, as in transfer learning, also for a model inside that model."""
    keras = import_keras()
    layers = keras.layers
    inner = keras.Sequential([layers.Input((8, 8, 3)), layers.BatchNormalization(), layers.Dropout(0.5)])
    outer = keras.Sequential([layers.Input((8, 8, 3)), inner, layers.Conv2D(4, 3), layers.BatchNormalization()])
    image = keras.Input((8, 8, 3))
    y = layers.BatchNormalization(name="thawed")(outer(image, training=False))
    network = flatten_model(keras.Model(image, [y, outer(image, training=False)]))
    in_training, at_inference = network(X, training=True), network(X, training=False)
    assert np.array_equal(in_training[1], at_inference[1])
    assert not np.allclose(in_training[0], at_inference[0])
