"""Quantization of the tensors of cases: scales and zero points as a converter would choose them, at random."""

from __future__ import annotations

from hil.core.arrays import Array
from tests.support.operators.builder import Tensor
from tests.support.operators.case import Generator


def zero_point(random: Generator, dtype: str) -> int:
    """Anywhere in the range of 8 bits, with its ends drawn often; 0 for 16 and 32 bits, which TFLite demands."""
    if dtype not in ("int8", "uint8"):
        return 0
    low = 0 if dtype == "uint8" else -128
    return int(random.choice([low, low + 255, low + 128, int(random.integers(low, low + 256))]))


def scale(random: Generator, dtype: str) -> float:
    """Of values up to about 1 to 30."""
    steps = {"int8": 127, "uint8": 127, "int16": 32767}.get(dtype, 1 << 16)
    return float(random.uniform(1, 30)) / steps


def activation_tensor(
    random: Generator, shape: tuple[int, ...], dtype: str, data: Array | None = None, name: str = ""
) -> Tensor:
    """A feature map (or a constant, with `data`) with a scale and zero point at random."""
    return Tensor(shape, dtype, scale(random, dtype), zero_point(random, dtype), data, name=name)
