"""A shape signature that contradicts its tensor's shape, as tools that cut models leave it, misleads Vela."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hil.core.tflite.model import read_model
from hil.core.tflite.shape_signatures import without_stale_signatures
from hil.harness.vela.compiler import compile_model
from hil.harness.vela.settings import VelaSettings
from hil.targets import create
from hil.targets.base import Deployable
from hil.targets.execution import tensorflow_kernels

PADDED = (1, 34, 42, 1)


@pytest.fixture(scope="module")
def padded() -> bytes:
    """An int8 PAD of 32 x 40 pixels to 34 x 42, and a max pool of it."""
    import tensorflow as tf

    def network(x: Any) -> Any:
        seen = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
        return tf.nn.max_pool2d(seen[:, :20], 2, 2, "VALID"), tf.nn.max_pool2d(seen[:, 14:], 2, 2, "VALID")

    shape = (1, 32, 40, 1)
    function = tf.function(network, input_signature=[tf.TensorSpec(shape, tf.float32)])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: (
        [np.random.default_rng(seed).normal(size=shape).astype(np.float32)] for seed in range(3)
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())


def _with_signature(model: bytes, signature: list[int]) -> bytes:
    """The model with this signature on its padded tensor."""
    import flatbuffers

    whole = tensorflow_kernels.schema().ModelT.InitFromPackedBuf(bytearray(model), 0)
    for tensor in whole.subgraphs[0].tensors:
        if tuple(tensor.shape) == PADDED:
            tensor.shapeSignature = signature
    builder = flatbuffers.Builder(len(model))
    builder.Finish(whole.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def test_a_model_whose_signatures_are_stale_runs_as_its_shapes_say(padded: bytes) -> None:
    stale = _with_signature(padded, [-1, 32, 40, 1])
    deployable = Deployable(stale, compile_model(stale, VelaSettings(), mapped=False).model)
    inputs = [np.random.default_rng(1).integers(-128, 128, (4, 32, 40, 1), np.int8)]
    got, expected = (create(name).run(deployable, inputs).outputs for name in ("sim", "host"))
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_only_signatures_that_contradict_the_shape_are_removed(padded: bytes) -> None:
    for signature in ([-1, 34, 42, 1], [1, 34, 42, 1], [-1, -1, -1, 1]):
        model = _with_signature(padded, signature)
        assert without_stale_signatures(model) == model
    for signature in ([-1, 32, 40, 1], [34, 42, 1]):
        (found,) = [
            tensor
            for tensor in read_model(without_stale_signatures(_with_signature(padded, signature))).main.tensors
            if tensor.shape == PADDED
        ]
        assert found.shape_signature == ()
