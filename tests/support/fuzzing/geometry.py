"""Random operations of few elements in every shape and place that the registers can describe.

    drawn = draw(seed)
    program = decode(drawn.words, U55, {0: drawn.constants})
    program.run({1: np.zeros((3, ARENA), np.uint8)})

Depths around 16, strides with gaps, negative or the other way round, tiles, padding, dilation, input and output over
each other, and often the first or the last byte of the arena: what compiled loops must get right address by address.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hil.npu.accelerator import LUT_BYTES, Accelerator
from hil.npu.stream.commands import Op
from hil.npu.stream.decoder import decode_operations
from hil.npu.stream.feature_map import BRICK, FeatureMap, Tile
from hil.npu.stream.operations import Convolution
from hil.npu.weights.order import layout_of, order
from tests.support.fuzzing.assembly import STOP, Write, assemble, encode_weights

U55 = Accelerator.from_name("ethos-u55-128")
ARENA = 1 << 15
"""Bytes of region 1."""

DEPTHS = (1, 2, 3, 5, 8, 15, 16, 17, 20, 31, 32, 33, 48, 49, 64, 70)
_AXES = ("HEIGHT", "WIDTH", "DEPTH")
_ADD = (1, 2)
"""Modes of ELEMENTWISE: ADD and SUB, of ten."""


@dataclass(frozen=True)
class Drawn:
    """A stream of one operation, and the bytes of region 0."""

    words: NDArray[np.uint32]
    constants: NDArray[np.uint8]


@dataclass(frozen=True)
class _Element:
    signed: bool
    size: int

    @property
    def limits(self) -> tuple[int, int]:
        bits = 8 * self.size
        return (-(1 << bits - 1), (1 << bits - 1) - 1) if self.signed else (0, (1 << bits) - 1)


class _Dice:
    """Random choices from one seed."""

    def __init__(self, seed: int) -> None:
        self.generator = np.random.default_rng(seed)

    def one(self, *choices: int) -> int:
        return int(self.generator.choice(choices))

    def within(self, low: int, high: int) -> int:
        return int(self.generator.integers(low, high + 1))

    def happens(self, probability: float) -> bool:
        return bool(self.generator.random() < probability)

    def element(self) -> _Element:
        return _Element(self.happens(0.7), 2 if self.happens(0.1) else 1)


def draw(seed: int) -> Drawn:
    """The operation of this number."""
    dice = _Dice(seed)
    op = (Op.CONV, Op.CONV, Op.DEPTHWISE, Op.POOL, Op.ELEMENTWISE)[dice.within(0, 4)]
    return _elementwise(dice) if op is Op.ELEMENTWISE else _windowed(dice, op)


def draw_sum(seed: int) -> Drawn:
    """The ADD or SUB of bytes of this number."""
    dice = _Dice(seed)
    return _elementwise(dice, dice.one(*_ADD), _Element(dice.happens(0.5), 1))


def _windowed(dice: _Dice, op: Op) -> Drawn:
    mode = dice.one(0, 1, 1, 1, 2) if op is Op.POOL else 0
    output = dice.within(1, 5), dice.within(1, 6), 1 if mode == 2 and op is Op.POOL else dice.one(*DEPTHS)
    kernel = dice.within(1, 4), dice.within(1, 4)
    strides, dilations = (dice.one(1, 1, 2, 3), dice.one(1, 1, 2, 3)), (dice.one(1, 1, 2), dice.one(1, 1, 2))
    padded = [(n - 1) * s + (k - 1) * d + 1 for n, s, k, d in zip(output, strides, kernel, dilations, strict=False)]
    top, left = (dice.within(0, min(3, size - 1)) if dice.happens(0.5) else 0 for size in padded)
    bottom = dice.within(0, min(3, padded[0] - 1 - top)) if dice.happens(0.5) else 0
    right = dice.within(0, min(3, padded[1] - 1 - left)) if dice.happens(0.5) else 0
    reads_all = op is Op.CONV or (op is Op.POOL and mode == 2)
    input_depth = dice.one(*DEPTHS) if reads_all else output[2]
    height, width, upscale = padded[0] - top - bottom, padded[1] - left - right, dice.one(0, 0, 0, 0, 0, 1, 2)
    if upscale:
        height, width = -(-height // 2), -(-width // 2)
    ifm, ofm = dice.element(), dice.element()
    bits = [(strides[1] == 2, 0), (strides[1] == 3, 6), (strides[0] == 2, 1), (strides[0] == 3, 9)]
    bits += [(dice.happens(0.3), 2), (dilations[1] == 2, 3), (dilations[0] == 2, 4)]
    terms = kernel[0] * kernel[1] * (input_depth if reads_all else 1)
    steepness = 1 / terms if op is Op.POOL else 1 / (70 * terms**0.5)
    writes: list[Write] = [
        ("KERNEL_HEIGHT_M1", (kernel[0] - 1) * dilations[0]), ("KERNEL_WIDTH_M1", (kernel[1] - 1) * dilations[1]),
        ("KERNEL_STRIDE", sum(int(on) << at for on, at in bits)), ("IFM_UPSCALE", upscale),
        ("IFM_PAD_TOP", top), ("IFM_PAD_LEFT", left), ("IFM_PAD_BOTTOM", bottom), ("IFM_PAD_RIGHT", right),
    ]  # fmt: skip
    first = _place(dice, "IFM", (height, width, input_depth), ifm.size, None)
    result = _place(dice, "OFM", output, ofm.size, first)
    writes += first.writes + result.writes + _types(dice, ifm, ofm, first, result)
    return _finished(dice, writes, (op, mode), output[2], steepness, ofm)


def _elementwise(dice: _Dice, kind: int | None = None, element: _Element | None = None) -> Drawn:
    kind = dice.within(0, 9) if kind is None else kind
    output = dice.within(1, 5), dice.within(1, 6), dice.one(*DEPTHS)
    element = element or dice.element()
    ofm = element if dice.happens(0.8) else dice.element()
    broadcast = sum(1 << bit for bit in range(3) if dice.happens(0.2)) | (dice.happens(0.3) << 6)
    broadcast |= dice.happens(0.2) << 7
    second_shape = tuple(1 if broadcast >> axis & 1 else size for axis, size in enumerate(output))
    first = _place(dice, "IFM", output, element.size, None)
    second = _place(dice, "IFM2", second_shape, element.size, first)
    same = ofm.size == element.size and dice.happens(0.4)
    source = second if second_shape == output and dice.happens(0.3) else first
    result = source.renamed("OFM") if same else _place(dice, "OFM", output, ofm.size, source)
    mode = dice.one(0, 0, 1, 2)
    factor = 1 << 30 if mode else 1 << 13
    writes: list[Write] = [
        *first.writes, *second.writes, *result.writes, ("IFM2_BROADCAST", broadcast), ("IFM2_REGION", 1),
        ("IFM2_PRECISION", element.signed | (element.size >> 1) << 2 | second.bricks << 6),
        ("IFM2_SCALAR", dice.within(*element.limits)), ("IFM2_ZERO_POINT", dice.within(*element.limits)),
        ("OPA_SCALE", dice.within(factor // 2, factor) | dice.within(28, 32) << 32),
        ("OPB_SCALE", dice.within(factor // 2, factor)),
        *_types(dice, element, ofm, first, result, mode),
    ]  # fmt: skip
    steepness = 1 / (1 << (19 if mode else 13)) if kind in _ADD else 1 / 100
    return _finished(dice, writes, (Op.ELEMENTWISE, kind), output[2], steepness, ofm)


def _types(dice: _Dice, ifm: _Element, ofm: _Element, first: _Place, result: _Place, mode: int = 0) -> list[Write]:
    """Regions, precisions, zero points, limits and scales of the operands."""
    low, high = ofm.limits
    zero_points = dice.within(*ifm.limits), dice.within(low, high)
    if dice.happens(0.1):  # Of bytes, what no byte is.
        low, high, zero_points = -700, 700, (dice.within(-300, 300), dice.within(-300, 300))
    limits = [dice.within(low, high), dice.within(low, high)] if dice.happens(0.3) else [low, high]
    rounding = dice.one(0, 0, 0, 2, 2, 1)
    scaled = dice.happens(0.3)
    return [
        ("IFM_REGION", 1), ("OFM_REGION", 1), ("SCALE_REGION", 0), ("WEIGHT_REGION", 0),
        ("IFM_PRECISION", ifm.signed | (ifm.size >> 1) << 2 | first.bricks << 6 | mode << 8 | rounding << 14),
        ("OFM_PRECISION", ofm.signed | (ofm.size >> 1) << 1 | result.bricks << 6 | scaled << 8 | rounding << 14),
        ("IFM_ZERO_POINT", zero_points[0]), ("OFM_ZERO_POINT", zero_points[1]),
        ("ACTIVATION_MIN", limits[0]), ("ACTIVATION_MAX", limits[1]),
    ]  # fmt: skip


def _finished(dice: _Dice, writes: list[Write], operation: Write, depth: int, steepness: float, ofm: _Element) -> Drawn:
    """Adds scales, table and weights, which lie in region 0 one behind the other."""
    scales = [_scale(dice, steepness) for _ in range(depth)]
    constants = b"".join(_record(dice, *scale) for scale in scales)
    writes = [*writes, ("OFM_BLK_DEPTH_M1", dice.one(8, 16, 32) - 1), ("SCALE_BASE", 0)]
    writes.append(("OFM_SCALE", scales[0][0] | scales[0][1] << 32))
    if ofm.size == 1 and dice.happens(0.2):
        slot = dice.within(0, 7)
        writes += [
            ("DMA0_SRC_REGION", 0), ("DMA0_SRC", len(constants)), ("DMA0_DST_REGION", 0x100), ("DMA0_LEN", 256),
            ("DMA0_DST", U55.shram_bytes - LUT_BYTES + slot * 256), (Op.DMA_START, 0), ("ACTIVATION", 16 + slot),
        ]  # fmt: skip
        constants += dice.generator.bytes(256)
    if operation[0] in (Op.CONV, Op.DEPTHWISE):
        encoded = _weights(dice, [*writes, operation])
        writes += [("WEIGHT_BASE", len(constants)), ("WEIGHT_LENGTH", len(encoded))]
        constants += encoded
    return Drawn(assemble(*writes, operation, STOP), np.frombuffer(constants, np.uint8))


def _scale(dice: _Dice, steepness: float) -> tuple[int, int]:
    """(factor, shift), most with a factor of 31 bits as Vela has them."""
    real = steepness * 2.0 ** dice.within(-3, 3) * (1 + dice.generator.random())
    shift = min(62, 30 - int(np.floor(np.log2(real))) - dice.one(0, 0, 0, 8, 20))
    return max(1, int(real * 2.0**shift)), shift


def _record(dice: _Dice, factor: int, shift: int) -> bytes:
    bias = dice.within(-20_000, 20_000) & (1 << 40) - 1
    return bias.to_bytes(5, "little") + factor.to_bytes(4, "little") + bytes([shift])


def _weights(dice: _Dice, writes: Sequence[Write]) -> bytes:
    (operation,) = (op for op in decode_operations(assemble(*writes, STOP), U55) if isinstance(op, Convolution))
    places = order(layout_of(operation, U55))
    reach = dice.one(127, 127, 127, 255)
    values = dice.generator.integers(-reach, reach + 1, len(places))
    return encode_weights(np.where(places < 0, 0, values).tolist())


@dataclass(frozen=True)
class _Place:
    """A feature map somewhere in the arena: the registers that say so, and where its bytes begin."""

    prefix: str
    bricks: bool
    writes: list[Write]
    low: int

    def renamed(self, prefix: str) -> _Place:
        """The same place for another feature map."""
        writes = [(prefix + str(name).removeprefix(self.prefix), value) for name, value in self.writes]
        return _Place(prefix, self.bricks, [*writes], self.low)


def _place(dice: _Dice, prefix: str, shape: tuple[int, ...], size: int, other: _Place | None) -> _Place:
    """A place for a feature map of `shape`, if there is an `other` often upon it."""
    height, width, depth = shape
    bricks = dice.happens(0.4)
    strides = _strides(dice, height, width, depth, size, bricks)
    split_y = dice.within(1, height) if dice.happens(0.25) else height
    split_x = dice.within(1, width) if dice.happens(0.15) else width
    writes: list[Write] = [
        (f"{prefix}_{name}_M1", value - 1) for name, value in
        (("WIDTH0", split_x), ("HEIGHT0", split_y), ("HEIGHT1", split_y))
    ]  # fmt: skip
    if prefix == "OFM":
        writes += [(f"OFM_{name}_M1", value - 1) for name, value in zip(_AXES, shape, strict=True)]
    elif prefix == "IFM":
        writes.append(("IFM_DEPTH_M1", depth - 1))
    writes += [(f"{prefix}_STRIDE_{axis}", stride) for axis, stride in zip("YXC", strides, strict=True)]
    sizes = [(split_y, split_x), (split_y, width - split_x), (height - split_y, split_x)]
    lows = []
    for tile, (rows, columns) in enumerate([*sizes, (height - split_y, width - split_x)]):
        if not (rows and columns):
            continue
        piece = FeatureMap(1, (rows, columns, depth), np.dtype(f"u{size}"), bricks, strides,
                           (Tile(0, rows, 0, columns, 0),))  # fmt: skip
        low, high = piece.extent()
        room = max(0, ARENA - (high - low))
        at = dice.one(0, room, dice.within(0, room))
        if other is not None and dice.happens(0.5):
            at = min(max(0, other.low + dice.one(0, 0, -16, -1, 1, 7, 16, 33)), room)
        lows.append(at)
        writes.append((f"{prefix}_BASE{tile}", at - low))
    return _Place(prefix, bricks, writes, lows[0])


def _strides(dice: _Dice, height: int, width: int, depth: int, size: int, bricks: bool) -> tuple[int, int, int]:
    """Strides (y, x, c) in bytes: the axes nested in any order, with gaps and backwards."""
    run = BRICK * size * width if bricks else depth * size
    axes = {"y": height, ("c" if bricks else "x"): -(-depth // BRICK) if bricks else width}
    names = sorted(axes, reverse=dice.happens(0.7))
    strides = {"y": 0, "x": 0, "c": 0}
    for name in reversed(names):
        gap = dice.one(0, 0, 0, 1, 5, 16) * size
        stride = run + gap
        run = stride * axes[name]
        strides[name] = -stride if dice.happens(0.15) else stride
    if dice.happens(0.05):
        strides["y" if dice.happens(0.5) else "x"] = dice.one(0, 1, 4, 16)  # Elements over each other.
    return strides["y"], strides["x"], strides["c"]
