"""Attributes of modules, classes and layers, replaced while a block runs.

    with replaced(module, supports=mine):
        ...

What the owner inherited, such as a layer the `call` of its class, it inherits again afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def replaced(owner: Any, **attributes: Any) -> Iterator[None]:
    """Sets attributes of a module, a class or an object while the block runs."""
    saved = {name: vars(owner)[name] for name in attributes if name in vars(owner)}
    for name, value in attributes.items():
        setattr(owner, name, value)
    try:
        yield
    finally:
        for name in attributes:
            if name in saved:
                setattr(owner, name, saved[name])
            else:
                delattr(owner, name)
