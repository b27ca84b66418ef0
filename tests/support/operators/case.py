"""A case: one model, its inputs, and which operator and type of the table it belongs to.

    def cases() -> Iterator[Case]:
        for stride, padding in product((1, 2, 3), ("SAME", "VALID")):
            yield Case("MAX_POOL_2D", "int8", f"s{stride}-{padding}", partial(_model, stride, padding))

A case is found again by its key (`MAX_POOL_2D/int8/s1-SAME`), which also seeds its random numbers: `build` gets a
generator that gives the same in every process.  Models are made when they are asked for.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from hil.core.arrays import Array
from hil.targets.execution.signature import TensorSpec, read_signature

Generator = np.random.Generator

TYPES = ("int8", "uint8", "int16", "int32")
"""Types of the table: of the operator's activations.  int16 stands for int16x8 where there are weights."""


@dataclass(frozen=True)
class Case:
    """One model to run.

    `operator` is TFLite's name of the operator under test: if Vela leaves one of that name to the CPU, the case is not
    placed.  `limits` gives the range (lowest, highest) of an input by its number, where that is not its type's.
    `sweep`: the first input runs through every value of its range, in order, again and again.
    `arithmetic` computes the right outputs where the oracle does not, from the model and the inputs as (samples, ...):
    see `known_differences.OWN_ARITHMETIC`, which says why.
    """

    operator: str
    dtype: str
    name: str
    build: Callable[[Generator], bytes]
    samples: int = 6
    limits: Mapping[int, tuple[int, int]] = field(default_factory=dict, hash=False)
    sweep: bool = False
    arithmetic: Callable[[bytes, Sequence[Array]], Sequence[Array]] | None = None

    @property
    def key(self) -> str:
        """Key that identifies this case and seeds its random numbers."""
        return f"{self.operator}/{self.dtype}/{self.name}"

    @property
    def number(self) -> int:
        """A number that is this case's in every process."""
        return zlib.crc32(self.key.encode())

    def model(self) -> bytes:
        """The `.tflite`."""
        return self.build(np.random.default_rng(self.number))

    def inputs(self, model: bytes) -> list[Array]:
        """One array an input, (samples, ...): all lowest, all highest, all zero point, then lowest and highest by turns
        of the inputs, then random over the range."""
        generator = np.random.default_rng(self.number + 1)
        specs = read_signature(model).inputs
        return [self._input(number, spec, generator) for number, spec in enumerate(specs)]

    def _input(self, number: int, spec: TensorSpec, generator: Generator) -> Array:
        low, high = self._range(number, spec)
        shape = (self.samples, *spec.sample_shape)
        if spec.dtype == np.bool_:
            return generator.integers(0, 2, shape).astype(np.bool_)
        if self.sweep and number == 0:
            return np.resize(np.arange(low, high + 1), shape).astype(spec.dtype)
        values: Array = generator.integers(low, high, shape, spec.dtype, endpoint=True)
        zero = min(max(spec.zero_point, low), high)
        for sample, value in zip(range(self.samples - 1), (low, high, zero, high if number % 2 else low), strict=False):
            values[sample] = value
        return values

    def _range(self, number: int, spec: TensorSpec) -> tuple[int, int]:
        if number in self.limits:
            return self.limits[number]
        if spec.dtype == np.bool_:
            return 0, 1
        limits = np.iinfo(spec.dtype)
        return int(limits.min), int(limits.max)
