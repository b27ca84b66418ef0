"""SOFTMAX: depths, leading axes, beta, and how far apart its inputs are."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from tests.support.operators.builder import Op, Tensor, build
from tests.support.operators.case import Case, Generator
from tests.support.operators.quantization import zero_point

_OUTPUTS = {"int8": (1 / 256, -128), "uint8": (1 / 256, 0), "int16": (1 / 32768, 0)}
"""The one quantization of outputs that the reference kernels allow."""

_SHAPES = {
    "depth2": (1, 2),
    "depth10": (1, 10),
    "depth16": (1, 16),
    "depth17": (1, 17),
    "depth130": (1, 130),
    "depth1000": (1, 1000),
    "rows": (7, 12),
    "rank3": (1, 9, 33),
    "map": (1, 5, 7, 19),
    "batch": (3, 4, 5, 6),
    "large": (1, 30, 40, 5),
}


def cases() -> Iterator[Case]:
    """`reach` is the real number that the largest input stands for.

    Of a thousand equal inputs TensorFlow's debug checks end the process, so that depth has random ones alone.
    """
    for dtype in _OUTPUTS:
        for name, shape in _SHAPES.items():
            samples = 1 if name == "depth1000" else 6
            yield Case("SOFTMAX", dtype, name, partial(_model, dtype, shape, 8.0, 1.0), samples)
        for reach in (0.5, 2.0, 4.0, 16.0, 40.0, 200.0):
            yield Case("SOFTMAX", dtype, f"reach{reach:g}", partial(_model, dtype, (1, 6, 5, 12), reach, 1.0))
        for beta in (0.1, 0.5, 3.0):
            yield Case("SOFTMAX", dtype, f"beta{beta:g}", partial(_model, dtype, (1, 40), 8.0, beta))


def _model(dtype: str, shape: tuple[int, ...], reach: float, beta: float, random: Generator) -> bytes:
    x = Tensor(shape, dtype, reach / (32768 if dtype == "int16" else 128), zero_point(random, dtype))
    y = Tensor(shape, dtype, *_OUTPUTS[dtype])
    return build(Op("SOFTMAX", (x,), (y,), beta=beta))
