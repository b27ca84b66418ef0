"""Feature maps: the layout of an activation tensor in memory, and its elements as arrays.

A feature map is height x width x depth elements of 8, 16 or 32 bits in one of two formats:

* **NHWC**: element (y, x, c) at `y*stride_y + x*stride_x + c*size`; the elements of a pixel are adjacent.
* **NHCWB16** ("bricks"): depth is cut into bricks of 16; element (y, x, c) at
  `y*stride_y + (c//16)*stride_c + (16*x + c%16)*size`, so that a row of one brick is adjacent.

It is cut into up to four *tiles*, each with its own address: tile 0 holds the upper left, 1 the columns from `width0`,
2 the rows from `height0`, 3 the columns from `width0` in the rows from `height1`.  Vela uses tiles for rolling buffers,
where rows wrap round to the start of the buffer.

A memory region is an array of bytes of shape (batch, size), so one strided view is the feature map of every sample.
Every address is checked against its region before a view is made; `extent` is the range of bytes to check.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from hil.core.arrays import Array
from hil.core.errors import StreamError
from hil.npu.stream import limits

Regions = Mapping[int, NDArray[np.uint8]]
"""Bytes of each region, shape (batch, size)."""

BRICK = 16
"""Depth of one brick of format NHCWB16."""

_MAX_RUNS = 1 << 22
"""Largest number of runs of adjacent elements whose addresses are compared one by one."""

_DTYPES: dict[tuple[bool, int], np.dtype[Any]] = {
    (False, 0): np.dtype(np.uint8),
    (True, 0): np.dtype(np.int8),
    (False, 1): np.dtype(np.uint16),
    (True, 1): np.dtype(np.int16),
    (False, 2): np.dtype(np.int32),
    (True, 2): np.dtype(np.int32),
}


@dataclass(frozen=True)
class Tile:
    """Rows `top` to `bottom` and columns `left` to `right` (ends excluded), stored at `address` of the region."""

    top: int
    bottom: int
    left: int
    right: int
    address: int


@dataclass(frozen=True)
class FeatureMap:
    """Region, shape, data type, format, strides and tiles of a feature map.

    `shape` is (height, width, depth) in elements, `strides` (y, x, c) in bytes, `bricks` is True for NHCWB16.
    """

    region: int
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    bricks: bool
    strides: tuple[int, int, int]
    tiles: tuple[Tile, ...]

    @property
    def address(self) -> int:
        """Address of the first element in its region."""
        return self.tiles[0].address

    @property
    def elements(self) -> int:
        """Number of elements of one sample."""
        return self.shape[0] * self.shape[1] * self.shape[2]

    def spans(self) -> Iterator[tuple[int, int]]:
        """Yields per tile its first byte and the byte after its last."""
        size, (stride_y, stride_x, _) = self.dtype.itemsize, self.strides
        if self.bricks:
            stride_x = BRICK * size
        runs = [*self._runs()]
        below, behind = min(start for start, _ in runs), max(end for _, end in runs)
        for tile in self.tiles:
            steps = (tile.bottom - tile.top - 1) * stride_y, (tile.right - tile.left - 1) * stride_x
            low = tile.address + sum(min(0, step) for step in steps)
            yield low + below, tile.address + sum(max(0, step) for step in steps) + behind

    def _runs(self) -> Iterator[tuple[int, int]]:
        """Yields start and end of a pixel's outermost runs of adjacent channels, from its first byte on."""
        size, depth, stride_c = self.dtype.itemsize, self.shape[2], self.strides[2]
        if not self.bricks:
            yield 0, depth * size
            return
        full, rest = divmod(depth, BRICK)
        for brick in {0, full - 1} if full else ():
            yield brick * stride_c, brick * stride_c + BRICK * size
        if rest:
            yield full * stride_c, full * stride_c + rest * size

    def extent(self) -> tuple[int, int]:
        """First byte of the feature map in its region, and the byte after its last."""
        return self._extent

    @cached_property
    def _extent(self) -> tuple[int, int]:
        spans = list(self.spans())
        return min(low for low, _ in spans), max(high for _, high in spans)

    def is_distinct(self) -> bool:
        """True if no two elements share a byte; otherwise the result of a write depends on the hardware's order.

        Nested axes are recognized by their strides; for other layouts the addresses are compared.
        """
        size, depth = self.dtype.itemsize, self.shape[2]
        run = min(depth, BRICK) * size if self.bricks else depth * size
        axes = [(self.shape[0], self.strides[0])]
        axes += (
            [(self.shape[1], BRICK * size), (-(-depth // BRICK), self.strides[2])]
            if self.bricks
            else [(self.shape[1], self.strides[1])]
        )
        extent = run
        for stride, count in sorted((abs(stride), count) for count, stride in axes if count > 1):
            if stride < extent:
                return self._runs_are_apart(run)
            extent += stride * (count - 1)
        return len(self.tiles) == 1 or self._runs_are_apart(run)

    def _runs_are_apart(self, run: int) -> bool:
        bricks = -(-self.shape[2] // BRICK) if self.bricks else 1
        if self.shape[0] * self.shape[1] * bricks > _MAX_RUNS:
            return False
        stride_y, stride_x, stride_c = self.strides
        if self.bricks:
            stride_x = BRICK * self.dtype.itemsize
        parts = []
        for tile in self.tiles:
            rows, columns = np.arange(tile.bottom - tile.top)[:, None, None], np.arange(tile.right - tile.left)[:, None]
            places = tile.address + rows * stride_y + columns * stride_x + np.arange(bricks) * stride_c
            parts.append(places.ravel())
        return bool((np.diff(np.sort(np.concatenate(parts))) >= run).all())

    def load(self, memory: Regions, out: Array) -> None:
        """Copies the elements of all samples to `out`, shape (batch, height, width, depth), converting to its type."""
        for view, window in self._views(memory, out):
            window[...] = view

    def store(self, memory: Regions, values: Array, top: int = 0) -> None:
        """Writes `values`, shape (batch, rows, width, depth), to the rows from `top` on."""
        for view, window in self._views(memory, values, top):
            view[...] = window

    def read(self, memory: Regions, dtype: Any = None) -> Array:
        """Returns a copy of the elements, shape (batch, height, width, depth), as `dtype` (default: its own)."""
        out = np.empty((len(memory[self.region]), *self.shape), dtype or self.dtype)
        self.load(memory, out)
        return out

    def _views(self, memory: Regions, values: Array, top: int = 0) -> Iterator[tuple[Array, Array]]:
        """Yields pairs (view of the memory, view of `values`) of equal shape that cover the rows from `top` on."""
        region = memory[self.region]
        for tile in self.tiles:
            first, last = max(tile.top, top), min(tile.bottom, top + values.shape[1])
            if first >= last:
                continue
            address = tile.address + (first - tile.top) * self.strides[0]
            window = values[:, first - top : last - top, tile.left : tile.right]
            if not self.bricks:
                yield self._view(region, address, window.shape[1:], (*self.strides[:2], self.dtype.itemsize)), window
                continue
            yield from self._brick_views(region, address, window)

    def _brick_views(self, region: Array, address: int, window: Array) -> Iterator[tuple[Array, Array]]:
        stride_y, _, stride_c = self.strides
        size = self.dtype.itemsize
        batch, height, width, depth = window.shape
        full = depth // BRICK
        if full:
            strides = (stride_y, BRICK * size, stride_c, size)
            bricks = window[..., : full * BRICK]
            split = bricks.reshape(batch, height, width, full, BRICK)  # A view: an axis that is cut stays in place.
            yield self._view(region, address, (height, width, full, BRICK), strides), split
        if depth % BRICK:
            shape = (height, width, depth % BRICK)
            strides3 = (stride_y, BRICK * size, size)
            yield self._view(region, address + full * stride_c, shape, strides3), window[..., full * BRICK :]

    def _view(self, region: Array, address: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> Array:
        shape, strides = (len(region), *shape), (region.strides[0], *strides)
        if region.flags.c_contiguous:  # A tenth of the time of `as_strided`, and one inference has many views.
            return np.ndarray(shape, self.dtype, region, address, strides)
        first = region[:, address : address + self.dtype.itemsize].view(self.dtype)
        return as_strided(first, shape, strides)


def feature_map(
    registers: Mapping[str, int], prefix: str, shape: tuple[int, int, int], region: int, word_offset: int
) -> FeatureMap:
    """Reads the registers of `prefix` (IFM, IFM2, OFM) for a feature map of `shape` (height, width, depth).

    Raises `StreamError` for an unknown format or element size, an address below 0, and strides with which elements
    of an OFM share bytes.
    """
    precision = registers[f"{prefix}_PRECISION"]
    size = precision >> (1 if prefix == "OFM" else 2) & 3
    layout = precision >> 6 & 3
    if size == 3 or layout > 1:
        raise StreamError(f"{prefix}_PRECISION {precision:#x} is not known", word_offset=word_offset)
    result = FeatureMap(
        region,
        shape,
        _DTYPES[bool(precision & 1), size],
        layout == 1,
        (registers[f"{prefix}_STRIDE_Y"], registers[f"{prefix}_STRIDE_X"], registers[f"{prefix}_STRIDE_C"]),
        tuple(_tiles(registers, prefix, shape)),
    )
    limits.check(result.elements, limits.ELEMENTS, f"an {prefix} of {{}} elements", word_offset)
    low, high = result.extent()
    if result.elements * result.dtype.itemsize > high - low:
        what = f"an {prefix} of {{}} elements that share bytes"
        limits.check(result.elements, limits.SHARING_ELEMENTS, what, word_offset)
    if low < 0:
        raise StreamError(f"the {prefix} starts {-low} bytes before its region", word_offset=word_offset)
    if prefix == "OFM" and not result.is_distinct():
        raise StreamError("the strides lay elements of the OFM over each other", word_offset=word_offset)
    return result


def _tiles(registers: Mapping[str, int], prefix: str, shape: tuple[int, int, int]) -> Iterator[Tile]:
    height, width, _ = shape
    width0 = min(width, registers[f"{prefix}_WIDTH0_M1"] + 1)
    for left, right, index in ((0, width0, 0), (width0, width, 1)):
        if left == right:
            continue
        split = min(height, registers[f"{prefix}_HEIGHT{index}_M1"] + 1)
        yield Tile(0, split, left, right, registers[f"{prefix}_BASE{index}"])
        if split < height:
            yield Tile(split, height, left, right, registers[f"{prefix}_BASE{index + 2}"])
