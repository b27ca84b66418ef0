"""What can go wrong when a firmware runs on a Corstone-300, one class for each thing a user would do next.

=============== ============================================================ =========================
class           what failed                                                  what to look at
=============== ============================================================ =========================
BootError       the simulator did not start, or the firmware printed nothing the executable, its libraries
HangError       the firmware did not end within its time                     the end of the UART log
FaultError      the firmware faulted or gave up, or the NPU met an error     the firmware's line, in the message
ProtocolError   the firmware ended well but its record cannot be read        the firmware's version
StoppedError    nothing: who started the run wanted it no more               why that was
=============== ============================================================ =========================

Each carries the UART log in `log`.
"""

from __future__ import annotations

from hil.npu.errors import InfrastructureError


class FvpError(InfrastructureError):
    """Base of what fails while a firmware runs; `log` is what the UART and the simulator printed until then."""


class BootError(FvpError):
    """The simulator or the firmware did not start."""


class HangError(FvpError):
    """The firmware did not end within its time."""


class FaultError(FvpError):
    """The firmware faulted, or gave up with an error of its own, or the simulated hardware met an error."""


class StoppedError(FvpError):
    """The run was ended by who started it, before its own end."""


class ProtocolError(FvpError):
    """What the firmware printed, or left in memory, is not what its kind of firmware gives."""
