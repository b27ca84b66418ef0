"""A sample as the board's firmware wants it in its buffer.

======== ===================================================== =======================================
model    bytes                                                 source
======== ===================================================== =======================================
kws01    the int8 input                                        `th_load_tensor` of the benchmark's
ic01     the image, uint8: the int8 input plus 128             reference firmware of that name
vww01    the same
ad01     the real numbers, float32, little endian
others   the quantized input as it is
======== ===================================================== =======================================
"""

from __future__ import annotations

import numpy as np

from hil.core.arrays import Array
from hil.targets.execution.signature import TensorSpec, dequantize

IMAGES = ("ic01", "vww01")
REALS = ("ad01",)


def encode(model: str, spec: TensorSpec, sample: Array) -> bytes:
    """`sample` has the input's dtype and shape without the batch; `model` is what the board says it carries."""
    if model in IMAGES and spec.dtype == np.int8:
        return (sample.astype(np.int16) + 128).astype(np.uint8).tobytes()
    if model in REALS:
        return dequantize(spec, sample).astype("<f4").tobytes()
    return np.ascontiguousarray(sample).astype(spec.dtype.newbyteorder("<")).tobytes()
