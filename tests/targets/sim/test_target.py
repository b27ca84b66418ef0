"""`sim` has the outputs of the oracle, for all placements of operators and all kinds of state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from hil.core.arrays import Array
from hil.core.errors import BadInputError, HilError
from hil.core.measurement import Trust
from hil.core.npu_config import NpuConfig
from hil.harness.vela.compiler import Compiled, compile_model
from hil.harness.vela.settings import VelaSettings
from hil.targets import create
from hil.targets.base import Deployable, Run
from hil.targets.execution.signature import read_signature

Made = Callable[[str], bytes]


def random_inputs(int8: bytes, samples: int, seed: int = 0) -> list[Array]:
    generator = np.random.default_rng(seed)
    return [
        generator.integers(-128, 128, (samples, *spec.sample_shape)).astype(spec.dtype)
        for spec in read_signature(int8).inputs
    ]


def deploy(int8: bytes, *options: str, accelerator: str = "ethos-u55-128") -> tuple[Deployable, Compiled]:
    compiled = compile_model(int8, VelaSettings(accelerator, options=options))
    return Deployable(int8, compiled.model, NpuConfig(accelerator)), compiled


def both(model: Deployable, inputs: list[Array], **options: bool) -> tuple[Run, Run]:
    return create("sim", **options).run(model, inputs), create("host", **options).run(model, inputs)


def assert_equal(got: Run, expected: Run) -> None:
    assert len(got.outputs) == len(expected.outputs)
    for left, right in zip(got.outputs, expected.outputs, strict=True):
        assert left.dtype == right.dtype
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("name", ["ad01_int8", "kws_micronet_m", "kws_ref_int8", "resnet8_int8"])
def test_shared_models_are_exact(shared_models: Path, name: str) -> None:
    int8 = (shared_models / f"{name}.tflite").read_bytes()
    model, _ = deploy(int8)
    assert_equal(*both(model, random_inputs(int8, 6)))


@pytest.mark.parametrize("accelerator", ["ethos-u55-32", "ethos-u55-64", "ethos-u55-256"])
def test_other_accelerators(made: Made, accelerator: str) -> None:
    model, _ = deploy(made("mixed"), accelerator=accelerator)
    assert_equal(*both(model, random_inputs(made("mixed"), 3)))


@pytest.mark.parametrize(
    ("name", "ignored"),
    [
        ("resnet8_int8", "CONV_2D"),
        ("resnet8_int8", "ADD"),
        ("resnet8_int8", "FULLY_CONNECTED,SOFTMAX"),
        ("kws_ref_int8", "DEPTHWISE_CONV_2D"),
        ("kws_ref_int8", "AVERAGE_POOL_2D"),
        ("kws_ref_int8", "RESHAPE"),
    ],
)
def test_operators_left_to_the_cpu(shared_models: Path, name: str, ignored: str) -> None:
    int8 = (shared_models / f"{name}.tflite").read_bytes()
    model, compiled = deploy(int8, f"--ignore-ops {ignored}")
    assert set(compiled.summary.cpu_operators) == set(ignored.split(","))
    got, expected = both(model, random_inputs(int8, 4))
    assert_equal(got, expected)
    count = next(m for m in got.measurements if m.name == "cpu_operators")
    assert (count.value, count.trust) == (len(compiled.summary.cpu_operators), Trust.EXACT)


@pytest.mark.parametrize("ignored", ["CONCATENATION", "LEAKY_RELU,LOGISTIC", "TRANSPOSE_CONV,MEAN", "CONV_2D,SOFTMAX"])
def test_more_operators_left_to_the_cpu(made: Made, ignored: str) -> None:
    model, compiled = deploy(made("mixed"), f"--ignore-ops {ignored}")
    assert set(ignored.split(",")) <= set(compiled.summary.cpu_operators)
    assert_equal(*both(model, random_inputs(made("mixed"), 3)))


def test_nothing_on_the_npu_runs_on_the_kernels_and_says_so(made: Made) -> None:
    int8 = made("two")
    kinds = ",".join(sorted(set(read_signature(int8).operators)))
    model, compiled = deploy(int8, f"--ignore-ops {kinds}")
    got, expected = both(model, random_inputs(int8, 3))
    assert_equal(got, expected)
    assert got.identity["npu"] == "nothing was placed on the NPU"
    assert [(m.name, m.value) for m in got.measurements] == [("cpu_operators", len(compiled.summary.cpu_operators))]


@pytest.mark.parametrize("options", [(), ("--ignore-ops ADD",), ("--debug-force-legacy-core",)])
def test_two_inputs_and_two_outputs(made: Made, options: tuple[str, ...]) -> None:
    model, _ = deploy(made("two"), *options)
    got, expected = both(model, random_inputs(made("two"), 5))
    assert [output.shape for output in got.outputs] == [(5, 8, 8, 4), (5, 5)]
    assert_equal(got, expected)


@pytest.mark.parametrize("options", [(), ("--ignore-ops MEAN,LEAKY_RELU",)])
def test_a_fast_memory_of_its_own(made: Made, with_dram: NpuConfig, options: tuple[str, ...]) -> None:
    int8 = made("mixed")
    compiled = compile_model(int8, VelaSettings(**asdict(with_dram), options=options))
    assert compiled.summary.dram_bytes > 0
    got, expected = both(Deployable(int8, compiled.model, with_dram), random_inputs(int8, 3))
    assert_equal(got, expected)
    measured = {m.name: m.value for m in got.measurements}
    assert measured["npu_ms"] == pytest.approx(measured["npu_cycles"] / 400e6 * 1e3)


@pytest.mark.parametrize("name", ["variable", "lstm"])
def test_every_sample_starts_fresh_unless_state_is_kept(made: Made, name: str) -> None:
    int8 = made(
        name
    )  # TFLite's LSTM kernel differs from the NPU by a step for some inputs (see test_fvp), not for this
    model, _ = deploy(int8)
    same = [np.repeat(array, 4, axis=0) for array in random_inputs(int8, 1)]
    got, expected = both(model, same)
    assert_equal(got, expected)
    assert (got.outputs[0] == got.outputs[0][:1]).all()
    got, expected = both(model, same, keep_state=True)
    assert_equal(got, expected)
    assert (got.outputs[0] != got.outputs[0][:1]).any(), "the second sample does not see what the first one left"
    assert got.identity["state"] == "kept"
    again, _ = both(model, same, keep_state=True)
    assert_equal(again, got)


def test_modelled_cycles_and_progress(made: Made) -> None:
    model, compiled = deploy(made("mixed"))
    told: list[tuple[int, int]] = []
    run = create("sim").run(model, random_inputs(made("mixed"), 3), progress=lambda done, of: told.append((done, of)))
    assert told[-1] == (3, 3)
    measured = {m.name: m for m in run.measurements}
    assert 0.5 < measured["npu_cycles"].value / compiled.summary.cycles_total < 2
    assert measured["npu_ms"].value == pytest.approx(measured["npu_cycles"].value / 500e6 * 1e3)
    assert {m.trust for name, m in measured.items() if name != "cpu_operators"} == {Trust.MODELLED}
    assert run.identity["npu"] == "ethos-u55-128"


def test_jobs_share_the_samples(made: Made) -> None:
    """Three threads, with CPU operators between the NPU's: the outputs of one."""
    model, inputs = deploy(made("mixed"))[0], random_inputs(made("mixed"), 5)
    assert_equal(create("sim", jobs=3).run(model, inputs), create("sim").run(model, inputs))


def test_another_accelerator_is_refused_by_name(made: Made) -> None:
    model, _ = deploy(made("two"), accelerator="ethos-u55-64")
    other = Deployable(model.int8, model.compiled, NpuConfig("ethos-u55-256"))
    with pytest.raises(BadInputError, match="compiled for ethos-u55-64, and ethos-u55-256 is to run it"):
        create("sim").run(other, random_inputs(made("two"), 1))


def test_wrong_inputs_are_refused(made: Made) -> None:
    model, _ = deploy(made("two"))
    with pytest.raises(BadInputError, match="takes 2 inputs"):
        create("sim").run(model, random_inputs(made("two"), 1)[:1])
    with pytest.raises(BadInputError, match="wants int8, float32 was given"):
        create("sim").run(model, [array.astype(np.float32) for array in random_inputs(made("two"), 1)])
    with pytest.raises(BadInputError, match="no model to run"):
        create("sim").run(Deployable(None, None), [])


def test_damaged_outputs_of_vela_end_in_typed_errors(made: Made) -> None:
    model, _ = deploy(made("variable"))
    assert model.compiled is not None
    inputs = random_inputs(made("variable"), 1)
    generator = np.random.default_rng(5)
    failed = 0
    for _ in range(60):
        damaged = bytearray(model.compiled)
        for position in generator.integers(8, len(damaged), 4):
            damaged[position] ^= 1 << int(generator.integers(8))
        try:
            create("sim").run(Deployable(None, bytes(damaged)), inputs)
        except HilError as error:
            failed += bool(str(error))
    assert failed > 10
    assert_equal(*both(model, inputs))
