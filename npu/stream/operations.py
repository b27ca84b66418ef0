"""Operations: what a command means once its registers are read.

    program.operations[0].kind, program.operations[0].ofm.shape

Each is a frozen value that says what is computed from where to where; `decoder` makes them, nothing here computes.

Source: Vela's `ethos_u55_regs`; what was found by comparing with TensorFlow's reference kernels says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum

from hil.npu.stream.feature_map import FeatureMap

SHRAM_REGION = 8
"""Number this model gives to SHRAM, which a DMA addresses beside the eight memory regions."""

SCALE_RECORD = 10
"""Bytes of one channel's record: bias (40 bits, signed), scale (32), shift (6 of the last 8)."""


class Kind(str, Enum):
    """What an operation does."""

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
"""Kinds whose output is not scaled (MAX_POOL: unless it has a scale; LRELU: only what is negative, and earlier).  An
average pool with padding divides by a count of its own."""


class Rounding(IntEnum):
    """How a scaled value becomes an integer (see `scaling`)."""

    TFL = 0
    TRUNCATE = 1
    NATURAL = 2


class Upscale(IntEnum):
    """How the input is enlarged two times before the kernel sees it."""

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
        """The address behind the last byte."""
        return self.address + self.length


@dataclass(frozen=True)
class Scale:
    """A multiplication by `factor / 2**shift`."""

    factor: int
    shift: int


@dataclass(frozen=True)
class Kernel:
    """A window of height x width elements (not dilated), its strides and dilations.

    `part_first`: weights are stored with the kernel's elements before the input's depth (part-kernel-first).
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
    """Rows and columns of zero point around the input."""

    top: int = 0
    left: int = 0
    bottom: int = 0
    right: int = 0

    def __bool__(self) -> bool:
        return bool(self.top or self.left or self.bottom or self.right)


class Function(IntEnum):
    """Activations that need no table of the program's own."""

    NONE = 0
    TANH = 3
    SIGMOID = 4


@dataclass(frozen=True)
class Activation:
    """The last stage: clamp to `minimum`..`maximum`, then a table if `lut` names one of its eight slots.

    `function` is the hardware's own TANH or SIGMOID for 16-bit outputs, which comes before the clamp and has no table.

    `wraps`: a 32-bit output without a forced range is not clamped, it wraps.  `index_signed`: how an 8-bit value
    indexes the table; None where the value has 16 bits and the table interpolates.
    """

    minimum: int
    maximum: int
    wraps: bool
    lut: Range | None
    index_signed: bool | None
    function: Function = Function.NONE


@dataclass(frozen=True)
class Operation:
    """Base of all; `word_offset` is where the command stands in the stream."""

    kind: Kind
    word_offset: int


@dataclass(frozen=True)
class Wait(Operation):
    """DMA_WAIT or KERNEL_WAIT: goes on when at most `outstanding` DMAs or block operations are not finished."""

    outstanding: int


@dataclass(frozen=True)
class Dma(Operation):
    """Copies pieces of `length` bytes, piece i from `sources[i]` to `destinations[i]` (addresses in their regions).

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

    For each block the input under it is brought into SHRAM and added up in accumulators there (`accumulator`: 0 of 32
    bits, 1 of 40, 2 floating point) while the block before is scaled and stored.  Only the depth of the block matters
    for the result: weights are stored in that order.

    `scale` is the one scale of the whole output.  Without it `records`, if there, hold bias, factor and shift of each
    channel; operations that are never scaled have neither.
    `output_zero_point` is added after scaling.  `blockdep` bounds how far it may overlap the operation before.
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
    """A block operation that moves a kernel over its input: pools, and below them convolutions."""

    kernel: Kernel
    padding: Padding
    upscale: Upscale

    @property
    def padded_elements(self) -> int:
        """Elements of the input of one sample as the kernel moves over it: enlarged and padded."""
        kernel, (out_h, out_w, _) = self.kernel, self.ofm.shape
        height = (out_h - 1) * kernel.stride_y + (kernel.height - 1) * kernel.dilation_y + 1
        width = (out_w - 1) * kernel.stride_x + (kernel.width - 1) * kernel.dilation_x + 1
        return height * width * self.ifm.shape[2]


@dataclass(frozen=True)
class Convolution(Windowed):
    """CONV or DEPTHWISE: its encoded weights lie in `weights`.

    An accelerator of two cores has the weights and records of even output channels there and in `records`, those of odd
    ones in `weights1` and `records1`.
    """

    weights: Range
    weights1: Range | None = None
    records1: Range | None = None

    @property
    def weight_streams(self) -> tuple[Range, ...]:
        """The encoded weights, a stream a core."""
        return (self.weights,) if self.weights1 is None else (self.weights, self.weights1)

    @property
    def record_streams(self) -> tuple[Range, ...]:
        """The records of scales, if there are any, a run a core."""
        return tuple(part for part in (self.records, self.records1) if part is not None)


@dataclass(frozen=True)
class Elementwise(BlockOperation):
    """An operation on one or two feature maps of equal shape, after broadcasting the second.

    `ifm2` is None for unary kinds and where `scalar` is the second operand.  `reversed_operands` swaps the two.
    `scaled_operand`: 0 both operands are multiplied by `scale_a` and `scale_b`, 1 or 2 only that one is scaled.
    """

    ifm2: FeatureMap | None
    scalar: int | None
    ifm2_zero_point: int
    reversed_operands: bool
    scaled_operand: int
    operand_rounding: Rounding
    scale_a: Scale
    scale_b: Scale
