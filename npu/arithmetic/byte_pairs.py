"""Elementwise operations on bytes by a table of every pair, for long runs.

    step = ElementwiseStep(operation, stage)
    step(memory)

Two bytes have 65,536 pairs.  Once an operation has computed more elements than that, it computes its result of every
pair, as `elementwise` does it, and looks up from then on: exact by enumeration, and the same for all kinds and scales.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from hil.npu.arithmetic.elementwise import elementwise
from hil.npu.arithmetic.output import OutputStage
from hil.npu.loops import backend
from hil.npu.loops.byte_plan import LANES, Operand, pixel_offsets, within_extent
from hil.npu.stream.feature_map import FeatureMap, Regions, Tile
from hil.npu.stream.operations import Elementwise

PAIRS = 1 << 16
BREAK_EVEN_ELEMENTS = PAIRS
"""Elements that an operation has computed when the table would have paid for itself."""

SLACK = 3
"""Bytes behind the table that a 32-bit load of its last entry touches."""


@dataclass
class ElementwiseStep:
    """An elementwise operation; `elements` is how many it has computed."""

    operation: Elementwise
    stage: OutputStage
    elements: int = field(default=0, init=False)

    @property
    def splits_batch(self) -> bool:
        """Whether it takes the samples one by one itself, however many it is given."""
        return backend.byte_loops() is not None and self.elements > BREAK_EVEN_ELEMENTS and self._suits

    def __call__(self, memory: Regions) -> None:
        """Computes the output of every sample of `memory`."""
        elements = self.operation.ofm.elements * len(memory[self.operation.ofm.region])
        loops = backend.loops(0)  # `elementwise` counts.
        self.elements += elements
        if loops is None or loops.of_bytes is None or self.elements <= BREAK_EVEN_ELEMENTS or not self._suits:
            elementwise(self.operation, self.stage, memory)
        else:
            self._look_up(memory, loops.of_bytes)

    @property
    def _maps(self) -> tuple[FeatureMap, FeatureMap, FeatureMap]:
        """First operand, second (the first again if there is none), output."""
        operation = self.operation
        return operation.ifm, operation.ifm2 or operation.ifm, operation.ofm

    @cached_property
    def _suits(self) -> bool:
        """Whether all is bytes, depth is not broadcast, channels are alike, and nothing is written over an input still
        to be read."""
        first, second, out = self._maps
        if self.stage.bias is not None and len(self.stage.bias) > 1:
            return False
        if any(fm.dtype.itemsize > 1 or fm.shape[2] != out.shape[2] or not within_extent(fm) for fm in self._maps):
            return False
        return first.shape == out.shape and all(_apart(fm, out) for fm in (first, second))

    @cached_property
    def _places(self) -> NDArray[np.int64]:
        """Per feature map where each pixel lies; shape (3, pixels)."""
        shape = self.operation.ofm.shape[:2]
        return np.stack([np.broadcast_to(pixel_offsets(fm), shape).ravel() for fm in self._maps])

    @cached_property
    def _table(self) -> NDArray[np.uint8]:
        """The result of the pair (a, b) at 256*a + b."""
        shape = (256, 256, 1)

        def square(fm: FeatureMap, number: int) -> FeatureMap:
            tiles = (Tile(0, 256, 0, 256, number * PAIRS),)
            return FeatureMap(0, shape, fm.dtype, False, (256, 1, 1), tiles)

        operation = self.operation
        second = square(operation.ifm2, 1) if operation.ifm2 else None
        every = replace(operation, ifm=square(operation.ifm, 0), ifm2=second, ofm=square(operation.ofm, 2))
        data = np.empty((1, 3 * PAIRS + SLACK), np.uint8)
        data[0, :PAIRS] = np.arange(256).repeat(256)
        data[0, PAIRS : 2 * PAIRS] = np.tile(np.arange(256), 256)
        elementwise(every, self.stage, {0: data})
        return data[0, 2 * PAIRS :].copy()

    def _look_up(self, memory: Regions, loops: ModuleType) -> None:
        regions = [memory[fm.region] for fm in self._maps]
        steps = [fm.strides[2] if fm.bricks else LANES for fm in self._maps]
        fields = [(data.ctypes.data, data.strides[0], step) for data, step in zip(regions, steps, strict=True)]
        operands = (Operand(*field) for field in fields)
        loops.look_up_pairs(*operands, len(regions[2]), self.operation.ofm.shape[2], self._places, self._table)


def _apart(source: FeatureMap, out: FeatureMap) -> bool:
    """Whether no byte of the two is the same, or all are, element by element."""
    (low, high), (first, last) = source.extent(), out.extent()
    same = (source.shape, source.bricks, source.strides, source.tiles) == (
        out.shape, out.bricks, out.strides, out.tiles,
    )  # fmt: skip
    return source.region != out.region or high <= first or last <= low or same
