"""AXI traffic of an operation: bytes read and written by port, and the cycles that they occupy the port.

    traffic = Traffic(memory)
    traffic.read(region, count)
    traffic.reads, traffic.busy        # bytes and cycles by port

Every OFM block reads its part of the IFM with the kernel's halo, for a convolution once per block of output channels;
reads its weights once per block of rows and columns; and writes its OFM.  Bursts shorter than the memory's waste
bandwidth.  Facts from Vela's performance estimators (`npu_performance.py`).
"""

from __future__ import annotations

from collections.abc import Iterator

from hil.npu.stream.feature_map import BRICK, FeatureMap
from hil.npu.stream.operations import BlockOperation, Convolution, Elementwise, Kind, Range, Windowed
from hil.npu.timing.block_cycles import SUB_KERNEL, clipped_block, ifm_block_depth
from hil.npu.timing.memory_system import AxiPort, MemorySystem


class Traffic:
    """Counters of bytes by port, and of the cycles that they occupy the port."""

    def __init__(self, memory: MemorySystem) -> None:
        self.memory = memory
        self.reads = [0, 0]
        self.writes = [0, 0]
        self.busy = [0.0, 0.0]

    def read(self, region: int, count: int, overhead: float = 1.0) -> None:
        """Counts `count` bytes read; the port is busy `overhead` times as long as at full bandwidth."""
        port = self.memory.port_number(region)
        self.reads[port] += count
        self.busy[port] += count * overhead / self.memory.ports[port].bytes_per_cycle

    def write(self, region: int, count: int, overhead: float = 1.0) -> None:
        """Counts `count` bytes written, as `read`."""
        port = self.memory.port_number(region)
        self.writes[port] += count
        self.busy[port] += count * overhead / self.memory.ports[port].bytes_per_cycle

    def beats(self, counts: list[int]) -> tuple[int, int]:
        """Converts bytes by port to beats by port."""
        width = self.memory.beat_bytes
        return -(-counts[0] // width), -(-counts[1] // width)


def parameter_ranges(operation: BlockOperation) -> tuple[Range, ...]:
    """Byte ranges of the weights and the scale records."""
    if isinstance(operation, Convolution):
        return operation.weight_streams + operation.record_streams
    return () if operation.records is None else (operation.records,)


def input_block(operation: BlockOperation) -> tuple[int, int, int]:
    """Height, width and depth of the IFM block of one OFM block."""
    height, width, depth = clipped_block(operation)
    if not isinstance(operation, Windowed):
        return height, width, depth
    kernel = operation.kernel
    scale = 2 if operation.upscale else 1
    rows = (height - 1) * kernel.stride_y + min(SUB_KERNEL, (kernel.height - 1) * kernel.dilation_y + 1)
    columns = (width - 1) * kernel.stride_x + min(SUB_KERNEL, (kernel.width - 1) * kernel.dilation_x + 1)
    equal_depth = operation.kind in (Kind.DEPTHWISE, Kind.MAX_POOL, Kind.AVERAGE_POOL)
    return -(-rows // scale), -(-columns // scale), depth if equal_depth else ifm_block_depth(operation)


def planar_blocks(operation: BlockOperation) -> int:
    """Number of OFM blocks in a plane of height and width."""
    block = clipped_block(operation)
    return -(-operation.ofm.shape[0] // block[0]) * -(-operation.ofm.shape[1] // block[1])


def input_bytes(operation: BlockOperation) -> Iterator[tuple[FeatureMap, int]]:
    """Yields each input feature map and the bytes read of it."""
    ifm = operation.ifm
    if isinstance(operation, Elementwise):
        yield ifm, stored_bytes(ifm)
        if operation.ifm2 is not None:
            yield operation.ifm2, stored_bytes(operation.ifm2)
        return
    assert isinstance(operation, Windowed)
    kernel, padding = operation.kernel, operation.padding
    block = clipped_block(operation)
    scale = 2 if operation.upscale else 1
    rows = _fetched(
        ifm.shape[0],
        operation.ofm.shape[0],
        block[0],
        kernel.stride_y,
        kernel.height,
        kernel.dilation_y,
        padding.top,
        scale,
    )
    columns = _fetched(
        ifm.shape[1],
        operation.ofm.shape[1],
        block[1],
        kernel.stride_x,
        kernel.width,
        kernel.dilation_x,
        padding.left,
        scale,
    )
    passes = -(-operation.ofm.shape[2] // block[2]) if operation.kind is Kind.CONV else 1
    yield ifm, rows * columns * _stored_depth(ifm) * ifm.dtype.itemsize * passes


def _fetched(
    length: int, outputs: int, block: int, stride: int, kernel: int, dilation: int, before: int, scale: int
) -> int:
    """Rows (or columns) of the IFM that all blocks along one axis read together, halos counted each time."""
    total = 0
    for first in range(0, outputs, block):
        last = min(first + block, outputs) - 1
        low = max(0, first * stride - before) // scale
        high = min(length * scale, last * stride - before + (kernel - 1) * dilation + 1)
        total += max(0, -(-high // scale) - low)
    return total


def _stored_depth(feature_map: FeatureMap) -> int:
    depth = feature_map.shape[2]
    return -(-depth // BRICK) * BRICK if feature_map.bricks else depth


def stored_bytes(feature_map: FeatureMap) -> int:
    """Bytes of a feature map, padding of its last brick included."""
    return feature_map.shape[0] * feature_map.shape[1] * _stored_depth(feature_map) * feature_map.dtype.itemsize


def burst_overhead(
    feature_map: FeatureMap, operation: BlockOperation, port: AxiPort, is_read: bool, cores: int = 1
) -> float:
    """Ratio of the cycles on the port to those at full bandwidth, because bursts are shorter than the memory's.

    Two cores write bursts of twice the length.
    """
    size = feature_map.dtype.itemsize
    width, depth = (input_block(operation) if is_read else clipped_block(operation))[1:]
    if feature_map.bricks:
        burst = BRICK * size * width * cores
    elif feature_map.shape[2] == depth and (is_read or depth <= BRICK):
        burst = size * depth * width
    elif is_read:
        burst = size * depth
    else:
        burst = min(64, BRICK * size * cores, depth * size)
    return port.burst_bytes / min(port.burst_bytes, burst)
