"""Channels: bytes to a board and back, over whatever pyserial opens.

    channel = open_channel("/dev/ttyUSB0", baud=921600)          # COM3, /dev/pts/3
    channel = open_channel("socket://127.0.0.1:5000")            # raw TCP
    channel = open_channel("rfc2217://lab:4000", baud=115200)    # a terminal server that sets the baud rate
    channel = open_channel(name, find=lambda: name)              # a port that may come back under another name

A channel buffers no bytes and promises nothing: that is the link's work.  A port that is opened is this process's alone
where the system can do that.
"""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import serial

from hil.core.errors import BadInputError, UnpluggedError

WRITE_S = 2.0
"""A line that takes nothing for so long loses what was to be sent; the link sends it again."""

_POLL_S = 0.01
_MOST_BYTES = 65536
_SCHEMES = ("socket", "rfc2217")


class Channel(Protocol):
    """A byte channel under a link; every method but `close` raises `UnpluggedError` when the port is gone."""

    @property
    def name(self) -> str:
        """For messages."""

    @property
    def baud(self) -> int:
        """Bits a second; a byte takes ten."""

    def send(self, data: bytes) -> None:
        """Sends all of it, or, on a line that is stuck, a part."""

    def receive(self, timeout: float) -> bytes:
        """Reads the bytes that have arrived, waiting for the first; empty after `timeout` seconds."""

    def reopen(self) -> None:
        """Closes and opens it again: one attempt."""

    def close(self) -> None:
        """Does nothing if it is closed already."""


class SerialChannel:
    """A channel over pyserial; `find` gives the name that the port has now, `lines` the levels of control lines."""

    def __init__(self, find: Callable[[], str], baud: int, lines: Mapping[str, bool]) -> None:
        self._find = find
        self._lines = lines
        self._baud = baud
        self._name = find()
        self._serial: Any = None
        self._waits = False
        self.reopen()

    @property
    def name(self) -> str:
        """The port as it was opened last."""
        return self._name

    @property
    def baud(self) -> int:
        """Bits a second."""
        return self._baud

    def send(self, data: bytes) -> None:
        """As `Channel.send`."""
        try:
            self._port().write(data)
        except serial.SerialTimeoutException:
            pass  # the rest is lost, as on any bad line
        except (OSError, TypeError, ValueError) as error:
            raise self._unplugged(error) from None

    def receive(self, timeout: float) -> bytes:
        """As `Channel.receive`."""
        port = self._port()
        try:
            if self._waits:
                ready, _, _ = select.select([port.fileno()], [], [], timeout)
                return bytes(port.read(_MOST_BYTES)) if ready else b""
            for _ in range(max(1, round(timeout / _POLL_S))):
                if first := port.read(1):
                    return bytes(first) + bytes(port.read(port.in_waiting))
            return b""
        except (OSError, TypeError, ValueError) as error:
            raise self._unplugged(error) from None

    def set_lines(self, *, dtr: bool | None = None, rts: bool | None = None) -> None:
        """Sets the control lines that a board may have on its reset; None leaves a line as it is."""
        port = self._port()
        try:
            if dtr is not None:
                port.dtr = dtr
            if rts is not None:
                port.rts = rts
        except (OSError, TypeError, ValueError) as error:
            raise self._unplugged(error) from None

    def reopen(self) -> None:
        """As `Channel.reopen`."""
        self.close()
        self._name = self._find()
        scheme = _scheme(self._name)
        if scheme not in ("", *_SCHEMES):  # pyserial knows further kinds, some of which open files
            hint = "a device such as /dev/ttyUSB0 or COM3, socket:// or rfc2217://"
            raise BadInputError(f"{self._name}: not a port", hint=hint)
        # pyserial's rfc2217 has no time limit for writing (its socket has one), and no descriptor to wait on.
        self._waits = os.name == "posix" and scheme != "rfc2217"
        options: dict[str, Any] = {"timeout": 0 if self._waits else _POLL_S}
        if scheme != "rfc2217":
            options["write_timeout"] = WRITE_S
        if not scheme:
            options["exclusive"] = True if os.name == "posix" else None
        try:
            port = serial.serial_for_url(self._name, self._baud, do_not_open=True, **options)
            for line, level in self._lines.items():
                setattr(port, line, level)
            port.open()
            self._serial = port
        except (OSError, ValueError) as error:
            raise self._unplugged(error) from None

    def close(self) -> None:
        """As `Channel.close`."""
        port, self._serial = self._serial, None
        if port is not None:
            with contextlib.suppress(OSError, ValueError):
                port.close()

    def _port(self) -> Any:
        if self._serial is None:
            raise UnpluggedError(f"{self._name} is closed")
        return self._serial

    def _unplugged(self, error: Exception) -> UnpluggedError:
        reason = str(error) or type(error).__name__
        return UnpluggedError(f"{self._name}: {reason}", hint="is it plugged in, and does no other program use it?")


def open_channel(
    url: str, baud: int = 115200, *, find: Callable[[], str] | None = None, lines: Mapping[str, bool] | None = None
) -> SerialChannel:
    """Opens `url`, a device's name, `socket://` or `rfc2217://`; `find` is asked for its present name at each opening.

    `lines` are the levels that `dtr` and `rts` have while it is open; one that is not named is asserted.

    Raises `BadInputError` for another kind of URL or baud rate, `UnpluggedError` if it does not open.
    """
    if not 0 < baud <= 100_000_000:
        raise BadInputError(f"{baud} is no baud rate")
    return SerialChannel(find if find is not None else lambda: url, baud, lines or {})


def _scheme(url: str) -> str:
    return url.partition("://")[0].lower() if "://" in url else ""
