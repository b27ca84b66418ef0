"""Weights, windows and tiles of convolutions as the compiled code takes them."""

from __future__ import annotations

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


def whole_bytes(operation: Windowed, weights: NDArray[np.int16], at_once: bool) -> Packed:
    """Packs bytes for sums over the whole depth: per block of vectors, run and group, sixteen channels x 4 bytes.

    `at_once`: a whole sample is copied before anything is stored.
    """
    ifm, kernel = operation.ifm, operation.kernel
    height, width = padded_shape(operation)
    bricks = ifm.bricks and ifm.strides[2] != BRICK
    pitch = BRICK if bricks else ifm.shape[2]
    pieces = -(-ifm.shape[2] // BRICK) if bricks else 1
    reach = (kernel.height - 1) * kernel.dilation_y + 1
    row = width * pitch * pieces
    out_rows = operation.ofm.shape[0]
    fitting = (TILE_BYTES // row - reach) // kernel.stride_y + 1
    rows = out_rows if at_once else max(1, min(out_rows, fitting))
    samples = 1
    if rows == out_rows:
        pixels = out_rows * operation.ofm.shape[1]
        samples = max(1, min(TILE_BYTES // (height * row), TILE_PIXELS // pixels))
    piece_bytes = ((rows - 1) * kernel.stride_y + reach) * width * pitch
    columns = 1 if kernel.dilation_x == 1 else kernel.width
    length = kernel.width // columns * pitch
    ys, xs = np.arange(kernel.height)[:, None] * kernel.dilation_y, np.arange(columns) * kernel.dilation_x
    inside = ((ys * width + xs) * pitch).ravel()
    offsets = (np.arange(pieces)[:, None] * piece_bytes + inside).ravel()
    channels = np.zeros((*weights.shape[:3], pieces * pitch), np.int8)
    channels[..., : weights.shape[3]] = weights
    runs = channels.reshape(len(weights), kernel.height, columns, kernel.width // columns, pieces, pitch)
    runs = np.moveaxis(runs, 4, 1).reshape(len(weights), len(offsets), length)
    groups = -(-length // 4)
    windows = samples * rows * operation.ofm.shape[1] + _ROWS
    scratch = windows * _POINTERS + samples * pieces * piece_bytes
    return Packed(offsets, groups, _blocked(runs, groups), rows, samples, scratch + SLACK)


def _blocked(weights: NDArray[np.int8], groups: int) -> NDArray[np.int8]:
    """Orders weights (output depth, runs, bytes of a run) block by block."""
    depth, runs, length = weights.shape
    vectors = -(-depth // LANES)
    padded = np.zeros((vectors * LANES, runs, groups * 4), np.int8)
    padded[:depth, :, :length] = weights
    parts, at = [], 0
    while vectors:
        block = 3 if vectors == 3 or vectors > 4 else min(vectors, 2)
        part = padded[at * LANES : (at + block) * LANES].reshape(block, LANES, runs, groups, 4)
        parts.append(part.transpose(2, 3, 0, 1, 4).ravel())
        at, vectors = at + block, vectors - block
    return np.concatenate(parts)


def channel_bytes(operation: Windowed, weights: NDArray[np.int16]) -> Packed:
    """Packs bytes for kernels by channel: per brick and group of four elements, sixteen channels x 4 bytes.

    Kernels of 3x3 have a group per column.
    """
    kernel, depth = operation.kernel, operation.ofm.shape[2]
    _, width = padded_shape(operation)
    ys, xs = np.mgrid[: kernel.height, : kernel.width].reshape(2, -1)
    if (kernel.height, kernel.width) == (3, 3):
        taps = np.array([[0, 3, 6, -1], [1, 4, 7, -1], [2, 5, 8, -1]])
    else:
        taps = np.full((-(-len(ys) // 4), 4), -1)
        taps.reshape(-1)[: len(ys)] = np.arange(len(ys))
    offsets = ((ys * kernel.dilation_y * width + xs * kernel.dilation_x) * BRICK)[taps] * (taps >= 0)
    bricks = -(-depth // BRICK)
    padded = np.zeros((bricks * BRICK, len(ys) + 1), np.int8)  # The last element is that of number -1: 0.
    padded[:depth, :-1] = weights.reshape(depth, -1)
    packed = padded[:, taps].reshape(bricks, BRICK, len(taps), 4).transpose(0, 2, 1, 3)
    row = width * BRICK
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


def byte_pairs(operation: Windowed, weights: NDArray[np.int16], whole: bool, at_once: bool) -> Packed:
    """Packs pairs of int16 for inputs of bytes, and cuts the input into tiles.

    `whole`: as `whole_pairs`; else pairs are two elements of the kernel by channel, per sixteen channels and pair
    16 x 2: channels 0-3, 8-11, 4-7, 12-15.  `at_once`: a whole sample is copied before anything is stored.
    """
    kernel, (out_h, out_w, depth) = operation.kernel, operation.ofm.shape
    height, width = padded_shape(operation)
    row, reach = 2 * width * operation.ifm.shape[2], (kernel.height - 1) * kernel.dilation_y + 1
    fitting = (TILE_BYTES // row - reach) // kernel.stride_y + 1
    rows = out_h if at_once else max(1, min(out_h, fitting))
    samples = max(1, min(TILE_BYTES // (height * row), TILE_PIXELS // (out_h * out_w))) if rows == out_h else 1
    windows = samples * rows * out_w + _ROWS
    scratch = windows * _POINTERS + samples * ((rows - 1) * kernel.stride_y + reach) * row + SLACK
    if whole:
        packed = whole_pairs(operation, weights)
        return Packed(packed.offsets, packed.groups, packed.weights, rows, samples, scratch)
    ys, xs = np.mgrid[: kernel.height, : kernel.width].reshape(2, -1)
    inside = (ys * kernel.dilation_y * width + xs * kernel.dilation_x) * depth
    pairs = -(-len(ys) // 2)
    offsets = np.zeros(2 * pairs, np.int64)
    offsets[: len(ys)] = inside
    padded = np.zeros((-(-depth // LANES) * LANES, 2 * pairs), np.int16)
    padded[:depth, : len(ys)] = weights.reshape(depth, -1)
    ordered = padded.reshape(-1, 4, 4, pairs, 2)[:, [0, 2, 1, 3]]  # blocks, fours, channels, pairs, 2
    return Packed(offsets, pairs, ordered.transpose(0, 3, 1, 2, 4), rows, samples, scratch)


def channel_elements(operation: Windowed, weights: NDArray[np.int16]) -> Packed:
    """Orders weights of kernels by channel: per element, the channels."""
    kernel, depth = operation.kernel, operation.ofm.shape[2]
    height, width = padded_shape(operation)
    ys, xs = np.mgrid[: kernel.height, : kernel.width].reshape(2, -1)
    offsets = (ys * kernel.dilation_y * width + xs * kernel.dilation_x) * depth
    packed = weights.reshape(depth, -1).T
    return Packed(offsets, 1, packed, operation.ofm.shape[0], 1, 2 * height * width * depth + SLACK)
