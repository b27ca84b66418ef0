"""A tensor whose shape its kernel decides, as the outputs of a detector's TFLite_Detection_PostProcess."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hil.harness.vela.compiler import compile_model
from hil.harness.vela.settings import VelaSettings
from hil.targets import create
from hil.targets.base import Deployable
from hil.targets.execution import tensorflow_kernels
from hil.targets.execution.interpreter import Interpreter

Made = Callable[[str], bytes]


def _without_output_shape(model: bytes) -> bytes:
    import flatbuffers

    whole = tensorflow_kernels.schema().ModelT.InitFromPackedBuf(bytearray(model), 0)
    graph = whole.subgraphs[0]
    for index in graph.outputs:
        graph.tensors[index].shape = graph.tensors[index].shapeSignature = None
    builder = flatbuffers.Builder(len(model))
    builder.Finish(whole.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def test_an_output_without_a_shape_has_the_one_that_its_kernel_gives(made: Made) -> None:
    whole = made("summed")
    settings = VelaSettings(options=("--ignore-ops SUM",))
    inputs = [np.random.default_rng(0).integers(-128, 128, (3, 8, 8, 4), np.int8)]
    expected = Interpreter(whole, stand_ins=False).run(inputs)  # TFLite Micro's kernels take shapes from the file
    model = _without_output_shape(whole)
    compiled = compile_model(model, settings, mapped=False).model
    (found,) = create("sim").run(Deployable(model, compiled), inputs).outputs
    np.testing.assert_array_equal(found, expected[0])
