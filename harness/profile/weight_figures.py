"""Figures of the weights that instructions read: each encoded range once, however often stripes read it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from hil.harness.profile.layer import WeightFigures
from hil.npu.disassembly.instruction import Instruction
from hil.npu.disassembly.weight_values import WeightValues, weight_values
from hil.npu.stream.operations import Range

Constants = Mapping[int, NDArray[np.uint8]]


def weight_figures(instructions: Iterable[Instruction], constants: Constants) -> WeightFigures | None:
    """Figures of all weights of a layer; None if it has none."""
    parts = {part.origin or part.place: part.elements for instruction in instructions for part in instruction.weights}
    if not parts:
        return None
    values = [_values(place, elements, constants) for place, elements in parts.items()]
    known = [found for found in values if found is not None]
    complete = len(known) == len(values)
    return WeightFigures(
        elements=sum(parts.values()),
        encoded=sum(place.length for place in parts),
        zeros=sum(found.zeros for found in known) if complete else None,
        distinct=len(frozenset().union(*(found.distinct for found in known))) if complete else None,
    )


def _values(place: Range, elements: int, constants: Constants) -> WeightValues | None:
    """Values at a place; None if its bytes are not constants."""
    if place.region not in constants:
        return None
    return weight_values(constants[place.region][place.address : place.end].tobytes(), elements)
