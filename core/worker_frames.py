"""Protocol between a worker and its parent: length-prefixed frames over a pair of pipes.

A frame is one 32-bit length, a JSON object of that length, and the byte strings whose sizes the object lists
under `"sizes"`.  JSON and raw bytes cannot name code to run, as a pickle could.
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Sequence
from typing import Any

Header = dict[str, Any]
Blobs = list[bytes]
_LENGTH = struct.Struct("<I")
_HEADER_LIMIT = 64 << 20


def write_frame(pipe: io.RawIOBase | Any, header: Header, blobs: Sequence[bytes]) -> None:
    """Sends one message; `header` must be JSON.  Raises OSError when the other side is gone."""
    text = json.dumps({**header, "sizes": [len(blob) for blob in blobs]}).encode()
    for part in (_LENGTH.pack(len(text)) + text, *blobs):
        rest = memoryview(part)
        while rest:
            rest = rest[pipe.write(rest) :]
    pipe.flush()


def read_frame(pipe: io.RawIOBase | Any) -> tuple[Header, Blobs]:
    """Receives one message.  Raises EOFError when the other side is gone, ValueError when it sends something else."""
    (length,) = _LENGTH.unpack(_exactly(pipe, _LENGTH.size))
    if length > _HEADER_LIMIT:
        raise ValueError(f"a header of {length} bytes is none of ours")
    try:
        header = json.loads(_exactly(pipe, length))
    except RecursionError:
        raise ValueError("a header nested too deeply is none of ours") from None
    sizes = header.pop("sizes", None) if isinstance(header, dict) else None
    if not isinstance(sizes, list) or not all(type(size) is int and size >= 0 for size in sizes):
        raise ValueError("a header without sizes is none of ours")
    return header, [_exactly(pipe, size) for size in sizes]


def _exactly(pipe: io.RawIOBase | Any, count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        part = pipe.read(count - len(parts))
        if not part:
            raise EOFError("the other side closed the pipe")
        parts += part
    return bytes(parts)
