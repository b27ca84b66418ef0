"""CONV_2D and DEPTHWISE_CONV_2D."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import product

import numpy as np

from tests.support.operators.builder import Op, Tensor, build
from tests.support.operators.case import Case, Generator
from tests.support.operators.quantization import activation_tensor
from tests.support.operators.shapes import window_output
from tests.support.operators.weight_tensors import PLAIN, Weighting, output_of, weights_of

Pair = tuple[int, int]
_FUSED = ("RELU", "RELU6", "RELU_N1_TO_1")


@dataclass(frozen=True)
class Window:
    """Parameters of a convolution; `depth` is the output's, for a depthwise one its multiplier.

    `pad` is what an explicit PAD in front adds: (top, bottom, left, right).
    """

    shape: tuple[int, int, int]
    depth: int
    kernel: Pair = (3, 3)
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    padding: str = "SAME"
    fused: str = "NONE"
    how: Weighting = PLAIN
    pad: tuple[int, int, int, int] = (0, 0, 0, 0)


def cases() -> Iterator[Case]:
    """The grid for each type, then random draws."""
    for dtype in ("int8", "uint8", "int16"):
        for operator, grid in (("CONV_2D", _convolutions(dtype)), ("DEPTHWISE_CONV_2D", _depthwise(dtype))):
            for name, window in grid:
                yield Case(operator, dtype, name, partial(_model, operator, dtype, window))
            for draw in range(20):
                yield Case(operator, dtype, f"random{draw}", partial(_random, operator, dtype))


def _convolutions(dtype: str) -> Iterator[tuple[str, Window]]:
    base = Window((9, 8, 5), 7)
    yield from _windows(base)
    for depth, out in product((1, 8, 15, 17, 32, 33, 72), (1, 4, 9, 16, 40)):
        yield f"depth{depth}-{out}", replace(base, shape=(5, 4, depth), depth=out)
    for depth, out in ((130, 70), (20, 264), (64, 128)):
        yield f"depth{depth}-{out}", replace(base, shape=(4, 4, depth), depth=out)
    yield from _weightings(base, dtype)
    if dtype == "int16":
        yield "bias32", replace(base, how=Weighting(bias_type="int32"))
        yield "bias32-extreme", replace(base, how=Weighting(bias_type="int32", extreme=True))
    for kernel in ((64, 64), (64, 1), (1, 64), (20, 9), (9, 20), (1, 65), (65, 1)):
        shape = (max(kernel[0], 4) + 1, max(kernel[1], 4) + 1, 2)
        yield f"kernel{kernel[0]}x{kernel[1]}", Window(shape, 3, kernel, padding="VALID")
    for kernel, stride in (((1, 5), (1, 2)), ((1, 5), (1, 3)), ((1, 1), (1, 1)), ((1, 8), (1, 4))):
        yield f"conv1d-{kernel[1]}-stride{stride[1]}", Window((1, 33, 12), 10, kernel, stride)
    yield "pixel", Window((1, 1, 40), 24, (1, 1))
    yield "wide", Window((2, 300, 3), 4)
    yield "tall", Window((300, 2, 3), 4)


def _depthwise(dtype: str) -> Iterator[tuple[str, Window]]:
    base = Window((9, 8, 6), 1)
    yield from _windows(base)
    for depth in (1, 3, 8, 15, 16, 17, 33, 72, 130):
        yield f"depth{depth}", replace(base, shape=(5, 4, depth))
    for depth, multiplier in product((1, 3), (2, 5, 8, 16, 33)):
        yield f"depth{depth}-multiplier{multiplier}", replace(base, shape=(5, 6, depth), depth=multiplier)
    for fused, multiplier in product(_FUSED, (2, 8)):
        yield f"{fused}-multiplier{multiplier}", replace(base, depth=multiplier, fused=fused)
    yield from _weightings(base, dtype)
    for kernel in ((64, 64), (64, 1), (1, 64), (20, 9), (9, 20)):
        shape = (max(kernel[0], 4) + 1, max(kernel[1], 4) + 1, 2)
        yield f"kernel{kernel[0]}x{kernel[1]}", Window(shape, 1, kernel, padding="VALID")
    yield "conv1d", Window((1, 33, 12), 1, (1, 5), (1, 2))


def _windows(base: Window) -> Iterator[tuple[str, Window]]:
    for size, stride, padding in product((1, 2, 3, 4, 5), (1, 2, 3), ("SAME", "VALID")):
        name = f"kernel{size}-stride{stride}-{padding}"
        yield name, replace(base, kernel=(size, size), stride=(stride, stride), padding=padding)
    for stride in ((1, 2), (2, 1), (3, 1), (1, 3), (2, 3), (4, 4), (4, 2), (1, 5), (6, 6), (1, 8)):
        for padding in ("SAME", "VALID"):
            name = f"stride{stride[0]}x{stride[1]}-{padding}"
            yield name, replace(base, shape=(12, 24, base.shape[2]), kernel=(3, 5), stride=stride, padding=padding)
    for dilation, padding in product(((2, 2), (1, 2), (2, 1), (3, 3), (4, 2)), ("SAME", "VALID")):
        name = f"dilation{dilation[0]}x{dilation[1]}-{padding}"
        yield name, replace(base, shape=(13, 12, base.shape[2]), dilation=dilation, padding=padding)
    for kernel in ((8, 8), (9, 9), (5, 9), (11, 3)):
        name = f"kernel{kernel[0]}x{kernel[1]}-dilated"
        yield name, replace(base, shape=(20, 20, base.shape[2]), kernel=kernel, dilation=(2, 2))
    for pad in ((1, 1, 1, 1), (0, 1, 0, 1), (1, 0, 2, 1), (3, 3, 3, 3)):
        name = f"pad{''.join(map(str, pad))}"
        yield name, replace(base, kernel=(4, 4), padding="VALID", pad=pad)
        yield f"{name}-stride2", replace(base, kernel=(4, 4), stride=(2, 2), padding="VALID", pad=pad)
    for fused in _FUSED:
        yield f"{fused}", replace(base, fused=fused)


def _weightings(base: Window, dtype: str) -> Iterator[tuple[str, Window]]:
    yield "per-tensor", replace(base, how=Weighting(per_channel=False))
    yield "extreme", replace(base, how=Weighting(extreme=True))
    yield "zeros", replace(base, how=Weighting(zeros=0.9))
    yield "all-zero", replace(base, how=Weighting(zeros=1.0))
    for spread in (0.01, 0.1, 10.0, 1000.0):
        yield f"spread{spread:g}", replace(base, how=Weighting(spread=spread))
    if dtype == "int8":
        yield "int4", replace(base, how=Weighting(bits=4))


def _model(operator: str, dtype: str, window: Window, random: Generator) -> bytes:
    depthwise = operator == "DEPTHWISE_CONV_2D"
    x = activation_tensor(random, (1, *window.shape), dtype)
    padded, front = _padded(x, window.pad)
    height, width, depth = padded.shape[1:]
    size = window_output((height, width), window.kernel, window.stride, window.dilation, window.padding)
    channels = depth * window.depth if depthwise else window.depth
    shape = (1, *window.kernel, channels) if depthwise else (channels, *window.kernel, depth)
    weights, bias = weights_of(random, x, shape, 3 if depthwise else 0, window.how)
    terms = window.kernel[0] * window.kernel[1] * (1 if depthwise else depth)
    y = output_of(random, x, weights, (1, *size, channels), terms, window.how)
    options = {
        "padding": window.padding,
        "stride_h": window.stride[0],
        "stride_w": window.stride[1],
        "dilation_h_factor": window.dilation[0],
        "dilation_w_factor": window.dilation[1],
        "fused_activation_function": window.fused,
    }
    if depthwise:
        options["depth_multiplier"] = window.depth
    elif window.how.bias_type:
        options["quantized_bias_type"] = window.how.bias_type.upper()
    inputs = (padded, weights) if bias is None else (padded, weights, bias)
    return build(*front, Op(operator, inputs, (y,), **options))


def _padded(x: Tensor, pad: tuple[int, int, int, int]) -> tuple[Tensor, list[Op]]:
    if not any(pad):
        return x, []
    top, bottom, left, right = pad
    amounts = np.array([[0, 0], [top, bottom], [left, right], [0, 0]], np.int32)
    _, height, width, depth = x.shape
    shape = (1, height + top + bottom, width + left + right, depth)
    y = Tensor(shape, x.dtype, x.scale, x.zero_point)
    return y, [Op("PAD", (x, Tensor((4, 2), "int32", data=amounts)), (y,))]


def _random(operator: str, dtype: str, random: Generator) -> bytes:
    """Any parameters that TFLite takes, chosen so that most of them are placed."""
    dilation = (2, 2) if random.random() < 0.25 else (1, 1)
    stride = (1, 1) if dilation == (2, 2) else (int(random.integers(1, 4)), int(random.integers(1, 4)))
    kernel = (int(random.integers(1, 8)), int(random.integers(1, 8)))
    depthwise = operator == "DEPTHWISE_CONV_2D"
    window = Window(
        (int(random.integers(15, 26)), int(random.integers(15, 26)), int(random.integers(1, 50))),
        1 if depthwise else int(random.integers(1, 60)),
        kernel,
        stride,
        dilation,
        str(random.choice(["SAME", "VALID"])),
        str(random.choice(["NONE", "RELU", "RELU6"])),
        Weighting(
            bool(random.random() < 0.7), True, "", float(2 ** random.uniform(-3, 3)), zeros=float(random.random())
        ),
    )
    return _model(operator, dtype, window, random)
