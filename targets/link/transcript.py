"""Transcript of the wire, short enough for an error message."""

from __future__ import annotations

import time
from collections import deque

from hil.targets.link.wire import REPLY, REPLY_BIT, REQUEST, Command, Status

_LINES = 60
_BYTES = 24


class Transcript:
    """The last lines, each made readable only when it is asked for: frames are many, errors few."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._entries: deque[tuple[float, str, bytes | str]] = deque(maxlen=_LINES)

    def sent(self, body: bytes) -> None:
        """A request, without CRC."""
        self._entries.append((time.monotonic(), ">", body))

    def received(self, body: bytes) -> None:
        """A reply, without CRC."""
        self._entries.append((time.monotonic(), "<", body))

    def note(self, text: str) -> None:
        """Anything else that happened."""
        self._entries.append((time.monotonic(), "-", text))

    @property
    def text(self) -> str:
        """A line an event: seconds since the link was opened, direction, content."""
        return "\n".join(f"{at - self._start:9.4f} {sign} {_line(content)}" for at, sign, content in self._entries)


def _line(content: bytes | str) -> str:
    if isinstance(content, str):
        return content
    layout = REPLY if content[0] & REPLY_BIT and len(content) >= REPLY.size else REQUEST
    if len(content) < layout.size:
        return f"{len(content)} bytes: {content.hex()}"
    fields, payload = layout.unpack(content[: layout.size]), content[layout.size :]
    words = [_name(Command, fields["command"] & ~REPLY_BIT), f"#{fields['sequence']}"]
    if "status" in fields:
        words.append(_name(Status, fields["status"]))
    if payload:
        words.append(f"{len(payload)} bytes: {payload[:_BYTES].hex()}{'...' if len(payload) > _BYTES else ''}")
    return " ".join(words)


def _name(members: type[Command] | type[Status], value: int) -> str:
    try:
        return members(value).name
    except ValueError:
        return str(value)
