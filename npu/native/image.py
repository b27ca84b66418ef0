"""A program's compiled steps as bytes: saved by one process, run by another without decoding, and without NumPy.

    image = Image.from_bytes(data)         # `to_bytes` gave them; `image_layout` makes an image
    loaded = LoadedImage.of(image, code)
    loaded.run({0: address, 1: address})

The steps of a program are structures that refer to arrays (weights, offsets, scales) by address.  An image has them in
one block of memory, with addresses that count from its start; `relocations` are the places of those addresses, to which
a process adds where its copy of the block lies.
"""

from __future__ import annotations

import ctypes
import mmap
import struct
from collections.abc import Mapping
from typing import NamedTuple

from hil.npu.native.code import MAX_REGIONS

_HEADER = struct.Struct("<5Q")
WORD = 8
"""Bytes of an address."""


class Image(NamedTuple):
    """`length` steps at byte `steps` of `block`; offsets of addresses in it; the `level` of instructions they are for.

    `logistic` is the offset of the table of the logistic function.
    """

    length: int
    steps: int
    level: int
    logistic: int
    relocations: tuple[int, ...]
    block: bytes

    def to_bytes(self) -> bytes:
        """This image as bytes."""
        header = _HEADER.pack(self.length, self.steps, self.level, self.logistic, len(self.relocations))
        return header + struct.pack(f"<{len(self.relocations)}Q", *self.relocations) + self.block

    @classmethod
    def from_bytes(cls, data: bytes) -> Image:
        """Reads what `to_bytes` gave."""
        *numbers, relocated = _HEADER.unpack_from(data)
        relocations = struct.unpack_from(f"<{relocated}Q", data, _HEADER.size)
        length, steps, level, logistic = numbers
        return cls(length, steps, level, logistic, relocations, data[_HEADER.size + relocated * WORD :])


class LoadedImage(NamedTuple):
    """An image in this process's memory, ready to run by `code`."""

    image: Image
    code: ctypes.CDLL
    memory: mmap.mmap

    @classmethod
    def of(cls, image: Image, code: ctypes.CDLL) -> LoadedImage | None:
        """Loads `image`; None if this CPU has not the instructions that it is for."""
        if code.best_level() < image.level:
            return None
        memory = mmap.mmap(-1, len(image.block))
        memory.write(image.block)
        base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        with memoryview(memory) as view, view.cast("Q") as words:
            for at in image.relocations:
                words[at // WORD] += base
        code.set_logistic(ctypes.c_void_p(base + image.logistic))
        return cls(image, code, memory)

    def run(self, regions: Mapping[int, int]) -> None:
        """Runs the steps on one sample, whose memory regions begin at these addresses."""
        bases, strides = (ctypes.c_int64 * MAX_REGIONS)(), (ctypes.c_int64 * MAX_REGIONS)()
        for region, address in regions.items():
            bases[region] = address
        steps = ctypes.addressof(ctypes.c_char.from_buffer(self.memory)) + self.image.steps
        stretch = (ctypes.c_int64 * 2)(self.image.length, 1)  # `Stretch` of `records`, which needs NumPy
        if self.code.run_steps(
            steps, stretch, 1, bases, strides, 1, 1, ctypes.byref(ctypes.c_int64()), self.image.level
        ):
            raise MemoryError
