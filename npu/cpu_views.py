"""Views in Vela's output that no kernel takes: a RESHAPE on the CPU from one type to another.

Of an ARG_MAX with int64 outputs, Vela's compiler Regor makes one of pairs of int32, and hands a RESHAPE behind it to
the CPU as it was: from twice as many int32 to int64.
"""

from __future__ import annotations

from hil.core.errors import BadInputError
from hil.npu.vela_output import CompiledModel, NpuOperator

_VIEWS = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")


def check_views(model: CompiledModel) -> None:
    """Raises `BadInputError` for a view whose input has another type than its output."""
    for graph in model.subgraphs:
        for operator in graph.operators:
            if isinstance(operator, NpuOperator) or operator.kind not in _VIEWS:
                continue
            if not operator.inputs or not operator.outputs or operator.inputs[0] < 0:
                continue
            taken, given = graph.tensors[operator.inputs[0]], graph.tensors[operator.outputs[0]]
            if taken.dtype is not None and given.dtype is not None and taken.dtype != given.dtype:
                raise BadInputError(
                    f"Vela wrote a {operator.kind} of {taken.dtype.name} to {given.dtype.name} for the CPU "
                    f"({taken.name!r} to {given.name!r}), which no kernel takes",
                    hint="of an ARG_MAX of int64: let it give int32, or --vela-option=--debug-force-legacy-core",
                )
