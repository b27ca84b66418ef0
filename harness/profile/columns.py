"""Columns of a profile's tables, the same in the terminal, as CSV and on the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hil.harness.profile.layer import Layer, Placement
from hil.harness.profile.profile import Profile
from hil.npu.disassembly.text import short_name

_NAME = 40
"""Characters of a tensor's name."""
Cell = Callable[[Layer, Profile], str]


@dataclass(frozen=True)
class ProfileColumn:
    """A column: heading, rank as in `hil.harness.text_table`, and the text of a layer's cell."""

    heading: str
    cell: Cell
    number: bool = True
    rank: int = 0


def share(part: int, whole: int) -> str:
    """Share in percent."""
    return f"{100 * part / whole:.1f} %" if whole else ""


def kib(size: int) -> str:
    """Size in KiB."""
    return f"{size / 1024:,.1f}"


def columns(profile: Profile) -> tuple[ProfileColumn, ...]:
    """The columns of a profile; each memory that it uses has two, for bytes read and written."""
    memories = dict.fromkeys(part.memory for layer in profile.layers for part in layer.traffic)
    return (
        ProfileColumn("layer", layer_title, number=False),
        ProfileColumn("cycles", _cycles),
        ProfileColumn("share", lambda layer, whole: share(layer.cycles, whole.cycles) if layer.cycles else ""),
        ProfileColumn("bound by", _bound, number=False),
        ProfileColumn("MAC\nuse", _utilization, rank=1),
        ProfileColumn("Vela", lambda layer, _: "" if layer.vela_cycles is None else f"{layer.vela_cycles:,}", rank=1),
        ProfileColumn("SRAM\nlive", lambda layer, _: kib(layer.live_bytes) if layer.operations else "", rank=2),
        ProfileColumn("encoded\nweights", lambda layer, _: kib(layer.weights.encoded) if layer.weights else "", rank=3),
        ProfileColumn("ratio", lambda layer, _: f"{layer.weights.ratio:.2f}" if layer.weights else "", rank=3),
        ProfileColumn("zeros", _zeros, rank=4),
        ProfileColumn("distinct", _distinct, rank=4),
        *(column for memory in memories for column in _memory(memory)),
        ProfileColumn("MACs", lambda layer, _: f"{layer.macs:,}" if layer.macs else "", rank=6),
        ProfileColumn("output", lambda layer, _: short_name(layer.name, _NAME), number=False, rank=7),
    )


def cells(layer: Layer, profile: Profile, found: Sequence[ProfileColumn]) -> list[str]:
    """Cells of a layer."""
    return [column.cell(layer, profile) for column in found]


def layer_title(layer: Layer, profile: Profile) -> str:
    """The operator; beside the kind the output, where the rows are operations of a stream."""
    return f"{layer.kind} {short_name(layer.name, _NAME // 2)}".rstrip() if profile.by_operation else layer.title


def _cycles(layer: Layer, _: Profile) -> str:
    return f"{layer.cycles:,}" if layer.placement is Placement.NPU else ""


def _bound(layer: Layer, _: Profile) -> str:
    if layer.placement is not Placement.NPU:
        return str(layer.placement.value)
    return layer.bound.value if layer.bound else ""


def _utilization(layer: Layer, _: Profile) -> str:
    return "" if layer.utilization is None else f"{100 * layer.utilization:.0f} %"


def _zeros(layer: Layer, _: Profile) -> str:
    found = layer.weights
    return share(found.zeros, found.elements) if found and found.zeros is not None else ""


def _distinct(layer: Layer, _: Profile) -> str:
    return str(layer.weights.distinct) if layer.weights and layer.weights.distinct is not None else ""


def _memory(memory: str) -> tuple[ProfileColumn, ProfileColumn]:
    def read(layer: Layer, _: Profile) -> str:
        return next((kib(part.read) for part in layer.traffic if part.memory == memory), "")

    def written(layer: Layer, _: Profile) -> str:
        return next((kib(part.written) for part in layer.traffic if part.memory == memory), "")

    return (
        ProfileColumn(f"{memory}\nread", read, rank=5),
        ProfileColumn(f"{memory}\nwritten", written, rank=5),
    )
