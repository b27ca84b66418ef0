"""CONCATENATION, PACK, and what takes apart: SPLIT, SPLIT_V, UNPACK, SLICE, STRIDED_SLICE."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from tests.support.operators.builder import Op, Tensor, build
from tests.support.operators.case import Case, Generator
from tests.support.operators.element_moves import Move, Shape, moves, whole
from tests.support.operators.quantization import activation_tensor

_EIGHT_AND_SIXTEEN = ("int8", "uint8", "int16")


def cases() -> Iterator[Case]:
    """Along every axis, with depths that are and are not whole bricks of 16."""
    yield from moves("CONCATENATION", dict(_concatenations()))
    yield Case("CONCATENATION", "uint8", "scales", _scales)
    for dtype in _EIGHT_AND_SIXTEEN:
        for place, name in enumerate(("first", "second")):
            yield Case("CONCATENATION", dtype, f"resized-{name}", partial(_resized, dtype, place))
    yield from moves("SPLIT", dict(_splits()), _EIGHT_AND_SIXTEEN)
    yield from moves("SPLIT_V", dict(_uneven_splits()), _EIGHT_AND_SIXTEEN)
    yield from moves("PACK", dict(_packs()), _EIGHT_AND_SIXTEEN)
    yield from moves("UNPACK", dict(_unpacks()), _EIGHT_AND_SIXTEEN)
    yield from moves("SLICE", dict(_slices()), _EIGHT_AND_SIXTEEN)
    yield from moves("STRIDED_SLICE", dict(_strided_slices()), _EIGHT_AND_SIXTEEN)


def _concatenations() -> Iterator[tuple[str, Move]]:
    def joined(axis: int, *shapes: Shape) -> Move:
        along = axis % len(shapes[0])
        result = tuple(sum(s[i] for s in shapes) if i == along else n for i, n in enumerate(shapes[0]))
        return Move(shapes, (result,), options={"axis": axis})

    yield "depth", joined(3, (1, 4, 5, 7), (1, 4, 5, 20))
    yield "depth-bricks", joined(-1, (1, 4, 5, 16), (1, 4, 5, 32), (1, 4, 5, 16))
    yield "depth-many", joined(3, *[(1, 3, 4, depth) for depth in (1, 2, 3, 5, 8, 13, 21)])
    yield "width", joined(2, (1, 4, 5, 7), (1, 4, 2, 7), (1, 4, 1, 7))
    yield "height", joined(1, (1, 4, 5, 7), (1, 2, 5, 7))
    yield "batch", joined(0, (1, 4, 5, 7), (3, 4, 5, 7))
    yield "rank1", joined(0, (17,), (30,))
    yield "rank2", joined(1, (4, 17), (4, 30))
    yield "rank3", joined(0, (2, 4, 17), (3, 4, 17))
    yield "rank5", joined(2, (2, 3, 4, 2, 5), (2, 3, 1, 2, 5))


def _scales(random: Generator) -> bytes:
    """Of uint8 alone the reference kernels take inputs of different scales."""
    inputs = [activation_tensor(random, (1, 4, 5, depth), "uint8") for depth in (7, 20, 16)]
    y = activation_tensor(random, (1, 4, 5, 43), "uint8")
    return build(Op("CONCATENATION", inputs, (y,), axis=3))


def _resized(dtype: str, place: int, random: Generator) -> bytes:
    """A tensor that RESIZE_BILINEAR enlarges, as in a U-Net, in the `place` of the joined ones."""
    small = activation_tensor(random, (1, 4, 5, 3), dtype)
    large, resized, joined = (
        Tensor((1, 8, 10, depth), dtype, small.scale, small.zero_point, name=name)
        for depth, name in ((5, "large"), (3, "resized"), (8, "joined"))
    )
    size = Tensor((2,), "int32", data=np.array([8, 10], np.int32))
    parts = [large, resized] if place else [resized, large]
    return build(
        Op("RESIZE_BILINEAR", [small, size], [resized], half_pixel_centers=True),
        Op("CONCATENATION", parts, [joined], axis=3),
    )


def _splits() -> Iterator[tuple[str, Move]]:
    def split(axis: int, number: int, shape: Shape) -> Move:
        part = tuple(n // number if i == axis % len(shape) else n for i, n in enumerate(shape))
        return Move((shape,), (part,) * number, (np.array(axis, np.int32),), options={"num_splits": number})

    yield "depth", split(3, 2, (1, 4, 5, 40))
    yield "depth-bricks", split(-1, 3, (1, 4, 5, 48))
    yield "depth-ones", split(3, 5, (1, 4, 5, 5))
    yield "width", split(2, 3, (1, 4, 6, 19))
    yield "height", split(1, 2, (1, 4, 5, 19))
    yield "batch", split(0, 3, (3, 4, 5, 7))
    yield "rank2", split(1, 4, (3, 20))


def _uneven_splits() -> Iterator[tuple[str, Move]]:
    def split(axis: int, lengths: tuple[int, ...], shape: Shape) -> Move:
        parts = tuple(tuple(length if i == axis else n for i, n in enumerate(shape)) for length in lengths)
        after = (whole(*lengths), np.array(axis, np.int32))
        return Move((shape,), parts, after=after, options={"num_splits": len(lengths)})

    yield "depth", split(3, (17, 23), (1, 4, 5, 40))
    yield "depth-bricks", split(3, (16, 8, 24), (1, 4, 5, 48))
    yield "width", split(2, (1, 3, 2), (1, 4, 6, 19))
    yield "height", split(1, (3, 1), (1, 4, 5, 19))
    yield "rank3", split(0, (1, 2), (3, 4, 9))


def _packs() -> Iterator[tuple[str, Move]]:
    def pack(axis: int, number: int, shape: Shape) -> Move:
        along = axis % (len(shape) + 1)
        result = (*shape[:along], number, *shape[along:])
        return Move((shape,) * number, (result,), options={"axis": axis, "values_count": number})

    for axis in (0, 1, 2, 3):
        yield f"axis{axis}", pack(axis, 3, (4, 5, 7))
    yield "last", pack(-1, 2, (1, 5, 7))
    yield "rank1", pack(0, 2, (20,))
    yield "rank2", pack(1, 4, (3, 20))


def _unpacks() -> Iterator[tuple[str, Move]]:
    def unpack(axis: int, shape: Shape) -> Move:
        along = axis % len(shape)
        number = shape[along]
        part = (*shape[:along], *shape[along + 1 :])
        return Move((shape,), (part,) * number, options={"axis": axis, "num": number})

    for axis in (0, 1, 2):
        yield f"axis{axis}", unpack(axis, (4, 3, 7))
    yield "last", unpack(-1, (1, 5, 7, 3))
    yield "rank2", unpack(0, (3, 20))


def _slices() -> Iterator[tuple[str, Move]]:
    def cut(shape: Shape, begin: Shape, size: Shape) -> Move:
        return Move((shape,), (size,), after=(whole(*begin), whole(*size)))

    yield "all-axes", cut((1, 6, 7, 40), (0, 1, 2, 3), (1, 3, 4, 19))
    yield "depth-bricks", cut((1, 6, 7, 48), (0, 0, 0, 16), (1, 6, 7, 32))
    yield "rows", cut((1, 6, 7, 20), (0, 2, 0, 0), (1, 3, 7, 20))
    yield "batch", cut((3, 4, 5, 6), (1, 0, 0, 0), (2, 4, 5, 6))
    yield "rank2", cut((5, 40), (1, 3), (2, 30))
    yield "rank1", cut((40,), (5,), (30,))


def _strided_slices() -> Iterator[tuple[str, Move]]:
    def cut(shape: Shape, begin: Shape, end: Shape, strides: Shape, result: Shape, **masks: int) -> Move:
        return Move((shape,), (result,), after=(whole(*begin), whole(*end), whole(*strides)), options=masks)

    shape = (1, 6, 8, 40)
    yield "cut", cut(shape, (0, 1, 2, 3), (1, 5, 7, 22), (1, 1, 1, 1), (1, 4, 5, 19))
    yield "strides", cut(shape, (0, 0, 1, 3), (1, 6, 8, 22), (1, 2, 2, 1), (1, 3, 4, 19))
    yield "stride3", cut(shape, (0, 0, 0, 0), shape, (1, 3, 3, 1), (1, 2, 3, 40))
    yield "from-end", cut(shape, (0, -4, -5, 0), (1, -1, -1, 40), (1, 1, 1, 1), (1, 3, 4, 40))
    yield "masks", cut(shape, (0, 3, 4, 5), (1, 4, 5, 6), (1, 1, 1, 1), (1, 4, 4, 40), begin_mask=8 + 2, end_mask=4 + 8)
    yield "shrink", cut(shape, (0, 2, 0, 0), (1, 3, 8, 40), (1, 1, 1, 1), (1, 8, 40), shrink_axis_mask=2)
    yield "depth-stride", cut(shape, (0, 0, 0, 0), shape, (1, 1, 1, 5), (1, 6, 8, 8))
    yield "backwards", cut(shape, (0, 0, 0, 0), shape, (1, 1, -1, 1), shape, begin_mask=15, end_mask=15)
    yield "rank2", cut((6, 40), (1, 2), (5, 32), (2, 1), (2, 30))
