"""Weights, windows and tiles of convolutions as the compiled code takes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hil.core.arrays import Array
from hil.npu.arithmetic.native_layout import padded_shape
from hil.npu.native.records import SLACK
from hil.npu.stream.feature_map import BRICK
from hil.npu.stream.operations import Windowed

LANES = 16
"""Channels computed at a time."""

PAIR_ORDER = np.array([0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15])
"""Order of sixteen channels, as AVX2 unpacks them."""

TILE_BYTES = 48 << 10
"""Bytes of padded input that are copied at a time, of a convolution over the whole depth; a row may exceed it."""

ROW_TILE_BYTES = 16 << 10
"""The same of a convolution by channel, which is copied sixteen channels at a time."""

TILE_PIXELS = 2048
"""Largest number of windows in a tile of several samples."""

_ROWS = 8
_POINTERS = 16
"""Bytes of the two addresses of a window."""


@dataclass(frozen=True)
class Packed:
    """A window's pieces (`offsets`, of `groups` groups of bytes or pairs of int16), weights in order, and a tile."""

    offsets: NDArray[np.int64]
    groups: int
    weights: Array
    tile_rows: int
    tile_samples: int
    scratch: int


@dataclass(frozen=True)
class Form:
    """Form in which instructions take bytes and weights.

    `element`: the type of both; `group`: how many products they add; `block`: the most vectors of sixteen channels at a
    time; `order`: of sixteen channels; `lanes`: sums in a vector.
    """

    element: type[np.int8] | type[np.int16]
    group: int
    block: int
    order: NDArray[np.int64]
    lanes: int

    def blocks(self, vectors: int) -> Iterator[int]:
        """Sizes of the blocks of `vectors`: of three, and two only where three would leave one alone."""
        while vectors:
            size = self.block if vectors == self.block or vectors > self.block + 1 else min(vectors, 2, self.block)
            yield size
            vectors -= size

    def by_channel(self, values: Array) -> Array:
        """`values` by channel in the order of the sums, sixteen at a time; filled up with zeros."""
        padded: Array = np.zeros((-(-len(values) // LANES) * LANES, *values.shape[1:]), values.dtype)
        padded[: len(values)] = values
        return padded.reshape(-1, LANES, *values.shape[1:])[:, self.order]

    def even_and_odd(self, values: Array) -> Array:
        """`by_channel`, of each vector of sums those with even numbers first."""
        halves = self.by_channel(values).reshape(-1, LANES // self.lanes, self.lanes // 2, 2)
        return halves.transpose(0, 1, 3, 2).reshape(-1, LANES)


DOTS = Form(np.int8, 4, 3, np.arange(LANES), LANES)
"""Four bytes in AVX-512 VNNI."""

PAIRS = Form(np.int16, 2, 1, PAIR_ORDER, LANES // 2)
"""Pairs of 16 bits in AVX2, and on any CPU."""


def whole_bytes(form: Form, operation: Windowed, weights: NDArray[np.int16], at_once: bool) -> Packed:
    """Packs sums over the whole depth: per block of vectors, run and group, sixteen channels x a group.

    `at_once`: a whole sample is copied before anything is stored.
    """
    ifm, kernel = operation.ifm, operation.kernel
    height, width = padded_shape(operation)
    bricks = ifm.bricks and ifm.strides[2] != BRICK
    pitch = BRICK if bricks else ifm.shape[2]
    pieces = -(-ifm.shape[2] // BRICK) if bricks else 1
    size = np.dtype(form.element).itemsize
    reach, row = (kernel.height - 1) * kernel.dilation_y + 1, width * pitch * pieces * size
    out_rows = operation.ofm.shape[0]
    fitting = (TILE_BYTES // row - reach) // kernel.stride_y + 1
    rows = out_rows if at_once else max(1, min(out_rows, fitting))
    samples = 1
    if rows == out_rows:
        pixels = out_rows * operation.ofm.shape[1]
        samples = max(1, min(TILE_BYTES // (height * row), TILE_PIXELS // pixels))
    piece = ((rows - 1) * kernel.stride_y + reach) * width * pitch
    columns = 1 if kernel.dilation_x == 1 else kernel.width
    length = kernel.width // columns * pitch
    ys, xs = np.arange(kernel.height)[:, None] * kernel.dilation_y, np.arange(columns) * kernel.dilation_x
    inside = ((ys * width + xs) * pitch).ravel()
    offsets = (np.arange(pieces)[:, None] * piece + inside).ravel()
    channels = np.zeros((*weights.shape[:3], pieces * pitch), form.element)
    channels[..., : weights.shape[3]] = weights
    runs = channels.reshape(len(weights), kernel.height, columns, kernel.width // columns, pieces, pitch)
    runs = np.moveaxis(runs, 4, 1).reshape(len(weights), len(offsets), length)
    groups = -(-length // form.group)
    windows = samples * rows * operation.ofm.shape[1] + _ROWS
    scratch = windows * _POINTERS + samples * pieces * piece * size
    return Packed(offsets, groups, _blocked(form, runs, groups), rows, samples, scratch + SLACK)


def _blocked(form: Form, weights: Array, groups: int) -> Array:
    """Orders weights (output depth, runs, elements of a run) block by block."""
    depth, runs, length = weights.shape
    padded = np.zeros((depth, runs, groups * form.group), form.element)
    padded[..., :length] = weights
    vectors = form.by_channel(padded).reshape(-1, LANES, runs, groups, form.group)
    sizes = [*form.blocks(len(vectors))]
    parts = np.split(vectors, np.cumsum(sizes)[:-1])
    return np.concatenate([part.transpose(2, 3, 0, 1, 4).ravel() for part in parts])


def channel_bytes(form: Form, operation: Windowed, weights: NDArray[np.int16]) -> Packed:
    """Packs kernels by channel: per brick and group of elements, sixteen channels x a group.

    Of fours, kernels of 3x3 have a group per column.
    """
    kernel, depth = operation.kernel, operation.ofm.shape[2]
    _, width = padded_shape(operation)
    ys, xs = np.mgrid[: kernel.height, : kernel.width].reshape(2, -1)
    if form.group == 4 and (kernel.height, kernel.width) == (3, 3):
        taps = np.array([[0, 3, 6, -1], [1, 4, 7, -1], [2, 5, 8, -1]])
    else:
        taps = np.full((-(-len(ys) // form.group), form.group), -1)
        taps.reshape(-1)[: len(ys)] = np.arange(len(ys))
    offsets = ((ys * kernel.dilation_y * width + xs * kernel.dilation_x) * BRICK)[taps] * (taps >= 0)
    padded = np.zeros((depth, len(ys) + 1), form.element)  # The last element is that of number -1: 0.
    padded[:, :-1] = weights.reshape(depth, -1)
    packed = form.by_channel(padded[:, taps]).reshape(-1, LANES, len(taps), form.group).transpose(0, 2, 1, 3)
    row = width * BRICK * np.dtype(form.element).itemsize
    reach = (kernel.height - 1) * kernel.dilation_y + 1
    fitting = (ROW_TILE_BYTES // row - reach) // kernel.stride_y + 1
    rows = max(1, min(operation.ofm.shape[0], fitting))
    scratch = ((rows - 1) * kernel.stride_y + reach) * row + 4 * kernel.stride_x * BRICK + SLACK
    return Packed(offsets.ravel(), len(taps), packed, rows, 1, scratch)


def whole_pairs(operation: Windowed, weights: NDArray[np.int16]) -> Packed:
    """Packs pairs of int16 for sums over the whole depth: per sixteen channels, run and pair, sixteen x 2."""
    kernel, depth = operation.kernel, operation.ifm.shape[2]
    height, width = padded_shape(operation)
    columns = 1 if kernel.dilation_x == 1 else kernel.width
    length = kernel.width // columns * depth
    pairs = -(-length // 2)
    runs = kernel.height * columns
    blocks = -(-len(weights) // LANES)
    padded = np.zeros((blocks * LANES, runs, pairs * 2), np.int16)
    padded[: len(weights), :, :length] = weights.reshape(len(weights), runs, length)
    packed = padded.reshape(blocks, LANES, runs, pairs, 2).transpose(0, 2, 3, 1, 4)
    ys, xs = np.arange(kernel.height)[:, None] * kernel.dilation_y, np.arange(columns) * kernel.dilation_x
    size = height * width * depth
    samples = max(1, min(TILE_BYTES // (2 * size), TILE_PIXELS // (operation.ofm.shape[0] * operation.ofm.shape[1])))
    offsets = ((ys * width + xs) * depth).ravel()
    return Packed(offsets, pairs, packed, operation.ofm.shape[0], samples, 2 * size * samples + SLACK)


def channel_elements(operation: Windowed, weights: NDArray[np.int16]) -> Packed:
    """Orders weights of kernels by channel: per element, the channels."""
    kernel, depth = operation.kernel, operation.ofm.shape[2]
    height, width = padded_shape(operation)
    ys, xs = np.mgrid[: kernel.height, : kernel.width].reshape(2, -1)
    offsets = (ys * kernel.dilation_y * width + xs * kernel.dilation_x) * depth
    packed = weights.reshape(depth, -1).T
    return Packed(offsets, 1, packed, operation.ofm.shape[0], 1, 2 * height * width * depth + SLACK)
