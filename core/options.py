"""Options declared by the fields of a frozen dataclass, from which every command line takes them.

>>> @dataclass(frozen=True)
... class EchoOptions:
...     repeat: int = option(1, help="How often it answers.", metavar="N", minimum=1)
>>> [declared.name for declared in options_of(EchoOptions)]
['repeat']
>>> from_values(EchoOptions, {"repeat": 3})
EchoOptions(repeat=3)

A field without `option` is no option of a command line: tests and programs set it.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from hil.core.errors import BadInputError

T = TypeVar("T")
_KINDS = (bool, int, float, str, Path)
_METADATA = "hil.option"


@dataclass(frozen=True)
class Option:
    """One option: `--name` sets the dataclass's `field`.

    `kind` is bool, int, float, str or Path.  An option that may be given again and again is `many`: its value is a
    tuple.  `minimum` bounds a number.  `commands` are the commands that take it; empty: all.
    """

    name: str
    field: str
    kind: type
    default: Any
    help: str
    metavar: str = ""
    many: bool = False
    minimum: int | None = None
    commands: tuple[str, ...] = ()

    def check(self, value: Any) -> Any:
        """`value` if it is within bounds; raises `BadInputError` that names the option."""
        if self.minimum is not None and value is not None and value < self.minimum:
            raise BadInputError(f"--{self.name} {value}: at least {self.minimum}")
        return tuple(value or ()) if self.many else value


def option(
    default: Any,
    *,
    help: str,  # noqa: A002 - as argparse, click and typer call it
    name: str = "",
    metavar: str = "",
    minimum: int | None = None,
    commands: tuple[str, ...] = (),
) -> Any:
    """A dataclass field that is an option; `name` is the field's, with dashes, where it is not given."""
    about = {"help": help, "name": name, "metavar": metavar, "minimum": minimum}
    return field(default=default, metadata={_METADATA: {**about, "commands": commands}})


def options_of(declared: type) -> tuple[Option, ...]:
    """The options of a dataclass, in the order of its fields; `TypeError` for a field that cannot be one."""
    hints = get_type_hints(declared)
    found = []
    for one in fields(declared):
        if _METADATA in one.metadata:
            about = dict(one.metadata[_METADATA])
            name = about.pop("name") or one.name.replace("_", "-")
            kind, many = _kind(hints[one.name])
            found.append(Option(name=name, field=one.name, kind=kind, default=one.default, many=many, **about))
    return tuple(found)


def from_values(declared: type[T], values: Mapping[str, Any]) -> T:
    """The dataclass made of `values` by option name; an option without a value has its default.

    Raises `BadInputError` for a value out of bounds.
    """
    known = {one.name: one for one in options_of(declared)}
    return declared(**{known[name].field: known[name].check(value) for name, value in values.items() if name in known})


def is_default(one: Option, value: Any) -> bool:
    """True for a value that the user need not have given."""
    return bool((tuple(value or ()) if one.many else value) == one.default)


def _kind(hint: Any) -> tuple[type, bool]:
    """The type of one value, and True if there may be many."""
    if get_origin(hint) is tuple:
        return _kind(get_args(hint)[0])[0], True
    if isinstance(hint, types.UnionType):
        (hint,) = (one for one in get_args(hint) if one is not type(None))
    if hint not in _KINDS:
        raise TypeError(f"an option cannot be {hint!r}")
    return hint, False
