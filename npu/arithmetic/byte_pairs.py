"""Elementwise operations on 8-bit operands by a lookup table of all pairs, for long runs.

    step = ElementwiseStep(operation, stage)
    step(memory)

Two bytes have 65,536 pairs.  Once an operation has computed more elements than that, it computes the result of every
pair by `elementwise` and from then on looks results up: exact by enumeration, for all kinds and scales.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from hil.npu.arithmetic.byte_plan import LANES, pixel_offsets, within_extent
from hil.npu.arithmetic.elementwise import elementwise
from hil.npu.arithmetic.output import OutputStage
from hil.npu.loops import backend
from hil.npu.loops.byte_arguments import Operand
from hil.npu.stream.feature_map import FeatureMap, Regions, Tile
from hil.npu.stream.operations import Elementwise

PAIRS = 1 << 16
BREAK_EVEN_ELEMENTS = PAIRS
"""Elements of an operation from which on building the table is cheaper than computing each."""

SLACK = 3
"""Bytes after the table that a 32-bit load of its last entry reads."""


@dataclass
class ElementwiseStep:
    """Computes an elementwise operation; `elements` counts the elements computed so far."""

    operation: Elementwise
    stage: OutputStage
    elements: int = field(default=0, init=False)

    @property
    def splits_batch(self) -> bool:
        """True if a call processes the samples of a batch one by one, so that callers need not split it."""
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
        """Feature maps of the first operand, the second (the first again if there is none), and the OFM."""
        operation = self.operation
        return operation.ifm, operation.ifm2 or operation.ifm, operation.ofm

    @cached_property
    def _suits(self) -> bool:
        """True if all feature maps are 8-bit, depth is not broadcast, the scale is per tensor, and no write overlaps an
        IFM element that is yet to be read."""
        first, second, out = self._maps
        if self.stage.bias is not None and len(self.stage.bias) > 1:
            return False
        if any(fm.dtype.itemsize > 1 or fm.shape[2] != out.shape[2] or not within_extent(fm) for fm in self._maps):
            return False
        return first.shape == out.shape and all(_apart(fm, out) for fm in (first, second))

    @cached_property
    def _places(self) -> NDArray[np.int64]:
        """Offset of each pixel in its region, per feature map; shape (3, pixels)."""
        shape = self.operation.ofm.shape[:2]
        return np.stack([np.broadcast_to(pixel_offsets(fm), shape).ravel() for fm in self._maps])

    @cached_property
    def _table(self) -> NDArray[np.uint8]:
        """Result of every pair (a, b), at index 256*a + b."""
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
    """True if the two feature maps share no byte, or have identical layouts."""
    (low, high), (first, last) = source.extent(), out.extent()
    same = (source.shape, source.bricks, source.strides, source.tiles) == (
        out.shape, out.bricks, out.strides, out.tiles,
    )  # fmt: skip
    return source.region != out.region or high <= first or last <= low or same
