"""Where a model runs: one file a target behind the small protocol of `hil.targets.base`.

target = create("sim")
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module
from typing import Any, cast

from hil.core.errors import BadInputError
from hil.targets.base import Target

_CLASSES = {
    "host": "hil.targets.host.target:HostTarget",
    "sim": "hil.targets.sim.target:SimTarget",
    "fvp": "hil.targets.fvp.target:FvpTarget",
    "serial": "hil.targets.serial.target:SerialTarget",
}
NAMES = tuple(_CLASSES)
"""The targets there are."""


def create(name: str, **options: Any) -> Target:
    """The target called `name`; `options` are its own.  Raises `BadInputError` for a name or an option it has not."""
    if name not in _CLASSES:
        near = get_close_matches(name, NAMES)
        raise BadInputError(f"no target is called {name!r}", hint=f"did you mean {near[0]}?" if near else _known())
    module, _, attribute = _CLASSES[name].partition(":")
    make = cast(Callable[..., Target], getattr(import_module(module), attribute))
    try:
        return make(**options)
    except TypeError as error:
        raise BadInputError(f"target {name}: {str(error).partition('() ')[2] or error}") from error


def _known() -> str:
    return f"known are {', '.join(NAMES)}"
