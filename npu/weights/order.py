"""Weight order: rearranges a decoded stream into weights by output channel, kernel element and input channel.

    weights = decode_weights(operation, accelerator, streams)    # (output depth, height, width, input depth)

The MAC units work on a micro-block of output channels (8, on the U55-32 4) and 8 input channels at a time.
*Depth-first* order goes through an IFM block's depth before the next kernel element; *part-kernel-first* goes through a
few kernel elements before the next depth, which is faster for few channels.  Weights are stored in the order in which
the MAC units use them, so an encoded stream fits only one accelerator and block depth.  Outermost loop first:

1. OFM blocks (OFM_BLK_DEPTH channels);
2. IFM blocks of 32 channels (16 if part-kernel-first or the IFM has 16 bits);
3. sub-kernels of at most 8x8 (4 along a dilated axis), y then x;
4. input micro-blocks (part-kernel-first only);
5. output micro-blocks;
6. kernel elements, rounded up to 4 (depthwise, part-kernel-first) or 2 (part-kernel-first, 16 bits);
7. input micro-blocks (depth-first only);
8. output channels in the micro-block, and in them input channels in the micro-block (one if depthwise).

Positions outside the weights are zeros in the stream.  `order` runs these loops on indices; compiled code
(`native/order.c`) runs them on the weights.

Two cores (U65-512) have one stream each: even output channels in the first, odd ones in the second, in blocks of half
the depth.

Source: Vela's weight encoders (`EthosUWeightOrdering`, `mlw_reorder_encode`); tests compare with the latter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hil.core.errors import StreamError
from hil.npu.accelerator import Accelerator
from hil.npu.native import library
from hil.npu.stream.operations import Convolution, Kind
from hil.npu.weights.codec import decode_weight_stream

MAX_WEIGHTS = 1 << 24
"""Largest number of weights of a convolution, padding of the stream included; bounds the cost of a malformed stream."""

_MAX_EXTRA_ZEROS = 1 << 15
"""Largest number of zeros in a stream beyond the weights of its layout."""

MAX_ROW = 1 << 26
"""Largest number of IFM elements under the kernel, summed over one OFM row of a convolution."""


@dataclass(frozen=True)
class WeightLayout:
    """Parameters that determine the order of weights in a stream.  `input_depth` is 1 for a depthwise convolution."""

    output_depth: int
    height: int
    width: int
    input_depth: int
    block_depth: int
    ofm_ublock_depth: int
    ifm_ublock_depth: int
    depthwise: bool
    part_first: bool
    ifm_bits: int
    dilation_y: int
    dilation_x: int

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape of the weights: output depth, height, width, input depth."""
        return self.output_depth, self.height, self.width, self.input_depth

    @property
    def elements(self) -> int:
        """Length of the stream, its padding included."""
        outputs = _rounded(self.output_depth, self.block_depth, self.ofm_ublock_depth)
        inputs, elements = 1, 0
        if not self.depthwise:
            whole = 1 if self.part_first else self.input_block
            inputs = _rounded(-(-self.input_depth // whole) * whole, self.input_block, self.ifm_ublock_depth)
        for height in _pieces(self.height, 8 // self.dilation_y):
            for width in _pieces(self.width, 8 // self.dilation_x):
                elements += -(-height * width // self.rounding) * self.rounding
        return outputs * inputs * elements

    @property
    def input_block(self) -> int:
        """Depth of an IFM block."""
        return 16 if self.part_first or self.ifm_bits == 16 else 32

    @property
    def rounding(self) -> int:
        """Multiple to which the number of elements of a sub-kernel is rounded up."""
        if self.depthwise or self.part_first:
            return 2 if self.part_first and self.ifm_bits == 16 else 4
        return 1

    def of_core(self, core: int, cores: int) -> WeightLayout:
        """Returns the layout of the weights of core `core`, if `cores` cores share the output channels by turns."""
        block_depth = max(1, -(-(self.block_depth - core) // cores))
        return replace(self, output_depth=-(-(self.output_depth - core) // cores), block_depth=block_depth)


def _pieces(length: int, piece: int) -> list[int]:
    """Splits `length` into pieces of at most `piece`."""
    return [min(piece, length - start) for start in range(0, length, piece)]


def _rounded(length: int, piece: int, unit: int) -> int:
    """Sum of the pieces of `length`, each rounded up to `unit`."""
    whole, rest = divmod(length, piece)
    return whole * (-(-piece // unit) * unit) + -(-rest // unit) * unit


def decode_weights(
    operation: Convolution, accelerator: Accelerator, encoded: Sequence[NDArray[np.uint8]]
) -> NDArray[np.int16]:
    """Decodes the streams of `operation.weight_streams` to weights (output depth, height, width, input depth).

    Raises `StreamError` if a stream is malformed, shorter than its layout, or has padding other than zero.
    """
    layout = layout_of(operation, accelerator)
    cores = len(encoded)
    weights = np.empty(layout.shape, np.int16)
    for core, data in enumerate(encoded):
        weights[core::cores] = _decode(data, layout.of_core(core, cores))
    return weights


def _decode(data: NDArray[np.uint8], layout: WeightLayout) -> NDArray[np.int16]:
    return unpack(decode_weight_stream(data.tobytes(), layout.elements + _MAX_EXTRA_ZEROS), layout)


def layout_of(operation: Convolution, accelerator: Accelerator) -> WeightLayout:
    """Returns the layout of the weights of `operation`.  Raises `StreamError` if the convolution is too large."""
    depthwise = operation.kind is Kind.DEPTHWISE
    kernel = operation.kernel
    depth = 1 if depthwise else operation.ifm.shape[2]
    layout = WeightLayout(
        operation.ofm.shape[2],
        kernel.height,
        kernel.width,
        depth,
        operation.block[2],
        accelerator.ofm_ublock[2],
        accelerator.ifm_ublock_depth,
        depthwise,
        kernel.part_first and not depthwise,
        operation.ifm.dtype.itemsize * 8,
        kernel.dilation_y,
        kernel.dilation_x,
    )
    window = layout.height * layout.width * layout.input_depth
    if layout.elements > MAX_WEIGHTS or operation.ofm.shape[1] * window > MAX_ROW:
        raise StreamError("the convolution is too large", word_offset=operation.word_offset)
    return layout


def unpack(stream: NDArray[np.int16], layout: WeightLayout) -> NDArray[np.int16]:
    """Rearranges a decoded stream into weights of shape `layout.shape`.

    Raises `StreamError` if the stream is shorter than the layout, or has padding other than zero.
    """
    if len(stream) < layout.elements:
        raise StreamError(f"weight stream: {len(stream)} weights where {layout.elements} are needed")
    found = library.loaded()
    weights = np.zeros(layout.shape, np.int16)
    if found is not None:
        if stream[layout.elements :].any() or not found.order_weights(_numbers(layout), stream, weights):
            raise StreamError(_NOT_ZERO)
        return weights
    index = order(layout) if layout.elements <= _MAX_CACHED else _order(layout)
    if stream[len(index) :].any() or stream[: len(index)][index < 0].any():
        raise StreamError(_NOT_ZERO)
    inside = index >= 0
    weights.reshape(-1)[index[inside]] = stream[: len(index)][inside]
    return weights


_NOT_ZERO = "weight stream: weights outside the kernel are not zero"


def _numbers(layout: WeightLayout) -> NDArray[np.int64]:
    """The layout as the compiled code takes it."""
    numbers = (
        *(*layout.shape, layout.block_depth, layout.ofm_ublock_depth, layout.ifm_ublock_depth, layout.depthwise),
        *(layout.part_first, layout.input_block, layout.rounding, 8 // layout.dilation_y, 8 // layout.dilation_x),
    )
    return np.array(numbers, np.int64)


_MAX_CACHED = 1 << 21
"""Largest number of elements of an order that is cached."""


@lru_cache(maxsize=16)
def order(layout: WeightLayout) -> NDArray[np.int32]:
    """Flat index in `layout.shape` of each element of the stream, -1 for padding."""
    return _order(layout)


def _order(layout: WeightLayout) -> NDArray[np.int32]:
    parts = [
        _sub_kernel(layout, first_out, first_in, top, left)
        for first_out in range(0, layout.output_depth, layout.block_depth)
        for first_in in range(0, layout.input_depth, layout.input_block)
        for top in range(0, layout.height, 8 // layout.dilation_y)
        for left in range(0, layout.width, 8 // layout.dilation_x)
    ]
    result = np.concatenate(parts, dtype=np.int32)
    result.setflags(write=False)
    return result


def _sub_kernel(layout: WeightLayout, first_out: int, first_in: int, top: int, left: int) -> NDArray[np.int32]:
    """Indices of one sub-kernel: loops 4 to 8, as six axes that broadcast against each other."""
    height = min(layout.height - top, 8 // layout.dilation_y)
    width = min(layout.width - left, 8 // layout.dilation_x)
    elements = np.arange(-(-height * width // layout.rounding) * layout.rounding)
    out_ublock, in_ublock = layout.ofm_ublock_depth, layout.ifm_ublock_depth
    outputs = np.arange(0, min(layout.block_depth, layout.output_depth - first_out), out_ublock)
    if layout.depthwise:
        inputs = inside = np.zeros(1, np.int64)
    else:
        depth = min(layout.input_block, layout.input_depth - first_in) if layout.part_first else layout.input_block
        inputs, inside = np.arange(0, depth, in_ublock), np.arange(in_ublock)
    outer, inner = (inputs, np.zeros(1, np.int64)) if layout.part_first else (np.zeros(1, np.int64), inputs)
    grid = np.ix_(outer, outputs, elements, inner, np.arange(out_ublock), inside)
    c_in = first_in + grid[0] + grid[3] + grid[5]
    c_out = first_out + grid[1] + grid[4]
    y, x = np.divmod(grid[2], width)
    index = ((c_out * layout.height + top + y) * layout.width + left + x) * layout.input_depth + c_in
    valid = (c_in < layout.input_depth) & (c_out < layout.output_depth) & (y < height)
    return np.where(valid, index, -1).ravel().astype(np.int32)
