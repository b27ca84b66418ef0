"""Values of a profile: layers with their cycles, traffic and weights, and the whole.

Cycles and traffic are modelled; sizes of memory and weights, multiplications and operations are counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from hil.npu.timing.causes import Cause

if TYPE_CHECKING:
    from hil.harness.profile.layer_group import LayerGroup


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


@dataclass(frozen=True)
class Span:
    """An operation on the timeline, from `start` to `end` in cycles from the start of the inference.

    `track` names its unit, `layer` is the title of its layer.
    """

    track: str
    name: str
    layer: str
    start: int
    end: int


@dataclass(frozen=True)
class Profile:
    """Profile of a model for an NPU: the layers in the model's order, whose cycles add up to `cycles`.

    Memory is in bytes; read-only data is part of SRAM if the memory mode has it there.  `command_bytes` are those of
    the command streams, which are read beside the layers' traffic.
    `vela_cycles` is Vela's estimate of the whole, None if it is unknown.  `by_operation`: rows are operations of the
    stream, because Vela's debug database is not there.
    """

    name: str
    accelerator: str
    macs_per_cycle: int
    memory_mode: str
    system_config: str
    clock_hz: float
    cycles: int
    layers: tuple[Layer, ...]
    sram_bytes: int
    read_only_bytes: int
    command_bytes: int
    vela_cycles: int | None = None
    vela_options: tuple[str, ...] = ()
    by_operation: bool = False
    spans: tuple[Span, ...] = ()

    @property
    def ms(self) -> float:
        """Time of the NPU's part in milliseconds."""
        return 1e3 * self.cycles / self.clock_hz

    @property
    def title(self) -> str:
        """The NPU and its memories in Vela's words."""
        return ", ".join((self.accelerator, self.memory_mode, self.system_config, *self.vela_options))

    @property
    def macs(self) -> int:
        """Multiplications of all layers on the NPU."""
        return sum(layer.macs for layer in self.layers)

    @property
    def causes(self) -> dict[Cause, int]:
        """Cycles of the whole by cause, most first."""
        found = {cause: sum(layer.causes.get(cause, 0) for layer in self.layers) for cause in Cause}
        return {cause: found[cause] for cause in sorted(found, key=lambda one: -found[one]) if found[cause]}

    def group(self, pattern: str) -> LayerGroup:
        """Layers whose title or output matches, such as `"CONV_2D *"`; raises `BadInputError` if none does."""
        from hil.harness.profile.layer_group import find_group

        return find_group(self.layers, self.cycles, pattern)

    def of(self, placement: Placement) -> tuple[Layer, ...]:
        """Layers of a placement."""
        return tuple(layer for layer in self.layers if layer.placement is placement)
