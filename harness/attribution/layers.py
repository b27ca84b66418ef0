"""Modelled cycles of each layer, and the layers that differ most between two deployments.

    changed_layers(before, after)[0]       # LayerChange("CONV_2D 3 net/conv/Relu", 1200, 1900)

Vela's debug database leads from each block operation of the command stream to the TFLite operator that it belongs to.
An operation has the cycles from the end of the one before to its own end, so that the time in which it waits for its
weights is its own; the cycles of all layers add up to those of the inference.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from hil.harness.attribution.exchange import MadeDeployment
from hil.npu.stream.operations import BlockOperation
from hil.npu.timing.cycles import cycles
from hil.npu.timing.memory_system import MemorySystem
from hil.npu.timing.timing import Timing
from hil.npu.vela_output import BoundOperator
from hil.targets.execution.graph import cached_graph
from hil.targets.execution.signature import Signature, read_signature

UNKNOWN = -1
"""Operator of the operations that Vela's debug database maps to none."""


@dataclass(frozen=True)
class LayerChange:
    """Modelled cycles of a layer in the baseline and in the run; None where the NPU does not run it by itself."""

    layer: str
    before: int | None
    after: int | None

    @property
    def change(self) -> int:
        return (self.after or 0) - (self.before or 0)


def layer_cycles(made: MadeDeployment) -> dict[int, int]:
    """Returns TFLite operator (its index, or `UNKNOWN`) -> modelled cycles; empty if nothing runs on the NPU."""
    if not made.compiled.mapping:
        return {}
    owners = {(one.stream, one.word_offset): one.operator_index for one in made.compiled.mapping}
    steps = [step for step in cached_graph(made.compiled.model).steps if isinstance(step, BoundOperator)]
    memory = MemorySystem.of(made.npu)
    found: Counter[int] = Counter()
    for stream, step in enumerate(steps):
        for offset, count in _operation_cycles(cycles(step.program, memory)):
            found[owners.get((stream, offset), UNKNOWN)] += count
    return dict(found)


def changed_layers(before: MadeDeployment, after: MadeDeployment) -> tuple[LayerChange, ...]:
    """Returns the layers whose cycles differ, the largest difference first."""
    signatures = read_signature(before.int8), read_signature(after.int8)
    aligned = signatures[0].operators == signatures[1].operators
    named_by = (signatures[1], signatures[1]) if aligned else signatures  # tensors may have been renamed
    sides = [
        {_name(index, signature, aligned): count for index, count in layer_cycles(made).items()}
        for made, signature in zip((before, after), named_by, strict=True)
    ]
    found = [LayerChange(name, *(side.get(name) for side in sides)) for name in {**sides[0], **sides[1]}]
    return tuple(sorted((one for one in found if one.change), key=lambda one: -abs(one.change)))


def _operation_cycles(timing: Timing) -> list[tuple[int, int]]:
    """Word offset and cycles of each block operation; what comes after the last one belongs to it."""
    blocks = [one for one in timing.per_operation if isinstance(one.operation, BlockOperation)]
    ends = [0, *(one.end for one in blocks[:-1]), timing.total]
    return [(one.operation.word_offset, ends[n + 1] - ends[n]) for n, one in enumerate(blocks)]


def _name(index: int, signature: Signature, aligned: bool) -> str:
    """Kind, index and output of an operator; without the index where two models have different operators."""
    if index == UNKNOWN:
        return "not known"
    number = f" {index}" if aligned else ""
    output, _, _ = signature.operator_outputs[index].partition(";")  # TFLite joins the names of what it fused
    return f"{signature.operators[index]}{number} {output}"
