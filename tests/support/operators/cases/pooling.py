"""MAX_POOL_2D and AVERAGE_POOL_2D."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import product

from tests.support.operators.builder import Op, Tensor, build
from tests.support.operators.case import Case, Generator
from tests.support.operators.quantization import activation_tensor
from tests.support.operators.shapes import window_output

_OPERATORS = ("MAX_POOL_2D", "AVERAGE_POOL_2D")
_TYPES = ("int8", "uint8", "int16")
_FUSED = ("NONE", "RELU", "RELU6", "RELU_N1_TO_1")


def cases() -> Iterator[Case]:
    """Windows by strides and padding, depths about the sizes of blocks, fused activations, large windows."""
    for operator, dtype in product(_OPERATORS, _TYPES):

        def case(
            name: str,
            shape: tuple[int, int, int],
            window: tuple[int, int],
            stride: tuple[int, int],
            padding: str,
            fused: str = "NONE",
            operator: str = operator,
            dtype: str = dtype,
        ) -> Case:
            return Case(operator, dtype, name, partial(_model, operator, dtype, shape, window, stride, padding, fused))

        for size, stride, padding in product((1, 2, 3, 5), (1, 2, 3), ("SAME", "VALID")):
            yield case(f"window{size}-stride{stride}-{padding}", (11, 9, 5), (size, size), (stride, stride), padding)
        for depth in (1, 8, 15, 16, 17, 40, 130):
            yield case(f"depth{depth}", (6, 7, depth), (2, 3), (2, 1), "SAME")
        for fused in _FUSED[1:]:
            yield case(f"{fused}", (8, 8, 12), (3, 2), (1, 2), "SAME", fused)
        for height, width in ((1, 4), (4, 1), (8, 8), (7, 3)):
            yield case(f"window{height}x{width}", (13, 16, 6), (height, width), (1, 1), "SAME")
        for shape, window in (
            ((64, 64, 2), (64, 64)),
            ((256, 1, 3), (256, 1)),
            ((1, 256, 3), (1, 256)),
            ((9, 40, 4), (9, 40)),
        ):
            yield case(f"whole{window[0]}x{window[1]}", shape, window, (1, 1), "VALID")
        for stride in ((1, 3), (3, 1), (2, 3)):
            yield case(f"stride{stride[0]}x{stride[1]}", (12, 12, 9), (4, 4), stride, "VALID")


def _model(
    operator: str,
    dtype: str,
    shape: tuple[int, int, int],
    window: tuple[int, int],
    stride: tuple[int, int],
    padding: str,
    fused: str,
    random: Generator,
) -> bytes:
    x = activation_tensor(random, (1, *shape), dtype)
    size = window_output(shape[:2], window, stride, (1, 1), padding)
    y = Tensor((1, *size, shape[2]), dtype, x.scale, x.zero_point)
    options = {"padding": padding, "stride_h": stride[0], "stride_w": stride[1], "fused_activation_function": fused}
    return build(Op(operator, (x,), (y,), filter_height=window[0], filter_width=window[1], **options))
