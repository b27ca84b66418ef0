"""A decoded program: decode a command stream once, run it on many batches.

    program = decode(words, Accelerator.from_name("ethos-u55-128"), constants={0: weights}, aliases={2: 1})
    arena = np.zeros((batch, arena_bytes), np.uint8)        # inputs are written into it first
    program.run({1: arena})                                 # outputs are in it afterwards

Decoding turns registers into operations, unpacks weights, reads scales and tables, and chooses the arithmetic.  The
NPU's eight memory regions are byte arrays: those of `constants` are read-only and shared by the batch, the others have
one row per sample.  Everything a program touches is known from the stream, so `Program.required` says how large each
region must be, and `run` checks that before anything is read or written.

Operations run one after the other and each reads its whole input before it writes, so waits and block dependencies,
which order what the hardware overlaps, need nothing here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil.npu import acceleration
from hil.npu.accelerator import Accelerator
from hil.npu.blas import one_thread
from hil.npu.bytepairs import ElementwiseKernel
from hil.npu.codec import COST
from hil.npu.constants import Bytes, KnownMemory, Spans
from hil.npu.convolution import ConvolutionKernel
from hil.npu.decoder import decode_operations
from hil.npu.errors import BadInputError, StreamError
from hil.npu.exactness import largest_accumulator
from hil.npu.featuremap import FeatureMap, Memory
from hil.npu.operations import (
    SCALE_RECORD,
    SHRAM_REGION,
    BlockOperation,
    Convolution,
    Dma,
    Elementwise,
    Kind,
    Operation,
    Range,
    Windowed,
)
from hil.npu.output import OutputStage, parse_table
from hil.npu.payload import Words
from hil.npu.pooling import PoolKernel
from hil.npu.scaling import scale_records
from hil.npu.weights import decode_weights

Array = NDArray[Any]
Trace = Callable[[Operation, Array], None]
"""Called after each block operation with its output, shape (batch, height, width, depth)."""

CHUNK_ELEMENTS = 1 << 16
"""Output elements computed at a time, in whole samples, so that intermediate values stay in the cache."""

Step = Callable[[Memory], None]


@dataclass(frozen=True)
class Requirement:
    """A region must hold at least `size` bytes: the operation at `word_offset` touches the last of them."""

    size: int
    word_offset: int


def decode(
    words: Words,
    accelerator: Accelerator,
    constants: Mapping[int, NDArray[np.uint8]],
    aliases: Mapping[int, int] | None = None,
) -> Program:
    """Decodes a command stream (from `payload.parse_payload`) for `accelerator`.

    `constants` maps read-only regions to their bytes; `aliases` maps a region to another that is the same memory.
    Raises `StreamError` with the word offset for what is malformed, not modelled, or outside a constant region.
    """
    operations = decode_operations(words, accelerator, aliases)
    required = _requirements(operations)
    sizes = {region: len(data) for region, data in constants.items()} | {SHRAM_REGION: accelerator.shram_bytes}
    for region, requirement in required.items():
        if region in sizes:
            _check(region, requirement, sizes[region])
    for operation in operations:
        for region in _written(operation):
            if region in constants:
                raise StreamError(f"region {region} is read-only", word_offset=operation.word_offset)
    program = Program(accelerator, operations, required, dict(constants), len(words))
    program.prepare()
    return program


@dataclass
class Program:
    """A command stream ready to run; made by `decode`.

    `operations` are all of its operations in order; `required` says per region how many bytes it needs;
    `stream_words` is the length of the command stream.
    """

    accelerator: Accelerator
    operations: tuple[Operation, ...]
    required: dict[int, Requirement]
    constants: dict[int, NDArray[np.uint8]]
    stream_words: int
    _steps: list[Step | None] = field(default_factory=list)
    _cache: dict[int, tuple[bytes, Step]] = field(default_factory=dict)

    def prepare(self) -> None:
        """Makes the steps; what reads only known bytes is resolved now, the rest when it runs."""
        encoded = (part.length for op in self.operations if isinstance(op, Convolution) for part in op.weight_streams)
        acceleration.loops(COST * sum(encoded))
        known = KnownMemory(self.constants)
        read_late: list[tuple[int, int, int]] = []
        copies: dict[int, Dma] = {}
        for index, operation in enumerate(self.operations):
            self._steps.append(self._step(operation, known, read_late))
            if isinstance(operation, Dma) and _is_known(operation, known):
                copies[index] = operation
            _follow(operation, known)
        read = Spans(read_late)
        for index, copy in copies.items():
            if not _overlaps(copy, read):
                self._steps[index] = None  # Only brings constants that are resolved already.

    def foresee(self, constants: Mapping[int, NDArray[np.uint8]]) -> None:
        """Unpacks ahead what the operations will read late if writable regions then hold `constants`.

        That is compared when the program runs: nothing follows from a wrong guess but lost time.
        """
        known = KnownMemory(constants)
        for operation in self.operations:
            if isinstance(operation, BlockOperation):
                data = [known.read(part) for part in _constants_of(operation)]
                found = [part for part in data if part is not None]
                if found and len(found) == len(data):
                    self._late_kernel(operation, found)
            _follow(operation, known)

    def run(self, memory: Mapping[int, NDArray[np.uint8]], trace: Trace | None = None, threads: int = 1) -> None:
        """Runs on `memory`: per writable region bytes of shape (batch, size), changed in place.

        `threads` share the samples; with a `trace` there is one.

        All regions have the same batch, and the bytes of a sample lie one behind the other: compiled loops work on
        their addresses.  Raises `StreamError` with the word offset if a region is missing or smaller than the program
        needs, `BadInputError` for arrays of another kind, before anything has changed.
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
            _check(region, requirement, data.shape[1])
            if data.dtype != np.uint8 or (data.shape[1] > 1 and data.strides[1] != 1):
                raise BadInputError(f"the bytes of region {region} do not lie one behind the other")
            if constant is None and not data.flags.writeable:
                raise BadInputError(f"region {region} cannot be written")
            views[region] = data
        if SHRAM_REGION in self.required:
            views[SHRAM_REGION] = np.zeros((batch, self.accelerator.shram_bytes), np.uint8)
        threads = 1 if trace else max(1, min(threads, batch))
        ends = [batch * thread // threads for thread in range(threads + 1)]
        parts = [{region: data[i:j] for region, data in views.items()} for i, j in pairwise(ends)]
        with one_thread():
            if threads == 1:
                self._run_steps(views, trace)
                return
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(self._run_steps, parts))

    def _run_steps(self, memory: Memory, trace: Trace | None = None) -> None:
        batch = len(next(iter(memory.values()), ()))
        for operation, step in zip(self.operations, self._steps, strict=True):
            if step is not None:
                _run_chunked(operation, step, memory, batch)
            if trace is not None and isinstance(operation, BlockOperation):
                trace(operation, operation.ofm.read(memory))

    def _step(self, operation: Operation, known: KnownMemory, read_late: list[tuple[int, int, int]]) -> Step | None:
        """What runs `operation`; notes in `read_late` (region, start, end) which memory it will read then."""
        if isinstance(operation, Dma):
            return lambda memory: _copy(operation, memory)
        if not isinstance(operation, BlockOperation):
            return None
        read_late += [(fm.region, *fm.extent()) for fm in _inputs(operation)]
        wanted = _constants_of(operation)
        data = [known.read(part) for part in wanted]
        if all(part is not None for part in data):
            return self._kernel(operation, [part for part in data if part is not None])
        read_late += [(part.region, part.address, part.end) for part in wanted]
        return lambda memory: self._run_late(operation, memory)

    def _run_late(self, operation: BlockOperation, memory: Memory) -> None:
        """Runs an operation whose weights, scales or table are in writable memory."""
        wanted = _constants_of(operation)
        rows = [memory[part.region][:, part.address : part.end] for part in wanted]
        if any((part != part[:1]).any() for part in rows):
            for sample in range(len(rows[0])):
                self._run_late(operation, {k: data[sample : sample + 1] for k, data in memory.items()})
            return
        data = [np.ascontiguousarray(part[0]) for part in rows]
        self._late_kernel(operation, data)(memory)

    def _late_kernel(self, operation: BlockOperation, data: list[Bytes]) -> Step:
        """What computes `operation` with these bytes; the last one is kept, as a program often runs again."""
        key = b"".join(part.tobytes() for part in data)
        kept = self._cache.get(operation.word_offset)
        if kept is None or kept[0] != key:
            kept = self._cache[operation.word_offset] = key, self._kernel(operation, data)
        return kept[1]

    def _kernel(self, operation: BlockOperation, data: list[Bytes]) -> Step:
        """What computes `operation`, from the bytes of `_constants_of(operation)`."""
        try:
            if isinstance(operation, Convolution):
                weights = decode_weights(operation, self.accelerator, data[: len(operation.weight_streams)])
                stage = _stage(operation, data, largest_accumulator(operation, weights))
                return ConvolutionKernel.prepare(operation, weights, stage)
            stage = _stage(operation, data, largest_accumulator(operation))
        except StreamError as error:
            if error.word_offset is not None:
                raise
            raise StreamError(str(error.args[0]), word_offset=operation.word_offset) from error
        if isinstance(operation, Elementwise):
            return ElementwiseKernel(operation, stage)
        assert isinstance(operation, Windowed)
        return PoolKernel(operation, stage)


def _constants_of(operation: BlockOperation) -> list[Range]:
    """What `operation` reads beside feature maps: weights, records, table, each if it has it, in this order."""
    if isinstance(operation, Convolution):
        parts = [*operation.weight_streams, *operation.record_streams]
    else:
        parts = [] if operation.records is None else [operation.records]
    return parts if operation.activation.lut is None else [*parts, operation.activation.lut]


def _stage(operation: BlockOperation, data: list[Bytes], largest: int) -> OutputStage:
    bias = factor = shift = table = slope = None
    if operation.records is not None:
        bias, factor, shift = scale_records(_records(operation, data))
    elif operation.scale is not None and _scales_output(operation):
        factor, shift = np.array([operation.scale.factor], np.int64), np.array([operation.scale.shift], np.int64)
    if operation.activation.lut is not None:
        table, slope = parse_table(operation, np.ascontiguousarray(data[-1]))
    return OutputStage(
        operation.ofm.dtype,
        operation.rounding,
        bias,
        factor,
        shift,
        operation.output_zero_point,
        operation.activation,
        largest,
        table,
        slope,
    )


def _records(operation: BlockOperation, data: list[Bytes]) -> Bytes:
    """The bytes of one record a channel; the channels go to the cores by turns."""
    if not isinstance(operation, Convolution):
        return data[0]
    cores, first = len(operation.record_streams), len(operation.weight_streams)
    records = np.empty((operation.ofm.shape[2], SCALE_RECORD), np.uint8)
    for core in range(cores):
        records[core::cores] = data[first + core].reshape(-1, SCALE_RECORD)
    return records.reshape(-1)


def _scales_output(operation: BlockOperation) -> bool:
    """Whether OFM_SCALE applies in the output stage, and not earlier or not at all."""
    if isinstance(operation, Elementwise):
        wide = operation.kind is Kind.MUL and operation.ifm.dtype.itemsize == 4
        return operation.kind in (Kind.ADD, Kind.SUB, Kind.MUL, Kind.ABS) and not wide
    return not (operation.kind is Kind.AVERAGE_POOL and isinstance(operation, Windowed) and operation.padding)


def _run_chunked(operation: Operation, step: Step, memory: Memory, batch: int) -> None:
    """Runs `step` on a few samples at a time."""
    if batch == 1:
        step(memory)
        return
    samples = batch
    if isinstance(operation, BlockOperation):
        padded = operation.padded_elements if isinstance(operation, Windowed) else 0
        samples = max(1, CHUNK_ELEMENTS // max(operation.ofm.elements, operation.ifm.elements, padded))
    for first in range(0, batch, samples):
        step({region: data[first : first + samples] for region, data in memory.items()})


def _copy(operation: Dma, memory: Memory) -> None:
    source, destination = memory[operation.source_region], memory[operation.destination_region]
    for start, end in zip(operation.sources, operation.destinations, strict=True):
        destination[:, end : end + operation.length] = source[:, start : start + operation.length]


def _follow(operation: Operation, known: KnownMemory) -> None:
    """Notes in `known` what `operation` writes."""
    if isinstance(operation, BlockOperation):
        known.write(operation.ofm.region, *operation.ofm.extent())
    elif isinstance(operation, Dma):
        for start, end in zip(operation.sources, operation.destinations, strict=True):
            data = known.read(Range(operation.source_region, start, operation.length))
            known.write(operation.destination_region, end, end + operation.length, data)


def _is_known(operation: Dma, known: KnownMemory) -> bool:
    pieces = (Range(operation.source_region, start, operation.length) for start in operation.sources)
    return all(known.read(piece) is not None for piece in pieces)


def _overlaps(operation: Dma, read: Spans) -> bool:
    region, length = operation.destination_region, operation.length
    return any(read.meet(region, start, start + length) for start in operation.destinations)


def _inputs(operation: BlockOperation) -> list[FeatureMap]:
    second = operation.ifm2 if isinstance(operation, Elementwise) else None
    return [operation.ifm] if second is None else [operation.ifm, second]


def _written(operation: Operation) -> list[int]:
    if isinstance(operation, BlockOperation):
        return [operation.ofm.region]
    return [operation.destination_region] if isinstance(operation, Dma) else []


def reach(operation: Operation) -> Iterator[tuple[int, int, int]]:
    """Region, start and end of every piece of memory that `operation` reads or writes."""
    if isinstance(operation, BlockOperation):
        for fm in [operation.ofm, *_inputs(operation)]:
            yield (fm.region, *fm.extent())
        for part in _constants_of(operation):
            yield part.region, part.address, part.end
    elif isinstance(operation, Dma):
        for start, end in zip(operation.sources, operation.destinations, strict=True):
            yield operation.source_region, start, start + operation.length
            yield operation.destination_region, end, end + operation.length


def _requirements(operations: tuple[Operation, ...]) -> dict[int, Requirement]:
    required: dict[int, Requirement] = {}
    for operation in operations:
        for region, _, end in reach(operation):
            if region not in required or end > required[region].size:
                required[region] = Requirement(end, operation.word_offset)
    return required


def _check(region: int, requirement: Requirement, size: int) -> None:
    if requirement.size > size:
        name = "SHRAM" if region == SHRAM_REGION else f"region {region}"
        raise StreamError(
            f"{name} has {size} bytes and the command reaches to {requirement.size}",
            word_offset=requirement.word_offset,
        )
