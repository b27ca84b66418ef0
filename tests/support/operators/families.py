"""All cases, from the files of `cases`."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping

from tests.support.operators.case import Case

FAMILIES = (
    "convolution",
    "fully_connected",
    "transpose_conv",
    "pooling",
    "elementwise",
    "unary",
    "joining",
    "rearranging",
    "resize",
    "softmax",
    "reduction",
    "lstm",
    "prelu",
    "matmul",
)
"""Modules of `cases`: each has a function `cases()`."""


@functools.cache
def all_cases() -> Mapping[str, Case]:
    """Every case by its key, in the families' order.  Raises `ValueError` if two have the same key."""
    found: dict[str, Case] = {}
    for family in FAMILIES:
        for case in importlib.import_module(f"tests.support.operators.cases.{family}").cases():
            if case.key in found:
                raise ValueError(f"two cases are called {case.key}")
            found[case.key] = case
    return found
