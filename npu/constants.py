"""What is known of the memory while a stream is decoded.

Weights, scales and tables lie in a read-only region, but Vela often has the NPU copy them to the arena or to SHRAM.
`KnownMemory` follows those copies through the stream, so that they can be unpacked once, at decode time.  It knows the
bytes of the constant regions, and of the writable ones those that a DMA brought from known bytes and that nothing has
written over since.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil.npu.operations import Range

Bytes = NDArray[np.uint8]


class KnownMemory:
    """Bytes known at this point of the stream; `constants` are the read-only regions."""

    def __init__(self, constants: Mapping[int, NDArray[Any]]) -> None:
        self._constants = constants
        self._copies: dict[int, list[tuple[int, Bytes]]] = {}

    def read(self, wanted: Range) -> Bytes | None:
        """The bytes of `wanted`, or None if not all of them are known."""
        constant = self._constants.get(wanted.region)
        if constant is not None:
            return constant[wanted.address : wanted.end] if wanted.end <= len(constant) else None
        for address, data in self._copies.get(wanted.region, ()):
            if address <= wanted.address and wanted.end <= address + len(data):
                return data[wanted.address - address : wanted.end - address]
        return None

    def write(self, region: int, low: int, high: int, data: Bytes | None = None) -> None:
        """Bytes `low` to `high` of `region` change: to `data`, or to what only running will show."""
        kept: list[tuple[int, Bytes]] = [] if data is None else [(low, data)]
        for address, old in self._copies.get(region, ()):
            if address < low:
                kept.append((address, old[: low - address]))
            if address + len(old) > high:
                kept.append((max(address, high), old[max(0, high - address) :]))
        self._copies[region] = kept
