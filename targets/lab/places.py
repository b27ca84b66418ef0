"""Places as boards within reach: `place:NAME` and `tag:KEY=VALUE,...`."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

from hil.core.errors import BadInputError
from hil.targets.boards.access import BoardAccess
from hil.targets.boards.catalogue import find_board
from hil.targets.boards.description import Board
from hil.targets.boards.local_port import local_access
from hil.targets.lab.client import Held, Lab

OVER_PORT = ("protocol", "dtr", "rts")
"""Ways of resetting that need nothing but the port."""
PLACE, TAG = "place:", "tag:"
DESCRIPTION_TAG = "hil_board"
PATIENCE = "HIL_LAB_PATIENCE"
PATIENCE_S = 600.0
"""Seconds for which a run waits for a place, unless `HIL_LAB_PATIENCE` says otherwise."""


@contextlib.contextmanager
def reach(
    place: str, tags: Mapping[str, str], *, without: Collection[str] = (), folder: Path | None = None
) -> Iterator[BoardAccess]:
    """The board at a place of the lab, or at any free one with these tags, ours until the end of the `with`.

    `without` are places that will not do, `folder` has the user's own descriptions.  Raises `BadInputError` for a place
    that there is not, `InUseError` if none becomes free in time, `LabError` if the lab fails.
    """
    patience_s = _patience()
    with Lab() as lab:
        held = lab.acquire(place=place, tags=tags, without=without, patience_s=patience_s)
        board = _described(held, folder)
        yield BoardAccess(board, lab.url, _ways(lab, held, board))


def place_and_tags(name: str) -> tuple[str, dict[str, str]]:
    """The place, or the tags, of an address; raises `BadInputError` for one that has neither."""
    if name.startswith(PLACE):
        place = name.removeprefix(PLACE)
        if not place:
            raise BadInputError(f"{name}: no place is named", hint=f"{PLACE}NAME; see labgrid-client places")
        return place, {}
    tags: dict[str, str] = {}
    for pair in name.removeprefix(TAG).split(","):
        key, equals, value = pair.partition("=")
        if not key or not equals or not value or key in tags:
            raise BadInputError(f"{name}: {pair!r} is no tag", hint=f"{TAG}KEY=VALUE,KEY=VALUE")
        tags[key] = value
    return "", tags


def _patience() -> float:
    text = os.environ.get(PATIENCE)
    try:
        seconds = PATIENCE_S if text is None else float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 86400:
        raise BadInputError(f"{PATIENCE}={text} is no number of seconds up to a day")
    return seconds


def _described(held: Held, folder: Path | None) -> Board:
    """The description that the place's tag names, under the place's name; what its lab knows better is the lab's."""
    described = held.tags.get(DESCRIPTION_TAG)
    if described is None:
        raise BadInputError(
            f"place {held.place} does not say which board stands there",
            hint=f"labgrid-client -p {held.place} set-tags {DESCRIPTION_TAG}=NAME, a name of hil boards",
        )
    return dataclasses.replace(find_board(described, folder), name=held.place, port="", usb=None, power=None)


def _ways(lab: Lab, held: Held, board: Board) -> Mapping[str, Callable[[], None]]:
    """First what goes over the port itself, then labgrid's, the gentler ones first."""

    def over_port(way: str) -> Callable[[], None]:
        return lambda: local_access(dataclasses.replace(board, port=lab.url())).ways[way]()

    ours = [way for way in board.reset.ways if way in OVER_PORT]
    return {way: over_port(way) for way in ours} | {way: lab.way(way) for way in held.ways}
