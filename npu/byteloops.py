"""Convolutions of bytes, from feature map to feature map, compiled with numba for CPUs with AVX-512 VNNI.

    byteloops.convolve(memory, samples, taken, given, pieces, rows, runs, groups, blocks, weights, first, scales, table)

A group of samples is copied to a buffer as unsigned bytes, NHWC, with its padding; there a window is a few *runs* of
adjacent bytes, so a product of matrices needs no copy of the windows.  `byteplan` makes the arguments and has checked
that every address they lead to is inside its region.  `vectors` has the innermost loops.

Importing this module imports numba and needs the instructions: only `loops` does that.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hil.npu import vectors
from hil.npu.loops import compiled

Array = NDArray[Any]
ROWS, LANES = vectors.ROWS, vectors.LANES

SLACK = 64
"""Bytes behind the buffer that reading whole groups or vectors may touch; their weights are 0."""


class Memory(NamedTuple):
    """Addresses of the two regions' first sample, and from a sample to the next."""

    source: int
    source_step: int
    target: int
    target_step: int


class Taken(NamedTuple):
    """How a sample is copied to the buffer: in pieces of `length` bytes, each by `unit` bytes, `step` bytes apart.

    Bytes are xored with `flip`, padding is `fill`, a padded sample has `size` bytes and `group` samples are copied at a
    time.
    """

    length: int
    unit: int
    step: int
    flip: int
    fill: int
    size: int
    group: int


class Given(NamedTuple):
    """The output: its depth, bytes from 16 channels to the next, zero point and limits less the zero point."""

    depth: int
    step: int
    zero_point: int
    low: int
    high: int


@compiled
def _take(source: int, pieces: Array, taken: Taken, target: int) -> None:
    for index in range(pieces.shape[1]):
        start, place = source + pieces[0, index], target + pieces[1, index]
        for at in range(0, taken.length, taken.unit):
            count = min(taken.unit, taken.length - at)
            vectors.move(start + at // taken.unit * taken.step, place + at, count, taken.flip)


@compiled
def _look_up(staged: Array, table: Array, out: int, count: int) -> None:
    for lane in range(count):
        staged[lane] = table[staged[lane]]
    vectors.move(staged.ctypes.data, out, count, 0)


@compiled
def _multiply(
    addresses: Array, runs: Array, groups: int, blocks: Array, weights: Array, first: Array, sums: Array
) -> None:  # fmt: skip
    """Rows of bytes times weights, `blocks` saying how many vectors of sums are computed at a time."""
    at, begin, result = weights.ctypes.data, first.ctypes.data, sums.ctypes.data
    rows, width = addresses.ctypes.data, sums.shape[1]
    for block in range(len(blocks)):
        if blocks[block] == 3:
            vectors.products(rows, runs.ctypes.data, len(runs), groups, at, 3, begin, result, width)
        elif blocks[block] == 2:
            vectors.products(rows, runs.ctypes.data, len(runs), groups, at, 2, begin, result, width)
        else:
            vectors.products(rows, runs.ctypes.data, len(runs), groups, at, 1, begin, result, width)
        at += len(runs) * groups * 64 * blocks[block]
        begin += 64 * blocks[block]
        result += 64 * blocks[block]


@compiled
def convolve(
    memory: Memory, samples: int, taken: Taken, given: Given, pieces: Array, rows: Array, runs: Array, groups: int,
    blocks: Array, weights: Array, first: Array, scales: Array, table: Array,
) -> None:  # fmt: skip
    """A convolution.  `pieces`, `rows`: int64, offsets of pieces in source and buffer, of windows in buffer and outputs
    in target; `runs`: int64, offsets of a window's runs of `groups`*4 bytes; `weights`, `first` as `vectors.products`
    takes them; `scales` as `vectors.scale_and_store` does; `table` (256 bytes, or none) is looked up at the end."""
    buffer = np.full(taken.group * taken.size + SLACK, taken.fill, np.uint8)
    sums = np.empty((ROWS, len(first)), np.int32)
    addresses, outs = np.zeros(ROWS, np.int64), np.zeros(ROWS, np.int64)
    staged = np.empty(LANES, np.uint8)
    for begin in range(0, samples, taken.group):
        count = min(taken.group, samples - begin)
        for sample in range(count):
            source = memory.source + (begin + sample) * memory.source_step
            _take(source, pieces, taken, buffer.ctypes.data + sample * taken.size)
        sample = place = 0
        total = count * rows.shape[1]
        for at in range(0, total, ROWS):
            live = min(ROWS, total - at)
            for row in range(live):
                addresses[row] = buffer.ctypes.data + sample * taken.size + rows[0, place]
                outs[row] = memory.target + (begin + sample) * memory.target_step + rows[1, place]
                place += 1
                if place == rows.shape[1]:
                    place = 0
                    sample += 1
            for row in range(live, ROWS):
                addresses[row] = addresses[0]
            _multiply(addresses, runs, groups, blocks, weights, first, sums)
            for row in range(live):
                for c in range(0, given.depth, LANES):
                    lanes, out = min(LANES, given.depth - c), outs[row] + c // LANES * given.step
                    vectors.scale_and_store(
                        sums.ctypes.data + 4 * (row * sums.shape[1] + c), scales.ctypes.data + 8 * c,
                        scales.strides[0], given.zero_point, given.low, given.high,
                        staged.ctypes.data if len(table) else out, lanes,
                    )  # fmt: skip
                    if len(table):
                        _look_up(staged, table, out, lanes)


@compiled
def depthwise(
    memory: Memory, samples: int, taken: Taken, given: Given, pieces: Array, rows: Array, runs: Array, weights: Array,
    first: Array, scales: Array, table: Array,
) -> None:  # fmt: skip
    """As `convolve`, each channel for itself: `runs` are the offsets of a window's elements, `weights` int16 pairs
    (weight, 0), shape (elements, channels, 2)."""
    buffer = np.full(taken.group * taken.size + SLACK, taken.fill, np.uint8)
    staged = np.empty(LANES, np.uint8)
    for begin in range(0, samples, taken.group):
        count = min(taken.group, samples - begin)
        for sample in range(count):
            source = memory.source + (begin + sample) * memory.source_step
            _take(source, pieces, taken, buffer.ctypes.data + sample * taken.size)
        for sample in range(count):
            window = buffer.ctypes.data + sample * taken.size
            target = memory.target + (begin + sample) * memory.target_step
            for place in range(rows.shape[1]):
                for c in range(0, given.depth, LANES):
                    lanes = min(LANES, given.depth - c)
                    out = target + rows[1, place] + c // LANES * given.step
                    vectors.taps(
                        window + rows[0, place] + c, runs.ctypes.data, len(runs), weights.ctypes.data + 4 * c,
                        weights.strides[0], first.ctypes.data + 4 * c, scales.ctypes.data + 8 * c, scales.strides[0],
                        given.zero_point, given.low, given.high, staged.ctypes.data if len(table) else out, lanes,
                    )  # fmt: skip
                    if len(table):
                        _look_up(staged, table, out, lanes)
