"""Operators that Vela left to the CPU, by their index in the model that was compiled."""

from __future__ import annotations

from collections.abc import Sequence

from hil.core.tflite.model import NPU_OPERATOR
from hil.targets.execution.signature import Signature


def cpu_indices(placed: Signature, source: Signature) -> tuple[int, ...]:
    """Index in `source` of each operator of `placed` that is not the NPU's, in order; -1 for one that Vela added.

    An operator is found by its outputs, or, without any (such as ASSIGN_VARIABLE), by its kind, in order.
    """
    found: list[int] = []
    for kind, outputs in zip(placed.operators, placed.all_outputs, strict=True):
        if kind != NPU_OPERATOR:
            found.append(_index(kind, outputs, source, found))
    return tuple(found)


def _index(kind: str, outputs: Sequence[str], source: Signature, taken: Sequence[int]) -> int:
    for index, (one, names) in enumerate(zip(source.operators, source.all_outputs, strict=True)):
        if index not in taken and one == kind and (set(names) & set(outputs) or not (names or outputs)):
            return index
    return -1
