"""Arrays of a metric, each an array (n, ...) or a tuple of several by output or input.

picked(outputs, [0, 5])                         # the same of two samples
flattened({"labels": (boxes, classes)})         # {"labels.0": boxes, "labels.1": classes}, for a file
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hil.core.arrays import Array
from hil.harness.model.metric import ArrayOrTuple


def mapped(function: Callable[[Array], Array], arrays: ArrayOrTuple) -> ArrayOrTuple:
    """Applies a function to each array."""
    return tuple(map(function, arrays)) if isinstance(arrays, tuple) else function(arrays)


def picked(arrays: ArrayOrTuple, samples: Array) -> ArrayOrTuple:
    """Some samples of each array."""
    return mapped(lambda array: array[samples], arrays)


def count(arrays: ArrayOrTuple) -> int:
    """Number of samples."""
    return len(arrays[0] if isinstance(arrays, tuple) else arrays)


def described(arrays: ArrayOrTuple) -> str:
    """Formats dtypes and shapes."""
    parts = arrays if isinstance(arrays, tuple) else (arrays,)
    text = ", ".join(f"{part.dtype} {part.shape}" for part in parts)
    return f"({text})" if isinstance(arrays, tuple) else text


def flattened(groups: Mapping[str, ArrayOrTuple]) -> dict[str, Array]:
    """Arrays by name, for a file; those of a tuple are NAME.0, NAME.1 and so on."""
    found = {}
    for name, arrays in groups.items():
        parts = {f"{name}.{n}": part for n, part in enumerate(arrays)} if isinstance(arrays, tuple) else {name: arrays}
        found.update(parts)
    return found


def restored(arrays: Mapping[str, Array]) -> dict[str, ArrayOrTuple]:
    """The groups that `flattened` made one mapping of."""
    found: dict[str, ArrayOrTuple] = {}
    for name, array in arrays.items():
        group, _, number = name.partition(".")
        before = found.get(group, ())
        found[group] = (*before, array) if number and isinstance(before, tuple) else array
    return found
