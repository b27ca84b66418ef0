"""The memory layout of a model on a board; the firmware knows nothing of models, so the host decides all of it.

    layout = lay_out(graph, memory_system, regions)
    layout.arena, layout.streams[0].address

Vela compiles for a memory behind each region of a command stream: `Sram`, or one that is larger and slower (`Dram`,
`OffChipFlash` ...).  Its system configuration and memory mode say which; here each goes to memory of that kind:

=================  ==========================  ==================  =================================
memory mode        weights and streams (0)     arena (1)           fast scratch (2)
=================  ==========================  ==================  =================================
Sram_Only          SRAM                        SRAM                the arena
Shared_Sram        DRAM or flash               SRAM                the arena
Dedicated_Sram     DRAM or flash               DRAM or flash       SRAM, a memory of its own
=================  ==========================  ==================  =================================

Constants that several operators share are placed once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hil.core.errors import BadInputError
from hil.npu.stream.payload import parse_payload
from hil.npu.stream.pieces import STOP
from hil.npu.timing.memory_system import MemorySystem
from hil.npu.vela_output import READ_ONLY, SCRATCH, SCRATCH_FAST, BoundOperator
from hil.targets.execution.graph import Graph
from hil.targets.link import Region
from hil.targets.link.wire import BASES, RegionKind

ALIGNMENT = 16
"""Bytes; the NPU's command streams, weights and tensors begin at multiples of it."""

_SRAM = "Sram"


@dataclass(frozen=True)
class Block:
    """Bytes and their address."""

    address: int
    data: bytes


@dataclass(frozen=True)
class ModelLayout:
    """A model in a board's memory.

    `streams` are in the order of the graph's NPU operators, `constants` by tensor; `arena` and `fast` are addresses,
    `fast` None where it is the arena.  `region_config` and `queue_config` are values of the NPU's registers.  `pieces`
    are those that each of the streams is cut into, none if it is not; `idle` is a stream without an operation.
    """

    streams: tuple[Block, ...]
    constants: dict[int, Block]
    arena: int
    arena_bytes: int
    fast: int | None
    region_config: int
    queue_config: int
    pieces: tuple[tuple[Block, ...], ...] = ()
    idle: Block | None = None

    def bases(self, step: BoundOperator) -> tuple[int, ...]:
        """The base pointers of an operator's regions 0, 1 and 2; 0 where it has no constants."""
        constants = self.constants.get(step.operator.read_only)
        scratch = self.arena + step.scratch_offset
        fast = self.fast if step.fast_bytes and self.fast is not None else scratch
        return (constants.address if constants else 0, scratch, fast)

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The blocks that are written once a model: weights, streams and their pieces."""
        pieces = [block for stream in self.pieces for block in stream]
        return (*self.constants.values(), *self.streams, *pieces, *([self.idle] if self.idle else ()))


def npu_steps(graph: Graph) -> list[BoundOperator]:
    """The graph's NPU operators in order."""
    return [step for step in graph.steps if isinstance(step, BoundOperator)]


def lay_out(
    graph: Graph, memory: MemorySystem, regions: Sequence[Region], pieces: Sequence[Sequence[bytes]] = ()
) -> ModelLayout:
    """Places a model, and `pieces` of its streams, in the free `regions` of a board.

    Raises `BadInputError` naming the part that does not fit.
    """
    steps, tensors = npu_steps(graph), graph.model.main.tensors
    room = _Room([region for region in regions if region.writable and region.npu_visible])
    kinds = {region: memory.port_of(region).memory for region in (READ_ONLY, SCRATCH, SCRATCH_FAST)}
    arena_bytes, fast_bytes = graph.model.arena_bytes, max(step.fast_bytes for step in steps)
    arena = room.take("the arena", arena_bytes, kinds[SCRATCH])
    fast = room.take("the fast scratch memory", fast_bytes, kinds[SCRATCH_FAST]) if fast_bytes else None
    constants: dict[int, Block] = {}
    streams = []
    for step in steps:
        weights, stream = tensors[step.operator.read_only], tensors[step.operator.command_stream].data
        if weights.data is not None and weights.index not in constants:
            data = weights.data.tobytes()
            constants[weights.index] = Block(room.take("the weights", len(data), kinds[READ_ONLY]), data)
        words = parse_payload(b"" if stream is None else stream)[1].astype("<u4").tobytes()
        streams.append(Block(room.take("a command stream", len(words), kinds[READ_ONLY]), words))

    def placed(data: bytes) -> Block:
        return Block(room.take("a piece of a command stream", len(data), kinds[READ_ONLY]), data)

    cut = tuple(tuple(placed(piece) for piece in stream) for stream in pieces)
    idle = placed(STOP.to_bytes(4, "little")) if cut else None
    ports = [2 * memory.port_number(region) for region in range(BASES)]
    region_config = sum(port << 2 * region for region, port in enumerate(ports))
    return ModelLayout(tuple(streams), constants, arena, arena_bytes, fast, region_config, ports[READ_ONLY], cut, idle)


class _Room:
    """Free memory, taken from the start of the first region of a kind that has enough of it."""

    def __init__(self, regions: Sequence[Region]) -> None:
        self._regions = regions
        self._next = [-(-region.address // ALIGNMENT) * ALIGNMENT for region in regions]

    def take(self, what: str, size: int, memory: str) -> int:
        """The address of `size` bytes of Vela's `memory`."""
        kinds = (RegionKind.SRAM,) if memory == _SRAM else (RegionKind.DRAM, RegionKind.FLASH)
        free = {}
        for index, region in enumerate(self._regions):
            if region.kind in kinds:
                start = self._next[index]
                free[region.name] = region.address + region.size - start
                if size <= free[region.name]:
                    self._next[index] = start + -(-size // ALIGNMENT) * ALIGNMENT
                    return start
        named = " or ".join(kind.name for kind in kinds)
        left = ", ".join(f"{name} {max(count, 0):,}" for name, count in free.items())
        raise BadInputError(
            f"{what} of the model, {size:,} bytes, does not fit into the board's {named}: "
            + (f"free there are {left} bytes" if free else "it has none"),
            hint="another memory mode, a smaller model, or a board with more memory",
        )
