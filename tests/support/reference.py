"""Outputs of TensorFlow's reference kernels, which are the oracle of the tests."""

from __future__ import annotations

import numpy as np

from hil.core.arrays import Array
from hil.targets import create
from hil.targets.base import Deployable


def oracle(int8: bytes, *inputs: Array) -> list[bytes]:
    """Outputs of TensorFlow's reference kernels for one sample, as bytes per output."""
    run = create("host").run(Deployable(int8, None), [np.asarray(data)[None] for data in inputs])
    return [output[0].tobytes() for output in run.outputs]
