"""Operators that move elements: one quantization, and parameters as constants."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from hil.core.arrays import Array
from tests.support.operators.builder import Op, Tensor, build
from tests.support.operators.case import Case, Generator
from tests.support.operators.quantization import activation_tensor

Shape = tuple[int, ...]
TYPES = ("int8", "uint8", "int16", "int32")


@dataclass(frozen=True)
class Move:
    """Shapes of inputs and outputs, constant parameters `before` and `after` the inputs, and the options.

    `fill`: a constant of the inputs' type and quantization is the last parameter (PADV2's value).
    """

    inputs: tuple[Shape, ...]
    outputs: tuple[Shape, ...]
    before: tuple[Array, ...] = ()
    after: tuple[Array, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    fill: bool = False


def whole(*values: int | Sequence[int]) -> Array:
    """A parameter: an int32 vector, or a matrix of rows."""
    return np.array(values, np.int32)


def moves(operator: str, moves: Mapping[str, Move], types: Sequence[str] = TYPES, **more: Any) -> Iterator[Case]:
    """A case for each move and type."""
    for dtype in types:
        for name, move in moves.items():
            yield Case(operator, dtype, name, partial(_model, operator, dtype, move), **more)


def _model(operator: str, dtype: str, move: Move, random: Generator) -> bytes:
    first = activation_tensor(random, move.inputs[0], dtype)

    def alike(shape: Shape, data: Array | None = None) -> Tensor:
        return Tensor(shape, dtype, first.scale, first.zero_point, data)

    inputs = [alike(shape) for shape in move.inputs]
    after = [_constant(value) for value in move.after]
    if move.fill:
        limits = np.iinfo(dtype)
        after.append(alike((), np.asarray(random.integers(limits.min, limits.max), np.dtype(dtype))))
    before = [_constant(value) for value in move.before]
    outputs = [alike(shape) for shape in move.outputs]
    return build(Op(operator, [*before, *inputs, *after], outputs, **move.options))


def _constant(value: Array) -> Tensor:
    return Tensor(value.shape, str(value.dtype), data=value)
