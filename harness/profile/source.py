"""Source of a Vela output: the int8 model, and what Vela says of the way between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hil.harness.vela.mapping import MappedCommand
from hil.targets.execution.signature import Signature


@dataclass(frozen=True)
class Source:
    """The int8 model of a Vela output: its signature, Vela's mapping and estimates, and reasons by CPU operator."""

    signature: Signature
    mapping: tuple[MappedCommand, ...]
    estimates: Mapping[int, int] = field(default_factory=dict)
    vela_cycles: int | None = None
    sram_bytes: int | None = None
    reasons: Mapping[int, str] = field(default_factory=dict)
