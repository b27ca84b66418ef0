"""Files of PyTorch's converters, litert-torch and onnx2tf, as they write them: run on the NPU, or refused by cause.

`tests/support/converters/make_*.py` made the files, and outputs of PyTorch and of ONNX for the same samples.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hil.core.arrays import Array
from hil.core.errors import BadInputError
from hil.harness.diff.difference import first_difference
from hil.harness.vela.compiler import compile_model
from hil.harness.vela.settings import VelaSettings
from hil.targets import create
from hil.targets.base import Deployable
from hil.targets.execution.signature import dequantize, quantize_samples, read_signature, require_runnable

FOLDER = Path(__file__).parents[1] / "support" / "converters"
RUN = {
    "litert_torch_classifier": ("litert_torch.npz", "classifier", (0, 1, 2, 3)),
    "litert_torch_upscaler": ("litert_torch.npz", "upscaler", (0, 1, 2, 3)),
    "litert_torch_channels_last": ("litert_torch.npz", "classifier", (0, 2, 3, 1)),
    "onnx2tf_int8": ("onnx2tf.npz", "y", (0, 2, 3, 1)),
    "onnx2tf_float_edges": ("onnx2tf.npz", "y", (0, 2, 3, 1)),
}
"""File -> its samples and outputs, and the order of the axes of the samples."""
REFUSED = {
    "litert_torch_open_batch": r"shapes that contradict each other: CONV_2D 1 .* makes \[2, .* of \[1, .*a fixed batch",
    "litert_torch_float": r"is a float model: TRANSPOSE 0 .*quantize it",
    "onnx2tf_float": r"is a float model: CONV_2D 0 .*quantize it",
}


def samples(name: str) -> tuple[Array, Array]:
    file, outputs, order = RUN[name]
    with np.load(FOLDER / file) as arrays:
        return arrays["x"].transpose(order), arrays[outputs]


@pytest.mark.parametrize("name", RUN)
def test_a_file_of_a_converter_runs_as_on_the_reference_and_as_its_source(name: str) -> None:
    int8, (x, wanted) = (FOLDER / f"{name}.tflite").read_bytes(), samples(name)
    compiled, signature = compile_model(int8, VelaSettings()), read_signature(int8)
    deployable, inputs = Deployable(int8, compiled.model), quantize_samples(signature, [x])
    assert first_difference(deployable, compiled.mapping, inputs) is None
    (expected,), (found,) = (create(target).run(deployable, inputs).outputs for target in ("host", "sim"))
    np.testing.assert_array_equal(found, expected)
    error = dequantize(signature.outputs[0], found).reshape(wanted.shape) - wanted
    assert np.sqrt((error**2).mean()) < 0.05 * wanted.std()


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_nothing_runs_is_refused_by_its_cause(name: str) -> None:
    """Before: of the open batch, `sim` computed the second image from whatever lay behind the first."""
    content = (FOLDER / f"{name}.tflite").read_bytes()
    with pytest.raises(BadInputError, match=REFUSED[name]):
        require_runnable(read_signature(content))
    with pytest.raises(BadInputError, match=REFUSED[name]):
        compile_model(content, VelaSettings())
