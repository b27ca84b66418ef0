"""What this protocol can fail with beside the errors of every link (`hil.targets.link.errors`)."""

from __future__ import annotations

from hil.npu.errors import InfrastructureError


class AnswerError(InfrastructureError):
    """The board understood a command and refused it; `answer` is its own line.

    No error of the link, which works: a reset would mend nothing.
    """

    def __init__(self, message: str, *, answer: str, hint: str = "", transcript: str = "") -> None:
        super().__init__(message, hint=hint, log=transcript)
        self.answer = answer

    @property
    def transcript(self) -> str:
        """The last lines of both sides."""
        return self.log
