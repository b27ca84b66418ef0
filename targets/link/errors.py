"""What can go wrong between the host and a board, one class for each thing a user would do next.

============== ======================================================= ===================================
class          what failed                                             what to look at
============== ======================================================= ===================================
SilentError    the board said nothing                                  power, cable, port, firmware
GarbageError   bytes came, but no frames                               baud rate, firmware, another program
RebootedError  the board was reset in the middle: its memory is lost   supply, watchdog
UnpluggedError the port is gone, or cannot be opened                   cable, another user of the port
RefusedError   the board refused a request                             the status, in the message
SlowError      an operation did not end within its time                the error rate of the channel
============== ======================================================= ===================================

Each carries the end of what went over the wire in `transcript` (and `log`).
"""

from __future__ import annotations

from hil.npu.errors import InfrastructureError
from hil.targets.link.wire import Status


class LinkError(InfrastructureError):
    """Base of what fails between host and board."""

    def __init__(self, message: str, *, hint: str = "", transcript: str = "") -> None:
        super().__init__(message, hint=hint, log=transcript)

    @property
    def transcript(self) -> str:
        """The last frames and noise, one a line, bounded."""
        return self.log


class SilentError(LinkError):
    """Nothing came from the board."""


class GarbageError(LinkError):
    """Something came, but no frame of this protocol and version."""


class RebootedError(LinkError):
    """The board was reset since it was identified, or is another board."""


class UnpluggedError(LinkError):
    """The port does not open, or went away."""


class SlowError(LinkError):
    """The time for an operation is over, though the board still answers now and then."""


class RefusedError(LinkError):
    """The board answered with another status than OK."""

    def __init__(self, message: str, *, status: Status, hint: str = "", transcript: str = "") -> None:
        super().__init__(message, hint=hint, transcript=transcript)
        self.status = status
