"""Formats a disassembled operation as lines of a given width, at most 100 columns.

   30     396  conv 3x3, pad 1 1 1 1 (top left bottom right), depth-first                  CONV_2D 9
                ifm      8x8x64        int8   NHCWB16  1:0x00000  zero -128  block/conv_1
                ofm      8x8x64        int8   NHCWB16  1:0x01000  zero -2    block/conv_2
                weights  0:0x09d40  36,864 in 34,256 bytes, 7.4 bits each, 395 are 0
                scales   0:0x09ac0  64 channels, 0.0009569 to 0.001896, bias -4,347 to 17,998
                output   -128 to 127, rounding TFL
                block    8x8x16, 32-bit accumulators, blockdep 1

Number, word offset and kind come first, then one line per subject.  Shapes are height x width x depth; an address is
`region:offset`; `zero` is the zero point.  Strides are shown if the feature map has gaps between elements, tiles if
there is more than one.  A scale is a real number, a per-tensor scale also `factor / 2^shift`.  Of the names that TFLite
joins for fused operators only the first is shown.  An accelerator of two cores also has `weights1` and `scales1`, for
the odd output channels.  What does not fit continues between two words, below where it began.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from hil.npu.disassembly.instruction import Instruction, RecordFigures, WeightFigures
from hil.npu.stream.feature_map import BRICK, FeatureMap
from hil.npu.stream.operations import (
    SHRAM_REGION,
    BlockOperation,
    Dma,
    Elementwise,
    Function,
    Kind,
    Range,
    Scale,
    Upscale,
    Wait,
    Windowed,
)

WIDTH = 100
"""Columns of a line where there is room for them."""
_HEAD = 16
_GAP = 2
_LABEL = 8
_NAME = 22
_ACCUMULATORS = {0: "32-bit", 1: "40-bit", 2: "fp16"}
_SCALED_OPERANDS = (Kind.ADD, Kind.SUB)


def lines(instruction: Instruction, *, registers: bool = False, width: int = WIDTH) -> list[str]:
    """Formats one operation; with `registers` also the registers set since the previous one."""
    width = min(width, WIDTH)
    found = fold(f"{instruction.index:>5} {instruction.operation.word_offset:>7}  ", headline(instruction), width)
    if part_of := instruction.part_of:
        if len(found[-1]) + _GAP + len(part_of) > width:
            found.append("")
        found[-1] += part_of.rjust(width - len(found[-1]))
    for label, text in _subjects(instruction):
        found += fold(f"{' ' * _HEAD}{label:<{_LABEL}} ", text, width)
    if registers:
        found += _register_lines(instruction, width)
    return found


def fold(head: str, text: str, width: int) -> list[str]:
    """Wraps a text that follows `head` between words, further lines below its begin; a wider word stays whole."""
    room = max(1, width - len(head))
    first, *more = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False) or [""]
    return [(head + first).rstrip(), *(" " * len(head) + line for line in more)]


def headline(instruction: Instruction) -> str:
    """Summarizes an operation in a few words: `conv 3x3, stride 2`, `dma 0:0x00000 -> 1:0x02710, 1,280 bytes`."""
    operation = instruction.operation
    kind = operation.kind.value
    if isinstance(operation, Wait):
        what = "DMAs" if operation.kind is Kind.DMA_WAIT else "block operations"
        return f"{kind} until at most {operation.outstanding} {what} run"
    if isinstance(operation, Dma):
        moved = ", ".join(short_name(name, 40) for name in instruction.inputs[0])
        used = "" if instruction.used_by is None else f" for #{instruction.used_by}"
        return f"{kind} {_dma(operation)}{used}" + (f": {moved}" if moved else "")
    if isinstance(operation, Windowed):
        return ", ".join([f"{kind} {operation.kernel.height}x{operation.kernel.width}", *_window(operation)])
    if isinstance(operation, Elementwise) and operation.reversed_operands:
        return f"{kind}, operands reversed"
    return kind


def address(place: Range | FeatureMap) -> str:
    """Formats an address as `region:offset`, as in 1:0x04000."""
    return _at(place.region, place.address)


def _at(region: int, offset: int) -> str:
    return f"shram:{offset:#07x}" if region == SHRAM_REGION else f"{region}:{offset:#07x}"


def first_name(name: str) -> str:
    """Returns the first of the names that TFLite joins for fused operators."""
    return name.partition(";")[0]


def short_name(name: str, width: int) -> str:
    """Returns the first of a tensor's names, cut at its left to `width` characters."""
    text = first_name(name)
    return text if len(text) <= width else "…" + text[len(text) - width + 1 :]


def _dma(operation: Dma) -> str:
    source = _at(operation.source_region, operation.sources[0] if operation.sources else 0)
    target = _at(operation.destination_region, operation.destinations[0] if operation.destinations else 0)
    pieces = f", {len(operation.sources)} pieces" if len(operation.sources) != 1 else ""
    return f"{source} -> {target}, {operation.length:,} bytes{pieces}"


def _window(operation: Windowed) -> Iterator[str]:
    kernel, padding = operation.kernel, operation.padding
    if (kernel.stride_y, kernel.stride_x) != (1, 1):
        yield f"stride {_pair(kernel.stride_y, kernel.stride_x)}"
    if (kernel.dilation_y, kernel.dilation_x) != (1, 1):
        yield f"dilation {_pair(kernel.dilation_y, kernel.dilation_x)}"
    if padding:
        yield f"pad {padding.top} {padding.left} {padding.bottom} {padding.right} (top left bottom right)"
    if operation.upscale is not Upscale.NONE:
        yield f"upscale {operation.upscale.name.lower()}"
    if operation.kind is Kind.CONV:
        yield "part-kernel-first" if kernel.part_first else "depth-first"


def _pair(y: int, x: int) -> str:
    return str(y) if y == x else f"{y}x{x}"


def _subjects(instruction: Instruction) -> Iterator[tuple[str, str]]:
    """Yields pairs of label and text, one per line."""
    operation = instruction.operation
    if not isinstance(operation, BlockOperation):
        return
    names = [", ".join(short_name(name, _NAME) for name in labels) for labels in instruction.inputs]
    yield from _feature_map("ifm", operation.ifm, operation.ifm_zero_point, names[0])
    if isinstance(operation, Elementwise):
        if operation.ifm2 is not None:
            yield from _feature_map("ifm2", operation.ifm2, operation.ifm2_zero_point, names[1])
        elif operation.scalar is not None:
            yield "scalar", f"{operation.scalar}, zero {operation.ifm2_zero_point}"
    yield from _feature_map("ofm", operation.ofm, operation.output_zero_point, short_name(instruction.output, _NAME))
    if isinstance(operation, Elementwise) and operation.kind in _SCALED_OPERANDS:
        yield "operands", _operands(operation)
    for core, weights in enumerate(instruction.weights):
        yield f"weights{core or ''}", _weights(weights)
    if operation.scale is not None:
        yield "scale", _real(operation.scale)
    for core, records in enumerate(instruction.records):
        yield f"scales{core or ''}", _records(records)
    yield from _activation(operation)
    height, width, depth = operation.block
    accumulator = _ACCUMULATORS.get(operation.accumulator, str(operation.accumulator))
    yield "block", f"{height}x{width}x{depth}, {accumulator} accumulators, blockdep {operation.blockdep}"


def _feature_map(label: str, feature_map: FeatureMap, zero_point: int, name: str) -> Iterator[tuple[str, str]]:
    shape = "x".join(map(str, feature_map.shape))
    layout = "NHCWB16" if feature_map.bricks else "NHWC"
    text = f"{shape:<13} {feature_map.dtype.name:<6} {layout:<8} {address(feature_map):<10} zero {zero_point:<5}"
    yield label, f"{text} {name}".rstrip()
    if not _fills(feature_map):
        stride_y, stride_x, stride_c = feature_map.strides
        yield "", f"strides y {stride_y:,}, " + (f"brick {stride_c:,}" if feature_map.bricks else f"x {stride_x:,}")
    if len(feature_map.tiles) > 1:
        yield "", "tiles " + "; ".join(_tile(feature_map, number) for number in range(len(feature_map.tiles)))


def _tile(feature_map: FeatureMap, number: int) -> str:
    tile = feature_map.tiles[number]
    columns = "" if tile.right - tile.left == feature_map.shape[1] else f" columns {tile.left}-{tile.right - 1}"
    return f"rows {tile.top}-{tile.bottom - 1}{columns} at {tile.address:#07x}"


def _fills(feature_map: FeatureMap) -> bool:
    """True if elements have no gaps between them, but for the padding of the last brick."""
    _, width, depth = feature_map.shape
    size = feature_map.dtype.itemsize
    stride_y, stride_x, stride_c = feature_map.strides
    if feature_map.bricks:
        brick = BRICK * width * size
        return stride_y == brick * -(-depth // BRICK) and (stride_c == brick or depth <= BRICK)
    return stride_x == depth * size and stride_y == width * depth * size


def _weights(figures: WeightFigures) -> str:
    text = f"{address(figures.place):<10} {figures.elements:,} in {figures.place.length:,} bytes"
    if figures.elements:
        text += f", {8 * figures.place.length / figures.elements:.1f} bits each"
    if figures.zeros is not None:
        text += f", {figures.zeros:,} are 0"
    return text + (f" (from {address(figures.origin)})" if figures.origin else "")


def _records(figures: RecordFigures) -> str:
    text = f"{address(figures.place):<10} {figures.count} channels, "
    if figures.scale is None or figures.bias is None:
        return text + "known only when it runs"
    (low, high), (least, most) = figures.scale, figures.bias
    scale = f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"
    bias = f"{least:,}" if least == most else f"{least:,} to {most:,}"
    return f"{text}{scale}, bias {bias}"


def _real(scale: Scale) -> str:
    return f"{scale.factor / 2**scale.shift:.6g} = {scale.factor:,} / 2^{scale.shift}"


def _operands(operation: Elementwise) -> str:
    only = {1: f"a x {_real(operation.scale_a)}, b shifted only", 2: f"a shifted only, b x {_real(operation.scale_a)}"}
    both = f"a x {_real(operation.scale_a)}, b x {_real(operation.scale_b)}"
    return only.get(operation.scaled_operand, both)


def _activation(operation: BlockOperation) -> Iterator[tuple[str, str]]:
    activation = operation.activation
    rounding = f"rounding {operation.rounding.name}"
    if activation.function is not Function.NONE:
        yield "output", f"{activation.function.name.lower()}, {rounding}"
    elif activation.wraps:
        yield "output", f"wraps round in 32 bits, {rounding}"
    else:
        yield "output", f"{activation.minimum} to {activation.maximum}, {rounding}"
    if activation.lut is not None:
        index = "interpolated" if activation.index_signed is None else "one entry a value"
        yield "table", f"{address(activation.lut)}  {activation.lut.length:,} bytes, {index}"


def _register_lines(instruction: Instruction, width: int) -> Iterator[str]:
    for write in instruction.registers:
        value = f"{write.value:#x}" if write.value >= 0 else str(write.value)
        text = f"{write.word_offset:>13}    NPU_SET_{write.register:<18} {value}"
        if write.shift is not None:
            text += f" shift {write.shift}"
        yield text
        if write.fields:
            yield from fold(" " * (_HEAD + 27), write.fields, width)
