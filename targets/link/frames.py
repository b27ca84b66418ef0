"""Frames: `0x00 COBS(body and its CRC-32) 0x00`.

    wire = frame(b"request")
    for body in FrameReader(room=4000).take(wire):      # None for a frame that is damaged
        print(body)

The delimiter in front ends whatever noise came before, so that it does not spoil the frame.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from cobs import cobs

from hil.targets.link.wire import CRC_BYTES, DELIMITER, REPLY, REQUEST

OVERHEAD = REQUEST.size + CRC_BYTES + 3
"""Bytes of a request's frame that are not payload, up to 254 bytes."""
REPLY_OVERHEAD = REPLY.size + CRC_BYTES + 3

_DELIMITER = bytes([DELIMITER])


def frame(body: bytes) -> bytes:
    """The bytes that go over the wire."""
    return _DELIMITER + bytes(cobs.encode(body + zlib.crc32(body).to_bytes(CRC_BYTES, "little"))) + _DELIMITER


def encoded_size(body_bytes: int) -> int:
    """Upper limit of the bytes that a body of that size, CRC included, takes on the wire."""
    return body_bytes + body_bytes // 254 + 3


def largest_body(wire_bytes: int) -> int:
    """Bytes of a body, CRC included, that take no more than `wire_bytes` on the wire."""
    return max(0, (wire_bytes - 3) * 254 // 255)


class FrameReader:
    """Finds frames in what comes in; a frame of more than `room` encoded bytes is dropped as damaged."""

    def __init__(self, room: int) -> None:
        self.room = room
        self._rest = bytearray()
        self._dropping = False

    def take(self, data: bytes) -> Iterator[bytes | None]:
        """Bodies, without CRC, in order; None for each stretch between delimiters that is no frame."""
        *ended, open_end = data.split(_DELIMITER)
        for piece in ended:
            whole, dropped = bytes(self._rest) + piece, self._dropping
            self._rest.clear()
            self._dropping = False
            if whole or dropped:
                yield None if dropped or len(whole) > self.room else _body(whole)
        self._rest += open_end
        if len(self._rest) > self.room:
            self._rest.clear()
            self._dropping = True

    def clear(self) -> None:
        """Forgets a frame that has begun."""
        self._rest.clear()
        self._dropping = False


def _body(encoded: bytes) -> bytes | None:
    try:
        body = bytes(cobs.decode(encoded))
    except cobs.DecodeError:
        return None
    content, crc = body[:-CRC_BYTES], body[-CRC_BYTES:]
    return content if content and int.from_bytes(crc, "little") == zlib.crc32(content) else None
