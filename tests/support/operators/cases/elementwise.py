"""ADD, SUB, MUL, MINIMUM, MAXIMUM, SQUARED_DIFFERENCE: two operands of one shape or broadcast against each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from hil.core.arrays import Array
from tests.support.operators.arithmetic.elementwise import squared_difference
from tests.support.operators.builder import Op, Tensor, build
from tests.support.operators.case import Case, Generator
from tests.support.operators.quantization import activation_tensor, scale, zero_point

Shape = tuple[int, ...]

_OPERATORS = {
    "ADD": ("int8", "uint8", "int16", "int32"),
    "SUB": ("int8", "uint8", "int16", "int32"),
    "MUL": ("int8", "uint8", "int16", "int32"),
    "MINIMUM": ("int8", "uint8", "int16"),
    "MAXIMUM": ("int8", "uint8", "int16"),
    "SQUARED_DIFFERENCE": ("int8", "uint8", "int16"),
}
"""Types that Vela takes."""

_ARITHMETIC = ("ADD", "SUB", "MUL")
_ONE_SCALE = ("MINIMUM", "MAXIMUM")

_SHAPES: dict[str, tuple[Shape, Shape]] = {
    "same": ((1, 5, 7, 19), (1, 5, 7, 19)),
    "row": ((1, 5, 7, 19), (1, 1, 7, 19)),
    "column": ((1, 5, 7, 19), (1, 5, 1, 19)),
    "plane": ((1, 5, 7, 19), (1, 5, 7, 1)),
    "channels": ((1, 5, 7, 19), (1, 1, 1, 19)),
    "first": ((1, 1, 1, 19), (1, 5, 7, 19)),
    "both": ((1, 5, 1, 19), (1, 1, 7, 1)),
    "one": ((1, 5, 7, 19), (1, 1, 1, 1)),
    "ranks": ((1, 5, 7, 19), (7, 19)),
    "rank1": ((19,), (19,)),
    "rank2": ((4, 33), (4, 33)),
    "rank3": ((3, 4, 33), (1, 4, 33)),
    "rank5": ((2, 3, 4, 5, 6), (2, 3, 4, 5, 6)),
    "batch": ((3, 4, 5, 6), (3, 4, 5, 6)),
    "deep": ((1, 3, 4, 130), (1, 3, 4, 130)),
    "large": ((1, 40, 33, 16), (1, 40, 33, 16)),
}
_FEW = ("same", "channels", "both", "rank2", "deep")
"""Shapes for types other than int8."""


@dataclass(frozen=True)
class _Form:
    """Shapes of the operands and how they are quantized; `constant` is the operand that is one, 0 for none.

    `ratio`: the second operand's scale over the first one's, 0 for any; `pot`: scales are powers of two; `quantized`:
    an int32 tensor has a scale, which the reference kernels do not look at.
    """

    first: Shape = (1, 5, 7, 19)
    second: Shape = (1, 5, 7, 19)
    fused: str = "NONE"
    constant: int = 0
    ratio: float = 0.0
    pot: bool = False
    quantized: bool = False


def cases() -> Iterator[Case]:
    """Broadcasting and ranks, constants, fused activations, equal and very unequal scales."""
    for operator, dtypes in _OPERATORS.items():
        for dtype in dtypes:
            limits = {0: (-20_000, 20_000), 1: (-20_000, 20_000)} if dtype == "int32" else {}
            for name, form in _forms(operator, dtype):
                own = squared_difference if operator == "SQUARED_DIFFERENCE" and dtype != "int8" else None
                yield Case(operator, dtype, name, partial(_model, operator, dtype, form), limits=limits, arithmetic=own)


def _forms(operator: str, dtype: str) -> Iterator[tuple[str, _Form]]:
    for name in _SHAPES if dtype == "int8" else _FEW:
        yield name, _Form(*_SHAPES[name])
    for name, shape in (("scalar", ()), ("vector", (19,)), ("map", (1, 5, 7, 19))):
        yield f"constant-{name}", _Form(second=shape, constant=2)
    yield "constant-first", _Form(first=(1, 1, 1, 1), constant=1)
    if dtype == "int32":
        yield "quantized", _Form(quantized=True)
    if operator in _ONE_SCALE or dtype == "int32":
        return
    if operator in _ARITHMETIC:
        for ratio in (1.0, 0.01, 100.0):
            yield f"ratio{ratio:g}", _Form(ratio=ratio)
        for fused in ("RELU", "RELU6", "RELU_N1_TO_1"):
            yield fused, _Form(fused=fused)
        if dtype == "int16" and operator != "MUL":
            yield "powers-of-two", _Form(pot=True)


def _model(operator: str, dtype: str, form: _Form, random: Generator) -> bytes:
    first = activation_tensor(random, form.first, dtype, _constant(random, form, 1, dtype))
    second = activation_tensor(random, form.second, dtype, _constant(random, form, 2, dtype))
    shape = np.broadcast_shapes(form.first, form.second)
    y = Tensor(shape, dtype, scale(random, dtype), zero_point(random, dtype))
    if form.ratio:
        second = Tensor(form.second, dtype, first.scales[0] * form.ratio, second.zero_point)
    if operator in _ONE_SCALE or dtype == "int32":
        second = Tensor(form.second, dtype, first.scale, first.zero_point, second.data)
        y = Tensor(shape, dtype, first.scale, first.zero_point)
    if form.pot:
        first, second, y = (Tensor(t.shape, dtype, 2.0**power) for t, power in ((first, -11), (second, -13), (y, -11)))
    if dtype == "int32" and not form.quantized:
        first, second, y = (Tensor(tensor.shape, dtype, data=tensor.data) for tensor in (first, second, y))
    options: dict[str, Any] = {"fused_activation_function": form.fused} if operator in _ARITHMETIC else {}
    if operator in ("ADD", "SUB") and dtype == "int16":
        options["pot_scale_int16"] = form.pot
    return build(Op(operator, (first, second), (y,), **options))


def _constant(random: Generator, form: _Form, operand: int, dtype: str) -> Array | None:
    if form.constant != operand:
        return None
    limits = np.iinfo("int16" if dtype == "int32" else dtype)
    shape = form.first if operand == 1 else form.second
    return random.integers(limits.min, limits.max, shape, np.dtype(dtype), endpoint=True)
