"""TRANSPOSE_CONV."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import product

import numpy as np

from tests.support.operators.builder import Op, Tensor, build
from tests.support.operators.case import Case, Generator
from tests.support.operators.quantization import activation_tensor
from tests.support.operators.weight_tensors import PLAIN, Weighting, output_of, weights_of

Pair = tuple[int, int]


def cases() -> Iterator[Case]:
    """Kernels by strides and paddings, depths, ways to quantize."""
    for dtype in ("int8", "uint8", "int16"):

        def case(
            name: str,
            shape: tuple[int, int, int],
            depth: int,
            kernel: Pair,
            stride: Pair,
            padding: str,
            how: Weighting | None = None,
            fused: str = "NONE",
            dtype: str = dtype,
        ) -> Case:
            made = how or PLAIN
            build_model = partial(_model, dtype, shape, depth, kernel, stride, padding, made, fused)
            return Case("TRANSPOSE_CONV", dtype, name, build_model)

        for size, stride, padding in product((1, 2, 3, 4, 5), ((1, 1), (2, 2)), ("SAME", "VALID")):
            yield case(f"kernel{size}-stride{stride[0]}-{padding}", (5, 4, 6), 7, (size, size), stride, padding)
        for stride, kernel, shape in (
            ((1, 2), (1, 3), (1, 9, 5)),
            ((2, 1), (3, 1), (9, 1, 5)),
            ((1, 2), (1, 4), (1, 6, 8)),
        ):
            for padding in ("SAME", "VALID"):
                yield case(f"stride{stride[0]}x{stride[1]}-{kernel[1]}-{padding}", shape, 6, kernel, stride, padding)
        for depth, out in product((1, 17, 40), (1, 9, 33)):
            yield case(f"depth{depth}-{out}", (4, 3, depth), out, (3, 3), (2, 2), "SAME")
        yield case("kernel9", (6, 6, 4), 3, (9, 9), (2, 2), "SAME")
        yield case("stride3", (4, 4, 4), 3, (3, 3), (3, 3), "SAME")
        yield case("RELU", (4, 4, 4), 5, (3, 3), (2, 2), "SAME", fused="RELU")
        yield case("no-bias", (4, 4, 4), 5, (3, 3), (2, 2), "SAME", Weighting(bias=False))
        yield case("per-tensor", (4, 4, 4), 5, (3, 3), (2, 2), "SAME", Weighting(per_channel=False, bias=False))


def _model(
    dtype: str,
    shape: tuple[int, int, int],
    depth: int,
    kernel: Pair,
    stride: Pair,
    padding: str,
    how: Weighting,
    fused: str,
    random: Generator,
) -> bytes:
    x = activation_tensor(random, (1, *shape), dtype)
    size = [
        length * step + (max(reach - step, 0) if padding == "VALID" else 0)
        for length, step, reach in zip(shape, stride, kernel, strict=False)
    ]
    weights, bias = weights_of(random, x, (depth, *kernel, shape[2]), 0, how)
    y = output_of(random, x, weights, (1, *size, depth), kernel[0] * kernel[1] * shape[2], how)
    result = Tensor((4,), "int32", data=np.array(y.shape, np.int32))
    inputs = (result, weights, x) if bias is None else (result, weights, x, bias)
    options = {"padding": padding, "stride_h": stride[0], "stride_w": stride[1], "fused_activation_function": fused}
    return build(Op("TRANSPOSE_CONV", inputs, (y,), version=3, **options))
