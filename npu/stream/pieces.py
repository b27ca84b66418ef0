"""Pieces of a command stream: streams of their own that, run one after another, do what the whole one does.

    groups = separable_groups(operations, layers)        # layers: the owner of each operation, None of a wait
    pieces = cut(words, operations, groups)
    pieces[0].words                                      # ends in STOP

A group is a run of operations between two boundaries.  A boundary is true if no owner has block operations on both
sides: layers that are interleaved, as in a cascade, stay together.

* Each operation gets the registers that it had: what its piece has not set yet, or set otherwise, is set before it.
* A DMA goes with the operations that use its bytes, also where the stream issues it earlier, to overlap it with other
  layers.  Groups stay together where that would change what any operation reads.
* A wait counts the operations that remain of those that it waited for.  A DMA that goes to another piece was a wait,
  too, for those before it: an Ethos-U55 has one at a time.
* The NPU forgets its SHRAM between jobs, so a table that an earlier piece loaded is loaded again.

Memory outside of the NPU lives from piece to piece.  Commands that neither set a register nor compute (IRQ, PMU_MASK)
are left out.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hil.npu.stream.commands import REGISTERS_16, REGISTERS_40, Op
from hil.npu.stream.footprint import accesses, written
from hil.npu.stream.operations import SHRAM_REGION, BlockOperation, Dma, Kind, Operation, Range, Wait
from hil.npu.stream.payload import Words

STOP = Op.STOP | 0xFFFF << 16
"""Command that ends a stream when all of its operations have ended."""
_WITH_PAYLOAD = 1

_Key = tuple[int, int]
_Registers = Mapping[_Key, tuple[int, ...]]
"""Words of the last command that set each register, by kind and code of the command."""


@dataclass(frozen=True)
class StreamPiece:
    """A command stream; `reloads` is how many DMAs bring tables again that an earlier piece had brought."""

    words: Words
    reloads: int


def separable_groups(operations: Sequence[Operation], owners: Sequence[Hashable]) -> tuple[int, ...]:
    """The group of each operation, counted from 0 in the order of their block operations.

    `owners` has one owner for each operation; what it has for a wait does not matter, nor does a wait's group.
    """
    groups = _by_owner(operations, owners)
    while (joined := _joined(operations, groups)) != groups:
        groups = joined
    return tuple(groups)


def _by_owner(operations: Sequence[Operation], owners: Sequence[Hashable]) -> list[int]:
    blocks = [place for place, one in enumerate(operations) if isinstance(one, BlockOperation)]
    last = {owners[place]: place for place in blocks}
    group, end = -1, -1
    by_owner: dict[Hashable, int] = {}
    found: dict[int, int] = {}
    for place in blocks:
        if place > end:
            group += 1
        end = max(end, last[owners[place]])
        found[place] = by_owner[owners[place]] = group
    following, groups = max(group, 0), [0] * len(operations)
    for place in reversed(range(len(operations))):
        following = groups[place] = found.get(place, following)
    before = 0
    for place, one in enumerate(operations):
        before = found.get(place, before)
        if isinstance(one, Dma):  # It goes to a later piece, never to an earlier one.
            groups[place] = max(before, by_owner.get(owners[place], groups[place]))
    return groups


def _joined(operations: Sequence[Operation], groups: list[int]) -> list[int]:
    """Groups with those joined between which a DMA cannot be moved; the same if there are none."""
    for place, one in enumerate(operations):
        if isinstance(one, Dma):
            for later in range(place + 1, len(operations)):
                first, last = groups[later], groups[place]
                other = operations[later]
                if isinstance(other, BlockOperation) and first >= last:
                    break  # Nothing behind it belongs to an earlier group.
                if first < last and not isinstance(other, Wait) and _conflict(one, other):
                    return [min(group, first) if group <= last else group - (last - first) for group in groups]
    return groups


def _conflict(one: Operation, other: Operation) -> bool:
    """True if the order of two operations matters."""
    pairs = ((change, used) for a, b in ((one, other), (other, one)) for change in written(a) for used in accesses(b))
    return any(a[0] == b[0] and a[1] < b[2] and b[1] < a[2] for a, b in pairs)


def cut(words: Words, operations: Sequence[Operation], groups: Sequence[int]) -> tuple[StreamPiece, ...]:
    """Cuts a stream that was decoded to `operations` into a piece for each group (see `separable_groups`)."""
    registers = list(_registers_at(words, operations))
    writers = [_Writer(words, operations, registers) for _ in range(max(groups, default=-1) + 1)]
    last = {group: place for place, group in enumerate(groups) if not isinstance(operations[place], Wait)}
    issued: dict[Kind, list[int]] = {Kind.DMA_WAIT: [], Kind.KERNEL_WAIT: []}
    tables: list[int] = []
    for place, (one, group) in enumerate(zip(operations, groups, strict=True)):
        if isinstance(one, Wait):
            before = issued[one.kind][-one.outstanding :] if one.outstanding else []
            for number, writer in enumerate(writers):
                if place < last[number]:
                    writer.wait(one.kind, sum(groups[each] == number for each in before))
            continue
        if isinstance(one, BlockOperation) and one.activation.lut is not None:
            writers[group].load_tables(_loaded(operations, tables, one.activation.lut), one.activation.lut)
        writers[group].put(place)
        if isinstance(one, Dma) and one.destination_region == SHRAM_REGION:
            tables.append(place)
        if isinstance(one, Dma):
            for number, writer in enumerate(writers):
                if number != group and place < last[number]:
                    writer.wait(Kind.DMA_WAIT, 0)
        issued[Kind.DMA_WAIT if isinstance(one, Dma) else Kind.KERNEL_WAIT].append(place)
    return tuple(writer.piece() for writer in writers)


class _Writer:
    """One piece as it is written."""

    def __init__(self, words: Words, operations: Sequence[Operation], registers: Sequence[_Registers]) -> None:
        self._stream, self._operations, self._registers = words, operations, registers
        self._words: list[int] = []
        self._set: dict[_Key, tuple[int, ...]] = {}
        self._tables: list[int] = []
        self._unfinished = {Kind.DMA_WAIT: 0, Kind.KERNEL_WAIT: 0}
        self._reloads = 0

    def put(self, place: int) -> None:
        """Writes an operation, and before it the registers that it uses and that are not set so."""
        one = self._operations[place]
        is_dma = isinstance(one, Dma)
        for key, command in self._registers[place].items():
            if _is_of_dma(key) == is_dma and self._set.get(key) != command:
                self._words += command
                self._set[key] = command
        self._words.append(int(self._stream[one.word_offset]))
        self._unfinished[Kind.DMA_WAIT if is_dma else Kind.KERNEL_WAIT] += 1
        if isinstance(one, Dma) and one.destination_region == SHRAM_REGION:
            self._tables.append(place)

    def wait(self, kind: Kind, outstanding: int) -> None:
        """Waits until at most `outstanding` of the piece's DMAs or block operations are unfinished."""
        if self._unfinished[kind] > outstanding:
            self._words.append((Op.DMA_WAIT if kind is Kind.DMA_WAIT else Op.KERNEL_WAIT) | outstanding << 16)
            self._unfinished[kind] = outstanding

    def load_tables(self, loaded: Sequence[int], table: Range) -> None:
        """Repeats the DMAs `loaded` that brought a table, unless the piece has it."""
        if loaded == _loaded(self._operations, self._tables, table):
            return
        self.wait(Kind.KERNEL_WAIT, 0)
        for place in loaded:
            self.put(place)
        self.wait(Kind.DMA_WAIT, 0)
        self._reloads += len(loaded)

    def piece(self) -> StreamPiece:
        """The piece, with its STOP."""
        return StreamPiece(np.array([*self._words, STOP], np.uint32), self._reloads)


def _loaded(operations: Sequence[Operation], tables: Sequence[int], table: Range) -> list[int]:
    """Those of the DMAs `tables`, in order, of which `table` has bytes; none from before the last that brought all."""
    found: list[int] = []
    for place in reversed(tables):
        writes = [(start, end) for _, start, end in written(operations[place])]
        if any(start < table.end and table.address < end for start, end in writes):
            found.append(place)
        if any(start <= table.address and table.end <= end for start, end in writes):
            break
    return found[::-1]


def _is_of_dma(key: _Key) -> bool:
    kind, code = key
    return (REGISTERS_40 if kind == _WITH_PAYLOAD else REGISTERS_16).get(code, "").startswith("DMA0_")


def _registers_at(words: Words, operations: Sequence[Operation]) -> Iterator[_Registers]:
    """Yields the registers at each operation, of a stream that `decode_commands` has accepted."""
    values, at = words.tolist(), 0
    current: dict[_Key, tuple[int, ...]] = {}
    for one in operations:
        while at < one.word_offset:
            code, kind = values[at] & 0x3FF, values[at] >> 14 & 3
            size = 2 if kind == _WITH_PAYLOAD else 1
            if kind == _WITH_PAYLOAD or code in REGISTERS_16:
                current[kind, code] = tuple(values[at : at + size])
            at += size
        yield dict(current)
