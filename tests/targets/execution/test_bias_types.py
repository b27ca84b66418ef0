"""Biases of int32 beside int16 activations are read as the chip reads them, or refused by the operator's name."""

from __future__ import annotations

import numpy as np
import pytest

from hil.core.errors import BadInputError
from hil.harness.commands.inputs import random_inputs
from hil.harness.diff.runs import RunTracer
from hil.harness.vela.compiler import compile_model
from hil.harness.vela.settings import VelaSettings
from hil.targets import create
from hil.targets.base import Deployable
from hil.targets.execution.signature import read_signature
from tests.support.operators.builder import Op, Tensor, build


def _model(operator: str, **options: str) -> bytes:
    generator = np.random.default_rng(0)
    depthwise = operator == "DEPTHWISE_CONV_2D"
    x = Tensor((1, 5, 5, 4), "int16", scale=1e-4, name="x")
    data = generator.integers(-127, 128, (1, 3, 3, 4) if depthwise else (4, 3, 3, 4))
    weights = Tensor(data.shape, scale=(0.01,) * 4, data=data, axis=3 if depthwise else 0)
    bias = Tensor((4,), "int32", scale=(1e-6,) * 4, data=generator.integers(-90_000, 90_000, 4))
    y = Tensor((1, 3, 3, 4), "int16", scale=1e-3, name="y")
    more = {"depth_multiplier": 1} if depthwise else options
    return build(Op(operator, [x, weights, bias], [y], padding="VALID", stride_w=1, stride_h=1, **more))


def test_an_undeclared_int32_bias_is_read_as_the_chip_reads_it() -> None:
    undeclared, declared = _model("CONV_2D"), _model("CONV_2D", quantizedBiasType="INT32")
    inputs = random_inputs(read_signature(undeclared), 4)
    host = create("host").run(Deployable(undeclared, None), inputs)
    (expected,) = create("host").run(Deployable(declared, None), inputs).outputs
    np.testing.assert_array_equal(host.outputs[0], expected)
    assert host.identity["biases"].startswith("CONV_2D 0 ('y'): the undeclared int32 bias is read as int32")
    compiled = compile_model(undeclared, VelaSettings()).model
    np.testing.assert_array_equal(create("sim").run(Deployable(undeclared, compiled), inputs).outputs[0], expected)
    assert RunTracer(undeclared, VelaSettings(), inputs).trace("host").notes == (host.identity["biases"],)


def test_a_bias_that_the_reference_kernel_does_not_take_is_named() -> None:
    model = _model("DEPTHWISE_CONV_2D")
    with pytest.raises(BadInputError, match=r"DEPTHWISE_CONV_2D 0 \('y'\) has an int32 bias .* kernel takes int64"):
        create("host").run(Deployable(model, None), random_inputs(read_signature(model), 1))
