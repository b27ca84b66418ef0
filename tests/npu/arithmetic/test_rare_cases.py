"""Arithmetic that few streams need, each by the case that showed it."""

from __future__ import annotations

import numpy as np
import pytest

from hil.core.errors import StreamError
from hil.npu.vela_output import read_compiled
from tests.support.operators.arithmetic.fixed_point import quantized, scaled, scaled_once, scaled_wide
from tests.support.operators.builder import Op, Tensor, build
from tests.support.operators.families import all_cases
from tests.support.operators.outcome import outcome, prepare
from tests.support.operators.settings import Setting


@pytest.mark.parametrize(
    ("key", "compiler"),
    [
        ("UNIDIRECTIONAL_SEQUENCE_LSTM/int8/saturated", "legacy"),  # the clamp behind the hardware's sigmoid
        ("UNIDIRECTIONAL_SEQUENCE_LSTM/int16/saturated", "regor"),
        ("ADD/int32/quantized", "regor"),  # factors of the operands that the output's scale takes back
        ("SUB/int32/quantized", "legacy"),
        ("TANH/int16/reach10.7", "legacy"),
        ("LOGISTIC/int16/reach100", "regor"),
        ("SUM/int8/depth-rescaled", "regor"),
    ],
)
def test_cases_that_need_special_arithmetic(key, compiler):
    case = all_cases()[key]
    assert outcome(case, prepare(case), Setting("ethos-u55-128", "Shared_Sram", compiler)).kind == "equal"


def test_a_sum_of_32_bits_with_different_scales_is_refused(vela):
    shape = (1, 4, 4, 8)
    x, y, z = (Tensor(shape, "int32", scale) for scale in (0.05, 0.03, 0.3))
    model = read_compiled(vela(build(Op("ADD", (x, y), (z,))), "ethos-u55-128"))
    with pytest.raises(StreamError, match=r"different scales.*word"):
        model.main.operators[0].bind(model)


@pytest.mark.parametrize("real", [0.9, 0.37, 1.0, 3.3, 0.5**9, 1e-6])
def test_the_suites_own_fixed_point_is_rounding(real):
    values = np.random.default_rng(1).integers(-(1 << 20), 1 << 20, 5000)
    exact = values * real
    for function, tolerance in ((scaled, 1.0), (scaled_once, 0.51), (scaled_wide, 0.51 + abs(exact).max() / 2**15)):
        assert np.abs(function(values, quantized(real)) - exact).max() <= tolerance
