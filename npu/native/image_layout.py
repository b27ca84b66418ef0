"""Makes the image of compiled steps (see `image`).

from hil.npu.native.logistic import LOGISTIC

image = image_of(steps, LOGISTIC, level)       # None if a step refers to memory that it does not keep
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence

from hil.core.arrays import Array
from hil.npu.native import records
from hil.npu.native.image import WORD, Image
from hil.npu.native.records import SLACK, NativeStep

_ALIGNED = 64


def image_of(steps: Sequence[NativeStep], logistic: Array, level: int) -> Image | None:
    """The image of `steps`, None if one refers to anything but what it keeps; `logistic` is an array."""
    layout = _Layout()
    places = [layout.add(bytes(ctypes.sizeof(step.data))) for step in steps]
    for step, place in zip(steps, places, strict=True):
        kept = {array.ctypes.data: array for array in step.kept}
        layout.put(place, bytes(step.data))
        for offset, name, address in _addresses(step.data):
            if name == "pairs":  # Results of all pairs of bytes: this process's, and a batch of one has no use of it.
                layout.put(place + offset, bytes(WORD))
            elif address not in kept:
                return None
            else:
                layout.refer(place + offset, layout.add(kept[address].tobytes()))
    table = layout.add(bytes(ctypes.sizeof(records.Step) * len(steps)))
    for number, (step, place) in enumerate(zip(steps, places, strict=True)):
        at = table + number * ctypes.sizeof(records.Step)
        layout.put(at, bytes(records.Step(step.kind, step.scratch, 0)))
        layout.refer(at + records.Step.data.offset, place)
    found = layout.add(logistic.tobytes())
    layout.add(bytes(SLACK))
    return Image(len(steps), table, level, found, tuple(layout.relocations), bytes(layout.block))


class _Layout:
    """A block that grows, and the places in it that refer to others."""

    def __init__(self) -> None:
        self.block = bytearray()
        self.relocations: list[int] = []

    def add(self, data: bytes) -> int:
        """Adds `data` and returns its offset."""
        self.block += bytes(-len(self.block) % _ALIGNED)
        at = len(self.block)
        self.block += data
        return at

    def put(self, at: int, data: bytes) -> None:
        """Puts `data` over what is at `at`."""
        self.block[at : at + len(data)] = data

    def refer(self, at: int, target: int) -> None:
        """Makes the word at `at` the address of `target`."""
        self.put(at, target.to_bytes(WORD, "little"))
        self.relocations.append(at)


def _addresses(structure: ctypes.Structure, start: int = 0) -> Iterator[tuple[int, str, int]]:
    """Yields (offset, field, address) of the addresses in a structure and in those inside it, but for null."""
    for name, kind in structure._fields_:  # type: ignore[misc]
        value, offset = getattr(structure, name), start + getattr(type(structure), name).offset
        if isinstance(value, ctypes.Structure):
            yield from _addresses(value, offset)
        elif kind is ctypes.c_void_p and value:
            yield offset, name, value
