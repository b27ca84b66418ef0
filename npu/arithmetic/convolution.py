"""Convolutions as matrix products, in the cheapest exact arithmetic.

    step = ConvolutionStep.prepare(operation, weights, stage)
    step(memory)

A window of the IFM times the weights is a dot product.  BLAS computes dot products fast in floating point, and
`exactness.exact_type` decides from the actual weights whether float32 or float64 is exact; beyond both, NumPy's int64
is used.  This is the plain way; `native_steps` prepares the compiled one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil.core.arrays import Array
from hil.npu.arithmetic.exactness import exact_type, largest_input
from hil.npu.arithmetic.native_steps import native_convolution
from hil.npu.arithmetic.output import OutputStage
from hil.npu.native.records import NativeStep
from hil.npu.stream.feature_map import Regions
from hil.npu.stream.operations import Convolution, Kind, Upscale, Windowed

COLUMN_ELEMENTS = 1 << 17
"""Elements of IFM windows copied at a time: half a mebibyte in float32, so that they stay in the CPU's cache."""


def padded_input(operation: Windowed, memory: Regions, dtype: Any, fill: int, subtract: int) -> Array:
    """Reads the IFM upscaled, less `subtract`, with `fill` in the padding.

    Shape (batch, height, width, depth), of the height and width that the windows cover.
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
    """Returns the windows as a view of the contiguous `padded`.

    Shape (batch, out height, out width, kernel height, kernel width, depth).
    """
    kernel, (out_h, out_w, _) = operation.kernel, operation.ofm.shape
    batch, y, x, c = padded.strides
    shape = len(padded), out_h, out_w, kernel.height, kernel.width, padded.shape[3]
    strides = batch, y * kernel.stride_y, x * kernel.stride_x, y * kernel.dilation_y, x * kernel.dilation_x, c
    return np.ndarray(shape, padded.dtype, padded, 0, strides)


@dataclass(frozen=True)
class ConvolutionStep:
    """Computes a convolution.

    `weights` have shape (output depth, height, width, input depth); `dtype` is the type of the matrix product.
    """

    operation: Convolution
    weights: NDArray[np.int16]
    stage: OutputStage
    dtype: type[np.float32] | type[np.float64] | type[np.int64]

    @classmethod
    def prepare(cls, operation: Convolution, weights: NDArray[np.int16], stage: OutputStage) -> ConvolutionStep:
        """Chooses the arithmetic for `weights`.  Raises `StreamError` if none is exact."""
        dtype = exact_type(weights, largest_input(operation.ifm.dtype, operation.ifm_zero_point))
        return cls(operation, weights, stage, dtype)

    @cached_property
    def native(self) -> NativeStep | None:
        """The same for the compiled code, None if only NumPy computes it."""
        return native_convolution(self.operation, self.weights, self.stage)

    def __call__(self, memory: Regions) -> None:
        """Computes the output of every sample of `memory`."""
        operation = self.operation
        batch = len(memory[operation.ofm.region])
        padded = padded_input(operation, memory, self.dtype, 0, operation.ifm_zero_point)
        if operation.kind is Kind.DEPTHWISE:
            operation.ofm.store(memory, self.stage(self._depthwise(padded)))
            return
        _, out_w, out_depth = operation.ofm.shape
        rows = max(1, COLUMN_ELEMENTS // (batch * out_w * max(self._matrix.shape)))
        for top in range(0, operation.ofm.shape[0], rows):
            accumulator = self._columns(padded, top, rows) @ self._matrix
            operation.ofm.store(memory, self.stage(accumulator).reshape(batch, -1, out_w, out_depth), top)

    @cached_property
    def _matrix(self) -> Array:
        """Weights as a matrix of shape (height*width*depth, output depth)."""
        return np.ascontiguousarray(self.weights.reshape(len(self.weights), -1).T.astype(self.dtype))

    @cached_property
    def _taps(self) -> Array:
        """Weights of a depthwise convolution, shape (height, width, depth)."""
        return np.ascontiguousarray(np.moveaxis(self.weights[..., 0], 0, -1).astype(self.dtype))

    def _columns(self, padded: Array, top: int, rows: int) -> Array:
        """Copies the windows of `rows` OFM rows from `top` on, one window per row of the result (im2col)."""
        size = self._matrix.shape[0]
        if size == padded.shape[3] and padded.shape[1:3] == self.operation.ofm.shape[:2]:
            columns: Array = padded[:, top : top + rows].reshape(-1, size)
            return columns
        return np.ascontiguousarray(windows(self.operation, padded)[:, top : top + rows]).reshape(-1, size)

    def _depthwise(self, padded: Array) -> Array:
        view, weights = windows(self.operation, padded), self._taps
        accumulator: Array = view[:, :, :, 0, 0] * weights[0, 0]
        product = np.empty_like(accumulator)
        for y, x in np.ndindex(weights.shape[:2]):
            if y or x:
                np.multiply(view[:, :, :, y, x], weights[y, x], out=product)
                accumulator += product
        return accumulator
