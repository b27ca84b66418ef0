"""BATCH_MATMUL: two inputs, with leading axes that are equal or broadcast, and either transposed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from tests.support.operators.builder import Op, Tensor, build
from tests.support.operators.case import Case, Generator
from tests.support.operators.quantization import activation_tensor, zero_point

Shape = tuple[int, ...]


def cases() -> Iterator[Case]:
    """Sizes about the blocks', ranks, transposed operands.  Vela takes int8 alone."""
    for rows, inner, columns in (
        (1, 8, 8),
        (4, 16, 5),
        (7, 19, 11),
        (16, 32, 16),
        (3, 130, 40),
        (33, 5, 70),
        (1, 1, 1),
        (20, 1, 3),
    ):
        sizes = (rows, inner, columns)
        name = "x".join(map(str, sizes))
        yield Case("BATCH_MATMUL", "int8", name, partial(_model, (), (), sizes, False, False))
    for first, second in (((1,), (1,)), ((3,), (3,)), ((2, 3), (2, 3)), ((1, 4), (1, 4)), ((3,), (1,))):
        name = f"batch{'x'.join(map(str, first))}-{'x'.join(map(str, second))}"
        yield Case("BATCH_MATMUL", "int8", name, partial(_model, first, second, (4, 9, 6), False, False))
    for adjoint in ((True, False), (False, True), (True, True)):
        name = "".join("xy"[place] for place in (0, 1) if adjoint[place]) + "-transposed"
        yield Case("BATCH_MATMUL", "int8", name, partial(_model, (2,), (2,), (4, 9, 6), *adjoint))


def _model(first: Shape, second: Shape, sizes: Shape, adj_x: bool, adj_y: bool, random: Generator) -> bytes:
    rows, inner, columns = sizes
    x = activation_tensor(random, (*first, *((inner, rows) if adj_x else (rows, inner))), "int8")
    y = activation_tensor(random, (*second, *((columns, inner) if adj_y else (inner, columns))), "int8")
    reach = x.scales[0] * y.scales[0] * inner**0.5 * 64
    leading = first if len(first) >= len(second) else second
    z = Tensor((*leading, rows, columns), "int8", reach * float(random.uniform(0.3, 3.0)), zero_point(random, "int8"))
    return build(Op("BATCH_MATMUL", (x, y), (z,), adj_x=adj_x, adj_y=adj_y))
