"""The image of a program that ran: its compiled steps, and the bytes of memory that its weights were unpacked from.

    found = program_image(program)         # None if NumPy computes a part of it
    found.image.to_bytes(), found.sources  # [(0, 4096, 163840), ...]: region, first byte, byte after the last

Whoever runs the image elsewhere compares the sources first: the steps hold weights, scales and tables as they were.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hil.npu.native import library
from hil.npu.native.image import Image
from hil.npu.native.image_layout import image_of
from hil.npu.native.logistic import LOGISTIC
from hil.npu.native.records import NativeStep
from hil.npu.program import Program
from hil.npu.stream import footprint
from hil.npu.stream.constants import KnownMemory
from hil.npu.stream.operations import SHRAM_REGION, BlockOperation

_REGION = 40
"""Bits of an address within a region."""


@dataclass(frozen=True)
class ProgramImage:
    """An image, and the bytes (region, start, end) that its weights, scales and tables come from."""

    image: Image
    sources: tuple[tuple[int, int, int], ...]


def program_image(program: Program) -> ProgramImage | None:
    """The image of `program` with the weights of its last run; None if NumPy computes a part, or makes them."""
    code, sources = library.loaded(), _sources(program)
    if code is None or sources is None:
        return None
    steps: list[NativeStep] = []
    for _, step in program.last_steps():
        native: NativeStep | None = getattr(step, "native", None)
        if native is None:
            return None
        steps.append(native)
    image = image_of(steps, LOGISTIC, code.level)
    return None if image is None else ProgramImage(image, sources)


def _sources(program: Program) -> tuple[tuple[int, int, int], ...] | None:
    """The bytes that weights, scales and tables come from, by way of DMAs or not; None if anything else makes them."""
    written = {region for operation in program.operations for region in footprint.written_regions(operation)}
    known = KnownMemory(
        {
            region: np.arange(needed.size) + (region << _REGION)  # Each byte is its own address.
            for region, needed in program.required.items()
            if region not in written and region != SHRAM_REGION
        }
    )
    found: list[tuple[int, int, int]] = []
    for operation in program.operations:
        if isinstance(operation, BlockOperation):
            for part in footprint.constant_ranges(operation):
                places = known.read(part)
                if places is None:
                    return None
                region, start = divmod(int(places[0]), 1 << _REGION)
                found.append((region, start, start + len(places)))
        footprint.record_writes(operation, known)
    return tuple(sorted(set(found)))
