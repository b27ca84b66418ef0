"""Many parameters of a test, of which a change's run takes some, and `tox -e nightly` the others.

@pytest.mark.parametrize("kind", some_by_day(KINDS, ("gru", "two")))
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any

import pytest


def some_by_day(values: Iterable[Any], by_day: Container[Any]) -> list[Any]:
    """Returns `values` as parameters; those that are not in `by_day` have the mark `nightly`."""
    return [value if value in by_day else _of_the_night(value) for value in values]


def _of_the_night(value: Any) -> Any:
    return pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=pytest.mark.nightly)
