"""Foreign models on every accelerator: `sim` gives the oracle's outputs, `fvp` gives those of `sim`, bit for bit.

`benchmarks.conformance` does the same with 100 inputs on `fvp`, for any folder of models.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from hil.core.arrays import Array
from hil.core.npu_config import NpuConfig
from hil.fvp.inference.firmware import Firmware
from hil.harness.vela.compiler import compile_model
from hil.harness.vela.settings import VelaSettings
from hil.npu import accelerator
from hil.targets import create
from hil.targets.base import Deployable, Run
from hil.targets.execution.signature import read_signature
from tests.support.night import some_by_day

MODELS = ("ad01_int8", "kws_micronet_m", "kws_ref_int8", "resnet8_int8")
ACCELERATORS = tuple(member.name for member in accelerator.U55)
BY_DAY = [(name, ACCELERATORS[place - shift]) for place, name in enumerate(MODELS) for shift in (0, 2)]


def _model(folder: Path, name: str) -> tuple[bytes, list[Array]]:
    """A model and 100 random inputs."""
    int8 = (folder / f"{name}.tflite").read_bytes()
    (spec,) = read_signature(int8).inputs
    return int8, [np.random.default_rng(5).integers(-128, 128, (100, *spec.sample_shape), np.int8)]


def _deployable(int8: bytes, name: str) -> Deployable:
    return Deployable(int8, compile_model(int8, VelaSettings(name)).model, NpuConfig(name))


def _counters(run: Run) -> dict[str, float]:
    npu = ("npu_cycles", "npu_active_cycles", "axi0_read_beats", "axi0_write_beats", "axi1_read_beats")
    return {found.name: found.value for found in run.measurements if found.name in npu}


@pytest.mark.parametrize("name", MODELS)
def test_sim_gives_the_oracles_outputs_for_100_inputs(shared_models: Path, name: str) -> None:
    int8, inputs = _model(shared_models, name)
    expected = create("host").run(Deployable(int8, None), inputs).outputs
    for member in ACCELERATORS:
        (got,) = create("sim").run(_deployable(int8, member), inputs).outputs
        np.testing.assert_array_equal(got, expected[0], err_msg=member)


@pytest.mark.parametrize(("name", "member"), some_by_day(product(MODELS, ACCELERATORS), BY_DAY))
def test_the_firmware_gives_the_outputs_and_counters_of_sim(
    runner: Firmware, shared_models: Path, name: str, member: str
) -> None:
    int8, inputs = _model(shared_models, name)
    model, pair = _deployable(int8, member), [array[:2] for array in inputs]
    expected, got = create("sim").run(model, pair), create("fvp", engine="open").run(model, pair)
    np.testing.assert_array_equal(got.outputs[0], expected.outputs[0])
    assert _counters(got) == _counters(expected)
    assert len(_counters(got)) == 5
