"""Keras 3 models for tests, with weights that all differ, and a check that two versions compute the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hil.harness.optimize.keras import keras3


class Late:
    """Attribute found by `find` and imported only when a test uses it: collecting tests must not take seconds."""

    def __init__(self, find: Callable[[], Any]) -> None:
        self.find = find

    def __getattr__(self, name: str) -> Any:
        return getattr(self.find(), name)


keras = Late(keras3.import_keras3)
L = Late(lambda: keras.layers)
SHAPE = (8, 8, 3)
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(5, *SHAPE)).astype(np.float32)


def settled(model: Any) -> Any:
    """Every weight drawn anew, also those that start as zeros or ones: else a mix-up of two would not show."""
    for weight in model.weights:
        weight.assign(RANDOM.uniform(0.1, 0.6, size=tuple(weight.shape)))
    return model


def chain(*layers: Any, shape: tuple[int, ...] = SHAPE) -> Any:
    return settled(keras.Sequential([L.Input(shape), *layers]))


def same(model: Any, network: Any, x: Any = X) -> bool:
    expected, given = (np.asarray(m.predict(x, verbose=0)) for m in (model, network))
    return bool(np.allclose(expected, given, rtol=0, atol=1e-5 * max(1, np.abs(expected).max())))
