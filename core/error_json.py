"""Errors of the family as JSON, for those that cross from one process to another.

from hil.core.errors import LostError

sent = error_as_json(LostError("no zeros", layer="conv", step="pqat"))
received = error_of_json(sent)              # a LostError again, with its layer
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hil.core import errors
from hil.core.errors import HilError, InfrastructureError


def error_as_json(error: HilError) -> dict[str, Any]:
    """Converts an error to JSON: its class by name, its message and its attributes.

    A class from outside `hil.core.errors` is named by its first base in it.
    """
    kind = next(base.__name__ for base in type(error).__mro__ if getattr(errors, base.__name__, None) is base)
    return {"class": kind, "message": str(error.args[0]), "attributes": dict(vars(error))}


def error_of_json(plain: Mapping[str, Any]) -> HilError:
    """The inverse of `error_as_json`; an `InfrastructureError` for a class that is not known here."""
    kind = getattr(errors, str(plain["class"]), None)
    if not (isinstance(kind, type) and issubclass(kind, HilError)):
        kind = InfrastructureError
    made: HilError = kind.__new__(kind, plain["message"])  # each class has a signature of its own
    made.hint = made.log = ""
    vars(made).update(plain["attributes"])
    return made
