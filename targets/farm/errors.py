"""What can go wrong with a lab, beside what can go wrong with its boards."""

from __future__ import annotations

from hil.targets.boards.errors import BoardError


class FarmError(BoardError):
    """The lab's coordinator is not there, or refuses; `log` is what labgrid said."""
