"""Operations of a command stream, decoded: convolutions, pools, elementwise operations, DMAs, waits.

    from hil.npu.stream.decoder import decode_operations

    for operation in decode_operations(words, accelerator):
        if isinstance(operation, BlockOperation):
            print(operation.kind, operation.ofm.shape)

Each is a frozen value with shapes, addresses, scales and zero points.  `decoder` makes them, `arithmetic` computes
them.

Source: Vela's `ethos_u55_regs`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum

from hil.npu.stream.feature_map import FeatureMap

SHRAM_REGION = 8
"""Region number that stands for SHRAM here; a DMA addresses it beside the eight memory regions."""

SCALE_RECORD = 10
"""Bytes of one channel's scale record: bias (40 bits, signed), scale (32), shift (6 of the last 8)."""


class Kind(str, Enum):
    """Kind of operation."""

    CONV = "conv"
    DEPTHWISE = "depthwise"
    MAX_POOL = "max_pool"
    AVERAGE_POOL = "average_pool"
    REDUCE_SUM = "reduce_sum"
    MUL = "mul"
    ADD = "add"
    SUB = "sub"
    MIN = "min"
    MAX = "max"
    LRELU = "lrelu"
    ABS = "abs"
    CLZ = "clz"
    SHR = "shr"
    SHL = "shl"
    DMA = "dma"
    DMA_WAIT = "dma_wait"
    KERNEL_WAIT = "kernel_wait"


UNARY = frozenset({Kind.LRELU, Kind.ABS, Kind.CLZ})
UNSCALED = frozenset({Kind.MAX_POOL, Kind.MIN, Kind.MAX, Kind.LRELU, Kind.CLZ, Kind.SHR, Kind.SHL})
"""Kinds whose result is not scaled in the output stage.  MAX_POOL is scaled if it has a scale; LRELU scales negative
values before that stage; an average pool with padding divides by its count of elements instead."""


class Rounding(IntEnum):
    """Rounding mode of scaling (see `scaling`)."""

    TFL = 0
    TRUNCATE = 1
    NATURAL = 2


class Upscale(IntEnum):
    """Mode by which the IFM is enlarged two times before the kernel is applied."""

    NONE = 0
    NEAREST = 1
    ZEROS = 2


@dataclass(frozen=True)
class Range:
    """`length` bytes from `address` of `region`."""

    region: int
    address: int
    length: int

    @property
    def end(self) -> int:
        """Address after the last byte."""
        return self.address + self.length


@dataclass(frozen=True)
class Scale:
    """A fixed-point scale: multiplication by `factor / 2**shift`."""

    factor: int
    shift: int


@dataclass(frozen=True)
class Kernel:
    """A window of height x width elements (not dilated), its strides and dilations.

    `part_first` is True for weights in part-kernel-first order: the kernel's elements before the IFM's depth.
    """

    height: int = 1
    width: int = 1
    stride_y: int = 1
    stride_x: int = 1
    dilation_y: int = 1
    dilation_x: int = 1
    part_first: bool = False


@dataclass(frozen=True)
class Padding:
    """Rows and columns of zero points added around the IFM."""

    top: int = 0
    left: int = 0
    bottom: int = 0
    right: int = 0

    def __bool__(self) -> bool:
        return bool(self.top or self.left or self.bottom or self.right)


class Function(IntEnum):
    """Activation functions computed by the hardware without a lookup table of the program."""

    NONE = 0
    TANH = 3
    SIGMOID = 4


@dataclass(frozen=True)
class Activation:
    """Activation stage: clamp to `minimum`..`maximum`, then the lookup table at `lut`, one of eight slots in SHRAM.

    `function` is the hardware's own TANH or SIGMOID for 16-bit OFMs; it is applied before the clamp and has no table.

    `wraps`: a 32-bit OFM without a forced range wraps instead of being clamped.  `index_signed`: True if an 8-bit value
    indexes the table as signed; None if the value has 16 bits and the table interpolates.
    """

    minimum: int
    maximum: int
    wraps: bool
    lut: Range | None
    index_signed: bool | None
    function: Function = Function.NONE


@dataclass(frozen=True)
class Operation:
    """Base of all operations; `word_offset` is the position of the command in the stream."""

    kind: Kind
    word_offset: int


@dataclass(frozen=True)
class Wait(Operation):
    """DMA_WAIT or KERNEL_WAIT: waits until at most `outstanding` DMAs or block operations are unfinished."""

    outstanding: int


@dataclass(frozen=True)
class Dma(Operation):
    """A DMA of pieces of `length` bytes, piece i from `sources[i]` to `destinations[i]` (addresses in their regions).

    A one-dimensional transfer, all that Vela emits, is one piece.  In two or three dimensions SIZE0 (and SIZE1) count
    pieces, and a side in stride mode leaves SKIP0 (SKIP1) bytes free after each (as Linux' driver computes lengths).
    """

    source_region: int
    destination_region: int
    length: int
    sources: tuple[int, ...]
    destinations: tuple[int, ...]


@dataclass(frozen=True)
class BlockOperation(Operation):
    """An operation on feature maps, computed block by block (`block` is height, width, depth of an output block).

    For each OFM block the NPU loads the IFM under it into SHRAM and sums products in accumulators there (`accumulator`:
    0 of 32 bits, 1 of 40, 2 floating point) while the previous block is scaled and stored.  Of the block's dimensions
    only the depth affects decoding: weights are stored in that order.

    `scale` is the per-tensor scale.  Without it `records`, if present, hold bias, factor and shift per channel;
    operations that are never scaled have neither.  `output_zero_point` is added after scaling.  `blockdep` (BLOCKDEP)
    bounds the overlap with the previous operation.
    """

    ofm: FeatureMap
    ifm: FeatureMap
    block: tuple[int, int, int]
    blockdep: int
    accumulator: int
    rounding: Rounding
    scale: Scale | None
    records: Range | None
    ifm_zero_point: int
    output_zero_point: int
    activation: Activation


@dataclass(frozen=True)
class Windowed(BlockOperation):
    """A block operation that moves a kernel over its IFM: a pool or a convolution."""

    kernel: Kernel
    padding: Padding
    upscale: Upscale

    @property
    def padded_elements(self) -> int:
        """Elements of one sample's IFM after upscaling and padding."""
        kernel, (out_h, out_w, _) = self.kernel, self.ofm.shape
        height = (out_h - 1) * kernel.stride_y + (kernel.height - 1) * kernel.dilation_y + 1
        width = (out_w - 1) * kernel.stride_x + (kernel.width - 1) * kernel.dilation_x + 1
        return height * width * self.ifm.shape[2]


@dataclass(frozen=True)
class Convolution(Windowed):
    """CONV or DEPTHWISE with encoded weights at `weights` and scale records at `records`.

    With two cores these are for the even output channels; `weights1` and `records1` are for the odd ones.
    """

    weights: Range
    weights1: Range | None = None
    records1: Range | None = None

    @property
    def weight_streams(self) -> tuple[Range, ...]:
        """Ranges of the encoded weight streams, one per core."""
        return (self.weights,) if self.weights1 is None else (self.weights, self.weights1)

    @property
    def record_streams(self) -> tuple[Range, ...]:
        """Ranges of the scale records, one per core; empty if there are none."""
        return tuple(part for part in (self.records, self.records1) if part is not None)


@dataclass(frozen=True)
class Elementwise(BlockOperation):
    """An operation on one or two feature maps of equal shape, after broadcasting the second.

    `ifm2` is None for unary kinds and if `scalar` is the second operand.  `reversed_operands` swaps the operands.
    `scaled_operand`: 0 scales the operands by `scale_a` and `scale_b`, 1 or 2 scales only that operand,
    by `scale_a` as well.
    """

    ifm2: FeatureMap | None
    scalar: int | None
    ifm2_zero_point: int
    reversed_operands: bool
    scaled_operand: int
    operand_rounding: Rounding
    scale_a: Scale
    scale_b: Scale
