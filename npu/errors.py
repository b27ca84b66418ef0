"""The one family of errors, and what the bottom layer raises of it.

Every error of this project is a `HilError`.  Its class says *what failed*, its message is one clear line, its `hint`
says what to do about it, and `exit_code` is what the `hil` command ends with:

====  =============================================================
code  meaning
====  =============================================================
1     a gate or parity failed (`harness.errors.MismatchError` ...)
2     wrong use or bad input (`BadInputError` and below)
3     the target or the infrastructure failed (`InfrastructureError`)
====  =============================================================
"""

from __future__ import annotations

EXIT_GATE = 1
EXIT_USAGE = 2
EXIT_INFRASTRUCTURE = 3


class HilError(Exception):
    """Base of all errors.

    `hint` is what the user can do (empty if nothing), `log` the text a child process left behind (kept before
    anything is tried again).
    """

    exit_code = EXIT_GATE

    def __init__(self, message: str, *, hint: str = "", log: str = "") -> None:
        super().__init__(message)
        self.hint = hint
        self.log = log

    def __str__(self) -> str:
        return f"{self.args[0]} ({self.hint})" if self.hint else str(self.args[0])


class BadInputError(HilError):
    """What the user gave cannot be used: a file that is no model, a wrong array, an unknown name."""

    exit_code = EXIT_USAGE


class InfrastructureError(HilError):
    """The target or its surroundings failed; never a regression of the model.

    `lost` names a device that is out of order from now on, and not only for what was asked of it.
    """

    exit_code = EXIT_INFRASTRUCTURE
    lost = ""


class UnavailableError(InfrastructureError):
    """Something needed is not on this machine (QEMU, a firmware, a data set); `hint` says how to get it."""


class StreamError(BadInputError):
    """A command stream, weight stream or compiled file is malformed, out of bounds or uses what is not modelled.

    `word_offset` is the offset, in 32-bit words from the start of the command stream, of the offending command.
    """

    def __init__(self, message: str, *, word_offset: int | None = None, hint: str = "") -> None:
        where = "" if word_offset is None else f" (command at word {word_offset})"
        super().__init__(message + where, hint=hint)
        self.word_offset = word_offset
