"""What a model is run on: the user's arrays, or random ones."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hil.harness.commands import arguments

if TYPE_CHECKING:
    from hil.targets.base import Array
    from hil.targets.tensors import Signature


def read_inputs(signature: Signature, path: Path) -> list[Array]:
    """The arrays of an .npz or .npy file, in the model's order; floats are quantized.

    Raises `BadInputError` for a file that holds none, or none that fit.
    """
    import numpy as np

    from hil.npu.errors import BadInputError
    from hil.targets.tensors import take_inputs

    data = arguments.read_model(path)
    try:
        loaded = np.load(io.BytesIO(data), allow_pickle=False)
        given: Array | Mapping[str, Array] = loaded if isinstance(loaded, np.ndarray) else dict(loaded)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, KeyError) as error:
        raise BadInputError(f"{path} holds no arrays: {error}", hint="write it with numpy.savez") from error
    return take_inputs(signature, given)


def random_inputs(signature: Signature, samples: int, seed: int = 0) -> list[Array]:
    """Arrays over the whole range of each input's type, the same for the same seed."""
    import numpy as np

    from hil.targets.tensors import require_quantized

    require_quantized(signature)
    rng = np.random.default_rng(seed)
    arrays = []
    for spec in signature.inputs:
        limits = np.iinfo(spec.dtype)
        shape = (samples, *spec.sample_shape)
        arrays.append(rng.integers(limits.min, limits.max, shape, spec.dtype, endpoint=True))
    return arrays
