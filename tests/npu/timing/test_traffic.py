"""Beats and bursts from addresses, strides and format, and the sense of the cycles that follow from them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.core.npu_config import NpuConfig
from hil.npu.accelerator import ALL, Accelerator
from hil.npu.stream.feature_map import FeatureMap, Tile
from hil.npu.stream.operations import Activation, Kernel, Kind, Padding, Range, Rounding, Upscale, Windowed
from hil.npu.timing.memory_system import TIMING_ADAPTERS, MemorySystem
from hil.npu.timing.operation_cycles import beside, block_operation
from hil.npu.timing.timing import OperationTiming
from hil.npu.timing.traffic import feature_map_reads, writes

U55 = Accelerator.from_name("ethos-u55-128")


def _map(shape, address=0, stride_x=None, stride_y=None, bricks=False):
    height, width, depth = shape
    stride_x = 16 if bricks else stride_x or depth
    stride_y = stride_y or stride_x * width * (-(-depth // 16) if bricks else 1)
    return FeatureMap(
        1, shape, np.dtype(np.int8), bricks, (stride_y, stride_x, 16 * width), (Tile(0, height, 0, width, address),)
    )


def _pool(ifm, ofm, block=(4, 4, 16), kernel=1, stride=1):
    activation = Activation(-128, 127, False, None, None)
    return Windowed(
        Kind.MAX_POOL, 0, ofm, ifm, block, 3, 0, Rounding.TFL, None, None, 0, 0, activation,
        Kernel(kernel, kernel, stride, stride), Padding(), Upscale.NONE,
    )  # fmt: skip


def _touched(feature_map, word):
    """Words of `word` bytes that the elements touch, row by row, counted element by element."""
    height, width, depth = feature_map.shape
    total = 0
    for y in range(height):
        run = feature_map.address + y * feature_map.strides[0]
        pixels = [run + x * feature_map.strides[1] for x in range(width)]
        if feature_map.strides[1] == depth:
            total += len({(pixel + c) // word for pixel in pixels for c in range(depth)})
        else:
            total += sum(len({(pixel + c) // word for c in range(depth)}) for pixel in pixels)
    return total


@given(
    st.tuples(st.integers(1, 5), st.integers(1, 6), st.integers(1, 16)),
    st.integers(0, 40), st.integers(0, 7), st.integers(0, 9),
)  # fmt: skip
def test_beats_are_the_words_that_each_row_touches(shape, address, wider, taller):
    stride_x = shape[2] + wider
    strided = _map(shape, address, stride_x, stride_x * shape[1] + taller)
    whole = (8, 8, 16)
    ((read, _),) = feature_map_reads(_pool(strided, _map(shape), whole), U55)
    written = writes(_pool(_map(shape), strided, whole), U55)
    assert (read.beats, read.bursts) == (_touched(strided, 8), _touched(strided, 64))
    assert (written.beats, written.bursts) == (_touched(strided, 8), _touched(strided, 64))


@st.composite
def _operations(draw) -> Windowed:
    """A pool with any block, kernel, stride, padding, upscaling, format and tiles."""
    ofm = draw(st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 40)))
    height, width, top, left = (draw(st.integers(*limits)) for limits in ((1, 11), (1, 11), (0, 2), (0, 2)))
    stride_y, stride_x, dilation = (draw(st.integers(1, most)) for most in (3, 3, 2))
    upscale = draw(st.sampled_from(Upscale))
    axes = [
        ((count - 1) * stride + (size - 1) * dilation + 1 - before - draw(st.integers(0, 1))) // (2 if upscale else 1)
        for count, stride, size, before in zip(ofm, (stride_y, stride_x), (height, width), (top, left), strict=False)
    ]
    ifm = max(1, axes[0]), max(1, axes[1]), ofm[2]
    maps = []
    for shape in (ifm, ofm):
        bricks = draw(st.booleans())
        made = _map(
            shape, draw(st.integers(0, 99)), None if bricks else shape[2] + draw(st.integers(0, 9)), None, bricks
        )
        cut = draw(st.integers(1, shape[0]))
        tiles = (Tile(0, cut, 0, shape[1], made.address),)
        if cut < shape[0]:
            tiles += (Tile(cut, shape[0], 0, shape[1], draw(st.integers(5000, 5099))),)
        maps.append(replace(made, tiles=tiles, dtype=np.dtype(draw(st.sampled_from(("int8", "int16"))))))
    block = draw(st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from((8, 16, 24, 32))))
    pool = _pool(*maps, block)
    kernel = Kernel(height, width, stride_y, stride_x, dilation, dilation)
    return replace(pool, kernel=kernel, padding=Padding(top, left), upscale=upscale)


def _parts(length, step):
    return [range(first, min(first + step, length)) for first in range(0, length, step)]


def _parts_under(operation, axis, step):
    """Rows (axis 0) or columns of the IFM under each part of the OFM's axis and of the kernel, element by element."""
    kernel = operation.kernel
    size, stride, before = (
        (kernel.height, kernel.stride_y, operation.padding.top),
        (kernel.width, kernel.stride_x, operation.padding.left),
    )[axis]
    scale = 2 if operation.upscale else 1
    length, dilation = operation.ifm.shape[axis], kernel.dilation_y
    for outputs in _parts(operation.ofm.shape[axis], step):
        for elements in _parts(size, 8 // dilation):
            first = outputs[0] * stride - before + elements[0] * dilation
            last = outputs[-1] * stride - before + elements[-1] * dilation
            places = [at // scale for at in range(max(0, first), min(length * scale - 1, last) + 1)]
            if places:
                yield range(places[0], places[-1] + 1)


def _words(feature_map, rows, columns, channels, word):
    """Words of `word` bytes that each run of each block touches, of a map without neighbours in a burst."""
    size, (stride_y, stride_x, stride_c) = feature_map.dtype.itemsize, feature_map.strides
    total = 0
    for y in (y for part in rows for y in part):
        tile = next(tile for tile in feature_map.tiles if tile.top <= y < tile.bottom)
        row = tile.address + (y - tile.top) * stride_y
        for xs, depths in ((xs, depths) for xs in columns for depths in channels):
            if feature_map.bricks:
                bricks = range(depths[0] // 16, depths[-1] // 16 + 1)
                runs = [(row + brick * stride_c + 16 * size * xs[0], 16 * size * len(xs)) for brick in bricks]
            elif stride_x == len(depths) * size:
                runs = [(row + xs[0] * stride_x + depths[0] * size, stride_x * len(xs))]
            else:
                runs = [(row + x * stride_x + depths[0] * size, len(depths) * size) for x in xs]
            total += sum((start + length - 1) // word - start // word + 1 for start, length in runs)
    return total


@settings(max_examples=300, deadline=None)
@given(_operations(), st.sampled_from(ALL))
def test_beats_and_bursts_are_those_of_each_run_of_each_block(operation, accelerator):
    ifm, ofm = operation.ifm, operation.ofm
    height, width, depth = (min(a, b) for a, b in zip(operation.block, ofm.shape, strict=True))
    rows, columns = ([*_parts_under(operation, axis, step)] for axis, step in ((0, height), (1, width)))
    channels = _parts(ifm.shape[2], depth)
    ((read, blocks),) = feature_map_reads(operation, accelerator)
    if not (ifm.bricks and accelerator.macs <= 64 and ifm.shape[2] <= 8):  # Half bricks have a test of their own.
        assert read.beats == _words(ifm, rows, columns, channels, accelerator.beat_bytes)
        assert read.bursts == _words(ifm, rows, columns, channels, 64)
    assert blocks == len(rows) * len(columns) * len(channels)
    parts = [_parts(length, step) for length, step in zip(ofm.shape, (height, width, depth), strict=True)]
    written = writes(operation, accelerator)
    assert written.beats == _words(ofm, *parts, accelerator.beat_bytes)
    assert written.bursts == _words(ofm, *parts, 64)


def test_a_network_of_narrow_strided_pools_costs_a_beat_a_pixel():
    """A transpose by pools: 12 x 3 bytes at a stride of 40 are 12 beats or more, not the 5 of 36 adjacent bytes."""
    pools = [_pool(_map((12, 1, 3), 3 * n, 3, 40), _map((12, 1, 3), 36 * n, 3)) for n in range(8)]
    read = [access.beats for pool in pools for access, _ in feature_map_reads(pool, U55)]
    assert read == [12, 12, 24, 12, 12, 24, 12, 12]  # 3 bytes from 6 or 7 of a word lie in two
    assert sum(writes(replace(pool, ofm=pool.ifm, ifm=pool.ofm), U55).beats for pool in pools) == sum(read)


def test_bricks_are_written_whole_and_read_by_half_on_a_small_npu():
    narrow = _map((4, 4, 4), bricks=True)
    pool = _pool(narrow, narrow)
    assert writes(pool, U55).beats == 4 * 4 * 2
    assert [a.beats for a, _ in feature_map_reads(pool, U55)] == [32]
    assert [a.beats for a, _ in feature_map_reads(pool, Accelerator.from_name("ethos-u55-64"))] == [16]


def test_a_tall_kernel_reads_by_sub_kernels():
    pool = _pool(_map((20, 8, 8)), _map((11, 1, 8)), (11, 1, 8), kernel=10)
    pool = replace(pool, kernel=Kernel(10, 8), ofm=_map((11, 1, 8)))
    ((read, _),) = feature_map_reads(pool, U55)
    assert read.beats == (18 + 12) * 8  # rows 0 to 17 under 8 kernel rows, 8 to 19 under the other 2


@pytest.mark.parametrize(("memory", "mean"), [("Sram", 8.0), ("OffChipFlash", 56 * 8 / 400)])
def test_ports_are_behind_the_timing_adapters_of_arms_firmware(memory, mean):
    adapter = TIMING_ADAPTERS["Ethos_U55_High_End_Embedded"][memory]
    port = next(port for port in MemorySystem.of(NpuConfig()).ports if port.memory == memory)
    assert (port.bytes_per_cycle, port.read_latency, port.outstanding_reads) == (
        mean,
        adapter.read_latency,
        adapter.reads,
    )
    free = MemorySystem.of(NpuConfig()).without_adapters()
    assert all(port.busy((100, 50), (20, 10), 8) == 100 for port in free.ports)


_FLASH = 0.02
"""Tolerance of a recorded figure of an FVP's run: start and end of the run are not modelled."""


@pytest.mark.parametrize(("words", "latency", "cycles"), [(25, 64, 178_956), (50, 64, 104_364), (50, 16, 102_572)])
def test_the_flash_delivers_rnnoise_as_on_an_fvp(words, latency, cycles):
    """14,165 beats from flash with two bursts in flight, published for three settings of the adapter."""
    flash = TIMING_ADAPTERS["Ethos_U55_High_End_Embedded"]["OffChipFlash"]
    port = MemorySystem.of(NpuConfig()).ports[1].behind(replace(flash, words=words, read_latency=latency))
    rest = 2000  # of the run, in which the flash is idle
    assert port.busy((14_165, 0), (1_771, 0), 8) + rest == pytest.approx(cycles, rel=_FLASH)


_SHAPES = st.tuples(st.integers(1, 20), st.integers(1, 20), st.integers(1, 40))


@settings(max_examples=60)
@given(_SHAPES, st.booleans(), st.sampled_from(ALL))
def test_a_faster_memory_never_costs_cycles(shape, bricks, accelerator):
    pool = _pool(_map(shape, bricks=bricks), _map(shape, bricks=bricks))
    slow = MemorySystem.of(NpuConfig()).with_beat_bytes(accelerator.beat_bytes)
    first, second = slow.ports
    memories = [
        replace(slow, ports=(replace(first, read_latency=16, write_latency=16), second)),
        replace(slow, ports=(replace(first, bytes_per_cycle=2 * first.bytes_per_cycle), second)),
        replace(slow, ports=(replace(first, outstanding_reads=32, outstanding_writes=32), second)),
        slow.without_adapters(),
    ]
    cycles = block_operation(pool, accelerator, slow, 0).cycles
    assert all(block_operation(pool, accelerator, memory, 0).cycles <= cycles for memory in memories)


@settings(max_examples=60)
@given(_SHAPES, st.integers(1, 3))
def test_fewer_elements_never_cost_cycles(shape, kernel):
    memory = MemorySystem.of(NpuConfig())

    def cycles(height):
        ifm = (height + kernel - 1, shape[1] + kernel - 1, shape[2])
        pool = _pool(_map(ifm), _map((height, *shape[1:])), (4, 4, 16), kernel)
        return block_operation(pool, U55, memory, 0).cycles

    assert cycles(shape[0]) <= cycles(shape[0] + 4)


@given(st.integers(0, 5000), st.integers(0, 5000))
def test_fewer_weights_never_cost_cycles(length, more):
    flash = MemorySystem.of(NpuConfig()).ports[1]
    short, long = Range(0, 0, length), Range(0, 0, length + more)
    times = [flash.busy((-(-r.length // 8), 0), (-(-r.length // 64), 0), 8) for r in (short, long)]
    assert times[0] <= times[1]


def _running(start, beats, kind=Kind.MAX_POOL, compute=0, fill=0):
    """An operation or DMA that reads and writes `beats` of SRAM."""
    pool = replace(_pool(_map((1, 1, 1)), _map((1, 1, 1))), kind=kind)
    read, written = beats
    transfer = read + written
    counts = (read, 0), (written, 0)
    return OperationTiming(pool, start, start + fill + max(compute, transfer), compute, transfer, *counts, fill)


_BEATS = st.tuples(st.integers(0, 4000), st.integers(0, 4000))


@given(_BEATS, st.lists(st.tuples(st.integers(0, 99), st.integers(1, 3000)), max_size=6), st.integers(0, 9000))
def test_an_operation_waits_for_the_words_of_dmas_beside_it(beats, copies, compute):
    memory = MemorySystem.of(NpuConfig())
    alone, dmas, at = _running(0, beats, compute=compute), [], 0
    for gap, written in copies:
        dmas.append(_running(at + gap, (0, written)))
        at = dmas[-1].end
    shared = beside(alone, dmas, 0, memory)
    meanwhile = sum(max(0, min(shared.end, dma.end) - dma.start) for dma in dmas)  # one word a cycle
    words = sum(beats) + min(meanwhile, sum(beats))
    assert shared.end == max(alone.end, words)  # SRAM takes one word a cycle, of both together
    assert beside(alone, dmas, 0, memory.without_adapters()).end <= shared.end


def test_a_dma_that_is_over_or_starts_later_costs_nothing():
    alone, memory = _running(1000, (500, 500)), MemorySystem.of(NpuConfig())
    assert beside(alone, [_running(0, (0, 1000)), _running(2000, (0, 1000))], 0, memory) == alone
    assert beside(alone, [_running(0, (0, 1001))], 1, memory) == alone, "those before the first are over"
