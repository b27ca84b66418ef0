"""The NPU's outputs equal TensorFlow Lite's reference kernels, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

MODELS = ("ad01_int8", "kws_micronet_m", "kws_ref_int8", "resnet8_int8")
ACCELERATORS = tuple(f"ethos-u55-{macs}" for macs in (32, 64, 128, 256))
MODES = ("Sram_Only", "Shared_Sram", "Dedicated")
LEGACY = "--debug-force-legacy-core"


def assert_exact(model, compiled, npu, oracle, random_inputs, samples=3):
    inputs = random_inputs(model, samples)
    for got, expected in zip(npu(compiled, inputs), oracle(model, inputs), strict=True):
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("accelerator", ACCELERATORS)
@pytest.mark.parametrize("name", MODELS)
def test_shared_models(shared_models, name, accelerator, mode, vela, npu, oracle, random_inputs):
    model = (shared_models / f"{name}.tflite").read_bytes()
    assert_exact(model, vela(model, accelerator, mode), npu, oracle, random_inputs)


@pytest.mark.parametrize(
    "name", ["cnn", "misc", "shapes", "wide", "two_outputs", "cnn-int16", "wide-int16", "cnn-uint8"]
)
@pytest.mark.parametrize("accelerator", ACCELERATORS)
def test_small_models(small_models, name, accelerator, vela, npu, oracle, random_inputs):
    model = small_models(name)
    assert_exact(model, vela(model, accelerator, "Shared_Sram"), npu, oracle, random_inputs)


@pytest.mark.parametrize("name", ["cnn", "misc", "cnn-int16"])
@pytest.mark.parametrize("options", [(LEGACY,), ("--optimise", "Size"), (LEGACY, "--optimise", "Size")])
def test_other_compilers(small_models, name, options, vela, npu, oracle, random_inputs):
    model = small_models(name)
    assert_exact(model, vela(model, "ethos-u55-128", "Sram_Only", *options), npu, oracle, random_inputs)
