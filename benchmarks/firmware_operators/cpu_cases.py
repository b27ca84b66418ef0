"""Operators that the firmware has and Vela leaves to the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from benchmarks.operators.builder import Op, Tensor, build
from benchmarks.operators.case import Case, Generator
from benchmarks.operators.moving import Move, moves, whole
from benchmarks.operators.quantization import activation_tensor

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
    for dtype in ("int8", "int16"):
        yield Case("LOG_SOFTMAX", dtype, "plain", partial(_log_softmax, dtype))
        yield Case("ADD_N", dtype, "three", partial(_add_n, dtype))
        yield Case("DIV", dtype, "plain", partial(_division, dtype))
    yield from moves("ARG_MIN", {"depth": _argument(3), "height": _argument(1)}, ("int8", "uint8"))
    yield from moves("GATHER", {"rows": _gathered(1), "depth": _gathered(3)}, _EIGHT_AND_SIXTEEN)
    yield from moves("GATHER_ND", {"pixels": _gathered_pixels()}, ("int8", "int16"))
    yield from moves("DEPTH_TO_SPACE", {"two": _blocks(12, (12, 16, 3))}, ("int8", "uint8"))
    yield from moves("SPACE_TO_DEPTH", {"two": _blocks(12, (3, 4, 48))}, ("int8", "uint8"))
    yield from moves("SPACE_TO_BATCH_ND", {"two": _to_batch()}, ("int8", "int16"))
    yield from moves("BATCH_TO_SPACE_ND", {"two": _from_batch()}, ("int8", "int16"))
    yield from moves("BROADCAST_TO", {"rows": _broadcast()}, ("int8", "int16"))
    yield from moves("CUMSUM", {"height": _running_sum()}, ("int8",))


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


def _log_softmax(dtype: str, random: Generator) -> bytes:
    zero, scale = (127, 16 / 256) if dtype == "int8" else (32767, 16 / 65536)
    return build(
        Op("LOG_SOFTMAX", (activation_tensor(random, (5, 20), dtype),), (Tensor((5, 20), dtype, scale, zero),))
    )


def _add_n(dtype: str, random: Generator) -> bytes:
    return build(
        Op(
            "ADD_N",
            [activation_tensor(random, _SHAPE, dtype) for _ in range(3)],
            (activation_tensor(random, _SHAPE, dtype),),
        )
    )


def _division(dtype: str, random: Generator) -> bytes:
    left, right = (activation_tensor(random, _SHAPE, dtype) for _ in range(2))
    return build(Op("DIV", (left, right), (activation_tensor(random, _SHAPE, dtype),)))


def _argument(axis: int) -> Move:
    left = tuple(size for number, size in enumerate(_SHAPE) if number != axis)
    return Move((_SHAPE,), (left,), after=(np.array(axis, np.int32),))


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


def _broadcast() -> Move:
    return Move(((1, 1, 8, 12),), (_SHAPE,), after=(whole(*_SHAPE),))


def _running_sum() -> Move:
    return Move((_SHAPE,), (_SHAPE,), after=(np.array(1, np.int32),))
