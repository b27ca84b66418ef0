"""Strict reader of a TOML file: keys are asked for by name, type and range; a key that nobody asked for is an error.

    port = TomlTable(parse_toml(Path("lab.toml"), "board"), "lab.toml").table("port")
    port.whole("baud", 300, 20_000_000)
    port.end()                            # BadInputError: lab.toml: [port] has no key 'serail' (did you mean serial?)

Every error is a `BadInputError` that begins with the file and names the key.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from hil.core.errors import BadInputError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_PLACEHOLDER = re.compile(r"\{(\w*)\}")
_LARGEST_FILE = 1 << 20


def parse_toml(path: Path, what: str) -> dict[str, Any]:
    """The top table of the file at `path`, which describes a `what`; at most 1 MiB is read."""
    try:
        with path.open("rb") as stream:
            data = stream.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise BadInputError(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > _LARGEST_FILE:
        raise BadInputError(f"{path} is no {what}: larger than {_LARGEST_FILE} bytes")
    try:
        return tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:  # ValueError: no UTF-8, no TOML, a number of thousands of digits
        raise BadInputError(f"{path} is no TOML: {error}") from None


class TomlTable:
    """One table of `file`, `table` being its name (empty: the top)."""

    def __init__(self, values: Mapping[str, Any], file: str, table: str = "") -> None:
        self._values = values
        self._file = file
        self._table = table
        self._asked: list[str] = []
        self._optional: list[str] = []

    def __contains__(self, key: str) -> bool:
        self._optional.append(key)
        return key in self._values

    def text(self, key: str, default: str | None = "", among: Iterable[str] = ()) -> str:
        """A string; one of `among`, unless that is empty."""
        value = self._get(key, default, (str,), "a string")
        allowed = tuple(among)
        if allowed and value not in allowed:
            raise self.error(key, f"{value!r} is none of {', '.join(allowed)}")
        return str(value)

    def whole(self, key: str, low: int, high: int, default: int | None = None) -> int:
        """A whole number from `low` to `high`."""
        return int(self._within(key, low, high, self._get(key, default, (int,), "a whole number")))

    def switch(self, key: str, default: bool | None = None) -> bool:
        """true or false."""
        self._asked.append(key)
        value = self._values.get(key, default)
        if not isinstance(value, bool):
            raise self.error(key, f"is {type(value).__name__} {value!r}, not true or false")
        return value

    def seconds(self, key: str, low: float, high: float, default: float) -> float:
        """A number of seconds from `low` to `high`."""
        return float(self._within(key, low, high, self._get(key, default, (int, float), "a number of seconds")))

    def words(
        self, key: str, default: tuple[str, ...] = (), among: Iterable[str] = (), placeholders: Iterable[str] = ()
    ) -> tuple[str, ...]:
        """A list of strings, such as a command; each one of `among`, and with no other `{name}` than `placeholders`."""
        value = self._get(key, list(default), (list,), "a list of strings")
        allowed, known = tuple(among), tuple(placeholders)
        for word in value:
            if not isinstance(word, str) or "\0" in word:
                raise self.error(key, f"{word!r} is no string")
            if allowed and word not in allowed:
                raise self.error(key, f"{word!r} is none of {', '.join(allowed)}")
            for name in _PLACEHOLDER.findall(word) if not allowed else ():
                if name not in known:
                    raise self.error(key, f"{{{name}}} is none of {', '.join(f'{{{k}}}' for k in known)}")
        return tuple(value)

    def table(self, key: str) -> TomlTable:
        """The table `key`; an empty one if there is none."""
        value = self._get(key, {}, (dict,), "a table")
        return TomlTable(value, self._file, f"{self._table}.{key}" if self._table else key)

    def tables(self) -> Iterable[tuple[str, TomlTable]]:
        """All tables in this one, by name."""
        return [(key, self.table(key)) for key in self._values]

    def end(self) -> None:
        """Raises `BadInputError` for a key that nobody asked for."""
        for key in self._values:
            if key not in self._asked:
                known = {*self._asked, *self._optional}
                near = get_close_matches(key, known)
                hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(known))}"
                where = f"[{self._table}]" if self._table else "the top level"
                raise BadInputError(f"{self._file}: {where} has no key {key!r}", hint=hint)

    def error(self, key: str, why: str, hint: str = "") -> BadInputError:
        """An error that says `why` the value of `key` is wrong."""
        return BadInputError(f"{self._file}: {f'{self._table}.{key}' if self._table else key}: {why}", hint=hint)

    def _get(self, key: str, default: Any, types: tuple[type, ...], what: str) -> Any:
        self._asked.append(key)
        value = self._values.get(key, default)
        if value is None:
            near = get_close_matches(key, self._values)
            hint = f"is {near[0]} meant to be it?" if near else ""
            raise self.error(key, "is missing, and has no default", hint)
        if not isinstance(value, types) or isinstance(value, bool):
            raise self.error(key, f"is {type(value).__name__} {value!r}, not {what}")
        return value

    def _within(self, key: str, low: float, high: float, value: float) -> float:
        if not low <= value <= high:  # also refuses nan
            raise self.error(key, f"{value} is not within {low} to {high}")
        return value
