"""The kernels that are loaded without TensorFlow give what TensorFlow's own interpreter gives, in every tensor."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hil.harness.optimize.keras.keras2 import import_tensorflow
from hil.targets.execution.interpreter import Interpreter


def test_every_tensor_is_that_of_tensorflows_interpreter(made: Callable[[str], bytes]) -> None:
    """SUM over two axes has temporary memory behind the model's tensors, of which no array can be made."""
    model = made("log_of_sum")
    ours = Interpreter(model)
    x = [
        np.random.default_rng(1).integers(-128, 128, (1, *spec.sample_shape), np.int8) for spec in ours.signature.inputs
    ]
    lite = import_tensorflow().lite
    reference = lite.experimental.OpResolverType.BUILTIN_REF
    theirs = lite.Interpreter(
        model_content=model, experimental_op_resolver_type=reference, experimental_preserve_all_tensors=True
    )
    theirs.allocate_tensors()
    for detail, array in zip(theirs.get_input_details(), x, strict=True):
        theirs.set_tensor(detail["index"], array.reshape(detail["shape"]))
    theirs.invoke()
    found = ours.intermediate(x)
    assert {spec.name for spec in ours.signature.outputs} < found.keys()
    indices = {detail["name"]: detail["index"] for detail in theirs.get_tensor_details()}
    for name, array in found.items():
        np.testing.assert_array_equal(array, theirs.get_tensor(indices[name]), err_msg=name)
