"""Samples of a split: an array for each input and each output of a network, read on access.

    samples = Samples(x, y)                         # arrays (n, ...), or a tuple or mapping of arrays
    few = samples.sample(200, seed=0)               # the same ones for the same seed; nothing is copied yet
    few.x, few.y                                    # tuples of arrays (200, ...)

The arrays may be files in memory (`np.memmap`): rows are read where they are needed, so memory grows with the batch and
not with the data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from hil.core.arrays import Array, Integers
from hil.core.errors import BadInputError

Arrays = Array | Sequence[Array] | Mapping[str, Array]
"""One array (n, ...), or several in the network's order or by name."""
CHUNK_BYTES = 8 << 20
"""Size of the parts in which all samples are read."""


@dataclass(frozen=True, eq=False)
class Part:
    """Arrays (n, ...) of the inputs, or of the outputs, with their `names`; without names they stand in order."""

    arrays: tuple[Array, ...]
    names: tuple[str, ...] = ()

    @staticmethod
    def of(given: Arrays) -> Part:
        """Returns the part that an array, a sequence or a mapping stands for."""
        if isinstance(given, Mapping):
            return Part(tuple(given.values()), tuple(given))
        return Part((given,) if isinstance(given, np.ndarray) else tuple(given))

    def arranged(self, names: Sequence[str], what: str) -> Part:
        """Returns the arrays in the order of a network's `names`; `what` is "input" or "output".

        Raises `BadInputError` unless there is one for each.  Outputs that have no labels by name get none of them: an
        array (n, 0).
        """
        if not self.names:
            if len(self.arrays) != len(names):
                raise BadInputError(_other_number(len(self.arrays), names, what), hint=_by_name(names, what))
            return Part(self.arrays, tuple(names))
        unknown = [name for name in self.names if name not in names]
        missing = [name for name in names if name not in self.names]
        if unknown or (missing and what == "input"):
            wrong = f"{unknown[0]} is none" if unknown else f"{missing[0]} is missing"
            raise BadInputError(f"the {_OF[what]} are given by name, and {wrong} of the network's: {', '.join(names)}")
        given = dict(zip(self.names, self.arrays, strict=True))
        nothing = np.empty((len(self.arrays[0]), 0), np.float32)
        return Part(tuple(given.get(name, nothing) for name in names), tuple(names))


_OF = {"input": "samples", "output": "labels"}


def _other_number(count: int, names: Sequence[str], what: str) -> str:
    many = f"{len(names)} {what}{'' if len(names) == 1 else 's'} ({', '.join(names)})"
    given = f"{_OF[what]} are {count} array{'' if count == 1 else 's'}"
    return f"the network has {many}, the {given}"


def _by_name(names: Sequence[str], what: str) -> str:
    letter = "x" if what == "input" else "y"
    return f"return {letter} as {{{', '.join(f'{name!r}: ...' for name in names)}}}"


@dataclass(frozen=True, eq=False, init=False)
class Samples:
    """Samples with labels: `inputs` and `labels` by network input and output, and a weight (n,) a sample or None.

    `rows` are the indices of the samples in these arrays, None for all.
    """

    inputs: Part
    labels: Part
    weights: Array | None = None
    rows: Integers | None = field(default=None)

    def __init__(
        self, x: Arrays | Part, y: Arrays | Part, weights: Array | None = None, rows: Integers | None = None
    ) -> None:
        for name, value in (("inputs", x), ("labels", y)):
            object.__setattr__(self, name, value if isinstance(value, Part) else Part.of(value))
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "rows", rows)

    def __len__(self) -> int:
        return len(self.inputs.arrays[0] if self.rows is None else self.rows)

    @property
    def x(self) -> tuple[Array, ...]:
        """Arrays (n, ...) of the inputs, each in the dtype of the data; a choice of samples is copied."""
        return self._rows_of(self.inputs.arrays)

    @property
    def y(self) -> tuple[Array, ...]:
        """Arrays (n, ...) of the labels by output; a choice of samples is copied."""
        return self._rows_of(self.labels.arrays)

    @property
    def w(self) -> Array | None:
        """Weights (n,) of the samples; None if each counts once."""
        return None if self.weights is None else self._rows_of((self.weights,))[0]

    def take(self, rows: Integers | slice) -> Samples:
        """Returns some of the samples, by index."""
        every = np.arange(len(self)) if self.rows is None else self.rows
        return Samples(self.inputs, self.labels, self.weights, every[rows])

    def sample(self, count: int | None, seed: int) -> Samples:
        """Draws `count` samples without replacement, in their order, the same ones for a seed; returns all if None."""
        if count is None or count >= len(self):
            return self
        return self.take(np.sort(np.random.default_rng(seed).permutation(len(self))[:count]))

    def with_labels(self, y: Sequence[Array]) -> Samples:
        """Returns the same inputs with other labels (n, ...), those of all rows of the arrays."""
        return Samples(self.inputs, Part(tuple(y), self.labels.names), self.weights, self.rows)

    def arranged(self, inputs: Sequence[str], outputs: Sequence[str]) -> Samples:
        """Returns the samples in the order of a network's inputs and outputs; raises `BadInputError` if they differ."""
        x, y = self.inputs.arranged(inputs, "input"), self.labels.arranged(outputs, "output")
        return Samples(x, y, self.weights, self.rows)

    def chunks(self, most: int | None = None) -> Iterator[Samples]:
        """Iterates over all samples in parts of `most` samples, or of about `CHUNK_BYTES`."""
        size = sum(array[:1].nbytes for array in (*self.inputs.arrays, *self.labels.arrays))
        step = most or max(1, CHUNK_BYTES // max(1, size))
        for start in range(0, len(self), step):
            if self.rows is None:
                yield self._slice(start, start + step)
            else:
                yield self.take(slice(start, start + step))

    def _slice(self, start: int, end: int) -> Samples:
        """Returns consecutive samples as views, which need no index."""
        x, y = (
            replace(part, arrays=tuple(array[start:end] for array in part.arrays))
            for part in (self.inputs, self.labels)
        )
        return Samples(x, y, None if self.weights is None else self.weights[start:end])

    def _rows_of(self, arrays: tuple[Array, ...]) -> tuple[Array, ...]:
        return arrays if self.rows is None else tuple(array[self.rows] for array in arrays)
