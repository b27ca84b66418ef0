"""Convolutions as matrix products, in the cheapest arithmetic that is exact.

    kernel = ConvolutionKernel.prepare(operation, weights, stage)
    kernel(operation, memory)

A window of the input times the weights is a dot product.  BLAS computes those fast in floating point, and a
floating-point sum of integers is exact, in any order, as long as no partial sum can exceed the type's contiguous
integers: 2**24 for float32, 2**53 for float64.  No partial sum exceeds

    max over output channels of sum |weight|  *  max |input - zero point|

so `exact_type` decides from the weights themselves.  Beyond both, NumPy's int64 does it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from hil.npu import acceleration
from hil.npu.featuremap import Memory
from hil.npu.operations import Convolution, Kind, Upscale, Windowed
from hil.npu.output import OutputStage

Array = NDArray[Any]

COLUMN_ELEMENTS = 1 << 17
"""Elements of input windows laid out at a time: half a mebibyte in float32, so that they stay in the cache."""


def largest_input(dtype: np.dtype[Any], zero_point: int) -> int:
    """The largest |element - zero point| that elements of `dtype` can have."""
    limits = np.iinfo(dtype)
    return max(abs(int(limits.min) - zero_point), abs(int(limits.max) - zero_point))


def exact_type(weights: NDArray[np.int16], largest: int) -> type[np.float32] | type[np.float64] | type[np.int64]:
    """The cheapest type that is exact for `weights` (first axis output channels) and inputs up to `largest`."""
    sums = np.abs(weights.astype(np.int64)).reshape(len(weights), -1).sum(axis=1)
    bound = int(sums.max(initial=0)) * largest
    if bound < 1 << 24:
        return np.float32
    return np.float64 if bound < 1 << 53 else np.int64


def padded_input(operation: Windowed, memory: Memory, dtype: Any, fill: int, subtract: int) -> Array:
    """The input as the kernel moves over it: upscaled, less `subtract`, with `fill` in the padding.

    Shape (batch, height, width, depth) as the windows need them.
    """
    ifm, padding = operation.ifm, operation.padding
    kernel, (out_h, out_w, _) = operation.kernel, operation.ofm.shape
    batch = len(memory[ifm.region])
    height = (out_h - 1) * kernel.stride_y + (kernel.height - 1) * kernel.dilation_y + 1
    width = (out_w - 1) * kernel.stride_x + (kernel.width - 1) * kernel.dilation_x + 1
    if not padding and operation.upscale is Upscale.NONE:
        values = ifm.read(memory, dtype)
        if subtract:
            values -= values.dtype.type(subtract)
        return values
    padded = np.full((batch, height, width, ifm.shape[2]), fill, dtype)
    inside = padded[:, padding.top : height - padding.bottom, padding.left : width - padding.right]
    if operation.upscale is Upscale.NONE:
        ifm.load(memory, inside)
        if subtract:
            inside -= padded.dtype.type(subtract)
        return padded
    values = ifm.read(memory, dtype)
    values -= values.dtype.type(subtract)
    if operation.upscale is Upscale.NEAREST:
        inside[...] = values.repeat(2, axis=1).repeat(2, axis=2)[:, : inside.shape[1], : inside.shape[2]]
    else:
        # Zeros between the elements are zero points: 0 once that is subtracted.
        inside[...] = operation.ifm_zero_point - subtract
        inside[:, ::2, ::2] = values
    return padded


def windows(operation: Windowed, padded: Array) -> Array:
    """View of `padded` of shape (batch, out height, out width, kernel height, kernel width, depth)."""
    kernel, (out_h, out_w, _) = operation.kernel, operation.ofm.shape
    batch, y, x, c = padded.strides
    return as_strided(
        padded,
        (len(padded), out_h, out_w, kernel.height, kernel.width, padded.shape[3]),
        (batch, y * kernel.stride_y, x * kernel.stride_x, y * kernel.dilation_y, x * kernel.dilation_x, c),
        writeable=False,
    )


@dataclass(frozen=True)
class ConvolutionKernel:
    """Weights in the type they are multiplied in, and the output stage.

    `weights` is (height*width*depth, output depth) for CONV, (height, width, depth) for DEPTHWISE.  `_whole` and
    `_whole_stage` are for compiled depthwise loops, which sum inputs as they are, in integers: what the zero point adds
    to the sums is taken off the bias.
    """

    weights: Array
    stage: OutputStage
    _compilable: bool
    _whole: NDArray[np.int32] | None = None
    _whole_stage: OutputStage | None = None

    @classmethod
    def prepare(cls, operation: Convolution, weights: NDArray[np.int16], stage: OutputStage) -> ConvolutionKernel:
        """Chooses the arithmetic for `weights` of shape (output depth, height, width, input depth)."""
        limits = np.iinfo(operation.ifm.dtype)
        zero_point = operation.ifm_zero_point
        dtype = exact_type(weights, largest_input(operation.ifm.dtype, zero_point))
        compilable = dtype is not np.int64 and limits.min <= zero_point <= limits.max
        if operation.kind is Kind.CONV:
            ordered = weights.reshape(len(weights), -1).T
            return cls(np.ascontiguousarray(ordered.astype(dtype)), stage, compilable)
        whole = np.ascontiguousarray(np.moveaxis(weights[..., 0], 0, -1).astype(np.int32))
        sums = whole.sum(axis=(0, 1), dtype=np.int64)
        shifted = replace(stage, bias=(0 if stage.bias is None else stage.bias) - zero_point * sums)
        # Sums that are exact in float32 fit 32-bit integers too.
        return cls(whole.astype(dtype), stage, compilable and dtype is np.float32, whole, shifted)

    def __call__(self, operation: Convolution, memory: Memory) -> None:
        """Computes the output of every sample of `memory`."""
        batch = len(memory[operation.ofm.region])
        loops = acceleration.loops(batch * operation.ofm.elements)
        compiled = loops if self._compilable else None
        if compiled is None:
            padded = padded_input(operation, memory, self.weights.dtype, 0, operation.ifm_zero_point)
        else:
            padded = padded_input(operation, memory, operation.ifm.dtype, operation.ifm_zero_point, 0)
        if operation.kind is Kind.DEPTHWISE:
            if compiled is None:
                values = self.stage(self._depthwise(operation, padded), loops)
            else:
                values = self._depthwise_compiled(operation, padded, compiled)
            operation.ofm.store(memory, values)
            return
        _, out_w, out_depth = operation.ofm.shape
        rows = max(1, COLUMN_ELEMENTS // (batch * out_w * max(self.weights.shape)))
        for top in range(0, operation.ofm.shape[0], rows):
            columns = self._columns(operation, padded, top, rows, compiled)
            accumulator = columns @ self.weights
            operation.ofm.store(memory, self.stage(accumulator, loops).reshape(batch, -1, out_w, out_depth), top)

    def _columns(self, operation: Convolution, padded: Array, top: int, rows: int, loops: ModuleType | None) -> Array:
        """The windows of output rows from `top` on, one a row of the result."""
        size = self.weights.shape[0]
        if loops is None:
            return np.ascontiguousarray(windows(operation, padded)[:, top : top + rows]).reshape(-1, size)
        kernel, (out_h, out_w, _) = operation.kernel, operation.ofm.shape
        result = np.empty((len(padded), min(rows, out_h - top), out_w, size), self.weights.dtype)
        loops.columns(
            padded.reshape(*padded.shape[:2], -1),
            padded.shape[3],
            np.array([kernel.height, kernel.width, kernel.dilation_y, kernel.dilation_x]),
            np.array([kernel.stride_y, kernel.stride_x]),
            result.dtype.type(operation.ifm_zero_point),
            top,
            result,
        )
        return result.reshape(-1, size)

    def _depthwise(self, operation: Convolution, padded: Array) -> Array:
        view = windows(operation, padded)
        accumulator: Array = view[:, :, :, 0, 0] * self.weights[0, 0]
        product = np.empty_like(accumulator)
        for y, x in np.ndindex(self.weights.shape[:2]):
            if y or x:
                np.multiply(view[:, :, :, y, x], self.weights[y, x], out=product)
                accumulator += product
        return accumulator

    def _depthwise_compiled(self, operation: Convolution, padded: Array, loops: ModuleType) -> Array:
        assert self._whole_stage is not None
        kernel = operation.kernel
        accumulator = np.empty((len(padded), *operation.ofm.shape), np.int32)
        loops.depthwise(
            padded,
            self._whole,
            np.array([kernel.stride_y, kernel.stride_x]),
            np.array([kernel.dilation_y, kernel.dilation_x]),
            accumulator,
        )
        return self._whole_stage(accumulator, loops)
