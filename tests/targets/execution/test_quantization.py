"""Models that no target runs are refused by their cause, before Vela as well; odd ones that run do run."""

from __future__ import annotations

import numpy as np
import pytest

from hil.core.errors import BadInputError
from hil.harness.commands.inputs import random_inputs
from hil.harness.diff.difference import first_difference
from hil.harness.vela.compiler import compile_model
from hil.harness.vela.settings import VelaSettings
from hil.targets import create
from hil.targets.base import Deployable
from hil.targets.execution.signature import read_signature, require_runnable, take_inputs
from tests.support.edge_models import with_edges
from tests.support.operators.builder import Op, Tensor, build

WEIGHTS = np.arange(-6, 6).reshape(3, 4)
SHAPE = (1, 4)


def _dense(activation: str, weights: Tensor, signature: tuple[int, ...] = ()) -> bytes:
    scale = 0.1 if activation == "int8" else ()
    x = Tensor(SHAPE, activation, scale=scale, name="x", signature=signature)
    return build(Op("FULLY_CONNECTED", [x, weights, None], [Tensor((1, 3), activation, scale=scale, name="y")]))


SMALL = Tensor(WEIGHTS.shape, scale=0.1, data=WEIGHTS, name="weights")
REFUSED = {
    r"is a float model: FULLY_CONNECTED 0 \('y'\) computes in float32 \(quantize it: a model file": _dense(
        "float32", Tensor(WEIGHTS.shape, "float32", data=WEIGHTS)
    ),
    r"int8 weights and float activations \(dynamic range quantization\): FULLY_CONNECTED 0 .*representative_dataset": (
        _dense("float32", SMALL)
    ),
    r"has a dynamic shape: axis 1 of its input 'x' has no size": _dense("int8", SMALL, signature=(1, -1)),
    r"sparse weights, 'weights', which neither .*without EXPERIMENTAL_SPARSITY": _dense(
        "int8", Tensor(WEIGHTS.shape, scale=0.1, data=WEIGHTS, name="weights", sparse=True)
    ),
}


@pytest.mark.parametrize("message", REFUSED)
def test_a_model_that_nothing_runs_is_refused_by_its_cause(message: str) -> None:
    model = REFUSED[message]
    with pytest.raises(BadInputError, match=message) as caught:
        require_runnable(read_signature(model))
    assert "\n" not in str(caught.value)
    with pytest.raises(BadInputError, match=message):
        compile_model(model, VelaSettings())


def _batch(samples: int, *, signature: int) -> bytes:
    shape = (samples, 5, 5, 3)
    x = Tensor(shape, scale=0.1, name="x", signature=(signature, *shape[1:]))
    data = np.random.default_rng(0).integers(-127, 128, (4, 3, 3, 3))
    bias = Tensor((4,), "int32", scale=(0.001,) * 4, data=np.arange(4))
    y = Tensor((samples, 3, 3, 4), scale=0.3, name="y", signature=(signature, 3, 3, 4))
    weights = Tensor(data.shape, scale=(0.01,) * 4, data=data)
    return build(Op("CONV_2D", [x, weights, bias], [y], padding="VALID", stride_w=1, stride_h=1))


def _channels_first() -> bytes:
    """As PyTorch's converters make it: the network between two transpositions, with an open batch."""
    x = Tensor((1, 3, 5, 5), scale=0.1, name="x", signature=(-1, 3, 5, 5))
    image = Tensor((1, 5, 5, 3), scale=0.1, name="image")
    data = np.random.default_rng(0).integers(-127, 128, (4, 3, 3, 3))
    weights, bias = Tensor(data.shape, scale=(0.01,) * 4, data=data), Tensor((4,), "int32", data=np.arange(4))
    found, y = Tensor((1, 3, 3, 4), scale=0.3, name="found"), Tensor((1, 4, 3, 3), scale=0.3, name="y")
    orders = [Tensor((4,), "int32", data=np.array(order)) for order in ((0, 2, 3, 1), (0, 3, 1, 2))]
    return build(
        Op("TRANSPOSE", [x, orders[0]], [image], version=2),
        Op("CONV_2D", [image, weights, bias], [found], padding="VALID", stride_w=1, stride_h=1),
        Op("TRANSPOSE", [found, orders[1]], [y], version=2),
    )


@pytest.mark.parametrize(
    "model",
    [_batch(3, signature=3), _batch(1, signature=-1), _channels_first()],
    ids=["batch of 3", "open batch", "channels first"],
)
def test_batches_and_transposed_images_run_as_on_the_reference(model: bytes) -> None:
    compiled = compile_model(model, VelaSettings())
    deployable, inputs = Deployable(model, compiled.model), random_inputs(read_signature(model), 3)
    assert first_difference(deployable, compiled.mapping, inputs) is None
    (expected,), (found,) = (create(name).run(deployable, inputs).outputs for name in ("host", "sim"))
    np.testing.assert_array_equal(found, expected)
    assert len(np.unique(expected)) > 10


def test_samples_for_a_model_with_a_batch_of_its_own_are_refused() -> None:
    with pytest.raises(BadInputError, match=r"\(samples, 3, 5, 5, 3\).*each sample is a batch of 3: convert it"):
        take_inputs(read_signature(_batch(3, signature=3)), np.zeros((12, 5, 5, 3), np.int8))


def test_a_model_with_one_quantized_operator_is_no_float_model() -> None:
    require_runnable(read_signature(with_edges("float32", "int8")))
