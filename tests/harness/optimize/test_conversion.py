"""Conversion: the result is quantized, of one sample, quiet, and has the outputs of the Keras model."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from hil.core.errors import BadInputError, ConvertError
from hil.harness.optimize import steps
from hil.harness.optimize.conversion import check_quantized, to_tflite
from hil.harness.optimize.keras.keras2 import import_keras, import_tensorflow, import_tfmot, quiet

LOG_OF_A_REFUSAL = """
import tensorflow  # as a model file may, before the harness does
import numpy as np
from hil.core.errors import ConvertError
from hil.harness.optimize.conversion import to_tflite
from hil.harness.optimize.keras.keras2 import import_keras, import_tensorflow
keras, ops = import_keras(), import_tensorflow().raw_ops
given = keras.layers.Input((4,))
made = keras.Model(given, keras.layers.Lambda(lambda x: ops.Betainc(a=x, b=x, x=x))(given))
try:
    to_tflite(made, "ptq", [np.ones((2, 4), np.float32)])
except ConvertError as error:
    print(error, error.log)
"""


def interpreter(content: bytes) -> Any:
    tf = import_tensorflow()
    with quiet():
        made = tf.lite.Interpreter(model_content=content)
        made.allocate_tensors()
    return made


def classes(content: bytes, x: Any) -> Any:
    made = interpreter(content)
    (inputs,), (outputs,) = made.get_input_details(), made.get_output_details()
    scale, zero = inputs["quantization"]
    limits = np.iinfo(inputs["dtype"])
    found = []
    for sample in np.clip(np.round(x / scale) + zero, limits.min, limits.max).astype(inputs["dtype"]):
        made.set_tensor(inputs["index"], sample[None])
        made.invoke()
        found.append(int(made.get_tensor(outputs["index"]).argmax()))
    return np.array(found)


@pytest.mark.parametrize(
    ("node", "conversion", "kind"),
    [((), "ptq", np.int8), (("qat",), "qat", np.int8), ((), "int16x8", np.int16), ((), "litert_ptq", np.int8)],
    ids=["ptq", "qat", "int16x8", "litert_ptq"],
)
def test_one_sample_quantized_and_the_same_classes(tree: Any, node: Any, conversion: str, kind: Any) -> None:
    model, x = tree.model(node), tree.data.x[0][:100]
    content = to_tflite(model, conversion, [tree.data.x[0][100:200]])
    made = interpreter(content)
    for detail in (*made.get_input_details(), *made.get_output_details()):
        assert detail["dtype"] == kind
        assert detail["shape_signature"][0] == 1
    assert np.mean(classes(content, x) == model.predict(x, verbose=0).argmax(axis=1)) >= 0.97


def test_conversion_writes_nothing_to_the_terminal(tree: Any, capfd: Any) -> None:
    to_tflite(tree.model(()), "ptq", [tree.data.x[0][:10]])
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""


def test_the_same_model_gives_the_same_bytes(tree: Any) -> None:
    assert to_tflite(tree.model(()), "ptq", [tree.data.x[0][:10]]) == to_tflite(
        tree.model(()), "ptq", [tree.data.x[0][:10]]
    )


def test_what_stays_in_float_is_named(tree: Any) -> None:
    tf = import_tensorflow()
    with quiet():
        content = tf.lite.TFLiteConverter.from_keras_model(tree.model(())).convert()
    with pytest.raises(ConvertError, match=r"operator CONV_2D .* was left in float"):
        check_quantized(content)


def test_layers_without_fake_quantization_get_their_ranges_from_samples(tree: Any) -> None:
    quantization, keras = import_tfmot().quantization.keras, import_keras()
    layers = keras.layers
    half = keras.Sequential(
        [layers.Flatten(input_shape=(8, 8, 1)), layers.Dense(8, activation="tanh"), layers.Dense(4)]
    )
    half = keras.models.clone_model(half, clone_function=lambda layer: _annotated(quantization, layer))
    check_quantized(to_tflite(quantization.quantize_apply(half), "qat", [tree.data.x[0][:50]]))


def _annotated(quantization: Any, layer: Any) -> Any:
    """Only the last layer of a model is to be quantized."""
    return quantization.quantize_annotate_layer(layer) if getattr(layer, "units", 0) == 4 else layer


def test_a_float_model_is_not_taken_for_a_quantization_aware_one(tree: Any) -> None:
    with pytest.raises(ConvertError, match="the model has no fake quantization"):
        to_tflite(tree.model(()), "qat", tree.data.x)


def test_a_layer_tensorflow_cannot_quantize_is_one_clear_line(data: steps.Samples) -> None:
    keras, tf = import_keras(), import_tensorflow()
    network = keras.Sequential([keras.layers.Lambda(tf.math.erf, input_shape=(8, 8, 1)), keras.layers.Flatten()])
    with pytest.raises(ConvertError) as error:
        to_tflite(network, "ptq", [data.x[0][:10]])
    assert len(str(error.value).splitlines()) == 1


def test_free_axes_and_wrong_samples_are_refused(data: steps.Samples) -> None:
    keras = import_keras()
    layers = keras.layers
    free = keras.Sequential([layers.Conv2D(2, 1, input_shape=(None, 8, 1))])
    with pytest.raises(ConvertError, match=r"input shape .* is not fixed"):
        to_tflite(free, "ptq", data.x)
    one, two = layers.Input((4,)), layers.Input((4,))
    with pytest.raises(BadInputError, match="calibration samples of shapes"):
        to_tflite(keras.Model([one, two], layers.Add()([one, two])), "ptq", data.x)
    flat = keras.Sequential([layers.Dense(2, input_shape=(4,))])
    with pytest.raises(BadInputError, match="calibration samples of shapes"):
        to_tflite(flat, "ptq", data.x)
    with pytest.raises(BadInputError, match="unknown conversion fp16"):
        to_tflite(flat, "fp16", data.x)


def test_the_log_of_a_refusal_shows_no_environment() -> None:
    """AutoGraph writes the objects whose methods it cannot read, of which os.environ was one. pytest takes its log."""
    environment = {**os.environ, "A_TOKEN": "of-the-user", "TF_NUM_INTRAOP_THREADS": "1"}
    command = [sys.executable, "-c", LOG_OF_A_REFUSAL]
    told = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert "error: failed while converting" in told.stdout
    assert "of-the-user" not in told.stdout + told.stderr
