"""Models unknown to TensorFlow's kernels run on others that compute the same, and the result says so."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

from hil.core.errors import BadInputError, UnavailableError
from hil.harness.commands.inputs import random_inputs
from hil.harness.diff.runs import RunTracer
from hil.harness.vela.compiler import compile_model
from hil.harness.vela.settings import VelaSettings
from hil.targets import create
from hil.targets.base import Deployable
from hil.targets.execution.interpreter import Interpreter, interpreter_version
from hil.targets.execution.signature import read_signature
from tests.support.blobs import write
from tests.support.operators.builder import Op, Tensor, build

NEWER = 60
"""A version that no interpreter has yet; TFLite Micro looks at none."""


@pytest.fixture
def micro(missing: Callable[[object], NoReturn]) -> str:
    try:
        interpreter_version("tflite-micro")
    except UnavailableError as error:
        missing(error)
    return "tflite-micro"


def _dense(version: int) -> bytes:
    generator = np.random.default_rng(0)
    data = generator.integers(-127, 128, (16, 32))
    x, y = Tensor((1, 32), scale=0.05, name="x"), Tensor((1, 16), scale=0.2, name="y")
    bias = Tensor((16,), "int32", scale=0.0005, data=generator.integers(-900, 900, 16))
    weights = Tensor(data.shape, scale=0.01, data=data)
    return build(Op("FULLY_CONNECTED", [x, weights, bias], [y], version=version))


def _share(version: int) -> bytes:
    x, y = Tensor((1, 8), scale=0.1, name="x"), Tensor((1, 8), scale=1 / 256, zero_point=-128, name="y")
    return build(Op("LOGISTIC", [x], [y], version=version))


@pytest.mark.parametrize("model", [_dense, _share])
def test_an_operator_of_a_newer_version_runs_on_tflite_micro(micro: str, model: Callable[[int], bytes]) -> None:
    known, newer = model(2), model(NEWER)
    inputs = random_inputs(read_signature(known), 40)
    expected = create("host").run(Deployable(known, None), inputs)
    found = create("host").run(Deployable(newer, None), inputs)
    np.testing.assert_array_equal(found.outputs[0], expected.outputs[0])
    assert "stand_in" not in expected.identity
    assert found.identity["stand_in"].startswith(f"{micro} {interpreter_version(micro)} in place of TensorFlow: ")
    assert f"version '{NEWER}'" in found.identity["stand_in"]


def test_the_cpus_operators_of_a_compiled_model_have_a_stand_in_too(micro: str) -> None:
    newer, settings = _share(NEWER), VelaSettings(options=("--ignore-ops LOGISTIC",))
    inputs = random_inputs(read_signature(newer), 4)
    deployable = Deployable(newer, compile_model(newer, settings).model)
    expected = create("host").run(Deployable(_share(1), None), inputs).outputs[0]
    np.testing.assert_array_equal(create("sim").run(deployable, inputs).outputs[0], expected)


def test_a_sum_is_held_to_tflite_micros_arithmetic(micro: str) -> None:
    """TensorFlow 2.19's reference kernel gives -1 throughout."""
    x, y = Tensor((1, 5, 7, 19), scale=0.05, name="x"), Tensor((1, 1, 7, 19), scale=0.1, name="y")
    axes = Tensor((1,), "int32", data=np.array([1], np.int32))
    int8 = build(Op("SUM", [x, axes], [y], keep_dims=True))
    inputs = random_inputs(read_signature(int8), 8)
    deployable = Deployable(int8, compile_model(int8, VelaSettings()).model)
    expected, found = (create(name).run(deployable, inputs) for name in ("host", "sim"))
    np.testing.assert_array_equal(found.outputs[0], expected.outputs[0])
    assert np.unique(found.outputs[0]).size > 10
    assert "whose SUM is not the chip's" in expected.identity["stand_in"]


def test_a_diff_names_the_stand_in(micro: str) -> None:
    newer = _dense(NEWER)
    traced = RunTracer(newer, VelaSettings(), random_inputs(read_signature(newer), 2)).trace("host")
    assert traced.notes[0].startswith(f"{micro} ")
    assert traced.trace.tensors["y"][0].values.shape == (2, 1, 16)


def test_an_lstm_is_held_to_tflite_micros_arithmetic(micro: str, made: Callable[[str], bytes]) -> None:
    """TensorFlow's kernel differs from it by a step for some of these samples."""
    int8 = made("lstm")
    inputs = [np.random.default_rng(7).integers(-128, 128, (8, 8, 4)).astype(np.int8)]
    deployable = Deployable(int8, compile_model(int8, VelaSettings()).model)
    expected, found = (create(name).run(deployable, inputs) for name in ("host", "sim"))
    np.testing.assert_array_equal(found.outputs[0], expected.outputs[0])
    assert "whose UNIDIRECTIONAL_SEQUENCE_LSTM is not the chip's" in expected.identity["stand_in"]


def test_an_axis_that_means_nothing_is_no_fault(micro: str) -> None:
    """TensorFlow wants the axis of a scale within the tensor, also where there is one scale for all of it."""
    x, y = (Tensor((1, 8), scale=0.1, name=name, axis=3) for name in "xy")
    term = Tensor((8,), scale=0.1, data=np.arange(8), axis=3)
    model = build(Op("ADD", [x, term], [y]))
    found = create("host").run(Deployable(model, None), [np.arange(8, dtype=np.int8)[None]])
    np.testing.assert_array_equal(found.outputs[0][0], 2 * np.arange(8))
    assert "quantized_dimension" in found.identity["stand_in"]


def test_litert_does_not_stand_in_for_what_it_computes_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    """LiteRT 2.3 knows version 13 of FULLY_CONNECTED, and rounds otherwise in places."""
    monkeypatch.setattr("hil.targets.execution.interpreter._STAND_INS", ("litert",))
    model = _dense(13)
    with pytest.raises(BadInputError, match="FULLY_CONNECTED' version '13'"):
        Interpreter(model).run(random_inputs(read_signature(model), 2))


def test_a_model_that_is_wrong_has_no_stand_in() -> None:
    x, y = Tensor((1, 8), scale=0.1, name="x"), Tensor((1, 9), scale=0.1, name="y")
    model = build(Op("MUL", [x, Tensor((1, 7), scale=0.1, data=np.zeros((1, 7)))], [y]))
    with pytest.raises(BadInputError, match="do not take the model"):
        Interpreter(model).run(random_inputs(read_signature(model), 1))


GIVEN = """
from pathlib import Path
import numpy as np
from hil.harness.model import Dataset, Model

def load(split):
    return np.random.default_rng(0).normal(0, 1, (20, 32)).astype("float32"), np.zeros(20)

model = Model("given", tflite="int8.tflite", data=Dataset(load, lambda: [Path(__file__)]))
"""


def test_the_summary_of_pytest_names_the_kernels_that_stood_in(micro: str, tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        {"models/given.py": GIVEN, "test_it.py": "def test_it(parity):\n    assert parity.mismatches == 0\n"},
    )
    (folder / "models/int8.tflite").write_bytes(_dense(NEWER))
    command = [sys.executable, "-m", "pytest", "-p", "no:pytest_embedded", "--target", "sim"]
    environment = {**os.environ, "HIL_STORE": str(tmp_path / "store"), "COLUMNS": "80"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    words = " ".join(done.stdout.split())
    assert f"reference kernels of int8: {micro} {interpreter_version(micro)} in place of TensorFlow: " in words
