"""Inner loops of scaling, im2col and depthwise convolution, compiled with numba for whole batches.

    from hil.npu.loops import backend

    loops = backend.loops(elements)     # this module, or None while NumPy is cheaper
    loops.finish(accumulator, bias, multiplier, half, nudge, zero_point, low, high, out)

Each function equals a NumPy expression elsewhere (named in its docstring): the same operations in the same types, in
one pass; tests compare the two.  Importing this module imports numba, which takes longer than many small inferences, so
only `backend` imports it.
"""

from __future__ import annotations

import math
from types import ModuleType

import numpy as np

from hil.core.arrays import Array, Floats, Integers
from hil.npu.loops import codec_loops, dot_products
from hil.npu.loops.compilation import compiled

of_bytes: ModuleType | None = None
"""The loops that use this CPU's dot products of bytes; None if it has none."""
if dot_products.available():
    from hil.npu.loops import byte_loops

    of_bytes = byte_loops

codec = codec_loops
"""The weight decoder."""


@compiled
def finish(
    accumulator: Array, bias: Floats, multiplier: Floats, half: Floats, nudge: Floats,
    zero_point: float, low: float, high: float, out: Array,
) -> None:  # fmt: skip
    """Computes `OutputStage` without a table, if `fits_floats`; all arrays (rows, channels) or (channels,)."""
    for row in range(accumulator.shape[0]):
        for c in range(accumulator.shape[1]):
            value = (np.float64(accumulator[row, c]) + bias[c]) * multiplier[c]
            value = math.floor(value + (math.copysign(nudge[c], value) + half[c])) + zero_point
            out[row, c] = min(max(value, low), high)


@compiled
def finish_whole(
    accumulator: Array, bias: Integers, factor: Integers, shift: Integers, twice: Integers,
    zero_point: int, low: int, high: int, out: Array,
) -> None:  # fmt: skip
    """Computes `OutputStage` without a table by `rescale`, if float64 is not exact.

    `twice` is 2**30 for channels that TFL rounds twice, else 0; all arrays (rows, channels) or (channels,).
    """
    for row in range(accumulator.shape[0]):
        for c in range(accumulator.shape[1]):
            product = (np.int64(accumulator[row, c]) + bias[c]) * factor[c]
            half = (np.int64(1) << shift[c]) >> 1
            product += half + (twice[c] if product >= 0 else -twice[c])
            out[row, c] = min(max((product >> shift[c]) + zero_point, low), high)


@compiled
def columns(
    padded: Array, depth: int, kernel: Array, strides: Array, zero_point: float, top: int, out: Array
) -> None:  # fmt: skip
    """Copies `windows` of a padded IFM less its zero point, OFM rows from `top` on, to `out` (im2col).

    `padded` is (batch, height, width*depth), `kernel` (height, width, dilation y, dilation x), `strides` (y, x); `out`
    is float32 or float64, (batch, rows, width, kernel elements).
    """
    pieces, run = kernel[1], depth
    if kernel[3] == 1:  # A row of the kernel is one run of memory.
        pieces, run = 1, kernel[1] * depth
    for sample in range(out.shape[0]):
        for y in range(out.shape[1]):
            for ky in range(kernel[0]):
                row = padded[sample, (top + y) * strides[0] + ky * kernel[2]]
                for x in range(out.shape[2]):
                    for piece in range(pieces):
                        start = (x * strides[1] + piece * kernel[3]) * depth
                        at = (ky * pieces + piece) * run
                        source = row[start : start + run]
                        target = out[sample, y, x, at : at + run]
                        for i in range(run):
                            target[i] = source[i] - zero_point


@compiled
def depthwise(padded: Array, weights: Array, strides: Array, dilations: Array, out: Array) -> None:
    """Computes `ConvolutionStep`'s depthwise sums, without subtracting the IFM zero point; `out` is int32.

    `padded` (batch, height, width, depth), `weights` int32 (height, width, depth).
    """
    for sample in range(out.shape[0]):
        for y in range(out.shape[1]):
            for x in range(out.shape[2]):
                target = out[sample, y, x]
                target[:] = 0
                for ky in range(weights.shape[0]):
                    for kx in range(weights.shape[1]):
                        source = padded[sample, y * strides[0] + ky * dilations[0], x * strides[1] + kx * dilations[1]]
                        weight = weights[ky, kx]
                        for c in range(out.shape[3]):
                            target[c] += np.int32(source[c]) * weight[c]
