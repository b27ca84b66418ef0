"""The ranges that a feature map reports are the bytes that it touches: every check of an address rests on them."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.npu.stream.feature_map import BRICK, FeatureMap, Tile

STRIDES = st.sampled_from([-1000, -48, -20, -4, 0, 1, 4, 20, 48, 1000])


def touched(fm: FeatureMap) -> list[int]:
    """Every byte, by the formulas of the two formats."""
    size, (stride_y, stride_x, stride_c) = fm.dtype.itemsize, fm.strides
    places = []
    for tile in fm.tiles:
        for y, x, c in np.ndindex(tile.bottom - tile.top, tile.right - tile.left, fm.shape[2]):
            along = c // BRICK * stride_c + (BRICK * x + c % BRICK) * size if fm.bricks else x * stride_x + c * size
            places += [tile.address + y * stride_y + along + byte for byte in range(size)]
    return places


@settings(max_examples=300, derandomize=True)
@given(
    st.tuples(st.integers(1, 3), st.integers(1, 3), st.sampled_from([1, 15, 16, 17, 31, 32, 33, 40])),
    st.sampled_from(["u1", "i2", "i4"]),
    st.booleans(),
    st.tuples(STRIDES, STRIDES, STRIDES),
    st.tuples(st.integers(1, 3), st.integers(-100, 5000)),
)
def test_extent_is_what_is_touched(shape, dtype, bricks, strides, tile):
    split, second = min(tile[0], shape[0]), tile[1]
    tiles = [Tile(0, split, 0, shape[1], 64)]
    if split < shape[0]:
        tiles.append(Tile(split, shape[0], 0, shape[1], second))
    fm = FeatureMap(1, shape, np.dtype(dtype), bricks, strides, tuple(tiles))
    places = touched(fm)
    assert fm.extent() == (min(places), max(places) + 1)


@settings(max_examples=300, derandomize=True)
@given(
    st.tuples(st.integers(1, 3), st.integers(1, 3), st.sampled_from([1, 15, 16, 17, 33])),
    st.sampled_from(["u1", "i2"]),
    st.booleans(),
    st.tuples(STRIDES, STRIDES, STRIDES),
    st.integers(0, 400),
)
def test_distinct_elements_share_no_byte(shape, dtype, bricks, strides, second):
    tiles = [Tile(0, 1, 0, shape[1], 0)] + ([Tile(1, shape[0], 0, shape[1], second)] if shape[0] > 1 else [])
    fm = FeatureMap(1, shape, np.dtype(dtype), bricks, strides, tuple(tiles))
    places = touched(fm)
    if fm.is_distinct():
        assert len(set(places)) == len(places)
