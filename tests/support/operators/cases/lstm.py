"""UNIDIRECTIONAL_SEQUENCE_LSTM of int8 and int16 activations, with int8 weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from tests.support.operators.arithmetic.lstm import GATE_SCALE, lstm
from tests.support.operators.builder import Op, Tensor, build
from tests.support.operators.case import Case, Generator
from tests.support.operators.quantization import zero_point


@dataclass(frozen=True)
class _Form:
    """Sizes; `cell_bits`: bits of fraction of the cell's state; `reach`: how far the gates go, 8 is where they end."""

    batch: int = 1
    steps: int = 4
    features: int = 5
    cells: int = 7
    time_major: bool = False
    cell_clip: float = 0.0
    cell_bits: int = 11
    reach: float = 4.0


_FORMS = {
    "plain": _Form(),
    "one-step": _Form(steps=1),
    "time-major": _Form(time_major=True),
    "batch": _Form(batch=3),
    "batch-time-major": _Form(batch=3, time_major=True),
    "wide": _Form(steps=6, features=20, cells=40),
    "clip": _Form(cell_clip=2.0),
    "cell9": _Form(cell_bits=9),
    "cell13": _Form(cell_bits=13),
    "saturated": _Form(reach=30.0),
    "small": _Form(reach=0.2),
}


def cases() -> Iterator[Case]:
    """Sizes, layouts, clipping, and gates from their middle to far over their ends."""
    for dtype in ("int8", "int16"):
        for name, form in _FORMS.items():
            yield Case("UNIDIRECTIONAL_SEQUENCE_LSTM", dtype, name, partial(_model, dtype, form), arithmetic=lstm)


def _model(dtype: str, form: _Form, random: Generator) -> bytes:
    first, second = (form.steps, form.batch) if form.time_major else (form.batch, form.steps)
    x = Tensor((first, second, form.features), dtype, 0.03 if dtype == "int8" else 1e-4, zero_point(random, dtype))
    unit = 2.0**-7 if dtype == "int8" else 2.0**-15
    zero = int(random.integers(-4, 4)) if dtype == "int8" else 0
    hidden = Tensor((form.batch, form.cells), dtype, unit, zero, variable=True)
    cell = Tensor((form.batch, form.cells), "int16", 2.0**-form.cell_bits, variable=True)
    y = Tensor((first, second, form.cells), dtype, unit, zero)
    fed = [_weights(random, form, x, form.features) for _ in range(4)]
    back = [_weights(random, form, hidden, form.cells) for _ in range(4)]
    biases = [_bias(random, x, weights) for weights in fed]
    gates = [Tensor((1,), "int16", GATE_SCALE) for _ in range(4)]
    lstm_operator = Op(
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        [x, *fed, *back, None, None, None, *biases, None, None, hidden, cell, None, None, None, None],
        [y],
        intermediates=[*gates, Tensor((1,), dtype, unit, zero)],
        fused_activation_function="TANH",
        cell_clip=form.cell_clip,
        time_major=form.time_major,
    )
    return build(lstm_operator)


def _weights(random: Generator, form: _Form, x: Tensor, inputs: int) -> Tensor:
    """With a scale that makes their product with typical values of `x` as large as `reach`."""
    values = random.integers(-127, 127, (form.cells, inputs), np.int8, endpoint=True)
    typical = 64 * (64 if x.dtype == "int8" else 16_384) * np.sqrt(inputs)
    size = form.reach / typical / x.scales[0] * random.uniform(0.5, 1.0)
    return Tensor((form.cells, inputs), "int8", float(size), 0, values)


def _bias(random: Generator, x: Tensor, weights: Tensor) -> Tensor:
    scale = x.scales[0] * weights.scales[0]
    dtype = "int32" if x.dtype == "int8" else "int64"
    return Tensor(weights.shape[:1], dtype, scale, 0, random.integers(-500, 500, weights.shape[0]).astype(dtype))
