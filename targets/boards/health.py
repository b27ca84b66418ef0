"""Boards that are out of order: a further request for one fails at once, and the board is left alone.

health = Health()
health.mark(error)              # a BoardLostError of the board "desk"
health.check("desk")            # raises one that says so
"""

from __future__ import annotations

from hil.core.errors import BoardLostError


class Health:
    """Health of the boards of one session."""

    def __init__(self) -> None:
        self._lost: dict[str, BoardLostError] = {}

    def mark(self, error: BoardLostError) -> None:
        """The board of `error` is out of order from now on."""
        self._lost.setdefault(error.board, error)

    def check(self, board: str) -> None:
        """Raises `BoardLostError` for a board that is out of order; the transcript came with the first one."""
        if (first := self._lost.get(board)) is not None:
            raise BoardLostError(
                f"{board} is out of order for the rest of this session: {first.args[0]}",
                board=board,
                tried=first.tried,
                hint=first.hint,
            )
