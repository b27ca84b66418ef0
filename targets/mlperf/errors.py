"""What this protocol can fail with beside the errors of every link (`hil.targets.link.errors`)."""

from __future__ import annotations

from hil.targets.link.errors import LinkError


class AnswerError(LinkError):
    """The board understood a command and refused it; `answer` is its own line."""

    def __init__(self, message: str, *, answer: str, hint: str = "", transcript: str = "") -> None:
        super().__init__(message, hint=hint, transcript=transcript)
        self.answer = answer
