"""Operation decoder: from commands and registers to `Operation` values.

    for operation in decode_operations(words, accelerator):
        print(operation.kind)

Facts that no register states directly:

* The IFM's height and width follow from the OFM: `(ofm - 1)*stride + dilated kernel - padding`.
* KERNEL_HEIGHT/WIDTH hold the dilated size.
* Padding reads as the IFM zero point, that is as 0 after the zero point is subtracted.
* With *upscale* the IFM is read at half its height and width, each element twice (nearest) or with zeros between
  (for a transposed convolution).

Sources: Vela's `register_command_stream_generator.py` and `ethos_u55_regs`; facts found by comparing with TensorFlow's
reference kernels are marked.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypedDict

import numpy as np

from hil.core.errors import StreamError
from hil.npu.accelerator import LUT_BYTES, Accelerator
from hil.npu.stream import limits
from hil.npu.stream.commands import Op, StreamCommand, decode_commands
from hil.npu.stream.feature_map import FeatureMap, feature_map
from hil.npu.stream.operations import (
    SCALE_RECORD,
    SHRAM_REGION,
    UNARY,
    UNSCALED,
    Activation,
    BlockOperation,
    Convolution,
    Dma,
    Elementwise,
    Function,
    Kernel,
    Kind,
    Operation,
    Padding,
    Range,
    Rounding,
    Scale,
    Upscale,
    Wait,
    Windowed,
)
from hil.npu.stream.payload import Words

MAX_KERNEL_ELEMENTS = 1 << 16
"""Largest number of elements in a kernel (Vela: 64x64 for convolutions, 256x256 for average pools)."""

_AXES = ("HEIGHT", "WIDTH", "DEPTH")

_CLIP_RANGES: dict[int, tuple[int, int] | None] = {0: None, 2: (0, 255), 3: (-128, 127), 5: (-32768, 32767)}
"""Clamp ranges that bits 12-15 of ACTIVATION force; 0 leaves the range of the OFM's data type."""


_POOLS = (Kind.MAX_POOL, Kind.AVERAGE_POOL, Kind.REDUCE_SUM)
_ELEMENTWISE = (Kind.MUL, Kind.ADD, Kind.SUB, Kind.MIN, Kind.MAX, Kind.LRELU, Kind.ABS, Kind.CLZ, Kind.SHR, Kind.SHL)


class _BlockFields(TypedDict):
    ofm: FeatureMap
    block: tuple[int, int, int]
    blockdep: int
    accumulator: int
    rounding: Rounding
    scale: Scale | None
    records: Range | None
    ifm_zero_point: int
    output_zero_point: int
    activation: Activation


class _WindowFields(TypedDict):
    ifm: FeatureMap
    kernel: Kernel
    padding: Padding
    upscale: Upscale


def decode_operations(
    words: Words, accelerator: Accelerator, aliases: Mapping[int, int] | None = None
) -> tuple[Operation, ...]:
    """Decodes every operation of a command stream, in order.

    `aliases` maps a region to another that is the same memory.  Raises `StreamError` with the word offset for a command
    that is malformed or not modelled.
    """
    reader = _Reader(accelerator, aliases or {})
    operations: list[Operation] = []
    pieces = steps = 0
    for command in decode_commands(words):
        operation = reader.operation(command)
        if isinstance(operation, Dma):
            pieces += len(operation.sources)
            limits.check(pieces, limits.DMA_PIECES, "DMAs of {} pieces or more", command.word_offset)
        elif isinstance(operation, BlockOperation):
            steps += _steps(operation)
            limits.check(steps, limits.PROGRAM_STEPS, "operations of {} steps or more together", command.word_offset)
        if operation is not None:
            operations.append(operation)
    return tuple(operations)


@dataclass(frozen=True)
class _Reader:
    accelerator: Accelerator
    aliases: Mapping[int, int]

    def operation(self, command: StreamCommand) -> Operation | None:
        op, at = command.op, command.word_offset
        if op in (Op.CONV, Op.DEPTHWISE):
            return self._convolution(command)
        if op is Op.POOL:
            kind = self._member(command, _POOLS)
            if kind is Kind.REDUCE_SUM and command.registers["OFM_DEPTH_M1"]:
                raise StreamError("a sum over depth with an output of more than one channel", word_offset=at)
            return Windowed(kind, at, **self._block(command, kind), **self._window(command))
        if op is Op.ELEMENTWISE:
            return self._elementwise(command)
        if op is Op.DMA_START:
            return self._dma(command)
        if op is Op.DMA_WAIT:
            return Wait(Kind.DMA_WAIT, at, command.parameter & 15)
        if op is Op.KERNEL_WAIT:
            return Wait(Kind.KERNEL_WAIT, at, command.parameter & 3)
        return None

    def region(self, value: int) -> int:
        return self.aliases.get(value & 7, value & 7)

    def _member(self, command: StreamCommand, kinds: tuple[Kind, ...]) -> Kind:
        if command.parameter >= len(kinds):
            raise StreamError(f"{command.op.name} has no mode {command.parameter}", word_offset=command.word_offset)
        return kinds[command.parameter]

    def _feature_map(self, command: StreamCommand, prefix: str, shape: tuple[int, int, int]) -> FeatureMap:
        region = self.region(command.registers[f"{prefix}_REGION"])
        return feature_map(command.registers, prefix, shape, region, command.word_offset)

    def _block(self, command: StreamCommand, kind: Kind) -> _BlockFields:
        """Reads the fields that all block operations share, without the IFM."""
        registers, at = command.registers, command.word_offset
        shape = (registers["OFM_HEIGHT_M1"] + 1, registers["OFM_WIDTH_M1"] + 1, registers["OFM_DEPTH_M1"] + 1)
        ofm = self._feature_map(command, "OFM", shape)
        precision = registers["OFM_PRECISION"]
        scale = _scale(registers, "OFM_SCALE") if precision & 0x100 else None
        records = None
        divides_by_count = kind is Kind.AVERAGE_POOL and _padding(registers)
        if scale is None and kind not in UNSCALED and not divides_by_count:
            region = self.region(registers["SCALE_REGION"])
            records = Range(region, registers["SCALE_BASE"], SCALE_RECORD * shape[2])
        activation = self._activation(command, ofm)
        if registers["ACC_FORMAT"] > 1:
            raise StreamError("accumulators in floating point are not modelled", word_offset=at)
        return {
            "ofm": ofm,
            "block": (
                registers["OFM_BLK_HEIGHT_M1"] + 1,
                registers["OFM_BLK_WIDTH_M1"] + 1,
                registers["OFM_BLK_DEPTH_M1"] + 1,
            ),
            "blockdep": registers["BLOCKDEP"],
            "accumulator": registers["ACC_FORMAT"],
            "rounding": _rounding(precision, at),
            "scale": scale,
            "records": records,
            "ifm_zero_point": registers["IFM_ZERO_POINT"],
            # Found by comparing: a 32-bit output takes no zero point unless a range is forced on it.
            "output_zero_point": 0 if activation.wraps else registers["OFM_ZERO_POINT"],
            "activation": activation,
        }

    def _activation(self, command: StreamCommand, ofm: FeatureMap) -> Activation:
        registers, at = command.registers, command.word_offset
        function, clip = registers["ACTIVATION"] & 0xFFF, registers["ACTIVATION"] >> 12
        if clip not in _CLIP_RANGES or not (function in (0, 3, 4) or 16 <= function <= 23):
            raise StreamError(f"activation {registers['ACTIVATION']:#x} is not known", word_offset=at)
        if function in (3, 4) and ofm.dtype != np.int16:
            name = Function(function).name
            raise StreamError(f"activation {name} of {ofm.dtype}, which only 16 bits have", word_offset=at)
        limits = np.iinfo(ofm.dtype)
        low, high = _CLIP_RANGES[clip] or (int(limits.min), int(limits.max))
        minimum, maximum = registers["ACTIVATION_MIN"], registers["ACTIVATION_MAX"]
        if limits.min == 0:
            minimum, maximum = minimum & 0xFFFF, maximum & 0xFFFF
        if function < 16:  # Without a table, values must fit the OFM's type, also if the limits do not.
            low, high = max(low, int(limits.min)), min(high, int(limits.max))
        low, high = min(max(low, minimum), high), max(min(high, maximum), low)
        lut, index_signed = None, None
        if function >= 16:
            narrow = ofm.dtype.itemsize == 1 or clip in (2, 3)
            length = 256 * ofm.dtype.itemsize if narrow else 2048
            base = self.accelerator.shram_bytes - LUT_BYTES + (function - 16) * 256
            lut = Range(SHRAM_REGION, base, length)
            index_signed = (ofm.dtype != np.uint8 and clip != 2) if narrow else None
            if lut.end > self.accelerator.shram_bytes:
                raise StreamError("the lookup table reaches over the end of SHRAM", word_offset=at)
            if not narrow and ofm.dtype != np.int16:
                raise StreamError(f"a lookup table for {ofm.dtype} without a forced range", word_offset=at)
        own = Function(function) if function < 16 else Function.NONE
        return Activation(low, high, ofm.dtype == np.int32 and clip == 0, lut, index_signed, own)

    def _window(self, command: StreamCommand) -> _WindowFields:
        """Reads kernel, padding, upscale, and the IFM whose shape follows from them."""
        registers, at = command.registers, command.word_offset
        kernel = _kernel(registers, at)
        padding = _padding(registers)
        upscale = registers["IFM_UPSCALE"]
        if upscale > 2:
            raise StreamError(f"upscale mode {upscale} is not known", word_offset=at)
        height = registers["OFM_HEIGHT_M1"] * kernel.stride_y + (kernel.height - 1) * kernel.dilation_y + 1
        width = registers["OFM_WIDTH_M1"] * kernel.stride_x + (kernel.width - 1) * kernel.dilation_x + 1
        steps = kernel.height * kernel.width * math.prod(registers[f"OFM_{axis}_M1"] + 1 for axis in _AXES)
        if command.op is Op.CONV:
            steps = steps * (registers["IFM_DEPTH_M1"] + 1) // limits.CONVOLUTION_STEPS
        limits.check(steps, limits.STEPS, "a kernel and output of {} steps together", at)
        padded = height * width
        height, width = height - padding.top - padding.bottom, width - padding.left - padding.right
        if height <= 0 or width <= 0:
            raise StreamError("the padding leaves nothing of the input", word_offset=at)
        reads_all = command.op is Op.CONV or (command.op is Op.POOL and command.parameter == 2)
        depth = registers["IFM_DEPTH_M1" if reads_all else "OFM_DEPTH_M1"] + 1
        limits.check((padded - height * width) * depth, limits.PADDING_ELEMENTS, "padding of {} elements", at)
        if upscale:
            height, width = -(-height // 2), -(-width // 2)
        return {
            "ifm": self._feature_map(command, "IFM", (height, width, depth)),
            "kernel": kernel,
            "padding": padding,
            "upscale": Upscale(upscale),
        }

    def _convolution(self, command: StreamCommand) -> Convolution:
        registers = command.registers
        kind = Kind.CONV if command.op is Op.CONV else Kind.DEPTHWISE
        block = self._block(command, kind)
        window = self._window(command)
        if window["ifm"].dtype.itemsize > 2:
            raise StreamError("a convolution of 32-bit elements", word_offset=command.word_offset)
        weights, weights1 = self._weights(registers, ""), None
        records, records1 = block["records"], None
        if self.accelerator.cores == 2 and registers["PARALLEL_MODE"] & 1:
            channels = block["ofm"].shape[2]
            weights1 = self._weights(registers, "1") if channels > 1 else None
            if records is not None:
                block["records"] = replace(records, length=SCALE_RECORD * -(-channels // 2))
                length = SCALE_RECORD * (channels // 2)
                records1 = Range(records.region, registers["SCALE1_BASE"], length) if length else None
        return Convolution(
            kind, command.word_offset, **block, **window, weights=weights, weights1=weights1, records1=records1
        )

    def _weights(self, registers: Mapping[str, int], core: str) -> Range:
        length = registers[f"WEIGHT{core}_LENGTH"] & 0xFFFFFFFF
        return Range(self.region(registers["WEIGHT_REGION"]), registers[f"WEIGHT{core}_BASE"], length)

    def _elementwise(self, command: StreamCommand) -> Elementwise:
        registers, at = command.registers, command.word_offset
        kind = self._member(command, _ELEMENTWISE)
        block = self._block(command, kind)
        shape = block["ofm"].shape
        precision, broadcast = registers["IFM_PRECISION"], registers["IFM2_BROADCAST"]
        height, width, depth = shape
        scalar = kind not in UNARY and broadcast & 0x80
        ifm2 = None
        if kind not in UNARY and not scalar:
            ifm2_shape = (1 if broadcast & 1 else height, 1 if broadcast & 2 else width, 1 if broadcast & 4 else depth)
            ifm2 = self._feature_map(command, "IFM2", ifm2_shape)
        mode = precision >> 8 & 3
        if mode > 2:
            raise StreamError("operand scaling mode 3 is not known", word_offset=at)
        scales = _scale(registers, "OPA_SCALE"), _scale(registers, "OPB_SCALE")
        wide = kind in (Kind.ADD, Kind.SUB) and precision >> 2 & 3 == 2
        if wide and (mode or {scales[0].factor, scales[1].factor} != {1}):
            _check_wide_sum(mode, scales, block["scale"], at)
            scales, block["scale"] = (Scale(1, 0), Scale(1, 0)), Scale(1, 0)
        return Elementwise(
            kind,
            at,
            **block,
            ifm=self._feature_map(command, "IFM", shape),
            ifm2=ifm2,
            scalar=registers["IFM2_SCALAR"] if scalar else None,
            ifm2_zero_point=registers["IFM2_ZERO_POINT"],
            reversed_operands=bool(broadcast & 0x40),
            scaled_operand=mode,
            operand_rounding=_rounding(precision, at),
            scale_a=scales[0],
            scale_b=scales[1],
        )

    def _dma(self, command: StreamCommand) -> Dma:
        registers, at = command.registers, command.word_offset
        modes = [registers[f"DMA0_{side}_REGION"] >> 9 & 3 for side in ("SRC", "DST")]
        if max(modes) > 2:
            raise StreamError("DMA stride mode 3 is not known", word_offset=at)
        regions = [
            SHRAM_REGION if registers[f"DMA0_{side}_REGION"] & 0x100 else self.region(registers[f"DMA0_{side}_REGION"])
            for side in ("SRC", "DST")
        ]
        rows = registers["DMA0_SIZE0"] if max(modes) else 1
        planes = registers["DMA0_SIZE1"] if max(modes) == 2 else 1
        limits.check(rows * planes, limits.DMA_PIECES, "a DMA of {} pieces", at)
        length = registers["DMA0_LEN"]
        sides = []
        for side, mode in zip(("SRC", "DST"), modes, strict=True):
            row = length + (registers["DMA0_SKIP0"] if mode else 0)
            plane = row * rows + (registers["DMA0_SKIP1"] if mode == 2 else 0)
            base = registers[f"DMA0_{side}"]
            sides.append(tuple(base + p * plane + r * row for p in range(planes) for r in range(rows)))
            if min(sides[-1], default=0) < 0:
                raise StreamError("a DMA reaches below its region", word_offset=at)
        return Dma(Kind.DMA, at, regions[0], regions[1], length, sides[0], sides[1])


def _steps(operation: BlockOperation) -> int:
    """Returns the steps of an operation, as `limits.STEPS` counts them."""
    steps = operation.ofm.elements
    if isinstance(operation, Windowed):
        steps *= operation.kernel.height * operation.kernel.width
    if operation.kind is Kind.CONV:
        return steps * operation.ifm.shape[2] // limits.CONVOLUTION_STEPS
    return max(steps, operation.ifm.elements)


def _check_wide_sum(mode: int, operands: tuple[Scale, Scale], output: Scale | None, at: int) -> None:
    """Refuses scales of 32-bit operands but those that Vela emits: OFM_SCALE undoes them, so the sum is unscaled."""
    same = operands[0].factor == operands[1].factor
    if mode or not same or output is None or operands[0].factor * output.factor != 1 << output.shift:
        raise StreamError("a sum of 32-bit operands of different scales is not modelled", word_offset=at)


def _rounding(precision: int, at: int) -> Rounding:
    if precision >> 14 == 3:
        raise StreamError("rounding mode 3 is not known", word_offset=at)
    return Rounding(precision >> 14)


def _scale(registers: Mapping[str, int], name: str) -> Scale:
    return Scale(registers[name], registers[name + "_SHIFT"])


def _padding(registers: Mapping[str, int]) -> Padding:
    return Padding(*(registers[f"IFM_PAD_{side}"] & 0xFF for side in ("TOP", "LEFT", "BOTTOM", "RIGHT")))


def _kernel(registers: Mapping[str, int], at: int) -> Kernel:
    """Reads the kernel.

    KERNEL_STRIDE: bits 0 and 6 stride x, 1 and 9 stride y, 2 part-kernel-first, 3 and 4 dilation x and y.
    """
    bits = registers["KERNEL_STRIDE"]
    dilation_y, dilation_x = 1 + (bits >> 4 & 1), 1 + (bits >> 3 & 1)
    kernel = Kernel(
        registers["KERNEL_HEIGHT_M1"] // dilation_y + 1,
        registers["KERNEL_WIDTH_M1"] // dilation_x + 1,
        1 + (bits >> 1 & 1) + (bits >> 9 & 1) * 2,
        1 + (bits & 1) + (bits >> 6 & 1) * 2,
        dilation_y,
        dilation_x,
        bool(bits >> 2 & 1),
    )
    if kernel.height * kernel.width > MAX_KERNEL_ELEMENTS:
        raise StreamError(f"a kernel of {kernel.height}x{kernel.width} elements", word_offset=at)
    return kernel
