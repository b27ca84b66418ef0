"""Samples as the inputs of a Keras network: in its dtypes, one array or a list of them.

    check_samples(network, samples)
    given = as_inputs(network, x)                           # of arrays by input
    for outputs in prediction_batches(network, samples):    # tuples of float32 arrays (256, ...)
        ...

Several arrays stand in the order of the network's inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from hil.core.arrays import Array
from hil.core.errors import BadInputError
from hil.harness.data.samples import Samples
from hil.harness.optimize.keras.keras2 import import_tensorflow

Progress = Callable[[int, int, str], None]
"""Called with (steps done, steps in total, text)."""
PREDICTED = 256
"""Samples of a batch of predictions."""


def as_inputs(network: Any, x: Sequence[Array]) -> Any:
    """Returns arrays (n, ...) as a network takes them: in the dtypes of its inputs, a list where there are several."""
    arrays = [np.asarray(array, tensor.dtype.as_numpy_dtype) for tensor, array in zip(network.inputs, x, strict=True)]
    return arrays if len(arrays) > 1 else arrays[0]


def as_outputs(outputs: Any) -> tuple[Any, ...]:
    """Returns what a network gives as a tuple, in the order of its outputs."""
    return tuple(import_tensorflow().nest.flatten(outputs))


def check_samples(network: Any, samples: Samples) -> None:
    """Raises `BadInputError` unless the samples (n, ...) have the input shapes of the network."""
    arrays = samples.inputs.arrays
    if len(arrays) != len(network.inputs):
        names = ", ".join(network.input_names)
        raise BadInputError(f"the data's samples are {len(arrays)} arrays, the network takes {names}")
    for tensor, name, array in zip(network.inputs, network.input_names, arrays, strict=True):
        shape, given = tuple(tensor.shape)[1:], array.shape[1:]
        if len(shape) != len(given) or any(size not in (None, found) for size, found in zip(shape, given, strict=True)):
            of = "" if len(arrays) == 1 else f" of input {name}"
            raise BadInputError(f"the data's samples{of} have shape {given}, the network takes {shape}")


def prediction_batches(network: Any, samples: Samples, progress: Progress | None = None) -> Iterator[tuple[Array, ...]]:
    """Runs a network on samples; yields its outputs, float arrays (n, ...), batch by batch.

    Raises `BadInputError` if the samples do not fit it.
    """
    tf = import_tensorflow()
    check_samples(network, samples)
    signature = [tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype) for tensor in network.inputs]

    @tf.function(input_signature=signature)  # type: ignore[untyped-decorator, unused-ignore]
    def run(*inputs: Any) -> Any:
        return network(list(inputs) if len(inputs) > 1 else inputs[0], training=False)

    total = -(-len(samples) // PREDICTED)
    for number, batch in enumerate(samples.chunks(PREDICTED)):
        given = as_inputs(network, batch.x)
        outputs = run(*given) if len(signature) > 1 else run(given)
        if progress is not None:
            progress(number + 1, total, "predict")
        yield tuple(np.asarray(output) for output in as_outputs(outputs))


def predict(network: Any, samples: Samples, progress: Progress | None = None) -> tuple[Array, ...]:
    """Returns the outputs (n, ...) of a network on all samples, in memory."""
    parts = list(prediction_batches(network, samples, progress))
    return tuple(np.concatenate(output) for output in zip(*parts, strict=True))
