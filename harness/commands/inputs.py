"""Inputs of a model: the user's arrays, or random ones."""

from __future__ import annotations

import io
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hil.harness.commands import arguments

if TYPE_CHECKING:
    import numpy as np

    from hil.core.arrays import Array
    from hil.targets.execution.signature import Signature, TensorSpec


MOST_RANDOM = 2 << 30
"""Limit in bytes of random inputs."""


def read_inputs(signature: Signature, path: Path) -> list[Array]:
    """The arrays of an .npz or .npy file, in the model's order; floats are quantized, and a line on stderr says so.

    Raises `BadInputError` for a file that holds none, or none that fit.
    """
    import numpy as np

    from hil.core.errors import BadInputError
    from hil.targets.execution.signature import order_inputs, take_inputs

    data = arguments.read_model(path)
    try:
        loaded = np.load(io.BytesIO(data), allow_pickle=False)
        given: Array | Mapping[str, Array] = loaded if isinstance(loaded, np.ndarray) else dict(loaded)
    except Exception as error:  # Of damaged files zipfile, zlib and NumPy's reader of headers raise all sorts.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise BadInputError(f"{path} holds no arrays: {reason}", hint="write it with numpy.savez") from error
    arrays = take_inputs(signature, given)
    for spec, array in zip(signature.inputs, order_inputs(signature, given), strict=True):
        if array.dtype.kind == "f" and spec.dtype.kind != "f":
            print(_quantized(spec, array), file=sys.stderr)
    return arrays


def _quantized(spec: TensorSpec, given: Array) -> str:
    """Describes the quantization of real numbers, with the range that the tensor has and the values beyond it."""
    import numpy as np

    low, high = _range(spec)
    beyond = np.count_nonzero((given < low - spec.scale / 2) | (given > high + spec.scale / 2))
    cut = f"; {beyond:,} of {given.size:,} values are beyond it and saturate" if beyond else ""
    return f"input {spec.name!r}: {given.dtype.name} is quantized to {spec.dtype.name}, {low:g} to {high:g}{cut}"


def random_inputs(signature: Signature, samples: int, seed: int = 0) -> list[Array]:
    """Arrays over the whole range of each input, the same for the same seed.

    The range is that of its type; of a float input a little more than that of the tensor that a QUANTIZE makes of it,
    or else a normal distribution.

    Raises `BadInputError` for more than `MOST_RANDOM` bytes.
    """
    import numpy as np

    from hil.core.errors import BadInputError

    size = samples * sum(math.prod(spec.sample_shape) * np.dtype(spec.dtype).itemsize for spec in signature.inputs)
    if size > MOST_RANDOM:
        raise BadInputError(f"{samples} samples are {size / (1 << 30):.0f} GiB of inputs", hint="--samples takes fewer")
    rng = np.random.default_rng(seed)
    arrays = []
    for spec in signature.inputs:
        arrays.append(_random(spec, (samples, *spec.sample_shape), rng))
    return arrays


def _random(spec: TensorSpec, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    import numpy as np

    if spec.dtype.kind == "b":
        return rng.integers(2, size=shape).astype(bool)
    if spec.dtype.kind != "f":
        limits = np.iinfo(spec.dtype)
        return rng.integers(limits.min, limits.max, shape, spec.dtype, endpoint=True)
    if spec.quantized is None:
        return rng.normal(size=shape).astype(spec.dtype)
    low, high = _range(spec.quantized)
    return rng.uniform(low - spec.quantized.scale, high + spec.quantized.scale, shape).astype(spec.dtype)


def _range(spec: TensorSpec) -> tuple[float, float]:
    """The smallest and the largest real number of a quantized tensor."""
    import numpy as np

    from hil.targets.execution.signature import dequantize

    limits = np.iinfo(spec.dtype)
    low, high = (float(end) for end in dequantize(spec, np.array([limits.min, limits.max])))
    return low, high
