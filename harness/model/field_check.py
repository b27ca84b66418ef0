"""Check of a dataclass' values against its annotations: a wrong one is a line that names the field.

check_fields(instance)      # BadInputError: FineTune.epochs is str '2', not a whole number
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from numbers import Integral, Real
from typing import Any

from hil.core.errors import BadInputError


def check_fields(instance: Any) -> None:
    """Raises `BadInputError` for the first field of a dataclass whose value is of another kind than `_KINDS` says."""
    for field in fields(instance):
        value = getattr(instance, field.name)
        kind, _, optional = str(field.type).partition(" | ")
        if kind not in _KINDS or (optional and (optional != "None" or value is None)):
            continue
        accepts, words = _KINDS[kind]
        if not accepts(value):
            given = f"{type(value).__name__} {value!r}"
            raise BadInputError(f"{type(instance).__name__}.{field.name} is {given}, not {words}")


def _is_a(name: str) -> Callable[[Any], bool]:
    return lambda value: name in [base.__name__ for base in type(value).__mro__]


_KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "int": (lambda value: isinstance(value, Integral) and not isinstance(value, bool), "a whole number"),
    "float": (lambda value: isinstance(value, Real) and not isinstance(value, bool), "a number"),
    "str": (lambda value: isinstance(value, str), "a text"),
    "tuple[str, ...]": (
        lambda value: isinstance(value, tuple | list) and all(isinstance(name, str) for name in value),
        'names, such as ("conv1",)',
    ),
    "FineTune": (_is_a("FineTune"), "a FineTune(epochs, learning_rate)"),
    "Recipe": (_is_a("Recipe"), "a Recipe(...)"),
    "Budget": (_is_a("Budget"), "a Budget(...)"),
}
"""Annotation -> the values that it takes, and the same in words."""
