"""Strict reading of a TOML table: every key is asked for by name, type and range; what nobody asked for is an error.

keys = Keys({"baud": 115200, "serail": "A1"}, "lab.toml", "port")
keys.whole("baud", 300, 20_000_000)
keys.end()                                # BadInputError: lab.toml: [port] has no key 'serail' (did you mean serial?)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from hil.core.errors import BadInputError

_PLACEHOLDER = re.compile(r"\{(\w*)\}")


class Keys:
    """One table of a file, `table` being its name (empty: the top)."""

    def __init__(self, values: Mapping[str, Any], file: str, table: str = "") -> None:
        self._values = values
        self._file = file
        self._table = table
        self._asked: list[str] = []

    def __contains__(self, key: str) -> bool:
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

    def switch(self, key: str) -> bool:
        """true or false."""
        self._asked.append(key)
        value = self._values.get(key)
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

    def table(self, key: str) -> Keys:
        """The table `key`; an empty one if there is none."""
        value = self._get(key, {}, (dict,), "a table")
        return Keys(value, self._file, f"{self._table}.{key}" if self._table else key)

    def tables(self) -> Iterable[tuple[str, Keys]]:
        """All tables in this one, by name."""
        return [(key, self.table(key)) for key in self._values]

    def end(self) -> None:
        """Raises `BadInputError` for a key that nobody asked for."""
        for key in self._values:
            if key not in self._asked:
                near = get_close_matches(key, self._asked)
                hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(set(self._asked)))}"
                where = f"[{self._table}]" if self._table else "the top level"
                raise BadInputError(f"{self._file}: {where} has no key {key!r}", hint=hint)

    def error(self, key: str, why: str) -> BadInputError:
        """What is wrong with a key."""
        return BadInputError(f"{self._file}: {f'{self._table}.{key}' if self._table else key}: {why}")

    def _get(self, key: str, default: Any, types: tuple[type, ...], what: str) -> Any:
        self._asked.append(key)
        value = self._values.get(key, default)
        if value is None:
            raise self.error(key, "is missing, and has no default")
        if not isinstance(value, types) or isinstance(value, bool):
            raise self.error(key, f"is {type(value).__name__} {value!r}, not {what}")
        return value

    def _within(self, key: str, low: float, high: float, value: float) -> float:
        if not low <= value <= high:  # also refuses nan
            raise self.error(key, f"{value} is not within {low} to {high}")
        return value
