"""Parameters of a test of which a change's run takes some, and `tox -e nightly` the others.

@pytest.mark.parametrize("kind", some_by_day(KINDS, ("gru", "two")))
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any

import pytest


def some_by_day(values: Iterable[Any], by_day: Container[Any]) -> list[Any]:
    """Returns `values` as parameters; those that are not in `by_day` have the mark `nightly`."""
    return [_parameter(value, [] if value in by_day else [pytest.mark.nightly]) for value in values]


def _parameter(value: Any, marks: list[Any]) -> Any:
    return pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=marks)
