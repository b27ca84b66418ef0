"""Samples from what a loader returns: arrays, or batches as Keras' `fit` takes them.

    for batch in batches(loaded, "train"):      # Samples of a batch, checked; arrays come in parts
        ...
    joined(batches(loaded, "test"))             # all of them in memory

A loader returns (x, y) or (x, y, weights), each of x and y an array, a tuple of arrays or a mapping of names to arrays,
or it gives such tuples batch by batch: a generator, a `tf.data.Dataset`, a `keras.utils.Sequence`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from hil.core.arrays import Array
from hil.core.errors import BadInputError, HilError
from hil.harness.data.array_digest import digest_array
from hil.harness.data.samples import Arrays, Part, Samples

TURNS = 4
"""Times that a generator gives the same batches before it counts as endless."""
_HINT = "a loader returns (x, y) or (x, y, weights) of NumPy arrays, or gives such tuples batch by batch"


def batches(loaded: object, split: str) -> Iterator[Samples]:
    """Iterates over the samples that a loader returned, in parts.

    Raises `BadInputError` for anything else, for samples that do not fit each other, and for none at all; what an
    iterator of the user's raises becomes one as well.
    """
    if isinstance(loaded, tuple):
        yield from _checked(loaded, split).chunks()
        return
    digests: list[list[str]] = []
    for batch in _elements(loaded, split):
        samples = _checked(batch, split)
        digests.append([digest_array(array) for array in (*samples.x, *samples.y)])
        if _goes_round(digests):
            line = f"the {split} data gives its first {len(digests) // TURNS} batches {TURNS} times, and goes on"
            raise BadInputError(line, hint="give each sample once; training goes over them by itself")
        yield samples
    if not digests:
        raise BadInputError(f"the {split} data is empty", hint=_HINT)


def joined(parts: Iterable[Samples]) -> Samples:
    """Returns all samples in memory."""
    every = list(parts)
    first = every[0]
    x, y = (
        Part(tuple(np.concatenate(arrays) for arrays in zip(*columns, strict=True)), names)
        for columns, names in (
            ([part.x for part in every], first.inputs.names),
            ([part.y for part in every], first.labels.names),
        )
    )
    weights = [part.w for part in every if part.w is not None]
    return Samples(x, y, np.concatenate(weights) if weights else None)


def _elements(loaded: object, split: str) -> Iterator[object]:
    """Iterates over batches; a Sequence is one that has no end of its own but a length."""
    if isinstance(loaded, str | bytes | Mapping | np.ndarray | list) or not (
        hasattr(loaded, "__iter__") or hasattr(loaded, "__getitem__")
    ):
        raise BadInputError(f"the loader's {split} data is no pair (x, y) but {type(loaded).__name__}", hint=_HINT)
    cardinality = getattr(loaded, "cardinality", None)
    if callable(cardinality) and int(cardinality()) == -1:
        raise BadInputError(f"the {split} data is a tf.data.Dataset without an end", hint="leave out repeat()")
    try:
        numbered = hasattr(loaded, "__getitem__") and hasattr(loaded, "__len__")
        source: Any = loaded
        yield from (source[number] for number in range(len(source))) if numbered else source
    except (HilError, GeneratorExit):
        raise
    except Exception as error:
        raise BadInputError(f"the {split} data cannot be loaded: {type(error).__name__}: {error}") from error


def _checked(batch: object, split: str) -> Samples:
    """Returns the samples of one tuple; tensors become arrays, and float64 and float16 become float32."""
    if not isinstance(batch, tuple | list) or len(batch) not in (2, 3):
        kinds = [type(part).__name__ for part in batch] if isinstance(batch, tuple | list) else type(batch).__name__
        raise BadInputError(f"the loader's {split} data is no pair (x, y) but {kinds}", hint=_HINT)
    x, y = (_part(given, what, split) for given, what in zip(batch, ("x", "y"), strict=False))
    x = Part(tuple(_as_input(array) for array in x.arrays), x.names)
    weights = _array(batch[2], "weights", split) if len(batch) == 3 and batch[2] is not None else None
    for number, array in enumerate(y.arrays):
        if array.dtype.hasobject:
            raise BadInputError(
                f"the {split} labels{_which(y, number)} are objects, no array of numbers", hint="y: numbers (n, ...)"
            )
    everything = [*x.arrays, *y.arrays, *([] if weights is None else [weights])]
    sizes = {len(array) if array.ndim else 0 for array in everything}
    fitting = all(array.ndim >= 2 and array.dtype.kind in "fiub" for array in x.arrays)
    if not fitting or len(sizes) != 1 or 0 in sizes or (weights is not None and weights.ndim != 1):
        given = " and ".join(
            filter(None, (_shapes("x", x.arrays), _shapes("y", y.arrays), _shapes("weights", weights)))
        )
        raise BadInputError(f"the {split} data is {given}", hint="x: numbers (n, ...), y: (n, ...), n at least 1")
    return Samples(x, y, None if weights is None else weights.astype(np.float32))


def _part(given: object, what: str, split: str) -> Part:
    """Returns the arrays of x or y, from anything that has their values."""
    if isinstance(given, Mapping):
        if not given or not all(isinstance(name, str) for name in given):
            raise BadInputError(f"the {split} data's {what} is {given!r:.80}", hint="a mapping of names to arrays")
        return Part.of({name: _array(value, f"{what}[{name!r}]", split) for name, value in given.items()})
    if isinstance(given, tuple):
        return Part.of(tuple(_array(value, f"{what}[{number}]", split) for number, value in enumerate(given)))
    if isinstance(given, list) and given and all(hasattr(value, "shape") for value in given):
        return _part(tuple(given), what, split)
    arrays: Arrays = _array(given, what, split)
    return Part.of(arrays)


def _array(given: Any, what: str, split: str) -> Array:
    if isinstance(given, np.ndarray):
        return given
    if not hasattr(given, "shape") or not hasattr(given, "__array__"):
        raise BadInputError(f"the {split} data's {what} is no NumPy array but {type(given).__name__}", hint=_HINT)
    return np.asarray(given)


def _as_input(array: Array) -> Array:
    return np.asarray(array, np.float32) if array.dtype.kind == "f" else array


def _goes_round(digests: Sequence[Sequence[str]]) -> bool:
    """Returns whether batches are the same first ones, several times over: those of a generator without an end."""
    turn, rest = divmod(len(digests), TURNS)
    return rest == 0 and digests[-1] == digests[turn - 1] and list(digests[:turn]) * TURNS == list(digests)


def _which(part: Part, number: int) -> str:
    if len(part.arrays) == 1:
        return ""
    return f" of {part.names[number]}" if part.names else f" of output {number}"


def _shapes(name: str, arrays: Sequence[Array] | Array | None) -> str:
    if arrays is None:
        return ""
    every = [arrays] if isinstance(arrays, np.ndarray) else arrays
    return f"{name} {', '.join(f'{array.dtype}{list(array.shape)}' for array in every)}"
