"""Parity: a target against the oracle bit by bit, and against the float model within the error of quantization.

    result = compare(target=[y], oracle=[r], keras=k, dequantized=real)
    result.mismatches            # elements that are not equal; the only good number is 0
    result.sqnr_db               # signal to quantization noise against Keras

The only good number of mismatches is 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hil.core.arrays import Array, largest_difference, unequal


@dataclass(frozen=True)
class FirstDifference:
    """The first element that differs: output number, index with the sample first, and both values."""

    output: int
    index: tuple[int, ...]
    target: int | float
    oracle: int | float


@dataclass(frozen=True)
class OutputParity:
    """One output against that of the float Keras model; the fields are those of `Parity`."""

    agreement: float
    sqnr_db: float
    error: float


@dataclass(frozen=True)
class Parity:
    """Target against oracle (counts of elements) and against the float Keras model.

    `largest` is the largest absolute difference in quantized steps, or in the unit of a float output; `agreement` is
    the fraction of samples with the same largest output as Keras, `sqnr_db` in decibel, `error` the largest absolute
    difference in the output's own unit; these three are the worst of the outputs' (`by_output`), None where there is no
    Keras model.  `sim_mismatches` counts the elements in which `sim`, which stands in for slower targets, differs from
    the oracle on `sim_samples` samples.  `oracle_stand_in` names kernels that ran in place of the oracle's.
    """

    elements: int
    samples: int
    mismatches: int
    largest: int | float
    first: FirstDifference | None
    agreement: float | None = None
    sqnr_db: float | None = None
    error: float | None = None
    sim_mismatches: int = 0
    sim_samples: int = 0
    by_output: tuple[OutputParity, ...] = ()
    oracle_stand_in: str = ""


def count(some: Sequence[Array], others: Sequence[Array]) -> int:
    """Number of elements that differ."""
    return sum(int(np.count_nonzero(unequal(one, other))) for one, other in zip(some, others, strict=True))


def compare(
    target: Sequence[Array], oracle: Sequence[Array], keras: Sequence[Array] | None, dequantized: Sequence[Array]
) -> Parity:
    """Compares `target` and `oracle`, arrays of the outputs' dtypes (samples, ...) in the same order.

    `keras` and `dequantized` are float (samples, ...) by output.
    """
    mismatches = elements = 0
    largest: int | float = 0
    first = None
    for number, (got, want) in enumerate(zip(target, oracle, strict=True)):
        if got.shape != want.shape or got.dtype != want.dtype:
            raise ValueError(f"output {number}: {got.dtype}{got.shape} against {want.dtype}{want.shape}")
        differs = unequal(got, want)
        elements += differs.size
        mismatches += int(np.count_nonzero(differs))
        largest = max(largest, largest_difference(got, want))
        if first is None and differs.any():
            index = tuple(int(i) for i in np.argwhere(differs)[0])
            first = FirstDifference(number, index, got[index].item(), want[index].item())
    result = Parity(elements, len(target[0]), mismatches, largest, first)
    if keras is None:
        return result
    by_output = tuple(_against_keras(*pair) for pair in zip(keras, dequantized, strict=True))
    worst = min(by_output, key=lambda found: found.sqnr_db)
    agreement = min(found.agreement for found in by_output)
    error = max(found.error for found in by_output)
    return replace(result, agreement=agreement, sqnr_db=worst.sqnr_db, error=error, by_output=by_output)


def _against_keras(keras: Array, candidate: Array) -> OutputParity:
    reference = keras.astype(np.float64).reshape(len(keras), -1)
    noise = candidate.astype(np.float64).reshape(len(candidate), -1) - reference
    power = float((noise**2).sum())
    same = reference.argmax(axis=1) == (reference + noise).argmax(axis=1)
    return OutputParity(
        agreement=float(same.mean()),
        sqnr_db=float("inf") if power == 0 else 10 * float(np.log10((reference**2).sum() / power)),
        error=float(np.abs(noise).max(initial=0)),
    )
