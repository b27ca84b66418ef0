"""Outputs of older Velas and of the legacy core, which list scratch and scratch_fast as two tensors of one place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hil.core.errors import BadInputError
from hil.fvp.inference import firmware
from hil.fvp.inference.inference import run_inference
from hil.harness.vela.compiler import compile_model
from hil.harness.vela.settings import VelaSettings
from hil.npu.vela_output import CpuOperator, NpuOperator, read_compiled
from hil.targets import create
from hil.targets.base import Deployable
from tests.support.operators.builder import Op, Tensor, build
from tests.support.operators.settings import LEGACY, WITH_DRAM
from tests.support.reference import oracle

_VELA_3_9 = Path(__file__).with_name("reshape_vela_3_9.tflite")
"""`_model()` compiled by ethos-u-vela 3.9.0, with Shared_Sram.

FULLY_CONNECTED stays on the CPU, and its input is another tensor than that which the NPU writes, at the same place.
"""


def _model() -> bytes:
    """ADD, RESHAPE and FULLY_CONNECTED with weights per channel."""
    random = np.random.default_rng(0)
    image, added, flat = (Tensor(shape, scale=0.05) for shape in ((1, 4, 4, 2), (1, 4, 4, 2), (1, 32)))
    term = Tensor((1, 1, 1, 2), scale=0.05, data=random.integers(-128, 128, (1, 1, 1, 2), np.int8))
    data = random.integers(-127, 128, (3, 32), np.int8)
    weights = Tensor((3, 32), scale=(0.02, 0.03, 0.01), data=data)
    shape = Tensor((2,), "int32", data=np.array([1, 32], np.int32))
    return build(
        Op("ADD", [image, term], [added]),
        Op("RESHAPE", [added, shape], [flat]),
        Op("FULLY_CONNECTED", [flat, weights, None], [Tensor((1, 3), scale=0.3)]),
    )


@pytest.mark.parametrize("vela", ["3.9", "legacy core"])
def test_an_output_of_shared_sram_runs(vela: str, runner: firmware.Firmware) -> None:
    int8 = _model()
    model = _VELA_3_9.read_bytes() if vela == "3.9" else compile_model(int8, VelaSettings(options=(LEGACY,))).model
    operators = read_compiled(model).main.operators
    assert [type(found) for found in operators] == [NpuOperator, *[CpuOperator] * (vela == "3.9")]
    assert isinstance(operators[0], NpuOperator)
    assert operators[0].scratch != operators[0].scratch_fast
    data = np.random.default_rng(1).integers(-128, 128, (4, 4, 2), np.int8)
    expected = oracle(int8, data)
    assert list(run_inference(model, [data.tobytes()], [3]).outputs) == expected
    assert [out.tobytes() for out in create("sim").run(Deployable(int8, model), [data[None]]).outputs] == expected


def test_an_output_of_dedicated_sram_is_refused(runner: firmware.Firmware) -> None:
    settings = VelaSettings("ethos-u55-128", "Dedicated", "With_Dram", WITH_DRAM, (LEGACY,))
    model = compile_model(_model(), settings).model
    with pytest.raises(BadInputError, match="compiled for Dedicated_Sram"):
        run_inference(model, [bytes(32)], [3])
