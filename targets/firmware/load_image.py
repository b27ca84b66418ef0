"""The load image of an ELF file: the bytes that a flasher or loader puts into a board's memory.

image = LoadImage.of(elf)
image.crc()                                 # CRC-32 of all of it, as a board with this project's monitor reports it
image.crc(0x10000000, 6636)                 # of a range; None if the file has not all of it
"""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass


@dataclass(frozen=True)
class LoadImage:
    """Pieces of memory by their physical address, in its order, none empty."""

    pieces: tuple[tuple[int, bytes], ...]

    @classmethod
    def of(cls, elf: bytes) -> LoadImage:
        """Reads an ELF file; a malformed one, which a flasher refuses by itself, has no pieces."""
        from elftools.common.exceptions import ELFError
        from elftools.construct import ConstructError
        from elftools.elf.elffile import ELFFile

        try:
            segments = [one for one in ELFFile(io.BytesIO(elf)).iter_segments("PT_LOAD") if one["p_filesz"]]
            return cls(tuple(sorted((one["p_paddr"], one.data()) for one in segments)))
        except (ELFError, ConstructError, OSError, ValueError):
            return cls(())

    def crc(self, address: int = 0, size: int | None = None) -> int | None:
        """Returns the CRC-32 of `size` bytes from `address` on (None: of all pieces); None where the file has a gap."""
        crc, at = 0, address
        for start, data in self.pieces:
            if size is None:
                crc = zlib.crc32(data, crc)
            elif start <= at < start + len(data):
                part = data[at - start : address + size - start]
                crc, at = zlib.crc32(part, crc), at + len(part)
        return crc if self.pieces and (size is None or at == address + size) else None
