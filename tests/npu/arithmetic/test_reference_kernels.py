"""The NPU's outputs equal TensorFlow Lite's reference kernels, bit for bit."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from hil.npu.arithmetic import native_packing, schedule
from tests.support.operators.settings import LEGACY

MODELS = ("ad01_int8", "kws_micronet_m", "kws_ref_int8", "resnet8_int8")
ACCELERATORS = tuple(f"ethos-u55-{macs}" for macs in (32, 64, 128, 256))
MODES = ("Sram_Only", "Shared_Sram", "Dedicated")
TYPES = ("cnn", "misc", "wide", "cnn-int16", "wide-int16", "cnn-uint8")


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


@pytest.mark.parametrize("name", ["cnn", "misc", "softmax", "cnn-int16"])
@pytest.mark.parametrize("options", [(LEGACY,), ("--optimise", "Size"), (LEGACY, "--optimise", "Size")])
def test_other_compilers(small_models, name, options, vela, npu, oracle, random_inputs):
    model = small_models(name)
    assert_exact(model, vela(model, "ethos-u55-128", "Sram_Only", *options), npu, oracle, random_inputs)


@pytest.mark.parametrize("name", TYPES)
def test_compiled_code_equals_numpy(small_models, name, vela, npu, random_inputs, way, computing, monkeypatch):
    model = small_models(name)
    compiled, inputs = vela(model, "ethos-u55-128"), random_inputs(model, 5)
    monkeypatch.setattr(native_packing, "TILE_BYTES", 4000)
    with computing(way):
        fast = npu(compiled, inputs)
    with computing("numpy"):
        slow = npu(compiled, inputs)
    for got, expected in zip(fast, slow, strict=True):
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("name", TYPES)
def test_a_batch_is_a_loop_of_singles(small_models, name, vela, npu, random_inputs):
    model = small_models(name)
    compiled, inputs = vela(model, "ethos-u55-256", "Sram_Only"), random_inputs(model, 19)
    singles = [npu(compiled, [values[i : i + 1] for values in inputs]) for i in range(19)]
    for index, whole in enumerate(npu(compiled, inputs)):
        np.testing.assert_array_equal(whole, np.concatenate([single[index] for single in singles]))


@pytest.mark.parametrize("threads", [2, 7])
def test_threads_share_the_samples(small_models, threads, vela, npu, random_inputs, monkeypatch):
    monkeypatch.setattr(schedule, "THREAD_WORK", 1)
    model = small_models("cnn")
    compiled, inputs = vela(model, "ethos-u55-256", "Sram_Only"), random_inputs(model, 5)
    for got, expected in zip(npu(compiled, inputs, threads), npu(compiled, inputs), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_importing_is_light():
    """A small inference must not pay for what it does not use."""
    imports = "import sys, hil.npu.vela_output, hil.npu.timing.cycles, hil.npu.registers"
    check = "assert not {'numba', 'tensorflow', 'ethosu'} & {*sys.modules}"
    subprocess.run([sys.executable, "-c", f"{imports}; {check}"], check=True)


@pytest.mark.parametrize("kind", ["sigmoid", "tanh"])
@pytest.mark.parametrize("scale", [0.7, 9.0, 40.0])
def test_16_bit_activations_over_all_inputs(small_models, kind, scale, vela, npu, oracle):
    model = small_models(f"{kind}:{scale}-int16")
    inputs = [np.arange(-32768, 32768).astype(np.int16).reshape(1, 256, 256, 1)]
    for got, expected in zip(npu(vela(model, "ethos-u55-128"), inputs), oracle(model, inputs), strict=True):
        np.testing.assert_array_equal(got, expected)
