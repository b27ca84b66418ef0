"""Operators that the firmware has and Vela leaves to the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from tests.support.operators.builder import Op, Tensor, build
from tests.support.operators.case import Case, Generator
from tests.support.operators.element_moves import Move, moves, whole
from tests.support.operators.quantization import activation_tensor

Shape = tuple[int, ...]

_EIGHT_AND_SIXTEEN = ("int8", "uint8", "int16")
_COMPARISONS = ("EQUAL", "NOT_EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL")
_SHAPE: Shape = (1, 6, 8, 12)


def cases() -> Iterator[Case]:
    """A case or two an operator and type."""
    for operator in _COMPARISONS:
        for dtype in ("int8", "int32"):
            yield Case(operator, dtype, "plain", partial(_comparison, operator, dtype))
    for dtype in ("int8", "int16"):
        yield Case("SELECT_V2", dtype, "plain", partial(_select, dtype))
        yield Case("BATCH_MATMUL", dtype, "plain", partial(_matmul, dtype))
    for dtype in ("int8", "uint8"):
        yield Case("L2_NORMALIZATION", dtype, "plain", partial(_normalized, dtype))
        yield Case("ARG_MIN", dtype, "depth", partial(_arg_min, dtype))
    yield Case("LOG_SOFTMAX", "int8", "plain", _log_softmax)
    yield from moves("GATHER", {"rows": _gathered(1), "depth": _gathered(3)}, _EIGHT_AND_SIXTEEN)
    yield from moves("GATHER_ND", {"pixels": _gathered_pixels()}, ("int8", "int16"))
    yield from moves("DEPTH_TO_SPACE", {"two": _blocks(12, (12, 16, 3))}, ("int8", "uint8"))
    yield from moves("SPACE_TO_DEPTH", {"two": _blocks(12, (3, 4, 48))}, ("int8", "uint8"))
    yield from moves("SPACE_TO_BATCH_ND", {"two": _to_batch()}, ("int8", "int16"))
    yield from moves("BATCH_TO_SPACE_ND", {"two": _from_batch()}, ("int8", "int16"))


def _comparison(operator: str, dtype: str, random: Generator) -> bytes:
    left, right = (activation_tensor(random, _SHAPE, dtype) for _ in range(2))
    return build(Op(operator, (left, right), (Tensor(_SHAPE, "bool"),)))


def _select(dtype: str, random: Generator) -> bytes:
    first = activation_tensor(random, _SHAPE, dtype)
    second, chosen = (Tensor(_SHAPE, dtype, first.scale, first.zero_point) for _ in range(2))
    return build(Op("SELECT_V2", (Tensor(_SHAPE, "bool"), first, second), (chosen,)))


def _matmul(dtype: str, random: Generator) -> bytes:
    left, right = activation_tensor(random, (2, 5, 16), dtype), activation_tensor(random, (2, 16, 7), dtype)
    scale = 30 * left.scales[0] * right.scales[0] * (127 if dtype == "int8" else 32767) ** 0.5
    return build(Op("BATCH_MATMUL", (left, right), (Tensor((2, 5, 7), dtype, scale),)))


def _normalized(dtype: str, random: Generator) -> bytes:
    zero = 128 if dtype == "uint8" else 0
    return build(
        Op("L2_NORMALIZATION", (activation_tensor(random, _SHAPE, dtype),), (Tensor(_SHAPE, dtype, 1 / 128, zero),))
    )


def _log_softmax(random: Generator) -> bytes:
    x, y = activation_tensor(random, (5, 20), "int8"), Tensor((5, 20), "int8", 16 / 256, 127)
    return build(Op("LOG_SOFTMAX", (x,), (y,)))


def _arg_min(dtype: str, random: Generator) -> bytes:
    along = Tensor((), "int32", data=np.array(3, np.int32))
    y = Tensor(_SHAPE[:-1], "int32")
    return build(Op("ARG_MIN", (activation_tensor(random, _SHAPE, dtype), along), (y,), output_type="INT32"))


def _gathered(axis: int) -> Move:
    chosen = whole(3, 0, 3, 5)
    shape = tuple(len(chosen) if number == axis else size for number, size in enumerate(_SHAPE))
    return Move((_SHAPE,), (shape,), after=(chosen,), options={"axis": axis})


def _gathered_pixels() -> Move:
    return Move((_SHAPE,), ((3, 12),), after=(whole((0, 1, 2), (0, 5, 7), (0, 0, 0)),))


def _blocks(depth: int, output: Shape) -> Move:
    return Move(((1, 6, 8, depth),), ((1, *output),), options={"block_size": 2})


def _to_batch() -> Move:
    return Move((_SHAPE,), ((4, 3, 4, 12),), after=(whole(2, 2), whole((0, 0), (0, 0))))


def _from_batch() -> Move:
    return Move(((4, 3, 4, 12),), (_SHAPE,), after=(whole(2, 2), whole((0, 0), (0, 0))))
