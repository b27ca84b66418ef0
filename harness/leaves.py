"""The leaves of the deployment tree that a model is tested on.

leaves_of(model)        # ("ptq", "qat", ...), or ("int8",) of a model that is an int8 file
unavailable(model)      # "no recordings (set HIL_FSDD ...)", or ""
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

from hil.core.errors import UnavailableError
from hil.harness.model import Model
from hil.harness.optimize.paths import ON_REQUEST, PATHS

GIVEN = "int8"
"""The path of a model that came as an int8 file."""


def leaves_of(model: Model, named: Collection[str] = ()) -> tuple[str, ...]:
    """The paths a model is tested on, in table order; those `ON_REQUEST` only if `named`, here or in the model file."""
    if model.tflite is not None:
        return (GIVEN,)
    wanted = [leaf for leaf in PATHS if leaf not in ON_REQUEST or leaf in named]
    return tuple(leaf for leaf in PATHS if leaf in (wanted if model.techniques is None else model.techniques))


@lru_cache
def unavailable(model: Model) -> str:
    """Reason for which a model cannot be used here, with the remedy; empty if it can."""
    try:
        model.data.present()
    except UnavailableError as error:
        return str(error)
    return ""
