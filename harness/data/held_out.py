"""Division of the training samples into those that train and those that are held out for validation."""

from __future__ import annotations

import numpy as np

from hil.core.errors import BadInputError
from hil.harness.data.samples import Samples


def held_out(samples: Samples, share: float, seed: int) -> tuple[Samples, Samples]:
    """Returns the samples to train with and a `share` of them that is held out, the same ones for the same seed.

    Raises `BadInputError` if one of the two would be empty.
    """
    count = round(share * len(samples))
    if not 0 < count < len(samples):
        raise BadInputError(f"validation {share:g} of {len(samples)} training samples holds out {count}")
    order = np.random.default_rng(seed).permutation(len(samples))
    return samples.take(np.sort(order[count:])), samples.take(np.sort(order[:count]))
