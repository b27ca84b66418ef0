"""Cuts of a model's command streams at the boundaries of its layers.

    streams = cut_streams(vela_output, settings, source)
    [(piece.layers, piece.modelled_cycles) for piece in streams[0]]

Layers whose operations are interleaved, as in a cascade, or that a copy ties together, are one piece: what each of them
takes is not known, and nothing is divided among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hil.core.npu_config import NpuConfig
from hil.harness.profile.ownership import Owner, owners
from hil.harness.profile.source import Source
from hil.harness.vela.mapping import stream_names
from hil.npu.accelerator import Accelerator
from hil.npu.disassembly.listing import Listing, list_compiled
from hil.npu.program import Program
from hil.npu.stream import footprint
from hil.npu.stream.decoder import decode_operations
from hil.npu.stream.operations import BlockOperation
from hil.npu.stream.payload import Words, parse_payload
from hil.npu.stream.pieces import cut, separable_groups
from hil.npu.timing.cycles import cycles
from hil.npu.timing.memory_system import MemorySystem
from hil.npu.vela_output import SCRATCH, SCRATCH_FAST, NpuOperator, read_compiled


@dataclass(frozen=True)
class LayerPiece:
    """A command stream with the operations of one layer, or of several that cannot be separated.

    `layers` are titles; `operations` are block operations; `reloads` is how many DMAs bring tables again that an
    earlier piece had brought.
    """

    layers: tuple[str, ...]
    operations: int
    words: bytes
    reloads: int
    modelled_cycles: int


def cut_streams(compiled: bytes, npu: NpuConfig, source: Source | None) -> tuple[tuple[LayerPiece, ...], ...]:
    """The pieces of each stream of the main graph; without `source`, a layer is an operation of the stream."""
    model, memory = read_compiled(compiled), MemorySystem.of(npu)
    operators = [one for one in model.main.operators if isinstance(one, NpuOperator)]
    listings = list_compiled(model, stream_names(source.mapping) if source else ())
    found = []
    for listing, operator in zip(listings, operators, strict=False):
        stream = model.main.tensors[operator.command_stream].data
        words = parse_payload(b"" if stream is None else stream)[1]
        shared = not operator.needs_fast_memory(model.main.tensors)
        found.append(_pieces(listing, words, source, memory, {SCRATCH_FAST: SCRATCH} if shared else {}))
    return tuple(found)


def _pieces(
    listing: Listing, words: Words, source: Source | None, memory: MemorySystem, aliases: dict[int, int]
) -> tuple[LayerPiece, ...]:
    commands = {(one.stream, one.word_offset): one for one in source.mapping} if source else {}
    owned = owners(listing, commands)
    operations = [one.operation for one in listing.instructions]
    groups = separable_groups(operations, owned)
    made = []
    for number, piece in enumerate(cut(words, operations, groups)):
        blocks = [
            place
            for place, group in enumerate(groups)
            if group == number and isinstance(operations[place], BlockOperation)
        ]
        made.append(
            LayerPiece(
                tuple(dict.fromkeys(_title(owned[place]) for place in blocks)),
                len(blocks),
                piece.words.astype("<u4").tobytes(),
                piece.reloads,
                _modelled(piece.words, listing.accelerator, memory, aliases),
            )
        )
    return tuple(made)


def _title(owner: Owner | None) -> str:
    assert owner is not None  # of a block operation
    return owner.title if owner.index >= 0 else f"{owner.kind} {owner.name}".rstrip()


def _modelled(words: Words, accelerator: Accelerator, memory: MemorySystem, aliases: dict[int, int]) -> int:
    operations = decode_operations(words, accelerator, aliases)
    return cycles(Program(accelerator, operations, footprint.requirements(operations), {}, len(words)), memory).total


def words_of(streams: Sequence[Sequence[LayerPiece]]) -> list[list[bytes]]:
    """The command streams alone, as a target takes them."""
    return [[piece.words for piece in stream] for stream in streams]
