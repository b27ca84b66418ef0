"""RESIZE_BILINEAR and RESIZE_NEAREST_NEIGHBOR: factors, aligned corners, half-pixel centres."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.operators.case import Case
from tests.support.operators.element_moves import Move, moves, whole

_OPERATORS = ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR")


def cases() -> Iterator[Case]:
    """The scales that Vela takes, 2, 4 and 8, and others that it leaves to the CPU; one row, one column, one pixel."""
    for operator in _OPERATORS:
        yield from moves(operator, dict(_resizes()), ("int8", "uint8", "int16"))


def _resizes() -> Iterator[tuple[str, Move]]:
    for kind in ("plain", "corners", "centres"):
        for factor in (2, 4, 8, 3):
            yield f"{kind}{factor}", _resize((4, 5), factor, 18, kind)
        for depth in (1, 16, 130):
            yield f"{kind}-depth{depth}", _resize((3, 6), 2, depth, kind)
        yield f"{kind}-large", _resize((20, 33), 2, 24, kind)
        yield f"{kind}-row", _row(kind)
    yield "same", _move((4, 5), (4, 5), 18, "plain")
    yield "pixel", _move((1, 1), (5, 7), 18, "plain")
    yield "pixel-centres", _move((1, 1), (4, 4), 18, "centres")


def _resize(size: tuple[int, int], factor: int, depth: int, kind: str) -> Move:
    """`size` enlarged; with aligned corners it is the distances between them that grow."""
    if kind == "corners":
        return _move(size, ((size[0] - 1) * factor + 1, (size[1] - 1) * factor + 1), depth, kind)
    return _move(size, (size[0] * factor, size[1] * factor), depth, kind)


def _row(kind: str) -> Move:
    return _move((1, 6), (1, 11 if kind == "corners" else 12), 18, kind)


def _move(size: tuple[int, int], result: tuple[int, int], depth: int, kind: str) -> Move:
    options = {"align_corners": kind == "corners", "half_pixel_centers": kind == "centres"}
    return Move(((1, *size, depth),), ((1, *result, depth),), after=(whole(*result),), options=options)
