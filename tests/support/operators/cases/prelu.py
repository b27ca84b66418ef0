"""PRELU: slopes that are constant or an input, one a channel, one a pixel or one alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from tests.support.operators.arithmetic.elementwise import prelu
from tests.support.operators.builder import Op, Tensor, build
from tests.support.operators.case import Case, Generator
from tests.support.operators.quantization import activation_tensor, scale, zero_point

Shape = tuple[int, ...]


@dataclass(frozen=True)
class _Form:
    """Shapes of input and slopes; `low`, `high`: real slopes; `constant`; `rescaled`: the output's scale is its own."""

    shape: Shape = (1, 5, 7, 19)
    slopes: Shape = (1, 1, 19)
    low: float = -0.2
    high: float = 0.4
    constant: bool = True
    rescaled: bool = True


def cases() -> Iterator[Case]:
    """Kinds of slopes by their sign and size, shapes, one scale or several."""
    forms = {
        "channels": _Form(),
        "one-scale": _Form(rescaled=False),
        "input": _Form(constant=False),
        "input-one-scale": _Form(constant=False, rescaled=False),
        "pixels": _Form(slopes=(5, 7, 19)),
        "pixels-input": _Form(slopes=(5, 7, 19), constant=False),
        "one": _Form(slopes=(1, 1, 1)),
        "one-input": _Form(slopes=(1, 1, 1), constant=False),
        "positive": _Form(low=0.0, high=0.9),
        "negative": _Form(low=-0.9, high=0.0),
        "steep": _Form(low=-3.0, high=3.0),
        "deep": _Form((1, 3, 4, 130), (1, 1, 130)),
        "rank2": _Form((4, 33), (33,)),
        "batch": _Form((3, 4, 5, 6), (1, 1, 6)),
    }
    for dtype in ("int8", "uint8"):
        for name, form in forms.items():
            yield Case("PRELU", dtype, name, partial(_model, dtype, form))
    for name, form in forms.items():
        yield Case("PRELU", "int16", name, partial(_model, "int16", form), arithmetic=prelu)


def _model(dtype: str, form: _Form, random: Generator) -> bytes:
    x = activation_tensor(random, form.shape, dtype)
    size = max(abs(form.low), abs(form.high)) / (32767 if dtype == "int16" else 127)
    zero = 128 if dtype == "uint8" else 0
    real = random.uniform(form.low, form.high, form.slopes)
    limits = np.iinfo(dtype)
    values = np.clip(np.round(real / size) + zero, limits.min, limits.max).astype(dtype)
    slopes = Tensor(form.slopes, dtype, size, zero, values if form.constant else None)
    y = Tensor(form.shape, dtype, x.scale, x.zero_point)
    if form.rescaled:
        y = Tensor(form.shape, dtype, scale(random, dtype), zero_point(random, dtype))
    return build(Op("PRELU", (x, slopes), (y,)))
