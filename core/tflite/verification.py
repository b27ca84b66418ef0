"""Verification of a `.tflite` before Vela's generated classes read it: whole, and no larger than it looks.

    verify(data)            # raises StreamError

Those classes follow any offset, and loop over whatever length a vector says it has.  `npu.flatbuffer` checks each step
and counts what it reads, so the same walk is done with it first.  Operators name tensors by number, and readers look at
a tensor for each operator that names it: that is counted too.

Source: TensorFlow's `schema.fbs` (field numbers).
"""

from __future__ import annotations

from collections.abc import Sequence

from hil.core.errors import StreamError
from hil.core.tflite.flatbuffer import Table, root_table

_LARGEST_RANK = 64
_NUMBERS, _WIDE_NUMBERS = "<i4", "<i8"


def verify(data: bytes) -> None:
    """Raises `StreamError` for a file whose graphs, tensors and operators lie beyond it, or are too many for it."""
    model = root_table(data, b"TFL3")
    for code in model.tables(1):
        code.string(1)
    buffers = model.tables(4)
    for buffer in buffers:
        buffer.array(0, "u1")
    codes = len(model.tables(1))
    for graph in model.tables(2):
        costs = [_tensor(table, len(buffers)) for table in graph.tables(0)]
        graph.string(4)
        _spend(graph, [graph], costs, (1, 2))
        operators = graph.tables(3)
        if any(not 0 <= operator.scalar(0, "<I") < codes for operator in operators):
            raise StreamError("an operator has a kind that the file does not list")
        _spend(graph, operators, costs, (1, 2))


def _tensor(table: Table, buffers: int) -> int:
    """About the bytes that reading a tensor costs."""
    if not 0 <= table.scalar(2, "<I") < buffers:
        raise StreamError("a tensor has a buffer that the file does not have")
    shape, name = table.array(0, _NUMBERS), table.string(3)
    if max(len(shape), len(table.array(7, _NUMBERS))) > _LARGEST_RANK:
        raise StreamError(f"a tensor of {len(shape)} dimensions")
    quantization = table.table(4)
    scales = 0
    if quantization is not None:
        scales = len(quantization.array(2, "<f4")) + len(quantization.array(3, _WIDE_NUMBERS))
    return len(name) + 4 * scales


def _spend(graph: Table, tables: Sequence[Table], costs: Sequence[int], fields: tuple[int, ...]) -> None:
    """Counts the tensors that the vectors `fields` of `tables` name; -1 names none."""
    for table in tables:
        for field in fields:
            for index in table.array(field, _NUMBERS).tolist():
                if not -1 <= index < len(costs):
                    raise StreamError(f"tensor {index} of {len(costs)}")
                if index >= 0:
                    graph.budget.spend(costs[index])
