"""Convolutions of bytes, from feature map to feature map, compiled with numba for CPUs with AVX-512 VNNI.

    convolve(source, source_step, target, target_step, samples, fixed, groups, pieces, rows, runs, blocks,
             weights, first, scales, table)

A group of samples is copied to a buffer as unsigned bytes, NHWC, with its padding; there a window is a few *runs* of
adjacent bytes, so a matrix product needs no copy of the windows.  `byte_plan` makes the arguments and has checked that
every address derived from them is inside its region.  `dot_products` has the innermost loops.

Importing this module imports numba and needs a CPU with the instructions, so only `batch_loops` imports it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hil.core.arrays import Array
from hil.npu.loops import dot_products
from hil.npu.loops.byte_arguments import BatchAddresses, InputCopy, Operand, OutputLayout
from hil.npu.loops.compilation import compiled

ROWS, LANES = dot_products.ROWS, dot_products.LANES

SLACK = 64
"""Bytes after the buffer that loads of whole groups or vectors may read; their weights are 0."""


@compiled
def _address(array: Array) -> Any:
    """Address of `array`: signed, because numba adds an unsigned and a signed integer in float64."""
    return np.int64(array.ctypes.data)


@compiled
def _numbers(fixed: Array) -> tuple[InputCopy, OutputLayout]:
    copy = InputCopy(fixed[0], fixed[1], fixed[2], fixed[3], fixed[4], fixed[5], fixed[6])
    return copy, OutputLayout(fixed[7], fixed[8], fixed[9], fixed[10], fixed[11])


@compiled
def _copy_input(memory: BatchAddresses, begin: int, count: int, pieces: Array, copy: InputCopy, buffer: Array) -> None:
    """Copies `count` samples from number `begin` on to the buffer, padded."""
    for sample in range(count):
        source = memory.source + (begin + sample) * memory.source_step
        target = _address(buffer) + sample * copy.size
        for index in range(pieces.shape[1]):
            start, place = source + pieces[0, index], target + pieces[1, index]
            left = copy.length
            while left > 0:
                dot_products.move(start, place, min(copy.unit, left), copy.flip)
                start += copy.step
                place += copy.unit
                left -= copy.unit


@compiled
def _workspace(copy: InputCopy, channels: int) -> tuple[Array, Array, Array, Array, Array]:
    """Allocates the buffer, addresses of `ROWS` windows and outputs, and outputs to look up with their addresses."""
    buffer = np.full(copy.group * copy.size + SLACK, copy.fill, np.uint8)
    staged = np.empty((ROWS, channels), np.uint8)
    stages = _address(staged) + np.arange(ROWS) * channels
    return buffer, np.empty(ROWS, np.int64), np.empty(ROWS, np.int64), staged, stages


@compiled
def _next(
    memory: BatchAddresses, begin: int, count: int, size: int, buffer: int, rows: Array, at: int, addresses: Array,
    outs: Array,
) -> None:  # fmt: skip
    """Sets the addresses of `ROWS` windows and outputs from number `at` on; after the last, repeats the first."""
    sample, place = divmod(at, rows.shape[1])
    for row in range(ROWS):
        if sample == count:
            addresses[row], outs[row] = addresses[0], outs[0]
            continue
        addresses[row] = buffer + sample * size + rows[0, place]
        outs[row] = memory.target + (begin + sample) * memory.target_step + rows[1, place]
        place += 1
        if place == rows.shape[1]:
            sample, place = sample + 1, 0


@compiled
def _look_up(staged: Array, table: Array, outs: Array, output: OutputLayout) -> None:
    """Looks up and stores the results of `ROWS` rows."""
    for row in range(ROWS):
        for c in range(output.depth):
            staged[row, c] = table[staged[row, c]]
        for c in range(0, output.depth, LANES):
            out = outs[row] + c // LANES * output.step
            dot_products.move(_address(staged) + row * staged.shape[1] + c, out, min(LANES, output.depth - c), 0)


@compiled
def _multiply(
    addresses: Array, outs: Array, step: int, output: OutputLayout, runs: Array, groups: int, blocks: Array,
    weights: Array, first: Array, scales: Array,
) -> None:  # fmt: skip
    """Multiplies rows of bytes by weights; `blocks` are the numbers of vectors of sums computed at a time."""
    at, vector = _address(weights), 0
    for block in blocks:
        start, scale, depth = (
            _address(first) + 64 * vector,
            _address(scales) + 128 * vector,
            output.depth - LANES * vector,
        )
        if block == 3:
            dot_products.products(
                _address(addresses), _address(runs), len(runs), groups, at, 3, start, scale, scales.strides[0],
                output.zero_point, output.low, output.high, _address(outs), step * vector, step, depth,
            )  # fmt: skip
        elif block == 2:
            dot_products.products(
                _address(addresses), _address(runs), len(runs), groups, at, 2, start, scale, scales.strides[0],
                output.zero_point, output.low, output.high, _address(outs), step * vector, step, depth,
            )  # fmt: skip
        else:
            dot_products.products(
                _address(addresses), _address(runs), len(runs), groups, at, 1, start, scale, scales.strides[0],
                output.zero_point, output.low, output.high, _address(outs), step * vector, step, depth,
            )  # fmt: skip
        at += len(runs) * groups * 64 * block
        vector += block


@compiled
def convolve(
    source: int, source_step: int, target: int, target_step: int, samples: int, fixed: Array, groups: int,
    pieces: Array, rows: Array, runs: Array, blocks: Array, weights: Array, first: Array, scales: Array, table: Array,
) -> None:  # fmt: skip
    """Computes a convolution of `samples` samples, `source_step` and `target_step` bytes apart.

    `fixed` are the numbers of `InputCopy` and `OutputLayout`; `pieces`, `rows`: int64, offsets of pieces in source and
    buffer, of windows in buffer and outputs in target; `runs`: int64, offsets of a window's runs of `groups`*4 bytes;
    `weights`, `first` and `scales` as `dot_products.products` takes them, for `blocks` of vectors; `table` (256 bytes,
    or empty) is the lookup table.
    """
    memory = BatchAddresses(source, source_step, target, target_step)
    copy, output = _numbers(fixed)
    buffer, addresses, outs, staged, stages = _workspace(copy, len(first))
    for begin in range(0, samples, copy.group):
        count = min(copy.group, samples - begin)
        _copy_input(memory, begin, count, pieces, copy, buffer)
        for at in range(0, count * rows.shape[1], ROWS):
            _next(memory, begin, count, copy.size, _address(buffer), rows, at, addresses, outs)
            if len(table):
                _multiply(addresses, stages, LANES, output, runs, groups, blocks, weights, first, scales)
                _look_up(staged, table, outs, output)
            else:
                _multiply(addresses, outs, output.step, output, runs, groups, blocks, weights, first, scales)


@compiled
def depthwise(
    source: int, source_step: int, target: int, target_step: int, samples: int, fixed: Array,
    pieces: Array, rows: Array, runs: Array, weights: Array, first: Array, scales: Array, table: Array,
) -> None:  # fmt: skip
    """Computes a depthwise convolution, with arguments as `convolve` but for two.

    `runs` are the offsets of a window's elements, `weights` int16 pairs (weight, 0), shape (elements, channels, 2).
    """
    memory = BatchAddresses(source, source_step, target, target_step)
    copy, output = _numbers(fixed)
    buffer, addresses, outs, staged, stages = _workspace(copy, len(first))
    for begin in range(0, samples, copy.group):
        count = min(copy.group, samples - begin)
        _copy_input(memory, begin, count, pieces, copy, buffer)
        for at in range(0, count * rows.shape[1], ROWS):
            _next(memory, begin, count, copy.size, _address(buffer), rows, at, addresses, outs)
            if len(table):
                _tap(addresses, stages, LANES, output, runs, weights, first, scales)
                _look_up(staged, table, outs, output)
            else:
                _tap(addresses, outs, output.step, output, runs, weights, first, scales)


@compiled
def _tap(
    addresses: Array, outs: Array, step: int, output: OutputLayout, runs: Array, weights: Array, first: Array,
    scales: Array,
) -> None:  # fmt: skip
    for c in range(0, output.depth, LANES):
        dot_products.taps(
            _address(addresses), _address(runs), len(runs), _address(weights) + 4 * c, weights.strides[0],
            _address(first) + 4 * c, _address(scales) + 8 * c, scales.strides[0], output.zero_point, output.low,
            output.high, _address(outs), c // LANES * step, output.depth - c,
        )  # fmt: skip
        addresses += LANES


@compiled
def look_up_pairs(
    first: Operand, second: Operand, out: Operand, samples: int, depth: int, places: Array, table: Array
) -> None:  # fmt: skip
    """Looks up the results of pairs of bytes in `table`.

    `places`: int64, offsets of each pixel in the three feature maps.
    """
    for sample in range(samples):
        a = first.address + sample * first.sample_step
        b = second.address + sample * second.sample_step
        target = out.address + sample * out.sample_step
        for pixel in range(places.shape[1]):
            for c in range(0, depth, LANES):
                brick = c // LANES
                dot_products.pairs(
                    a + places[0, pixel] + brick * first.step, b + places[1, pixel] + brick * second.step,
                    target + places[2, pixel] + brick * out.step, _address(table), min(LANES, depth - c),
                )  # fmt: skip
