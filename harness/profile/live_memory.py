"""Live memory: bytes of the arena whose contents an operation still needs, from the command stream alone.

A byte is live from the operation that writes it to the last that reads it; inputs from the start, outputs to the end.
What passes between several `ethos-u` operators counts as long as one of these streams knows of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np

from hil.core.arrays import Array
from hil.npu.disassembly.listing import Listing
from hil.npu.stream.feature_map import FeatureMap
from hil.npu.stream.footprint import constant_ranges, input_feature_maps
from hil.npu.stream.operations import BlockOperation, Dma, Operation

Memory = Mapping[int, Array]
"""A mark for each byte, uint8 (1, size), by region."""
_LIVE, _FREE = 255, 0


def live_bytes(listing: Listing, regions: Collection[int]) -> tuple[int, ...]:
    """Live bytes of `regions` while each operation of a stream runs, in its order."""
    operations = [instruction.operation for instruction in listing.instructions]
    sizes = {region.number: region.bytes for region in listing.regions if region.number in regions}
    memory = {number: np.zeros((1, size), np.uint8) for number, size in sizes.items()}
    for tensor in listing.outputs:
        _mark(memory, tensor.place.region, tensor.place.address, tensor.place.end, _LIVE)
    return tuple(reversed([*_backwards(operations, memory)]))


def _backwards(operations: Sequence[Operation], memory: Memory) -> Iterator[int]:
    for operation in reversed(operations):
        _written(memory, operation, _LIVE)
        _read(memory, operation)
        yield sum(int(np.count_nonzero(marks)) for marks in memory.values())
        _written(memory, operation, _FREE)
        _read(memory, operation)


def _written(memory: Memory, operation: Operation, mark: int) -> None:
    if isinstance(operation, BlockOperation):
        _mark_map(memory, operation.ofm, mark)
    elif isinstance(operation, Dma):
        for start in operation.destinations:
            _mark(memory, operation.destination_region, start, start + operation.length, mark)


def _read(memory: Memory, operation: Operation) -> None:
    if isinstance(operation, BlockOperation):
        for feature_map in input_feature_maps(operation):
            _mark_map(memory, feature_map, _LIVE)
        for part in constant_ranges(operation):
            _mark(memory, part.region, part.address, part.end, _LIVE)
    elif isinstance(operation, Dma):
        for start in operation.sources:
            _mark(memory, operation.source_region, start, start + operation.length, _LIVE)


def _mark(memory: Memory, region: int, start: int, end: int, mark: int) -> None:
    if region in memory:
        memory[region][:, start:end] = mark


def _mark_map(memory: Memory, feature_map: FeatureMap, mark: int) -> None:
    """Marks the bytes of the elements, not the gaps between them."""
    if feature_map.region in memory:
        values = np.full((1, *feature_map.shape), -1 if mark else 0, np.int64).astype(feature_map.dtype)
        feature_map.store(memory, values)
