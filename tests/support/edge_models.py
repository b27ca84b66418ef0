"""Quantized convolutions with real numbers or uint8 at their edges, as converters and vendors' zoos have them.

`with_edges("float32", "int16")`: QUANTIZE, CONV_2D, SOFTMAX, DEQUANTIZE; `with_edges("uint8", "int8")` likewise with
two QUANTIZE.  `mixed_detector` has a head that computes in float32, which the chip's CPU runs.
"""

from __future__ import annotations

import numpy as np

from tests.support.operators.builder import Op, Tensor, build

SHAPE = (1, 3, 3, 3)
CLASSES = 4


def _convolution(dtype: str, image: Tensor, depth: int = CLASSES) -> tuple[Op, Tensor]:
    generator = np.random.default_rng(3)
    wide = "int64" if dtype == "int16" else "int32"
    weights = Tensor((depth, 3, 3, 3), scale=(0.001,) * depth, data=generator.integers(-127, 128, (depth, 3, 3, 3)))
    scales = tuple(0.001 * scale for scale in image.scales * depth)
    bias = Tensor((depth,), wide, scale=scales, data=generator.integers(-900, 900, depth))
    # The zero point of an int16 tensor is 0.
    result = Tensor((1, 1, 1, depth), dtype, scale=image.scales[0], zero_point=7 * (dtype == "int8"), name="conv")
    return Op("CONV_2D", [image, weights, bias], [result], padding="VALID", stride_w=1, stride_h=1), result


def _image(dtype: str) -> Tensor:
    small = dtype == "int8"
    return Tensor(SHAPE, dtype, scale=0.05 if small else 1e-4, zero_point=-3 * small, name="quantized")


def with_edges(outer: str, inner: str) -> bytes:
    """A model whose input and output are `outer` ("float32" or "uint8") and whose network is `inner`."""
    real = outer == "float32"
    image = _image(inner)
    given = Tensor(SHAPE, outer, scale=() if real else image.scale, zero_point=125, name="given")
    convolution, found = _convolution(inner, image)
    scores = Tensor((1, CLASSES), inner, scale=found.scale, zero_point=found.zero_point, name="scores")
    shares = Tensor(scores.shape, inner, **_shares(inner), name="shares")
    result = Tensor(scores.shape, outer, scale=() if real else 1 / 256, zero_point=0, name="result")
    last = Op("DEQUANTIZE", [shares], [result], version=2 + (inner == "int16")) if real else None
    return build(
        Op("QUANTIZE", [given], [image], version=1 + (inner == "int16")),
        convolution,
        Op("RESHAPE", [found, Tensor((2,), "int32", data=np.array(scores.shape))], [scores]),
        Op("SOFTMAX", [scores], [shares], version=2, beta=1.0),
        last or Op("QUANTIZE", [shares], [result], version=2),
    )


def _shares(dtype: str) -> dict[str, float]:
    return {"scale": 1 / 256, "zero_point": -128} if dtype == "int8" else {"scale": 1 / 32768}


def mixed_detector() -> bytes:
    """QUANTIZE and CONV_2D, of which one output is quantized and the other, boxes, is computed in float32."""
    given, image = Tensor(SHAPE, "float32", name="given"), _image("int8")
    convolution, found = _convolution("int8", image)
    real, boxes = (Tensor(found.shape, "float32", name=name) for name in ("real", "boxes"))
    size = Tensor((), "float32", data=np.array(0.5, np.float32))
    return build(
        Op("QUANTIZE", [given], [image]),
        convolution,
        Op("DEQUANTIZE", [found], [real], version=2),
        Op("MUL", [real, size], [boxes]),
        outputs=[found, boxes],
    )
