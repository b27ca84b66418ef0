"""Text of the values that a function carries, which its file does not show: two closures of one function differ.

    from functools import partial

    carried(partial(int, base=8))        # ("tuple [tuple [], mapping [str 'base': int 8]]", "builtins.int")

A function carries the arguments of a partial, the variables of a closure, its defaults, its code, and the attributes of
the object whose method it is.  Plain values, arrays, dataclasses, functions and classes have a text that is equal in
every process.  Anything else has one of this process and this object alone, so nothing is shared by mistake.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import inspect
import types
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hil.core.artifact_manifest import digest
from hil.harness.store.imports import is_own

_PLAIN = (str, bytes, int, float, complex, bool, type(None), enum.Enum, Path, np.generic, np.dtype)
_PROCESS = uuid.uuid4().hex
_kept: dict[int, object] = {}  # while an object lives here, no other has its id


def carried(function: Callable[..., Any]) -> tuple[str, ...]:
    """Returns the name of a function, of a partial or of a callable object, and the texts of what it carries."""
    return tuple(_callable(function, ()))


def text_of(value: Any, inside: tuple[int, ...] = ()) -> str:
    """Returns the text of a value; `inside` holds the ids of the values that it is part of."""
    if id(value) in inside:  # a closure that holds itself
        return "itself"
    inside = (*inside, id(value))
    if isinstance(value, _PLAIN):
        return f"{type(value).__name__} {value!r}"
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        return f"array {value.dtype.str} {value.shape} {digest(np.ascontiguousarray(value).tobytes())}"
    if isinstance(value, list | tuple):
        return f"{type(value).__name__} [{', '.join(text_of(one, inside) for one in value)}]"
    if isinstance(value, set | frozenset):
        return f"set {sorted(text_of(one, inside) for one in value)}"
    if isinstance(value, Mapping):
        return f"mapping [{', '.join(f'{text_of(k, inside)}: {text_of(v, inside)}' for k, v in value.items())}]"
    if isinstance(value, types.ModuleType):
        return f"module {value.__name__}"
    if isinstance(value, functools.partial | types.FunctionType | types.MethodType | type) or inspect.isbuiltin(value):
        return f"function {list(_callable(value, inside))}"
    attributes = _attributes(value)
    return _unknown(value) if attributes is None else f"{_name(type(value))} {text_of(attributes, inside)}"


def _callable(function: Any, inside: tuple[int, ...]) -> Iterator[str]:
    while isinstance(function, functools.partial):
        yield text_of((function.args, function.keywords), inside)
        function = function.func
    if isinstance(function, types.MethodType):
        yield text_of(function.__self__, inside)
        function = function.__func__
    if hasattr(function, "cache_info"):  # of `functools.lru_cache`; other decorators hold what they wrap in a closure
        function = function.__wrapped__
    if isinstance(function, types.FunctionType):
        yield from _function(function, inside)
    elif isinstance(function, type) and "<locals>" in function.__qualname__:  # each call of a function makes another
        yield _unknown(function)
    elif isinstance(function, type) or inspect.isbuiltin(function):
        yield _name(function)
    else:
        yield text_of(function, inside)


def _function(function: types.FunctionType, inside: tuple[int, ...]) -> Iterator[str]:
    yield _name(function)
    yield text_of([_content(cell) for cell in function.__closure__ or ()], inside)
    file = Path(function.__code__.co_filename)
    if not file.is_file():  # of an interactive session, where no file shows the functions that it calls
        yield _unknown(function)
    elif is_own(file):
        yield text_of((function.__defaults__, function.__kwdefaults__, vars(function)), inside)
        yield _code(function.__code__, inside)


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # bound later
        return None


def _attributes(value: Any) -> dict[str, Any] | None:
    """Returns what a dataclass, or an object of the user's own class, consists of; None for anything else."""
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}
    try:
        own = is_own(Path(inspect.getfile(type(value))))
    except (TypeError, OSError):
        return None
    slots = any("__slots__" in vars(one) for one in type(value).__mro__)
    return dict(sorted(vars(value).items())) if own and not slots else None


def _code(code: types.CodeType, inside: tuple[int, ...]) -> str:
    """Text of a function's code without places in its file."""
    inner = [_code(one, inside) for one in code.co_consts if isinstance(one, types.CodeType)]
    constants = [inner, *(text_of(one, inside) for one in code.co_consts if not isinstance(one, types.CodeType))]
    return f"{digest(code.co_code)} {constants} {code.co_names}"


def _name(thing: Any) -> str:
    return f"{getattr(thing, '__module__', '')}.{getattr(thing, '__qualname__', thing)}"


def _unknown(value: object) -> str:
    _kept[id(value)] = value
    return f"{_name(type(value))} {_PROCESS} {id(value)}"
