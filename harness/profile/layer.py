"""Layer of a profile: its cycles, traffic and weights.

Cycles and traffic are modelled; sizes of memory and weights, multiplications and operations are counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from hil.npu.timing.causes import Cause


class Placement(str, Enum):
    """Processor of a layer; a layer without an operation of its own is fused into another or has nothing to do."""

    NPU = "NPU"
    CPU = "CPU"
    FUSED = "fused"


@dataclass(frozen=True)
class MemoryTraffic:
    """Bytes read from and written to a memory, in whole beats of the AXI port."""

    memory: str
    read: int
    written: int


@dataclass(frozen=True)
class WeightFigures:
    """Weights of a layer: their number, which is their size in bytes, bytes as encoded, zeros, distinct values.

    `zeros` and `distinct` are None if the encoded weights cannot be decoded.
    """

    elements: int
    encoded: int
    zeros: int | None
    distinct: int | None

    @property
    def ratio(self) -> float:
        """Encoded size as a share of the raw size."""
        return self.encoded / self.elements if self.elements else 0.0


@dataclass(frozen=True)
class Layer:
    """An operator of the model, or an operation of a stream whose operators are unknown (`index` -1).

    `name` is the output tensor; `causes` are `cycles` by what they wait for; `live_bytes` is the largest part of SRAM
    in use while it runs; `macs` are multiplications; `vela_cycles` is Vela's estimate, None if it has none; `reason`
    says why it is not on the NPU.
    """

    index: int
    kind: str
    name: str
    placement: Placement = Placement.NPU
    operations: int = 0
    cycles: int = 0
    causes: Mapping[Cause, int] = field(default_factory=dict)
    macs: int = 0
    utilization: float | None = None
    traffic: tuple[MemoryTraffic, ...] = ()
    weights: WeightFigures | None = None
    live_bytes: int = 0
    vela_cycles: int | None = None
    reason: str = ""

    @property
    def title(self) -> str:
        """Operator and index as other commands print them, `CONV_2D 5`; the kind alone if the index is unknown."""
        return f"{self.kind} {self.index}" if self.index >= 0 else self.kind

    @property
    def bound(self) -> Cause | None:
        """The cause of most of its cycles."""
        return max(self.causes, key=lambda cause: self.causes[cause]) if self.cycles else None
