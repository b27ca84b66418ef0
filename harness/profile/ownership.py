"""Owners: the operator of the model to which each operation of a command stream belongs.

A block operation belongs to the operator that Vela's debug database names; a DMA to that of the operation which uses
its bytes first.  Without the database each block operation stands for itself, under the tensor that it writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hil.harness.vela.mapping import MappedCommand
from hil.npu.disassembly.instruction import Instruction
from hil.npu.disassembly.listing import Listing
from hil.npu.stream.operations import BlockOperation, Dma, Kind, Windowed


@dataclass(frozen=True)
class Owner:
    """A layer's key: the operator's index and kind; or, without an index, the stream and a number in it."""

    index: int
    kind: str
    name: str = ""
    stream: int = -1
    number: int = -1

    @property
    def title(self) -> str:
        """Operator and index, or the output of an operation whose operator is unknown."""
        return f"{self.kind} {self.index}" if self.index >= 0 else self.name


Commands = Mapping[tuple[int, int], MappedCommand]
"""Commands by stream and word offset."""


def owners(listing: Listing, commands: Commands) -> tuple[Owner | None, ...]:
    """Returns the owner of each instruction; None of a wait."""
    found: list[Owner | None] = [_owner(listing.stream, one, commands) for one in listing.instructions]
    following: Owner | None = None
    for place in reversed(range(len(found))):
        instruction = listing.instructions[place]
        if isinstance(instruction.operation, Dma):
            used_by = None if instruction.used_by is None else found[instruction.used_by]
            found[place] = used_by or following or next((one for one in reversed(found[:place]) if one), None)
        following = found[place] or following
    return tuple(found)


def _owner(stream: int, instruction: Instruction, commands: Commands) -> Owner | None:
    operation = instruction.operation
    if not isinstance(operation, BlockOperation):
        return None
    entry = commands.get((stream, operation.word_offset))
    if entry is None:
        name = instruction.output or f"#{instruction.index}"
        return Owner(-1, operation.kind.value, name, stream, instruction.index)
    if entry.operator_index < 0:
        return Owner(-1, entry.operator, entry.tensor, stream, entry.step)
    return Owner(entry.operator_index, entry.operator)


def macs_of(operation: BlockOperation) -> int:
    """Multiplications of an operation: of a convolution over the whole depth, of a pool over one channel."""
    if not isinstance(operation, Windowed):
        return 0
    depth = operation.ifm.shape[2] if operation.kind in (Kind.CONV, Kind.REDUCE_SUM) else 1
    return operation.ofm.elements * operation.kernel.height * operation.kernel.width * depth
