"""LiteRT's quantizer: the file has the network's inputs and outputs, runs on the NPU, and is made only if named."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from hil.core.errors import BadInputError, ConvertError
from hil.core.npu_config import NpuConfig
from hil.harness.cli import app
from hil.harness.leaves import leaves_of
from hil.harness.model import load_model_file
from hil.harness.optimize.conversion import to_tflite
from hil.harness.optimize.fidelity import measure_fidelity
from hil.harness.optimize.keras.keras2 import import_keras, import_tensorflow, seeded
from hil.harness.tree.walk import leaves_in_order
from hil.harness.vela.compiler import compile_model
from hil.harness.vela.settings import VelaSettings
from hil.targets import create
from hil.targets.base import Deployable
from hil.targets.execution.signature import quantize_samples, read_signature
from tests.support.blobs import model_file, write


def two_and_two() -> Any:
    """Inputs and outputs of different shapes, whose order the file must keep."""
    keras = import_keras()
    layers = keras.layers
    image, numbers = layers.Input((8, 8, 3), name="image"), layers.Input((5,), name="aside")
    x = layers.Conv2D(8, 3, strides=2, use_bias=False)(image)
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(layers.BatchNormalization()(x)))
    x = layers.Concatenate()([x, layers.Dense(6, activation="relu")(numbers)])
    return keras.Model([image, numbers], [layers.Dense(4, name="scores")(x), layers.Dense(2, name="also")(x)])


@pytest.mark.parametrize(("conversion", "kind"), [("litert_ptq", np.int8), ("litert_int16x8", np.int16)])
def test_several_inputs_and_outputs_keep_their_order_up_to_the_npu(conversion: str, kind: Any, capfd: Any) -> None:
    """With the quantizer's own ranges, a moving average of the samples' extremes, it has 3 dB."""
    random = np.random.default_rng(0)
    x = [random.normal(size=(40, *shape)).astype(np.float32) for shape in ((8, 8, 3), (5,))]
    with seeded(0):
        network = two_and_two()
    int8 = to_tflite(network, conversion, x)
    assert capfd.readouterr() == ("", "")
    signature = read_signature(int8)
    assert [spec.shape[1:] for spec in (*signature.inputs, *signature.outputs)] == [(8, 8, 3), (5,), (4,), (2,)]
    assert {spec.dtype for spec in (*signature.inputs, *signature.outputs)} == {np.dtype(kind)}
    assert measure_fidelity(int8, network, x).sqnr_db > 25
    given = quantize_samples(signature, [array[:4] for array in x])
    model = Deployable(int8, compile_model(int8, VelaSettings()).model, NpuConfig())
    got, reference = (create(name).run(model, given).outputs for name in ("sim", "host"))
    assert [np.array_equal(*pair) for pair in zip(got, reference, strict=True)] == [True, True]


def test_an_operator_that_it_does_not_quantize_is_named() -> None:
    keras, tf = import_keras(), import_tensorflow()
    floored = keras.layers.Lambda(tf.math.floor, input_shape=(4,), name="floored")
    network = keras.Sequential([floored, keras.layers.Dense(2)])
    with pytest.raises(ConvertError, match=r"operator FLOOR of layer floored was left in float \(LiteRT's quantizer"):
        to_tflite(network, "litert_ptq", [np.ones((2, 4), np.float32)])


def test_it_is_made_only_if_named(tmp_path: Path) -> None:
    model = replace(
        load_model_file(write(tmp_path, {"models/blobs.py": model_file()}) / "models/blobs.py"), techniques=None
    )
    assert "litert_ptq" not in leaves_of(model)
    assert leaves_of(model, ["litert_ptq"])[-1] == "litert_ptq"
    assert leaves_of(replace(model, techniques=("litert_ptq",))) == ("litert_ptq",)


def test_without_the_package_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "litert_quantizer", None)  # as the import system marks what is not there
    file = write(tmp_path, {"models/blobs.py": model_file()}) / "models/blobs.py"
    with pytest.raises(BadInputError, match=r"litert_ptq needs .* not installed \(pip install .*litert-quantizer"):
        leaves_in_order(replace(load_model_file(file), techniques=None), ["litert_ptq"])
    line = ["optimize", str(file), "--technique", "litert_ptq", "--store", str(tmp_path / "store")]
    found = CliRunner().invoke(app, line)
    assert isinstance(found.exception, BadInputError)
    assert found.exception.exit_code == 2
    assert not list((tmp_path / "store").rglob("*.h5")), "nothing was trained"
