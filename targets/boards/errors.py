"""What can go wrong with a board, beside what can go wrong on its link, one class for each thing a user would do next.

=============== ================================================ ========================================
class           what failed                                      what to look at
=============== ================================================ ========================================
PortError       no port, or several, match the description       cable; the list in the message
InUseError      another run holds the port                       the process in the message
WrongBoardError another board than the described one answered    cable; the description
StuckError      the NPU does not come back                       nothing: a reset follows
ResetError      a way of resetting the board could not be gone   the command, in the message
FlashError      the flasher failed or took too long              its output
BoardLostError  the board is out of order, whatever was tried    supply, cable; what was tried, in the log
=============== ================================================ ========================================
"""

from __future__ import annotations

from hil.npu.errors import InfrastructureError


class BoardError(InfrastructureError):
    """Base of what fails with a board; `log` is the transcript or a program's output."""


class PortError(BoardError):
    """No serial port, or more than one, is what the board's description says."""


class InUseError(BoardError):
    """Another run holds the board's port, and did not let go of it in time."""


class WrongBoardError(BoardError):
    """What answered is not the board of the description; nothing was written to it."""


class StuckError(BoardError):
    """The NPU neither finishes nor can be reset through its registers."""


class ResetError(BoardError):
    """A way of resetting the board failed by itself: its command, or its power switch."""


class FlashError(BoardError):
    """The flasher failed, or did not end in time; `log` is what it printed."""


class BoardLostError(BoardError):
    """The board does not come back; `tried` is what was done about it, `log` the transcript of it all."""

    def __init__(self, message: str, *, board: str, tried: tuple[str, ...] = (), hint: str = "", log: str = "") -> None:
        super().__init__(message, hint=hint, log=log)
        self.board = self.lost = board
        self.tried = tried
