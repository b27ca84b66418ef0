"""TRANSPOSE, RESHAPE, SQUEEZE, EXPAND_DIMS, SHAPE, REVERSE_V2, TILE, and PAD, PADV2, MIRROR_PAD."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import permutations

import numpy as np

from hil.core.arrays import Array
from tests.support.operators.builder import Op, Tensor, build
from tests.support.operators.case import Case, Generator
from tests.support.operators.element_moves import TYPES, Move, Shape, moves, whole
from tests.support.operators.quantization import activation_tensor
from tests.support.operators.tensor_description import first_operator

_EIGHT_AND_SIXTEEN = ("int8", "uint8", "int16")


def cases() -> Iterator[Case]:
    """Every permutation of four axes, paddings of every axis, and shapes of every rank."""
    yield from moves("TRANSPOSE", dict(_transpositions()), ("int8", "int16"))
    yield from moves("TRANSPOSE", dict(_transpositions()), ("int32",), limits={0: (-(1 << 29), 1 << 29)})
    yield from moves("TRANSPOSE", {"extremes": _transposed((9, 33), (1, 0))}, ("int32",))
    yield from moves("TRANSPOSE", dict(list(_transpositions())[::6]), ("uint8",))
    yield from moves("RESHAPE", dict(_reshapes()))
    yield from moves("SQUEEZE", {"two": Move(((1, 4, 1, 7),), ((4, 7),), options={"squeeze_dims": [0, 2]})})
    for axis, shape in ((0, (1, 4, 5, 7)), (1, (4, 1, 5, 7)), (-1, (4, 5, 7, 1))):
        parameter = np.array(axis, np.int32)
        yield from moves("EXPAND_DIMS", {f"axis{axis}": Move(((4, 5, 7),), (shape,), after=(parameter,))})
    yield from (Case("SHAPE", dtype, "rank4", partial(_shape, dtype)) for dtype in TYPES)
    for axis in (0, 1, 2, 3):
        yield from moves("REVERSE_V2", {f"axis{axis}": Move(((2, 4, 5, 7),), ((2, 4, 5, 7),), after=(whole(axis),))})
    yield from moves("TILE", dict(_tiles()), ("int8", "uint8"))
    yield from moves("TILE", dict(_tiles()), ("int16",), arithmetic=_tiled)
    yield from moves("PAD", dict(_paddings(False)), _EIGHT_AND_SIXTEEN)
    yield from moves("PADV2", dict(_paddings(True)), _EIGHT_AND_SIXTEEN)
    yield from moves("MIRROR_PAD", dict(_mirrors()))


def _transposed(shape: Shape, order: Sequence[int]) -> Move:
    return Move((shape,), (tuple(shape[axis] for axis in order),), after=(whole(*order),))


def _transpositions() -> Iterator[tuple[str, Move]]:
    for order in permutations(range(4)):
        shape = (1, 4, 5, 18) if order[0] == 0 else (2, 4, 5, 18)
        yield "".join(map(str, order)), _transposed(shape, order)
    for order in permutations(range(3)):
        yield "".join(map(str, order)), _transposed((3, 7, 33), order)
    yield "10", _transposed((9, 33), (1, 0))
    yield "02134", _transposed((2, 3, 4, 2, 5), (0, 2, 1, 3, 4))
    yield "41302", _transposed((2, 3, 4, 2, 5), (4, 1, 3, 0, 2))
    yield "large", _transposed((1, 60, 40, 48), (0, 2, 1, 3))


def _reshapes() -> Iterator[tuple[str, Move]]:
    for name, before, after in (
        ("flat", (1, 4, 5, 7), (1, 140)),
        ("rank1", (1, 4, 5, 7), (140,)),
        ("rank4", (1, 160), (1, 4, 5, 8)),
        ("batch", (4, 5, 7), (2, 2, 5, 7)),
        ("rank6", (2, 3, 4, 5), (1, 2, 3, 2, 2, 5)),
    ):
        yield name, Move((before,), (after,), after=(whole(*after),), options={"new_shape": list(after)})


def _shape(dtype: str, random: Generator) -> bytes:
    """A constant, which the legacy core folds."""
    x = activation_tensor(random, (1, 4, 5, 7), dtype)
    y = Tensor((4,), "int32")
    return build(Op("SHAPE", (x,), (y,), out_type=2))


def _tiles() -> Iterator[tuple[str, Move]]:
    for name, shape, times in (
        ("height-width", (1, 4, 5, 7), (1, 2, 3, 1)),
        ("all", (1, 4, 5, 7), (2, 2, 3, 2)),
        ("depth", (1, 4, 5, 16), (1, 1, 1, 3)),
        ("one", (1, 4, 5, 1), (1, 1, 1, 20)),
        ("rank2", (3, 20), (2, 2)),
        ("rank3", (3, 4, 9), (1, 3, 1)),
    ):
        result = tuple(length * count for length, count in zip(shape, times, strict=True))
        yield name, Move((shape,), (result,), after=(whole(*times),))


def _tiled(model: bytes, inputs: Sequence[Array]) -> Sequence[Array]:
    times = first_operator(model).inputs[1]
    x = first_operator(model).inputs[0]
    assert times is not None
    assert times.data is not None
    assert x is not None
    return [np.stack([np.tile(sample.reshape(x.shape), times.data.tolist()) for sample in inputs[0]])]


def _padded(shape: Shape, before_after: Sequence[tuple[int, int]], fill: bool = False, mode: str = "") -> Move:
    result = tuple(low + length + high for length, (low, high) in zip(shape, before_after, strict=True))
    options = {"mode": mode} if mode else {}
    return Move((shape,), (result,), after=(whole(*before_after),), options=options, fill=fill)


def _paddings(fill: bool) -> Iterator[tuple[str, Move]]:
    none = (0, 0)
    for name, amounts in (
        ("height-width", (none, (1, 2), (3, 1), none)),
        ("depth", (none, none, none, (2, 3))),
        ("depth-bricks", (none, none, none, (16, 16))),
        ("all", (none, (1, 2), (3, 1), (2, 3))),
        ("batch", ((1, 1), none, none, none)),
        ("everything", ((1, 2), (2, 1), (1, 3), (4, 5))),
        ("nothing", (none, none, none, none)),
    ):
        yield name, _padded((1, 4, 5, 16), amounts, fill)
    yield "rank2", _padded((3, 20), ((1, 0), (2, 2)), fill)
    yield "rank3", _padded((3, 4, 9), ((1, 0), (2, 2), (0, 1)), fill)


def _mirrors() -> Iterator[tuple[str, Move]]:
    none = (0, 0)
    for mode in ("REFLECT", "SYMMETRIC"):
        for name, amounts in (
            ("height", (none, (1, 2), none, none)),
            ("width", (none, none, (3, 1), none)),
            ("height-width", (none, (3, 2), (3, 4), none)),
            ("depth", (none, none, none, (2, 3))),
            ("all", (none, (1, 2), (3, 1), (2, 3))),
        ):
            yield f"{mode}-{name}", _padded((1, 4, 5, 7), amounts, mode=mode)
        yield f"{mode}-rank2", _padded((6, 20), ((0, 0), (2, 3)), mode=mode)
