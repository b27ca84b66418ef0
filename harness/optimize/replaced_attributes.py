"""Attributes of TFMOT's modules and classes, replaced while a block runs.

    with replaced(module, supports=mine):
        ...

They must be attributes of the module or class itself: an inherited one would be None afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def replaced(owner: Any, **attributes: Any) -> Iterator[None]:
    """Sets attributes of a module or class while the block runs."""
    saved = {name: vars(owner).get(name) for name in attributes}
    for name, value in attributes.items():
        setattr(owner, name, value)
    try:
        yield
    finally:
        for name, value in saved.items():
            setattr(owner, name, value)
