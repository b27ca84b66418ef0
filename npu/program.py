"""A decoded program: decode a command stream once, run it on many batches.

    program = decode(words, Accelerator.from_name("ethos-u55-128"), constants={0: weights}, aliases={2: 1})
    arena = np.zeros((batch, arena_bytes), np.uint8)        # inputs are written into it first
    program.run({1: arena})                                 # outputs are in it afterwards

Decoding turns register writes into operations, unpacks weights, reads scales and lookup tables, and chooses the
arithmetic.  The NPU's eight memory regions are byte arrays: those of `constants` are read-only and shared by the batch,
the others have one row per sample.  The stream gives the address of every access, so `Program.required` holds the size
that each region needs, and `run` checks it before anything is read or written.

Operations run one after the other and each reads its whole IFM before it writes, so the waits and block dependencies
that order overlapping work in the hardware have no effect here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hil.core.arrays import Array, Bytes
from hil.core.errors import BadInputError, StreamError
from hil.npu.accelerator import Accelerator
from hil.npu.arithmetic.dispatch import Step, prepare_step
from hil.npu.arithmetic.schedule import CopyStep, Schedule, run_step
from hil.npu.stream import footprint
from hil.npu.stream.constants import KnownMemory, Spans
from hil.npu.stream.decoder import decode_operations
from hil.npu.stream.feature_map import Regions
from hil.npu.stream.operations import SHRAM_REGION, BlockOperation, Dma, Operation
from hil.npu.stream.payload import Words

OperationTrace = Callable[[Operation, Array], None]
"""Called after each block operation with its output, shape (batch, height, width, depth)."""


def decode(
    words: Words,
    accelerator: Accelerator,
    constants: Mapping[int, NDArray[np.uint8]],
    aliases: Mapping[int, int] | None = None,
) -> Program:
    """Decodes a command stream (from `payload.parse_payload`) for `accelerator`.

    `constants` maps read-only regions to their bytes; `aliases` maps a region to another that is the same memory.
    Raises `StreamError` with the word offset for a command that is malformed, not modelled, or outside a constant
    region.
    """
    operations = decode_operations(words, accelerator, aliases)
    required = footprint.requirements(operations)
    sizes = {region: len(data) for region, data in constants.items()} | {SHRAM_REGION: accelerator.shram_bytes}
    for region, requirement in required.items():
        if region in sizes:
            footprint.check_size(region, requirement, sizes[region])
    for operation in operations:
        for region in footprint.written_regions(operation):
            if region in constants:
                raise StreamError(f"region {region} is read-only", word_offset=operation.word_offset)
    program = Program(accelerator, operations, required, dict(constants), len(words))
    program.prepare()
    return program


@dataclass
class Program:
    """A command stream ready to run; made by `decode`.

    `operations` are all of its operations in order; `required` holds the bytes that each region needs;
    `stream_words` is the length of the command stream.
    """

    accelerator: Accelerator
    operations: tuple[Operation, ...]
    required: dict[int, footprint.Requirement]
    constants: dict[int, NDArray[np.uint8]]
    stream_words: int
    _steps: list[Step | None] = field(default_factory=list)
    _cache: dict[int, tuple[bytes, Step]] = field(default_factory=dict)
    _schedule: Schedule | None = None

    def prepare(self) -> None:
        """Makes one step per operation.

        Weights, scales and tables whose bytes are known now are unpacked now, the others when the program runs.
        """
        known = KnownMemory(self.constants)
        read_late: list[tuple[int, int, int]] = []
        copies: dict[int, Dma] = {}
        for index, operation in enumerate(self.operations):
            self._steps.append(self._step(operation, known, read_late))
            if isinstance(operation, Dma) and footprint.copies_known_bytes(operation, known):
                copies[index] = operation
            footprint.record_writes(operation, known)
        read = Spans(read_late)
        for index, copy in copies.items():
            if not footprint.overlaps(copy, read):
                self._steps[index] = None  # Only brings constants that are resolved already.

    def predecode(self, constants: Mapping[int, NDArray[np.uint8]]) -> None:
        """Unpacks weights, scales and tables ahead of `run`, on the assumption that regions will hold `constants`.

        `run` compares the actual bytes with these, so a wrong assumption costs time and changes no result.
        """
        known = KnownMemory(constants)
        for operation in self.operations:
            if isinstance(operation, BlockOperation):
                data = [known.read(part) for part in footprint.constant_ranges(operation)]
                found = [part for part in data if part is not None]
                if found and len(found) == len(data):
                    self._late_step(operation, found)
            footprint.record_writes(operation, known)

    def run(
        self, memory: Mapping[int, NDArray[np.uint8]], trace: OperationTrace | None = None, threads: int = 1
    ) -> None:
        """Runs the program on `memory`, which maps writable regions to uint8 arrays of shape (batch, size), in place.

        `threads` threads share the samples; with a `trace` there is one thread.

        All regions have the same batch size, and the bytes of a sample are contiguous because compiled loops use their
        addresses.  Raises `StreamError` with the word offset if a region is missing or smaller than the program needs,
        and `BadInputError` for an array of another type or layout; both before any byte has changed.
        """
        batches = {len(data) for data in memory.values()}
        if len(batches) != 1:
            raise StreamError("all regions need the same batch")
        batch = batches.pop()
        views: dict[int, NDArray[np.uint8]] = {}
        for region, requirement in self.required.items():
            if region == SHRAM_REGION:
                continue
            constant = self.constants.get(region)
            missing = np.zeros((batch, 0), np.uint8)
            data = (
                memory.get(region, missing) if constant is None else np.broadcast_to(constant, (batch, len(constant)))
            )
            footprint.check_size(region, requirement, data.shape[1])
            if data.dtype != np.uint8 or (data.shape[1] > 1 and data.strides[1] != 1):
                raise BadInputError(f"the bytes of region {region} do not lie one behind the other")
            if constant is None and not data.flags.writeable:
                raise BadInputError(f"region {region} cannot be written")
            views[region] = data
        if SHRAM_REGION in self.required:
            views[SHRAM_REGION] = np.zeros((batch, self.accelerator.shram_bytes), np.uint8)
        if trace is not None:
            for operation, step in zip(self.operations, self._steps, strict=True):
                if step is not None:
                    run_step(operation, step, views)
                if isinstance(operation, BlockOperation):
                    trace(operation, operation.ofm.read(views))
            return
        if self._schedule is None:
            pairs = zip(self.operations, self._steps, strict=True)
            self._schedule = Schedule.of([(operation, step) for operation, step in pairs if step is not None])
        self._schedule.run(views, batch, threads)

    def last_steps(self) -> list[tuple[Operation, Step]]:
        """Returns each operation that is not a wait with its step, prepared for the constants of the last run."""
        pairs = zip(self.operations, self._steps, strict=True)
        return [
            (operation, self._cache.get(operation.word_offset, (b"", step))[1])
            for operation, step in pairs
            if step is not None
        ]

    def _step(self, operation: Operation, known: KnownMemory, read_late: list[tuple[int, int, int]]) -> Step | None:
        """Makes the step of `operation`, None for a wait.

        Appends to `read_late` (region, start, end) of the memory that the step reads when it runs.
        """
        if isinstance(operation, Dma):
            return CopyStep(operation)
        if not isinstance(operation, BlockOperation):
            return None
        read_late += [(fm.region, *fm.extent()) for fm in footprint.input_feature_maps(operation)]
        wanted = footprint.constant_ranges(operation)
        data = [known.read(part) for part in wanted]
        if all(part is not None for part in data):
            return prepare_step(operation, self.accelerator, [part for part in data if part is not None])
        read_late += [(part.region, part.address, part.end) for part in wanted]
        return lambda memory: self._run_late(operation, memory)

    def _run_late(self, operation: BlockOperation, memory: Regions) -> None:
        """Runs an operation whose weights, scales or lookup table are in writable memory."""
        wanted = footprint.constant_ranges(operation)
        rows = [memory[part.region][:, part.address : part.end] for part in wanted]
        if any((part != part[:1]).any() for part in rows):
            for sample in range(len(rows[0])):
                self._run_late(operation, {k: data[sample : sample + 1] for k, data in memory.items()})
            return
        data = [np.ascontiguousarray(part[0]) for part in rows]
        run_step(operation, self._late_step(operation, data), memory)

    def _late_step(self, operation: BlockOperation, data: list[Bytes]) -> Step:
        """Makes the step of `operation` for the bytes in `data`; caches the last one per operation."""
        key = b"".join(part.tobytes() for part in data)
        cached = self._cache.get(operation.word_offset)
        if cached is None or cached[0] != key:
            cached = self._cache[operation.word_offset] = key, prepare_step(operation, self.accelerator, data)
        return cached[1]
