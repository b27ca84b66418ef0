"""Profile of a model: its layers with their figures, the whole, and the timeline of its operations."""

from __future__ import annotations

from dataclasses import dataclass

from hil.harness.profile.layer import Layer, Placement
from hil.harness.profile.layer_group import LayerGroup, find_group
from hil.npu.timing.causes import Cause


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
        return find_group(self.layers, self.cycles, pattern)

    def of(self, placement: Placement) -> tuple[Layer, ...]:
        """Layers of a placement."""
        return tuple(layer for layer in self.layers if layer.placement is placement)
