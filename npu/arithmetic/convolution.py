"""Convolutions as matrix products, in the cheapest exact arithmetic.

    step = ConvolutionStep.prepare(operation, weights, stage)
    step(memory)

A window of the IFM times the weights is a dot product.  BLAS computes dot products fast in floating point, and
`exactness.exact_type` decides from the actual weights whether float32 or float64 is exact; beyond both, NumPy's int64
is used.  In long runs compiled loops take over: a `BytePlan` where operands are 8-bit and the CPU has the instructions,
else BLAS with compiled loops before and after it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil.core.arrays import Array
from hil.npu.arithmetic.byte_plan import BytePlan
from hil.npu.arithmetic.exactness import exact_type, largest_input
from hil.npu.arithmetic.output import OutputStage
from hil.npu.loops import backend
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

    @property
    def splits_batch(self) -> bool:
        """True if a call processes a few samples of a batch at a time, so that callers need not split it."""
        return backend.byte_loops() is not None and self._plan is not None

    def __call__(self, memory: Regions) -> None:
        """Computes the output of every sample of `memory`."""
        operation = self.operation
        batch = len(memory[operation.ofm.region])
        loops = backend.loops(batch * operation.ofm.elements)
        if loops is not None and loops.of_bytes is not None and self._plan is not None:
            self._plan(memory, loops.of_bytes)
            return
        compiled = loops if self._compilable else None
        if compiled is None:
            padded = padded_input(operation, memory, self.dtype, 0, operation.ifm_zero_point)
        else:
            padded = padded_input(operation, memory, operation.ifm.dtype, operation.ifm_zero_point, 0)
        if operation.kind is Kind.DEPTHWISE:
            if compiled is None:
                values = self.stage(self._depthwise(padded), loops)
            else:
                values = self._depthwise_compiled(padded, compiled)
            operation.ofm.store(memory, values)
            return
        _, out_w, out_depth = operation.ofm.shape
        rows = max(1, COLUMN_ELEMENTS // (batch * out_w * max(self._matrix.shape)))
        for top in range(0, operation.ofm.shape[0], rows):
            columns = self._columns(padded, top, rows, compiled)
            accumulator = columns @ self._matrix
            operation.ofm.store(memory, self.stage(accumulator, loops).reshape(batch, -1, out_w, out_depth), top)

    @cached_property
    def _compilable(self) -> bool:
        limits = np.iinfo(self.operation.ifm.dtype)
        if self.dtype is np.int64 or not limits.min <= self.operation.ifm_zero_point <= limits.max:
            return False
        # Sums that are exact in float32 fit 32-bit integers too, the zero point included.
        return self.operation.kind is Kind.CONV or self.dtype is np.float32

    @cached_property
    def _plan(self) -> BytePlan | None:
        return BytePlan.prepare(self.operation, self.weights, self.stage)

    @cached_property
    def _matrix(self) -> Array:
        """Weights as a matrix of shape (height*width*depth, output depth)."""
        return np.ascontiguousarray(self.weights.reshape(len(self.weights), -1).T.astype(self.dtype))

    @cached_property
    def _taps(self) -> NDArray[np.int32]:
        """Weights of a depthwise convolution, shape (height, width, depth)."""
        return np.ascontiguousarray(np.moveaxis(self.weights[..., 0], 0, -1).astype(np.int32))

    @cached_property
    def _whole_stage(self) -> OutputStage:
        """Output stage for depthwise sums of the raw IFM: the bias compensates for the zero point."""
        sums = self._taps.sum(axis=(0, 1), dtype=np.int64)
        bias = np.int64(0) if self.stage.bias is None else self.stage.bias
        shifted = bias - self.operation.ifm_zero_point * sums
        return replace(self.stage, bias=shifted, largest=2 * self.stage.largest)

    def _columns(self, padded: Array, top: int, rows: int, loops: ModuleType | None) -> Array:
        """Copies the windows of `rows` OFM rows from `top` on, one window per row of the result (im2col)."""
        size = self._matrix.shape[0]
        if size == padded.shape[3] and padded.shape[1:3] == self.operation.ofm.shape[:2]:
            columns: Array = padded[:, top : top + rows].reshape(-1, size)
            return columns if loops is None else np.subtract(columns, self.operation.ifm_zero_point, dtype=self.dtype)
        if loops is None:
            return np.ascontiguousarray(windows(self.operation, padded)[:, top : top + rows]).reshape(-1, size)
        kernel, (out_h, out_w, _) = self.operation.kernel, self.operation.ofm.shape
        result = np.empty((len(padded), min(rows, out_h - top), out_w, size), self.dtype)
        loops.columns(
            padded.reshape(*padded.shape[:2], -1),
            padded.shape[3],
            np.array([kernel.height, kernel.width, kernel.dilation_y, kernel.dilation_x]),
            np.array([kernel.stride_y, kernel.stride_x]),
            result.dtype.type(self.operation.ifm_zero_point),
            top,
            result,
        )
        return result.reshape(-1, size)

    def _depthwise(self, padded: Array) -> Array:
        view, weights = windows(self.operation, padded), self._taps.astype(self.dtype)
        accumulator: Array = view[:, :, :, 0, 0] * weights[0, 0]
        product = np.empty_like(accumulator)
        for y, x in np.ndindex(weights.shape[:2]):
            if y or x:
                np.multiply(view[:, :, :, y, x], weights[y, x], out=product)
                accumulator += product
        return accumulator

    def _depthwise_compiled(self, padded: Array, loops: ModuleType) -> Array:
        kernel = self.operation.kernel
        accumulator = np.empty((len(padded), *self.operation.ofm.shape), np.int32)
        loops.depthwise(
            padded,
            self._taps,
            np.array([kernel.stride_y, kernel.stride_x]),
            np.array([kernel.dilation_y, kernel.dilation_x]),
            accumulator,
        )
        return self._whole_stage(accumulator, loops)
