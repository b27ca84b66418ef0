"""Operators whose stride Vela unrolls, and what that costs.

    unrolled(model)      # of a `TfliteModel`: (Unrolled("CONV_2D", 0, 4, 16384),)

An Ethos-U has strides up to 3.  Regor, the compiler of Vela 5, makes one operation of every output element of a
CONV_2D or pool with a larger one (`GraphIrOptimiser::UnrollKernelStrides`), and works on them in time and memory that
grow with the square of their number: 4,096 take 7 s, 16,384 take 140 s and 3.4 GB (5.2, Intel Xeon).  The legacy core
leaves such an operator to the CPU.
"""

from __future__ import annotations

from dataclasses import dataclass

from hil.core.tflite.model import Operator, Subgraph, TfliteModel

_KINDS = ("AVERAGE_POOL_2D", "CONV_2D", "MAX_POOL_2D")
_STRIDES = (1, 2)
"""Fields `stride_w` and `stride_h` of the schema's Conv2DOptions and Pool2DOptions."""
_MOST_STRIDE = 3
_SLOW = 2_000
"""Operations of one operator from which Vela takes longer than a second."""
_HINT = "--vela-option=--debug-force-legacy-core leaves it to the CPU"


@dataclass(frozen=True)
class Unrolled:
    """An operator by its kind and index, with its largest stride and the number of operations that Vela makes of it."""

    kind: str
    index: int
    stride: int
    operations: int

    def __str__(self) -> str:
        return f"{self.kind} {self.index} has stride {self.stride} and becomes {self.operations:,} operations"


def unrolled(model: TfliteModel) -> tuple[Unrolled, ...]:
    """The operators of the main graph that Vela unrolls into so many operations that it takes long."""
    found = [_unrolled(model.main, operator) for operator in model.main.operators if operator.kind in _KINDS]
    return tuple(one for one in found if one is not None and one.operations >= _SLOW)


def describe(model: TfliteModel) -> str:
    """A line on the operator that Vela unrolls into most operations, with a hint; empty if there is none."""
    found = max(unrolled(model), key=lambda one: one.operations, default=None)
    return "" if found is None else f"{found} ({_HINT})"


def _unrolled(graph: Subgraph, operator: Operator) -> Unrolled | None:
    shape = graph.tensor(operator.outputs[0]).shape if operator.outputs else ()
    if operator.options is None or len(shape) != 4:
        return None
    stride = max(operator.options.scalar(field, "<i") for field in _STRIDES)
    batch, height, width, _ = shape
    return Unrolled(operator.kind, operator.index, stride, batch * height * width) if stride > _MOST_STRIDE else None
