"""Driver payload parser: the container in which Vela passes a command stream to Arm's driver.

    accelerator, words = parse_payload(data)      # data: bytes of the custom operator's first input

32-bit little-endian words: the mark `COP1`, then *driver actions*, each a word whose low byte is its kind:

====  =======================================================================================
kind  meaning
====  =======================================================================================
1     configuration: the next two words are the CONFIG and ID registers the stream is meant for
2     command stream: bits 16-31 and above them bits 8-15 are its length in words; it follows
5     no operation (pads the stream to 16 bytes)
====  =======================================================================================

Source: Vela's `driver_actions.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil.core.errors import StreamError
from hil.npu.accelerator import Accelerator

Words = NDArray[np.uint32]

FOURCC = 0x3150_4F43
"""'COP1' as a little-endian word."""

_CONFIG, _STREAM, _NOP = 1, 2, 5
_CONFIG_WORDS = 2


def parse_payload(data: bytes | NDArray[Any]) -> tuple[Accelerator, Words]:
    """Returns the accelerator that a payload was compiled for, and its command stream as 32-bit words.

    Raises `StreamError` if `data` is no payload, is truncated, or is for a product other than Ethos-U55 and U65.
    """
    accelerator: Accelerator | None = None
    for kind, words in _actions(data):
        if kind == _CONFIG:
            accelerator = Accelerator.from_config_word(int(words[0]))
        elif accelerator is None:
            raise StreamError("the driver payload does not say which accelerator it is for")
        else:
            return accelerator, words
    raise StreamError("the driver payload holds no command stream")


def parse_id(data: bytes | NDArray[Any]) -> int:
    """Returns register ID of the NPU that a payload was compiled for: its upper half is the architecture version.

    Raises `StreamError` if `data` is no payload or has no configuration.
    """
    for kind, words in _actions(data):
        if kind == _CONFIG:
            return int(words[1])
    raise StreamError("the driver payload does not say which accelerator it is for")


def _actions(data: bytes | NDArray[Any]) -> Iterator[tuple[int, Words]]:
    """Yields kind and words of each configuration and command stream."""
    raw = bytes(data)
    words: Words = np.frombuffer(raw[: len(raw) // 4 * 4], "<u4").astype(np.uint32)
    if not len(words) or words[0] != FOURCC:
        raise StreamError("the driver payload does not start with COP1")
    at = 1
    while at < len(words):
        tag = int(words[at])
        kind = tag & 0xFF
        at += 1
        if kind == _NOP:
            continue
        length = _CONFIG_WORDS if kind == _CONFIG else tag >> 16 | (tag >> 8 & 0xFF) << 16
        if kind == _STREAM and at + length > len(words):
            raise StreamError(f"the driver payload ends before its command stream of {length} words does")
        if kind not in (_CONFIG, _STREAM) or at + length > len(words):
            raise StreamError(f"driver action {tag:#010x} at word {at - 1} of the payload is not known or cut short")
        yield kind, words[at : at + length]
        at += length
