"""Rows of a profile: charges, traffic, memory and weights of all command streams, summed by layer."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from hil.harness.profile.charges import charges
from hil.harness.profile.layer import Layer, MemoryTraffic
from hil.harness.profile.live_memory import live_bytes
from hil.harness.profile.ownership import Owner, macs_of, owners
from hil.harness.profile.profile import Span
from hil.harness.profile.source import Source
from hil.harness.profile.timeline import timeline
from hil.harness.profile.weight_figures import Constants, weight_figures
from hil.npu.disassembly.instruction import Instruction
from hil.npu.disassembly.listing import Listing
from hil.npu.program import Program
from hil.npu.stream import footprint
from hil.npu.stream.operations import BlockOperation
from hil.npu.timing.causes import Cause
from hil.npu.timing.cycles import cycles
from hil.npu.timing.memory_system import MemorySystem
from hil.npu.timing.timing import OperationTiming, Timing
from hil.npu.vela_output import READ_ONLY

SRAM = "Sram"
"""Vela's name of the memory."""


def constants_in_sram(memory: MemorySystem) -> bool:
    """True if the memory mode has weights, scales and tables in SRAM, which Vela counts apart, as on-chip flash."""
    return memory.port_of(READ_ONLY).memory == SRAM


class LayerRows:
    """Rows of all streams so far, by owner."""

    def __init__(self, memory: MemorySystem) -> None:
        self.memory = memory
        self.cycles = self.command_bytes = self.sram_bytes = self.macs_per_cycle = 0
        self.spans: list[Span] = []
        self._charges: dict[Owner, Counter[Cause]] = defaultdict(Counter)
        self._operations: dict[Owner, list[BlockOperation]] = defaultdict(list)
        self._traffic: dict[Owner, list[OperationTiming]] = defaultdict(list)
        self._instructions: dict[Owner, list[tuple[Instruction, Constants]]] = defaultdict(list)
        self._live: dict[Owner, int] = defaultdict(int)
        self._beat_bytes = 1

    def add(self, listing: Listing, constants: Constants, source: Source | None) -> None:
        """Adds a stream, which runs after those before."""
        timing = time_listing(listing, self.memory)
        commands = {(one.stream, one.word_offset): one for one in source.mapping} if source else {}
        found = owners(listing, commands)
        place = {one.operation.word_offset: number for number, one in enumerate(listing.instructions)}
        numbers = [place[one.operation.word_offset] for one in timing.per_operation]
        timed = [_known(found[number]) for number in numbers]
        charged = list(charges(timing, listing.accelerator, self.memory))
        for charge in charged:
            self._charges[timed[charge.number]].update(charge.causes)
        for owner, one in zip(timed, timing.per_operation, strict=True):
            self._traffic[owner].append(one)
        self._add_instructions(listing, found, constants)
        self.spans += timeline(timing, charged, timed, numbers, self.cycles)
        self.cycles += timing.total
        self.command_bytes += 4 * listing.words
        self.macs_per_cycle = listing.accelerator.macs
        self._beat_bytes = listing.accelerator.beat_bytes

    def _add_instructions(self, listing: Listing, found: Sequence[Owner | None], constants: Constants) -> None:
        in_sram = [
            region.number
            for region in listing.regions
            if region.number != READ_ONLY and self.memory.port_of(region.number).memory == SRAM
        ]
        self.sram_bytes = max(
            self.sram_bytes, sum(region.bytes for region in listing.regions if region.number in in_sram)
        )
        for owner, one, live in zip(found, listing.instructions, live_bytes(listing, in_sram), strict=True):
            if owner is None:
                continue
            self._live[owner] = max(self._live[owner], live)
            if isinstance(one.operation, BlockOperation):
                self._operations[owner].append(one.operation)
                self._instructions[owner].append((one, constants))

    def layers(self, source: Source | None) -> list[Layer]:
        """Layers on the NPU, in the order of their first operation."""
        return [self._layer(owner, operations, source) for owner, operations in self._operations.items()]

    def _layer(self, owner: Owner, operations: Sequence[BlockOperation], source: Source | None) -> Layer:
        causes = {cause: found for cause, found in self._charges[owner].items() if found}
        taken, macs = sum(causes.values()), sum(map(macs_of, operations))
        constants = {region: data for _, parts in self._instructions[owner] for region, data in parts.items()}
        named = owner.name or (source.signature.operator_outputs[owner.index] if source else "")
        return Layer(
            index=owner.index,
            kind=owner.kind,
            name=named,
            operations=len(operations),
            cycles=taken,
            causes=causes,
            macs=macs,
            utilization=macs / (taken * self.macs_per_cycle) if macs and taken else None,
            traffic=_traffic(self._traffic[owner], self.memory, self._beat_bytes),
            weights=weight_figures((one for one, _ in self._instructions[owner]), constants),
            live_bytes=self._live[owner],
            vela_cycles=source.estimates.get(owner.index) if source and owner.index >= 0 else None,
        )


def _known(owner: Owner | None) -> Owner:
    assert owner is not None  # waits have no timing
    return owner


def _traffic(timings: Iterable[OperationTiming], memory: MemorySystem, beat_bytes: int) -> tuple[MemoryTraffic, ...]:
    """Sums the beats of both ports by the memory behind them."""
    reads: Counter[str] = Counter()
    writes: Counter[str] = Counter()
    for one in timings:
        for port, behind in enumerate(memory.ports):
            reads[behind.memory] += one.read_beats[port] * beat_bytes
            writes[behind.memory] += one.write_beats[port] * beat_bytes
    names = dict.fromkeys(behind.memory for behind in memory.ports)
    return tuple(MemoryTraffic(name, reads[name], writes[name]) for name in names if reads[name] or writes[name])


def time_listing(listing: Listing, memory: MemorySystem) -> Timing:
    """Models a disassembled stream; raises `StreamError` for one that reaches beyond its memory."""
    operations = tuple(instruction.operation for instruction in listing.instructions)
    required = footprint.requirements(operations)
    for region in listing.regions:
        if region.number in required:
            footprint.check_size(region.number, required[region.number], region.bytes)
    return cycles(Program(listing.accelerator, operations, required, {}, listing.words), memory)
