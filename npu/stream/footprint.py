"""Memory accesses of an operation: the byte ranges that it reads and writes, and the region sizes that it needs.

>>> from hil.npu.stream.operations import Dma, Kind
>>> list(accesses(Dma(Kind.DMA, 0, 0, 1, 16, (32,), (0,))))           # region, start, end
[(0, 32, 48), (1, 0, 16)]
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hil.core.errors import StreamError
from hil.npu.stream.constants import KnownMemory, Spans
from hil.npu.stream.feature_map import FeatureMap
from hil.npu.stream.operations import SHRAM_REGION, BlockOperation, Convolution, Dma, Elementwise, Operation, Range


@dataclass(frozen=True)
class Requirement:
    """Minimum `size` of a region in bytes, and the `word_offset` of the operation that accesses the last of them."""

    size: int
    word_offset: int


def constant_ranges(operation: BlockOperation) -> list[Range]:
    """Byte ranges of the weights, scale records and lookup table that `operation` reads, in this order."""
    if isinstance(operation, Convolution):
        parts = [*operation.weight_streams, *operation.record_streams]
    else:
        parts = [] if operation.records is None else [operation.records]
    return parts if operation.activation.lut is None else [*parts, operation.activation.lut]


def record_writes(operation: Operation, known: KnownMemory) -> None:
    """Records in `known` the bytes that `operation` writes."""
    if isinstance(operation, BlockOperation):
        known.write(operation.ofm.region, *operation.ofm.extent())
    elif isinstance(operation, Dma):
        for start, end in zip(operation.sources, operation.destinations, strict=True):
            data = known.read(Range(operation.source_region, start, operation.length))
            known.write(operation.destination_region, end, end + operation.length, data)


def copies_known_bytes(operation: Dma, known: KnownMemory) -> bool:
    """True if all source bytes of the DMA are known."""
    pieces = (Range(operation.source_region, start, operation.length) for start in operation.sources)
    return all(known.read(piece) is not None for piece in pieces)


def overlaps(operation: Dma, read: Spans) -> bool:
    """True if any destination byte of the DMA is in `read`."""
    region, length = operation.destination_region, operation.length
    return any(read.overlaps(region, start, start + length) for start in operation.destinations)


def input_feature_maps(operation: BlockOperation) -> list[FeatureMap]:
    """IFM of `operation`, followed by IFM2 if it has one."""
    second = operation.ifm2 if isinstance(operation, Elementwise) else None
    return [operation.ifm] if second is None else [operation.ifm, second]


def written_regions(operation: Operation) -> list[int]:
    """Region that `operation` writes, in a list that is empty for a wait."""
    if isinstance(operation, BlockOperation):
        return [operation.ofm.region]
    return [operation.destination_region] if isinstance(operation, Dma) else []


def accesses(operation: Operation) -> Iterator[tuple[int, int, int]]:
    """Yields (region, first byte, byte after the last) of every range that `operation` reads or writes."""
    if isinstance(operation, BlockOperation):
        for fm in [operation.ofm, *input_feature_maps(operation)]:
            yield (fm.region, *fm.extent())
        for part in constant_ranges(operation):
            yield part.region, part.address, part.end
    elif isinstance(operation, Dma):
        for start, end in zip(operation.sources, operation.destinations, strict=True):
            yield operation.source_region, start, start + operation.length
            yield operation.destination_region, end, end + operation.length


def written(operation: Operation) -> Iterator[tuple[int, int, int]]:
    """Yields (region, first byte, byte after the last) of every range that `operation` writes."""
    if isinstance(operation, BlockOperation):
        yield (operation.ofm.region, *operation.ofm.extent())
    elif isinstance(operation, Dma):
        for start in operation.destinations:
            yield operation.destination_region, start, start + operation.length


def requirements(operations: Sequence[Operation]) -> dict[int, Requirement]:
    """Minimum size of each region for all `operations` together."""
    required: dict[int, Requirement] = {}
    for operation in operations:
        for region, _, end in accesses(operation):
            if region not in required or end > required[region].size:
                required[region] = Requirement(end, operation.word_offset)
    return required


def check_size(region: int, requirement: Requirement, size: int) -> None:
    """Raises `StreamError` if a region of `size` bytes is smaller than required."""
    if requirement.size > size:
        name = "SHRAM" if region == SHRAM_REGION else f"region {region}"
        raise StreamError(
            f"{name} has {size} bytes and the command reaches to {requirement.size}",
            word_offset=requirement.word_offset,
        )
